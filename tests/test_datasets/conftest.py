import numpy as np
import pytest
from pose_augment_samples import write_augmentor

from mmposeda.datasets.difficulty import DifficultyScores, read_poses


@pytest.fixture
def scored(tmp_path):
    """Write scores of a data set; a rank is its sample's place in a fixed shuffle. Returns path and ranks."""

    def write(dataset, missing=()):
        poses = read_poses(dataset)
        ranks = np.random.default_rng(7).permutation(len(poses.ids)).astype(float)
        ranks[list(missing)] = np.nan
        path = str(tmp_path / 'scores.npz')
        DifficultyScores.of(poses, ranks, vae_hash='v', norm_mode='bbox').save(path)
        return path, ranks

    return write


@pytest.fixture
def trained(tmp_path):
    """Write a trained augmentor; returns the checkpoint's path and the network."""

    def write(*args, **kwargs):
        path = str(tmp_path / 'iter_100.pth')
        return path, write_augmentor(path, *args, **kwargs)

    return write
