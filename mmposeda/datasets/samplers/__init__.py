from .difficulty_bin_sampler import DifficultyBinSampler
from .domain_sampler import DomainSampler
from .turn_sampler import TurnSampler

__all__ = ['DifficultyBinSampler', 'DomainSampler', 'TurnSampler']
