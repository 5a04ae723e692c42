import itertools
import time

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from mmposeda.datasets.samplers import domain_sampler
from mmposeda.datasets.samplers.streams import ShuffledStream
from mmposeda.engine.resumable_loader import ResumableLoader
from mmposeda.registry import DATA_SAMPLERS, DATASETS


@pytest.fixture
def joined(domain_pair):
    """Three parts of six samples: 0 to 5 source, 6 to 11 target, 12 to 17 source."""
    cfg = domain_pair['joined']
    return DATASETS.build({**cfg, 'datasets': [*cfg['datasets'], cfg['datasets'][0]]})


def sampler(dataset, monkeypatch=None, rank=0, world=1, **kwargs):
    if monkeypatch:
        monkeypatch.setattr(domain_sampler, 'get_dist_info', lambda: (rank, world))
    return DATA_SAMPLERS.build({'type': 'TurnSampler', 'seed': 0, 'dataset': dataset, 'batch_size': 2, **kwargs})


def batches(it, count, size=2):
    return np.array(list(itertools.islice(it, size * count))).reshape(count, size)


@pytest.mark.parametrize('turns', [None, (0, 1, 2), (2, 0), (1, 0, 1, 2, 1), (1,)])
def test_a_batch_comes_wholly_from_the_part_whose_turn_it_is(joined, turns):
    drawn = batches(iter(sampler(joined, turns=turns)), 30)
    turns = turns or (0, 1, 2)
    assert (drawn // 6 == np.array([turns[b % len(turns)] for b in range(30)])[:, None]).all()


def test_every_part_runs_through_its_own_stream_at_its_own_pace(joined):
    turns = (1, 0, 1, 2, 1)
    drawn = batches(iter(sampler(joined, turns=turns)), 40)
    for part in range(3):
        own = drawn[[b for b in range(40) if turns[b % 5] == part]].ravel() - 6 * part
        np.testing.assert_array_equal(own, ShuffledStream(6, (0, part)).take(0, len(own)))
        assert (np.sort(own[: len(own) // 6 * 6].reshape(-1, 6), 1) == np.arange(6)).all()


def test_ranks_take_disjoint_shares(joined, monkeypatch):
    turns = (0, 1, 1)
    one = batches(iter(sampler(joined, monkeypatch, turns=turns, batch_size=4)), 12, 4)
    two = [batches(iter(sampler(joined, monkeypatch, rank, 2, turns=turns)), 12) for rank in (0, 1)]
    np.testing.assert_array_equal(np.concatenate(two, 1), one)


@pytest.mark.parametrize('start', [1, 4, 7, 1000])
@pytest.mark.parametrize('samplers', [None, {'1': dict(type='InfiniteSampler', shuffle=True)}])
def test_resume_at_any_batch(joined, start, samplers):
    kwargs = dict(turns=(0, 1, 0, 2), samplers=samplers)
    want = batches(itertools.islice(iter(sampler(joined, **kwargs)), 2 * start, None), 9)
    resumed = sampler(joined, **kwargs)
    resumed.set_start(start)
    np.testing.assert_array_equal(batches(iter(resumed), 9), want)
    assert resumed.state['start'] == start and resumed.state['turns'] == (0, 1, 0, 2)


def test_resume_takes_constant_time(joined):
    far = sampler(joined, turns=(0, 1, 0, 2))
    far.set_start(10**13 + 3)
    tick = time.perf_counter()
    assert (batches(iter(far), 1) >= 12).all()
    assert time.perf_counter() - tick < 0.5


def test_epochs_and_lengths(joined):
    endless = sampler(joined, turns=(0, 1, 0))
    assert len(endless) == 9 * 2  # three rounds, until part 1 has been seen
    assert len(sampler(joined, turns=(2,))) == 6
    epochs = sampler(joined, turns=(0, 1, 0), epoch_length=4)
    epochs.set_epoch(2)
    assert len(epochs) == 8
    np.testing.assert_array_equal(batches(iter(epochs), 4), batches(iter(endless), 12)[8:])


def test_samplers_of_parts_are_told_their_own_number_of_batches(joined):
    part = dict(type='DifficultyBinSampler', strategy='all')
    own = sampler(joined, turns=(0, 1, 1), samplers={'1': part})
    told = []
    own.streams[1].set_total_batches = told.append
    own.set_total_batches(100)
    assert told == [66]


def test_the_loader_must_have_the_same_batch_size(joined):
    kwargs = dict(collate_fn=pseudo_collate)
    loader = ResumableLoader(DataLoader(joined, 2, sampler=sampler(joined), **kwargs), 0, endless=True)
    domains = [[s.metainfo.get('domain') for s in next(found)['data_samples']] for found in 3 * [iter(loader)]]
    assert domains == [2 * [None], 2 * ['target'], 2 * [None]]
    with pytest.raises(ValueError, match='loader has batch_size=4, its TurnSampler 2'):
        ResumableLoader(DataLoader(joined, 4, sampler=sampler(joined), **kwargs), 0, endless=True)


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(turns=(0, 3)), r'turns=\[0, 3\], expected numbers of parts: 0 \(LSPDataset\), 1 \(UnlabeledDataset\), 2'),
        (dict(turns=(-1,)), 'expected numbers of parts'),
        (dict(turns=()), 'expected numbers of parts'),
        (dict(turns=('0',)), 'expected numbers of parts'),
        (dict(batch_size=0), 'batch_size=0'),
        (dict(batch_size=[2, 2, 2]), 'batch_size='),
        (dict(epoch_length=0), 'epoch_length 0'),
        (dict(samplers=[None]), '1 samplers'),
    ],
)
def test_turns_that_do_not_fit_are_refused(joined, kwargs, message):
    with pytest.raises(ValueError, match=message):
        sampler(joined, **kwargs)


def test_other_data_sets_and_empty_parts_are_refused(domain_pair, joined, monkeypatch):
    with pytest.raises(TypeError, match='TurnSampler needs a CombinedDataset or ConcatDataset, got LSPDataset'):
        sampler(DATASETS.build(domain_pair['source']))
    monkeypatch.setattr(type(joined.datasets[1]), '__len__', lambda self: 0)
    with pytest.raises(ValueError, match='UnlabeledDataset, which is empty'):
        sampler(joined)
    assert len(batches(iter(sampler(joined, turns=(0, 2))), 4)) == 4
