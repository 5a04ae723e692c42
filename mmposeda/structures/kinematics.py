"""Poses as bones and back, rotations and the kinematic chain space, in torch and differentiable.

Legend: J joints, bones numbered by the joint they end in, in joint order and without the root: bone n of J - 1. A bone
is parent minus child, as in the authors' code of PoseAug. Lengths are in metres wherever a unit matters.

Products of matrices run in float32 at least, under automatic mixed precision too: half precision would move joints by
millimetres.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .skeleton import Skeleton

#: Below this squared angle a rotation is taken from its series, whose first missing term is then under 1e-13.
SERIES_BELOW = 1e-2


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision to float32; float32 and float64 as they are."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class KinematicTree(nn.Module):
    """The tree of a joint set: poses to bones and back, mirrored bones, and what belongs together in length.

    Its matrices are buffers that follow a model to its device and are not saved.

    Args:
        skeleton (Skeleton): Joint set with one root.

    Attributes:
        skeleton (Skeleton): The joint set.
        root (int): Index of the root joint.
        num_joints (int), num_bones (int): J and J - 1.
        child (tuple[int]), parent (tuple[int]): Joints at both ends, by bone.
        twins (tuple[int]): The mirrored bone, by bone; a bone in the middle is its own twin.
        length_groups (tuple[int]): By bone, the number of the group that shares one length change, numbered by first
            appearance: a bone and its twin.
        num_length_groups (int): G.

    Raises:
        ValueError: No root or several, or a tree that mirroring changes.
    """

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__()
        parents, count = skeleton.parents, skeleton.num_joints
        roots = [name for name, parent in zip(skeleton.joint_names, parents) if parent == -1]
        if len(roots) != 1 or count < 2:
            raise ValueError(
                f'skeleton {skeleton.name}: a kinematic tree needs one root and a bone at least, '
                f'got {count} joints with the roots {roots}'
            )
        _check_mirrored(skeleton)
        self.skeleton = skeleton
        self.root, self.num_joints, self.num_bones = parents.index(-1), count, count - 1
        self.child = tuple(joint for joint in range(count) if joint != self.root)
        self.parent = tuple(parents[joint] for joint in self.child)
        self.twins = tuple(self.child.index(skeleton.flip_indices[joint]) for joint in self.child)
        first = [min(bone, twin) for bone, twin in enumerate(self.twins)]
        self.length_groups = tuple(sorted(set(first)).index(bone) for bone in first)
        self.num_length_groups = len(set(first))
        self.register_buffer('_child', torch.tensor(self.child), persistent=False)
        self.register_buffer('_parent', torch.tensor(self.parent), persistent=False)
        # acts on flattened poses: one product, in a third of the time of a batch of small ones
        self.register_buffer('_paths', torch.kron(self._signed_paths(), torch.eye(3)), persistent=False)

    @classmethod
    def from_parents(cls, parents: Sequence[int], flip_indices: Sequence[int] | None = None) -> KinematicTree:
        """The tree of J parent indices, -1 for the root, in any order; without ``flip_indices`` no bone has a twin.

        The joints are named by their numbers.
        """
        parents = tuple(int(p) for p in parents)
        flips = range(len(parents)) if flip_indices is None else flip_indices
        names = tuple(str(joint) for joint in range(len(parents)))
        return cls(Skeleton('from_parents', names, parents, tuple(int(f) for f in flips), groups={}))

    def bone_of(self, joint: str) -> int:
        """Number of the bone that ends in a joint, by the joint's name or the alias it is matched by.

        Raises:
            KeyError: No such joint.
            ValueError: The root, in which no bone ends.
        """
        index = self.skeleton.index(joint)
        if index == self.root:
            raise ValueError(f'no bone ends in {joint!r}, the root of skeleton {self.skeleton.name}')
        return self.child.index(index)

    def bones(self, pose: Tensor) -> Tensor:
        """Bones (..., J - 1, 3) of poses (..., J, 3), parent minus child, exactly.

        Raises:
            ValueError: Poses of another number of joints.
        """
        _check(pose, self.num_joints, 'joints')
        pose = at_least_float32(pose)
        return pose.index_select(-2, self._parent) - pose.index_select(-2, self._child)

    def pose(self, bones: Tensor, root: Tensor | None = None) -> Tensor:
        """Poses (..., J, 3) from bones (..., J - 1, 3), with the root at (..., 1, 3), or at the origin.

        Raises:
            ValueError: Another number of bones.
        """
        _check(bones, self.num_bones, 'bones')
        bones = at_least_float32(bones)
        with torch.autocast(bones.device.type, enabled=False):
            flat = bones.flatten(-2) @ self._paths.to(bones.dtype)
        pose = flat.unflatten(-1, (self.num_joints, 3))
        return pose if root is None else pose + root

    def with_lengths(self, pose: Tensor, lengths: Tensor) -> Tensor:
        """Poses (..., J, 3) whose bones have other lengths and the same directions, the root where it was.

        A bone without length has no direction, and keeps its place; so does one with an end that is not finite.

        Args:
            pose (Tensor): (..., J, 3).
            lengths (Tensor): (..., J - 1), by bone; where they are not finite, bones keep their own.
        """
        bones = self.bones(pose)
        length = torch.linalg.vector_norm(bones, dim=-1)
        factor = lengths.to(bones) / torch.where(length > 0, length, 1.0)
        change = (factor - 1)[..., None] * bones
        return at_least_float32(pose) + self.pose(torch.where(change.isfinite(), change, 0.0))

    def _signed_paths(self) -> Tensor:
        """(J - 1, J), -1 where the bone is on the way from the root to the joint."""
        paths = torch.zeros(self.num_bones, self.num_joints)
        for joint in self.child:
            on_path = joint
            while on_path != self.root:
                bone = self.child.index(on_path)
                paths[bone, joint] = -1
                on_path = self.parent[bone]
        return paths

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return f'{self.skeleton.name}, num_joints={self.num_joints}'


def split_bones(bones: Tensor, eps: float = 1e-8) -> tuple[Tensor, Tensor]:
    """Directions (..., n, 3) and lengths (..., n, 1) of bones (..., n, 3).

    A bone shorter than ``eps`` metres has a direction shorter than 1, the zero bone none, with a finite gradient.
    """
    bones = at_least_float32(bones)
    length = torch.linalg.vector_norm(bones, dim=-1, keepdim=True)
    return bones / length.clamp_min(eps), length


def axis_angle_to_matrix(vector: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3), acting on columns, of axis times angle (..., 3) in radians, of any length.

    Rodrigues' formula with the half angle, and with its series near zero: exact there, and with finite gradients, where
    a norm in the denominator gives NaN.
    """
    vector = at_least_float32(vector)
    squared = vector.square().sum(-1, keepdim=True)
    small = squared < SERIES_BELOW
    near = torch.where(small, squared, 0.0)
    angle = torch.where(small, 1.0, squared).sqrt()
    sine_near = 1 - near / 6 * (1 - near / 20 * (1 - near / 42))
    versine_near = 0.5 - near / 24 * (1 - near / 30 * (1 - near / 56))
    sine = torch.where(small, sine_near, angle.sin() / angle)
    versine = torch.where(small, versine_near, 0.5 * ((angle / 2).sin() / (angle / 2)).square())
    x, y, z = (sine * vector).unbind(-1)
    none = torch.zeros_like(x)
    cross = torch.stack([none, -z, y, z, none, -x, -y, x, none], -1).unflatten(-1, (3, 3))
    outer = (versine * vector)[..., :, None] * vector[..., None, :]
    return outer + cross + torch.diag_embed((1 - versine * squared).expand_as(vector))


