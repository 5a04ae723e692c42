"""PoseAug's discriminators: does a skeleton bend like a body, and does a projected pose look like one in a picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmposeda.registry import MODELS
from mmposeda.structures.kinematics import KinematicTree, kcs_gram, split_bones
from mmposeda.structures.skeleton import Skeleton

from .stacked import StackedLinear


@MODELS.register_module()
class KCSDiscriminator(nn.Module):
    """Scores the local joint angles of a 3D pose, part by part (authors' code of PoseAug).

    A part sees the cosines between its own bones, which rotation, translation, mirroring and bone lengths leave as they
    are. The authors make one (J - 1)^2 matrix a part, with the other bones' rows and columns zero; here is one matrix
    for all, and only the live columns of the first layer's weights are multiplied. The others are kept, without
    gradient, so that initial weights, sizes and training are those of the authors: 1,076,205 parameters for 16 joints.

    Legend: B poses, J joints, P parts.

    Args:
        skeleton (str | Skeleton): Joint set with ``parts``, or the name of its meta file.
        hidden (int): Width of the first three layers.
        last_hidden (int): Width of the fourth.

    Raises:
        ValueError: The joint set has no parts, or no tree.
    """

    def __init__(self, skeleton: str | Skeleton = 'body16_3d', hidden: int = 256, last_hidden: int = 100) -> None:
        super().__init__()
        if not isinstance(skeleton, Skeleton):
            skeleton = Skeleton.from_metainfo(skeleton)
        if not skeleton.parts:
            raise ValueError(
                f'joint set {skeleton.name!r} has no parts to judge. Add `parts=dict(torso=[joint, ...], ...)` to '
                'dataset_info of its meta file; a joint stands for the bone that ends in it'
            )
        self.tree = KinematicTree(skeleton)
        bones = self.tree.num_bones
        self.parts = {
            part: tuple(sorted(self.tree.child.index(joint) for joint in joints))
            for part, joints in skeleton.parts.items()
        }
        live = [[row * bones + column for row in part for column in part] for part in self.parts.values()]
        width = max(map(len, live))
        mask = torch.tensor([[1.0] * len(cells) + [0.0] * (width - len(cells)) for cells in live])
        cells = torch.tensor([cells + [0] * (width - len(cells)) for cells in live])
        self.register_buffer('_cells', cells, persistent=False)
        self.register_buffer('_mask', mask, persistent=False)
        count = len(self.parts)
        self.input = StackedLinear(count, bones * bones, hidden)
        self.hidden1 = StackedLinear(count, hidden, hidden)
        self.hidden2 = StackedLinear(count, hidden, hidden)
        self.hidden3 = StackedLinear(count, hidden, last_hidden)
        self.output = StackedLinear(count, last_hidden, 1)

    def forward(self, pose: Tensor) -> Tensor:
        """Scores (B, P) of poses (B, J, 3) in any unit and frame; 1 is real and 0 made up.

        Raises:
            ValueError: Poses of another number of joints.
        """
        unit, _ = split_bones(self.tree.bones(pose))
        first = F.leaky_relu(self._first(kcs_gram(unit).flatten(1)))
        x = F.leaky_relu(self.hidden1(first))
        x = self.hidden2(x) + first
        x = F.leaky_relu(self.hidden3(x))
        return self.output(x).squeeze(1).t()

    def _first(self, gram: Tensor) -> Tensor:
        """The first layer on (B, (J - 1)^2) cosines, (P, hidden, B)."""
        parts, width = self._cells.shape
        seen = gram.index_select(1, self._cells.flatten()).view(-1, parts, width).permute(1, 2, 0)
        weight = self.input.weight
        columns = self._cells[:, None].expand(-1, weight.shape[1], -1)
        return torch.baddbmm(self.input.bias[..., None], weight.gather(2, columns) * self._mask[:, None], seen)


@MODELS.register_module()
class PoseDiscriminator2D(nn.Module):
    """Scores a 2D pose with its place in the picture (authors' code of PoseAug); 43,801 parameters for 16 joints.

    Args:
        num_joints (int): J.
        hidden (int): Width of all layers.
    """

    def __init__(self, num_joints: int = 16, hidden: int = 100) -> None:
        super().__init__()
        self.num_joints = num_joints
        self.input = nn.Linear(2 * num_joints, hidden)
        self.hidden1 = nn.Linear(hidden, hidden)
        self.hidden2 = nn.Linear(hidden, hidden)
        self.hidden3 = nn.Linear(hidden, hidden)
        self.hidden4 = nn.Linear(hidden, hidden)
        self.output = nn.Linear(hidden, 1)

    def forward(self, points: Tensor) -> Tensor:
        """Scores (B, 1) of poses (B, J, 2) in screen coordinates, not relative to the root; 1 is real and 0 made up.

        Raises:
            ValueError: Another number of joints.
        """
        if points.ndim != 3 or points.shape[1:] != (self.num_joints, 2):
            raise ValueError(f'expected 2D poses (B, {self.num_joints}, 2), got {tuple(points.shape)}')
        first = F.leaky_relu(self.input(points.flatten(1)))
        x = F.leaky_relu(self.hidden1(first))
        x = F.leaky_relu(self.hidden2(x) + first)
        x = self.hidden3(x)
        return self.output(F.leaky_relu(self.hidden4(x)))
