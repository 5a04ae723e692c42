"""Cameras of 2D-3D data sets as rows of one array, and MMPose's way of writing them.

A row is fx, fy, cx, cy, k1, k2, k3, p1, p2, W, H: focal lengths, principal point and picture size in pixels, radial and
tangential distortion in the order of :func:`~mmposeda.structures.lifting_camera.project_h36m`. MMPose's files and
``camera_param`` have the two tangential coefficients the other way round (on MMPose's own sample frames the projection
then agrees with the 2D labels to 3e-5 pixels, else it is off by up to 0.2).
"""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.fileio import load

from mmposeda.structures.lifting_camera import from_screen, project_h36m, screen_intrinsics

from .annotations import AnnotationError

WIDTH = 11
#: Poses that are projected at once: 65536 of 17 joints take some 50 MB on the way.
CHUNK = 65536


def camera_row(
    f: Sequence[float],
    c: Sequence[float],
    size: Sequence[float],
    k: Sequence[float] = (0, 0, 0),
    p: Sequence[float] = (0, 0),
) -> np.ndarray:
    """One camera (11,), float64; ``p`` in the order of ``project_h36m``."""
    return np.array([*np.ravel(f), *np.ravel(c), *np.ravel(k), *np.ravel(p), *size], np.float64)


def from_camera_param(param: Mapping, size: Sequence[float] | None = None) -> np.ndarray:
    """Row (11,) of MMPose's ``camera_param``: ``f``, ``c``, ``w``, ``h`` and if it distorts ``k`` (3) and ``p`` (2).

    Args:
        param (Mapping): MMPose's dict, in pixels.
        size (Sequence[float], optional): (W, H) that takes the place of its ``w`` and ``h``.

    Raises:
        KeyError: a key is missing.
        ValueError: a value has another number of elements, or is no number.
    """
    size = (param['w'], param['h']) if size is None else size
    parts = {key: np.asarray(param[key], np.float64).ravel() for key in ('f', 'c')}
    parts.update({key: np.asarray(param.get(key, np.zeros(n)), np.float64).ravel() for key, n in (('k', 3), ('p', 2))})
    for key, count in dict(f=2, c=2, k=3, p=2).items():
        if parts[key].shape != (count,):
            raise ValueError(f'{key} of a camera has {parts[key].size} elements, expected {count}')
    return camera_row(parts['f'], parts['c'], size, parts['k'], parts['p'][::-1])


def to_camera_param(row: np.ndarray) -> dict:
    """MMPose's ``camera_param`` of a row: ``f``, ``c`` (2, 1), ``k`` (3, 1), ``p`` (2, 1), ``w`` and ``h``.

    Where the intrinsics are not known there are ``w`` and ``h`` alone, and MMPose's codecs leave the camera as it is.
    """
    param = dict(w=float(row[9]), h=float(row[10]))
    if np.isfinite(row).all():
        param.update(
            f=row[:2, None].copy(), c=row[2:4, None].copy(), k=row[4:7, None].copy(), p=row[8:6:-1, None].copy()
        )
    return param


def screen_cameras(cameras: np.ndarray) -> torch.Tensor:
    """Intrinsics (C, 9) float32 in screen units of rows (C, 11)."""
    rows = torch.from_numpy(np.asarray(cameras, np.float64))
    f, c, k, p, size = rows.split([2, 2, 3, 2, 2], 1)
    return screen_intrinsics(f, c, k, p, size).float()


def project(poses: np.ndarray, camera: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """Pixels (N, J, 2) float32 of absolute poses (N, J, 3) in metres, ``camera`` (N,) being rows of (C, 11)."""
    screen, size = screen_cameras(cameras), torch.from_numpy(np.asarray(cameras[:, 9:], np.float32))
    out = np.empty((*poses.shape[:-1], 2), np.float32)
    for start in range(0, len(poses), CHUNK):
        part = slice(start, start + CHUNK)
        rows = torch.from_numpy(camera[part].astype(np.int64))
        points = project_h36m(torch.from_numpy(np.ascontiguousarray(poses[part], np.float32)), screen[rows])
        out[part] = from_screen(points, size[rows]).numpy()
    return out


def load_cameras(path: str, how_to_get: str = '') -> dict:
    """Cameras of one of MMPose's ``cameras*.pkl``, read as data: nothing in it is run.

    Raises:
        FileNotFoundError: there is no such file.
        AnnotationError: it is no pickle of a dict of cameras, or holds more than data.
    """
    if not osp.isfile(path):
        raise FileNotFoundError(f'camera file {path} does not exist. {how_to_get}')
    content = load_pickle(path, 'camera file')
    if not isinstance(content, dict) or not all(isinstance(entry, dict) for entry in content.values()):
        raise AnnotationError(f"{path} is no camera file of MMPose's converters: expected a dict of dicts")
    return content


def load_pickle(path: str, what: str, **kwargs) -> Any:
    """Content of a pickle, read as data.

    Args:
        path (str): The file.
        what (str): What it should be, for messages.
        kwargs: of ``pickle.Unpickler``, as ``encoding='latin1'`` for files of Python 2.

    Raises:
        AnnotationError: it is damaged, no pickle, or asks for more than containers, numbers, text and arrays.
    """
    try:
        return load(path, file_format='pkl', **kwargs)
    except Exception as error:  # a damaged pickle fails in any way
        raise AnnotationError(f'{path} is no usable {what} ({type(error).__name__}: {str(error)[:300]})') from None
