from .adain import AdaINStyleNet
from .efficientnet_lite import EfficientNetLite
from .image_generator import ImageGenerator
from .pose_augmentor import PoseAugmentor
from .pose_discriminators import KCSDiscriminator, PoseDiscriminator2D
from .pose_vae import PoseVAE
from .random_pose_augmentor import RandomPoseAugmentor
from .skip_neck import SkipNeck
from .statistics_style import StatisticsStyleTransfer
from .warp_estimator import WarpEstimator

__all__ = [
    'AdaINStyleNet',
    'EfficientNetLite',
    'ImageGenerator',
    'KCSDiscriminator',
    'PoseAugmentor',
    'PoseDiscriminator2D',
    'PoseVAE',
    'RandomPoseAugmentor',
    'SkipNeck',
    'StatisticsStyleTransfer',
    'WarpEstimator',
]
