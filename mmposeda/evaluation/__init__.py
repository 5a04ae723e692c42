from .binned_metric import BinnedMetric
from .eval_pose import EvalPose
from .grouped_pck import GroupedPCK
from .left_right import LeftRightSeparation
from .lifting_metric import LiftingMetric

__all__ = ['BinnedMetric', 'EvalPose', 'GroupedPCK', 'LeftRightSeparation', 'LiftingMetric']
