from .adain import AdaINStyleNet
from .efficientnet_lite import EfficientNetLite
from .pose_augmentor import PoseAugmentor
from .pose_discriminators import KCSDiscriminator, PoseDiscriminator2D
from .pose_vae import PoseVAE
from .random_pose_augmentor import RandomPoseAugmentor
from .skip_neck import SkipNeck
from .statistics_style import StatisticsStyleTransfer

__all__ = [
    'AdaINStyleNet',
    'EfficientNetLite',
    'KCSDiscriminator',
    'PoseAugmentor',
    'PoseDiscriminator2D',
    'PoseVAE',
    'RandomPoseAugmentor',
    'SkipNeck',
    'StatisticsStyleTransfer',
]
