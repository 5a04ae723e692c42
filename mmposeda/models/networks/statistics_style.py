"""Style transfer without weights: colour and texture statistics of one picture put on another."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from mmposeda.registry import MODELS


def _pyramid(x: Tensor, levels: int) -> list[Tensor]:
    """Laplacian pyramid, finest band first, the low-pass rest last."""
    bands = []
    for _ in range(levels):
        low = F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
        bands.append(x - F.interpolate(low, size=x.shape[-2:], mode='bilinear', align_corners=False))
        x = low
    return [*bands, x]


def _roots(matrix: Tensor, iterations: int = 18) -> tuple[Tensor, Tensor]:
    """Square root and inverse square root of positive matrices (B, 3, 3), by coupled Newton-Schulz steps.

    An eigenvalue solver would wait for the device at every step of the training.
    """
    size = matrix.diagonal(dim1=1, dim2=2).sum(-1)[:, None, None]
    eye = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
    root, inverse = matrix / size, eye.expand_as(matrix)
    for _ in range(iterations):
        turn = 1.5 * eye - 0.5 * inverse @ root
        root, inverse = root @ turn, turn @ inverse
    return root * size.sqrt(), inverse / size.sqrt()


def _colour_transport(content: Tensor, style: Tensor, eps: float) -> Tensor:
    """Linear map that gives colours (B, 3, N) the covariance of others: the optimal transport between Gaussians."""
    eye = torch.eye(3, dtype=content.dtype, device=content.device)

    def covariance(x: Tensor) -> Tensor:
        matrix = x @ x.transpose(1, 2) / x.shape[-1]
        # A floor relative to the spread keeps grey pictures invertible and the iteration short.
        floor = eps * (1 + matrix.diagonal(dim1=1, dim2=2).sum(-1))
        return matrix + floor[:, None, None] * eye

    half, inverse = _roots(covariance(content))
    return inverse @ _roots(half @ covariance(style) @ half)[0] @ inverse


@MODELS.register_module()
class StatisticsStyleTransfer(BaseModule):
    """Documented stand-in for :class:`AdaINStyleNet` that needs no download.

    The low-pass rest takes the mean and the full colour covariance of the style picture by the optimal transport map
    between Gaussians (Pitie and Kokaram, 2007); every finer band takes the style's contrast per channel (the pyramid
    statistics of Heeger and Bergen, SIGGRAPH 1995). So colours, lighting, contrast and sharpness pass over, shapes
    stay.

    Args:
        levels (int): Bands above the low-pass rest.
        max_gain (float): Bound on the contrast gain of a band, so that JPEG noise of flat pictures is not blown up.
        eps (float): Variance floor, on the normalised pictures' scale and relative to the colours' spread.
    """

    def __init__(self, levels: int = 3, max_gain: float = 4.0, eps: float = 1e-4) -> None:
        super().__init__()
        self.levels, self.max_gain, self.eps = levels, max_gain, eps

    def stylize(self, content: Tensor, style: Tensor, alpha: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """Redraw ``content`` with the statistics of ``style``; arguments as in :meth:`AdaINStyleNet.stylize`."""
        # Half precision is too little for the roots of covariances.
        with torch.autocast(content.device.type, enabled=False):
            bands_c, bands_s = _pyramid(content.float(), self.levels), _pyramid(style.float(), self.levels)
            out = self._match_colours(bands_c[-1], bands_s[-1])
            for own, other in zip(bands_c[-2::-1], bands_s[-2::-1]):
                gain = (other.var((-2, -1), keepdim=True) + self.eps) / (own.var((-2, -1), keepdim=True) + self.eps)
                gain = gain.sqrt().clamp(1 / self.max_gain, self.max_gain)
                up = F.interpolate(out, size=own.shape[-2:], mode='bilinear', align_corners=False)
                out = up + gain * own
            out = alpha * out + (1 - alpha) * content
            return torch.maximum(torch.minimum(out, (255 - mean) / std), -mean / std).to(content.dtype)

    def _match_colours(self, content: Tensor, style: Tensor) -> Tensor:
        flat_c, flat_s = content.flatten(2), style.flatten(2)
        centred = flat_c - flat_c.mean(-1, keepdim=True)
        transport = _colour_transport(centred, flat_s - flat_s.mean(-1, keepdim=True), self.eps)
        return (transport @ centred + flat_s.mean(-1, keepdim=True)).view_as(content)
