"""Several networks of one shape, run as one: a product a layer instead of one each."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class StackedLinear(nn.Module):
    """G linear layers side by side, each with its own input, initialised as ``nn.Linear`` is.

    Features come before the batch, so that batch normalisation of all G layers is that of one batch of G * C channels:
    ``norm(x.view(1, G * C, B))`` with ``nn.BatchNorm1d(G * C)``.

    Args:
        groups (int): G.
        in_features (int), out_features (int): Widths.

    Attributes:
        weight (Tensor): (G, out, in).
        bias (Tensor): (G, out).

    Shape:
        (G, in, B) to (G, out, B).
    """

    def __init__(self, groups: int, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(groups, out_features, in_features))
        self.bias = nn.Parameter(torch.empty(groups, out_features))
        bound = 1 / math.sqrt(in_features)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Each layer on its input."""
        return torch.baddbmm(self.bias[..., None], self.weight, x)

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        groups, out_features, in_features = self.weight.shape
        return f'groups={groups}, in_features={in_features}, out_features={out_features}'
