"""A picture redrawn from another of the same scene and the joints of both."""

from __future__ import annotations

from typing import NamedTuple

import torch
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor, nn

from mmposeda.registry import MODELS
from mmposeda.structures.keypoint_grid import pixels_to_grid

from .networks.warp_estimator import WarpField


class Reconstruction(NamedTuple):
    """What becomes of a batch of pairs.

    Attributes:
        warp: Field, masks and inpainting map.
        drawn: The driving pictures as they are redrawn, RGB in [0, 1], (B, 3, h, w).
        used: Whether a pair counts, boolean (B,).
        loss: Scalar. Its mean over processes is that of the pairs of all that count.
    """

    warp: WarpField
    drawn: Tensor
    used: Tensor
    loss: Tensor

    def signs(self) -> dict[str, Tensor]:
        """Whether it says anything: ``used``, the share of pairs that count, and ``background``, its mean mask."""
        return dict(used=self.used.float().mean(), background=self.warp.mask[:, 0].detach().mean())


class PairReconstruction(nn.Module):
    """Bends a base picture by its joints, completes it, and compares it with the driving picture.

    Args:
        num_keypoints (int): K.
        warp_estimator (dict): Arguments of :class:`~mmposeda.models.networks.WarpEstimator` beside K.
        generator (dict, optional): Arguments of :class:`~mmposeda.models.networks.ImageGenerator`.
        perceptual (dict, optional): Arguments of :class:`~mmposeda.models.losses.PyramidPerceptualLoss`; pixels and
            edges without any, which need no weight file.
        displacement (tuple[float, float]): Pairs whose joints move less or more on average do not count, shares of the
            picture's width: there is nothing to see, or more than a field can bring.

    Raises:
        ValueError: A range of displacements that is none.
    """

    def __init__(
        self,
        num_keypoints: int,
        warp_estimator: dict,
        generator: dict | None = None,
        perceptual: dict | None = None,
        displacement: tuple[float, float] = (2 / 256, 80 / 256),
    ) -> None:
        super().__init__()
        if len(displacement) != 2 or not 0 <= displacement[0] < displacement[1]:
            raise ValueError(f'displacement must be two increasing shares of the width, got {tuple(displacement)}')
        self.displacement = tuple(displacement)
        given = dict(num_keypoints=num_keypoints)
        self.warp_estimator = MODELS.build({'type': 'WarpEstimator', **warp_estimator, **given})
        self.generator = MODELS.build({'type': 'ImageGenerator', **(generator or {})})
        self.perceptual = MODELS.build({'type': 'PyramidPerceptualLoss', **(perceptual or dict(features='pyramid_l1'))})

    def forward(self, base: Tensor, driving: Tensor, base_points: Tensor, driving_points: Tensor) -> Reconstruction:
        """Redraw driving pictures.

        Args:
            base (Tensor): RGB in [0, 1], (B, 3, h, w).
            driving (Tensor): Likewise.
            base_points (Tensor): Joints of the base pictures, pixels, (B, K, 2).
            driving_points (Tensor): Those of the driving pictures.
        """
        warp, drawn = self.draw(base, base_points, driving_points)
        used = self.used(base_points, driving_points, base.shape[3])
        loss = self.perceptual(drawn, driving, used.float())
        return Reconstruction(warp, drawn, used, loss * self._share(used) if get_world_size() > 1 else loss)

    def draw(self, base: Tensor, base_points: Tensor, driving_points: Tensor) -> tuple[WarpField, Tensor]:
        """The fields, and what is drawn with them."""
        size = (base.shape[3], base.shape[2])
        warp = self.warp_estimator(base, *(pixels_to_grid(points, size) for points in (base_points, driving_points)))
        return warp, self.generator(base, warp.field, warp.inpainting)

    @torch.no_grad()
    def used(self, base_points: Tensor, driving_points: Tensor, width: int) -> Tensor:
        """Which pairs move neither too little nor too much, boolean (B,). NaN counts, so that the loss tells of it."""
        moved = (driving_points - base_points).norm(dim=-1).mean(-1) / width
        return ~((moved < self.displacement[0]) | (moved > self.displacement[1]))

    @torch.no_grad()
    def _share(self, used: Tensor) -> Tensor:
        """How many pairs count here over their mean number in all processes."""
        mean = used.sum().float()
        number = mean.clone()
        all_reduce(mean, 'mean')
        return number / mean.clamp_min(torch.finfo(mean.dtype).tiny)
