from .eval_pose import EvalPose
from .grouped_pck import GroupedPCK
from .left_right import LeftRightSeparation

__all__ = ['EvalPose', 'GroupedPCK', 'LeftRightSeparation']
