from .color_jitter import ColorJitter
from .load_image import LoadImage
from .random_affine import TopdownRandomAffine

__all__ = ['ColorJitter', 'LoadImage', 'TopdownRandomAffine']
