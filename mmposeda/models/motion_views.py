"""Random views of poses and motions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mmposeda.structures.kinematics import axis_angle_to_matrix, rotate
from mmposeda.structures.relations import Relation
from mmposeda.structures.skeleton import Skeleton


class MotionViews(nn.Module):
    """Turns whole clips about the vertical, the camera's height and its optical axis, and mirrors some.

    One draw a clip, so that a motion stays one. Source: authors' code of non-local relation distillation for azimuth,
    tilt and mirroring; elevations are our option, for cameras above or below the person.

    Args:
        skeleton (str | Skeleton): Joint set.
        azimuth (float): Largest turn about the vertical, degrees.
        elevation (float): Largest turn about the horizontal across, after that about the vertical, degrees.
        tilt (float): Largest turn about the optical axis, degrees, last.
        flip (float): Share of clips that are mirrored.

    Raises:
        ValueError: A negative range, or a share outside [0, 1].
    """

    def __init__(
        self,
        skeleton: str | Skeleton,
        azimuth: float = 180.0,
        elevation: float = 0.0,
        tilt: float = 20.0,
        flip: float = 0.5,
    ) -> None:
        super().__init__()
        ranges = dict(azimuth=azimuth, elevation=elevation, tilt=tilt)
        if min(ranges.values()) < 0 or not 0 <= flip <= 1:
            raise ValueError(f'ranges must not be negative and flip be in [0, 1], got {ranges} and flip={flip}')
        self.ranges, self.flip = ranges, flip
        skeleton = skeleton if isinstance(skeleton, Skeleton) else Skeleton.from_metainfo(skeleton)
        self._mirror = Relation.parse('flip')
        self._flips = list(skeleton.flip_indices)

    def forward(self, motion: Tensor) -> Tensor:
        """Views (B, ..., J, 3) of clips (B, ..., J, 3), y down, the root at the origin."""
        count, device = len(motion), motion.device
        turn = torch.eye(3, device=device)
        for axis, degrees in zip((1, 0, 2), self.ranges.values()):
            angle = (2 * torch.rand(count, device=device) - 1) * math.radians(degrees)
            vector = torch.zeros(count, 3, device=device)
            vector[:, axis] = angle
            turn = (axis_angle_to_matrix(vector)[:, :, :, None] * turn[..., None, :, :]).sum(2)
        seen = rotate(turn.view(count, *[1] * (motion.ndim - 3), 3, 3), motion)
        mirrored = (torch.rand(count, device=device) < self.flip).view(-1, *[1] * (motion.ndim - 1))
        return torch.where(mirrored, self._mirror.joints(seen, self._flips), seen)

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return ', '.join(f'{name}={value}' for name, value in {**self.ranges, 'flip': self.flip}.items())
