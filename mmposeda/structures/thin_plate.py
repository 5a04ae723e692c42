"""Smooth deformations of pictures by thin-plate splines (Bookstein, TPAMI 1989).

Legend: B pictures, P control points, sizes (w, h) in pixels.

Places and fields are those of :mod:`~mmposeda.structures.keypoint_grid`: corner-aligned in [-1, 1], and a field says at
every place of the new picture how far from there the old one is looked up.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from .keypoint_grid import affine_grids, identity_grid
from .kinematics import at_least_float32
from .warp import AffineRange, invert, sample_affine, transform_points


def _bending(distance: Tensor) -> Tensor:
    """The spline's kernel, ``r^2 log r``."""
    return distance.square() * distance.clamp_min(torch.finfo(distance.dtype).tiny).log()


def thin_plate_weights(points: Tensor, size: tuple[int, int]) -> Tensor:
    """Shares of values at control points in the spline through them, at every place: values (P, D) become a map.

    The spline bends least among all that have these values. At a control point its own share is 1 and all others are
    0; values that are an affine function of the place are continued as that function, beyond the points too.

    Solved in double precision on the CPU: keep the result where points do not change. No gradient reaches the points.

    Args:
        points (Tensor): (P, 2), places of the grid, at least three that are not on a line, no two alike.
        size (tuple[int, int]): Of the map, (w, h). Distances are measured in its pixels.

    Returns:
        Tensor: (h, w, P), float32 at least, on the device of ``points``.

    Raises:
        ValueError: the points do not fix a spline.
    """
    if points.dim() != 2 or points.shape[1] != 2:
        raise ValueError(f'control points must be (P, 2), got {tuple(points.shape)}')
    longer = max(*size, 2) - 1
    square = torch.tensor([max(side - 1, 1) / longer for side in size], dtype=torch.float64)
    exact = points.detach().to('cpu', torch.float64) * square
    places = identity_grid(size, exact).flatten(0, 1) * square
    count = len(exact)
    bent = _bending(torch.cdist(exact, exact, compute_mode='donot_use_mm_for_euclid_dist'))
    flat = torch.cat([torch.ones(count, 1, dtype=torch.float64), exact], 1)
    system = torch.zeros(count + 3, count + 3, dtype=torch.float64)
    system[:count, :count], system[:count, count:], system[count:, :count] = bent, flat, flat.T
    # of columns that nearly repeat each other no singular value is exactly 0
    if count < 3 or torch.linalg.matrix_rank(system) < count + 3:
        raise ValueError(
            f'{count} control points {exact[:4].tolist()}... do not fix a thin-plate spline: it takes three that are '
            'not on a line, and no two in one place'
        )
    coefficients = torch.linalg.solve(system, torch.eye(count + 3, count, dtype=torch.float64))
    bases = [_bending(torch.cdist(places, exact, compute_mode='donot_use_mm_for_euclid_dist')), places]
    bases.insert(1, torch.ones(len(places), 1, dtype=torch.float64))
    weights = (torch.cat(bases, 1) @ coefficients).view(size[1], size[0], count)
    return weights.to(points.device, torch.promote_types(points.dtype, torch.float32))


def thin_plate_field(points: Tensor, displacements: Tensor, size: tuple[int, int]) -> Tensor:
    """The smoothest field with given displacements at control points.

    Args:
        points (Tensor): (P, 2), places of the new picture, common to all; see :func:`thin_plate_weights`.
        displacements (Tensor): (B, P, 2), grid units: where the old picture is looked up less the point's own place.
        size (tuple[int, int]): Of the field, (w, h).

    Returns:
        Tensor: (B, h, w, 2), for :func:`~mmposeda.structures.keypoint_grid.warp_by_field`. It follows the
        displacements' gradient.
    """
    return _mixed(thin_plate_weights(points, size), displacements)


def _mixed(weights: Tensor, values: Tensor) -> Tensor:
    values = at_least_float32(values)
    with torch.autocast(values.device.type, enabled=False):
        return torch.einsum('hwp,bpc->bhwc', weights.to(values.dtype), values)


@lru_cache(maxsize=8)
def _lattice_weights(points: int, size: tuple[int, int], device: str) -> Tensor:
    lattice = identity_grid((points, points), torch.zeros(())).flatten(0, 1)
    return thin_plate_weights(lattice, size).to(device)


def random_deformation(
    count: int,
    size: tuple[int, int],
    device: torch.device | str = 'cpu',
    rotation: float = 20.0,
    scale: tuple[float, float] = (0.85, 1.15),
    translation: float = 0.1,
    local: float = 0.03,
    points: int = 5,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Random fields that turn, scale and shift a picture as a whole, and bend it smoothly here and there.

    The ranges are our choice. With the defaults no draw folds a square picture.

    Args:
        count (int): B.
        size (tuple[int, int]): Of the picture, (w, h).
        device (torch.device | str): Where fields are made.
        rotation (float): Largest turn, degrees, drawn from U(-rotation, rotation).
        scale (tuple[float, float]): Smallest and largest factor.
        translation (float): Largest shift, fraction of the side, drawn likewise for x and y.
        local (float): Largest displacement of a control point along x and y, fraction of the side.
        points (int): Control points along each side, on a regular lattice over the picture.
        generator (torch.Generator, optional): Of that device; the global one by default.

    Returns:
        Tensor: (count, h, w, 2), float32.

    Raises:
        ValueError: ranges that are none.
    """
    if local < 0 or points < 2:
        raise ValueError(f'local must be >= 0 and points >= 2, got local={local}, points={points}')
    ranges = AffineRange(rotation=rotation, translation=translation, scale=tuple(scale))
    looked_up = invert(sample_affine(count, size, ranges, device, generator))
    middle = looked_up.new_tensor([(side - 1) / 2 for side in size])
    to_grid = 1 / middle.clamp_min(0.5)
    linear = looked_up[:, :2, :2] * to_grid[:, None] / to_grid
    offset = (transform_points(middle[None, None], looked_up)[:, 0] - middle) * to_grid
    matrices = torch.cat([linear, offset[..., None]], -1)
    field = affine_grids(matrices[:, None], size)[:, 0] - identity_grid(size, matrices)
    drawn = torch.rand(count, points * points, 2, device=device, generator=generator) * 2 - 1
    return field + _mixed(_lattice_weights(points, tuple(size), str(field.device)), drawn * (2 * local))
