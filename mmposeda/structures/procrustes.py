"""Similarity alignment of many poses at once (Procrustes analysis).

Legend: N poses of any batch shape (...), K points, D dimensions. NumPy arrays or torch tensors, of any device; the same
kind is given back. All arithmetic is in float64.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

#: Spread of a pose, as a share of its distance from the origin, below which its points count as one (our choice).
MIN_SPREAD = 1e-12


class Similarity(NamedTuple):
    """``scale * point @ rotation.mT + translation``, float64.

    Attributes:
        scale: (...), not negative.
        rotation: (..., D, D), determinant +1.
        translation: (..., D), in the unit of the target.
    """

    scale: Any
    rotation: Any
    translation: Any

    def apply(self, points: Any) -> Any:
        """Move points (..., K, D)."""
        turned = points @ self.rotation.swapaxes(-1, -2)
        return self.scale[..., None, None] * turned + self.translation[..., None, :]


def similarity_transform(source: Any, target: Any, weights: Any = None, scaling: bool = True) -> Similarity:
    """Find the similarity that brings each source pose closest to its target, in the least squares sense.

    The solution of Umeyama (1991) by a singular value decomposition: a mirror image is never aligned, the sign of the
    last singular vector is turned where the best orthogonal matrix would be a reflection.

    A source whose points are all one has no orientation and no size: the identity rotation with scale 1, moved onto the
    target's centre. A target whose points are all one pulls the source together onto it (scale 0). A pose with a
    coordinate that is not finite gives NaN and leaves the others alone.

    Args:
        source: (..., K, D), any unit.
        target: (..., K, D).
        weights: (..., K) >= 0, points with 0 do not count and may hold anything; all 1 by default. Without any weight
            the identity is given.
        scaling: False keeps the size (rigid alignment).

    Raises:
        ValueError: shapes that do not fit.
    """
    given_numpy = not isinstance(source, Tensor)
    source, target = (torch.as_tensor(points).double() for points in (source, target))
    target = target.to(source.device)
    if source.shape != target.shape or source.ndim < 2:
        raise ValueError(
            f'source {tuple(source.shape)} and target {tuple(target.shape)} must have one shape (..., K, D)'
        )
    if weights is None:
        share = 1.0 / max(source.shape[-2], 1)
    else:
        weights = torch.as_tensor(weights).to(source)
        if weights.shape != source.shape[:-1]:
            raise ValueError(f'weights {tuple(weights.shape)} do not fit poses {tuple(source.shape)}')
        counts = (weights > 0)[..., None]
        source, target = torch.where(counts, source, 0.0), torch.where(counts, target, 0.0)
        total = weights.sum(-1, keepdim=True)
        share = (weights / torch.where(total > 0, total, 1.0))[..., None]
    found = _solve(source, target, share, scaling)
    return Similarity(*(part.numpy() for part in found)) if given_numpy else found


def similarity_align(source: Any, target: Any, weights: Any = None, scaling: bool = True) -> Any:
    """Source poses after :func:`similarity_transform`, (..., K, D) in the source's kind and float type."""
    found = similarity_transform(source, target, weights, scaling)
    if isinstance(source, Tensor):
        return found.apply(source.double()).to(source.dtype if source.is_floating_point() else torch.float64)
    moved = found.apply(torch.as_tensor(source).double().numpy())
    return moved.astype(source.dtype if source.dtype.kind == 'f' else moved.dtype)


def _solve(source: Tensor, target: Tensor, share: Tensor | float, scaling: bool) -> Similarity:
    centres = [(share * points).sum(-2) for points in (source, target)]
    moved, aim = (points - centre[..., None, :] for points, centre in zip((source, target), centres))
    scaled = share * moved
    product, spread = aim.mT @ scaled, (scaled * moved).sum((-2, -1))
    # a decomposition fails for the whole batch if one number in it is not finite
    sound = product.isfinite().all(-1).all(-1) & spread.isfinite()
    product = torch.where(sound[..., None, None], product, 0.0)
    empty = spread <= MIN_SPREAD**2 * (spread + centres[0].square().sum(-1))
    u, s, vt = torch.linalg.svd(product)
    sign = torch.ones_like(s)
    sign[..., -1] = torch.linalg.det(u @ vt).sign()
    rotation = (u * sign[..., None, :]) @ vt
    rotation = torch.where(empty[..., None, None], torch.eye(source.shape[-1]).to(rotation), rotation)
    scale = torch.ones_like(spread)
    if scaling:
        scale = torch.where(empty, 1.0, (s * sign).sum(-1).clamp(min=0) / torch.where(empty, 1.0, spread))
    scale = torch.where(sound, scale, torch.nan)
    rotation = torch.where(sound[..., None, None], rotation, torch.nan)
    turned = (rotation @ centres[0][..., None])[..., 0]
    return Similarity(scale, rotation, centres[1] - scale[..., None] * turned)
