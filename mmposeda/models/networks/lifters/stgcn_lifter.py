"""The single-frame form of ST-GCN for poses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mmposeda.registry import MODELS
from mmposeda.structures.skeleton import Skeleton

from .base import DenseLayer, Lifter, convert_keys
from .graphs import BodyGraph

#: Of the graph convolutions, of the body's vector, of what the parts hand back, and in front of the last layer
DROPOUTS = (0.05, 0.25, 0.1, 0.1)

_RULES = {
    r'(?:stgcn\.)?data_bn\.(\w+)': r'input_norm.\1',
    r'(?:stgcn\.)?st_gcn_networks\.(\d+)\.(.+)': r'joint_layers.\1.\2',
    r'(?:stgcn\.)?st_gcn_pool\.(\d+)\.(.+)': r'part_layers.\1.\2',
    r'(?:stgcn\.)?conv4\.0\.(\w+)': r'body.linear.\1',
    r'(?:stgcn\.)?conv4\.1\.(\w+)': r'body.norm.\1',
    r'(?:stgcn\.)?conv2\.0\.(\w+)': r'spread.both.\1',
    r'(?:stgcn\.)?conv2\.1\.(\w+)': r'spread.norm.\1',
    r'(?:stgcn\.)?non_local\.(theta|phi|g)\.(\w+)': r'attention.\1.\2',
    r'(?:stgcn\.)?non_local\.W\.0\.(\w+)': r'attention.back.\1',
    r'(?:stgcn\.)?non_local\.W\.1\.(\w+)': r'attention.norm.\1',
    r'(?:stgcn\.)?fcn\.1\.(\w+)': r'last.\1',
}
_INNER = {
    'gcn.conv': 'graph',
    'tcn.0': 'norm1',
    'tcn.3': 'linear',
    'tcn.4': 'norm2',
    'residual.0': 'skip.0',
    'residual.1': 'skip.1',
}


@MODELS.register_module()
class STGCNLifter(Lifter):
    """Graph convolutions on joints and, pooled, on the parts of the body (Cai et al., ICCV 2019), for single frames.

    ``stgcn`` in PoseAug's code: three graph convolutions on the joints; the largest of every part's nodes, two graph
    convolutions on the parts, and the largest of those as a vector of the body; what parts and body know goes back to
    the joints, over which a non-local block looks before the last layer. The root is not forced to 0.

    The graph is :class:`~mmposeda.models.networks.lifters.graphs.BodyGraph`'s: the 16 joints of ``body16_3d`` get a
    17th node, the neck, in the middle of thorax and head, and the parts are arms, legs and trunk.

    Args:
        skeleton (str | dict | Skeleton): Joint set: the name of a meta file, meta information or a skeleton.
        channels (Sequence[int]): Widths of the graph convolutions on joints, at least one (3,627,847 parameters in
            all by default, for 16 joints).
        part_channels (int): Width of those on parts.
        dropout (float, optional): Probability in the whole network, 0 in PoseAug's own runs. None: the authors' of the
            pre-training, 0.05 in graph convolutions, 0.25 behind the body's vector, 0.1 where that goes back and in
            front of the last layer.
        input_eps (float): Added to the variance of the points in the first normalisation. In the authors' code it is
            0.1, by a slip (the momentum stands in its place): with points in screen units, whose variance is about as
            large, it also says how much of the points' spread the normalisation leaves. 1e-5 normalises fully.
        center (str): Name of the joint from which "nearer" and "farther" neighbours are counted.
        init_cfg (dict, optional): Initialisation of MMEngine's.

    Raises:
        KeyError: No joint of the centre's name.
        ValueError: A joint set without a trunk or without limbs.
    """

    def __init__(
        self,
        skeleton: str | dict | Skeleton = 'body16_3d',
        channels: Sequence[int] = (128, 128, 256),
        part_channels: int = 512,
        dropout: float | None = None,
        input_eps: float = 0.1,
        center: str = 'spine',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(skeleton, init_cfg)
        drop = DROPOUTS if dropout is None else (dropout,) * len(DROPOUTS)
        graph, out = BodyGraph.from_skeleton(self.skeleton, center), channels[-1]
        self.input_norm = nn.BatchNorm1d(2 * graph.num_nodes, eps=input_eps)
        widths = [2, *channels]
        self.joint_layers = nn.ModuleList(
            _GraphLayer(before, after, graph.partitions, drop[0], skip=number > 0)
            for number, (before, after) in enumerate(zip(widths, widths[1:]))
        )
        self.part_layers = nn.ModuleList(
            _GraphLayer(before, part_channels, graph.part_partitions, drop[0]) for before in (out, part_channels)
        )
        self.body = DenseLayer(part_channels, part_channels, drop[1], bias=True)
        self.spread = _Spread(part_channels, out, drop[2])
        self.attention = _NonLocal(2 * out)
        self.dropout = nn.Dropout(drop[3])
        self.last = nn.Linear(2 * out, 3)
        self._place_nodes(graph)

    def _place_nodes(self, graph: BodyGraph) -> None:
        longest = max(len(part) for part in graph.parts)
        # a node that stands twice changes no maximum, so every part can be as long as the longest
        members = [[*part, *[part[0]] * (longest - len(part))] for part in graph.parts]
        belongs = torch.tensor([[float(node in part) for part in graph.parts] for node in range(graph.num_nodes)])
        self.num_parts = len(graph.parts)
        self.register_buffer('_to_nodes', graph.joints_to_nodes, persistent=False)
        self.register_buffer('_joints', torch.tensor(graph.joints), persistent=False)
        self.register_buffer('_members', torch.tensor(members).flatten(), persistent=False)
        self.register_buffer('_belongs', belongs, persistent=False)  # (V, P)

    def lift(self, points: Tensor) -> Tensor:
        """Poses (B, J, 3) of points (B, J, 2)."""
        nodes = torch.matmul(self._to_nodes, points)
        x = self.input_norm(nodes.flatten(1)).view_as(nodes)  # (B, V, 2)
        for layer in self.joint_layers:
            x = layer(x)
        parts = x.index_select(1, self._members).view(len(x), self.num_parts, -1, x.shape[2]).amax(2)  # (B, P, C)
        for layer in self.part_layers:
            parts = layer(parts)
        known = self.spread(parts, self.body(parts.amax(1)))
        x = self.attention(torch.cat([x, torch.matmul(self._belongs, known)], 2))
        return self.last(self.dropout(x)).index_select(1, self._joints)

    @staticmethod
    def convert_checkpoint(checkpoint: Mapping) -> dict[str, Tensor]:
        """Weights of PoseAug's ``WrapSTGCN`` for :meth:`load_state_dict`, of a lifter of ``body16_3d``.

        Args:
            checkpoint (Mapping): Content of the authors' file, or its state dict.

        Raises:
            ValueError: Weights of another network, or not all of them.
        """
        try:
            return STGCNLifter._fuse(convert_keys(checkpoint, _RULES, 'ST-GCN'))
        except KeyError as error:
            raise ValueError(f'the checkpoint lacks weights of ST-GCN: {error} cannot be made') from None

    @staticmethod
    def _fuse(renamed: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Join the kinds of a graph convolution and the three embeddings, and split what body and part share."""
        weights = {}
        for key, value in renamed.items():
            value = value.flatten(1) if value.ndim == 4 else value
            for theirs, ours in _INNER.items():
                key = key.replace(f'.{theirs}.', f'.{ours}.')
            weights[key] = value
        for layer in {key.split('.graph.')[0] for key in weights if '.graph.' in key}:
            width = len(weights[f'{layer}.norm1.weight'])
            # (K out, in) to (out, K in), the bias to (K, out)
            kinds = weights.pop(f'{layer}.graph.weight').unflatten(0, (-1, width))
            weights[f'{layer}.graph.weight'] = kinds.transpose(0, 1).flatten(1)
            weights[f'{layer}.bias'] = weights.pop(f'{layer}.graph.bias').unflatten(0, (-1, width))
        for name in ('weight', 'bias'):
            three = [weights.pop(f'attention.{part}.{name}') for part in ('theta', 'phi', 'g')]
            weights[f'attention.embed.{name}'] = torch.cat(three)
        weights['spread.body.weight'], weights['spread.part.weight'] = weights.pop('spread.both.weight').chunk(2, 1)
        weights['spread.body.bias'] = weights.pop('spread.both.bias')
        return weights


