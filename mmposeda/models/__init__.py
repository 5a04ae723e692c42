from .adapters import CCSSL, DAN, DANN, DDC, UDAPE, RegDA, SourceOnly, StyleTraining
from .data_preprocessor import DomainDataPreprocessor
from .losses import HeatmapKLLoss
from .networks import AdaINStyleNet, EfficientNetLite, SkipNeck, StatisticsStyleTransfer

__all__ = [
    'AdaINStyleNet',
    'CCSSL',
    'DAN',
    'DANN',
    'DDC',
    'DomainDataPreprocessor',
    'EfficientNetLite',
    'HeatmapKLLoss',
    'RegDA',
    'SkipNeck',
    'SourceOnly',
    'StatisticsStyleTransfer',
    'StyleTraining',
    'UDAPE',
]
