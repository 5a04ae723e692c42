from .base import DomainAdapter, MeanTeacherAdapter
from .source_only import SourceOnly
from .style_training import StyleTraining
from .udape import UDAPE

__all__ = ['DomainAdapter', 'MeanTeacherAdapter', 'SourceOnly', 'StyleTraining', 'UDAPE']
