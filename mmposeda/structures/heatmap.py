"""Batched reading and writing of heatmaps.

Legend: B pictures, K joints, heatmap size [W, H] as in MMPose's codecs, positions (x, y) in heatmap cells.
"""

from __future__ import annotations

import torch
from torch import Tensor


def heatmap_argmax(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Find each map's largest cell.

    Unlike the published code, maps whose peak is not positive keep their true position: under a loss that is free of a
    constant (softmax) an all-negative map can be a confident one.

    Args:
        heatmaps (Tensor): (B, K, H, W).

    Returns:
        tuple[Tensor, Tensor]: Positions (B, K, 2), float, and peak values (B, K).
    """
    width = heatmaps.shape[-1]
    peaks, flat = heatmaps.flatten(2).max(-1)
    points = torch.stack([flat % width, torch.div(flat, width, rounding_mode='floor')], -1)
    return points.to(heatmaps.dtype), peaks


def gaussian_heatmaps(points: Tensor, size: tuple[int, int], sigma: float, cut: float = 3.0) -> Tensor:
    """Draw one Gaussian of peak 1 a joint, zero beyond ``cut * sigma`` along either axis.

    Separable, without a loop over joints. Equal to MMPose's ``MSRAHeatmap(unbiased=False)`` for whole-cell centres; a
    centre outside the map draws nothing but its part inside, and a NaN centre draws nothing.

    Args:
        points (Tensor): Centres, (B, K, 2).
        size (tuple[int, int]): Heatmap size (W, H).
        sigma (float): Standard deviation, cells.
        cut (float): Half the side of the square support, in sigmas.

    Returns:
        Tensor: (B, K, H, W).
    """

    def axis(centre: Tensor, length: int) -> Tensor:
        distance = torch.arange(length, device=centre.device, dtype=centre.dtype) - centre[..., None]
        value = torch.exp(-(distance**2) / (2 * sigma**2))
        return torch.where(distance.abs() <= cut * sigma, value, torch.zeros_like(value))

    return axis(points[..., 1], size[1])[..., :, None] * axis(points[..., 0], size[0])[..., None, :]
