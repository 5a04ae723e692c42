"""3DPW, people in the wild, as 2D and 3D poses."""

from __future__ import annotations

import os.path as osp
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from mmposeda.registry import DATASETS
from mmposeda.structures.lifting_camera import MIN_DEPTH
from mmposeda.structures.skeleton import Skeleton

from .annotations import AnnotationError
from .lifting import LiftingDataset, LiftingPoses
from .lifting_cameras import camera_row, load_pickle
from .lifting_poses import known
from .single import one_of

LIMBS = tuple(
    f'{side}_{joint}' for joint in ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist') for side in ('left', 'right')
)
#: joints of SMPL's 24 that count
SCORED = dict(common14=(*LIMBS, 'neck', 'head'), limbs12=LIMBS)


@DATASETS.register_module()
class ThreeDPWDataset(LiftingDataset):
    """3DPW (von Marcard et al., ECCV 2018) for lifting: one or two people a sequence, before a hand-held camera.

    Layout: ``data_root/sequenceFiles/{train,validation,test}/<sequence>.pkl``, of which ``jointPositions`` (SMPL's 24
    joints), ``cam_poses``, ``cam_intrinsics`` and ``campose_valid`` are read. The files are pickles of Python 2: they
    are read as data, nothing in them is run. Pictures are not needed; they are as large as twice the principal point.

    Frames whose camera was not aligned are left out, and those in which someone's joint is behind the camera. 2D poses
    are the projected 3D poses; detections that come with the set are of other joints. An action is a sequence, a
    subject the number of the person in it.

    Most papers score 14 joints that a regressor makes from SMPL's mesh, for which its model file is needed. Here the
    joints of the skeleton take their place: limbs, neck and head. The head of SMPL's skeleton is well below the top of
    the head of other sets, and its hips are lower and closer together: say so with results, or score ``limbs12``.

    Args:
        split (str): ``train`` (24 sequences), ``validation`` (12) or ``test`` (24).
        scored (str): Which joints count in tests: ``common14``, ``limbs12`` or ``all``.
        kwargs: of :class:`~mmposeda.datasets.lifting.LiftingDataset`.

    Raises:
        FileNotFoundError: there is no sequence; says where the data is had.
        AnnotationError: a file is no sequence of 3DPW, or holds more than data.
        ValueError: unknown split, joints or names.
    """

    HOW_TO_GET = (
        '3DPW is free for research: accept the terms at https://virtualhumans.mpi-inf.mpg.de/3DPW/ and unpack '
        'sequenceFiles.zip so that data_root holds sequenceFiles/; the pictures are not needed.'
    )

    def __init__(self, split: str = 'test', scored: str = 'common14', **kwargs):
        self.split = one_of('ThreeDPWDataset', 'split', split, ('train', 'validation', 'test'))
        self.scored = one_of('ThreeDPWDataset', 'scored', scored, (*SCORED, 'all'))
        super().__init__(**kwargs)

    def read(self) -> LiftingPoses:
        """All people of all sequences of the split."""
        folder = self.existing(osp.join('sequenceFiles', self.split), 'folder')
        paths = sorted(Path(folder).glob('*.pkl'))
        if not paths:
            raise FileNotFoundError(f'{folder} holds no sequence (*.pkl). {self.HOW_TO_GET}')
        if self.actions is not None:  # they are large: others need not be read
            chosen = known(type(self).__name__, 'actions', self.actions, [path.stem for path in paths])
            paths = [path for path in paths if path.stem in chosen]
        people, cameras, behind = [], [], 0
        for number, path in enumerate(paths):
            camera, persons, dropped = self._people(path)
            cameras.append(camera)
            behind += dropped
            people.extend((number, person, frames, poses) for person, (frames, poses) in enumerate(persons))
        if behind:
            print_log(f'ThreeDPWDataset: {behind} people behind the camera are left out', logger='current')
        counts = [len(frames) for _, _, frames, _ in people]
        sequence = np.repeat(np.arange(len(people)), counts)
        poses = np.concatenate([poses for *_, poses in people])
        row, person = (np.array([part[key] for part in people])[sequence] for key in (0, 1))
        names = [path.stem.replace('{', '{{').replace('}', '}}') for path in paths]
        return LiftingPoses(
            poses=poses,
            keypoints=None,
            camera=row,
            cameras=np.stack(cameras),
            sequence=sequence,
            sequence_names=[f'imageFiles/{names[part[0]]}/image_{{:05d}}.jpg' for part in people],
            frame=np.concatenate([frames for _, _, frames, _ in people]),
            action=row,
            action_names=[path.stem for path in paths],
            subject=person,
            subject_names=[f'person{n}' for n in range(int(person.max(initial=0)) + 1)],
            visible=self._visible(len(poses)),
            joints='smpl24',
        )

    def _visible(self, count: int) -> np.ndarray | None:
        if self.scored == 'all':
            return None
        names = Skeleton.from_metainfo('smpl24').joint_names
        return np.broadcast_to(np.isin(names, SCORED[self.scored]), (count, len(names)))

    @staticmethod
    def _people(path: Path) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]], int]:
        """Camera (11,), for each person frames (N,) and poses (N, 24, 3) before it, and how many were behind it."""
        content = load_pickle(str(path), 'sequence of 3DPW', encoding='latin1')
        try:
            turn = np.asarray(content['cam_poses'], np.float64)
            intrinsics = np.asarray(content['cam_intrinsics'], np.float64)
            world = [np.asarray(person, np.float64) for person in content['jointPositions']]
            valid = [np.asarray(person).astype(bool).reshape(-1) for person in content['campose_valid']]
        except (KeyError, TypeError, ValueError) as error:
            raise AnnotationError(f'{path} is no sequence of 3DPW: {error!r}') from None
        count = len(turn)
        shapes = [turn.shape == (count, 4, 4), intrinsics.shape == (3, 3), len(valid) == len(world) > 0]
        shapes += [part.shape == (count, 72) for part in world] + [part.shape == (count,) for part in valid]
        if not all(shapes):
            raise AnnotationError(
                f'{path} is no sequence of 3DPW: cam_poses {turn.shape}, cam_intrinsics {intrinsics.shape}, '
                f'jointPositions {[part.shape for part in world]} and campose_valid {[part.shape for part in valid]}; '
                'expected (N, 4, 4), (3, 3), and (N, 72) and (N,) a person'
            )
        centre = intrinsics[:2, 2]
        camera = camera_row(np.diag(intrinsics)[:2], centre, np.rint(2 * centre))
        people, behind = [], 0
        for joints, aligned in zip(world, valid):
            poses = np.einsum('nij,nkj->nki', turn[:, :3, :3], joints.reshape(count, 24, 3)) + turn[:, None, :3, 3]
            near = aligned & ~(poses[..., 2] > MIN_DEPTH).all(1) & np.isfinite(poses).all((1, 2))
            kept = aligned & ~near
            behind += int(near.sum())
            people.append((np.flatnonzero(kept), poses[kept].astype(np.float32)))
        return camera, people, behind
