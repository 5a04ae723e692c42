"""Blur of the published augmentation."""

from __future__ import annotations

import cv2
import torch
from mmcv.transforms import BaseTransform

from mmposeda.registry import TRANSFORMS


@TRANSFORMS.register_module()
class GaussianBlur(BaseTransform):
    """Blurs the picture by a Gaussian of random width.

    What RegDA does to the pictures of both domains, after colours (U(0, 0.8)).

    Required keys: img (H, W, 3). Modified keys: img.

    Args:
        sigma (tuple[float, float]): Range of the standard deviation, pixels.

    Raises:
        ValueError: The range is empty or negative.
    """

    def __init__(self, sigma: tuple[float, float] = (0.0, 0.8)) -> None:
        self.sigma = tuple(sigma)
        if len(self.sigma) != 2 or not 0 <= self.sigma[0] <= self.sigma[1]:
            raise ValueError(f'sigma must be a range (low, high) with 0 <= low <= high, got {sigma}')

    def transform(self, results: dict) -> dict:
        """Blur the picture."""
        low, high = self.sigma
        sigma = low + (high - low) * float(torch.rand(()))
        if sigma > 0:
            results['img'] = cv2.GaussianBlur(results['img'], (0, 0), sigma)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(sigma={self.sigma})'
