"""Batched affine views of pictures, heatmaps and points.

Legend: B pictures, C channels, K points, picture size (w, h) in pixels.

Every matrix is (B, 3, 3) and maps *index* coordinates of a base frame to index coordinates of a view: the centre of the
pixel in column 0, row 0 is (0, 0), as in MMPose's keypoints and OpenCV. A heatmap cell p of MMPose's codecs stands for
the input pixel ``p * scale_factor``, so :func:`rescale` carries a matrix to the heatmap frame without any half-pixel
correction.

Nothing here multiplies matrices by ``@``: under automatic mixed precision that would round places to half precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class AffineRange:
    """Ranges of a random view about the picture's centre.

    Args:
        rotation (float): Largest turn, degrees, drawn from U(-rotation, rotation).
        shear (float): Largest shear along x, degrees, drawn likewise.
        translation (float): Largest shift, fraction of the side, drawn likewise for x and y.
        scale (tuple[float, float]): Smallest and largest factor.
        crop_area (tuple[float, float]): Area fraction of a square crop that comes first. Values above 1 keep the whole
            picture, as the published code does after ten rejected draws.
    """

    rotation: float = 0.0
    shear: float = 0.0
    translation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    crop_area: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        for name in ('rotation', 'shear', 'translation'):
            if getattr(self, name) < 0:
                raise ValueError(f'{name} is the largest magnitude and must be >= 0, got {getattr(self, name)}')
        if self.shear >= 90:
            raise ValueError(f'shear must be below 90 degrees, got {self.shear}')
        for name in ('scale', 'crop_area'):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f'{name} must be (low, high) with 0 < low <= high, got {(low, high)}')


def _uniform(n: int, low: float, high: float, like: dict) -> Tensor:
    return torch.rand(n, **like) * (high - low) + low


def affine_matrix(size: tuple[int, int], rotation: Tensor, shear: Tensor, translation: Tensor, scale: Tensor) -> Tensor:
    """Build ``y = t + c + scale * R(rotation) * Shear(shear) * (p - c)`` about the picture's centre c.

    Args:
        size (tuple[int, int]): Picture size (w, h).
        rotation (Tensor): Counter-clockwise on the screen, radians, (B,).
        shear (Tensor): Along x, radians, (B,).
        translation (Tensor): Pixels, (B, 2).
        scale (Tensor): Factor, (B,).

    Returns:
        Tensor: (B, 3, 3).
    """
    cos, sin, tan = rotation.cos(), rotation.sin(), shear.tan()
    linear = torch.stack([cos, cos * tan + sin, -sin, cos - sin * tan], -1).view(-1, 2, 2)
    linear = linear * scale.view(-1, 1, 1)
    centre = torch.tensor([(size[0] - 1) / 2, (size[1] - 1) / 2], dtype=linear.dtype, device=linear.device)
    offset = translation + centre - (linear * centre).sum(-1)
    matrix = torch.eye(3, dtype=linear.dtype, device=linear.device).repeat(len(linear), 1, 1)
    matrix[:, :2, :2] = linear
    matrix[:, :2, 2] = offset
    return matrix


def sample_affine(n: int, size: tuple[int, int], ranges: AffineRange, device='cpu', generator=None) -> Tensor:
    """Draw n random rotations, shears, shifts and scales (crop not included). Returns (n, 3, 3)."""
    like = dict(device=device, generator=generator)
    radians = torch.pi / 180
    turn = _uniform(n, -ranges.rotation, ranges.rotation, like) * radians
    shear = _uniform(n, -ranges.shear, ranges.shear, like) * radians
    shift = torch.rand(n, 2, **like) * 2 - 1
    shift = shift * ranges.translation * torch.tensor(size, dtype=shift.dtype, device=device)
    return affine_matrix(size, turn, shear, shift, _uniform(n, *ranges.scale, like))


def sample_crop(n: int, size: tuple[int, int], ranges: AffineRange, device='cpu', generator=None) -> Tensor:
    """Draw n random crops that keep the aspect ratio, each enlarged to the full size. Returns (n, 3, 3)."""
    like = dict(device=device, generator=generator)
    side = _uniform(n, *ranges.crop_area, like).clamp(max=1).sqrt()
    extent = torch.tensor([size[0], size[1]], dtype=side.dtype, device=device)
    # Corners are edges of pixels, so the crop is written about the outer edge at -0.5.
    corner = torch.rand(n, 2, **like) * (1 - side)[:, None] * extent - 0.5
    matrix = torch.zeros(n, 3, 3, dtype=side.dtype, device=device)
    matrix[:, 0, 0] = matrix[:, 1, 1] = 1 / side
    matrix[:, :2, 2] = -corner / side[:, None] - 0.5
    matrix[:, 2, 2] = 1
    return matrix


def rescale(matrix: Tensor, scale_factor: tuple[float, float]) -> Tensor:
    """Carry a matrix of the input frame to a frame whose cell p stands for input pixel ``p * scale_factor`` (x, y)."""
    scale = matrix.new_tensor([*scale_factor, 1.0])
    return matrix / scale[:, None] * scale[None, :]


def invert(matrix: Tensor) -> Tensor:
    """Inverse of affine matrices (B, 3, 3), in closed form: a solver would wait for the device to check them."""
    a, b, c, d = matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 0], matrix[:, 1, 1]
    linear = torch.stack([d, -b, -c, a], -1).view(-1, 2, 2) / (a * d - b * c).view(-1, 1, 1)
    inverse = torch.zeros_like(matrix)
    inverse[:, :2, :2] = linear
    inverse[:, :2, 2] = -(linear * matrix[:, None, :2, 2]).sum(-1)
    inverse[:, 2, 2] = 1
    return inverse


def warp(
    x: Tensor,
    matrix: Tensor,
    size: tuple[int, int] | None = None,
    mode: str = 'bilinear',
    padding: str = 'zeros',
) -> Tensor:
    """Resample pictures or heatmaps once. Differentiable in ``x``.

    Args:
        x (Tensor): (B, C, h, w).
        matrix (Tensor): Base frame to view, (B, 3, 3).
        size (tuple[int, int], optional): Size (w, h) of the view; that of ``x`` by default.
        mode (str): 'bilinear' or 'nearest'.
        padding (str): What is outside: 'zeros', or 'border', the nearest pixel.

    Returns:
        Tensor: (B, C, h', w').
    """
    height, width = x.shape[-2:]
    out_width, out_height = size or (width, height)
    like = dict(device=x.device, dtype=torch.float32)
    rows, columns = torch.meshgrid(torch.arange(out_height, **like), torch.arange(out_width, **like), indexing='ij')
    target = torch.stack([columns, rows], -1).view(1, -1, 2)
    source = transform_points(target, invert(matrix.float()))
    norm = source.new_tensor([2 / max(width - 1, 1), 2 / max(height - 1, 1)])
    grid = (source * norm - 1).view(-1, out_height, out_width, 2)
    return F.grid_sample(x, grid.to(x.dtype), mode=mode, padding_mode=padding, align_corners=True)


def transform_points(points: Tensor, matrix: Tensor) -> Tensor:
    """Map points (B, K, 2) or (1, K, 2), index coordinates, by (B, 3, 3). Returns (B, K, 2)."""
    columns = matrix[:, None, :2]  # (B, 1, 2, 3)
    return points[..., :1] * columns[..., 0] + points[..., 1:] * columns[..., 1] + columns[..., 2]


def compose(second: Tensor, first: Tensor) -> Tensor:
    """The map that takes ``first`` and then ``second``, (B, 3, 3) each."""
    return (second[:, :, :, None] * first[:, None]).sum(2)


def inside(points: Tensor, size: tuple[int, int]) -> Tensor:
    """Say which points (..., 2) lie on the pixels of a picture of size (w, h)."""
    limit = points.new_tensor([size[0] - 0.5, size[1] - 0.5])
    return ((points >= -0.5) & (points < limit)).all(-1)