def rotate(matrix: Tensor, points: Tensor) -> Tensor:
    """Points (..., J, 3) turned by matrices (..., 3, 3), in float32 at least."""
    matrix, points = at_least_float32(matrix), at_least_float32(points)
    with torch.autocast(points.device.type, enabled=False):
        return points @ matrix.transpose(-1, -2)


def kcs_gram(unit: Tensor) -> Tensor:
    """Cosines between all pairs of directions (..., n, 3), (..., n, n): the kinematic chain space of Wandt et al."""
    unit = at_least_float32(unit)
    with torch.autocast(unit.device.type, enabled=False):
        return unit @ unit.transpose(-1, -2)


def _check_mirrored(skeleton: Skeleton) -> None:
    names, parents, flips = skeleton.joint_names, skeleton.parents, skeleton.flip_indices
    for child, parent in enumerate(parents):
        if parents[flips[child]] != (-1 if parent == -1 else flips[parent]):
            raise ValueError(
                f'skeleton {skeleton.name}: the parents of {names[child]!r} and of its mirrored joint '
                f'{names[flips[child]]!r} do not mirror each other. Make `parents` and `swap` of the meta file fit'
            )


def _check(points: Tensor, count: int, what: str) -> None:
    if points.ndim < 2 or points.shape[-2:] != (count, 3):
        raise ValueError(
            f'this kinematic tree takes {what} (..., {count}, 3), got {tuple(points.shape)}; convert poses of another '
            'joint set with Skeleton.map_to'
        )
