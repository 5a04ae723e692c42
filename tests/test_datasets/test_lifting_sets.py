import numpy as np
import pytest
import torch
from lifting_samples import People, lifting_poses

from mmposeda.datasets import LiftingSets
from mmposeda.evaluation import LiftingMetric


def sets():
    return LiftingSets(dict(near=People(), far=People(lifting_poses(20)), none=None))


def test_batches_hold_what_the_parts_give_whatever_the_order():
    joined = sets()
    assert len(joined) == 60
    index = torch.randperm(60)[:25]
    batch = joined.__getitems__(index.tolist())
    for row, i in enumerate(batch['data_samples']['index'].tolist()):
        part, local = (0, i) if i < 40 else (1, i - 40)
        single = joined.datasets[part].__getitems__([local])
        for key in ('keypoints', 'pose', 'camera'):
            assert torch.equal(batch['inputs'][key][row], single['inputs'][key][0])
        name = joined.metainfo['action_names'][int(batch['data_samples']['action'][row])]
        own = joined.datasets[part].metainfo['action_names'][int(single['data_samples']['action'])]
        assert name == f'{joined.names[part]}/{own}'
    assert sorted(batch['data_samples']['index'].tolist()) == sorted(index.tolist())


def test_metric_gives_a_value_for_each_set():
    joined = sets()
    metric = LiftingMetric(modes=['mpjpe'])
    metric.dataset_meta = joined.metainfo
    for start in range(0, 60, 7):
        batch = joined.__getitems__(list(range(start, min(start + 7, 60))))
        poses = batch['inputs']['pose'] - batch['inputs']['pose'][:, :1]
        far = (batch['data_samples']['index'] >= 40)[:, None, None]
        predicted = poses * torch.where(far, 1.0, 0.0)  # all wrong in the first set, right in the second
        metric.process({}, [dict(pred_poses=predicted, poses=poses, **batch['data_samples'])])
    values = metric.evaluate(60)
    poses = joined.datasets[0].poses
    wanted = 1000 * np.linalg.norm(poses - poses[:, :1], axis=-1).mean()
    assert values['lifting/MPJPE/near'] == pytest.approx(wanted, rel=1e-5)
    assert values['lifting/MPJPE/far'] == pytest.approx(0, abs=1e-6)
    assert values['lifting/MPJPE/frames'] == pytest.approx(wanted * 40 / 60, rel=1e-5)


def test_wrong_parts_are_refused():
    with pytest.raises(ValueError, match='without a slash'):
        LiftingSets({'a/b': People()})
    with pytest.raises(ValueError, match='without a slash'):
        LiftingSets(dict(a=None))
    with pytest.raises(ValueError, match='share|joints'):
        LiftingSets(dict(a=People(), b=People(joints='h36m')))
    with pytest.raises(TypeError, match="'b' is list"):
        LiftingSets(dict(a=People(), b=[]))
