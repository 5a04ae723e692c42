"""Pictures of the 2D-3D data sets: image to 3D."""

from __future__ import annotations

import os.path as osp
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from mmengine.logging import print_log

from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import JointMap, Skeleton, metainfo_path

from .annotations import AnnotationError, labels_ignored
from .human36m_lifting import Human36mLiftingDataset
from .humaneva import HumanEvaDataset
from .images import image_size
from .lifting import LiftingDataset
from .lifting_cameras import to_camera_param
from .lifting_poses import places
from .mpi_inf_3dhp import MPIINF3DHPDataset
from .single import SingleInstanceDataset, one_of, square_boxes
from .three_dpw import ThreeDPWDataset

#: Share by which a picture may be larger or smaller than its camera says: labels are of pictures of full size.
TOLERANCE = 0.02


class Layout(NamedTuple):
    """Where the pictures of a data set lie.

    Attributes:
        folder (str | None): Below ``data_root``; None: ``images``, or for names that have folders none.
        name (str): Format of the picture's path in it.
        how (str): How it is made.
    """

    folder: str | None
    name: str
    how: str


LAYOUTS = {
    Human36mLiftingDataset: Layout(
        'images',
        '{subject}/{take}/{take}_{frame:06d}.jpg',
        'tools/dataset_converters/human36m.py writes images/ beside annotation_body3d/, every fifth frame by default.',
    ),
    ThreeDPWDataset: Layout('', '{name}', 'Unpack imageFiles.zip so that imageFiles/ lies beside sequenceFiles/.'),
    MPIINF3DHPDataset: Layout(
        None,
        '{name}',
        'tools/dataset_converters/mpi_inf_3dhp.py writes images/; the official test set holds TS1/imageSequence/.',
    ),
    HumanEvaDataset: Layout('', '{name}', HumanEvaDataset.HOW_TO_EXTRACT),
    LiftingDataset: Layout(None, '{name}', ''),
}


