"""What all lifters share: their joint set, the forms of their input, and fully connected layers."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmposeda.structures.skeleton import Skeleton


class Lifter(BaseModule):
    """A network from the 2D joints of one frame to the 3D joints relative to the root.

    Serves as ``backbone`` of MMPose's ``PoseLifter``, with ``LiftingHead``.

    Legend: B poses, J joints. Points are in screen units, ``2 u / W - (1, H / W)`` of pixels u in a picture of W x H;
    poses in metres, along the axes of the camera (x right, y down, z forward), relative to the root.

    Args:
        skeleton (str | dict | Skeleton): Joint set: the name of a meta file, meta information or a skeleton.
        init_cfg (dict, optional): Initialisation of MMEngine's.

    Attributes:
        skeleton (Skeleton): The joint set.
        num_joints (int): J.
        root (int): Index of the root joint.
        causal (bool): True: no later frame is needed. MMPose asks for it.

    Raises:
        ValueError: A joint set of several roots, or of a single joint.
    """

    causal = True

    def __init__(self, skeleton: str | dict | Skeleton = 'body16_3d', init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.skeleton = skeleton if isinstance(skeleton, Skeleton) else Skeleton.from_metainfo(skeleton)
        roots = [name for name, parent in zip(self.skeleton.joint_names, self.skeleton.parents) if parent == -1]
        self.num_joints = self.skeleton.num_joints
        if len(roots) != 1 or self.num_joints < 2:
            raise ValueError(
                f'skeleton {self.skeleton.name}: lifting needs one root and another joint, got '
                f'{self.num_joints} joints with the roots {roots}; write the parents into its meta file'
            )
        self.root = self.skeleton.parents.index(-1)

    def forward(self, x: Tensor) -> Tensor:
        """Poses (B, J, 3) of points (B, J, 2), or of MMPose's packed form of them, (B, 2 J, 1).

        Raises:
            ValueError: Points of another number of joints, or of several frames.
        """
        shape, joints = tuple(x.shape), self.num_joints
        if len(shape) != 3 or shape[1:] not in ((joints, 2), (2 * joints, 1)):
            raise ValueError(
                f'{type(self).__name__} for the {joints} joints of {self.skeleton.name} lifts points of shape '
                f'(B, {joints}, 2), or (B, {2 * joints}, 1) as MMPose packs them, got {shape}: give it the '
                'skeleton of the data set, and single frames.'
            )
        return self.lift(x.reshape(-1, joints, 2))

    def lift(self, points: Tensor) -> Tensor:
        """Poses (B, J, 3) of points (B, J, 2)."""
        raise NotImplementedError(f'{type(self).__name__} must say how it lifts')


def insert_root(joints: Tensor, root: int) -> Tensor:
    """Poses (B, J, 3) with zeros at the root, from the other joints (B, J - 1, 3)."""
    zeros = joints.new_zeros(len(joints), 1, joints.shape[-1])
    return torch.cat([joints[:, :root], zeros, joints[:, root:]], 1)


class DenseLayer(nn.Module):
    """Linear, batch normalisation, ReLU, dropout."""

    def __init__(self, inputs: int, outputs: int, dropout: float, bias: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias)
        self.norm = nn.BatchNorm1d(outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, outputs) of (B, inputs)."""
        return self.dropout(self.norm(self.linear(x)).relu_())


class DenseLifter(Lifter):
    """A lifter of fully connected layers with residual blocks of two; the root comes out as exactly 0.

    Args:
        skeleton (str | dict | Skeleton): Joint set, see :class:`Lifter`.
        num_blocks (int): Residual blocks between the first and the last layer.
        channels (int): Width of every layer.
        dropout (float): Probability behind every layer but the last.
        init_cfg (dict, optional): Initialisation of MMEngine's.
    """

    bias = True

    def __init__(
        self,
        skeleton: str | dict | Skeleton = 'body16_3d',
        num_blocks: int = 2,
        channels: int = 1024,
        dropout: float = 0.25,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(skeleton, init_cfg)
        self.expand = DenseLayer(2 * self.num_joints, channels, dropout, self.bias)
        self.blocks = nn.ModuleList(
            nn.Sequential(*(DenseLayer(channels, channels, dropout, self.bias) for _ in range(2)))
            for _ in range(num_blocks)
        )
        self.shrink = nn.Linear(channels, 3 * (self.num_joints - 1))

    def lift(self, points: Tensor) -> Tensor:
        """Poses (B, J, 3) of points (B, J, 2)."""
        x = self.expand(points.flatten(1))
        for block in self.blocks:
            x = x + block(x)
        return insert_root(self.shrink(x).view(-1, self.num_joints - 1, 3), self.root)


def convert_keys(checkpoint: Mapping, rules: Mapping[str, str], owner: str) -> dict[str, Tensor]:
    """Tensors of a checkpoint of PoseAug's authors under our names.

    Args:
        checkpoint (Mapping): What ``torch.load`` gives of their file (``state_dict`` in those of pre-training,
            ``model_pos`` in those of PoseAug), or the state dict itself.
        rules (Mapping[str, str]): Regular expression of their whole key -> our key, with ``\\1`` for its groups.
        owner (str): Name of the lifter, for the message.

    Raises:
        ValueError: A key that no rule knows, so weights of another network; or no weights at all.
    """
    weights = next((checkpoint[key] for key in ('state_dict', 'model_pos') if key in checkpoint), checkpoint)
    converted = {}
    for key, value in weights.items():
        rule = next((rule for rule in rules if re.fullmatch(rule, key)), None)
        if rule is None:
            raise ValueError(
                f"{key!r} is no weight of {owner} in PoseAug's code: this checkpoint is of another network, or is ours "
                'already and needs no conversion'
            )
        converted[re.sub(rule, rules[rule], key)] = value
    if not converted:
        raise ValueError(f'the checkpoint holds no weights of {owner}')
    return converted
