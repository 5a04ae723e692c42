from .discrepancy import MultiKernelMMD, linear_mmd
from .heatmap_kl import HeatmapKLLoss, heatmap_kl

__all__ = ['HeatmapKLLoss', 'MultiKernelMMD', 'heatmap_kl', 'linear_mmd']
