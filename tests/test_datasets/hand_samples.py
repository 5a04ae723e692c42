"""Hands for miniatures of data sets with 3D labels, and what must hold of every sample of theirs."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from figure_sets import posed_hand

from mmposeda.structures.skeleton import Skeleton


def random_hand(
    rng: np.random.Generator, middle=(0.0, 0.0, 700.0), size: float = 60.0, joints: str = 'hand21'
) -> np.ndarray:
    """A hand (21, 3) that reaches ``size`` mm around a place."""
    return posed_hand(rng, joints, size) + middle


def patches(path, size: tuple[int, int]) -> None:
    """A picture of (width, height) with a few patches of colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_encoded(path.suffix, size))


@lru_cache
def _encoded(suffix: str, size: tuple[int, int]) -> bytes:
    coarse = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return cv2.imencode(suffix, cv2.resize(coarse, size, interpolation=cv2.INTER_NEAREST))[1].tobytes()


def seen(space: np.ndarray, camera: dict) -> np.ndarray:
    """Pixels (K, 2) of points (K, 3), one after the other."""
    k1, k2, p1, p2, k3 = camera.get('distortion', np.zeros(5))
    pixels = []
    for x, y, z in np.asarray(space, np.float64):
        x, y = x / z, y / z
        r = x * x + y * y
        bend = 1 + k1 * r + k2 * r**2 + k3 * r**3
        u = x * bend + 2 * p1 * x * y + p2 * (r + 2 * x * x)
        v = y * bend + 2 * p2 * x * y + p1 * (r + 2 * y * y)
        pixels.append(np.array([u, v]) * camera['f'] + camera['c'])
    return np.array(pixels)


def check_hand(info: dict, size: tuple[int, int]) -> None:
    """Labels of a sample agree with each other, in the conventions of all data sets with 3D labels."""
    space, points = info['keypoints_3d_cam'], info['keypoints']
    assert space.shape == (1, 21, 3) and points.shape == (1, 21, 2)
    assert {a.dtype for a in (space, points, info['keypoints_visible'], info['bbox'])} == {np.dtype(np.float32)}
    np.testing.assert_allclose(seen(space[0], info['camera']), points[0], atol=2e-2)
    inside = ((points[0] > -0.5) & (points[0] < np.array(size) - 0.5)).all(-1)
    np.testing.assert_array_equal(info['keypoints_visible'][0], inside)
    left, top, right, bottom = info['bbox'][0]
    assert right - left == bottom - top and left >= 0 and top >= 0 and right <= size[0] and bottom <= size[1]
    assert info['hand_side'] in ('left', 'right')


def check_box(info: dict, points: np.ndarray, factor: float = 1.5) -> None:
    """The box is a square of so many times the hull of ``points`` (N, 2) about its middle."""
    low, high = points.min(0), points.max(0)
    left, top, right, bottom = info['bbox'][0]
    assert right - left == round(factor * (high - low).max())
    np.testing.assert_allclose([(left + right) / 2, (top + bottom) / 2], (low + high) / 2, atol=1)


def skeletons_agree(info_metainfo: dict, name: str = 'hand21') -> bool:
    """Whether a data set gives the joints of that set."""
    return Skeleton.from_metainfo(info_metainfo).same_joints(Skeleton.from_metainfo(name))
