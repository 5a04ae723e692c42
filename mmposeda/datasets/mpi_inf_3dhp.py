"""MPI-INF-3DHP as 2D and 3D poses: the official files, MMPose's converted ones and SPIN's test file."""

from __future__ import annotations

import os.path as osp
import re
from collections.abc import Sequence

import numpy as np
from mmengine.logging import print_log

from mmposeda.registry import DATASETS
from mmposeda.structures.lifting_camera import MIN_DEPTH
from mmposeda.structures.skeleton import Skeleton

from .annotations import AnnotationError
from .lifting import LiftingDataset, LiftingPoses
from .lifting_cameras import camera_row, from_camera_param, load_cameras
from .lifting_poses import known
from .mpi_inf_3dhp_files import read_calibration, read_test, read_train
from .npz import open_npz
from .single import one_of

ANNOTATIONS = ('annot3', 'univ_annot3')
SUBJECTS = dict(train=tuple(f'S{n}' for n in range(1, 9)), test=tuple(f'TS{n}' for n in range(1, 7)))
#: of the test set, by their number there (mpii_get_activity_name.m of the official code)
ACTIVITIES = (
    *('Standing/Walking', 'Exercising', 'Sitting', 'Reaching/Crouching', 'On The Floor', 'Sports', 'Miscellaneous'),
)
#: joints of an npz file -> what it holds: MMPose's converter and SPIN's took different labels
NPZ = {17: ('mpi_inf_3dhp', 'annot3'), 24: ('spin19', 'univ_annot3')}
#: S1_Seq1_Cam0_000001.jpg, TS1_000001.jpg (MMPose), mpi_inf_3dhp_test_set/TS1/imageSequence/img_000001.jpg (SPIN)
NAME = re.compile(r'(?:.*/)?(T?S\d+)(?:_(Seq\d)_Cam(\d+))?(?:_|/imageSequence/img_|/imageSequence/frame_)(\d+)\.\w+$')
#: Pixels; where a fitted camera is further off than this, 2D and 3D labels are of different people's sizes
MAX_RESIDUAL = 20


def picture_size(subject: str) -> tuple[int, int]:
    """Width and height. (MMPose's camera files say 204 for the height of the training pictures.)"""
    return (1920, 1080) if subject in ('TS5', 'TS6') else (2048, 2048)


