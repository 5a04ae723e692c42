import numpy as np
import pytest
import torch
from lifting_samples import People, lifting_poses
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmposeda.datasets.lifting import take_batch
from mmposeda.datasets.lifting_streams import PoseStreams
from mmposeda.engine.resumable_loader import ResumableLoader
from mmposeda.registry import DATA_SAMPLERS, DATASETS


def loader(streams, quota=4, seed=0):
    sampler = DATA_SAMPLERS.build(dict(type='DomainSampler', dataset=streams, quotas=[quota] * 3, seed=seed))
    return DataLoader(streams, batch_size=3 * quota, sampler=sampler, collate_fn=take_batch)


def test_one_data_set_is_held_once_and_shuffled_thrice():
    pairs = People()
    streams = PoseStreams(pairs)
    assert streams.datasets[0] is streams.datasets[1] is streams.datasets[2] is pairs
    assert len(streams) == 120 and streams.metainfo['dataset_name'] == 'body16_3d'
    batches = [batch for batch, _ in zip(loader(streams), range(10))]
    for name in ('pairs', 'real_2d', 'real_3d'):
        drawn = torch.cat([batch['data_samples'][name]['index'] for batch in batches])
        assert sorted(drawn.tolist()) == list(range(40))  # a pass without replacement
        np.testing.assert_array_equal(torch.cat([b['inputs'][name]['pose'] for b in batches]), pairs.poses[drawn])
    first = [batches[0]['data_samples'][name]['index'].tolist() for name in ('pairs', 'real_2d', 'real_3d')]
    assert len(set(map(tuple, first))) == 3


def test_streams_may_be_of_different_data_sets():
    pairs, target = People(), People(lifting_poses(10), actions=['run'])
    streams = PoseStreams(pairs, real_2d=target)
    assert streams.datasets[1] is target and streams.datasets[2] is pairs
    batch = streams.__getitems__([39, 40, 42, 43, 0])
    assert {name: part['index'].tolist() for name, part in batch['data_samples'].items()} == dict(
        pairs=[39, 0], real_2d=[0, 2], real_3d=[0]
    )
    np.testing.assert_array_equal(batch['inputs']['real_2d']['pose'], target.poses[[0, 2]])
    assert list(streams[5]['inputs']) == ['pairs']
    with pytest.raises(IndexError):
        streams.__getitems__([len(streams)])


def test_built_from_a_config_with_a_runners_loader(monkeypatch):
    monkeypatch.setitem(DATASETS.module_dict, 'People', People)
    cfg = dict(
        batch_size=6,
        num_workers=0,
        dataset=dict(type='PoseStreams', dataset=dict(type='People')),
        sampler=dict(type='DomainSampler', quotas=[2, 2, 2]),
        collate_fn=dict(type='take_batch'),
    )
    batch = next(iter(Runner.build_dataloader(cfg, seed=3)))
    assert {name: len(part['keypoints']) for name, part in batch['inputs'].items()} == dict.fromkeys(
        ('pairs', 'real_2d', 'real_3d'), 2
    )


def test_a_run_resumes_at_any_batch():
    def indices(batch):
        return [part['index'].tolist() for part in batch['data_samples'].values()]

    streams = PoseStreams(People())
    whole = ResumableLoader(loader(streams), seed=1, endless=True)
    wanted = [indices(batch) for batch, _ in zip(whole, range(9))]
    late = ResumableLoader(loader(streams), seed=1, endless=True)
    late.begin(6)
    assert [indices(batch) for batch, _ in zip(late, range(3))] == wanted[6:]


@pytest.mark.parametrize(
    'make, error, message',
    [
        (lambda: PoseStreams(People(), real_3d=People(joints='h36m')), ValueError, 'data set 2 .*17 joints'),
        (lambda: PoseStreams(People(lifting_poses(absolute=False))), ValueError, 'cannot take pairs.*real_2d'),
        (lambda: PoseStreams(list(range(4))), TypeError, 'as dataset, got list'),
        (lambda: PoseStreams(People(), real_2d=People(pipeline=[dict(type='PackPoseInputs')])), TypeError, 'pipeline'),
    ],
    ids=['joints', 'relative', 'kind', 'pipeline'],
)
def test_what_does_not_fit_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_root_relative_poses_will_do_for_a_discriminator():
    relative = People(lifting_poses(absolute=False))
    assert PoseStreams(People(), real_3d=relative).datasets[2] is relative
