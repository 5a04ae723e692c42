"""Layers that leave values alone and change gradients."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class _Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return ctx.factor * gradient, None


class GradientScale(nn.Module):
    """Identity whose gradient is multiplied by ``coefficient`` (RegDA code, ``gl.py``: not a reversal).

    Args:
        coefficient (float): A plain attribute: it does not move by itself. ``ScheduleHook`` moves it, by the run's
            iteration alone, where the reference counts its own calls and starts anew after a resume.
    """

    def __init__(self, coefficient: float = 1.0) -> None:
        super().__init__()
        self.coefficient = coefficient

    def forward(self, x: Tensor) -> Tensor:
        """The same values, of any shape."""
        return _Scale.apply(x, self.coefficient)

    def extra_repr(self) -> str:
        """The coefficient."""
        return f'coefficient={self.coefficient}'


class GradientReverse(GradientScale):
    """Identity whose gradient is multiplied by ``-coefficient`` (Ganin and Lempitsky, ICML 2015, section 3)."""

    def forward(self, x: Tensor) -> Tensor:
        """The same values, of any shape."""
        return _Scale.apply(x, -self.coefficient)
