"""Keypoints on corner-aligned grids, and pictures or features moved by them.

Legend: B pictures, C channels, K points, R regions, sizes (w, h) in pixels, maps (h, w).

A place on the grid is (x, y) in [-1, 1]: -1 is the centre of the first pixel, 1 that of the last, which PyTorch calls
``align_corners=True``. Everything here keeps to it; half a pixel lost in one call would make the identity blur. Points
of heatmaps must become pixels of the *picture* first (cell times stride): ``2 * cell / 63 - 1`` and
``2 * (4 * cell) / 255 - 1`` differ by up to 3 of 256 pixels. The other frames of the package, in
:mod:`~mmposeda.structures.warp`, are pixels.

A displacement field is *backward*: it says at every place of the new picture how far from there the old one is looked
up. Where the field is (-a, 0) the content moves by (a, 0).

Geometry is computed in float32 at least, under automatic mixed precision too.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .heatmap import heatmap_argmax
from .kinematics import at_least_float32

#: Of the Gaussians of the first-order motion model's code, in grid units: a deviation of 0.1, 3.15 of 64 pixels.
VARIANCE = 0.01
#: Peaks below it do not sharpen the soft argmax further, so that an empty map gives the middle and not noise.
MIN_PEAK = 1e-3


def _coordinates(length: int, like: Tensor) -> Tensor:
    """Places of a row of pixels, (length,). The middle for a single one."""
    index = torch.arange(length, device=like.device, dtype=like.dtype)
    return (2 * index - (length - 1)) / max(length - 1, 1)


def identity_grid(size: tuple[int, int], like: Tensor) -> Tensor:
    """Places of all pixels of a picture of size (w, h), on the device and of the type of ``like``: (h, w, 2)."""
    rows, columns = torch.meshgrid(_coordinates(size[1], like), _coordinates(size[0], like), indexing='ij')
    return torch.stack([columns, rows], -1)


def pixels_to_grid(points: Tensor, size: tuple[int, int]) -> Tensor:
    """Places of points (..., 2) in pixels of a picture of size (w, h); the centre of its first pixel is (0, 0)."""
    points = at_least_float32(points)
    return points * points.new_tensor([2 / max(side - 1, 1) for side in size]) - 1


def grid_to_pixels(points: Tensor, size: tuple[int, int]) -> Tensor:
    """The inverse of :func:`pixels_to_grid`."""
    points = at_least_float32(points)
    return (points + 1) * points.new_tensor([(side - 1) / 2 for side in size])


def gaussian_maps(points: Tensor, size: tuple[int, int], variance: float = VARIANCE) -> Tensor:
    """Maps ``exp(-|z - p|^2 / (2 variance))`` over the places z, of peak 1, as the product of one row and one column.

    Unlike :func:`~mmposeda.structures.heatmap.gaussian_heatmaps` they are on the grid and without a cut, so that the
    gradient reaches far points.

    Args:
        points (Tensor): (B, K, 2), on the grid; they may lie outside.
        size (tuple[int, int]): Of the maps, (w, h).
        variance (float): Grid units squared.

    Returns:
        Tensor: (B, K, h, w).
    """
    points = at_least_float32(points)
    row, column = (
        torch.exp((_coordinates(length, points) - points[..., axis, None]).square() / (-2 * variance))
        for axis, length in enumerate(size)
    )
    return column[..., :, None] * row[..., None, :]


def segment_maps(start: Tensor, end: Tensor, size: tuple[int, int], variance: float = VARIANCE) -> Tensor:
    """:func:`gaussian_maps` of the distance to a line segment: what a point's map is to a joint, this is to a bone.

    Args:
        start (Tensor): (B, K, 2), on the grid.
        end (Tensor): (B, K, 2), likewise. Both ends in one place give a point's map.
        size (tuple[int, int]): Of the maps, (w, h).
        variance (float): Grid units squared.

    Returns:
        Tensor: (B, K, h, w).
    """
    start, along = at_least_float32(start), at_least_float32(end) - at_least_float32(start)
    x = _coordinates(size[0], start) - start[..., :1]  # (B, K, w)
    y = _coordinates(size[1], start) - start[..., 1:]  # (B, K, h)
    projected = y[..., :, None] * along[..., 1:, None] + x[..., None, :] * along[..., :1, None]
    share = (projected / along.square().sum(-1).clamp_min(1e-8)[..., None, None]).clamp(0, 1)
    across = (x[..., None, :] - share * along[..., :1, None]).square()
    across = across + (y[..., :, None] - share * along[..., 1:, None]).square()
    return torch.exp(across / (-2 * variance))


def soft_argmax_weights(heatmaps: Tensor, temperature: float = 0.05, radius: float | None = None) -> Tensor:
    """Weights of the cells of each map, of sum 1, for :func:`soft_argmax`.

    Args:
        heatmaps (Tensor): (B, K, H, W).
        temperature (float): Share of the peak.
        radius (float, optional): Of a square window about the largest cell.

    Returns:
        Tensor: (B, K, H, W).
    """
    heatmaps = at_least_float32(heatmaps)
    peaks = heatmaps.detach().amax((-2, -1), keepdim=True).clamp_min(MIN_PEAK)
    scaled = heatmaps / (temperature * peaks)
    if radius is None:
        return scaled.flatten(2).softmax(-1).view_as(heatmaps)
    centre, _ = heatmap_argmax(heatmaps.detach())
    x, y = (
        (torch.arange(length, device=centre.device, dtype=centre.dtype) - centre[..., axis, None]).abs()
        for axis, length in enumerate(heatmaps.shape[:1:-1])
    )
    near = torch.maximum(x[..., None, :], y[..., :, None])
    # what the softmax gives to an empty cell is taken off; scaled by the largest, so that no power overflows
    raised = (torch.exp(scaled - 1 / temperature) - math.exp(-1 / temperature)).clamp_min(0) * (near <= radius)
    raised = raised + (near == 0) * torch.finfo(raised.dtype).tiny  # the cell itself where nothing is positive
    return raised / raised.sum((-2, -1), keepdim=True)


def expected_cells(weights: Tensor) -> Tensor:
    """Mean cell (x, y) of maps of sum 1, (B, K, H, W): (B, K, 2)."""
    row, column = weights.sum(-2), weights.sum(-1)
    like = dict(device=weights.device, dtype=weights.dtype)
    x = (row * torch.arange(row.shape[-1], **like)).sum(-1)
    return torch.stack([x, (column * torch.arange(column.shape[-1], **like)).sum(-1)], -1)


def soft_argmax(heatmaps: Tensor, temperature: float = 0.05, radius: float | None = None) -> Tensor:
    """Differentiable places of heatmaps' peaks (our choice).

    The mean cell under a softmax of ``heatmap / (temperature * peak)``, without a gradient through the peak: it does
    not change when a map is multiplied, where a fixed temperature draws low peaks to the middle.

    The low temperature that keeps a large empty map from drawing, too, also rounds: a Gaussian is read as one of
    ``sqrt(temperature)`` times its deviation. On whole cells it is exact, between them it errs by up to 0.05 cells for
    a deviation of 2 cells, and by 0.3 for one of 1. With a ``radius`` only the cells about the largest one count, and
    as much of them as stands out from an empty cell; a temperature of 0.2 and a radius of three deviations then err by
    0.001 and 0.04 cells, and by a fraction of the above under noise.

    Args:
        heatmaps (Tensor): (B, K, H, W).
        temperature (float): Share of the peak.
        radius (float, optional): Half the side of a window about the largest cell, cells; None takes the whole map.

    Returns:
        Tensor: Cells (x, y), (B, K, 2), as of :func:`~mmposeda.structures.heatmap.heatmap_argmax`.
    """
    return expected_cells(soft_argmax_weights(heatmaps, temperature, radius))


def sample(x: Tensor, places: Tensor) -> Tensor:
    """Bilinear samples of pictures or features, 0 outside.

    Args:
        x (Tensor): (B, C, h, w).
        places (Tensor): (B, h', w', 2), on the grid.

    Returns:
        Tensor: (B, C, h', w'), of the type of ``x``.
    """
    places = at_least_float32(places)
    out = F.grid_sample(x.to(places.dtype), places, mode='bilinear', padding_mode='zeros', align_corners=True)
    return out.to(x.dtype)


def sample_regions(x: Tensor, places: Tensor) -> Tensor:
    """One picture sampled at R grids: the grids are stacked into a tall one, and the picture is not repeated.

    Args:
        x (Tensor): (B, C, h, w).
        places (Tensor): (B, R, h', w', 2), on the grid.

    Returns:
        Tensor: (B, R, C, h', w').
    """
    regions, height = places.shape[1:3]
    return sample(x, places.flatten(1, 2)).unflatten(2, (regions, height)).transpose(1, 2)


def displaced_grids(displacements: Tensor, size: tuple[int, int]) -> Tensor:
    """Where regions that move as a whole look: the identity grid of size (w, h) plus (B, R, 2), (B, R, h, w, 2)."""
    displacements = at_least_float32(displacements)
    return identity_grid(size, displacements) + displacements[:, :, None, None]


def affine_grids(matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """Where regions look that are turned and stretched: (B, R, h, w, 2).

    Args:
        matrices (Tensor): (B, R, 2, 3), they take places of the new picture to places of the old one.
        size (tuple[int, int]): (w, h).
    """
    matrices = at_least_float32(matrices)
    x, y = _coordinates(size[0], matrices), _coordinates(size[1], matrices)
    matrices = matrices[:, :, None, None]
    return matrices[..., 0] * x[:, None] + matrices[..., 1] * y[:, None, None] + matrices[..., 2]


def bone_transforms(
    driving: Tensor, base: Tensor, parents: Tensor, children: Tensor, size: tuple[int, int], floor: float = 0.01
) -> Tensor:
    """Similarities that take each driving bone to the base bone (our choice).

    Args:
        driving (Tensor): Points (B, K, 2), on the grid.
        base (Tensor): Points (B, K, 2), on the grid.
        parents (Tensor): The joints that R bones begin in, (R,), integers.
        children (Tensor): The joints that they end in.
        size (tuple[int, int]): Of the picture, (w, h), in whose pixels angles are measured.
        floor (float): Of half the picture's longer side. A bone as short as this on the driving picture has no
            direction: one much shorter is only shifted, and a long one is mapped exactly but for a share of
            ``(floor / length)^2``.

    Returns:
        Tensor: (B, R, 2, 3), see :func:`affine_grids`.
    """
    longer = max(*size, 2) - 1
    square = at_least_float32(driving).new_tensor([max(side - 1, 1) / longer for side in size])
    ends = [(at_least_float32(p) * square).index_select(1, i) for p in (driving, base) for i in (parents, children)]
    (ax, ay), (bx, by) = ((ends[i + 1] - ends[i]).unbind(-1) for i in (0, 2))
    length = ax * ax + ay * ay + floor**2
    cos, sin = (bx * ax + by * ay + floor**2) / length, (by * ax - bx * ay) / length
    linear = torch.stack([cos, -sin, sin, cos], -1).unflatten(-1, (2, 2))
    middle, aim = (ends[0] + ends[1]) / 2, (ends[2] + ends[3]) / 2
    offset = aim - (linear * middle[..., None, :]).sum(-1)
    return torch.cat([linear * square / square[:, None], (offset / square)[..., None]], -1)


def dense_field(masks: Tensor, displacements: Tensor) -> Tensor:
    """Displacement of every place, the regions' mean weighted by their masks: linear in the displacements.

    Args:
        masks (Tensor): (B, R, h, w), of sum 1 over the regions.
        displacements (Tensor): (B, R, 2), grid units.

    Returns:
        Tensor: (B, h, w, 2).
    """
    masks, displacements = at_least_float32(masks), at_least_float32(displacements)
    with torch.autocast(masks.device.type, enabled=False):
        return torch.einsum('brhw,brc->bhwc', masks, displacements)


def dense_affine_field(masks: Tensor, matrices: Tensor) -> Tensor:
    """:func:`dense_field` of regions with matrices (B, R, 2, 3), see :func:`affine_grids`: (B, h, w, 2)."""
    masks, matrices = at_least_float32(masks), at_least_float32(matrices)
    with torch.autocast(masks.device.type, enabled=False):
        mixed = torch.einsum('brhw,brcj->bhwcj', masks, matrices)
    grid = identity_grid((masks.shape[3], masks.shape[2]), masks)
    return (mixed[..., :2] * grid[..., None, :]).sum(-1) + mixed[..., 2] - grid


def resize_field(field: Tensor, size: tuple[int, int]) -> Tensor:
    """A field (B, h, w, 2) on another number of pixels (w', h'), (B, h', w', 2); its grid units stay."""
    if field.shape[1:3] == (size[1], size[0]):
        return field
    return resize_map(field.permute(0, 3, 1, 2), size).permute(0, 2, 3, 1)


def resize_map(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (B, C, h, w) on another number of pixels (w', h'), bilinear and corner-aligned."""
    if x.shape[2:] == (size[1], size[0]):
        return x
    return F.interpolate(x, size=(size[1], size[0]), mode='bilinear', align_corners=True)


def warp_by_field(x: Tensor, field: Tensor) -> Tensor:
    """Pictures or features looked up where a field says, 0 outside.

    Args:
        x (Tensor): (B, C, h, w).
        field (Tensor): Displacements (B, h', w', 2), grid units; resized to (h, w) where the sizes differ.

    Returns:
        Tensor: (B, C, h, w).
    """
    size = (x.shape[3], x.shape[2])
    field = resize_field(at_least_float32(field), size)
    return sample(x, identity_grid(size, field) + field)
