from .adapters import UDAPE, SourceOnly
from .data_preprocessor import DomainDataPreprocessor
from .networks import AdaINStyleNet, EfficientNetLite, SkipNeck, StatisticsStyleTransfer

__all__ = [
    'AdaINStyleNet',
    'DomainDataPreprocessor',
    'EfficientNetLite',
    'SkipNeck',
    'SourceOnly',
    'StatisticsStyleTransfer',
    'StyleTraining',
    'UDAPE',
]
