"""What the readers of hands with 3D labels share.

Legend: N hands, J joints on disk, K joints of the set that is asked for; space is (N, J, 3) in mm in the camera's axes
(x right, y down, z forward).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .annotations import LIMIT, AnnotationError, labels_ignored
from .single import SingleInstanceDataset, square_boxes

Array = np.ndarray


def finite(path: str, what: str, values: Any, shape: tuple[int | None, ...]) -> Array:
    """``values`` as float64 of that shape; None stands for any number but 0.

    Raises:
        AnnotationError: they are of another shape, no numbers, NaN or absurd; names the file and ``what``.
    """
    wanted = '(' + ', '.join('N' if size is None else str(size) for size in shape) + (',)' if len(shape) == 1 else ')')
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise AnnotationError(f'{what} of {path} holds no numbers of one shape, expected {wanted}') from None
    fits = array.ndim == len(shape) and all(want in (got, None) for got, want in zip(array.shape, shape))
    if not fits or not array.size:
        raise AnnotationError(f'{what} of {path} has shape {array.shape}, expected {wanted}')
    good = np.abs(array) <= LIMIT
    if not good.all():
        place = int(np.argmin(good.reshape(len(array), -1).all(1)))
        entry = f' (the first in entry {place})' if shape[0] is None else ''
        raise AnnotationError(f'{what} of {path} has NaN, infinite or absurd numbers{entry}. Correct or remove it')
    return array


def project(space: Array, f: Array, c: Array) -> Array:
    """Pixels (..., 2) of points (..., 3); those that are not before the camera give finite nonsense."""
    depth = space[..., 2:]
    return space[..., :2] / np.where(depth > 0, depth, 1) * f + c


def hand_boxes(
    points: Array, picture: tuple[int, int], crop: float, good: Array | None = None
) -> tuple[Array, Array, Array]:
    """Square crops around hands, see :func:`~mmposeda.datasets.single.square_boxes`.

    Args:
        points (np.ndarray): (N, J, 2), pixels.
        picture (tuple[int, int]): Width and height.
        crop (float): Side of the crop over that of the hull of the joints.
        good (np.ndarray, optional): (N, J) bool, joints that make the hull, one a hand at least.

    Returns:
        tuple[np.ndarray, np.ndarray, np.ndarray]: Boxes (N, 4), x0, y0, x1, y1; their sides (N,), pixels; whether the
        middle of the hull is inside the picture (N,).
    """
    used = np.ones(points.shape[:2], bool) if good is None else good
    low = np.where(used[..., None], points, np.inf).min(1)
    high = np.where(used[..., None], points, -np.inf).max(1)
    middle = (low + high) / 2
    corners, sides = square_boxes(middle, (high - low).max(-1), picture, crop)
    boxes = np.concatenate([corners, corners + sides[:, None]], -1)
    return boxes, sides, (middle >= 0).all(-1) & (middle < picture).all(-1)


def inside(points: Array, picture: tuple[int, int]) -> Array:
    """Which pixels (..., 2) belong to a picture of that width and height, (...,) bool."""
    return ((points > -0.5) & (points < np.array(picture) - 0.5)).all(-1)


def hand_labels(
    dataset: SingleInstanceDataset,
    space: Array,
    to_pixels: Callable[[Array], Array],
    picture: tuple[int, int],
    good: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Labels of the joints that ``dataset`` is asked for. They are mapped in space, and only then projected.

    Where labels must not be looked at all are 0.

    Args:
        dataset (SingleInstanceDataset): Maps the joints by name.
        space (np.ndarray): (N, J, 3), mm.
        to_pixels (Callable): Takes (N, K, 3), mm, to (N, K, 2).
        picture (tuple[int, int]): Width and height; joints are visible inside.
        good (np.ndarray, optional): (N, J) bool, joints that are known at all.

    Returns:
        tuple[np.ndarray, np.ndarray, np.ndarray]: Pixels (N, K, 2), visibilities (N, K) and mm (N, K, 3), float32.
    """
    good = np.ones(space.shape[:2], bool) if good is None else good
    space, known = dataset.map_joints(space, good)
    if labels_ignored():
        return np.zeros_like(space[..., :2]), np.zeros_like(known), np.zeros_like(space)
    there = space.any(-1) & (space[..., 2] > 0)  # of the set that is asked for, joints without a counterpart are 0
    points = np.where(there[..., None], to_pixels(space.astype(np.float64)), 0)
    visible = there & (known > 0) & inside(points, picture)
    return points.astype(np.float32), visible.astype(np.float32), space
