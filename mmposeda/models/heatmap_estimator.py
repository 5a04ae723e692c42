"""What methods on heatmaps need to know of a wrapped estimator."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mmposeda.structures.warp import warp

from .modes import evaluating


class HeatmapLayout(NamedTuple):
    """How an estimator's heatmaps lie over its input.

    Attributes:
        input_size: (w, h), pixels.
        size: (W, H), cells.
        scale_factor: Input pixels a cell along x and y: cell p stands for pixel ``p * scale_factor``.
        sigma: Deviation of the codec's Gaussians, cells.
        num_joints: K.
    """

    input_size: tuple[int, int]
    size: tuple[int, int]
    scale_factor: tuple[float, float]
    sigma: float
    num_joints: int


def predict_heatmaps(estimator: nn.Module, images: Tensor) -> Tensor:
    """Raw heatmaps (B, K, H, W) of normalised pictures (B, 3, h, w)."""
    return estimator.head(estimator.extract_feat(images))


def predict_mirrored(
    estimator: nn.Module, images: Tensor, layout: HeatmapLayout, pairs: list[tuple[int, int]]
) -> Tensor:
    """Raw heatmaps (B, K, H, W) of the mirror images, brought back to the pictures themselves.

    Args:
        estimator (nn.Module): See :func:`heatmap_layout`.
        images (Tensor): Normalised pictures, (B, 3, h, w).
        layout (HeatmapLayout): Of the estimator.
        pairs (list): Indices of joints that are each other's mirror image.
    """
    heatmaps = predict_heatmaps(estimator, images.flip(-1))
    order = list(range(layout.num_joints))
    for left, right in pairs:
        order[left], order[right] = right, left
    # Cells stand for pixels by a factor, so mirroring the map alone would be off by a part of a cell.
    mirror = torch.eye(3, device=heatmaps.device).repeat(len(heatmaps), 1, 1)
    mirror[:, 0, 0] = -1
    mirror[:, 0, 2] = (layout.input_size[0] - 1) / layout.scale_factor[0]
    return warp(heatmaps[:, order], mirror)


@torch.no_grad()
def heatmap_layout(estimator: nn.Module, needed_by: str) -> HeatmapLayout:
    """Read the layout off the head's codec and check it with one forward pass of an empty picture.

    Raises:
        TypeError: The head has no codec of heatmaps, or its output is not one map a joint.
        ValueError: The head's output is not of the codec's size.
    """
    head = getattr(estimator, 'head', None)
    codec = getattr(head, 'decoder', None)
    refusal = (
        f'{needed_by} compares heatmaps and so needs a head that gives one (B, K, H, W) tensor and a heatmap codec in '
        f'head.decoder, such as HeatmapHead with MSRAHeatmap; got {type(head).__name__} with '
        f'{type(codec).__name__}. Give the estimator such a head, or take SourceOnly, which serves any head.'
    )
    if not (hasattr(codec, 'heatmap_size') and hasattr(codec, 'sigma')):
        raise TypeError(refusal)
    with evaluating(estimator):
        width, height = codec.input_size
        parameter = next(estimator.parameters())
        out = predict_heatmaps(estimator, parameter.new_zeros(1, 3, height, width))
    if not (isinstance(out, Tensor) and out.ndim == 4):
        raise TypeError(refusal)
    if tuple(out.shape[:1:-1]) != tuple(codec.heatmap_size):
        raise ValueError(
            f'The head gives maps of {tuple(out.shape[:1:-1])} (w, h) for an input of {tuple(codec.input_size)}, its '
            f'codec says heatmap_size={tuple(codec.heatmap_size)}: make the two agree in the config.'
        )
    return HeatmapLayout(
        tuple(codec.input_size),
        tuple(codec.heatmap_size),
        tuple(float(s) for s in codec.scale_factor),
        float(np.mean(codec.sigma)),
        out.shape[1],
    )
