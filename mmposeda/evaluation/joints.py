"""Labels and predictions of a sample, as metrics of joints want them."""

from __future__ import annotations

import numpy as np

from mmposeda.structures.skeleton import Skeleton


def joint_labels(sample: dict, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """Label (K, 2) of a sample, pixels of the picture, float64, and its visibility (K,) bool.

    Raises:
        ValueError: no label, or another number of joints than the joint set has; names the picture.
    """
    gt = sample['gt_instances']
    if 'keypoints' not in gt:
        raise ValueError(
            f'no ground truth keypoints for {sample.get("img_path")}; evaluate on a labelled data set, not on '
            'UnlabeledDataset'
        )
    truth = np.asarray(gt['keypoints'], np.float64)[0, :, :2]
    visible = np.asarray(gt['keypoints_visible'])[0]
    visible = visible[:, 0] if visible.ndim == 2 else visible
    if len(truth) != skeleton.num_joints:
        raise ValueError(
            f'{len(truth)} labelled joints for {sample.get("img_path")}, and {skeleton.num_joints} in '
            f'{skeleton.name!r}: the data set holds another joint set than it says'
        )
    return truth, visible > 0


def labelled_joints(sample: dict, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label (K, 2), its visibility (K,) bool and prediction (K, 2) of a sample, pixels of the picture, float64.

    Raises:
        ValueError: no label, or another number of joints than the joint set has; names the picture.
    """
    truth, visible = joint_labels(sample, skeleton)
    pred = np.asarray(sample['pred_instances']['keypoints'], np.float64)[0, :, :2]
    if len(pred) != len(truth):
        raise ValueError(
            f'{len(pred)} predicted joints against {len(truth)} labelled ones for {sample.get("img_path")}, and '
            f'{skeleton.num_joints} in {skeleton.name!r}: the model was built or trained for another joint set'
        )
    return truth, visible, pred


def in_crop(points: np.ndarray, sample: dict) -> np.ndarray:
    """Points (K, 2) of the picture in pixels of the input crop that was cut from it, upright."""
    size, scale = np.asarray(sample['input_size']), np.asarray(sample['input_scale'], np.float64)
    corner = np.asarray(sample['input_center'], np.float64) - 0.5 * scale
    return (points - corner) / scale * size
