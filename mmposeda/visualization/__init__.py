from .difficulty import accuracy_bars, bin_examples, hardest_sheet, similarity_map
from .panels import adaptation_panel, draw_skeleton, grid, to_uint8
from .predictions import draw_pose, prediction_panel

__all__ = [
    'accuracy_bars',
    'adaptation_panel',
    'bin_examples',
    'draw_pose',
    'draw_skeleton',
    'grid',
    'hardest_sheet',
    'prediction_panel',
    'similarity_map',
    'to_uint8',
]
