"""Which pseudo-labels to trust, and hiding a trusted joint from the student."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.dist import all_gather, get_world_size
from torch import Tensor

SCOPES = ('batch', 'joint')


@torch.no_grad()
def select_confident(confidence: Tensor, mask_ratio: float, scope: str, gathered: bool = False) -> Tensor:
    """Keep the most confident share of pseudo-labels.

    The threshold is the ``floor(mask_ratio * N)``-th smallest of N confidences, and what lies above it is kept (UDAPE
    code). It is taken over the batches of all processes, so that every rank uses the same one.

    Args:
        confidence (Tensor): (B, K).
        mask_ratio (float): Share to throw away, in [0, 1).
        scope (str): 'batch' pools all joints (UDAPE); 'joint' takes each joint's own share, so that wrists and ankles,
            whose peaks are lower than a head's, are not left out.
        gathered (bool): ``confidence`` is that of all processes already.

    Returns:
        Tensor: Boolean (B, K).
    """
    pool = confidence.float()
    if get_world_size() > 1 and not gathered:
        pool = torch.cat(all_gather(pool))
    if scope == 'batch':
        pool = pool.reshape(-1, 1)
    drop = int(mask_ratio * len(pool))
    if drop == 0:
        return torch.ones_like(confidence, dtype=torch.bool)
    return confidence.float() > pool.kthvalue(drop, 0).values


@torch.no_grad()
def collapse_signs(
    points: Tensor, width: float, pairs: Sequence[tuple[int, int]], radius: float, keep: Tensor | None = None
) -> dict[str, Tensor]:
    """Numbers that tell whether pseudo-labels say anything, for :class:`~mmposeda.engine.hooks.CollapseWarningHook`.

    Args:
        points (Tensor): Pseudo-labels of a batch in one frame, (B, K, 2).
        width (float): Of the picture, in the unit of ``points``.
        pairs (sequence): Left and right joints.
        radius (float): Distance up to which a pair counts as merged, in the unit of ``points``.
        keep (Tensor, optional): Which of them count, boolean (B, K); a pair does if both do. All by default.

    Returns:
        dict[str, Tensor]: ``spread``, the standard deviation of a joint's place over the batch, mean over axes and the
        joints that have one, in widths (0 in a batch of one), and, where there are pairs, ``merged``, the share of
        merged ones (0 where no pair counts).
    """
    weight = (torch.ones_like(points[..., 0]) if keep is None else keep.to(points.dtype))[..., None]
    number = weight.sum(0)
    centre = (weight * points).sum(0) / number.clamp_min(1)
    deviation = ((weight * (points - centre) ** 2).sum(0) / number.clamp_min(1)).sqrt()
    there = (number > 0).float()
    signs = dict(spread=(there * deviation).sum() / (2 * there.sum()).clamp_min(1) / width)
    if pairs:
        left, right = torch.tensor(pairs, device=points.device).T
        both = weight[:, left, 0] * weight[:, right, 0]
        merged = (points[:, left] - points[:, right]).norm(dim=-1) <= radius
        signs['merged'] = (both * merged).sum() / both.sum().clamp_min(1)
    return signs


@torch.no_grad()
def occlude_joint(images: Tensor, points: Tensor, allowed: Tensor, probability: float, radius: int) -> Tensor:
    """Paste a patch from elsewhere in the same picture over one trusted joint (adaptive occlusion, UDAPE).

    Args:
        images (Tensor): Student views, (B, 3, h, w).
        points (Tensor): Joints in those views, pixels, (B, K, 2).
        allowed (Tensor): Joints to choose from, boolean (B, K). Pictures without any stay as they are.
        probability (float): Chance that a picture with such a joint is touched.
        radius (int): The patch reaches this many pixels from the joint's pixel.

    Returns:
        Tensor: New pictures (B, 3, h, w).
    """
    batch, _, height, width = images.shape
    like = dict(device=images.device)
    draw = torch.rand(points.shape[:2], **like).masked_fill(~allowed, -1.0)
    best, chosen = draw.max(1)
    touched = (best >= 0) & (torch.rand(batch, **like) < probability)
    centre = points[torch.arange(batch, **like), chosen].round()
    masks, indices = [], []
    for axis, length in ((1, height), (0, width)):
        offset = torch.arange(length, **like) - centre[:, axis, None]
        room = max(length - 2 * radius, 1)
        origin = (torch.rand(batch, 1, **like) * room).floor() + radius
        masks.append(offset.abs() <= radius)
        indices.append((origin + offset).clamp(0, length - 1).long())
    mask = masks[0][:, None, :, None] & masks[1][:, None, None, :] & touched[:, None, None, None]
    rows = torch.arange(batch, **like)[:, None, None]
    moved = images.permute(0, 2, 3, 1)[rows, indices[0][:, :, None], indices[1][:, None, :]]
    return torch.where(mask, moved.permute(0, 3, 1, 2), images)
