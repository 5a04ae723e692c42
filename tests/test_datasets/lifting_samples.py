"""A small 2D-3D data set of people around two distorting cameras, made from a seed."""

from __future__ import annotations

import numpy as np

from mmposeda.datasets.lifting import LiftingDataset, LiftingPoses
from mmposeda.datasets.lifting_cameras import camera_row

#: pixels; the second picture is not square, and its lens distorts
CAMERAS = np.stack(
    [
        camera_row((1100, 1090), (510, 495), (1000, 1000)),
        camera_row((1400, 1405), (950, 550), (1920, 1080), k=(-0.2, 0.24, -0.003), p=(-0.001, -0.0014)),
    ]
)


def people(count=40, joints=17, seed=0):
    """Poses (count, joints, 3) some 4 m away, metres; the root is joint 0."""
    rng = np.random.default_rng(seed)
    root = rng.uniform([-0.5, -0.3, 3.5], [0.5, 0.3, 5], (count, 3))
    return (root[:, None] + rng.uniform(-0.5, 0.5, (count, joints, 3)) * (np.arange(joints) > 0)[:, None]).astype('f4')


def lifting_poses(count=40, keypoints=True, **kwargs):
    """Half of the samples before each camera; two subjects in turn, three actions in turn."""
    rng, half = np.random.default_rng(1), count // 2
    arrays = dict(
        poses=people(count),
        keypoints=rng.uniform(100, 900, (count, 17, 2)).astype('f4') if keypoints else None,
        camera=np.arange(count) // half,
        cameras=CAMERAS,
        sequence=np.arange(count) // half,
        sequence_names=['A_walk.1_{:06d}.jpg', 'B_run.2_{:06d}.jpg'],
        frame=np.arange(count) % half,
        action=np.arange(count) % 3,
        action_names=['walk', 'run', 'sit'],
        subject=np.arange(count) % 2,
        subject_names=['A', 'B'],
    )
    return LiftingPoses(**{**arrays, **kwargs})


class People(LiftingDataset):
    """Reads what it is given."""

    def __init__(self, data=None, **kwargs):
        self.data = lifting_poses() if data is None else data
        super().__init__(**kwargs)

    def read(self):
        return self.data