@DATASETS.register_module()
class ImagePose3DDataset(SingleInstanceDataset):
    """The pictures of a data set of 2D and 3D poses, one person a sample.

    A sample has what MMPose's do, and ``keypoints_3d_cam`` (1, K, 3) in mm in the camera's axes (x right, y down, z
    forward); ``camera`` with ``f`` (2,) and ``c`` (2,) in pixels and, of a lens that distorts, ``k`` (3,) and ``p``
    (2,) as in MMPose's ``camera_param``; ``subject``, ``action``, ``sequence_id`` and ``frame``. Where the files have
    no camera there is none, and where their poses are relative to the root ``keypoints_3d_cam`` is, too. A joint that
    the files do not give is invisible and 0 in 2D and 3D.

    The box is a square around the joints, moved into the picture where it fits into it, so it tells where the person
    is; with ``bbox='image'`` it is the whole picture. Under ``UnlabeledDataset`` the files are read as well, to know
    who is in the pictures and where, but of the joints nothing is kept except that box.

    People of whom no joint lies in the picture are left out, and the log says how many. Everything is kept in arrays,
    some 350 bytes a sample of 17 joints.

    Args:
        poses (dict | LiftingDataset): Config of a data set for lifting (``Human36mLiftingDataset``,
            ``ThreeDPWDataset``, ``MPIINF3DHPDataset``, ``HumanEvaDataset``, ...), or one that is built. A config that
            names no ``joints`` gets those of the files.
        joints (str): Joint set to give, the name of its meta file; joints are mapped to it by name.
        picture_format (str, optional): Path of a picture below ``data_prefix['img']``, with ``{name}``, what the data
            set for lifting calls it; ``{take}``, the last part of it without the number of the frame; ``{subject}``,
            ``{action}`` and ``{frame}`` (as ``{frame:06d}``). By default the official layout, or that of MMPose's
            converters.
        bbox (str): ``joints`` or ``image``.
        crop (float): Side of the box over that of the hull of the joints.
        every (int): Take each so many-th sample of a sequence. (Tests on Human3.6M take each 64th frame of 50 Hz.)
        kwargs: of MMPose's ``BaseCocoStyleDataset``. ``data_root`` is that of the poses by default, and
            ``data_prefix=dict(img=...)`` the folder of the pictures in the official layout.

    Raises:
        FileNotFoundError: A file or the first picture is missing; says where they are had.
        AnnotationError: A file of another kind, no one in any picture, a picture outside the data folder, or pictures
            of another size than the labels'.
        TypeError: ``poses`` is no data set for lifting.
        ValueError: Unknown names, a format with other fields, or no joint in common with ``joints``.
    """

    def __init__(
        self,
        poses: dict | LiftingDataset,
        joints: str = 'h36m',
        picture_format: str | None = None,
        bbox: str = 'joints',
        crop: float = 1.5,
        every: int = 1,
        **kwargs,
    ):
        self.bbox = one_of('ImagePose3DDataset', 'bbox', bbox, ('joints', 'image'))
        if not isinstance(every, int) or every < 1:
            raise ValueError(f'ImagePose3DDataset got every={every!r}, expected a whole number of at least 1')
        if not crop > 0:
            raise ValueError(f'ImagePose3DDataset got crop={crop!r}, expected a positive number')
        self.picture_format, self.crop, self.every = picture_format, crop, every
        self._source, self._official_folder = poses, not kwargs.get('data_prefix')
        root = poses.get('data_root', '') if isinstance(poses, Mapping) else getattr(poses, 'data_root', '')
        defaults = dict(data_root=root, data_prefix=dict(img=''), metainfo=dict(from_file=metainfo_path(joints)))
        super().__init__(**{**defaults, **kwargs})

    def load_data_list(self) -> list[dict]:
        """Numbers of the rows of what is kept."""
        poses = self._source
        if isinstance(poses, Mapping):
            poses = DATASETS.build({'joints': None, **poses})
        if not isinstance(poses, LiftingDataset):
            raise TypeError(
                f'ImagePose3DDataset got {type(poses).__name__}, expected a data set for lifting, as ThreeDPWDataset'
            )
        layout = next(LAYOUTS[kind] for kind in type(poses).__mro__ if kind in LAYOUTS)
        self.HOW_TO_GET = (
            f'{layout.how} For another layout set data_prefix=dict(img=...) and picture_format. {poses.HOW_TO_GET}'
        )
        rows = np.arange(len(poses))[places(poses.sequence) % self.every == 0]
        rows, hull = self._in_picture(poses, rows)
        self._keep(poses, rows, hull)
        self._find_pictures(poses, layout)
        return [dict(row=row) for row in range(len(rows))]

    def whole(self, info: dict) -> dict:
        """A sample of its row."""
        row = info.pop('row')
        sequence, camera = self._arrays['sequence'][row], self._arrays['camera'][row]
        if self._labels is None:  # labels are ignored
            joints = self._metainfo['num_keypoints']
            keypoints, visible, space = (np.zeros((joints, *size), np.float32) for size in ((2,), (), (3,)))
        else:
            keypoints, visible, space = (array[row].copy() for array in self._labels)
        more = dict(
            keypoints_3d_cam=space[None],  # (1, K, 3) mm
            subject=self._names['subject'][self._arrays['subject'][row]],
            action=self._names['action'][self._arrays['action'][row]],
            sequence_id=self._ids[sequence],
            frame=int(self._arrays['frame'][row]),
        )
        if self._cameras[camera]:
            more['camera'] = {key: value.copy() for key, value in self._cameras[camera].items()}
        box = None if self._boxes is None else self._boxes[row].copy()
        number = int(self._arrays['number'][row])
        return {**info, **self.info(number, self._path(row), keypoints, visible, box, **more)}

    @staticmethod
    def _in_picture(poses: LiftingDataset, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows of people of whom a joint lies in the picture, and the hulls (N, 4) of their joints."""
        points, size = poses.keypoints[rows], poses.cameras[poses.camera[rows], 9:]
        seen = np.ones(points.shape[:2], bool) if poses.visible is None else poses.visible[rows]
        inside = (seen & (points >= 0).all(-1) & (points <= size[:, None] - 1).all(-1)).any(1)
        if not inside.any():
            raise AnnotationError(f'{type(poses).__name__} has no one with a joint in the picture')
        if not inside.all():
            print_log(
                f'ImagePose3DDataset: {int((~inside).sum())} of {len(rows)} people are outside of the picture and are '
                'left out',
                logger='current',
            )
        points, seen = points[inside], seen[inside, :, None]
        low, high = np.where(seen, points, np.inf).min(1), np.where(seen, points, -np.inf).max(1)
        return rows[inside], np.concatenate([low, high], 1)

    def _keep(self, poses: LiftingDataset, rows: np.ndarray, hull: np.ndarray) -> None:
        keys = ('camera', 'sequence', 'frame', 'action', 'subject')
        self._arrays = dict(number=rows, **{key: getattr(poses, key)[rows] for key in keys})
        self._names = {key: poses.metainfo[f'{key}_names'] for key in ('action', 'subject')}
        self._templates = list(poses.sequence_names)
        stems = [re.sub(r'_?\{:[^}]*\}[^/{}]*$', '', name).format() for name in self._templates]
        self._takes = [osp.basename(stem) for stem in stems]
        # several people of one picture are several sequences
        first = dict(zip(poses.sequence[::-1].tolist(), poses.subject[::-1].tolist()))
        self._ids = [
            f'{stem}/{self._names["subject"][first[n]]}' if n in first else stem for n, stem in enumerate(stems)
        ]
        self._cameras = [_flat(to_camera_param(row)) for row in poses.cameras]
        sizes = poses.cameras[self._arrays['camera'], 9:]
        self._first_size = tuple(sizes[0])
        self._boxes = None if self.bbox == 'image' else _boxes(hull, sizes, self.crop)
        joint_map = poses.skeleton.map_to(Skeleton.from_metainfo(self._metainfo))
        self._labels = None
        if not labels_ignored():
            points = joint_map.apply(poses.keypoints[rows])
            self._labels = points, _visible(poses, rows, joint_map), joint_map.apply(1000 * poses.poses[rows])

    def _find_pictures(self, poses: LiftingDataset, layout: Layout) -> None:
        """Check where the pictures are, and that the first one is as large as its labels want."""
        self._format = self.picture_format or layout.name
        if self._official_folder:
            folder = layout.folder
            if folder is None:
                folder = '' if '/' in self._templates[0] else 'images'
            self.data_prefix = dict(img=osp.join(self.data_root, folder))
        _, representative = np.unique(self._arrays['sequence'], return_index=True)
        try:
            paths = [self._path(row) for row in sorted(representative)]
        except (LookupError, ValueError, TypeError) as error:
            raise ValueError(
                f'picture_format={self._format!r} has other fields than name, take, subject, action and frame: '
                f'{error!r}'
            ) from None
        self.check_pictures(paths, named_in=f'{type(poses).__name__} of {poses.data_root or "no data_root"}')
        found = image_size(paths[0])
        if any(abs(a - b) > TOLERANCE * b for a, b in zip(found, self._first_size)):
            raise AnnotationError(
                f'{paths[0]} is of {found[0]} x {found[1]} pixels, but its labels are of '
                f'{self._first_size[0]:.0f} x {self._first_size[1]:.0f}: extract pictures at full size'
            )

    def _path(self, row: int) -> str:
        sequence, frame = self._arrays['sequence'][row], int(self._arrays['frame'][row])
        name = self._format.format(
            name=self._templates[sequence].format(frame),
            take=self._takes[sequence],
            subject=self._names['subject'][self._arrays['subject'][row]],
            action=self._names['action'][self._arrays['action'][row]],
            frame=frame,
        )
        return osp.join(self.data_prefix['img'], name)


def _visible(poses: LiftingDataset, rows: np.ndarray, joint_map: JointMap) -> np.ndarray:
    """Visibility (N, K), float32."""
    if poses.visible is None:
        patterns, which = np.ones((1, poses.keypoints.shape[1]), bool), np.zeros(len(rows), np.int64)
    else:  # there are few, and to map each sample's takes K times the memory
        patterns, which = np.unique(poses.visible[rows], axis=0, return_inverse=True)
    _, visible = joint_map.apply(np.zeros((*patterns.shape, 2)), patterns)
    return visible.astype(np.float32)[which.reshape(-1)]


def _boxes(hull: np.ndarray, sizes: np.ndarray, crop: float) -> np.ndarray:
    """Square crops (N, 4) around hulls (N, 4) in pictures of sizes (N, 2), x0, y0, x1, y1."""
    centers, sides = (hull[:, :2] + hull[:, 2:]) / 2, np.maximum((hull[:, 2:] - hull[:, :2]).max(1), 1)
    boxes = np.empty((len(hull), 4), np.float32)
    for size in np.unique(sizes, axis=0):
        some = (sizes == size).all(1)
        corners, lengths = square_boxes(centers[some], sides[some], tuple(size), crop, within=False)
        boxes[some] = np.concatenate([corners, corners + lengths[:, None]], 1)
    return boxes


def _flat(param: Mapping) -> dict:
    """``camera`` of a sample from MMPose's ``camera_param``; empty if it is not known."""
    keys = [key for key in 'fckp' if key in param and (key in 'fc' or param['k'].any() or param['p'].any())]
    return {key: param[key].reshape(-1).astype(np.float32) for key in keys}
