"""All poses of a data set in one array, without opening a picture or running a pipeline.

Legend: N samples of one person each, K joints.
"""

from __future__ import annotations

import hashlib
import os.path as osp
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from mmengine.dataset import BaseDataset, RepeatDataset

from .annotations import AnnotationError
from .npz import open_npz
from .unlabeled import UnlabeledDataset, UnlabeledImageDataset

#: How often a reader tells its progress, in samples.
TELL_EVERY = 1000

Progress = Callable[[int, int], None]


class PoseArray(NamedTuple):
    """Poses of N samples.

    Attributes:
        ids (np.ndarray): (N,) int64 or strings, each only once; it stays with the sample when others are filtered out.
        keypoints (np.ndarray): (N, K, 2) float32, (x, y) in pixels of the picture; 0 where invisible.
        visible (np.ndarray): (N, K) float32, 1 for joints that count, else 0.
        boxes (np.ndarray): (N, 4) float32, (x1, y1, x2, y2) in pixels: the person's box that the data set gives to its
            pipeline, from which the network's crop is made; NaN where it gives none.
    """

    ids: np.ndarray
    keypoints: np.ndarray
    visible: np.ndarray
    boxes: np.ndarray


def read_poses(dataset: Any, progress: Progress | None = None) -> PoseArray:
    """Poses of a labelled data set in the order of its indices; a million of COCO's kind take half a minute.

    An id is the annotation's ``id`` where these differ, else the picture's path below the data folder. In joined
    data sets the number of the part is put before it, as in ``1/37``.

    Args:
        dataset: Top-down data set of MMPose's kind, or MMEngine's ``ConcatDataset`` or MMPose's ``CombinedDataset`` of
            such.
        progress (callable, optional): Called now and then with the number of samples read and that of all.

    Raises:
        TypeError: The data set has no infos that could be read without its pipeline.
        AnnotationError: It is unlabelled, has several people or another number of joints in a sample, visible joints
            without coordinates, or neither ids nor paths that tell its samples apart.
    """
    return read_leaves(leaves(dataset), progress=progress)


def load_pose_array(path: str) -> PoseArray:
    """Poses of an npz file with ``keypoints`` (N, K, 2 or more), or of an npy file with that array alone.

    ``visible`` (N, K) may be left out if there is a third coordinate, which is then the visibility, or else if joints
    that are not known are NaN; ``ids`` if the position in the file will do; ``boxes`` (N, 4, xyxy) if the hull of the
    visible joints will do.

    Raises:
        FileNotFoundError: No such file.
        AnnotationError: It is damaged, holds objects, or its arrays do not fit together.
    """
    arrays = _load_arrays(path)
    unknown = sorted(set(arrays) - set(PoseArray._fields))
    points = arrays.get('keypoints')
    if points is None or unknown:
        raise AnnotationError(
            f'{path} holds the arrays {", ".join(sorted(arrays)) or "none"}; expected keypoints (N, K, 2) and if '
            'wanted visible (N, K), ids (N,) and boxes (N, 4)'
        )
    if points.ndim != 3 or points.shape[2] not in (2, 3) or points.dtype.kind not in 'fiu' or not points.size:
        raise AnnotationError(
            f'{path} has keypoints of shape {points.shape} and type {points.dtype}; expected numbers (N, K, 2), or '
            '(N, K, 3) with the visibility last'
        )
    count, joints = points.shape[:2]
    visible = arrays.get('visible', points[..., 2] if points.shape[2] == 3 else np.isfinite(points).all(-1))
    ids = arrays.get('ids', np.arange(count))
    wanted = dict(visible=(visible, (count, joints)), ids=(ids, (count,)))
    if 'boxes' in arrays:
        wanted['boxes'] = arrays['boxes'], (count, 4)
    for name, (array, shape) in wanted.items():
        if array.shape != shape or array.dtype.kind not in ('iuU' if name == 'ids' else 'fiub'):
            raise AnnotationError(f'{path} has {name} of shape {array.shape} and type {array.dtype}, expected {shape}')
    points = points[..., :2].astype(np.float32)
    boxes = arrays['boxes'].astype(np.float32) if 'boxes' in arrays else _hulls(points, visible > 0)
    ids = ids if ids.dtype.kind == 'U' else ids.astype(np.int64)
    if len(np.unique(ids)) < count:
        raise AnnotationError(f'{path} has the id {_twin(ids.tolist())!r} more than once; ids must tell poses apart')
    return _tidy(PoseArray(ids, points, (visible > 0).astype(np.float32), boxes), str(path))


