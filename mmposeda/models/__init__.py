from .adapters import CCSSL, DAN, DANN, DDC, UDAPE, PoseAug, RegDA, SourceOnly, StyleTraining, SupervisedLifter
from .data_preprocessor import DomainDataPreprocessor, TensorDataPreprocessor
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
    'PoseAug',
    'RegDA',
    'STGCNLifter',
    'SemGCNLifter',
    'SkipNeck',
    'SourceOnly',
    'StatisticsStyleTransfer',
    'StyleTraining',
    'SupervisedLifter',
    'TensorDataPreprocessor',
    'UDAPE',
    'VideoPoseLifter',
]
