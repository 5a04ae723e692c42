"""HumanEva-I as 2D and 3D poses, before its seven calibrated cameras."""

from __future__ import annotations

import os.path as osp
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmposeda.registry import DATASETS

from .annotations import AnnotationError
from .human36m_lifting import load_nested
from .lifting import LiftingDataset, LiftingPoses
from .lifting_cameras import camera_row
from .lifting_poses import known
from .single import one_of

#: The official test part has no public poses: the validation part is what published results are of.
PARTS = dict(train='Train', test='Validate')
#: Width and height of the pictures by kind of camera: colour, and grey
COLOUR, GREY = (640, 480), (644, 448)
CAMERAS = dict.fromkeys(('C1', 'C2', 'C3'), COLOUR)
CAMERAS.update(dict.fromkeys(('BW1', 'BW2', 'BW3', 'BW4'), GREY))
JOINTS = 15
#: metres in a millimetre
METRE = 1e-3
#: Number of the first frame of the validation part, with which a take begins; training follows it. (VideoPose3D's code)
FIRST_FRAME = 5
#: "Walking 1 chunk0", "Walking_1"
NAME = re.compile(r'([A-Za-z]+)[ _](\d+)(?: chunk(\d+))?$')
#: Numbers of a .cal file: focal lengths 2, principal point 2, skew, distortion 5, rotation 9, translation 3
CAL = 22


class Take(NamedTuple):
    """What a person does, before all cameras.

    Attributes:
        subject (str): As ``S1``.
        action (str): As ``Walking``.
        name (str): As ``Walking_1``.
        chunk (str): As ``_chunk0``, or nothing.
        world (np.ndarray): (T, 15, 3), metres.
        views (list | None): (T, 15, 2) pixels before C1, C2, C3.
        frames (np.ndarray | None): (T,) numbers in the synchronised take; None where the file does not tell.
    """

    subject: str
    action: str
    name: str
    chunk: str
    world: np.ndarray
    views: list | None
    frames: np.ndarray | None


class Camera(NamedTuple):
    """An official calibration: intrinsics as a row (11,), and world to camera."""

    row: np.ndarray
    turn: np.ndarray  # (3, 3)
    shift: np.ndarray  # (3,), metres


