from .adain import AdaINStyleNet
from .efficientnet_lite import EfficientNetLite
from .pose_vae import PoseVAE
from .skip_neck import SkipNeck
from .statistics_style import StatisticsStyleTransfer

__all__ = ['AdaINStyleNet', 'EfficientNetLite', 'PoseVAE', 'SkipNeck', 'StatisticsStyleTransfer']
