from .color_jitter import ColorJitter
from .gaussian_blur import GaussianBlur
from .load_image import LoadImage
from .mirror_hands import MirrorHands
from .pose_augment import PoseAugment
from .random_affine import TopdownRandomAffine
from .relative_depth import RelativeDepth
from .root_relative_pose import RootRelativePose
from .screen_pose import ScreenPose

__all__ = [
    'ColorJitter',
    'GaussianBlur',
    'LoadImage',
    'MirrorHands',
    'PoseAugment',
    'RelativeDepth',
    'RootRelativePose',
    'ScreenPose',
    'TopdownRandomAffine',
]
