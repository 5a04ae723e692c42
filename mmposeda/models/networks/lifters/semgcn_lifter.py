"""Semantic graph convolutions over the joints."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmposeda.registry import MODELS
from mmposeda.structures.skeleton import Skeleton

from .base import Lifter, convert_keys
from .graphs import bone_pairs, linked

_RULES = {
    r'gconv_input\.0\.gconv\.(W|e|bias)': r'first.\1',
    r'gconv_input\.0\.bn\.(\w+)': r'first.norm.\1',
    r'gconv_layers\.(\d+)\.gconv1\.gconv\.(W|e|bias)': r'blocks.\1.0.\2',
    r'gconv_layers\.(\d+)\.gconv1\.bn\.(\w+)': r'blocks.\1.0.norm.\2',
    r'gconv_layers\.(\d+)\.gconv2\.gconv\.(W|e|bias)': r'blocks.\1.1.\2',
    r'gconv_layers\.(\d+)\.gconv2\.bn\.(\w+)': r'blocks.\1.1.norm.\2',
    r'gconv_output\.(W|e|bias)': r'last.\1',
}


@MODELS.register_module()
class SemGCNLifter(Lifter):
    """SemGCN (Zhao et al., CVPR 2019) without non-local layers, ``gcn`` in PoseAug's code.

    A layer is ``y = (S * I) x W0 + (S * (1 - I)) x W1 + b``, where S (J, J) is the softmax, over what a joint takes, of
    one learned number for every bone, both ways, and for every joint itself. The root is not forced to 0.

    Args:
        skeleton (str | dict | Skeleton): Joint set: the name of a meta file, meta information or a skeleton.
        num_blocks (int): Residual blocks of two layers; 4 in PoseAug (267,343 parameters for 16 joints).
        channels (int): Width of every layer.
        dropout (float): Probability behind every layer but the last; 0 in PoseAug.
        init_cfg (dict, optional): Initialisation of MMEngine's.
    """

    def __init__(
        self,
        skeleton: str | dict | Skeleton = 'body16_3d',
        num_blocks: int = 4,
        channels: int = 128,
        dropout: float = 0.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(skeleton, init_cfg)
        near = linked(self.num_joints, bone_pairs(self.skeleton.parents))
        edges, eye = int(near.sum()), torch.eye(self.num_joints)
        self.first = _NormedLayer(2, channels, edges, dropout)
        self.blocks = nn.ModuleList(
            nn.ModuleList(_NormedLayer(channels, channels, edges, dropout) for _ in range(2)) for _ in range(num_blocks)
        )
        self.last = _Layer(channels, 3, edges)
        self.register_buffer('_places', near.flatten().nonzero()[:, 0], persistent=False)
        self.register_buffer('_kinds', torch.stack([eye, 1 - eye], 1), persistent=False)  # (J, 2, J)

    def lift(self, points: Tensor) -> Tensor:
        """Poses (B, J, 3) of points (B, J, 2)."""
        first, *inner, last = self.mixing().unbind()
        x = self.first(points, first)
        for number, (one, two) in enumerate(self.blocks):
            x = x + two(one(x, inner[2 * number]), inner[2 * number + 1])
        return self.last(x, last)

    def mixing(self) -> Tensor:
        """(L, 2 J, J) what each joint takes of itself and, in the next row, of the others, in each of L layers."""
        layers = [self.first, *(layer for block in self.blocks for layer in block), self.last]
        edges, joints = torch.cat([layer.edges for layer in layers]), self.num_joints
        logits = edges.new_full((len(layers), joints * joints), -math.inf).index_copy(1, self._places, edges)
        share = logits.view(-1, joints, 1, joints).softmax(-1)
        return (share * self._kinds).view(-1, 2 * joints, joints)

    @staticmethod
    def convert_checkpoint(checkpoint: Mapping) -> dict[str, Tensor]:
        """Weights of PoseAug's ``SemGCN`` for :meth:`load_state_dict`.

        Args:
            checkpoint (Mapping): Content of the authors' file, or its state dict.

        Raises:
            ValueError: Weights of another network.
        """
        weights = {}
        for key, value in convert_keys(checkpoint, _RULES, 'SemGCN').items():
            layer, name = key.rsplit('.', 1)
            if name == 'W':  # (2, in, out)
                weights[f'{layer}.linear.weight'] = _both(value)
            elif name == 'e':
                weights[f'{layer}.edges'] = value
            elif layer.endswith('.norm'):
                weights[key] = value
            else:
                weights[f'{layer}.linear.bias'] = value
        return weights


class _Layer(nn.Module):
    """A graph convolution: joints are mixed by one product, channels by another, which has both W0 and W1."""

    def __init__(self, inputs: int, outputs: int, edges: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * inputs, outputs)
        self.edges = nn.Parameter(torch.ones(1, edges))
        # As the authors' weights (2, inputs, outputs) are, whose fans PyTorch takes for those of a kernel
        weight = nn.init.xavier_uniform_(torch.empty(2, inputs, outputs), gain=1.414)
        self.linear.weight.data.copy_(_both(weight))
        nn.init.uniform_(self.linear.bias, -1 / math.sqrt(outputs), 1 / math.sqrt(outputs))

    def rows(self, x: Tensor, mixing: Tensor) -> Tensor:
        """(B J, outputs) of (B, J, inputs)."""
        return self.linear(torch.matmul(mixing, x).view(-1, 2 * x.shape[-1]))

    def forward(self, x: Tensor, mixing: Tensor) -> Tensor:
        """(B, J, outputs) of (B, J, inputs), with the layer's share (2 J, J) of :meth:`SemGCNLifter.mixing`."""
        return self.rows(x, mixing).view(*x.shape[:2], -1)


class _NormedLayer(_Layer):
    """A graph convolution with batch normalisation, ReLU and dropout."""

    def __init__(self, inputs: int, outputs: int, edges: int, dropout: float) -> None:
        super().__init__(inputs, outputs, edges)
        self.norm = nn.BatchNorm1d(outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mixing: Tensor) -> Tensor:
        """(B, J, outputs) of (B, J, inputs), with the layer's share (2 J, J) of :meth:`SemGCNLifter.mixing`."""
        return self.dropout(self.norm(self.rows(x, mixing)).relu_()).view(*x.shape[:2], -1)


def _both(weight: Tensor) -> Tensor:
    """The authors' W0 and W1, (2, in, out), as the weight (out, 2 in) of one linear layer."""
    return weight.permute(2, 0, 1).flatten(1)
