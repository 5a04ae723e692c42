from .adain import AdaINStyleNet
from .depth_branch import DecoderTap, DepthBranch, joint_distance, transform_joints
from .efficientnet_lite import EfficientNetLite
from .feature_gan import FeatureDiscriminator, FeatureGenerator
from .feature_neck import FeatureNeck
from .image_generator import ImageGenerator
from .image_vae import ImageVAE
from .motion_autoencoder import MotionAutoEncoder
from .pose_aae import PoseAAE
from .pose_aae_discriminators import LatentDiscriminator, PosePartDiscriminator
from .pose_augmentor import PoseAugmentor
from .pose_discriminators import KCSDiscriminator, PoseDiscriminator2D
from .pose_vae import PoseVAE
from .random_pose_augmentor import RandomPoseAugmentor
from .relation_network import ProjectionHead, RelationNetwork
from .relation_networks import RelationNetworks
from .skip_neck import SkipNeck
from .statistics_style import StatisticsStyleTransfer
from .warp_estimator import WarpEstimator

__all__ = [
    'AdaINStyleNet',
    'DecoderTap',
    'DepthBranch',
    'EfficientNetLite',
    'FeatureDiscriminator',
    'FeatureGenerator',
    'FeatureNeck',
    'ImageGenerator',
    'ImageVAE',
    'KCSDiscriminator',
    'LatentDiscriminator',
    'MotionAutoEncoder',
    'PoseAAE',
    'PoseAugmentor',
    'PoseDiscriminator2D',
    'PosePartDiscriminator',
    'PoseVAE',
    'ProjectionHead',
    'RandomPoseAugmentor',
    'RelationNetwork',
    'RelationNetworks',
    'SkipNeck',
    'StatisticsStyleTransfer',
    'WarpEstimator',
    'joint_distance',
    'transform_joints',
]
