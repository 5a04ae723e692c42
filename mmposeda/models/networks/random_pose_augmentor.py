"""Random poses out of the space in which PoseAug's augmentor moves."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmposeda.registry import MODELS
from mmposeda.structures.kinematics import at_least_float32, split_bones
from mmposeda.structures.skeleton import Skeleton

from .pose_augmentor import AugmentedPose, PoseEditor


@MODELS.register_module()
class RandomPoseAugmentor(PoseEditor):
    """The steps of :class:`PoseAugmentor` with drawn parameters: the control that nothing was learned for.

    Our choice throughout. What is drawn is what the learned augmentor may do without a penalty of the range losses:

    * Angles: the mean of ``1 - cos`` over a pose's bones is uniform in ``angle_change``, shared among its free bones in
      uniform random proportions; each turns about a random axis across it.
    * Lengths: the change of each free group is uniform.
    * Rotation: each component of the axis-angle vector is uniform. The default spans all rotations, as the learned one
      may choose; ``rotation=(0, pi, 0)`` keeps people upright in a level camera, a stronger and less equal control.
    * Translation: uniform in a box before the camera. The default is where people stand in Human3.6M: before cameras
      like its own 98 % of the poses stay in the picture. Fit it to other cameras, as what leaves the picture is lost.

    It has no weights. A joint's place does not depend on the other poses of the batch, but the draws do.

    Args:
        skeleton (str | Skeleton): Joint set, or the name of its meta file.
        fixed_bones (Sequence[str]): Joints whose bones keep their direction.
        fixed_lengths (Sequence[str]): Joints whose bones, with the mirrored ones, keep their length.
        angle_change (tuple[float, float]): Smallest and largest mean change, in [0, 2]; 0.04 and 0.37 are the band of
            the authors' code, about 16 and 51 degrees.
        max_bone_angle (float): Largest turn of one bone, radians; a pose's mean change may then fall short.
        length_limit (float): Largest relative change of a length; 0.1 is where the authors' penalty begins.
        rotation (Sequence[float]): Largest component about the camera's x (right), y (down) and z (forward), radians.
        lateral (Sequence[float]): Largest distance of the root from the optical axis in x and y, metres.
        depth (tuple[float, float]): Smallest and largest depth of the root, metres.

    Raises:
        ValueError: A range that is none, or joints that the joint set lacks.
    """

    def __init__(
        self,
        skeleton: str | Skeleton = 'body16_3d',
        fixed_bones: Sequence[str] = ('spine', 'thorax'),
        fixed_lengths: Sequence[str] = ('thorax',),
        angle_change: tuple[float, float] = (0.04, 0.37),
        max_bone_angle: float = math.pi,
        length_limit: float = 0.1,
        rotation: Sequence[float] = (math.pi, math.pi, math.pi),
        lateral: Sequence[float] = (1.0, 0.5),
        depth: tuple[float, float] = (3.0, 7.0),
    ) -> None:
        super().__init__(skeleton, fixed_bones, fixed_lengths)
        self._check(angle_change, max_bone_angle, length_limit, rotation, lateral, depth)
        self.angle_change, self.length_limit = tuple(angle_change), length_limit
        self.max_change = 1 - math.cos(max_bone_angle)
        low = [*(-limit for limit in (*rotation, *lateral)), depth[0]]
        high = [*rotation, *lateral, depth[1]]
        self.register_buffer('_low', torch.tensor(low, dtype=torch.float32), persistent=False)
        self.register_buffer('_high', torch.tensor(high, dtype=torch.float32), persistent=False)

    def forward(self, pose: Tensor, generator: torch.Generator | None = None) -> AugmentedPose:
        """Augment poses (B, J, 3), metres and camera frame, with torch's global generator or the one that is given.

        Raises:
            ValueError: Poses of another number of joints.
        """
        pose = at_least_float32(pose)
        unit, length = split_bones(self.tree.bones(pose))
        count, bones = unit.shape[:2]
        groups = self.tree.num_length_groups
        like = dict(dtype=pose.dtype, device=pose.device, generator=generator)
        drawn = torch.rand(count, 1 + bones + groups + 6, **like)
        mean, share, stretch, view = drawn.split([1, bones, groups, 6], 1)
        axis_angle, translation = torch.lerp(self._low.to(view), self._high.to(view), view).split(3, 1)
        return self.edit(
            pose,
            unit,
            length,
            turned=self._turn(unit, mean, share, torch.randn(unit.shape, **like)),
            length_change=self.length_limit * (2 * stretch - 1),
            axis_angle=axis_angle,
            translation=translation,
        )

    def _turn(self, unit: Tensor, mean: Tensor, share: Tensor, across: Tensor) -> Tensor:
        """Directions whose mean change is in the band, from numbers in [0, 1) (B, 1), (B, bones) and normal vectors."""
        low, high = self.angle_change
        share = share * self._free_bones.squeeze(1)
        share = share / share.sum(1, keepdim=True).clamp_min(torch.finfo(share.dtype).tiny)
        change = (low + (high - low) * mean) * share * share.shape[1]
        change = change.clamp_max(self.max_change)[..., None]
        across = F.normalize(across - (across * unit).sum(-1, keepdim=True) * unit, dim=-1, eps=1e-8)
        return (1 - change) * unit + (change * (2 - change)).sqrt() * across

    def _check(self, angle_change, max_bone_angle, length_limit, rotation, lateral, depth) -> None:
        low, high = angle_change
        reach = (1 - math.cos(max_bone_angle)) * float(self._free_bones.float().mean())
        if not 0 < max_bone_angle <= math.pi or not 0 <= low <= high <= reach:
            raise ValueError(
                f'angle_change={tuple(angle_change)} must be (smallest, largest) within 0 and {reach:.3g}, the mean if '
                f'all free bones turn by max_bone_angle={max_bone_angle} (up to pi)'
            )
        if not 0 <= length_limit < 1:
            raise ValueError(f'length_limit={length_limit} is a share of the length and must be in [0, 1)')
        if len(rotation) != 3 or len(lateral) != 2 or min(*rotation, *lateral) < 0:
            raise ValueError(
                f'rotation={tuple(rotation)} and lateral={tuple(lateral)} must be largest magnitudes, 3 in radians and '
                '2 in metres'
            )
        if not 0 < depth[0] <= depth[1]:
            raise ValueError(f'depth={tuple(depth)} must be (nearest, farthest) in metres before the camera')