@DATASETS.register_module()
class HumanEvaDataset(LiftingDataset):
    """HumanEva-I (Sigal et al., IJCV 2010), subjects 1 to 3, with the 15 joints of its evaluation code.

    Its motion capture is read in the forms of VideoPose3D's conversion; which one shows in ``ann_file``.

    * An npz file, ``data_3d_humaneva15.npz`` of ``prepare_data_humaneva.py``: takes cut into chunks at damaged frames.
      It does not tell which frame a chunk begins with, so it has no pictures.
    * The folder ``converted_15j`` of ``ConvertHumanEva.m``, from which that file is made: ``{Train,Validate}/S1/
      Walking_1.mat`` with ``poses_3d`` (T, 15, 3) in mm and ``poses_2d`` (3, T, 15, 2) in pixels, NaN where damaged.

    Cameras are the official ``S1/Calibration_Data/C1.cal`` and so on. For pictures the official
    ``S1/Sync_Data/Walking_1_(C1).ofs`` is read, too: frame n of a take is picture ``n + s`` of the video, counted from
    1, with s the first number in that file (as VideoPose3D's code has it). Picture names are
    ``S1/Image_Data/Walking_1_(C1)/000001.jpg``.

    The lens' two tangential terms are in another form than in the official calibration: on a made-up lens of the usual
    size projections differ by 0.015 pixels, at most 0.13.

    Args:
        split (str): ``train``; ``test`` is the validation part, on which results are published.
        ann_file (str): The npz file or the folder, below ``data_root``.
        keypoints_file (str, optional): 2D poses beside an npz file, as ``data_2d_humaneva15_gt.npz``; by default the
            projected 3D poses.
        camera_ids (Sequence[str]): Of ``C1`` to ``C3``, colour, and ``BW1`` to ``BW4``, grey. Where there are grey
            ones, 2D poses are projected.
        kwargs: of :class:`~mmposeda.datasets.lifting.LiftingDataset`.

    Raises:
        FileNotFoundError: A file is missing; says where it is had.
        AnnotationError: A file is of another kind, or the files do not fit together.
        ValueError: Unknown names.
    """

    HOW_TO_GET = (
        'HumanEva-I is free for research after registration at http://humaneva.is.tue.mpg.de. Unpack S1, S2 and S3 and '
        "the update of the .ofs files below data_root, and convert the motion capture with VideoPose3D's "
        'ConvertHumanEva.m into data_root/converted_15j; its prepare_data_humaneva.py makes data_3d_humaneva15.npz of '
        'that.'
    )
    HOW_TO_EXTRACT = (
        "Pictures want ann_file='converted_15j' and the videos' frames: tools/dataset_converters/video_frames.py "
        'DATA_ROOT --layout humaneva.'
    )

    def __init__(
        self,
        split: str = 'test',
        ann_file: str = 'data_3d_humaneva15.npz',
        keypoints_file: str | None = None,
        camera_ids: Sequence[str] = ('C1', 'C2', 'C3'),
        **kwargs,
    ):
        self.split = one_of('HumanEvaDataset', 'split', split, tuple(PARTS))
        self.camera_ids = tuple(known('HumanEvaDataset', 'camera_ids', camera_ids, tuple(CAMERAS)))
        if not self.camera_ids:
            raise ValueError(f'HumanEvaDataset got no camera, expected some of {", ".join(CAMERAS)}')
        self.ann_file, self.keypoints_file = ann_file, keypoints_file
        super().__init__(**kwargs)

    def read(self) -> LiftingPoses:
        """All frames of the split before all cameras."""
        path = self.existing(self.ann_file, 'annotation file')
        takes = list(self._of_folder(path) if osp.isdir(path) else self._of_npz(path))
        if not takes:
            raise AnnotationError(f'{path} holds no take of the part {PARTS[self.split]}')
        subjects, actions = sorted({t.subject for t in takes}), sorted({t.action for t in takes})
        ids = [(subject, camera) for subject in subjects for camera in self.camera_ids]
        cameras = {key: self._camera(*key) for key in ids}
        views = [(take, camera) for take in takes for camera in self.camera_ids]
        counts = [len(take.world) for take, _ in views]
        seen = [_seen(take, camera) for take, camera in views]
        placed = [cameras[take.subject, camera] for take, camera in views]

        def of_each(values: Sequence[int]) -> np.ndarray:
            return np.repeat(np.asarray(values), counts)

        return LiftingPoses(
            poses=np.concatenate(
                [take.world @ camera.turn.T + camera.shift for (take, _), camera in zip(views, placed)]
            ).astype(np.float32),
            keypoints=None if any(part is None for part in seen) else np.concatenate(seen).astype(np.float32),
            camera=of_each([ids.index((take.subject, camera)) for take, camera in views]),
            cameras=np.stack([cameras[key].row for key in ids]),
            sequence=of_each(range(len(views))),
            sequence_names=[_template(take, camera) for take, camera in views],
            frame=np.concatenate([self._frames(take, camera) for take, camera in views]),
            action=of_each([actions.index(take.action) for take, _ in views]),
            action_names=actions,
            subject=of_each([subjects.index(take.subject) for take, _ in views]),
            subject_names=subjects,
            joints='humaneva15',
        )

    def _of_npz(self, path: str) -> Iterator[Take]:
        poses = load_nested(path, 'positions_3d')
        points = None
        if self.keypoints_file is not None:
            points = load_nested(self.existing(self.keypoints_file, 'file of 2D poses'), 'positions_2d')
        for key, actions in poses.items():
            part, _, subject = str(key).partition('/')
            if part != PARTS[self.split]:
                continue
            for name, world in actions.items():
                views = None
                if points is not None:
                    views = points.get(key, {}).get(name)
                    if views is None:
                        raise AnnotationError(f'{self.keypoints_file} has no 2D poses of {key} {name}')
                yield _take(path, subject, name, world, views, None)

    def _of_folder(self, path: str) -> Iterator[Take]:
        for file in sorted(Path(path, PARTS[self.split]).glob('S*/*.mat')):
            world, views = _read_mat(file)
            first = FIRST_FRAME
            if self.split == 'train':
                before = Path(path, PARTS['test'], file.parent.name, file.name)
                if not before.is_file():
                    raise FileNotFoundError(
                        f'{before} does not exist, but frames of {file} are counted from its end. {self.HOW_TO_GET}'
                    )
                first += len(_read_mat(before)[0])
            good = np.flatnonzero(np.isfinite(world).all((1, 2)))
            if len(good):
                views = [view[good] for view in views]
                yield _take(str(file), file.parent.name, file.stem, world[good] * METRE, views, first + good)

    def _frames(self, take: Take, camera: str) -> np.ndarray:
        """Numbers of the pictures, or where they are not known places in the chunk, from 1."""
        if take.frames is None:
            return np.arange(1, len(take.world) + 1)
        path = self.existing(f'{take.subject}/Sync_Data/{take.name}_({camera}).ofs', 'synchronisation file')
        offset = _text(path, 3, 'synchronisation file')[0]
        if offset != round(offset):
            raise AnnotationError(f'{path} begins with {offset}, expected a whole number of frames')
        return take.frames + int(offset)

    def _camera(self, subject: str, camera: str) -> Camera:
        path = self.existing(f'{subject}/Calibration_Data/{camera}.cal', 'calibration file')
        f, c, skew, lens, turn, shift = np.split(_text(path, CAL, 'calibration file'), (2, 4, 5, 10, 19))
        turn = turn.reshape(3, 3)
        if (f <= 0).any() or not np.allclose(turn @ turn.T, np.eye(3), atol=1e-3) or abs(skew[0]) > 1e-6:
            raise AnnotationError(
                f'{path} has focal lengths {f.tolist()}, skew {skew[0]:g} and rotation {turn.tolist()}; expected '
                'positive ones, none, and orthogonal rows'
            )
        # both forms have the first tangential coefficient for y
        return Camera(camera_row(f, c, CAMERAS[camera], lens[[0, 1, 4]], lens[[3, 2]]), turn, shift * METRE)


