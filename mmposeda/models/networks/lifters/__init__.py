from .mlp_lifter import MLPLifter
from .semgcn_lifter import SemGCNLifter
from .stgcn_lifter import STGCNLifter
from .video_pose_lifter import VideoPoseLifter

__all__ = ['MLPLifter', 'STGCNLifter', 'SemGCNLifter', 'VideoPoseLifter']
