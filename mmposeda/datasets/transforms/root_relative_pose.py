"""Poses from their root, as the crop shows them."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.datasets.transforms import PackPoseInputs

from mmposeda.registry import TRANSFORMS
from mmposeda.structures.skeleton import Skeleton

from .screen_pose import camera_pose


@TRANSFORMS.register_module()
class RootRelativePose(BaseTransform):
    """3D labels from the root, mirrored and turned about the optical axis as the crop was.

    For estimators that tell a pose without its place, as :class:`~mmposeda.models.latent_head.LatentPoseHead`. Put it
    behind the crop and before ``PackPoseInputs``, which packs ``root_pose`` and ``root_pose_weights`` into
    ``gt_instance_labels`` for the loss and ``keypoints_3d_cam`` into ``gt_instances`` for ``LiftingMetric``. The turn
    is that of the similarity from the picture's joints to the crop's that fits best; shears and shifts are not seen by
    the labels. A person beside the optical axis looks turned by the angle to it, which is not corrected.

    Required keys: keypoints and transformed_keypoints (1, K, 2), pixels; keypoints_3d_cam (1, K, 3), mm in the camera's
    axes, in the joints' order before any flip, (0, 0, 0) or NaN for joints that the data set lacks; where a transform
    has mirrored the picture, flip and flip_indices. Added keys: root_pose (1, K, 3), mm, 0 for lacking joints;
    root_pose_weights (1, K), 1 for those known. keypoints_3d_cam is mirrored and turned too, 0 for lacking joints.

    Args:
        skeleton (str): Joint set, the name of its meta file; its tree's root is the root.

    Raises:
        KeyError: A sample without 3D labels, or before the crop.
        ValueError: 3D labels of another number of joints, or not of the root; a picture upside down.
    """

    def __init__(self, skeleton: str) -> None:
        self.skeleton = Skeleton.from_metainfo(skeleton)
        self.root = self.skeleton.parents.index(-1)

    def transform(self, results: dict) -> dict:
        """Add the labels of one sample."""
        name = type(self).__name__
        pose = camera_pose(results, name)
        if pose.shape[1] != self.skeleton.num_joints:
            raise ValueError(
                f'{name} is for the {self.skeleton.num_joints} joints of {self.skeleton.name!r}, the sample has '
                f'{pose.shape[1]}: name the joint set of the data'
            )
        if 'transformed_keypoints' not in results:
            raise KeyError(f"{name} needs 'transformed_keypoints': put it behind the crop (TopdownAffine)")
        known = np.isfinite(pose).all(-1) & (pose != 0).any(-1)
        if not known[:, self.root].all():
            raise ValueError(
                f'the 3D labels of {results.get("img_path")} lack the root, {self.skeleton.joint_names[self.root]}: '
                'take another joint set'
            )
        points, moved = (
            np.asarray(results[key], np.float64)[..., :2] for key in ('keypoints', 'transformed_keypoints')
        )
        if results.get('flip'):
            if results.get('flip_direction', 'horizontal') != 'horizontal':
                raise ValueError(f'{name} takes pictures mirrored left to right, got {results["flip_direction"]!r}')
            pose = pose * [-1.0, 1.0, 1.0]
        pose = np.where(known[..., None], pose, 0) @ np.swapaxes(turn(points, moved, known), -1, -2)
        relative = np.where(known[..., None], pose - pose[:, [self.root]], 0)
        results['root_pose'] = relative.astype(np.float32)
        results['root_pose_weights'] = known.astype(np.float32)
        results['keypoints_3d_cam'] = pose.astype(np.float32)
        for table, keys in (('label', ('root_pose', 'root_pose_weights')), ('instance', ('keypoints_3d_cam',))):
            key = f'{table}_mapping_table'
            results[key] = {**results.get(key, getattr(PackPoseInputs, key)), **{k: k for k in keys}}
        return results


def turn(points: np.ndarray, moved: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Turns about the optical axis (N, 3, 3) of the similarities that take points (N, K, 2) to moved ones.

    Points that are not known (N, K) do not count; of fewer than two places there is none.
    """
    weights = known / np.maximum(known.sum(1, keepdims=True), 1)
    before, after = (
        (x[..., 0] + 1j * x[..., 1]) - (weights * (x[..., 0] + 1j * x[..., 1])).sum(1, keepdims=True)
        for x in (points, moved)
    )
    turned = (weights * before.conj() * after).sum(1)
    angle = np.where(np.abs(turned) > 0, np.angle(turned), 0.0)
    matrix = np.zeros((len(points), 3, 3))
    matrix[:, 0, 0] = matrix[:, 1, 1] = np.cos(angle)
    matrix[:, 1, 0] = np.sin(angle)
    matrix[:, 0, 1] = -matrix[:, 1, 0]
    matrix[:, 2, 2] = 1
    return matrix