@DATASETS.register_module()
class MPIINF3DHPDataset(LiftingDataset):
    """MPI-INF-3DHP (Mehta et al., 3DV 2017) for lifting. Which of its forms is read follows from ``ann_file``:

    * None: the official files. The test set is ``TS1`` to ``TS6`` with ``annot_data.mat``, in ``data_root`` or its
      folder ``mpi_inf_3dhp_test_set`` or ``test``; it needs the package h5py. The training set is ``S1`` to ``S8``,
      with ``Seq1`` and ``Seq2`` of ``annot.mat`` and ``camera.calibration``, in ``data_root`` or its folder ``train``.
    * an npz file of MMPose's ``preprocess_mpi_inf_3dhp.py`` (17 joints), with ``cameras_{train,test}.pkl`` beside it;
    * SPIN's ``mpi_inf_3dhp_valid.npz`` (24 joints), on which PoseAug and others report: 2929 frames. It has no cameras,
      and poses relative to the root, so it is for tests, or for real 2D and 3D poses of an augmentor.

    There are two labels: ``annot3`` has people in their size, ``univ_annot3`` scales all to one skeleton, and errors
    differ much between them. SPIN's file is of ``univ_annot3``, as is the official test; MMPose's is of ``annot3``.

    All joints count, also outside of the picture, where MMPose's file marks them as invisible. Cameras of the official
    test set are fitted to its labels, as MMPose's converter does.

    Args:
        split (str): ``train`` or ``test``.
        ann_file (str, optional): npz file, below ``data_root``.
        camera_file (str, optional): MMPose's camera file, below ``data_root``.
        annotation (str, optional): ``annot3`` or ``univ_annot3``. By default the official training set's ``annot3`` and
            test set's ``univ_annot3``; an npz file has but one.
        camera_ids (Sequence[int]): Cameras of the official training set; by default the eight at chest height, as
            MMPose takes them.
        valid_only (bool): Leave out frames of the official test set that are not marked as valid.
        kwargs: of :class:`~mmposeda.datasets.lifting.LiftingDataset`.

    Raises:
        FileNotFoundError: a file is missing; says where the data is had.
        ImportError: h5py is wanted and not installed.
        AnnotationError: a file is of another kind, or the files do not fit together.
        ValueError: unknown split, names or annotation.
    """

    HOW_TO_GET = (
        'MPI-INF-3DHP is free for research: http://gvv.mpi-inf.mpg.de/3dhp-dataset/ (a form, then scripts that load '
        "it). Its test set as SPIN's mpi_inf_3dhp_valid.npz is in the dataset_extras.tar.gz that fetch_data.sh of "
        "https://github.com/nkolot/SPIN downloads; MMPose's form of the training set, and its pictures, are made by "
        'tools/dataset_converters/mpi_inf_3dhp.py.'
    )

    def __init__(
        self,
        split: str = 'test',
        ann_file: str | None = None,
        camera_file: str | None = None,
        annotation: str | None = None,
        camera_ids: Sequence[int] = (0, 1, 2, 4, 5, 6, 7, 8),
        valid_only: bool = True,
        **kwargs,
    ):
        self.split = one_of('MPIINF3DHPDataset', 'split', split, tuple(SUBJECTS))
        if annotation is not None:
            one_of('MPIINF3DHPDataset', 'annotation', annotation, ANNOTATIONS)
        self.ann_file, self.camera_file, self.annotation = ann_file, camera_file, annotation
        self.camera_ids, self.valid_only = tuple(camera_ids), valid_only
        super().__init__(**kwargs)

    def read(self) -> LiftingPoses:
        """All frames of the split."""
        if self.ann_file is not None:
            return self._of_npz(self.existing(self.ann_file, 'annotation file'))
        return self._of_test() if self.split == 'test' else self._of_train()

    def _of_npz(self, path: str) -> LiftingPoses:
        try:
            with open_npz(path) as data:
                names, poses, points = data['imgname'], data['S'], data['part']
        except (KeyError, ValueError) as error:
            raise AnnotationError(f'{path} is no file of MPI-INF-3DHP (imgname, S, part): {error}') from None
        joints = poses.shape[1] if poses.ndim == 3 else None
        if joints not in NPZ or names.dtype.kind != 'U' or poses.shape[2] not in (3, 4) or points.ndim != 3:
            raise AnnotationError(
                f'{path} has S {poses.shape}, part {points.shape} and imgname of {names.dtype}; expected (N, 17, 4) of '
                "MMPose's converter or (N, 24, 4) of SPIN's, and text"
            )
        kind, held = NPZ[joints]
        if self.annotation not in (None, held):
            raise ValueError(f'{path} holds {held}; {self.annotation} is in the official files alone (ann_file=None)')
        real = slice(19) if kind == 'spin19' else slice(None)  # the last five of the 24 are of COCO's head, and empty
        visible = poses[:, real, 3] > 0 if kind == 'spin19' and poses.shape[2] == 4 else None
        poses, points = poses[:, real, :3].astype(np.float32), points[:, real, :2].astype(np.float32)
        found = [NAME.match(name) for name in names.tolist()]
        if not all(found):
            raise AnnotationError(f'{path}: picture {str(names[found.index(None)])!r} is not named as TS1_000001.jpg')
        views = [match.group(1, 2, 3) for match in found]
        kept = sorted(set(views), key=lambda view: (int(view[0].strip('TS')), *map(str, view)))
        examples = dict(zip(views, names.tolist()))
        return self._poses(
            subjects=[view[0] for view in kept],
            actions=[view[1] or view[0] for view in kept],
            cameras=self._npz_cameras(path, kept, known=kind == 'mpi_inf_3dhp'),
            sequence=_numbers(kept, views),
            sequence_names=[_template(examples[view]) for view in kept],
            frame=np.array([int(match[4]) for match in found]),
            poses=poses,
            keypoints=points,
            joints=kind,
            visible=visible,
            # SPIN's poses are relative to the pelvis
            absolute=bool(poses[:, Skeleton.from_metainfo(kind).index('pelvis'), 2].min() > MIN_DEPTH),
        )

    def _npz_cameras(self, path: str, views: Sequence[tuple], known: bool) -> np.ndarray:
        """Cameras of (subject, sequence, camera), without intrinsics where there is no file of cameras."""
        file = self.camera_file
        if file is None and known:
            file = osp.join(osp.dirname(self.ann_file), f'cameras_{self.split}.pkl')
        if file is None:
            return np.stack([camera_row([np.nan] * 2, [np.nan] * 2, picture_size(view[0])) for view in views])
        file = self.existing(file, 'camera file')
        param, rows = load_cameras(file), []
        for subject, *rest in views:
            key = subject if rest[0] is None else f'{subject}_{rest[0]}_Cam{rest[1]}'
            try:
                rows.append(from_camera_param(param[key], picture_size(subject)))
            except (KeyError, TypeError, ValueError) as error:
                raise AnnotationError(f'{file} has no usable camera {key} of {path}: {error!r}') from None
        return np.stack(rows)

    def _of_test(self) -> LiftingPoses:
        root = self._root('TS1', ('', 'mpi_inf_3dhp_test_set', 'test'))
        annotation, parts = self.annotation or 'univ_annot3', []
        for subject in self._wanted():
            path = self.existing(osp.join(root, subject, 'annot_data.mat'), 'annotation file')
            parts.append((subject, *read_test(path, annotation, self.valid_only)))
        cameras = [self._fitted(subject, poses, points) for subject, _, points, poses, _ in parts]
        counts = [len(part[1]) for part in parts]
        data = self._poses(
            subjects=[part[0] for part in parts],
            actions=[part[0] for part in parts],
            cameras=np.stack(cameras),
            sequence=np.repeat(np.arange(len(parts)), counts),
            sequence_names=[osp.join(root, part[0], 'imageSequence/img_{:06d}.jpg') for part in parts],
            frame=np.concatenate([part[1] for part in parts]),
            poses=np.concatenate([part[3] for part in parts]),
            keypoints=np.concatenate([part[2] for part in parts]),
            joints='mpi_inf_3dhp',
        )
        if all(part[4] is not None for part in parts):
            data.action, data.action_names = np.concatenate([part[4] for part in parts]), list(ACTIVITIES)
        return data

    @staticmethod
    def _fitted(subject: str, poses: np.ndarray, points: np.ndarray) -> np.ndarray:
        """A camera without distortion by least squares, where one explains the labels."""
        flat = (poses[..., :2] / np.maximum(poses[..., 2:], MIN_DEPTH)).reshape(-1, 2).astype(np.float64)
        target = points.reshape(-1, 2).astype(np.float64)
        focal, centre, worst = [], [], 0.0
        for axis in (0, 1):
            design = np.stack([flat[:, axis], np.ones(len(flat))], 1)
            solution = np.linalg.lstsq(design, target[:, axis], rcond=None)[0]
            worst = max(worst, float(np.sqrt(np.mean((design @ solution - target[:, axis]) ** 2))))
            focal.append(solution[0])
            centre.append(solution[1])
        if worst > MAX_RESIDUAL:
            print_log(
                f'MPIINF3DHPDataset: no camera explains the labels of {subject} ({worst:.0f} pixels off): its 2D poses '
                'cannot be projected anew',
                logger='current',
            )
            focal = centre = [np.nan] * 2
        return camera_row(focal, centre, picture_size(subject))

    def _of_train(self) -> LiftingPoses:
        root = self._root('S1', ('', 'train'))
        parts, rows = [], []
        for subject in self._wanted():
            for sequence in ('Seq1', 'Seq2'):
                folder = osp.join(root, subject, sequence)
                path = self.existing(osp.join(folder, 'annot.mat'), 'annotation file')
                views = read_train(path, self.annotation or 'annot3', self.camera_ids)
                cameras = read_calibration(self.existing(osp.join(folder, 'camera.calibration')), self.camera_ids)
                for camera, (focal, centre), (points, poses) in zip(self.camera_ids, cameras, views):
                    rows.append(camera_row(focal, centre, picture_size(subject)))
                    parts.append((subject, sequence, camera, points, poses))
        counts = [len(part[4]) for part in parts]
        return self._poses(
            subjects=[part[0] for part in parts],
            actions=[part[1] for part in parts],
            cameras=np.stack(rows),
            sequence=np.repeat(np.arange(len(parts)), counts),
            sequence_names=[f'{s}_{sequence}_Cam{camera}_{{:06d}}.jpg' for s, sequence, camera, *_ in parts],
            frame=np.concatenate([np.arange(1, count + 1) for count in counts]),
            poses=np.concatenate([part[4] for part in parts]),
            keypoints=np.concatenate([part[3] for part in parts]),
            joints='mpi_inf_3dhp',
        )

    def _root(self, first: str, folders: Sequence[str]) -> str:
        for folder in folders:
            if any(osp.isdir(osp.join(self.data_root, folder, subject)) for subject in self._wanted()):
                return folder
        raise FileNotFoundError(f'{osp.join(self.data_root, first)} does not exist. {self.HOW_TO_GET}')

    def _wanted(self) -> list[str]:
        names = SUBJECTS[self.split]
        return list(names) if self.subjects is None else known(type(self).__name__, 'subjects', self.subjects, names)

    @staticmethod
    def _poses(subjects: list, actions: list, sequence: np.ndarray, **arrays) -> LiftingPoses:
        """With subject and action of each sequence, whose camera is of the same number, on its samples."""
        subject_names, action_names = sorted(set(subjects)), sorted(set(actions))
        return LiftingPoses(
            camera=sequence,
            sequence=sequence,
            subject=np.array([subject_names.index(name) for name in subjects])[sequence],
            subject_names=subject_names,
            action=np.array([action_names.index(name) for name in actions])[sequence],
            action_names=action_names,
            **arrays,
        )


def _numbers(kept: Sequence, values: Sequence) -> np.ndarray:
    number = {value: n for n, value in enumerate(kept)}
    return np.array([number[value] for value in values])


def _template(name: str) -> str:
    """Format string of a picture's name, from the name of one of the sequence's."""
    stem, digits, kind = re.match(r'(.*?)(\d+)(\.\w+)$', name).groups()
    return stem.replace('{', '{{').replace('}', '}}') + f'{{:0{len(digits)}d}}{kind}'
