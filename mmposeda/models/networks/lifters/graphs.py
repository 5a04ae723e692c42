"""Graphs of a joint set for graph convolutions, from its tree and its mirrored joints alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mmposeda.structures.skeleton import Skeleton

#: Between them lies the neck, which the graph of ST-GCN has a node for.
NECK_ENDS = ('thorax', 'head')


def bone_pairs(parents: Sequence[int]) -> list[tuple[int, int]]:
    """Child and parent of every bone."""
    return [(child, parent) for child, parent in enumerate(parents) if parent != -1]


def linked(count: int, pairs: Iterable[tuple[int, int]]) -> Tensor:
    """(count, count) bool, True between the nodes of a pair, both ways, and from a node to itself."""
    matrix = torch.eye(count, dtype=torch.bool)
    for a, b in pairs:
        matrix[a, b] = matrix[b, a] = True
    return matrix


def steps_from(start: int, bones: list[tuple[int, int]], count: int) -> Tensor:
    """(count,) bones between every node and the start; -1 where there is no way."""
    near, steps = linked(count, bones), torch.full((count,), -1)
    reached, step = torch.zeros(count, dtype=torch.bool), 0
    front = reached.clone()
    front[start] = True
    while front.any():
        steps[front] = step
        reached |= front
        front, step = near[front].any(0) & ~reached, step + 1
    return steps


def spatial_partitions(bones: list[tuple[int, int]], mirrored: list[tuple[int, int]], distance: Tensor) -> Tensor:
    """Weights of neighbours by their kind: itself, farther from the centre, nearer to it, mirrored (Cai et al.).

    Args:
        bones (list[tuple[int]]): Pairs of linked nodes.
        mirrored (list[tuple[int]]): Pairs of left and right nodes, linked too.
        distance (Tensor): (V,) of the nodes from the centre.

    Returns:
        Tensor: (4, V, V) float32, entry k, v, w for what node w takes of node v; the weights of a node sum to 1.
    """
    count = len(distance)
    eye = torch.eye(count, dtype=torch.bool)
    twins = linked(count, mirrored) & ~eye
    limbs = linked(count, bones) & ~eye & ~twins
    farther, nearer = distance[:, None] > distance[None], distance[:, None] < distance[None]
    kinds = torch.stack([eye, limbs & farther, limbs & nearer, twins]).float()
    return kinds / (eye | limbs | twins).sum(0)


@dataclass(frozen=True)
class BodyGraph:
    """Nodes of a body for ST-GCN, and the parts they are pooled to.

    Attributes:
        joints_to_nodes (Tensor): (V, J) float32, nodes as means of joints.
        joints (tuple[int]): J, the node of every joint.
        partitions (Tensor): (4, V, V) of the nodes, see :func:`spatial_partitions`.
        parts (tuple[tuple[int]]): Nodes of the P parts: the limbs, then the trunk.
        part_partitions (Tensor): (4, P, P) of the parts.
    """

    joints_to_nodes: Tensor = field(repr=False)
    joints: tuple
    partitions: Tensor = field(repr=False)
    parts: tuple
    part_partitions: Tensor = field(repr=False)

    @property
    def num_nodes(self) -> int:
        """V."""
        return len(self.joints_to_nodes)

    @classmethod
    def from_skeleton(cls, skeleton: Skeleton, center: str = 'spine') -> BodyGraph:
        """The graph of a joint set.

        A node for every joint, and one for the neck, the middle of ``thorax`` and ``head``, where the head hangs on the
        thorax without a joint between. Nodes are linked along bones and with their mirrored ones. The limbs are what
        connected joints with a left and a right form, the trunk is the rest.

        Args:
            center (str): The joint that distances are counted from, by name.

        Raises:
            KeyError: No joint of that name.
            ValueError: A joint set without a trunk or without limbs.
        """
        weights, joints, parents, flips = _nodes(skeleton)
        bones = bone_pairs(parents)
        twins = [(node, flip) for node, flip in enumerate(flips) if node < flip]
        distance = steps_from(joints[skeleton.index(center)], bones, len(parents))
        parts = _parts(skeleton, flips, bones)
        trunk = len(parts) - 1
        part_of = {node: number for number, part in enumerate(parts) for node in part}
        part_twins = sorted({tuple(sorted((part_of[a], part_of[b]))) for a, b in twins if part_of[a] != part_of[b]})
        limbs = [(limb, trunk) for limb in range(trunk)]
        return cls(
            joints_to_nodes=weights,
            joints=joints,
            partitions=spatial_partitions(bones, twins, distance),
            parts=parts,
            part_partitions=spatial_partitions(limbs, part_twins, steps_from(trunk, limbs, len(parts))),
        )


def _nodes(skeleton: Skeleton) -> tuple[Tensor, tuple[int, ...], list[int], list[int]]:
    """Nodes as means of joints (V, J), the node of every joint, and the nodes' parents and mirrored ones."""
    names, parents, flips = skeleton.joint_names, list(skeleton.parents), list(skeleton.flip_indices)
    weights, joints = torch.eye(len(names)), list(range(len(names)))
    if all(name in names for name in NECK_ENDS):
        thorax, head = (names.index(name) for name in NECK_ENDS)
        if parents[head] == thorax:  # the neck goes in front of the head, where the 17 joints of Human3.6M have it
            joints = [joint + (joint >= head) for joint in joints]
            parents = [-1 if parent == -1 else joints[parent] for parent in parents]
            parents[head : head + 1] = [joints[thorax], head]
            flips = [joints[flip] for flip in flips]
            flips.insert(head, head)
            middle = (weights[thorax] + weights[head])[None] / 2
            weights = torch.cat([weights[:head], middle, weights[head:]])
    return weights, tuple(joints), parents, flips


def _parts(skeleton: Skeleton, flips: list[int], bones: list[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    """Nodes of the limbs, then of the trunk."""
    sided = [node for node, flip in enumerate(flips) if node != flip]
    trunk = tuple(node for node, flip in enumerate(flips) if node == flip)
    if not sided or not trunk:
        raise ValueError(
            f'skeleton {skeleton.name}: a body graph needs joints with a left and a right and joints without, got '
            f'{len(trunk)} of {len(flips)} without'
        )
    inner = [(a, b) for a, b in bones if a in sided and b in sided]
    limbs = {tuple((steps_from(node, inner, len(flips)) >= 0).nonzero()[:, 0].tolist()) for node in sided}
    return (*sorted(limbs), trunk)
