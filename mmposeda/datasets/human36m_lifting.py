"""Human3.6M as 2D and 3D poses, in MMPose's layout and in VideoPose3D's."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mmposeda.compat.safe_loading import DataUnpickler
from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import Skeleton

from .annotations import AnnotationError
from .lifting import LiftingDataset, LiftingPoses
from .lifting_cameras import from_camera_param, load_cameras
from .npz import MAX_BYTES, open_npz
from .single import one_of

SUBJECTS = dict(train=('S1', 'S5', 'S6', 'S7', 'S8'), test=('S9', 'S11'))
#: in VideoPose3D's order
CAMERA_IDS = ('54138969', '55011271', '58860488', '60457274')
#: those of the 32 joints that move, in the order of the 17
MOVING = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
#: subject 1's files have other names of two actions
ACTIONS = dict(TakingPhoto='Photo', WalkingDog='WalkDog')
NAME = re.compile(r'(?:.*/)?(S\d+)_([A-Za-z]+)(?:[ _](\d+))?\.(\d+)_(\d+)\.\w+$')


class Take(NamedTuple):
    """What a person does before one camera."""

    subject: str
    action: str
    camera: str


@DATASETS.register_module()
class Human36mLiftingDataset(LiftingDataset):
    """Human3.6M (Ionescu et al., TPAMI 2014) for lifting: every frame before every camera.

    Two layouts are read; which one shows in the file.

    * MMPose's, which ``tools/dataset_converters/human36m.py`` writes, too: ``annotation_body3d/fps10/h36m_train.npz``
      and ``h36m_test.npz`` (or ``fps50``), poses before the camera in metres with 2D labels, and
      ``annotation_body3d/cameras.pkl``. Detected 2D poses are an npy file (N, 17, 2 or 3) in the same order.
    * VideoPose3D's, which PoseAug and others share: ``data_3d_h36m.npz``, poses of 32 or 17 joints in the world in
      metres, with ``data_2d_h36m_gt.npz``, or detections as ``data_2d_h36m_cpn_ft_h36m_dbb.npz``, of Human3.6M's 17
      joints or of 16 without neck/nose. Cameras are in neither: they are taken from MMPose's ``cameras.pkl``, too.

    Archives and pickles are read as data: nothing in them is run.

    Args:
        split (str): ``train``, subjects 1, 5, 6, 7 and 8; ``test``, subjects 9 and 11.
        ann_file (str, optional): Below ``data_root``; ``annotation_body3d/fps10/h36m_{split}.npz`` by default.
        camera_file (str): MMPose's ``cameras.pkl``, below ``data_root``.
        keypoints_file (str, optional): 2D poses in the file's layout, below ``data_root``. By default those of MMPose's
            file, or with VideoPose3D's the projected 3D poses.
        skip (Sequence[str]): Takes left out. That of subject 11 is faulty, and most authors leave it out; some of
            subject 9's (``S9_Greeting``, ``S9_SittingDown``, ``S9_Waiting_1``) are shifted in space.
        kwargs: of :class:`~mmposeda.datasets.lifting.LiftingDataset`.

    Raises:
        FileNotFoundError: a file is missing; says how it is made.
        AnnotationError: a file is of another kind, or the files do not fit together.
        ValueError: unknown split or names.
    """

    HOW_TO_GET = (
        'Human3.6M is free for research after registration at http://vision.imar.ro/human3.6m/. Convert it by '
        "tools/dataset_converters/human36m.py, or MMPose's preprocess_h36m.py, and set data_root to what they write; "
        "or by VideoPose3D's data/prepare_data_h36m.py, and put the cameras.pkl of the former beside its files."
    )

    def __init__(
        self,
        split: str = 'train',
        ann_file: str | None = None,
        camera_file: str = 'annotation_body3d/cameras.pkl',
        keypoints_file: str | None = None,
        skip: Sequence[str] = ('S11_Directions',),
        **kwargs,
    ):
        self.split = one_of('Human36mLiftingDataset', 'split', split, tuple(SUBJECTS))
        self.ann_file = ann_file or f'annotation_body3d/fps10/h36m_{split}.npz'
        self.camera_file, self.keypoints_file, self.skip = camera_file, keypoints_file, tuple(skip)
        super().__init__(**kwargs)

    def read(self) -> LiftingPoses:
        """All frames of the split."""
        path = self.existing(self.ann_file, 'annotation file')
        try:
            with open_npz(path) as data:
                files = set(data.files)
        except ValueError as error:
            raise AnnotationError(str(error)) from None
        if 'positions_3d' in files:
            data = self._of_video_pose(path)
        elif {'imgname', 'S', 'part'} <= files:
            data = self._of_mmpose(path)
        else:
            raise AnnotationError(
                f'{path} is no file of preprocess_h36m.py (imgname, part, S) nor of VideoPose3D (positions_3d); it has '
                f'{", ".join(sorted(files))}'
            )
        skipped = [n for n, name in enumerate(data.sequence_names) if name.split('/')[-1].split('.')[0] in self.skip]
        return data.take(np.flatnonzero(~np.isin(data.sequence, skipped))) if skipped else data

    def _of_mmpose(self, path: str) -> LiftingPoses:
        try:
            with open_npz(path) as content:
                names, poses, points = content['imgname'], content['S'], content['part']
        except ValueError as error:
            raise AnnotationError(str(error)) from None
        if poses.ndim != 3 or points.ndim != 3 or poses.shape[-1] not in (3, 4) or names.dtype.kind != 'U':
            raise AnnotationError(
                f'{path} has S {poses.shape}, part {points.shape} and imgname of {names.dtype}; expected (N, 17, 4), '
                '(N, 17, 3) and text'
            )
        if self.keypoints_file is not None:
            points = self._detections(len(poses))
        sequence, frame, sequences, takes = _sequences(names, path)
        cameras, camera = self._cameras(takes)
        return self._poses(
            takes,
            camera,
            poses=poses[..., :3].astype(np.float32),
            visible=poses[..., 3] > 0 if poses.shape[-1] == 4 else None,
            keypoints=points[..., :2].astype(np.float32),
            cameras=cameras,
            sequence=sequence,
            sequence_names=sequences,
            frame=frame,
        )

    def _detections(self, count: int) -> np.ndarray:
        path = self.existing(self.keypoints_file, 'file of 2D poses')
        try:
            points = np.load(path, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise AnnotationError(f'{path} is no npy file of 2D poses: {error}') from None
        shape = getattr(points, 'shape', None)
        if shape not in ((count, 17, 2), (count, 17, 3)):
            raise AnnotationError(f'{path} has an array of {shape}, expected ({count}, 17, 3) as the 3D poses')
        return points

    def _of_video_pose(self, path: str) -> LiftingPoses:
        poses = load_nested(path, 'positions_3d')
        points = None
        if self.keypoints_file is not None:
            points = load_nested(self.existing(self.keypoints_file, 'file of 2D poses'), 'positions_2d')
        subjects = [name for name in SUBJECTS[self.split] if name in poses]
        if not subjects:
            raise AnnotationError(f'{path} has subjects {sorted(poses)}, none of the {self.split} part')
        param = load_cameras(self.existing(self.camera_file, 'camera file'), self.HOW_TO_GET)
        takes, names, views, seen = [], [], [], []
        for subject in subjects:
            for raw, world in poses[subject].items():
                name, action = _action(raw)
                if f'{subject}_{name}' in self.skip:
                    continue
                for camera in CAMERA_IDS:
                    takes.append(Take(subject, action, camera))
                    names.append(f'{subject}_{name}.{camera}_{{:06d}}.jpg')
                    views.append(_before_camera(world, param, (subject, camera)))
                if points is not None:
                    seen.extend(_seen(points, subject, raw, len(world), self.keypoints_file))
        if not takes:
            raise AnnotationError(f'{path} has no take of {", ".join(subjects)} but {", ".join(self.skip)}')
        joints = {part.shape[1] for part in seen} or {17}
        if joints not in ({16}, {17}):
            raise AnnotationError(f'{self.keypoints_file} has poses of {sorted(joints)} joints, expected 17, or 16')
        kind = 'h36m' if joints == {17} else 'body16_3d'
        order = Skeleton.from_metainfo('h36m').map_to(Skeleton.from_metainfo(kind)).indices
        counts = [len(view) for view in views]
        cameras, camera = self._cameras(takes)
        return self._poses(
            takes,
            camera,
            poses=np.concatenate(views)[:, order],
            keypoints=np.concatenate(seen).astype(np.float32) if seen else None,
            cameras=cameras,
            sequence=np.repeat(np.arange(len(counts)), counts),
            sequence_names=names,
            frame=np.concatenate([np.arange(1, count + 1) for count in counts]),
            joints=kind,
        )

    def _cameras(self, takes: Sequence[Take]) -> tuple[np.ndarray, np.ndarray]:
        """Different cameras (C, 11) and the row of each take."""
        path = self.existing(self.camera_file, 'camera file')
        param = load_cameras(path, self.HOW_TO_GET)
        rows = []
        for key in ((take.subject, take.camera) for take in takes):
            try:
                rows.append(from_camera_param(param[key]))
            except (KeyError, TypeError, ValueError) as error:
                raise AnnotationError(f'{path} has no usable camera {key}: {error!r}') from None
        cameras, camera = np.unique(np.stack(rows), axis=0, return_inverse=True)
        return cameras, camera.reshape(-1)

    @staticmethod
    def _poses(takes: Sequence[Take], camera: np.ndarray, sequence: np.ndarray, **arrays) -> LiftingPoses:
        """With what is known of each sequence on its samples."""
        subjects = sorted({take.subject for take in takes}, key=lambda name: int(name[1:]))
        actions = sorted({take.action for take in takes})
        return LiftingPoses(
            camera=camera[sequence],
            sequence=sequence,
            action=np.array([actions.index(take.action) for take in takes])[sequence],
            action_names=actions,
            subject=np.array([subjects.index(take.subject) for take in takes])[sequence],
            subject_names=subjects,
            **arrays,
        )


def load_nested(path: str, key: str) -> dict:
    """A dict that an npz file holds as an object, read as data: nothing in it is run.

    Raises:
        AnnotationError: it is no such file, damaged, too large, or holds more than data.
    """
    try:
        with zipfile.ZipFile(path) as members:
            if sum(member.file_size for member in members.infolist()) > MAX_BYTES:
                raise ValueError(f'it unpacks to more than {MAX_BYTES / 2**30:.0f} GiB')
            with members.open(f'{key}.npy') as file:
                version = np.lib.format.read_magic(file)
                header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
                _, _, dtype = header[version](file)
                if not dtype.hasobject:
                    raise ValueError(f'its {key} is an array of {dtype}')
                content = DataUnpickler(file).load().item()
    except Exception as error:  # a damaged pickle fails in any way
        raise AnnotationError(f'{path} has no usable {key} ({type(error).__name__}: {error})') from None
    if not isinstance(content, dict) or not all(isinstance(part, dict) for part in content.values()):
        raise AnnotationError(f'{path}: {key} is no dict of dicts by subject and action')
    return content


def _action(name: str) -> tuple[str, str]:
    """Take (``Photo_1``) and action (``Photo``) of a name as ``TakingPhoto 1``."""
    found = re.fullmatch(r'([A-Za-z]+)(?:[ _](\d+))?', name)
    if not found:
        raise AnnotationError(f'{name!r} is no action of Human3.6M, as "Directions 1"')
    action = ACTIONS.get(found[1], found[1])
    return f'{action}_{found[2]}' if found[2] else action, action


def _sequences(names: np.ndarray, path: str) -> tuple[np.ndarray, np.ndarray, list, list]:
    """Sequence and frame (N,) of picture names, and of each sequence its format string and take."""
    sequence, frame = np.empty(len(names), np.int32), np.empty(len(names), np.int32)
    known: dict = {}
    for row, name in enumerate(names.tolist()):
        stem, _, end = name.rpartition('_')
        number, _, kind = end.partition('.')
        if stem not in known:
            found = NAME.match(name)
            if not found:
                raise AnnotationError(f'{path}: picture {name!r} is not named as S1_Directions_1.54138969_000001.jpg')
            take = Take(found[1], ACTIONS.get(found[2], found[2]), found[4])
            template = f'{stem}_'.replace('{', '{{').replace('}', '}}') + f'{{:0{len(number)}d}}.{kind}'
            known[stem] = (len(known), template, take)
        try:
            sequence[row], frame[row] = known[stem][0], int(number)
        except ValueError:
            raise AnnotationError(f'{path}: picture {name!r} has no frame number at its end') from None
    return sequence, frame, [entry[1] for entry in known.values()], [entry[2] for entry in known.values()]


def _seen(points: dict, subject: str, action: str, frames: int, path: str) -> list[np.ndarray]:
    """2D poses of a take by camera, cut to the frames of motion capture: some videos are longer."""
    views: Any = points.get(subject, {}).get(action)
    if views is None or len(views) != len(CAMERA_IDS):
        raise AnnotationError(f'{path} has no poses of {subject} {action} before {len(CAMERA_IDS)} cameras')
    views = [np.asarray(view) for view in views]
    for view in views:
        if view.ndim != 3 or view.shape[0] < frames or view.shape[2] < 2 or view.dtype.kind not in 'fiu':
            raise AnnotationError(
                f'{path}: {subject} {action} has 2D poses {view.shape} of {view.dtype}, expected ({frames}, 17, 2)'
            )
    return [view[:frames, :, :2] for view in views]


def _before_camera(world: np.ndarray, cameras: dict, key: tuple) -> np.ndarray:
    """Poses (T, 17, 3) in a camera's frame of ones of 32 or 17 joints in the world, metres.

    MMPose's ``R`` turns the camera's axes into the world's, and ``T`` is the camera's place.
    """
    world = np.asarray(world)
    if world.ndim != 3 or world.shape[1] not in (17, 32) or world.shape[2] != 3 or world.dtype.kind != 'f':
        raise AnnotationError(f'3D poses of {key[0]} are {world.shape} of {world.dtype}, expected (T, 32, 3)')
    try:
        turn, place = (np.asarray(cameras[key][name], np.float64) for name in 'RT')
        moved = world[:, MOVING] if world.shape[1] == 32 else world
        return ((moved - place.reshape(3)) @ turn.reshape(3, 3)).astype(np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise AnnotationError(f'the camera file has no usable R and T of {key}: {error!r}') from None
