"""Brightness, contrast and saturation of the published source augmentation."""

from __future__ import annotations

import mmcv
import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmposeda.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ColorJitter(BaseTransform):
    """Multiplies brightness, contrast and saturation by factors from U(1 - x, 1 + x), in random order.

    What RegDA and UDAPE do to source pictures (x = 0.25 each). MMPose's ``PhotometricDistortion`` is wider, turns hues
    and swaps colour channels.

    Required keys: img (H, W, 3), uint8 BGR. Modified keys: img.

    Args:
        brightness (float): Largest deviation of the factor from 1, in [0, 1]; likewise the others.
        contrast (float): Pulls towards the picture's mean grey.
        saturation (float): Pulls towards each pixel's grey.

    Raises:
        ValueError: A value outside [0, 1].
    """

    def __init__(self, brightness: float = 0.25, contrast: float = 0.25, saturation: float = 0.25) -> None:
        self.ranges = dict(brightness=brightness, contrast=contrast, saturation=saturation)
        for name, value in self.ranges.items():
            if not 0 <= value <= 1:
                raise ValueError(f'{name} must lie in [0, 1], got {value}')

    def transform(self, results: dict) -> dict:
        """Change the picture's colours."""
        adjust = (mmcv.adjust_brightness, mmcv.adjust_contrast, mmcv.adjust_color)
        factors = 1 + torch.tensor(list(self.ranges.values())) * (2 * torch.rand(3) - 1)
        for i in torch.randperm(3).tolist():
            results['img'] = adjust[i](results['img'], float(factors[i])).astype(np.uint8)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}({", ".join(f"{k}={v}" for k, v in self.ranges.items())})'
