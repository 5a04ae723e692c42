"""Batched rotation helpers in NumPy, (..., 3, 3) matrices acting on column vectors."""

from __future__ import annotations

import numpy as np


def unit(v):
    """Vectors (..., 3) scaled to length 1."""
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)


def apply(r, v):
    """Rotate vectors (..., 3)."""
    return (r * v[..., None, :]).sum(-1)


def axis_angle(vector):
    """Rotation matrices of rotation vectors (..., 3) in radians (Rodrigues)."""
    vector = np.asarray(vector, np.float64)
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(vector / np.maximum(angle[..., 0], 1e-12), -1, 0)
    zero = np.zeros_like(x)
    k = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k)


def log(r):
    """Rotation vectors (..., 3) of rotation matrices, angles in [0, pi]."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(r.reshape(-1, 3, 3)).as_rotvec().reshape(*r.shape[:-2], 3)


def partial(r, share):
    """The rotation ``r`` done only by ``share`` of its angle."""
    return axis_angle(log(r) * share)


def arc(a, b):
    """Shortest rotations that take directions a to b, (..., 3) each; opposite directions turn about any normal."""
    a, b = unit(a), unit(b)
    cross = np.cross(a, b)
    sine, cosine = np.linalg.norm(cross, axis=-1, keepdims=True), (a * b).sum(-1, keepdims=True)
    other = np.where(np.abs(a[..., :1]) < 0.7, np.array([1.0, 0, 0]), np.array([0, 1.0, 0]))
    axis = np.where(sine > 1e-6, cross / np.maximum(sine, 1e-9), unit(np.cross(a, other)))
    return axis_angle(axis * np.arctan2(sine, cosine))


def frame(first, second):
    """Right-handed frames (columns): x along ``first``, z as near to ``second`` as possible."""
    x = unit(first)
    y = unit(np.cross(second, x))
    return np.stack([x, y, np.cross(x, y)], axis=-1)


def random_rotation(rng):
    """One rotation (3, 3), uniform over all."""
    q = rng.normal(size=4)
    w, x, y, z = q / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
