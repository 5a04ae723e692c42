from .adain import AdaINStyleNet
from .efficientnet_lite import EfficientNetLite
from .skip_neck import SkipNeck
from .statistics_style import StatisticsStyleTransfer

__all__ = ['AdaINStyleNet', 'EfficientNetLite', 'SkipNeck', 'StatisticsStyleTransfer']
