"""Poses in 2D and 3D as a reader of a data set gives them, in the joints of its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmposeda.structures.skeleton import Skeleton

from .annotations import LIMIT, AnnotationError
from .lifting_cameras import WIDTH

#: Metres; a pose whose joints span less or more is in another unit.
SPAN = (0.2, 10)


@dataclass
class LiftingPoses:
    """What a reader gives: arrays of N samples in the joints of the file.

    Attributes:
        poses (np.ndarray): (N, J, 3) float32, metres, camera frame, absolute.
        keypoints (np.ndarray | None): (N, J, 2) float32, pixels; None has them projected.
        camera (np.ndarray): (N,) int32, row of ``cameras``.
        cameras (np.ndarray): (C, 11), see :mod:`~mmposeda.datasets.lifting_cameras`; NaN for unknown intrinsics.
        sequence (np.ndarray): (N,) int32, row of ``sequence_names``: samples of one take before one camera, in order.
        sequence_names (list[str]): (S,) format strings of the pictures' names, which get the frame.
        frame (np.ndarray): (N,) int32, number of the frame in its sequence.
        action, subject (np.ndarray): (N,) int32, rows of ``action_names`` and ``subject_names``.
        action_names, subject_names (list[str]): Names.
        visible (np.ndarray | None): (N, J) bool, joints that count; None is all.
        joints (str): Meta file of the joints.
        absolute (bool): Whether the root is where it is in the camera's frame; False if it is at the origin.
    """

    poses: np.ndarray
    keypoints: np.ndarray | None
    camera: np.ndarray
    cameras: np.ndarray
    sequence: np.ndarray
    sequence_names: list
    frame: np.ndarray
    action: np.ndarray
    action_names: list
    subject: np.ndarray
    subject_names: list
    visible: np.ndarray | None = None
    joints: str = 'h36m'
    absolute: bool = True

    def take(self, rows: np.ndarray | slice) -> LiftingPoses:
        """The samples of ``rows``; names that are left without any are dropped."""
        arrays = {
            key: None if getattr(self, key) is None else getattr(self, key)[rows]
            for key in ('poses', 'keypoints', 'camera', 'frame', 'visible')
        }
        for key, names in (('sequence', 'sequence_names'), ('action', 'action_names'), ('subject', 'subject_names')):
            kept, arrays[key] = np.unique(getattr(self, key)[rows], return_inverse=True)
            arrays[key] = arrays[key].reshape(-1).astype(np.int32)
            arrays[names] = [getattr(self, names)[n] for n in kept]
        return LiftingPoses(**arrays, cameras=self.cameras, joints=self.joints, absolute=self.absolute)

    def check(self, owner: str) -> None:
        """Check that the arrays fit together and hold people in metres.

        Args:
            owner (str): What the message begins with.

        Raises:
            AnnotationError: they do not.
        """
        count, joints = len(self.poses), Skeleton.from_metainfo(self.joints).num_joints
        if not count:
            raise AnnotationError(f'{owner}: no pose in the files')
        shapes = dict(poses=(count, joints, 3), keypoints=(count, joints, 2), visible=(count, joints))
        shapes.update(dict.fromkeys(('camera', 'sequence', 'frame', 'action', 'subject'), (count,)))
        for key, shape in {**shapes, 'cameras': (len(self.cameras), WIDTH)}.items():
            array = getattr(self, key)
            if array is not None and array.shape != shape:
                raise AnnotationError(f'{owner}: {key} have shape {array.shape}, expected {shape}')
        for key in ('poses', 'keypoints'):
            array = getattr(self, key)
            good = np.ones(count, bool) if array is None else (np.abs(array) <= LIMIT).all((1, 2))
            if not good.all():
                row = int(np.argmin(good))
                where = self.sequence_names[self.sequence[row]].format(int(self.frame[row]))
                raise AnnotationError(
                    f'{owner}: {key} of {count - int(good.sum())} samples are NaN, infinite or absurd, first in {where}'
                )
        some = self.poses[:: max(count // 1000, 1)]
        span = float(np.median((some.max(1) - some.min(1)).max(1)))
        if not SPAN[0] <= span <= SPAN[1]:
            raise AnnotationError(
                f'{owner}: people span {span:.4g} where metres are expected; is the file in another unit?'
            )

    def choose(
        self, owner: str, subjects: Sequence[str] | None, actions: Sequence[str] | None, stride: int = 1
    ) -> LiftingPoses:
        """The samples of some subjects and actions (all if None), every stride-th frame of each sequence.

        Raises:
            ValueError: an unknown name, or nothing is left.
        """
        keep = np.ones(len(self.poses), bool)
        for what, wanted in (('subject', subjects), ('action', actions)):
            if wanted is not None:
                names = getattr(self, f'{what}_names')
                chosen = [names.index(name) for name in known(owner, f'{what}s', wanted, names)]
                keep &= np.isin(getattr(self, what), chosen)
        if stride > 1:
            keep &= places(self.sequence) % stride == 0
        if not keep.any():
            raise ValueError(f'{owner} has no pose of subjects={subjects} and actions={actions} together')
        return self.take(slice(None) if keep.all() else np.flatnonzero(keep))

    def map_joints(self, owner: str, skeleton: Skeleton) -> None:
        """Turn all arrays into the joints of another set, by name.

        Raises:
            ValueError: joints are missing; lists them.
        """
        own = Skeleton.from_metainfo(self.joints)
        joint_map = own.map_to(skeleton)
        if not joint_map.mask.all():
            missing = [name for name, there in zip(skeleton.joint_names, joint_map.mask) if not there]
            raise ValueError(
                f'{owner} has joints of {own.name!r}, which do not give {", ".join(missing)} of {skeleton.name!r}; '
                'choose another joint set with `joints`'
            )
        visible = np.ones(self.poses.shape[:2], bool) if self.visible is None else self.visible
        if joint_map.is_permutation:
            self.poses, visible = self.poses[:, joint_map.indices], visible[:, joint_map.indices]
            self.keypoints = None if self.keypoints is None else self.keypoints[:, joint_map.indices]
        else:
            self.poses, visible = joint_map.apply(self.poses, visible)
            self.keypoints = None if self.keypoints is None else joint_map.apply(self.keypoints)
        self.visible, self.joints = None if visible.all() else visible, skeleton.name


def places(sequence: np.ndarray) -> np.ndarray:
    """Place (N,) of each sample in its run of equal numbers (N,), from 0."""
    first = np.r_[0, np.flatnonzero(np.diff(sequence)) + 1]
    return np.arange(len(sequence)) - np.repeat(first, np.diff(np.r_[first, len(sequence)]))


def known(owner: str, what: str, wanted: Sequence[str], names: Sequence[str]) -> list[str]:
    """``wanted`` as a list, if all of it is in ``names``.

    Raises:
        ValueError: a name is not there, or ``wanted`` is one text; lists what is there.
    """
    if isinstance(wanted, str) or set(wanted) - set(names):
        unknown = wanted if isinstance(wanted, str) else ', '.join(sorted(map(str, set(wanted) - set(names))))
        raise ValueError(f'{owner} got {what}={wanted!r}: expected a list of {", ".join(names)}; unknown: {unknown}')
    return list(wanted)
