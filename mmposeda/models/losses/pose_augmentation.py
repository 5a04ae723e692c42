"""Losses of PoseAug: how far an edit may go, how hard it may be for the lifter, and how real it must look.

All compute in float32 at least. From the authors' code, but the exponential feedback, which is the paper's. Legend: B
poses, J joints, G groups of joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from mmposeda.structures.kinematics import at_least_float32


def band_loss(value: Tensor, centre: float | Tensor, half_width: float | Tensor, hinge: bool = False) -> Tensor:
    """Mean of ``(value - centre)^2`` over all values, without those no farther away than ``half_width``.

    At the band's edge it jumps from 0 to ``half_width^2``, as in the authors' code; within, the gradient is exactly 0.

    Args:
        value (Tensor): Any shape.
        centre (float | Tensor): Middle of the band.
        half_width (float | Tensor): 0 or more.
        hinge (bool): Count the distance from the band's edge, ``max(0, |value - centre| - half_width)^2``, which does
            not jump (our option).

    Returns:
        Tensor: Scalar, 0 if there is no value.
    """
    distance = (at_least_float32(value) - centre).abs()
    excess = (distance - half_width).clamp_min(0) if hinge else torch.where(distance <= half_width, 0.0, distance)
    return _mean(excess.square())


def lsgan_loss(score: Tensor, real: bool) -> Tensor:
    """Mean squared distance of a discriminator's scores, of any shape, from 1 for real and 0 for made up (LSGAN)."""
    return _mean((at_least_float32(score) - float(real)).square())


def group_errors(
    prediction: Tensor, target: Tensor, groups: Sequence[Sequence[int]], weights: Sequence[float] | None = None
) -> Tensor:
    """Mean distance between joints by group, (B, G) in the poses' unit, each joint's multiplied by its weight first.

    A joint that is where it should be has the gradient 0.

    Args:
        prediction (Tensor), target (Tensor): (B, J, 3).
        groups (Sequence[Sequence[int]]): Joint indices of every group.
        weights (Sequence[float], optional): J factors; None for 1.

    Raises:
        ValueError: The shapes do not fit, or a group is empty or names a joint that is not there.
    """
    if prediction.shape != target.shape or prediction.ndim != 3:
        raise ValueError(f'poses must be of one shape (B, J, 3), got {tuple(prediction.shape)}, {tuple(target.shape)}')
    error = torch.linalg.vector_norm(at_least_float32(prediction) - target, dim=-1)
    weights = (1.0,) * error.shape[1] if weights is None else tuple(weights)
    means = _group_means(tuple(map(tuple, groups)), weights, error.shape[1], error.dtype, error.device)
    with torch.autocast(error.device.type, enabled=False):
        return error @ means


def hard_ratio(err_aug: Tensor, err_src: Tensor, eps: float = 1e-3) -> Tensor:
    """How many times as large the lifter's error is on augmented poses, elementwise.

    Args:
        err_aug (Tensor): Errors on augmented poses, metres, any shape.
        err_src (Tensor): Errors on the poses they were made from; it gets no gradient.
        eps (float): Smallest source error that is divided by, metres (our choice: the authors' ratio has no bound).
    """
    return at_least_float32(err_aug) / at_least_float32(err_src).detach().clamp_min(eps)


def exponential_feedback(err_aug: Tensor, err_src: Tensor, beta: float | Tensor) -> Tensor:
    """``|1 - exp(err_aug - beta * err_src)|``, elementwise: 0 where an error is ``beta`` times that of the source.

    Args:
        err_aug (Tensor): Errors on augmented poses, metres, any shape.
        err_src (Tensor): Errors on the poses they were made from; it gets no gradient.
        beta (float | Tensor): Wanted ratio; in the paper from 2 to 20 in the course of training.
    """
    return torch.expm1(at_least_float32(err_aug) - beta * at_least_float32(err_src).detach()).abs()


def _mean(values: Tensor) -> Tensor:
    return values.mean() if values.numel() else values.sum()


@lru_cache(maxsize=32)  # a copy to the device once, not every step
@torch.inference_mode(False)  # so that one made in a test serves in training
def _group_means(groups: tuple, weights: tuple, joints: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(J, G), what takes weighted means over groups."""
    if len(weights) != joints:
        raise ValueError(f'{len(weights)} weights for {joints} joints')
    means = torch.zeros(joints, len(groups), dtype=torch.float64)
    for column, group in enumerate(groups):
        if not group or any(not 0 <= joint < joints for joint in group):
            raise ValueError(f'group {column} = {group} is empty or has joints outside 0 to {joints - 1}')
        for joint in group:
            means[joint, column] = weights[joint] / len(group)
    return means.to(device, dtype)
