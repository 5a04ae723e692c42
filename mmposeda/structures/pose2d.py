"""Normalisation of 2D poses.

Legend: N poses, K joints, coordinates (x, y) in pixels of any one frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

NORM_MODES = ('bbox', 'root', 'image')
#: Extents below it, in pixels, are none: such a pose is only moved, not scaled.
MIN_EXTENT = 1e-6


def normalize_pose2d(
    y: Tensor,
    v: Tensor,
    mode: str = 'bbox',
    boxes: Tensor | None = None,
    root: int | Sequence[int] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Give poses a common place and size: ``(y - centre) / scale``. The inverse is ``y * scale + centre``.

    The paper on difficulty sampling feeds "flattened keypoints" and does not say how they are normalised: the modes are
    our choice.

    * ``bbox``: centre of the smallest box around the visible joints, and its longer side. Free of place and size; a
      turned pose is another one.
    * ``root``: the root joint, and the root mean square distance of the visible joints to it. As ``bbox``, but one far
      joint counts for less. Where no root joint is visible, the mean of the visible joints takes its place.
    * ``image``: centre of the given box, and its longer side: the network's square crop, so that the crop's edges are
      at -0.5 and 0.5. Off-centre, large and small people are unlike others.

    Args:
        y (Tensor): (N, K, 2). Of invisible joints it may hold anything, NaN too.
        v (Tensor): (N, K), above 0 where a joint is visible.
        mode (str): 'bbox', 'root' or 'image'.
        boxes (Tensor, optional): (N, 4), x1, y1, x2, y2; for ``image`` alone.
        root (int | Sequence[int], optional): For ``root`` alone: index of the joint, or of several whose middle it is
            (the hips, of a joint set without pelvis).

    Returns:
        tuple[Tensor, Tensor, Tensor]: Normalised poses (N, K, 2) with 0 for invisible joints, scale (N, 1, 1) and
        centre (N, 1, 2) in pixels. Degenerate poses (no visible joint, or all in one place; a box without area) have a
        scale of 1, and without a visible joint a centre of 0 where the joints make it.

    Raises:
        ValueError: Unknown mode, shapes that do not fit, or ``boxes`` or ``root`` missing or out of range.
    """
    if y.ndim != 3 or y.shape[2] != 2 or v.shape != y.shape[:2]:
        raise ValueError(f'poses {tuple(y.shape)} and visibility {tuple(v.shape)} must be (N, K, 2) and (N, K)')
    points, seen = joints_first(y, v)
    normalized, scale, centre = normalize_joints_first(points, seen, mode, boxes, root)
    return normalized.permute(2, 0, 1), scale[:, None, None], centre.t()[:, None]


def joints_first(y: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Poses (N, K, 2) and visibility (N, K) as (K, 2, N) and (K, 1, N) bool.

    What is done joint by joint then runs along contiguous memory, several times as fast on a CPU.
    """
    return y.permute(1, 2, 0).contiguous(), v.t().contiguous()[:, None] > 0


def normalize_joints_first(
    points: Tensor,
    seen: Tensor,
    mode: str = 'bbox',
    boxes: Tensor | None = None,
    root: int | Sequence[int] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`normalize_pose2d` in the layout of :func:`joints_first`: gives (K, 2, N), scale (N,) and centre (2, N)."""
    _check(points, mode, boxes, root)
    if mode == 'image':
        corners = boxes.to(points).t()
        centre, scale = (corners[:2] + corners[2:]) / 2, (corners[2:] - corners[:2]).amax(0)
    elif mode == 'root':
        centre, scale = _about_root(points, seen, [root] if isinstance(root, int) else list(root))
    else:
        low, high = torch.where(seen, points, torch.inf).amin(0), torch.where(seen, points, -torch.inf).amax(0)
        # without a visible joint low is inf and high -inf
        centre, scale = torch.where(low <= high, (low + high) / 2, 0.0), (high - low).amax(0)
    scale = torch.where(scale > MIN_EXTENT, scale, 1.0)
    return torch.where(seen, (points - centre) / scale, 0.0), scale, centre


def _about_root(points: Tensor, seen: Tensor, root: list[int]) -> tuple[Tensor, Tensor]:
    is_root = torch.zeros_like(seen)
    is_root[root] = True
    is_root &= seen
    weight = torch.where(is_root.any(0), is_root, seen).to(points)
    points = torch.where(seen, points, 0.0)
    centre = (weight * points).sum(0) / weight.sum(0).clamp(min=1)
    squares = torch.where(seen, (points - centre).square(), 0.0).sum((0, 1))
    return centre, (squares / seen.sum((0, 1)).clamp(min=1)).sqrt()


def _check(points: Tensor, mode: str, boxes: Tensor | None, root: int | Sequence[int] | None) -> None:
    joints, count = points.shape[0], points.shape[2]
    if mode not in NORM_MODES:
        raise ValueError(f'normalisation {mode!r} is unknown, expected one of {", ".join(NORM_MODES)}')
    if mode == 'image' and (boxes is None or boxes.shape != (count, 4)):
        got = 'none' if boxes is None else tuple(boxes.shape)
        raise ValueError(f"normalisation 'image' needs the boxes ({count}, 4) that the crops are made from, got {got}")
    if mode == 'root':
        roots = [root] if isinstance(root, int) else list(root or ())
        if not roots or any(not 0 <= joint < joints for joint in roots):
            raise ValueError(
                f"normalisation 'root' needs the index of the root joint, or several, in 0 to {joints - 1}, "
                f'got root={root!r}'
            )
