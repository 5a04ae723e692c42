from .grouped_pck import GroupedPCK
from .left_right import LeftRightSeparation

__all__ = ['GroupedPCK', 'LeftRightSeparation']
