"""Paths and labels of a data set, read without running its pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset

from mmposeda.structures.skeleton import Skeleton

from ..annotations import check_paths
from ..lifting import LiftingDataset
from ..lifting_cameras import WIDTH, camera_row, from_camera_param, project
from ..motion import MocapMotionDataset
from ..single import SingleInstanceDataset
from ..synthetic_figures import SyntheticFigureDataset
from ..unlabeled import UnlabeledDataset, UnlabeledImageDataset
from ..video import UnlabeledVideoDataset
from .findings import spread

#: Samples whose labels are looked at, and of figures that would have to be drawn for it.
LOOKED, DRAWN = 5000, 32


@dataclass
class Labels:
    """Labels of n samples of a data set of K joints; of one without labels there are boxes alone.

    Attributes:
        skeleton (Skeleton): The joints.
        names (list[str]): n names of samples, with their file.
        counts (np.ndarray): (n,) numbers of joints; where it is not K the rest of a row is empty.
        points (np.ndarray | None): (n, K, 2) pixels, as the data set gives them; None without labels. Motion capture,
            which no camera sees, has x and y of ``space`` there.
        visible (np.ndarray): (n, K) bool.
        boxes (np.ndarray): (n, 4), x0, y0, x1, y1 in pixels; NaN where the box is the whole picture.
        space (np.ndarray | None): (n, K, 3) mm in the camera's axes, 0 where a joint is not known.
        cameras (np.ndarray): (n, 11) rows of :mod:`~mmposeda.datasets.lifting_cameras`; NaN where there is none.
        absolute (bool): Whether ``space`` tells where the people are.
    """

    skeleton: Skeleton
    names: list
    counts: np.ndarray
    points: np.ndarray | None
    visible: np.ndarray
    boxes: np.ndarray
    space: np.ndarray | None
    cameras: np.ndarray
    absolute: bool = True

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def good(self) -> np.ndarray:
        """(n, K) bool, visible joints that have a place in the picture."""
        return self.visible & np.isfinite(self.points).all(-1)

    @cached_property
    def known(self) -> np.ndarray:
        """(n, K) bool, joints that have a place in space."""
        return np.isfinite(self.space).all(-1) & self.space.any(-1)

    @cached_property
    def projected(self) -> np.ndarray:
        """(n, K, 2) where the cameras see the joints in space, pixels; NaN without a camera or behind it."""
        seen = self.known & np.isfinite(self.cameras).all(-1)[:, None] & (self.space[..., 2] > 1)
        metres = np.where(seen[..., None], self.space / 1000, (0, 0, 1))
        rows = np.where(np.isfinite(self.cameras), self.cameras, 1)
        return np.where(seen[..., None], project(metres, np.arange(len(rows)), rows), np.nan)

    def has(self, *joints: str) -> bool:
        """Whether the joint set has all of these."""
        own = {*self.skeleton.joint_names, *self.skeleton.aliases.values()}
        return own.issuperset(joints)


def labelled(dataset: Any) -> bool:
    """Whether a data set gives its joints to a run."""
    return not isinstance(dataset, (UnlabeledDataset, UnlabeledImageDataset, UnlabeledVideoDataset))


def inner(dataset: Any) -> Any:
    """The data set below wrappers that take labels away."""
    while isinstance(dataset, UnlabeledDataset):
        dataset = dataset.dataset
    return dataset


@contextmanager
def without_looking_for_pictures() -> Iterator[None]:
    """Readers built inside do not stop at a missing first picture, so that all missing ones can be named."""

    def names_alone(self, paths: Sequence[str], named_in: str | None = None) -> None:
        check_paths(paths, [self.data_root, *self.data_prefix.values()], named_in or self.ann_file)

    own = SingleInstanceDataset.check_pictures
    SingleInstanceDataset.check_pictures = names_alone
    try:
        yield
    finally:
        SingleInstanceDataset.check_pictures = own


def paths_of(dataset: Any) -> list[str]:
    """Path of each sample's picture; none of data sets of poses and videos, and of figures that are drawn."""
    dataset = inner(dataset)
    if isinstance(dataset, (LiftingDataset, MocapMotionDataset, SyntheticFigureDataset, UnlabeledVideoDataset)):
        return []
    paths = [_stored(dataset, index).get('img_path') for index in range(len(dataset))]
    return paths if all(isinstance(path, str) for path in paths) else []


