from .contrastive import info_nce
from .discrepancy import MultiKernelMMD, linear_mmd
from .feature_gan import discriminator_loss, generator_loss
from .heatmap_kl import HeatmapKLLoss, heatmap_kl
from .perceptual import PyramidPerceptualLoss
from .pose_augmentation import band_loss, exponential_feedback, group_errors, hard_ratio, lsgan_loss

__all__ = [
    'HeatmapKLLoss',
    'MultiKernelMMD',
    'PyramidPerceptualLoss',
    'band_loss',
    'discriminator_loss',
    'exponential_feedback',
    'generator_loss',
    'group_errors',
    'hard_ratio',
    'heatmap_kl',
    'info_nce',
    'linear_mmd',
    'lsgan_loss',
]
