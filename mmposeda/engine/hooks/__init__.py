from .adaptation_visualization_hook import AdaptationVisualizationHook
from .channels_last_hook import ChannelsLastHook
from .mean_teacher_hook import MeanTeacherHook
from .schedule_hook import ScheduleHook

__all__ = ['AdaptationVisualizationHook', 'ChannelsLastHook', 'MeanTeacherHook', 'ScheduleHook']
