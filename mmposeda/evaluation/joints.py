"""Labels and predictions of a sample, as metrics of joints want them."""

from __future__ import annotations

import numpy as np

from mmposeda.structures.skeleton import Skeleton


def labelled_joints(sample: dict, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label (K, 2), its visibility (K,) bool and prediction (K, 2) of a sample, pixels of the picture, float64.

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
    pred = np.asarray(sample['pred_instances']['keypoints'], np.float64)[0, :, :2]
    if not len(pred) == len(truth) == skeleton.num_joints:
        raise ValueError(
            f'{len(pred)} predicted joints against {len(truth)} labelled ones for {sample.get("img_path")}, and '
            f'{skeleton.num_joints} in {skeleton.name!r}: the model was built or trained for another joint set'
        )
    return truth, visible > 0, pred
