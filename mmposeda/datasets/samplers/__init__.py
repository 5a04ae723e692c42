from .difficulty_bin_sampler import DifficultyBinSampler
from .domain_sampler import DomainSampler

__all__ = ['DifficultyBinSampler', 'DomainSampler']
