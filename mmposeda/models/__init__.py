from .adapters import CCSSL, DAN, DANN, DDC, UDAPE, RegDA, SourceOnly, StyleTraining
from .data_preprocessor import DomainDataPreprocessor
from .lifting_head import LiftingHead
from .losses import HeatmapKLLoss
from .networks import AdaINStyleNet, EfficientNetLite, SkipNeck, StatisticsStyleTransfer
from .networks.lifters import MLPLifter, SemGCNLifter, STGCNLifter, VideoPoseLifter

__all__ = [
    'AdaINStyleNet',
    'CCSSL',
    'DAN',
    'DANN',
    'DDC',
    'DomainDataPreprocessor',
    'EfficientNetLite',
    'HeatmapKLLoss',
    'LiftingHead',
    'MLPLifter',
    'RegDA',
    'STGCNLifter',
    'SemGCNLifter',
    'SkipNeck',
    'SourceOnly',
    'StatisticsStyleTransfer',
    'StyleTraining',
    'UDAPE',
    'VideoPoseLifter',
]