class _GraphLayer(nn.Module):
    """A graph convolution, a linear layer and a skip, each normalised.

    Neighbours of K kinds have weights of their own; nodes are mixed by one product and channels, of all kinds, by
    another.
    """

    def __init__(self, inputs: int, outputs: int, partitions: Tensor, dropout: float, skip: bool = True) -> None:
        super().__init__()
        kinds, nodes = partitions.shape[:2]
        self.graph = nn.Linear(kinds * inputs, outputs, bias=False)
        self.bias = nn.Parameter(torch.empty(kinds, outputs))
        nn.init.uniform_(self.graph.weight, -(inputs**-0.5), inputs**-0.5)  # as a 1x1 convolution for each kind
        nn.init.uniform_(self.bias, -(inputs**-0.5), inputs**-0.5)
        self.norm1, self.norm2 = nn.BatchNorm1d(outputs), nn.BatchNorm1d(outputs)
        self.linear = nn.Linear(outputs, outputs)
        self.dropout = nn.Dropout(dropout)
        self.skip = None
        if skip and inputs != outputs:
            self.skip = nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs))
        elif skip:
            self.skip = nn.Identity()
        self.register_buffer('_mixing', partitions.permute(2, 0, 1).reshape(nodes * kinds, nodes), persistent=False)
        self.register_buffer('_sums', partitions.sum(1).t().contiguous(), persistent=False)  # (V, K)

    def forward(self, x: Tensor) -> Tensor:
        """(B, V, outputs) of (B, V, inputs)."""
        batch, nodes, inputs = x.shape
        mixed = self.graph(torch.matmul(self._mixing, x).view(batch, nodes, -1)).add_(self._sums @ self.bias)
        y = self.dropout(self.norm1(mixed.flatten(0, 1)).relu_())
        y = self.dropout(self.norm2(self.linear(y)))
        if self.skip is not None:
            y = y + self.skip(x.reshape(-1, inputs))
        return y.relu_().view(batch, nodes, -1)


