"""The npz and pickle files that MMPose's converters make of Human3.6M and MPI-INF-3DHP, which our data sets read."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..human36m import PADDING, UNIT
from .journal import written_aside


def write_poses(
    path: Path, names: Sequence[str], keypoints: np.ndarray, poses: np.ndarray, visible: np.ndarray | None = None
) -> None:
    """Write ``imgname``, ``center``, ``scale``, ``part`` and ``S``.

    Args:
        path (Path): npz file.
        names (Sequence[str]): N pictures, below the folder of pictures.
        keypoints (np.ndarray): (N, K, 2), pixels.
        poses (np.ndarray): (N, K, 3), metres before the camera.
        visible (np.ndarray, optional): (N, K), 0 or 1; by default all.
    """
    keypoints, poses = np.asarray(keypoints, np.float32), np.asarray(poses, np.float32)
    seen = np.ones(keypoints.shape[:2], np.float32) if visible is None else visible.astype(np.float32)
    low, high = keypoints.min(1), keypoints.max(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside, open(aside, 'wb') as file:
        np.savez(
            file,
            imgname=np.array(names),
            center=(low + high) / 2,
            scale=PADDING * (high - low).max(1) / UNIT,
            part=np.concatenate([keypoints, seen[..., None]], -1),
            S=np.concatenate([poses, seen[..., None]], -1),
        )


def write_statistics(folder: Path, keypoints: np.ndarray, poses: np.ndarray) -> list[str]:
    """Write mean and standard deviation (K, D) of 2D and 3D joints, and of all but the root relative to it.

    Args:
        folder (Path): Where ``joint3d_stats.pkl`` and so on go.
        keypoints (np.ndarray): (N, K, 2), pixels.
        poses (np.ndarray): (N, K, 3), metres.

    Returns:
        list[str]: Names of the files.
    """
    names = []
    for name, points in (('3d', poses), ('2d', keypoints)):
        for kind, values in (('', points), ('_rel', points[:, 1:] - points[:, :1])):
            statistics = dict(mean=values.mean(0, np.float64), std=values.std(0, np.float64))
            names.append(f'joint{name}{kind}_stats.pkl')
            write_pickle(folder / names[-1], statistics)
    return names


def write_pickle(path: Path, content: Mapping) -> None:
    """Write a pickle of plain data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        aside.write_bytes(pickle.dumps(content, protocol=4))
