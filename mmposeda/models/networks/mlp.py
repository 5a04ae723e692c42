"""Linear layers in a row, and latents within a range."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmposeda.structures.kinematics import at_least_float32

from .stacked import StackedLinear


def mlp(widths: Sequence[int], slope: float = 0.0) -> nn.Sequential:
    """Linear layers of ``widths`` [in, hidden, ..., out]; ReLUs between, leaky with a ``slope``, and none at the end.

    Raises:
        ValueError: Fewer than two widths, or one below 1.
    """
    widths = tuple(widths)
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f'widths of linear layers must be two at least, from 1 on, got {widths}')
    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths[:-2], widths[1:-1]):
        layers += [he_init(nn.Linear(inputs, outputs), slope), nn.LeakyReLU(slope) if slope else nn.ReLU()]
    return nn.Sequential(*layers, he_init(nn.Linear(*widths[-2:])))


@torch.no_grad()
def he_init(layer: nn.Module, slope: float | None = None) -> nn.Module:
    """Draw weights that keep the size of activations, with a ReLU of ``slope`` after the layer, or None after it.

    The layer is linear, a convolution, or a :class:`StackedLinear`.

    PyTorch's own make them 2.4 times smaller a layer, so that after ten layers nothing of the input is left.
    """
    gain = 1.0 if slope is None else math.sqrt(2 / (1 + slope**2))
    inputs = layer.weight.shape[-1] if isinstance(layer, StackedLinear) else layer.weight[0].numel()
    layer.weight.normal_(0, gain / math.sqrt(inputs))
    layer.bias.zero_()
    return layer


def bounded(x: Tensor, scale: float) -> Tensor:
    """``scale * tanh(x / scale)``, in float32 at least: near 0 as it is, and within [-scale, scale]."""
    return scale * torch.tanh(at_least_float32(x) / scale)


def check_scale(scale: float) -> float:
    """The scale of a latent, if it is one.

    Raises:
        ValueError: It is not above 0.
    """
    if not scale > 0:
        raise ValueError(f'scale must be above 0, latents are within [-scale, scale]; got {scale}')
    return scale


def check_last(x: Tensor, width: int, what: str) -> None:
    """Refuse a tensor whose last dimension is not ``width``.

    Raises:
        ValueError: It is not; ``what`` says what was expected.
    """
    if not x.ndim or x.shape[-1] != width:
        raise ValueError(f'expected {what} (..., {width}), got {tuple(x.shape)}')