class _Spread(nn.Module):
    """What a part is told: a layer on the vectors of body and part, of which the body's is computed once."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        both = nn.Linear(2 * inputs, outputs)
        self.body, self.part = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs, bias=False)
        for layer, weight in zip((self.body, self.part), both.weight.data.chunk(2, 1)):
            layer.weight.data.copy_(weight)
        self.body.bias.data.copy_(both.bias.data)
        self.norm = nn.BatchNorm1d(outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, parts: Tensor, body: Tensor) -> Tensor:
        """(B, P, outputs) of (B, P, inputs) and (B, inputs)."""
        both = self.part(parts) + self.body(body)[:, None]
        return self.dropout(self.norm(both.flatten(0, 1)).relu_()).view_as(both)


class _NonLocal(nn.Module):
    """Non-local block in its embedded Gaussian form (Wang et al., CVPR 2018), over the nodes; the identity at first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.embed = nn.Linear(channels, 3 * (channels // 2))
        self.back, self.norm = nn.Linear(channels // 2, channels), nn.BatchNorm1d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, V, C) of the same."""
        theta, phi, g = self.embed(x).chunk(3, 2)
        y = torch.matmul(torch.matmul(theta, phi.transpose(1, 2)).softmax(-1), g)
        return x + self.norm(self.back(y).flatten(0, 1)).view_as(x)
