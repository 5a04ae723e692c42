"""Smaller copies of pictures without aliasing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .kinematics import at_least_float32


def gaussian_subsample(x: Tensor, factor: int) -> Tensor:
    """Blur pictures and keep every ``factor``-th pixel, the first one included.

    The kernel is that of the first-order motion model's code: deviation ``(factor - 1) / 2`` pixels, cut at four
    deviations, 13 pixels wide for a factor of 4. Unlike there it is applied as a column and a row that only visit the
    pixels that are kept, and the border is continued, where the code's zeros darken it.

    Pixel j of the result is pixel ``factor * j`` of the picture. On corner-aligned grids the two differ in place by up
    to ``factor - 1`` pixels of the picture at the far edge.

    Args:
        x (Tensor): (B, C, h, w).
        factor (int): 1 gives the picture itself.

    Returns:
        Tensor: (B, C, ceil(h / factor), ceil(w / factor)), float32 at least.

    Raises:
        ValueError: The factor is no positive whole number.
    """
    if int(factor) != factor or factor < 1:
        raise ValueError(f'pictures are made smaller by a whole number, 1 or more, got {factor}')
    x = at_least_float32(x)
    if factor == 1:
        return x
    deviation = (factor - 1) / 2
    radius = round(4 * deviation)
    offsets = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(offsets.square() / (-2 * deviation**2))
    kernel = (kernel / kernel.sum()).view(1, 1, -1, 1)
    flat = x.flatten(0, 1)[:, None]
    with torch.autocast(x.device.type, enabled=False):  # half precision would show in a flat background
        flat = F.conv2d(F.pad(flat, (0, 0, radius, radius), mode='replicate'), kernel, stride=(factor, 1))
        flat = F.pad(flat, (radius, radius, 0, 0), mode='replicate')
        flat = F.conv2d(flat, kernel.transpose(2, 3), stride=(1, factor))
    return flat.unflatten(0, x.shape[:2])[:, :, 0]
