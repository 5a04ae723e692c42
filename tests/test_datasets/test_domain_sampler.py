import itertools
import time

import numpy as np
import pytest
import torch
from mmengine.dataset import ConcatDataset
from torch.utils.data import DataLoader

from mmposeda.datasets.samplers import domain_sampler
from mmposeda.datasets.samplers.domain_sampler import DomainSampler, ShuffledStream
from mmposeda.registry import DATA_SAMPLERS, DATASETS
from mmposeda.structures.skeleton import metainfo_path


@pytest.fixture
def joined(domain_pair):
    return DATASETS.build(domain_pair['joined'])


def sampler(dataset, monkeypatch=None, rank=0, world=1, **kwargs):
    if monkeypatch:
        monkeypatch.setattr(domain_sampler, 'get_dist_info', lambda: (rank, world))
    return DATA_SAMPLERS.build({'type': 'DomainSampler', 'seed': 0, 'dataset': dataset, **kwargs})


def batches(it, size, count):
    return np.array(list(itertools.islice(it, size * count))).reshape(count, size)


def test_every_batch_holds_the_quotas_in_order(joined):
    drawn = batches(iter(sampler(joined, quotas=[2, 3])), 5, 40)
    assert (drawn[:, :2] < 6).all() and (drawn[:, 2:] >= 6).all()
    assert set(drawn.ravel()) == set(range(12))


def test_passes_are_without_replacement_and_differ(joined):
    drawn = batches(iter(sampler(joined, quotas=[2, 3])), 5, 30)
    source = drawn[:, :2].ravel().reshape(-1, 6)
    assert (np.sort(source, 1) == np.arange(6)).all()
    assert len({tuple(p) for p in source}) > 5
    assert (drawn == batches(iter(sampler(joined, quotas=[2, 3])), 5, 30)).all()
    assert (drawn != batches(iter(sampler(joined, quotas=[2, 3], seed=1)), 5, 30)).any()


def test_ranks_share_one_stream(joined, monkeypatch):
    one = batches(iter(sampler(joined, monkeypatch, quotas=[2, 2])), 4, 12)
    two = [batches(iter(sampler(joined, monkeypatch, r, 2, quotas=[1, 1])), 2, 12) for r in (0, 1)]
    for part in (0, 1):
        together = np.stack([t[:, part] for t in two], 1)
        np.testing.assert_array_equal(together, one[:, 2 * part : 2 * part + 2])
        passes = together.ravel().reshape(-1, 6)
        assert (np.sort(passes, 1) == np.arange(6) + 6 * part).all()  # disjoint over the ranks


@pytest.mark.parametrize('start', [1, 7, 1000])
def test_resume_at_any_batch(joined, start):
    kwargs = dict(quotas=[2, 3])
    want = batches(itertools.islice(iter(sampler(joined, **kwargs)), 5 * start, None), 5, 4)
    resumed = sampler(joined, **kwargs)
    resumed.set_start(start)
    np.testing.assert_array_equal(batches(iter(resumed), 5, 4), want)
    assert resumed.state['start'] == start


def test_resume_takes_constant_time():
    stream = ShuffledStream(100_000, (0,))
    tick = time.perf_counter()
    stream.take(10**13 + 5, 32)
    assert time.perf_counter() - tick < 0.5


def test_stream_stretches_join_up():
    whole = ShuffledStream(7, (1, 2)).take(0, 40)
    again = ShuffledStream(7, (1, 2))
    assert [again.take(s, 5) for s in (35, 0, 10)] == [whole[35:40], whole[:5], whole[10:15]]


def test_epochs_continue_the_stream(joined):
    endless = batches(iter(sampler(joined, quotas=[2, 3])), 5, 9)
    epochs = sampler(joined, quotas=[2, 3], epoch_length=3)
    assert len(epochs) == 15
    for epoch in (2, 0, 1):
        epochs.set_epoch(epoch)
        np.testing.assert_array_equal(np.array(list(epochs)).reshape(3, 5), endless[3 * epoch : 3 * epoch + 3])
    endless_sampler = sampler(joined, quotas=[2, 3])
    endless_sampler.set_start(4)
    endless_sampler.set_epoch(1)  # MMEngine's hook calls this in iteration-based runs too
    assert endless_sampler.state['start'] == 4


def test_length_of_an_endless_sampler_is_a_pass_of_the_slowest(joined):
    assert len(sampler(joined, quotas=[2, 3])) == 3 * 5
    assert len(sampler(joined, quotas=[0, 4])) == 2 * 4


def test_a_part_may_be_left_out_or_sampled_by_another_sampler(joined):
    only = batches(iter(sampler(joined, quotas=[0, 2])), 2, 20)
    assert (only >= 6).all()
    plain = dict(type='DefaultSampler', shuffle=False)
    mixed = sampler(joined, quotas=[2, 2], samplers=[plain, None])
    drawn = batches(iter(mixed), 4, 7)
    assert drawn[:, :2].ravel().tolist() == [*range(6), *range(6), 0, 1]
    mixed.set_start(5)
    np.testing.assert_array_equal(batches(iter(mixed), 4, 2), drawn[5:])


