"""What lifters of the PoseAug family see and say: screen units in, metres relative to the root out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from mmpose.codecs import VideoPoseLifting
from torch import Tensor

from mmposeda.registry import KEYPOINT_CODECS
from mmposeda.structures.skeleton import Skeleton


@KEYPOINT_CODECS.register_module()
class ScreenPoseLifting(VideoPoseLifting):
    """MMPose's ``VideoPoseLifting`` by the name of a joint set, checked, and decoded a batch at a time.

    Points come in screen units, ``2 u / W - (1, H / W)`` of pixels u in a picture of W x H (Pavllo et al., CVPR 2019),
    packed as MMPose's temporal networks take them; the target is relative to the root joint, in metres.

    Legend: T frames, of one for the lifters here, K joints.

    Args:
        skeleton (str | dict | Skeleton): Joint set: the name of a meta file, meta information or a skeleton.
        remove_root (bool): Leave the root out of the target, for heads of K - 1 joints; decoding puts it back.
    """

    def __init__(self, skeleton: str | dict | Skeleton = 'body16_3d', remove_root: bool = False) -> None:
        self.skeleton = skeleton if isinstance(skeleton, Skeleton) else Skeleton.from_metainfo(skeleton)
        root = self.skeleton.parents.index(-1)
        super().__init__(self.skeleton.num_joints, zero_center=True, root_index=root, remove_root=remove_root)

    def encode(
        self,
        keypoints: np.ndarray,
        keypoints_visible: np.ndarray | None = None,
        lifting_target: np.ndarray | None = None,
        lifting_target_visible: np.ndarray | None = None,
        camera_param: Mapping | None = None,
    ) -> dict:
        """Points and target of one sample in the units of a lifter.

        Args:
            keypoints (np.ndarray): (T, K, 2), pixels.
            keypoints_visible (np.ndarray, optional): (T, K).
            lifting_target (np.ndarray): (1, K, 3), metres. Zeros where nothing is known, as MMPose's inferencer gives.
            lifting_target_visible (np.ndarray, optional): (1, K), or (1, K, 1) as MMPose's inferencer gives.
            camera_param (Mapping): ``w`` and ``h``, the size of the picture in pixels.

        Returns:
            dict: ``keypoint_labels`` (2 K, T) float32, screen units, joint after joint; ``lifting_target_label``
            (1, K, 3) float32 and ``lifting_target_weight`` (1, K), without the root if it is removed; ``target_root``
            (1, 3), metres; and what else ``VideoPoseLifting`` gives.

        Raises:
            ValueError: Another number of joints, no target, or no size of the picture.
        """
        self._check(keypoints, lifting_target, camera_param)
        if lifting_target_visible is None:
            lifting_target_visible = np.ones(lifting_target.shape[:2], np.float32)
        encoded = super().encode(
            np.asarray(keypoints, np.float32),
            keypoints_visible,
            np.asarray(lifting_target, np.float32),
            # with an axis more than the poses' two, as MMPose removes a root from the frames of (1, K)
            np.reshape(lifting_target_visible, (1, -1, 1)),
            {key: camera_param[key] for key in ('w', 'h')},
        )
        return {**encoded, **{key: encoded[key][..., 0] for key in ('lifting_target_weight', 'trajectory_weights')}}

    def decode(self, encoded: np.ndarray, target_root: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Poses in metres of a lifter's output.

        Args:
            encoded (np.ndarray): (N, K, 3), or (N, K - 1, 3) if the root is removed.
            target_root (np.ndarray, optional): (N, 1, 3), where the roots are, metres. None or empty: poses stay
                relative to the root.

        Returns:
            tuple: Poses (N, K, 3) and scores (N, K), which are 1.
        """
        poses = np.asarray(encoded)
        if self.remove_root:
            poses = np.insert(poses, self.root_index[0], 0, axis=1)
        if target_root is not None and target_root.size:
            poses = poses + target_root
        return poses, np.ones(poses.shape[:-1], np.float32)

    def batch_decode(
        self, batch_encoded: Tensor, batch_target_root: Tensor | None = None
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """:meth:`decode` of a batch, brought to the CPU at once: B poses (1, K, 3) and their scores (1, K)."""
        root = None if batch_target_root is None else batch_target_root.detach().cpu().numpy()
        poses, scores = self.decode(batch_encoded.detach().cpu().numpy(), root)
        return list(poses[:, None]), list(scores[:, None])

    def _check(self, keypoints: np.ndarray, target: np.ndarray | None, camera: Mapping | None) -> None:
        name, joints = self.skeleton.name, self.num_keypoints
        if np.ndim(keypoints) != 3 or np.shape(keypoints)[1:] != (joints, 2):
            raise ValueError(
                f'this ScreenPoseLifting is for the {joints} joints of {name} and takes keypoints (T, {joints}, 2), '
                f'got {np.shape(keypoints)}: name the joint set of the data in skeleton'
            )
        if target is None:
            raise ValueError(
                f'a sample without lifting_target: give 3D poses (1, {joints}, 3) in metres, or zeros where only the '
                'prediction is wanted'
            )
        if np.shape(target) != (1, joints, 3):
            raise ValueError(f'lifting_target must be of shape (1, {joints}, 3) for {name}, got {np.shape(target)}')
        size = [(camera or {}).get(key) for key in ('w', 'h')]
        if None in size or min(size) <= 0:
            raise ValueError(
                f'screen units need the size of the picture in camera_param, w and h in pixels, got {size}: give the '
                'data set its camera_param_file'
            )
