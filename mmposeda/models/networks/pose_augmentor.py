"""PoseAug's augmentor: edits of bone angles, bone lengths and viewpoint that a network chooses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmposeda.registry import MODELS
from mmposeda.structures.kinematics import (
    KinematicTree,
    at_least_float32,
    axis_angle_to_matrix,
    rotate,
    split_bones,
)
from mmposeda.structures.skeleton import Skeleton

from .stacked import StackedLinear


class AugmentedPose(NamedTuple):
    """Poses after each step, metres and camera frame, and what was done to them.

    Legend: B poses, J joints, G groups of bones that change their length together (left and right).

    Attributes:
        ba (Tensor): (B, J, 3) after the change of bone angles.
        bl (Tensor): (B, J, 3) after that of bone lengths too.
        rt (Tensor): (B, J, 3) turned and placed anew.
        angle_change (Tensor): (B, J - 1), 1 - cos of the angle between a bone's old and new direction, in [0, 2].
        length_change (Tensor): (B, G), relative.
        axis_angle (Tensor): (B, 3), radians.
        translation (Tensor): (B, 1, 3), metres: where the root is now.
    """

    ba: Tensor
    bl: Tensor
    rt: Tensor
    angle_change: Tensor
    length_change: Tensor
    axis_angle: Tensor
    translation: Tensor


class PoseEditor(nn.Module):
    """The three steps themselves; subclasses choose their parameters.

    Args:
        skeleton (str | Skeleton): Joint set, or the name of its meta file.
        fixed_bones (Sequence[str]): Joints whose bones keep their direction.
        fixed_lengths (Sequence[str]): Joints whose bones, with the mirrored ones, keep their length.

    Raises:
        ValueError: The joint set lacks a joint that is named, or has no tree.
    """

    def __init__(
        self,
        skeleton: str | Skeleton = 'body16_3d',
        fixed_bones: Sequence[str] = ('spine', 'thorax'),
        fixed_lengths: Sequence[str] = ('thorax',),
    ) -> None:
        super().__init__()
        if not isinstance(skeleton, Skeleton):
            skeleton = Skeleton.from_metainfo(skeleton)
        self.tree = KinematicTree(skeleton)
        groups = self.tree.length_groups
        fixed = _bones_of(self.tree, 'fixed_bones', fixed_bones)
        fixed_groups = {groups[bone] for bone in _bones_of(self.tree, 'fixed_lengths', fixed_lengths)}
        free = [[bone not in fixed] for bone in range(self.tree.num_bones)]
        free_groups = [float(group not in fixed_groups) for group in range(self.tree.num_length_groups)]
        self.register_buffer('_free_bones', torch.tensor(free), persistent=False)
        self.register_buffer('_free_groups', torch.tensor(free_groups), persistent=False)
        self.register_buffer('_groups', torch.tensor(groups), persistent=False)

    def edit(
        self,
        pose: Tensor,
        unit: Tensor,
        length: Tensor,
        turned: Tensor,
        length_change: Tensor,
        axis_angle: Tensor,
        translation: Tensor,
    ) -> AugmentedPose:
        """Apply the steps in turn, in float32 at least.

        Args:
            pose (Tensor): (B, J, 3), metres.
            unit (Tensor), length (Tensor): Its bones, (B, J - 1, 3) and (B, J - 1, 1).
            turned (Tensor): (B, J - 1, 3), new directions of length 1; those of fixed bones are not looked at.
            length_change (Tensor): (B, G), relative; that of fixed groups is not looked at.
            axis_angle (Tensor): (B, 3), radians.
            translation (Tensor): (B, 3), metres.
        """
        root = pose[:, self.tree.root, None]
        turned = torch.where(self._free_bones, turned, unit)
        length_change = length_change * self._free_groups
        factor = 1 + length_change.index_select(1, self._groups)[..., None]
        ba = self.tree.pose(turned * length, root)
        resized = self.tree.pose(turned * (length * factor))
        translation = translation[:, None]
        return AugmentedPose(
            ba=ba,
            bl=resized + root,
            rt=rotate(axis_angle_to_matrix(axis_angle), resized) + translation,
            angle_change=1 - (turned * unit).sum(-1),
            length_change=length_change,
            axis_angle=axis_angle,
            translation=translation,
        )


def _bones_of(tree: KinematicTree, argument: str, joints: Sequence[str]) -> set:
    try:
        return {tree.bone_of(joint) for joint in joints}
    except (KeyError, ValueError) as error:
        raise ValueError(f'{argument}={tuple(joints)}: {error.args[0]}; name joints of this set, or none: ()') from None


@MODELS.register_module()
class PoseAugmentor(PoseEditor):
    """Network that edits 3D poses in ways a lifter can still learn from (PoseAug, CVPR 2021).

    It reads the root-relative source pose and noise, and gives the parameters of three differentiable steps: bones turn
    by ``normalize(unit + y)``; left and right lengths change together by ``limit * tanh(y)``; and the pose is turned by
    an axis-angle vector ``pi * tanh(y)`` and its root placed at ``(y0, y1, y2^2)``, so never behind the camera's plane.

    The default is the design of the authors' code: four networks of six linear layers with weights of their own (here
    run side by side), the spine's bones keep their direction, so that turning bones cannot turn the whole body, and
    the upper spine its length, which would be scale. 1,181,500 parameters for 16 joints. The design of the paper's
    supplementary material is ``shared_trunk=True, num_hidden=3, fixed_bones=()``: one network of four linear layers
    with four outputs. What it says no more of (the noise, the upper spine) is as in the code.

    Legend: B poses, J joints.

    Args:
        skeleton (str | Skeleton): Joint set, or the name of its meta file.
        hidden (int): Width of the layers.
        num_hidden (int): Layers, each with batch normalisation and LeakyReLU, before the output.
        num_noise (int, optional): Numbers from N(0, 1) that each network gets; None for 3 J.
        shared_trunk (bool): One network with four outputs; it gets no bone lengths, as the supplementary names none.
        fixed_bones (Sequence[str]): Joints whose bones keep their direction.
        fixed_lengths (Sequence[str]): Joints whose bones, with the mirrored ones, keep their length.
        length_limit (float): Largest relative change of a length.
        mean_depth (float, optional): Depth of the root, in metres, that an output of zero stands for: the output's bias
            starts at its square root (our choice). None: a bias as PyTorch draws it (the authors' code), so that the
            root starts about a metre away and most of the first poses are out of the picture.
        residual_translation (bool): Move the root by ``(y0, y1, y2)`` instead of placing it (our option; neither in the
            paper nor in the code). The depth is then not kept positive.

    Raises:
        ValueError: A number out of its range, or joints that the joint set lacks.
    """

    def __init__(
        self,
        skeleton: str | Skeleton = 'body16_3d',
        hidden: int = 256,
        num_hidden: int = 5,
        num_noise: int | None = None,
        shared_trunk: bool = False,
        fixed_bones: Sequence[str] = ('spine', 'thorax'),
        fixed_lengths: Sequence[str] = ('thorax',),
        length_limit: float = 0.2,
        mean_depth: float | None = 5.0,
        residual_translation: bool = False,
    ) -> None:
        super().__init__(skeleton, fixed_bones, fixed_lengths)
        joints, bones = self.tree.num_joints, self.tree.num_bones
        num_noise = 3 * joints if num_noise is None else num_noise
        if min(hidden, num_hidden) < 1 or num_noise < 0:
            raise ValueError(
                f'need hidden={hidden}, num_hidden={num_hidden} of 1 and num_noise={num_noise} of 0 or more'
            )
        if not 0 < length_limit < 1:
            raise ValueError(f'length_limit={length_limit} is a share of the length and must be between 0 and 1')
        if mean_depth is not None and mean_depth <= 0:
            raise ValueError(f'mean_depth={mean_depth} is in metres before the camera and must be positive, or None')
        self.num_noise, self.num_trunks = num_noise, 1 if shared_trunk else 4
        self.length_limit, self.residual_translation = length_limit, residual_translation
        widths = [3 * joints + num_noise] + [hidden] * num_hidden
        self.layers = nn.ModuleList(StackedLinear(self.num_trunks, *pair) for pair in zip(widths, widths[1:]))
        self.norms = nn.ModuleList(nn.BatchNorm1d(self.num_trunks * hidden) for _ in range(num_hidden))
        self.length_input = None if shared_trunk else nn.Linear(bones, hidden, bias=False)
        self.angle_head = nn.Linear(hidden, 3 * bones)
        self.length_head = nn.Linear(hidden, self.tree.num_length_groups)
        self.rotation_head = nn.Linear(hidden, 3)
        self.translation_head = nn.Linear(hidden, 3)
        self._init_weights(None if residual_translation else mean_depth)

    def _init_weights(self, mean_depth: float | None) -> None:
        for module in self.modules():
            if isinstance(module, (nn.Linear, StackedLinear)):
                nn.init.normal_(module.weight, std=math.sqrt(2 / module.weight.shape[-1]))
        if self.length_input is not None:  # poses, noise and lengths enter one layer
            std = math.sqrt(2 / (self.layers[0].weight.shape[-1] + self.length_input.in_features))
            nn.init.normal_(self.layers[0].weight[1], std=std)
            nn.init.normal_(self.length_input.weight, std=std)
        if mean_depth is not None:
            with torch.no_grad():
                self.translation_head.bias.copy_(torch.tensor([0, 0, math.sqrt(mean_depth)]))

    def forward(
        self, pose: Tensor, noise: Tensor | None = None, generator: torch.Generator | None = None
    ) -> AugmentedPose:
        """Augment poses.

        Args:
            pose (Tensor): (B, J, 3), metres, camera frame, absolute. In training B is at least 2.
            noise (Tensor, optional): (B, networks, num_noise), with 4 networks (angles, lengths, rotation and
                translation) or 1; drawn if it is None.
            generator (torch.Generator, optional): For the noise, on the poses' device.

        Raises:
            ValueError: Poses of another number of joints, or noise of another shape.
        """
        pose = at_least_float32(pose)
        unit, length = split_bones(self.tree.bones(pose))
        turn, stretch, rotation, place = self._outputs(pose, length, self._noise(pose, noise, generator))
        if self.residual_translation:
            place = pose[:, self.tree.root] + place
        else:
            place = torch.cat([place[:, :2], place[:, 2:].square()], 1)
        return self.edit(
            pose,
            unit,
            length,
            turned=F.normalize(unit + turn.view_as(unit), dim=-1, eps=1e-8),
            length_change=self.length_limit * stretch.tanh(),
            axis_angle=math.pi * rotation.tanh(),
            translation=place,
        )

    def _noise(self, pose: Tensor, noise: Tensor | None, generator: torch.Generator | None) -> Tensor:
        """Noise (networks, num_noise, B)."""
        shape = (self.num_trunks, self.num_noise, len(pose))
        if noise is None:
            return torch.randn(shape, dtype=pose.dtype, device=pose.device, generator=generator)
        if noise.shape != (shape[2], *shape[:2]):
            raise ValueError(
                f'noise must be (B, networks, num_noise) = {(shape[2], *shape[:2])}, got {tuple(noise.shape)}'
            )
        return noise.permute(1, 2, 0)

    def _outputs(self, pose: Tensor, length: Tensor, noise: Tensor) -> list[Tensor]:
        """Outputs of the four heads, (B, width) each, in float32 at least."""
        relative = (pose - pose[:, self.tree.root, None]).flatten(1).t()
        x = torch.cat([relative.expand(self.num_trunks, -1, -1), noise], 1)
        for layer, norm in zip(self.layers, self.norms):
            x = layer(x)
            if layer is self.layers[0] and self.length_input is not None:
                x = x + F.pad(self.length_input(length.squeeze(-1)).t()[None], (0, 0, 0, 0, 1, self.num_trunks - 2))
            x = F.leaky_relu(norm(x.flatten(0, 1)[None]), 0.01, inplace=True).view_as(x)
        features = x.expand(4, -1, -1).transpose(1, 2).unbind(0)
        heads = (self.angle_head, self.length_head, self.rotation_head, self.translation_head)
        return [at_least_float32(head(feature)) for head, feature in zip(heads, features)]