def sample_digests(poses: PoseArray) -> np.ndarray:
    """A 64-bit number a sample, (N,) uint64, that changes with any visible coordinate or visibility, and with no more.

    Against changes by accident, not by intent.
    """
    seen = poses.visible > 0
    points = np.where(seen[..., None], poses.keypoints, 0).astype('<f4') + np.float32(0)  # of -0.0 and 0.0 one
    digest = np.full(len(points), 0xCBF29CE484222325, np.uint64)
    words = [*points.reshape(len(points), -1).view('<u4').T, *seen.T]
    for word in words:  # FNV-1a by words, with the high bits brought down: a loop over joints, not over samples
        digest = (digest ^ word.astype(np.uint64)) * np.uint64(0x100000001B3)
        digest ^= digest >> np.uint64(29)
    return digest


def fingerprint(poses: PoseArray) -> str:
    """SHA-1 of ids, visible keypoints and visibility, in their order: equal for the same poses on any machine."""
    sha = hashlib.sha1()
    for start in range(0, len(poses.ids), 65536):
        part = slice(start, start + 65536)
        ids = poses.ids[part]
        sha.update('\0'.join(map(str, ids.tolist())).encode())
        seen = poses.visible[part] > 0
        points = np.where(seen[..., None], poses.keypoints[part], 0).astype('<f4') + np.float32(0)
        sha.update(np.ascontiguousarray(points).tobytes())
        sha.update(seen.tobytes())
    return sha.hexdigest()


