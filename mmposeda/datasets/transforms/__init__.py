from .color_jitter import ColorJitter
from .random_affine import TopdownRandomAffine

__all__ = ['ColorJitter', 'TopdownRandomAffine']
