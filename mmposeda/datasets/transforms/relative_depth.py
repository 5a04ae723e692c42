"""Depths from the root joint, and 3D labels for evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.datasets.transforms import PackPoseInputs

from mmposeda.registry import TRANSFORMS
from mmposeda.structures.skeleton import Skeleton

from .screen_pose import camera_pose


@TRANSFORMS.register_module()
class RelativeDepth(BaseTransform):
    """Depth of each joint from the root, as the codec :class:`~mmposeda.codecs.VolumePose3D` wants it.

    Put it before ``GenerateTarget``, or in a test pipeline before ``PackPoseInputs``: it also has
    ``keypoints_3d_cam`` packed into ``gt_instances``, for ``LiftingMetric``.

    Required keys: keypoints (1, K, 2); keypoints_3d_cam (1, K, 3), mm in the camera's axes, in the joints' order before
    any flip, (0, 0, 0) or NaN for joints that the data set lacks; where a transform has mirrored the picture, flip and
    flip_indices. Added keys: relative_depth (1, K), mm, in the order of the picture's joints, NaN for those that are
    lacking; body_size (1,), mm, the root of the sum of the squared lengths of the bones, NaN where one is lacking.

    Args:
        skeleton (str): Joint set, the name of its meta file.
        root (str | Sequence[str]): The root, or joints whose middle it is.

    Raises:
        KeyError: A sample without 3D labels, or a root that the joint set lacks.
        ValueError: 3D labels of another number of joints, or not of the root.
    """

    def __init__(self, skeleton: str, root: str | Sequence[str]) -> None:
        self.skeleton = Skeleton.from_metainfo(skeleton)
        self.root = self.skeleton.index_all(root)
        self.bones = self.skeleton.bones

    def transform(self, results: dict) -> dict:
        """Add depths and size of one sample."""
        pose = camera_pose(results, type(self).__name__)
        if pose.shape[1] != self.skeleton.num_joints:
            raise ValueError(
                f'RelativeDepth is for the {self.skeleton.num_joints} joints of {self.skeleton.name!r}, the sample has '
                f'{pose.shape[1]}: name the joint set of the data'
            )
        known = np.isfinite(pose).all(-1) & (pose != 0).any(-1)
        if not known[:, self.root].all():
            raise ValueError(
                f'the 3D labels of {results.get("img_path")} lack the root ({self._root_names()}): name another root'
            )
        pose = np.where(known[..., None], pose, np.nan)
        start, end = np.array(self.bones).T
        depth = pose[..., 2] - pose[:, self.root, 2].mean(1, keepdims=True)
        results['relative_depth'] = depth.astype(np.float32)
        results['body_size'] = np.sqrt(np.square(pose[:, start] - pose[:, end]).sum((1, 2))).astype(np.float32)
        table = results.get('instance_mapping_table', PackPoseInputs.instance_mapping_table)
        results['instance_mapping_table'] = {**table, 'keypoints_3d_cam': 'keypoints_3d_cam'}
        return results

    def _root_names(self) -> str:
        return ', '.join(self.skeleton.joint_names[joint] for joint in self.root)
