from .domain_sampler import DomainSampler

__all__ = ['DomainSampler']