def read_labels(dataset: Any, most: int = LOOKED) -> Labels:
    """Labels of at most so many samples, evenly over the data set.

    Raises:
        AnnotationError, FileNotFoundError: A data set that reads labels sample by sample cannot read one.
    """
    has_labels, dataset = labelled(dataset), inner(dataset)
    if isinstance(dataset, LiftingDataset):
        return _of_poses(dataset, spread(len(dataset), most))
    if isinstance(dataset, MocapMotionDataset):
        return _of_motion(dataset, spread(len(dataset), most))
    if isinstance(dataset, SyntheticFigureDataset):
        most = min(most, DRAWN)
    rows = [] if isinstance(dataset, UnlabeledVideoDataset) else spread(len(dataset), most)
    infos = [_info(dataset, int(row)) for row in rows]
    skeleton = Skeleton.from_metainfo(dataset.metainfo)
    given = [np.asarray(info.get('keypoints', np.zeros((1, 0, 2)))) for info in infos]
    seen = [_visible(info) for info in infos]
    space = [np.asarray(info.get('keypoints_3d_cam', np.zeros((1, 0, 3)))) for info in infos]
    joints = skeleton.num_joints
    return Labels(
        skeleton,
        [_name(row, info) for row, info in zip(rows, infos)],
        np.array([array.shape[1] for array in given], int),
        _table([array[0, :, :2] for array in given], (joints, 2), np.nan) if has_labels else None,
        _table(seen, (joints,), 0) > 0,
        _table([np.ravel(info.get('bbox', ()))[:4] for info in infos], (4,), np.nan),
        _table([array[0] for array in space], (joints, 3), 0) if has_labels and any(map(np.size, space)) else None,
        np.array([_camera(info.get('camera')) for info in infos]).reshape(-1, WIDTH),
        getattr(dataset, 'absolute', True),
    )


def _of_poses(dataset: LiftingDataset, rows: np.ndarray) -> Labels:
    poses, visible = dataset.poses[rows], np.ones(dataset.poses[rows].shape[:2], bool)
    cameras = dataset.cameras[dataset.camera[rows]].astype(np.float64)
    return Labels(
        dataset.skeleton,
        [f'sample {row} ({dataset.picture(row)})' for row in rows],
        np.full(len(rows), poses.shape[1]),
        dataset.keypoints[rows],
        visible if dataset.visible is None else dataset.visible[rows],
        np.full((len(rows), 4), np.nan),
        1000 * poses.astype(np.float64),
        cameras if dataset.projectable else np.full_like(cameras, np.nan),
        dataset.absolute,
    )


def _of_motion(dataset: MocapMotionDataset, rows: np.ndarray) -> Labels:
    """First frames of windows."""
    starts = dataset.starts[rows]
    poses = dataset.poses[starts].double().numpy()
    clips = [dataset.clip_names[dataset.clip[row]] for row in rows]
    return Labels(
        dataset.skeleton,
        [f'sample {row} (clip {clip})' for row, clip in zip(rows, clips)],
        np.full(len(rows), poses.shape[1]),
        poses[..., :2],
        np.ones(poses.shape[:2], bool),
        np.full((len(rows), 4), np.nan),
        poses,
        np.full((len(rows), WIDTH), np.nan),
        absolute=False,
    )


def _info(dataset: Any, index: int) -> dict:
    stored = _stored(dataset, index)
    return stored if 'keypoints' in stored else dataset.get_data_info(index)


def _stored(dataset: Any, index: int) -> dict:
    """What the data set keeps, without what it looks up for a sample that is asked for, as the size of a picture."""
    if not isinstance(dataset, BaseDataset):
        return dataset.get_data_info(index)
    info = BaseDataset.get_data_info(dataset, index)
    return dataset.whole(info) if isinstance(dataset, SingleInstanceDataset) else info


def _visible(info: Mapping) -> np.ndarray:
    """(K,) of a sample; some of MMPose's classes put a weight beside it."""
    seen = np.asarray(info.get('keypoints_visible', np.ones((1, np.shape(info.get('keypoints', ((),)))[1]))))[0]
    return seen.reshape(len(seen), -1)[:, 0] if len(seen) else np.zeros(0)


def _table(rows: Sequence[np.ndarray], shape: tuple[int, ...], empty: float) -> np.ndarray:
    """Rows as one array (n, *shape) of float64; what is short is filled, what is long cut."""
    table = np.full((len(rows), *shape), empty, np.float64)
    for n, row in enumerate(rows):
        if np.size(row):
            table[n, : min(shape[0], len(row))] = row[: shape[0]]
    return table


def _camera(camera: Mapping | None) -> np.ndarray:
    """Row (11,); OpenCV's lens is taken for Human3.6M's, which is a pixel's difference."""
    if not camera or 'f' not in camera:
        return np.full(WIDTH, np.nan)
    if 'distortion' in camera:
        k1, k2, p1, p2, k3 = camera['distortion']
        return camera_row(camera['f'], camera['c'], (1, 1), (k1, k2, k3), (p1, p2))
    return from_camera_param(camera, (1, 1))


def _name(row: int, info: Mapping) -> str:
    number = f'annotation {info["id"]}' if 'id' in info else f'sample {row}'
    return f'{number} ({info["img_path"]})' if info.get('img_path') else number
