from .screen_pose_lifting import ScreenPoseLifting
from .volume_pose import VolumePose3D

__all__ = ['ScreenPoseLifting', 'VolumePose3D']
