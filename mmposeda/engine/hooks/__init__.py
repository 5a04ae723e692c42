from .mean_teacher_hook import MeanTeacherHook
from .schedule_hook import ScheduleHook

__all__ = ['MeanTeacherHook', 'ScheduleHook']
