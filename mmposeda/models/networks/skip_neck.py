"""A neck that brings the coarse features back to a finer map."""

from __future__ import annotations

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmposeda.registry import MODELS


@MODELS.register_module()
class SkipNeck(BaseModule):
    """Sum of 1x1-projected feature maps on the finest one's grid (top-down path of FPN, Lin et al., CVPR 2017).

    The stride-32 map of a 128-pixel picture has 4x4 cells, too few for limbs that cross; the skips from strides 16
    and 8 keep their places.

    Args:
        in_channels (Sequence[int]): Channels of the feature maps, finest first.
        out_channels (int): Channels of the result.
        init_cfg (dict, optional): Initialisation of MMEngine's.
    """

    def __init__(self, in_channels, out_channels: int, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.lateral = nn.ModuleList([nn.Conv2d(channels, out_channels, 1) for channels in in_channels])
        self.fuse = nn.Sequential(
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor]:
        """Fuse the maps (B, C_i, h_i, w_i), finest first, into one (B, out_channels, h_0, w_0)."""
        out = self.lateral[-1](features[-1])
        for lateral, feature in zip(reversed(self.lateral[:-1]), reversed(features[:-1])):
            out = lateral(feature) + F.interpolate(out, size=feature.shape[-2:], mode='nearest')
        return (self.fuse(out),)
