"""Poses in a volume over a picture's crop, and their size in millimetres.

Legend: B poses, K joints, volumes of (D, H, W) bins. A volume is [0, 1] along x, y and depth; bin i of n stands for
``(i + 0.5) / n``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .kinematics import at_least_float32

#: Share of a body's squared size that the plane has at least: depth must not shrink a pose to a line.
LEAST_ACROSS = 0.1


def soft_argmax_3d(logits: Tensor) -> Tensor:
    """Expected place under the softmax of a volume (integral regression, Sun et al., ECCV 2018).

    Args:
        logits (Tensor): (B, K, D, H, W).

    Returns:
        Tensor: x, y and depth in [0, 1], (B, K, 3), at least float32.
    """
    logits = at_least_float32(logits)
    weights = logits.flatten(2).softmax(-1).view_as(logits)
    rows = weights.sum(2)
    along = rows.sum(2), rows.sum(3), weights.sum((3, 4))
    return torch.stack([(w * _centres(w)).sum(-1) for w in along], -1)


def _centres(weights: Tensor) -> Tensor:
    count = weights.shape[-1]
    return (torch.arange(count, device=weights.device, dtype=weights.dtype) + 0.5) / count


def body_size(pose: Tensor, edges: Sequence[tuple[int, int]]) -> Tensor:
    """Root of the sum of the squared lengths of all bones, in the pose's unit.

    Args:
        pose (Tensor): (..., K, 3).
        edges (Sequence[tuple[int, int]]): The bones' joints.

    Returns:
        Tensor: (...).
    """
    start, end = zip(*edges)
    return (pose[..., start, :] - pose[..., end, :]).square().sum((-2, -1)).sqrt()


def metric_pose(
    points: Tensor, depth: Tensor, size: Tensor | float, edges: Sequence[tuple[int, int]], root: Sequence[int]
) -> Tensor:
    """Poses in millimetres of points in a picture and their depths, by the size of a body.

    No camera is needed: under weak perspective a picture's pixel is as many millimetres as make the whole body, by
    :func:`body_size`, as large as it should be. Where depth alone is larger than that, the plane keeps a tenth. Joints
    that all lie on one point of the picture have no extent in the plane.

    Args:
        points (Tensor): (B, K, 2), in any unit of the picture that is as long along x as along y.
        depth (Tensor): (B, K), mm; its origin has no meaning.
        size (Tensor | float): mm, of all or of each (B,).
        edges (Sequence[tuple[int, int]]): The bones' joints.
        root (Sequence[int]): Joints whose middle becomes the origin.

    Returns:
        Tensor: (B, K, 3), mm, x to the right, y down, z away from the camera.
    """
    across, along = (body_size(x, edges).square() for x in (points, depth[..., None]))
    square = torch.as_tensor(size, device=points.device, dtype=points.dtype) ** 2
    left = (square - along).clamp_min(LEAST_ACROSS * square)
    scale = left.sqrt() / across.sqrt().clamp_min(torch.finfo(points.dtype).eps)
    pose = torch.cat([points, depth[..., None]], -1)
    pose = pose - pose[:, list(root)].mean(1, keepdim=True)
    return torch.cat([pose[..., :2] * scale[:, None, None], pose[..., 2:]], -1)
