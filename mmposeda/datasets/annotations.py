"""What an annotation file may say, checked once when a data set is built, before any picture is opened.

:mod:`mmposeda.compat.patches` puts :func:`checked_loading` around the loading of every data set of MMEngine's kind, so
that MMPose's own classes are checked like ours.
"""

from __future__ import annotations

import os
import os.path as osp
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import numpy as np
from mmengine.fileio import load
from mmpose.datasets.datasets import BaseCocoStyleDataset

from mmposeda.compat.safe_loading import UnsafeFileError

#: Coordinates and sizes beyond it, in pixels, are no picture's: a typing error, or a file made to exhaust the memory.
LIMIT = 1e6

_labels_ignored: ContextVar[bool] = ContextVar('labels_ignored', default=False)


class AnnotationError(ValueError):
    """An annotation file cannot be used; the message names the file, the entry and the way out."""


@contextmanager
def ignoring_labels() -> Iterator[None]:
    """Data sets that are loaded inside look at no joint: neither to check it, nor to choose people by it."""
    token = _labels_ignored.set(True)
    try:
        yield
    finally:
        _labels_ignored.reset(token)


def labels_ignored() -> bool:
    """Whether joints must not be looked at, see :func:`ignoring_labels`."""
    return _labels_ignored.get()


def load_json(path: str, lists: Sequence[str] = ()) -> Any:
    """Content of a JSON file.

    Args:
        path (str): The file, on any of MMEngine's backends. Its ending does not matter: a pickle is no JSON.
        lists (Sequence[str]): Keys that must hold lists, as in a COCO-style file.

    Raises:
        AnnotationError: It is no JSON, nested too deeply, or has another layout.
    """
    try:
        content = load(path, file_format='json')
    except RecursionError:
        raise AnnotationError(f'{path} is nested too deeply for an annotation file') from None
    except ValueError as error:  # also what json and the decoding of text raise
        raise AnnotationError(f'{path} is no JSON file: {error}') from None
    if lists and not (isinstance(content, dict) and all(isinstance(content.get(key), list) for key in lists)):
        got = f'a dict with {sorted(map(str, content))[:5]}' if isinstance(content, dict) else type(content).__name__
        wanted = ' and '.join(repr(key) for key in lists)
        raise AnnotationError(f'{path} is no COCO-style annotation file: expected lists {wanted} in a dict, got {got}')
    return content


def check_paths(paths: Iterable[str], roots: Sequence[str | None], ann_file: str) -> None:
    """Check that pictures lie below one of the folders that the config declares.

    Names are compared, links are not followed: data folders are often links. 100 000 names take 0.05 to 0.3 s.

    Args:
        paths (Iterable[str]): Paths as they will be opened.
        roots (Sequence[str | None]): Declared folders; if none is declared nothing is checked.
        ann_file (str): File the names are from.

    Raises:
        AnnotationError: A path leads out of the folders.
    """
    folders = [osp.join(root, '') for root in roots if root]
    if not folders:
        return
    whole = tuple(osp.join(osp.abspath(folder), '') for folder in folders)
    for number, path in enumerate(paths):
        for folder in folders:
            if path.startswith(folder) and path.find(os.pardir, len(folder)) < 0:
                break
        else:
            if path and not osp.abspath(path).startswith(whole):
                raise AnnotationError(
                    f'{ann_file} names a picture outside the data folder: entry {number}, {path}, is not in '
                    f'{" or ".join(sorted(set(folders)))}. If that is meant, set a data_root that holds all pictures'
                )


def check_numbers(infos: Sequence[dict], ann_file: str) -> None:
    """Check boxes, and joints that are visible, of data infos of one data set.

    Args:
        infos (Sequence[dict]): With ``bbox`` (N, 4) and ``keypoints`` (N, K, D), ``keypoints_visible`` (N, K), if any.
        ann_file (str): File they are from.

    Raises:
        AnnotationError: A number is NaN, infinite or beyond :data:`LIMIT`; the message has the annotation's id.
    """
    _check(infos, ann_file, 'bbox', lambda info: np.abs(info['bbox']) <= LIMIT)
    if not labels_ignored():
        _check(infos, ann_file, 'keypoints_visible', lambda info: np.isfinite(info['keypoints_visible']))
        _check(infos, ann_file, 'keypoints', _good_keypoints)


