from .screen_pose_lifting import ScreenPoseLifting

__all__ = ['ScreenPoseLifting']
