from .random_affine import TopdownRandomAffine

__all__ = ['TopdownRandomAffine']
