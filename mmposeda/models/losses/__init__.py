from .heatmap_kl import HeatmapKLLoss, heatmap_kl

__all__ = ['HeatmapKLLoss', 'heatmap_kl']