def _take(
    path: str, subject: str, name: str, world: np.ndarray, views: Sequence | None, frames: np.ndarray | None
) -> Take:
    """A take, checked."""
    found, world = NAME.match(name), np.asarray(world)
    if not found or not re.fullmatch(r'S\d', subject):
        raise AnnotationError(f'{path}: {subject!r} {name!r} is no take of HumanEva, as "S1" "Walking 1 chunk0"')
    if world.ndim != 3 or world.shape[1:] != (JOINTS, 3) or world.dtype.kind != 'f':
        raise AnnotationError(f'{path}: {subject} {name} has 3D poses {world.shape}, expected (T, {JOINTS}, 3)')
    if views is not None:
        views = [np.asarray(view) for view in views]
        if len(views) != 3 or any(view.shape != (len(world), JOINTS, 2) or view.dtype.kind != 'f' for view in views):
            raise AnnotationError(
                f'{path}: {subject} {name} has 2D poses {[view.shape for view in views]}, expected three of '
                f'({len(world)}, {JOINTS}, 2)'
            )
    chunk = f'_chunk{found[3]}' if found[3] else ''
    return Take(subject, found[1], f'{found[1]}_{found[2]}', chunk, world, views, frames)


def _seen(take: Take, camera: str) -> np.ndarray | None:
    """2D poses (T, 15, 2) of a view, if the file has them."""
    if take.views is None or CAMERAS[camera] != COLOUR:
        return None
    return take.views[int(camera[1:]) - 1]


def _template(take: Take, camera: str) -> str:
    """Format string of the pictures' names. Chunks have no pictures; names are of the form of Human3.6M's."""
    if take.frames is None:
        return f'{take.subject}_{take.name}{take.chunk}.{camera}_{{:06d}}.jpg'
    return f'{take.subject}/Image_Data/{take.name}_({camera})/{{:06d}}.jpg'


def _read_mat(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Poses (T, 15, 3) in mm in the world, and (3, T, 15, 2) in pixels."""
    from scipy.io import loadmat

    try:
        content = loadmat(str(path), variable_names=['poses_3d', 'poses_2d'])
        world, views = (np.asarray(content[key], np.float64) for key in ('poses_3d', 'poses_2d'))
    except Exception as error:  # scipy fails in many ways on damaged files
        raise AnnotationError(f'{path} is no file of ConvertHumanEva.m: {error!r}') from None
    if world.ndim != 3 or world.shape[1:] != (JOINTS, 3) or views.shape != (3, len(world), JOINTS, 2):
        raise AnnotationError(
            f'{path} has poses_3d {world.shape} and poses_2d {views.shape}, expected (T, {JOINTS}, 3) and '
            f'(3, T, {JOINTS}, 2)'
        )
    return world, views


def _text(path: str, count: int, what: str) -> np.ndarray:
    """The first ``count`` numbers of a text file, one a line."""
    try:
        values = np.array(Path(path).read_text().split()[:count], np.float64)
    except ValueError as error:
        raise AnnotationError(f'{path} is no {what}: {error}') from None
    if len(values) != count or not np.isfinite(values).all():
        raise AnnotationError(f'{path} is no {what}: expected {count} numbers, got {len(values)}')
    return values