def _good_keypoints(info: dict) -> np.ndarray:
    inside = np.abs(info['keypoints']) <= LIMIT
    visible = info.get('keypoints_visible')
    if getattr(visible, 'ndim', 0) == inside.ndim:  # some of MMPose's classes put a weight beside it
        visible = visible[..., 0]
    if getattr(visible, 'shape', None) != inside.shape[:-1]:
        return inside
    return inside | (visible[..., None] <= 0)  # what is not visible is not read


def _check(infos: Sequence[dict], ann_file: str, key: str, good: Callable[[dict], np.ndarray]) -> None:
    having = [info for info in infos if isinstance(info.get(key), np.ndarray) and info[key].dtype.kind in 'fiu']
    if not having:
        return
    try:  # all at once is a hundred times as fast
        stacked = {k: np.concatenate([i[k] for i in having]) for k in {key, 'keypoints_visible'} if k in having[0]}
        if good(stacked).all():
            return
    except (KeyError, ValueError):  # of different shapes
        pass
    for info in having:
        if not good(info).all():
            first = info[key].reshape(-1)[:8].tolist()
            raise AnnotationError(
                f'annotation {info.get("id", "?")} of {ann_file} has {key} {first}...: expected finite numbers within '
                f'{LIMIT:.0e} pixels. Correct or remove it; joints that are not known have visibility 0'
            )


@contextmanager
def checked_loading(dataset: Any) -> Iterator[None]:
    """Have what a data set loads inside checked, and with :func:`ignoring_labels` keep its joints from it.

    Args:
        dataset (BaseDataset): Its ``full_init`` is to be called inside.
    """
    changed = dict(load_data_list=partial(_load, dataset, dataset.load_data_list))
    if labels_ignored() and isinstance(dataset, BaseCocoStyleDataset):
        joints = dataset.metainfo.get('num_keypoints', 1)
        changed['parse_data_info'] = partial(_parse_without_labels, dataset.parse_data_info, joints)
        changed['_is_valid_instance'] = _has_a_box
    vars(dataset).update(changed)
    try:
        yield
    finally:
        for name in changed:
            vars(dataset).pop(name, None)


def _load(dataset: Any, load_data_list: Callable[[], list]) -> list:
    ann_file = dataset.ann_file or dataset.data_root or ''
    try:
        infos = load_data_list()
    except (LookupError, TypeError, AttributeError, AssertionError, RecursionError, UnsafeFileError) as error:
        if not dataset.ann_file:
            raise
        files = ' or '.join(filter(None, (ann_file, getattr(dataset, 'bbox_file', None))))
        raise AnnotationError(_unusable(files, dataset, error)) from error
    except ValueError as error:
        # ours say what is wrong; MMPose's hand on what json, numpy or the decoding of text raises
        if isinstance(error, AnnotationError) or type(dataset).__module__.startswith('mmposeda.'):
            raise
        raise AnnotationError(_unusable(ann_file, dataset, error)) from error
    if not infos and dataset.serialize_data:  # MMEngine fails with a message of numpy's
        raise AnnotationError(
            f'{ann_file} holds nothing that {type(dataset).__name__} can use, such as a person with a box'
        )
    if infos and isinstance(infos[0], dict):
        paths = [info['img_path'] for info in infos if isinstance(info.get('img_path'), str)]
        check_paths(paths, [dataset.data_root, *dataset.data_prefix.values()], ann_file)
        check_numbers(infos, ann_file)
    return infos


def _unusable(files: str, dataset: Any, error: Exception) -> str:
    text = str(error).strip().splitlines()
    reason = f'no {error}' if isinstance(error, KeyError) else text[0] if text else 'it has another layout'
    return f'{files} cannot be used as annotations of {type(dataset).__name__} ({type(error).__name__}: {reason})'


def _parse_without_labels(parse: Callable[[dict], dict | None], joints: int, raw: dict) -> dict | None:
    """Parse an annotation whose joints, if it has any, are replaced by ones that MMPose takes for valid."""
    ann = dict(raw['raw_ann_info'])
    for key in {'keypoints', *(key for key in ann if key.endswith('_kpts'))}:
        count = len(ann[key]) // 3 if isinstance(ann.get(key), list) and ann[key] else joints
        ann[key] = [1.0, 1.0, 2] * count
    ann['num_keypoints'] = joints
    return parse({**raw, 'raw_ann_info': ann})


def _has_a_box(info: dict) -> bool:
    """Which people count where joints must not: those whose box has an area and that are no crowd."""
    if info.get('iscrowd') or 'bbox' not in info:
        return not info.get('iscrowd')
    sides = info['bbox'][0, 2:4] - info['bbox'][0, :2]
    return not bool((sides <= 0).any())  # a box that is no number is kept, and refused by name
