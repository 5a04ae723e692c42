"""What holds of rendered people and of rendered hands alike."""

from __future__ import annotations

import pickle

import numpy as np
from torch.utils.data import DataLoader

from mmposeda.registry import DATASETS


def check_seed_and_index(kind, pictures):
    """Picture 7 of seed 5 at 96 pixels is the same when drawn alone, and another one for another seed."""
    alone = kind(size=96, seed=5).render([7])[0]
    for key in ('img', 'keypoints', 'visibility', 'part', 'mask', 'keypoints_3d_cam'):
        np.testing.assert_array_equal(alone[key], pictures[7][key], err_msg=key)
    other = kind(size=96, seed=6).render([7])[0]
    assert (other['img'] != alone['img']).mean() > 0.3


def check_masks(pictures, largest):
    """Masks, parts and boxes fit each other and the joints; a figure covers at most this share of the picture."""
    for s in pictures:
        mask = s['mask'] > 0
        assert s['img'].shape == (96, 96, 3) and s['img'].dtype == np.uint8
        assert 0.01 < mask.mean() < largest
        assert (s['part'][~mask] == 0).all() and (s['part'][mask] > 0).mean() > 0.8
        x0, y0, x1, y1 = s['bbox']
        ys, xs = np.nonzero(mask)
        assert x0 <= xs.min() and xs.max() <= x1 and y0 <= ys.min() and ys.max() <= y1
        inside = ((s['keypoints'] >= -0.5) & (s['keypoints'] < 95.5)).all(1)
        assert not (s['visibility'][~inside] > 0).any()


def check_workers(config):
    """Six samples from index 3 on do not change with workers, forked or spawned."""
    data = DATASETS.build(dict(config, pipeline=[], first=3))
    alone = [data[i] for i in range(len(data))]
    loader = DataLoader(data, batch_size=2, num_workers=2, collate_fn=_arrays)
    shared = [s for batch in loader for s in batch]
    shared += _arrays(pickle.loads(pickle.dumps(data))[i] for i in range(2))  # as a spawned worker has it
    assert [s['id'] for s in shared] == [4, 5, 6, 7, 8, 9, 4, 5]
    for a, b in zip([*alone, *alone[:2]], shared):
        np.testing.assert_array_equal(a['img'], b['img'])
        np.testing.assert_array_equal(a['keypoints'], b['keypoints'])


def _arrays(batch):
    return [{k: s[k] for k in ('id', 'img', 'keypoints')} for s in batch]
