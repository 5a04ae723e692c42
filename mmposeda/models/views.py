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


class Colours(NamedTuple):
    """One draw of how pictures are coloured and blurred: factors (B, C, 1, 1), and deviations in pixels (B, 1).

    None where the generator leaves a change out.
    """

    blur: Tensor | None
    gain: Tensor | None
    brightness: Tensor | None
    contrast: Tensor | None
    saturation: Tensor | None


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

    def matrices(self, images: Tensor) -> Tensor:
        """Draw changes from the base frame to a view, (B, 3, 3)."""
        return sample_affine(len(images), (images.shape[-1], images.shape[-2]), self.ranges, images.device)

    def colours(self, images: Tensor) -> Colours:
        """Draw colours and blur for pictures (B, 3, h, w)."""
        blur = torch.rand(len(images), 1, device=images.device) * self.blur if self.blur else None
        gain = self._factor(images, self.gain, channels=3)
        return Colours(
            blur, gain, *(self._factor(images, m) for m in (self.brightness, self.contrast, self.saturation))
        )

    def forward(
        self,
        images: Tensor,
        base: Tensor,
        mean: Tensor,
        std: Tensor,
        matrices: Tensor | None = None,
        colours: Colours | None = None,
    ) -> Views:
        """Make one random view of every picture.

        Args:
            images (Tensor): Normalised pictures, (B, 3, h, w).
            base (Tensor): Result of :meth:`base`.
            mean (Tensor): Normalisation on the scale 0..255, (1, 3, 1, 1).
            std (Tensor): Likewise.
            matrices (Tensor, optional): Base frame to view, (B, 3, 3), in place of random ones.
            colours (Colours, optional): In place of random ones.

        Returns:
            Views: Pictures of the same size with black (0 before normalisation) outside, and their matrices.
        """
        matrices = self.matrices(images) if matrices is None else matrices
        colours = self.colours(images) if colours is None else colours
        unit = _blurred(warp((images * std + mean) / 255, compose(matrices, base)), colours.blur, self.blur)
        return Views((_coloured(unit, colours) * 255 - mean) / std, matrices)

    def _factor(self, like: Tensor, magnitude: float, channels: int = 1) -> Tensor | None:
        if not magnitude:
            return None
        return 1 + magnitude * (torch.rand(len(like), channels, 1, 1, device=like.device) * 2 - 1)


def _coloured(x: Tensor, colours: Colours) -> Tensor:
    weights = x.new_tensor(_LUMA).view(1, 3, 1, 1)
    if colours.gain is not None:
        x = (x * colours.gain).clamp(0, 1)
    if colours.brightness is not None:
        x = (x * colours.brightness).clamp(0, 1)
    if colours.contrast is not None:
        grey = (x * weights).sum(1, keepdim=True).mean((-2, -1), keepdim=True)
        x = torch.lerp(grey.expand_as(x), x, colours.contrast).clamp(0, 1)
    if colours.saturation is not None:
        grey = (x * weights).sum(1, keepdim=True)
        x = torch.lerp(grey.expand_as(x), x, colours.saturation).clamp(0, 1)
    return x


def _blurred(x: Tensor, sigma: Tensor | None, largest: float) -> Tensor:
    """Blur by deviations (B, 1), in a window that serves the largest."""
    if sigma is None:
        return x
    radius = max(1, round(2 * largest))
    offsets = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
    kernel = torch.softmax(-(offsets**2) / (2 * sigma.clamp_min(1e-3) ** 2), -1)  # (B, 2r + 1)
    batch, channels, height, width = x.shape
    flat = x.reshape(1, -1, height, width)
    kernel = kernel.repeat_interleave(channels, 0)[:, None]
    for shaped in (kernel[..., None], kernel[:, :, None]):
        pad = (shaped.shape[-1] // 2,) * 2 + (shaped.shape[-2] // 2,) * 2
        flat = nn.functional.pad(flat, pad, mode='replicate')
        flat = nn.functional.conv2d(flat, shaped, groups=batch * channels)
    return flat.view(batch, channels, height, width)