@pytest.mark.parametrize('type_', ['DefaultSampler', 'InfiniteSampler'])
def test_shuffled_sub_samplers_of_mmengine_resume(joined, type_):
    kwargs = dict(quotas=[2, 2], samplers=[dict(type=type_, shuffle=True), None])
    want = batches(iter(sampler(joined, **kwargs)), 4, 12)
    resumed = sampler(joined, **kwargs)
    resumed.set_start(8)
    np.testing.assert_array_equal(batches(iter(resumed), 4, 4), want[8:])


def test_batches_reach_the_model_by_domain(joined):
    from mmengine.dataset import pseudo_collate

    from mmposeda.models.data_preprocessor import DomainDataPreprocessor

    loader = DataLoader(joined, batch_size=5, sampler=sampler(joined, quotas=[2, 3]), collate_fn=pseudo_collate)
    batch = DomainDataPreprocessor(dict(type='PoseDataPreprocessor'))(next(iter(loader)), True)
    assert {k: len(v) for k, v in batch['inputs'].items()} == dict(source=2, target=3)
    assert all('heatmaps' in s.gt_fields for s in batch['data_samples']['source'])
    assert all('gt_fields' not in s for s in batch['data_samples']['target'])
    assert all(isinstance(v, torch.Tensor) for v in batch['inputs'].values())


def test_works_on_concat_datasets(domain_pair):
    source = DATASETS.build(domain_pair['source'])
    drawn = batches(iter(sampler(ConcatDataset([source, source]), quotas=[1, 1])), 2, 12)
    assert (drawn[:, 0] < 6).all() and (drawn[:, 1] >= 6).all()


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(quotas=[1]), '1 quotas .* for 2 data sets'),
        (dict(quotas=[0, 0]), 'at least one'),
        (dict(quotas=[-1, 2]), 'whole numbers'),
        (dict(quotas=[1.5, 2]), 'whole numbers'),
        (dict(quotas=[1, 1], epoch_length=0), 'epoch_length 0'),
        (dict(quotas=[1, 1], samplers=[None]), '1 samplers'),
    ],
)
def test_quotas_that_do_not_fit_are_refused(joined, kwargs, message):
    with pytest.raises(ValueError, match=message):
        sampler(joined, **kwargs)


def test_other_data_sets_are_refused(domain_pair):
    with pytest.raises(TypeError, match='CombinedDataset or ConcatDataset, got LSPDataset'):
        sampler(DATASETS.build(domain_pair['source']), quotas=[1])
    with pytest.raises(ValueError, match='leave it to the quotas'):
        sampler(DATASETS.build({**domain_pair['joined'], 'sample_ratio_factor': [1.0, 0.5]}), quotas=[1, 1])


def test_quota_for_an_empty_part_is_refused(joined, monkeypatch):
    monkeypatch.setattr(type(joined.datasets[1]), '__len__', lambda self: 0)
    with pytest.raises(ValueError, match='quota 2 for UnlabeledDataset, which is empty'):
        sampler(joined, quotas=[2, 2])
    assert isinstance(sampler(joined, quotas=[2, 0]), DomainSampler)


def hands(domain_pair, shared_data, **kwargs):
    return {
        'type': 'FreiHandDataset',
        'data_root': str(shared_data / 'mmpose_samples' / 'freihand'),
        'ann_file': 'test_freihand.json',
        'pipeline': domain_pair['target']['pipeline'],
        **kwargs,
    }


def test_domains_without_common_joints_are_refused(domain_pair, shared_data):
    cfg = domain_pair['joined']
    cfg['datasets'][1] = dict(type='UnlabeledDataset', dataset=hands(domain_pair, shared_data))
    with pytest.raises(ValueError, match="'freihand' and 'lsp' share no joint"):
        sampler(DATASETS.build(cfg), quotas=[1, 1])


def test_other_order_of_joints_is_refused_with_the_converter_to_use(domain_pair, shared_data):
    rhd = dict(from_file=metainfo_path('rhd2d'))
    source = hands(domain_pair, shared_data)
    target = dict(type='UnlabeledDataset', dataset=hands(domain_pair, shared_data, metainfo=rhd))
    cfg = dict(type='CombinedDataset', metainfo=dict(from_file=metainfo_path('freihand2d')), datasets=[source, target])
    with pytest.raises(ValueError, match=r'data set 1 .*KeypointConverter.*\(4, 1\), \(3, 2\), \(2, 3\)'):
        sampler(DATASETS.build(cfg), quotas=[1, 1])


def test_a_converted_part_must_give_the_promised_number(domain_pair):
    cfg = domain_pair['joined']
    pipeline = cfg['datasets'][0]['pipeline']
    pipeline.insert(2, dict(type='KeypointConverter', num_keypoints=16, mapping=[(i, i) for i in range(14)]))
    with pytest.raises(ValueError, match='converts to 16 joints.*14'):
        sampler(DATASETS.build(cfg), quotas=[1, 1])


def test_annotations_that_contradict_their_metainfo_are_refused(domain_pair, shared_data):
    lsp = dict(from_file=metainfo_path('lsp'))
    cfg = domain_pair['joined']
    cfg['datasets'][0] = hands(domain_pair, shared_data, metainfo=lsp)
    with pytest.raises(ValueError, match='annotations with 21 joints, but its metainfo has 14'):
        sampler(DATASETS.build(cfg), quotas=[1, 1])
