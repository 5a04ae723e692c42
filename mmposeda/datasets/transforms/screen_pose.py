"""3D labels in the pixels of the network's input."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.datasets.transforms import PackPoseInputs

from mmposeda.registry import TRANSFORMS

#: Points whose spread across is below this share of that along lie on a line.
FLATNESS = 1e-4
NO_LABELS = 'take a data set with 3D labels (SyntheticBodyDataset, SURREALDataset, RHDHandsDataset)'


@TRANSFORMS.register_module()
class ScreenPose(BaseTransform):
    """Labels (u, v, depth), all in pixels of the network's input, for methods that lift poses without a camera.

    Depth in pixels is ``(Z - Z_mean) * f / Z_mean``, Z_mean being that of all joints, stretched as the crop stretches
    the picture: methods subtract a root of their own. Put it behind ``GenerateTarget`` and before ``PackPoseInputs``,
    which packs it as ``gt_instance_labels.screen_pose``.

    Required keys: keypoints (1, K, 2) and transformed_keypoints (1, K, 2), pixels; keypoints_3d_cam (1, K, 3), mm in
    the camera's axes, in the joints' order before any flip; camera with ``f`` (2,), pixels; where a transform has
    mirrored the picture, flip and flip_indices; keypoints_visible (1, K) or (1, K, 2), if known. Added keys:
    screen_pose (1, K, 4): u, v, depth, and 1 where the joint is labelled and inside the input, else 0.

    Raises:
        KeyError: A sample without 3D labels or camera.
        ValueError: A pose that is not before the camera, or 3D labels of another number of joints.
    """

    def transform(self, results: dict) -> dict:
        """Add the labels of one sample."""
        for key in ('camera', 'transformed_keypoints'):
            if key not in results:
                raise KeyError(f'ScreenPose needs {key!r}: {NO_LABELS}, and put ScreenPose behind the crop')
        points, moved = (
            np.asarray(results[key], np.float64)[..., :2] for key in ('keypoints', 'transformed_keypoints')
        )
        depth = camera_pose(results, type(self).__name__)[..., 2]
        middle = depth.mean(1, keepdims=True)
        if not (middle > 0).all():
            raise ValueError(f'the pose is not before the camera: its mean depth is {float(middle.min()):g} mm')
        focal = float(np.sqrt(np.prod(results['camera']['f'])))
        depth = (depth - middle) * focal / middle * stretch(points, moved)[:, None]
        width, height = results['input_size']
        inside = ((moved >= 0) & (moved <= (width - 1, height - 1))).all(-1)
        visible = np.asarray(results.get('keypoints_visible', np.ones(inside.shape)))
        visible = visible[..., 0] if visible.ndim == 3 else visible
        weight = inside & (visible > 0)
        label = np.concatenate([moved, depth[..., None], weight[..., None]], -1)
        results['screen_pose'] = label.astype(np.float32)
        table = results.get('label_mapping_table', PackPoseInputs.label_mapping_table)
        results['label_mapping_table'] = {**table, 'screen_pose': 'screen_pose'}
        return results


def camera_pose(results: dict, owner: str) -> np.ndarray:
    """3D labels of a sample in the order of its picture's joints, which a flip changes: (1, K, 3) float64, mm.

    Raises:
        KeyError: No 3D labels; ``owner`` is who wants them.
        ValueError: They are of another number of joints than ``keypoints``.
    """
    if 'keypoints_3d_cam' not in results:
        raise KeyError(f"{owner} needs 'keypoints_3d_cam': {NO_LABELS}")
    pose = np.asarray(results['keypoints_3d_cam'], np.float64)
    wanted = (*np.shape(results['keypoints'])[:2], 3)
    if pose.shape != wanted:
        raise ValueError(f'keypoints_3d_cam must be {wanted} as keypoints, got {pose.shape}')
    return pose[:, results['flip_indices']] if results.get('flip') else pose


def stretch(points: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """How much longer an affine map makes lengths: the root of its area factor.

    Args:
        points (np.ndarray): (N, K, 2).
        moved (np.ndarray): The same under one affine map each. Of points on a line, which tell nothing of the area,
            the factor along the line is taken.

    Returns:
        np.ndarray: (N,); 1 where all points are one.
    """
    before, after = (np.einsum('nki,nkj->nij', c, c) for c in (x - x.mean(1, keepdims=True) for x in (points, moved)))
    size = np.trace(before, axis1=1, axis2=2)
    along = np.sqrt(np.trace(after, axis1=1, axis2=2) / np.where(size > 0, size, 1))
    area_before, area_after = np.linalg.det(before), np.linalg.det(after)
    flat = area_before <= (FLATNESS * size) ** 2
    by_area = np.abs(area_after / np.where(flat, 1, area_before)) ** 0.25
    return np.where(size > 0, np.where(flat, along, by_area), 1.0)
