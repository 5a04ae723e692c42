"""MVHand as its authors publish it: hands before four cameras, over time."""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import METAINFO_DIR

from .annotations import LIMIT, AnnotationError, labels_ignored
from .lifting_cameras import load_pickle
from .single import SingleInstanceDataset, one_of, square_boxes

PICTURE = (640, 480)
#: Serial numbers of the cameras, by the view's number in the names of pictures, and their focal lengths and principal
#: points in pixels (fx, fy, cx, cy), from the authors' toolkit
CAMERAS = {
    '840412062035': (619.598, 619.116, 325.345, 245.441),
    '840412062037': (615.85, 615.477, 316.062, 247.156),
    '840412062038': (619.475, 619.189, 313.715, 223.921),
    '840412062076': (615.665, 615.09, 306.514, 240.344),
}


@DATASETS.register_module()
class MVHandDataset(SingleInstanceDataset):
    """Real hands of MVHand (Yu, Yang, Chen and Yao, BMVC 2021), every frame of every camera a sample, with 21 joints.

    Layout, as the authors' toolkit reads it: a folder for each recording (``7-14-1-2``, ``9-10-1-2``, ``9-17-1-2``,
    ``9-25-1-2``, one of each of four people) with ``rgb/%05d_%d.jpg``, frame and view 0 to 3, 640 x 480 pixels;
    ``calib.pkl``, a dict of camera poses (4, 4) by serial number, which take a camera's axes to the recording's own;
    and ``mlresults/<recording>-joints.npy`` (N, 21, 4, 1), homogeneous joints in mm in the recording's axes. The pickle
    is read as data: nothing in it is run. Depth, masks and MANO parameters are not read.

    2D joints are the projections of the 3D ones, without rounding them to whole millimetres and pixels as the toolkit
    does. They are visible inside the picture. The box is the square crop of ``crop`` times the hand, as in the
    published tasks of other hands; a hand whose middle is outside the picture, or whose crop is too small, is left out
    (our choice). Hands are not mirrored. Entries tell ``sequence_id`` (recording and view) and ``frame``.

    Args:
        split (str): ``all``; ``train`` and ``test`` keep recordings, and so people, apart. The split of published
            numbers is not known.
        test_recordings (sequence[str]): Folders of the split ``test`` (our choice).
        recordings (sequence[str], optional): Folders to take; all below ``data_root`` that have a ``calib.pkl`` by
            default.
        views (sequence[int]): Cameras to take, of 0 to 3.
        crop (float): Side of the crop over that of the hull of the joints.
        min_side (int): Pixels, of the crop.
        kwargs: of MMPose's ``BaseCocoStyleDataset``; a ``metainfo`` of other joints is mapped to by name.

    Raises:
        FileNotFoundError: a file or the first picture of a recording is missing; says where the data is had.
        AnnotationError: a file is of another kind, lacks a camera, or holds joints that are no numbers.
        ValueError: unknown split, recording or view, or no hand left.
    """

    METAINFO: dict = dict(from_file=str(METAINFO_DIR / 'hand21.py'))
    NATIVE = 'mvhand'
    HOW_TO_GET = (
        'MVHand is had from its authors: https://github.com/ShichengChen/multiviewDataset links to the data. Unpack it '
        'so that data_root holds a folder for each recording (7-14-1-2, 9-10-1-2, 9-17-1-2, 9-25-1-2) with rgb/, '
        'mlresults/ and calib.pkl.'
    )

    def __init__(
        self,
        split: str = 'all',
        test_recordings: Sequence[str] = ('9-25-1-2',),
        recordings: Sequence[str] | None = None,
        views: Sequence[int] = (0, 1, 2, 3),
        crop: float = 1.5,
        min_side: int = 32,
        **kwargs,
    ):
        self.split = one_of('MVHandDataset', 'split', split, ('all', 'train', 'test'))
        self.test_recordings, self.recordings, self.views = tuple(test_recordings), recordings, tuple(views)
        if not self.views or not set(self.views) <= set(range(len(CAMERAS))):
            raise ValueError(f'MVHandDataset got views={list(views)}, expected some of 0 to {len(CAMERAS) - 1}')
        self.crop, self.min_side = crop, min_side
        super().__init__(**{'data_prefix': dict(img=''), **kwargs})

    def load_data_list(self) -> list[dict]:
        """Hands that count: recording by recording, frame by frame, view by view."""
        infos = []
        for recording in self._chosen():
            infos += self._recording(recording, len(infos))
        if not infos:
            raise ValueError(f'no hand in {self.data_prefix["img"]} is inside the picture and large enough to count')
        return infos

    def _chosen(self) -> list[str]:
        root = self.data_prefix['img'] or self.data_root or '.'
        found = sorted(path.parent.name for path in Path(root).glob('*/calib.pkl'))
        if not found:
            raise FileNotFoundError(f'no folder in {root} holds a calib.pkl. {self.HOW_TO_GET}')
        wanted = found if self.recordings is None else list(self.recordings)
        for name in (*wanted, *(self.test_recordings if self.split != 'all' else ())):
            if name not in found:
                raise ValueError(f'no recording {name} in {root}; recordings are {", ".join(found)}')
        if self.split != 'all':
            wanted = [name for name in wanted if (name in self.test_recordings) == (self.split == 'test')]
        if not wanted:
            raise ValueError(f'no recording is left for split={self.split!r}; recordings are {", ".join(found)}')
        return wanted

    def _recording(self, name: str, first: int) -> list[dict]:
        folder = osp.join(self.data_prefix['img'], name)
        path = self.existing(osp.join(folder, 'mlresults', f'{name}-joints.npy'), 'joint file')
        points, ahead = self._project(self._joints(path), self._poses(osp.join(folder, 'calib.pkl')))
        low, high = points.min(2), points.max(2)  # (frame, view, x y)
        middle, sides = (low + high) / 2, (high - low).max(-1)
        corners, sides = square_boxes(middle.reshape(-1, 2), sides.reshape(-1), PICTURE, self.crop)
        corners, sides = corners.reshape(middle.shape), sides.reshape(middle.shape[:2])
        counts = ahead & (sides >= self.min_side) & (middle >= 0).all(-1) & (middle < PICTURE).all(-1)
        frames, places = np.nonzero(counts)
        if not len(frames):
            return []
        paths = [osp.join(folder, 'rgb', f'{f:05d}_{self.views[v]}.jpg') for f, v in zip(frames, places)]
        self.check_pictures(paths, path)
        boxes = np.concatenate([corners, corners + sides[..., None]], -1)[counts]
        points = np.zeros_like(points[counts]) if labels_ignored() else points[counts]
        visible = ((points > -0.5) & (points < np.array(PICTURE) - 0.5)).all(-1)
        keypoints, visible = self.map_joints(points, visible)
        infos = []
        for n, (picture, frame, place) in enumerate(zip(paths, frames, places)):
            when = dict(sequence_id=f'{name}/{self.views[place]}', frame=int(frame))
            infos.append(self.info(first + n, picture, keypoints[n], visible[n], boxes[n], **when))
        return infos

    @staticmethod
    def _joints(path: str) -> np.ndarray:
        """(N, 21, 4) homogeneous joints, mm."""
        try:
            joints = np.load(path, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise AnnotationError(f'{path} is no usable npy file: {error}') from None
        shape = getattr(joints, 'shape', ())
        if shape[1:] not in ((21, 4), (21, 4, 1)) or joints.dtype.kind not in 'fiu' or not len(joints):
            raise AnnotationError(f'{path} holds {joints.dtype} of shape {shape}, but MVHand has numbers (N, 21, 4, 1)')
        joints = joints.reshape(-1, 21, 4).astype(np.float64)
        good = (np.abs(joints) <= LIMIT).all((1, 2))
        if not good.all():
            raise AnnotationError(f'frame {int(np.argmin(good))} of {path} has NaN, infinite or absurd numbers')
        return joints

    def _poses(self, path: str) -> np.ndarray:
        """(V, 4, 4) poses of the chosen cameras."""
        content = load_pickle(path, 'camera file of MVHand')
        serials = [list(CAMERAS)[view] for view in self.views]
        try:
            poses = np.stack([np.asarray(content[serial], np.float64) for serial in serials])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            what = f'no camera {error}' if isinstance(error, KeyError) else error
            raise AnnotationError(f'{path} is no camera file of MVHand: {what}') from None
        if poses.shape[1:] != (4, 4) or not np.isfinite(poses).all() or (np.abs(np.linalg.det(poses)) < 1e-6).any():
            raise AnnotationError(f'{path} is no camera file of MVHand: expected poses (4, 4) by serial number')
        return poses

    def _project(self, joints: np.ndarray, poses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (N, V, 21, 2), and whether all joints are ahead of the camera (N, V)."""
        seen = np.einsum('vij,nkj->nvki', np.linalg.inv(poses), joints)
        camera = np.array([list(CAMERAS.values())[view] for view in self.views])[:, None]
        depth = seen[..., 2:3]
        ahead = (depth > 0).all((2, 3))
        return seen[..., :2] / np.where(depth > 0, depth, 1) * camera[..., :2] + camera[..., 2:], ahead
