from .adapters import CCSSL, DAN, DANN, DDC, UDAPE, PoseAug, RegDA, SourceOnly, StyleTraining, SupervisedLifter
from .data_preprocessor import DomainDataPreprocessor, TensorDataPreprocessor
from .lifting_head import LiftingHead
from .losses import HeatmapKLLoss, PyramidPerceptualLoss
from .networks import (
    AdaINStyleNet,
    DepthBranch,
    EfficientNetLite,
    ImageGenerator,
    KCSDiscriminator,
    PoseAugmentor,
    PoseDiscriminator2D,
    RandomPoseAugmentor,
    SkipNeck,
    StatisticsStyleTransfer,
    WarpEstimator,
)
from .networks.lifters import MLPLifter, SemGCNLifter, STGCNLifter, VideoPoseLifter
from .pseudo_labels_3d import KinematicScorer, MaskCombiner

__all__ = [
    'AdaINStyleNet',
    'CCSSL',
    'DAN',
    'DANN',
    'DDC',
    'DepthBranch',
    'DomainDataPreprocessor',
    'EfficientNetLite',
    'HeatmapKLLoss',
    'ImageGenerator',
    'KCSDiscriminator',
    'KinematicScorer',
    'LiftingHead',
    'MLPLifter',
    'MaskCombiner',
    'PoseAug',
    'PoseAugmentor',
    'PoseDiscriminator2D',
    'PyramidPerceptualLoss',
    'RandomPoseAugmentor',
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
    'WarpEstimator',
]
