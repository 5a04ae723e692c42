import numpy as np
import pytest

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
