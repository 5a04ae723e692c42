"""Pictures of predicted poses beside the true ones."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from mmposeda.structures.skeleton import Skeleton

from .panels import grid

_LEFT, _RIGHT, _MIDDLE = (60, 140, 255), (255, 90, 60), (90, 230, 90)
_SHIFT = 4  # fractional bits of OpenCV's drawing


def draw_pose(
    image: np.ndarray, points: np.ndarray, skeleton: Skeleton, shown: np.ndarray | None = None, scale: int = 2
) -> np.ndarray:
    """Draw a pose on an enlarged copy of a picture: its left blue, its right red, the middle green.

    Args:
        image (np.ndarray): RGB (h, w, 3), uint8.
        points (np.ndarray): (K, 2), pixels (the centre of pixel i is i).
        skeleton (Skeleton): Its parents are the links; sides are told from the names.
        shown (np.ndarray, optional): Boolean (K,): joints to draw, all by default.
        scale (int): Enlargement.

    Returns:
        np.ndarray: RGB (h scale, w scale, 3), uint8.
    """
    shown = np.isfinite(points).all(-1) & (np.ones(len(points), bool) if shown is None else np.asarray(shown, bool))
    image = cv2.resize(np.ascontiguousarray(image), None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    where = (np.nan_to_num(points) + 0.5) * scale - 0.5
    cells = np.clip((where * 2**_SHIFT).round(), -(2**20), 2**20).astype(int).tolist()
    width = max(1, round(min(image.shape[:2]) / 100))
    for child, parent in enumerate(skeleton.parents):
        if parent >= 0 and shown[child] and shown[parent]:
            color = _side_color(skeleton.joint_names[child])
            cv2.line(image, cells[parent], cells[child], color, width, cv2.LINE_AA, _SHIFT)
    for name, cell, drawn in zip(skeleton.joint_names, cells, shown):
        if drawn:
            cv2.circle(image, cell, int(1.5 * width * 2**_SHIFT), _side_color(name), -1, cv2.LINE_AA, _SHIFT)
    return image


def prediction_panel(
    columns: dict[str, tuple[Sequence[np.ndarray], Sequence[np.ndarray] | None]],
    skeleton: Skeleton,
    shown: dict[str, Sequence[np.ndarray]] | None = None,
    scale: int = 2,
) -> np.ndarray:
    """Rows of pictures under named columns, with or without poses.

    Args:
        columns (dict): Column name -> RGB pictures (h, w, 3) of one size and their poses (K, 2), or None for none.
        skeleton (Skeleton): The joint set.
        shown (dict, optional): Column name -> boolean (K,) for each picture, where not all joints are to be drawn.
        scale (int): Enlargement.

    Returns:
        np.ndarray: RGB, uint8.

    Raises:
        ValueError: Columns of different lengths.
    """
    if len({len(images) for images, _ in columns.values()}) != 1:
        raise ValueError(f'columns must be of one length, got { {k: len(v[0]) for k, v in columns.items()} }')
    drawn, nothing = {}, np.zeros((skeleton.num_joints, 2), np.float32)
    for name, (images, poses) in columns.items():
        masks = (shown or {}).get(name) or [None] * len(images)
        if poses is None:
            poses, masks = [nothing] * len(images), [np.zeros(skeleton.num_joints, bool)] * len(images)
        rows = [draw_pose(i, p, skeleton, m, scale) for i, p, m in zip(images, poses, masks)]
        drawn[name] = np.stack(rows)
    return grid(drawn)


def _side_color(name: str) -> tuple[int, int, int]:
    return _LEFT if 'left' in name else _RIGHT if 'right' in name else _MIDDLE
