"""A backbone's features as one vector a picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from mmposeda.registry import MODELS

MODES = ('spatial', 'pooled')


def cell_channels(dim: int, grid: tuple[int, int]) -> int:
    """Channels a cell where a vector of ``dim`` numbers is a map of ``grid`` (h, w) cells.

    Raises:
        ValueError: The vector cannot be cut so.
    """
    cells = grid[0] * grid[1]
    if dim % cells:
        raise ValueError(
            f'{dim} features cannot be laid out over {grid[0]} x {grid[1]} = {cells} cells: take a multiple of {cells}'
        )
    return dim // cells


@MODELS.register_module()
class FeatureNeck(BaseModule):
    """Turns the backbone's last feature map into a vector in (-1, 1), which a generator can imitate.

    'spatial': a 1x1 convolution to ``dim / cells`` channels, batch normalisation and tanh, flattened channel by
    channel: for 256 features of 8 x 8 cells, four channels. 'pooled': the mean over the cells, a linear layer, batch
    normalisation and tanh.

    Source: "Learning Causal Representation for Training Cross-Domain Pose Estimator via Generative Interventions"
    (Zhang et al., ICCV 2021) says that features are vectors of 256 numbers that generated ones stand in for. How a
    feature map becomes one it does not say: both ways are our choice, with the last layers of its generator.

    Legend: B pictures, d features.

    Args:
        in_channels (int | Sequence[int]): Of the backbone's last map, or of several last maps (the branches of HRNet),
            which are pooled to the grid and joined.
        dim (int): d.
        grid (tuple[int, int]): Cells (h, w) of the last map: 8 x 8 at 256 pixels and stride 32.
        mode (str): 'spatial' or 'pooled'.
        init_cfg (dict, optional): Initialisation of MMEngine's.

    Raises:
        ValueError: An unknown mode, features that cannot be laid out over the grid, or, when called, a map of another
            size.
    """

    def __init__(
        self,
        in_channels: int | Sequence[int],
        dim: int = 256,
        grid: tuple[int, int] = (8, 8),
        mode: str = 'spatial',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if mode not in MODES:
            raise ValueError(f'mode must be one of {MODES}, got {mode!r}')
        self.channels = (in_channels,) if isinstance(in_channels, int) else tuple(in_channels)
        self.grid, self.mode, self.dim = tuple(grid), mode, dim
        if mode == 'spatial':
            width = cell_channels(dim, self.grid)
            self.layers = nn.Sequential(
                nn.Conv2d(sum(self.channels), width, 1), nn.BatchNorm2d(width), nn.Tanh(), nn.Flatten()
            )
        else:
            self.layers = nn.Sequential(
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Linear(sum(self.channels), dim),
                nn.BatchNorm1d(dim),
                nn.Tanh(),
            )

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor]:
        """The vector (B, d), as the only entry of a tuple, of the backbone's maps (B, C, h, w)."""
        maps = feats[-len(self.channels) :]
        got = tuple(x.shape[1] for x in maps)
        if got != self.channels:
            raise ValueError(f'the neck was built for maps of {self.channels} channels, the backbone gives {got}')
        if self.mode == 'spatial' and tuple(maps[-1].shape[2:]) != self.grid:
            raise ValueError(
                f'the last feature map has {maps[-1].shape[2]} x {maps[-1].shape[3]} cells, the neck was built for '
                f'{self.grid[0]} x {self.grid[1]}: set grid of neck and head to the size of the input over the stride'
            )
        if len(maps) > 1:
            maps = [functional.adaptive_avg_pool2d(x, maps[-1].shape[2:]) for x in maps]
        return (self.layers(torch.cat(list(maps), 1)),)
