"""A labelled data set of four joints with scores, for the tests of sampling by difficulty."""

import numpy as np
from mmengine.dataset import BaseDataset

from mmposeda.datasets.samplers import difficulty_bin_sampler, domain_sampler
from mmposeda.registry import DATA_SAMPLERS

WORLDS = (1, 2, 3, 8)
STRATEGIES = ('all', 'hard', 'easy', 'random33', 'curriculum', 'weighted')


class People(BaseDataset):
    """People of 4 joints with ids from 1000 on; ``keep`` chooses some of them, as a filter does."""

    def __init__(self, count=30, keep=None, seed=0, **kwargs):
        self.count, self.keep, self.seed = count, keep, seed
        super().__init__(metainfo=dict(dataset_name='four'), serialize_data=False, **kwargs)  # it collects garbage

    def load_data_list(self):
        points = np.random.default_rng(self.seed).random((self.count, 1, 4, 2)).astype(np.float32)
        keys = range(self.count) if self.keep is None else self.keep
        ones = np.ones((1, 4), np.float32)
        return [dict(id=1000 + i, keypoints=points[i], keypoints_visible=ones, bbox=ones) for i in keys]


def sampler(dataset, score_file=None, strategy='all', monkeypatch=None, rank=0, world=1, **kwargs):
    if monkeypatch is not None:
        for module in (difficulty_bin_sampler, domain_sampler):
            monkeypatch.setattr(module, 'get_dist_info', lambda: (rank, world))
    cfg = dict(type='DifficultyBinSampler', dataset=dataset, score_file=score_file, strategy=strategy, seed=5)
    return DATA_SAMPLERS.build({**cfg, **kwargs})


def epochs(made, count):
    """Lists of indices of the first epochs."""
    out = []
    for epoch in range(count):
        made.set_epoch(epoch)
        out.append(list(made))
    return out
