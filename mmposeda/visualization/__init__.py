from .panels import adaptation_panel, draw_skeleton, grid, to_uint8

__all__ = ['adaptation_panel', 'draw_skeleton', 'grid', 'to_uint8']
