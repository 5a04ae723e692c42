"""The official files of MPI-INF-3DHP."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from mmposeda.structures.skeleton import Skeleton

from .annotations import AnnotationError

#: The 28 joints of the training set, in the words of our joint set where it has them (official: mpii_get_joint_set.m)
JOINTS_28 = (
    *('spine3', 'spine4', 'spine2', 'spine', 'root', 'neck', 'head', 'head_top'),
    *(f'left_{joint}' for joint in ('clavicle', 'shoulder', 'elbow', 'wrist', 'hand')),
    *(f'right_{joint}' for joint in ('clavicle', 'shoulder', 'elbow', 'wrist', 'hand')),
    *(f'left_{joint}' for joint in ('hip', 'knee', 'ankle', 'foot', 'toe')),
    *(f'right_{joint}' for joint in ('hip', 'knee', 'ankle', 'foot', 'toe')),
)
#: metres in a millimetre
METRE = 1e-3


def read_test(path: str, annotation: str, valid_only: bool) -> tuple:
    """A person of the test set.

    Args:
        path (str): ``annot_data.mat``, which is HDF5.
        annotation (str): ``annot3`` or ``univ_annot3``.
        valid_only (bool): Leave out frames that are not marked as valid.

    Returns:
        tuple: numbers of the frames from 1 (N,), keypoints (N, 17, 2) in pixels, poses (N, 17, 3) in metres before the
        camera, and activities from 0 (N,), or None where the file does not say.

    Raises:
        ImportError: h5py is not installed.
        AnnotationError: it is no such file.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "MPI-INF-3DHP's test set is in files of HDF5: pip install h5py; or read SPIN's mpi_inf_3dhp_valid.npz "
            '(ann_file=...), which is made of them'
        ) from error
    try:
        with h5py.File(path, 'r') as file:
            points, poses = (np.array(file[key], np.float64) for key in ('annot2', annotation))
            valid = np.array(file['valid_frame']).reshape(-1) > 0
            activity = np.array(file['activity_annotation']).reshape(-1) if 'activity_annotation' in file else None
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise AnnotationError(f'{path} is no annotation file of the test set: {error}') from None
    count = len(valid)
    if points.size != count * 34 or poses.size != count * 51 or (activity is not None and len(activity) != count):
        raise AnnotationError(
            f'{path} has annot2 {points.shape} and {annotation} {poses.shape}, expected 17 joints of {count} frames'
        )
    rows = np.flatnonzero(valid) if valid_only else np.arange(count)
    points, poses = points.reshape(count, 17, 2)[rows], poses.reshape(count, 17, 3)[rows] * METRE
    if activity is not None:
        activity = activity[rows].astype(np.int64) - 1
        if len(activity) and not 0 <= activity.min() <= activity.max() < 7:
            raise AnnotationError(f'{path} has activities up to {activity.max() + 1}, expected 1 to 7')
    return rows + 1, points.astype(np.float32), poses.astype(np.float32), activity


def read_train(path: str, annotation: str, cameras: Sequence[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Keypoints (T, 17, 2) in pixels and poses (T, 17, 3) in metres of a sequence of the training set, by camera.

    Raises:
        AnnotationError: it is no such file, or lacks a camera.
    """
    from scipy.io import loadmat

    try:
        content = loadmat(path, variable_names=['annot2', annotation])
        cells = [content[key].reshape(-1) for key in ('annot2', annotation)]
    except Exception as error:  # scipy fails in many ways on damaged files
        raise AnnotationError(f'{path} is no annotation file of the training set: {error!r}') from None
    names = Skeleton.from_metainfo('mpi_inf_3dhp').joint_names
    order = [JOINTS_28.index(name) for name in names]
    views = []
    for camera in cameras:
        if not all(camera < len(cell) for cell in cells):
            raise AnnotationError(f'{path} has {len(cells[0])} cameras, none of number {camera}')
        points, poses = (np.asarray(cell[camera]) for cell in cells)
        if points.shape[1:] != (56,) or poses.shape[1:] != (84,) or poses.dtype.kind not in 'fiu':
            raise AnnotationError(
                f'{path}: camera {camera} has annot2 {points.shape} and {annotation} {poses.shape}, expected (T, 56) '
                'and (T, 84)'
            )
        frames = min(len(points), len(poses))
        points = points[:frames].reshape(frames, 28, 2)[:, order].astype(np.float32)
        views.append((points, (poses[:frames].reshape(frames, 28, 3)[:, order] * METRE).astype(np.float32)))
    return views


def read_calibration(path: str, cameras: Sequence[int]) -> list[tuple[tuple, tuple]]:
    """Focal lengths and principal points, pixels, of some cameras of a ``camera.calibration``.

    Raises:
        AnnotationError: it is no such file, or lacks a camera.
    """
    with open(path, encoding='utf-8', errors='replace') as file:
        entries = re.split(r'^\s*name\b', file.read(), flags=re.MULTILINE)[1:]
    found = {}
    for entry in entries:
        number = re.match(r'\s*(\d+)', entry)
        intrinsic = re.search(r'^\s*intrinsic\s+(.*)$', entry, flags=re.MULTILINE)
        values = re.findall(r'[-+\d.eE]+', intrinsic[1]) if intrinsic else []
        if number and len(values) == 16:
            matrix = [float(value) for value in values]  # 4 x 4
            found[int(number[1])] = (matrix[0], matrix[5]), (matrix[2], matrix[6])
    missing = sorted(set(cameras) - set(found))
    if missing:
        raise AnnotationError(f'{path} has no intrinsics of cameras {missing}; it has {sorted(found)}')
    return [found[camera] for camera in cameras]
