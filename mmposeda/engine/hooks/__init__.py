from .adaptation_visualization_hook import AdaptationVisualizationHook
from .mean_teacher_hook import MeanTeacherHook
from .schedule_hook import ScheduleHook

__all__ = ['AdaptationVisualizationHook', 'MeanTeacherHook', 'ScheduleHook']
