"""Lifted poses and their labels, as metrics want them: from batches, and from MMPose's samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def read_batch(batch: dict) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Predictions and labels (B, J, 3), visibility (B, J), index (B,) float64 and action (B,), on one device.

    Raises:
        ValueError: something is missing; names it.
    """
    missing = [key for key in ('pred_poses', 'poses', 'index', 'action') if key not in batch]
    if missing:
        raise ValueError(f'a batch of predicted poses lacks {", ".join(missing)}; it has {", ".join(batch)}')
    predicted = torch.as_tensor(batch['pred_poses']).detach()
    device = predicted.device
    poses, index, action = (torch.as_tensor(batch[key], device=device) for key in ('poses', 'index', 'action'))
    visible = batch.get('visible')
    visible = torch.ones_like(poses[..., 0]) if visible is None else torch.as_tensor(visible, device=device)
    return predicted, poses, visible, index.double(), action


def read_samples(samples: Sequence[dict]) -> tuple[Tensor, Tensor, Tensor, Tensor, np.ndarray]:
    """Poses of samples of MMPose, T frames each, one after another.

    Returns:
        tuple: Predictions and labels (F, J, 3), visibility (F, J), the sample's ``id`` (F,) float64, NaN where it has
        none, and each sample's first frame (S,).

    Raises:
        ValueError: no label, or another shape than the prediction; names the picture.
    """
    parts = [_read(sample) for sample in samples]
    frames = np.array([len(poses) for _, poses, _ in parts])
    ids = np.array([sample.get('id', np.nan) for sample in samples], np.float64)
    predicted, poses, visible = (torch.cat(part) for part in zip(*parts))
    return predicted, poses, visible, torch.from_numpy(ids.repeat(frames)), np.cumsum(frames) - frames


def action_of(sample: dict) -> str:
    """Name of the action: ``action`` of the sample, else what its picture's name says.

    That is as in MMPose's ``MPJPE``: ``S9_Walking_1.60457274_000001.jpg`` walks. Names of another form (no second word,
    or a number in its place) give ``all``.
    """
    action = sample.get('action')
    if action is not None:
        return str(action)
    words = Path(str(sample.get('target_img_path', [''])[0])).name.split('.', 1)[0].split('_')
    return words[1] if len(words) > 1 and words[1][:1].isalpha() else 'all'


def _read(sample: dict) -> tuple[Tensor, Tensor, Tensor]:
    path, labels = sample.get('target_img_path', sample.get('img_path')), sample['gt_instances']
    of_picture = 'keypoints_3d' in sample['pred_instances']
    key = 'keypoints_3d_cam' if of_picture else 'lifting_target'
    if key not in labels:
        way_out = 'put RelativeDepth into the test pipeline' if of_picture else 'evaluate on 3D data'
        raise ValueError(f'no 3D label for {path}: its gt_instances lack `{key}`; {way_out}')
    poses = torch.as_tensor(labels[key])
    predicted = torch.as_tensor(sample['pred_instances']['keypoints_3d' if of_picture else 'keypoints']).detach().cpu()
    predicted = predicted[0] if predicted.ndim == 4 else predicted
    if predicted.shape != poses.shape:
        raise ValueError(
            f'predicted poses {tuple(predicted.shape)} against labelled ones {tuple(poses.shape)} for {path}: the '
            'model was built or trained for another joint set'
        )
    if of_picture:  # a joint that the data set lacks is at the camera's centre
        return predicted, poses / 1000, (poses != 0).any(-1)
    visible = labels.get('lifting_target_visible')
    visible = torch.ones_like(poses[..., 0]) if visible is None else torch.as_tensor(visible)
    return predicted, poses, visible.reshape(poses.shape[:-1])
