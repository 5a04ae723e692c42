"""What was done to the bones of one pose, done to other poses of the same person, and to joints it did not have.

Legend: F poses, K joints of theirs, J joints of the edited pose, N edits of it. Any unit.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .kinematics import KinematicTree, rotate, split_bones
from .procrustes import similarity_transform
from .skeleton import Skeleton

#: Bones shorter than this, in the poses' unit, have no direction that could turn (our choice).
MIN_LENGTH = 1e-6


class BoneTransfer(nn.Module):
    """Carries an edit of one pose over to others by the turn and the stretch of each bone (our choice throughout).

    A bone's turn is the smallest rotation from its old to its new direction, its stretch the ratio of its lengths. In
    another pose the same turn is made in the frame of the trunk: an arm that is raised by the edit is raised there too,
    wherever the person has turned to in between. All poses keep their root.

    Joints that the edit does not know move rigidly with the bone that they lie on, as the neck between thorax and head,
    or hang from, as fingers from the wrist; those at the root stay.

    Args:
        edited (Skeleton): Joint set of the edited pose; its bones lie along those of ``poses``.
        poses (Skeleton): Joint set of the poses that the edit is carried to.

    Attributes:
        picks (Tensor): (J,), which joints of the poses are those of the edited one.

    Raises:
        ValueError: The poses lack joints of the edited one, or have them in another tree.
    """

    def __init__(self, edited: Skeleton, poses: Skeleton) -> None:
        super().__init__()
        joint_map = poses.map_to(edited)
        missing = [name for name, row in zip(edited.joint_names, joint_map.weights) if sorted(row)[-2:] != [0, 1]]
        if missing:
            raise ValueError(
                f'joints of {edited.name!r} are edited, but poses of {poses.name!r} do not hold {", ".join(missing)}'
            )
        self.edited, self.tree = KinematicTree(edited), KinematicTree(poses)
        picks = joint_map.indices.tolist()
        follows = _bones_along(self.edited, self.tree, picks)
        trunk = [joint for joint in poses.parts.get('torso', ()) if joint in self.tree.parent]
        self.trunk = sorted({self.tree.root, *trunk})
        self.register_buffer('picks', torch.tensor(picks), persistent=False)
        self.register_buffer('_follows', torch.tensor(follows), persistent=False)

    def forward(self, poses: Tensor, reference: int, before: Tensor, after: Tensor) -> Tensor:
        """Carry edits over.

        Args:
            poses (Tensor): (F, K, 3).
            reference (int): Which of them was edited.
            before (Tensor): (J, 3), its joints.
            after (Tensor): (N, J, 3), edited.

        Returns:
            Tensor: (N, F, K, 3).

        Raises:
            ValueError: Several poses of a joint set without the part ``torso``.
        """
        old, old_length = split_bones(self.edited.bones(before), MIN_LENGTH)
        new, new_length = split_bones(self.edited.bones(after), MIN_LENGTH)
        factor = torch.where(old_length > MIN_LENGTH, new_length / old_length.clamp_min(MIN_LENGTH), 1.0)
        axes = (old.expand_as(new), F.normalize(old + new, dim=-1, eps=MIN_LENGTH))
        # one bone more, which neither turns nor stretches
        first, second = (self._of_poses(F.pad(axis, (0, 0, 0, 1))) for axis in axes)
        factor = self._of_poses(F.pad(factor, (0, 0, 0, 1), value=1.0))
        if len(poses) > 1:
            turn = self._trunk_turns(poses, reference)
            first, second = rotate(turn, first), rotate(turn, second)
        bones = self.tree.bones(poses)
        # two half turns, about the old direction and about the middle of both, are the smallest rotation between them
        turned = _half_turn(second, _half_turn(first, bones))
        return self.tree.pose(turned * factor, poses[:, self.tree.root, None])

    def _of_poses(self, values: Tensor) -> Tensor:
        """(N, J, D) of the edit's bones and one more, to (N, 1, K - 1, D) of the poses'."""
        return values.index_select(-2, self._follows)[:, None]

    def _trunk_turns(self, poses: Tensor, reference: int) -> Tensor:
        """Rotations (F, 3, 3) of the trunk since the reference."""
        if len(self.trunk) < 3:
            raise ValueError(
                f"how a person turns between poses is told from the part 'torso', which joint set "
                f'{self.tree.skeleton.name!r} lacks: name its joints in `parts` of the meta file'
            )
        trunk = poses[:, self.trunk]
        return similarity_transform(trunk[reference].expand_as(trunk), trunk, scaling=False).rotation.to(poses.dtype)


def _half_turn(axis: Tensor, vectors: Tensor) -> Tensor:
    """Vectors turned by 180 degrees about axes of length 1."""
    return 2 * (axis * vectors).sum(-1, keepdim=True) * axis - vectors


def _bones_along(edited: KinematicTree, tree: KinematicTree, picks: list[int]) -> list[int]:
    """By bone of ``tree``, the bone of ``edited`` that it turns with; ``edited.num_bones`` for none."""
    names = tree.skeleton.joint_names
    on: dict[int, list[int]] = {joint: [] for joint in range(tree.num_joints)}
    for bone, (child, parent) in enumerate(zip(edited.child, edited.parent)):
        joint, stop = picks[child], picks[parent]
        while joint != stop:
            if joint == -1:
                raise ValueError(
                    f'the bone from {names[picks[parent]]!r} to {names[picks[child]]!r} of {edited.skeleton.name!r} is '
                    f'not along the tree of {tree.skeleton.name!r}, where the one is no ancestor of the other'
                )
            on[joint].append(bone)
            joint = tree.skeleton.parents[joint]

    def follow(joint: int) -> int:
        if joint == tree.root:
            return edited.num_bones
        # a piece that several edited bones share goes with what is above it
        return on[joint][0] if len(on[joint]) == 1 else follow(tree.skeleton.parents[joint])

    return [follow(joint) for joint in tree.child]
