from .panels import adaptation_panel, draw_skeleton, grid, to_uint8
from .predictions import draw_pose, prediction_panel

__all__ = ['adaptation_panel', 'draw_pose', 'draw_skeleton', 'grid', 'prediction_panel', 'to_uint8']
