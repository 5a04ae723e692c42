"""Data sets that make poses, and arrays of poses and scores, for the tests of reading and storing them."""

import numpy as np
from mmengine.dataset import BaseDataset

from mmposeda.datasets.difficulty import (
    DifficultyScores,
    PoseArray,
)

METAINFO = dict(dataset_name='five')


class People(BaseDataset):
    """People with 5 joints; ``change`` is done to each info as it is loaded."""

    def __init__(self, count=30, seed=0, change=None, **kwargs):
        self.count, self.seed, self.change = count, seed, change
        # serialising collects the garbage of all packages
        super().__init__(metainfo=METAINFO, data_root='data', **{'serialize_data': False, **kwargs})

    def load_data_list(self):
        rng = np.random.default_rng(self.seed)
        infos = []
        for i in range(self.count):
            info = dict(
                id=100 - i,
                img_path=f'data/images/{i:03}.jpg',
                bbox=np.array([[i, 0, 50 + i, 60]], np.float32),
                keypoints=rng.uniform(0, 50, (1, 5, 2)).astype(np.float32),
                keypoints_visible=(rng.random((1, 5)) < 0.8).astype(np.float32),
            )
            if self.change is not None:
                self.change(info)
            infos.append(info)
        return infos

    def prepare_data(self, idx):
        raise AssertionError('the pipeline must not run')


class Making(People):
    """People whose infos are changed by ``given`` when asked for."""

    def __init__(self, given, **kwargs):
        self.given, self.asked = given, []
        super().__init__(**kwargs)

    def get_data_info(self, idx):
        self.asked.append(idx)
        info = super().get_data_info(idx)
        self.given(info)
        return info


def poses_of(count=12, joints=4, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, joints, 2)).astype(np.float32)
    visible = (rng.random((count, joints)) < 0.7).astype(np.float32)
    return PoseArray(np.arange(count), points * visible[..., None], visible, np.zeros((count, 4), np.float32))


def scores_of(poses, seed=0, **kwargs):
    return DifficultyScores.of(poses, np.random.default_rng(seed).random(len(poses.ids)), **kwargs)


def pick(poses, rows):
    return PoseArray(*(field[rows] for field in poses))