class Leaf:
    """One data set that is no joined one, read without making samples.

    Args:
        dataset: The data set.
        prefix (str): What its ids begin with.

    Raises:
        TypeError, AnnotationError: See :func:`read_poses`.
    """

    def __init__(self, dataset: Any, prefix: str = '') -> None:
        self.dataset, self.prefix = dataset, prefix
        name = type(dataset).__name__
        if isinstance(dataset, (UnlabeledDataset, UnlabeledImageDataset)):
            raise AnnotationError(f'{name} has no joints, so its poses cannot be read; take labelled data, the source')
        if not callable(getattr(dataset, 'get_data_info', None)):
            raise TypeError(f'{name} has no get_data_info: expected a data set of MMPose, or a joined one of such')
        if not len(dataset):
            raise AnnotationError(f'{name} is empty; check its annotation file and filters')

    def __len__(self) -> int:
        return len(self.dataset)

    def stores(self, *keys: str) -> bool:
        """Whether infos as loaded have what is asked for, or it is made in ``get_data_info``.

        That may cost a picture to be opened or even rendered.
        """
        return all(key in self.stored(0) for key in keys)

    def getter(self, *keys: str) -> Callable[[int], dict]:
        """The quickest way to infos with these keys. Unknown classes may change what they loaded, and are asked."""
        owner = type(self.dataset).get_data_info.__module__.partition('.')[0]
        known = owner in ('mmengine', 'mmpose', 'mmposeda')
        return self.stored if known and self.stores(*keys) else self.dataset.get_data_info

    def stored(self, index: int) -> dict:
        """Data info as loaded, without what the class adds to it: of MMPose's, mostly copies of the joint set."""
        if isinstance(self.dataset, BaseDataset):
            return BaseDataset.get_data_info(self.dataset, index)
        return self.dataset.get_data_info(index)

    def ids(self, found: list | None = None) -> np.ndarray:
        """(N,) ids; ``found`` are the values of ``id`` in its infos, if they have been read before."""
        if found is None:
            found = [self.stored(i).get('id') for i in range(len(self))]
        ids = _as_ids(found)
        if ids is None:
            ids = _as_ids([self._path(self.stored(i)) for i in range(len(self))])
        if ids is None:
            raise AnnotationError(
                f'samples of {self._name()} cannot be told apart: the annotation id {_twin(found)!r} is there more '
                'than once, and so is its picture. Give every annotation an id of its own'
            )
        return np.array([f'{self.prefix}{i}' for i in ids.tolist()]) if self.prefix else ids

    def pose(self, info: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Joints (K, D), visibility (K,) or 1 for all, and box (4,) or NaN of a data info."""
        if 'keypoints' not in info:
            raise AnnotationError(
                f'annotation {info.get("id", "?")} of {self._name()} has no keypoints, only {", ".join(info)}'
            )
        points, visible = np.asarray(info['keypoints']), info.get('keypoints_visible', (1,))[0]
        if points.ndim != 3 or len(points) != 1 or points.shape[2] < 2:
            raise AnnotationError(
                f'annotation {info.get("id", "?")} of {self._name()} has keypoints of shape {points.shape}, expected '
                "(1, K, 2): one person a sample (data_mode='topdown')"
            )
        if np.ndim(visible) == 2:
            visible = visible[:, 0]  # some of MMPose's classes put a weight beside it
        return points[0], visible, info['bbox'][0] if 'bbox' in info else np.nan

    def _path(self, info: dict) -> str | None:
        path, root = info.get('img_path'), getattr(self.dataset, 'data_root', None)
        if not isinstance(path, str):
            return None
        return osp.relpath(path, root) if root and path.startswith(osp.join(root, '')) else path

    def _name(self) -> str:
        file = getattr(self.dataset, 'ann_file', '')
        return f'{type(self.dataset).__name__} ({file})' if file else type(self.dataset).__name__


def leaves(dataset: Any, prefix: str = '') -> list[Leaf]:
    """The data sets that a joined one consists of, in its order. A repeated one stands for one pass of it."""
    if isinstance(dataset, RepeatDataset) and not prefix:
        dataset = dataset.dataset
    if getattr(dataset, 'resample', False):
        raise TypeError('CombinedDataset(sample_ratio_factor=...) has another sample behind an index each time')
    if not hasattr(dataset, 'datasets'):
        return [Leaf(dataset, prefix)]
    return [leaf for i, part in enumerate(dataset.datasets) for leaf in leaves(part, f'{prefix}{i}/')]


def read_leaves(parts: Sequence[Leaf], boxes: bool = True, progress: Progress | None = None) -> PoseArray:
    """Poses of data sets one after the other. Boxes may cost a look at each picture; without ``boxes`` they are NaN."""
    total, row, ids, made = sum(map(len, parts)), 0, [], None
    keys = ('keypoints', 'bbox') if boxes else ('keypoints',)
    for part in parts:
        get, found = part.getter(*keys), []
        for index in range(len(part)):
            info = get(index)
            points, visible, box = part.pose(info)
            if made is None:
                made = tuple(
                    np.empty((total, *shape), np.float32) for shape in ((len(points), 2), (len(points),), (4,))
                )
            elif len(points) != made[0].shape[1]:
                raise AnnotationError(
                    f'annotation {info.get("id", "?")} of {part._name()} has {len(points)} joints, those before it '
                    f'have {made[0].shape[1]}; score data sets of different joints each on its own'
                )
            made[0][row], made[1][row], made[2][row] = points[:, :2], visible, box
            found.append(info.get('id'))
            row += 1
            if progress is not None and (row % TELL_EVERY == 0 or row == total):
                progress(row, total)
        ids.append(part.ids(found))
    keypoints, visible, corners = made
    corners = corners if boxes else np.full_like(corners, np.nan)
    where = ', '.join(dict.fromkeys(part._name() for part in parts))
    return _tidy(PoseArray(np.concatenate(ids), keypoints, (visible > 0).astype(np.float32), corners), where)


def _tidy(poses: PoseArray, where: str) -> PoseArray:
    seen = poses.visible > 0
    bad = (seen & ~np.isfinite(poses.keypoints).all(-1)).any(1)
    if bad.any():
        raise AnnotationError(
            f'{int(bad.sum())} poses of {where} have visible joints at NaN or infinite places, the first is '
            f'{poses.ids[bad][0]!s}; correct them, or give unknown joints visibility 0'
        )
    poses.keypoints[~seen] = 0
    return poses


def _as_ids(values: list) -> np.ndarray | None:
    """Values as int64 or strings if they can serve as ids, or None."""
    if any(value is None for value in values):
        return None
    ids = np.array(values)
    if ids.ndim != 1 or ids.dtype.kind not in 'iuU':
        return None
    ids = ids if ids.dtype.kind == 'U' else ids.astype(np.int64)
    return ids if len(np.unique(ids)) == len(ids) else None


def _twin(values: Iterable) -> Any:
    met = set()
    return next((value for value in values if value in met or met.add(value)), None)


def _hulls(points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    low = np.where(seen[..., None], points, np.inf).min(1)
    high = np.where(seen[..., None], points, -np.inf).max(1)
    boxes = np.concatenate([low, high], 1)
    boxes[~seen.any(1)] = np.nan
    return boxes


def _load_arrays(path: str) -> dict[str, np.ndarray]:
    if not osp.isfile(path):
        raise FileNotFoundError(f'file of poses {path} does not exist')
    try:
        if not str(path).endswith('.npy'):
            with open_npz(path) as data:
                return {name: data[name] for name in data.files}
        return dict(keypoints=np.load(path, allow_pickle=False))
    except (ValueError, OSError, EOFError, MemoryError) as error:
        raise AnnotationError(str(error) if str(path) in str(error) else f'{path} is no npy file: {error}') from None
