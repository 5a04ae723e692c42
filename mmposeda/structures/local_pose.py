"""Poses of bodies as directions of bones in frames of the limbs that they hang from, and forward kinematics.

Legend: J joints. A pose is (..., J, 3) in the camera's axes (x right, y down, z forward), in any unit.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .kinematics import KinematicTree, at_least_float32
from .skeleton import Skeleton

#: Lengths of the bones that end in a joint, of both sides: from neck to head top 2 (authors' code).
CANONICAL_LENGTHS = dict(
    neck=4.75, shoulder=1.37, elbow=2.8, wrist=2.4, head_top=2.0, hip=1.05, knee=4.2, ankle=3.6, foot=2.0
)
#: Parents of these joints, by the names without sides.
_PARENTS = dict(
    neck='pelvis',
    shoulder='neck',
    elbow='shoulder',
    wrist='elbow',
    head_top='neck',
    hip='pelvis',
    knee='hip',
    ankle='knee',
    foot='ankle',
)
#: Joints whose bones stay in the camera's axes: the view is in them.
TORSO = dict(hips=('neck', 'hip'), shoulders=('neck', 'hip', 'shoulder'))
#: Line across the body -> joints whose frames have it as first axis (our choice, after the authors' code). It goes from
#: right to left; that of the shoulders is known when they are.
_ACROSS = dict(hip=('shoulder', 'head_top', 'knee'), shoulder=('elbow',))
#: In a frame: what the second axis of the next bone's frame is taken from, and the next best (our choice).
_FIXED = ((0.3, 0.5, 0.81), (0.81, -0.3, 0.5))
#: Lengths below this count as none.
_SMALL = 1e-6
#: Sine of two directions below which they count as parallel.
_PARALLEL = 1e-3


class LocalPose(nn.Module):
    """Unit vectors of bones that do not change with the view, and back.

    The bones of neck and hips keep the camera's axes. Shoulders, head and knees are seen along the line between the
    hips and the spine, elbows along the line between the shoulders and the spine, wrists, ankles and toes in a frame of
    the bone before theirs. With a turn M of the whole pose, neck and hips turn by M and all else stays.

    Source: non-local relation distillation (Kundu et al., NeurIPS 2021), supplementary: parent-relative unit vectors,
    the view kept in neck and hips, forward kinematics at the decoder's end. The frames themselves are our choice, after
    the idea of the authors' code.

    Args:
        skeleton (Skeleton | str): A body whose tree is that of ``nlrd17`` or, without toes, ``nlrd15``.
        torso (str): Bones in the camera's axes. 'hips': neck and hips; 'shoulders': shoulders too, as in the authors'
            code.

    Attributes:
        skeleton (Skeleton): The joint set.
        root, num_joints (int): Index of the pelvis, and J.
        lengths (Tensor): (J,), canonical lengths of the bones that end in the joints, 0 at the root.

    Raises:
        ValueError: Another joint set or tree, or an unknown ``torso``.
    """

    def __init__(self, skeleton: Skeleton | str, torso: str = 'hips') -> None:
        super().__init__()
        if torso not in TORSO:
            raise ValueError(f'torso must be one of {", ".join(TORSO)}, got {torso!r}')
        self.skeleton = skeleton if isinstance(skeleton, Skeleton) else Skeleton.from_metainfo(skeleton)
        bare = [_bare(name) for name in self.skeleton.joint_names]
        _check_body(self.skeleton, bare)
        self.tree = KinematicTree(self.skeleton)
        self.root, self.num_joints = self.tree.root, self.tree.num_joints
        self.register_buffer('lengths', torch.tensor([CANONICAL_LENGTHS.get(n, 0.0) for n in bare]), persistent=False)
        self.register_buffer('_fixed', functional.normalize(torch.tensor(_FIXED), dim=-1), persistent=False)
        self._children = list(self.tree.child)
        self._spine = bare.index('neck')
        self._camera = [self.root, *(joint for joint, name in enumerate(bare) if name in TORSO[torso])]
        self._across, self._chains = [], []
        placed = set(self._camera)
        for line, names in _ACROSS.items():
            joints = [joint for joint, name in enumerate(bare) if name in names and joint not in placed]
            self._across.append((self.skeleton.index_all([f'left_{line}', f'right_{line}']), joints))
            placed.update(joints)
        parents = self.skeleton.parents
        while len(placed) < self.num_joints:
            joints = [j for j in range(self.num_joints) if j not in placed and parents[j] in placed]
            self._chains.append(([parents[j] for j in joints], joints))
            placed.update(joints)

    def directions(self, pose: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors (..., J, 3) from the joints' parents in the camera's axes, and lengths (..., J); 0 at the root.

        A bone without length has no direction: zeros.
        """
        bones = -self.tree.bones(pose)
        length = torch.linalg.vector_norm(bones, dim=-1, keepdim=True)
        return self._by_joint(bones / length.clamp_min(_SMALL)), self._by_joint(length)[..., 0]

    def bone_lengths(self, pose: Tensor) -> Tensor:
        """Lengths (..., J) of the bones that end in the joints, 0 at the root."""
        return self.directions(pose)[1]

    def local(self, pose: Tensor) -> Tensor:
        """Unit vectors (..., J, 3) in the frames of the limbs; the root's row is zero."""
        return self._walk(self.directions(pose)[0], inwards=True)

    def pose(self, local: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Forward kinematics: poses (..., J, 3), the root at the origin.

        Args:
            local (Tensor): (..., J, 3), unit vectors as :meth:`local` gives them.
            lengths (Tensor, optional): (..., J), of the bones that end in the joints; canonical ones by default.
        """
        return self._join(self._walk(at_least_float32(local), inwards=False), lengths)

    def canonical(self, pose: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Poses (..., J, 3) of the same directions with other lengths, canonical ones by default, the root at 0."""
        return self._join(self.directions(pose)[0], lengths)

    def _join(self, directions: Tensor, lengths: Tensor | None) -> Tensor:
        bones = -directions * (self.lengths if lengths is None else lengths).to(directions)[..., None]
        return self.tree.pose(bones[..., self._children, :])

    def _by_joint(self, values: Tensor) -> Tensor:
        """(..., J - 1, D) by bone to (..., J, D) by the joint that it ends in, zero at the root."""
        none = torch.zeros_like(values[..., :1, :])
        return torch.cat([values[..., : self.root, :], none, values[..., self.root :, :]], -2)

    def _walk(self, given: Tensor, inwards: bool) -> Tensor:
        """Unit vectors (..., J, 3) to those in the frames of the limbs (inwards), or from these to the camera's axes.

        Frames follow from directions of joints nearer to the root, which are known when they are needed.
        """
        rows = given.unbind(-2)
        turned = {joint: rows[joint] for joint in self._camera}
        camera = dict(enumerate(rows)) if inwards else turned
        fixed, spine = self._fixed.to(given).unbind(0), rows[self._spine]
        frames: dict[int, Tensor] = {}
        for (left, right), joints in self._across:
            if joints:
                frame = _frame(camera[left] - camera[right], (spine, *fixed))[..., None, :, :]
                self._turn(given, frame.expand(*frame.shape[:-3], len(joints), 3, 3), joints, inwards, turned, frames)
        for parents, joints in self._chains:
            before = torch.stack([frames[parent] for parent in parents], -3)
            references = [_out_of(before, axis.expand(before.shape[:-1])) for axis in fixed]
            frame = _frame(torch.stack([camera[parent] for parent in parents], -2), references)
            self._turn(given, frame, joints, inwards, turned, frames)
        return torch.stack([turned[joint] for joint in range(self.num_joints)], -2)

    @staticmethod
    def _turn(
        given: Tensor, frame: Tensor, joints: list[int], inwards: bool, turned: dict[int, Tensor], frames: dict
    ) -> None:
        """Turn the vectors of some joints by their frames (..., n, 3, 3), and remember both."""
        vectors = (_into if inwards else _out_of)(frame, given[..., joints, :])
        turned.update(zip(joints, vectors.unbind(-2)))
        frames.update(zip(joints, frame.unbind(-3)))


def _into(frame: Tensor, vectors: Tensor) -> Tensor:
    """Vectors (..., 3) in frames (..., 3, 3), whose rows are the axes."""
    return (frame * vectors[..., None, :]).sum(-1)


def _out_of(frame: Tensor, vectors: Tensor) -> Tensor:
    return (frame * vectors[..., :, None]).sum(-2)


def _frame(first: Tensor, references: Sequence[Tensor]) -> Tensor:
    """Orthonormal frames (..., 3, 3): rows along ``first``, in its plane with the reference, and across both.

    Of the references (..., 3) the first is taken that is not parallel to ``first``; without length this is itself
    replaced by the last but one.
    """
    last = references[-2].expand_as(first)
    length = torch.linalg.vector_norm(first, dim=-1, keepdim=True)
    along = torch.where(length > _SMALL, first / length.clamp_min(_SMALL), functional.normalize(last, dim=-1))
    aside = references[-1].expand_as(along)
    aside = aside - (aside * along).sum(-1, keepdim=True) * along
    for reference in references[-2::-1]:
        beside = reference - (reference * along).sum(-1, keepdim=True) * along
        far = torch.linalg.vector_norm(beside, dim=-1, keepdim=True) > _PARALLEL
        aside = torch.where(far, beside, aside)
    second = functional.normalize(aside, dim=-1, eps=_SMALL)
    return torch.stack([along, second, torch.linalg.cross(along, second)], -2)


def _bare(name: str) -> str:
    return name.removeprefix('left_').removeprefix('right_')


def _check_body(skeleton: Skeleton, bare: Sequence[str]) -> None:
    both = {*_PARENTS} - {'neck', 'head_top', 'foot'}
    wanted = {'pelvis', 'neck', 'head_top', *(f'{side}_{name}' for side in ('left', 'right') for name in both)}
    names = set(skeleton.joint_names)
    feet = {'left_foot', 'right_foot'}
    parents = {name: bare[p] if p != -1 else None for name, p in zip(skeleton.joint_names, skeleton.parents)}
    if names not in (wanted, wanted | feet) or any(parents[n] != _PARENTS.get(_bare(n)) for n in names):
        raise ValueError(
            f'skeleton {skeleton.name!r} is not the body of non-local relation distillation: expected the joints and '
            f'tree of nlrd17, or of nlrd15 without toes; got {", ".join(skeleton.joint_names)}'
        )
