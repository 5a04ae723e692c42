"""Random views of a batch, made on its device with one resampling each."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmposeda.structures.warp import AffineRange, compose, sample_affine, sample_crop, warp

_LUMA = (0.299, 0.587, 0.114)


class Views(NamedTuple):
    """Views of one batch: pictures (B, 3, h, w) and base-to-view matrices (B, 3, 3)."""

    images: Tensor
    matrices: Tensor


class ViewGenerator(nn.Module):
    """Affine and colour augmentation of normalised pictures.

    The published ranges for bodies are the defaults (UDAPE code; hands turn by 180 degrees): rotation 60 degrees, shear
    30, shift 5 %, scale 0.6 to 1.3, crop area 0.6 to 1, brightness, contrast and saturation 0.25. The base frame of a
    batch is a random crop that all its views share; a view's matrix maps the base frame to the view, and the pixels
    come from the uncropped picture in a single bilinear pass.

    Args:
        rotation (float): Degrees, see :class:`~mmposeda.structures.warp.AffineRange`, as are the next four.
        shear (float): Degrees.
        translation (float): Fraction of the side.
        scale (tuple[float, float]): Factors.
        crop_area (tuple[float, float]): Area fractions.
        brightness (float): Largest deviation of the factor from 1; likewise contrast and saturation.
        contrast (float): Pulls towards the picture's mean grey.
        saturation (float): Pulls towards each pixel's grey.
        blur (float): Largest standard deviation of a Gaussian blur, pixels.
        gain (float): Largest deviation from 1 of a factor of each colour channel's own.
    """

    def __init__(
        self,
        rotation: float = 60.0,
        shear: float = 30.0,
        translation: float = 0.05,
        scale: tuple[float, float] = (0.6, 1.3),
        crop_area: tuple[float, float] = (0.6, 1.0),
        brightness: float = 0.25,
        contrast: float = 0.25,
        saturation: float = 0.25,
        blur: float = 0.0,
        gain: float = 0.0,
    ) -> None:
        super().__init__()
        self.ranges = AffineRange(rotation, shear, translation, tuple(scale), tuple(crop_area))
        for name, value in dict(brightness=brightness, contrast=contrast, saturation=saturation, gain=gain).items():
            if not 0 <= value <= 1:
                raise ValueError(f'{name} must lie in [0, 1], got {value}')
        self.brightness, self.contrast, self.saturation = brightness, contrast, saturation
        self.blur, self.gain = blur, gain

    def base(self, images: Tensor) -> Tensor:
        """Draw the shared crop: matrices from the uncropped pictures to the base frame, (B, 3, 3)."""
        return sample_crop(len(images), (images.shape[-1], images.shape[-2]), self.ranges, images.device)

    def forward(self, images: Tensor, base: Tensor, mean: Tensor, std: Tensor, matrices: Tensor | None = None) -> Views:
        """Make one random view of every picture.

        Args:
            images (Tensor): Normalised pictures, (B, 3, h, w).
            base (Tensor): Result of :meth:`base`.
            mean (Tensor): Normalisation on the scale 0..255, (1, 3, 1, 1).
            std (Tensor): Likewise.
            matrices (Tensor, optional): Base frame to view, (B, 3, 3), in place of random ones.

        Returns:
            Views: Pictures of the same size with black (0 before normalisation) outside, and their matrices.
        """
        size = (images.shape[-1], images.shape[-2])
        if matrices is None:
            matrices = sample_affine(len(images), size, self.ranges, images.device)
        unit = warp((images * std + mean) / 255, compose(matrices, base))
        return Views((self._jitter(self._blur(unit)) * 255 - mean) / std, matrices)

    def _factor(self, like: Tensor, magnitude: float) -> Tensor:
        return 1 + magnitude * (torch.rand(len(like), 1, 1, 1, device=like.device) * 2 - 1)

    def _jitter(self, x: Tensor) -> Tensor:
        weights = x.new_tensor(_LUMA).view(1, 3, 1, 1)
        if self.gain:
            factor = 1 + self.gain * (torch.rand(len(x), 3, 1, 1, device=x.device) * 2 - 1)
            x = (x * factor).clamp(0, 1)
        if self.brightness:
            x = (x * self._factor(x, self.brightness)).clamp(0, 1)
        if self.contrast:
            grey = (x * weights).sum(1, keepdim=True).mean((-2, -1), keepdim=True)
            x = torch.lerp(grey.expand_as(x), x, self._factor(x, self.contrast)).clamp(0, 1)
        if self.saturation:
            grey = (x * weights).sum(1, keepdim=True)
            x = torch.lerp(grey.expand_as(x), x, self._factor(x, self.saturation)).clamp(0, 1)
        return x

    def _blur(self, x: Tensor) -> Tensor:
        if not self.blur:
            return x
        radius = max(1, round(2 * self.blur))
        offsets = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
        sigma = (torch.rand(len(x), 1, device=x.device) * self.blur).clamp_min(1e-3)
        kernel = torch.softmax(-(offsets**2) / (2 * sigma**2), -1)  # (B, 2r + 1)
        batch, channels, height, width = x.shape
        flat = x.reshape(1, -1, height, width)
        kernel = kernel.repeat_interleave(channels, 0)[:, None]
        for shaped in (kernel[..., None], kernel[:, :, None]):
            pad = (shaped.shape[-1] // 2,) * 2 + (shaped.shape[-2] // 2,) * 2
            flat = nn.functional.pad(flat, pad, mode='replicate')
            flat = nn.functional.conv2d(flat, shaped, groups=batch * channels)
        return flat.view(batch, channels, height, width)
