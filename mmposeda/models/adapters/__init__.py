from .base import DomainAdapter, MeanTeacherAdapter
from .source_only import SourceOnly
from .udape import UDAPE

__all__ = ['DomainAdapter', 'MeanTeacherAdapter', 'SourceOnly', 'UDAPE']
