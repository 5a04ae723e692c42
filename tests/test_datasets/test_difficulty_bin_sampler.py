import itertools

import numpy as np
import pytest
from mmengine.dataset import ConcatDataset, RepeatDataset
from scored_people import STRATEGIES, WORLDS, People, epochs, sampler
from torch.utils.data import DataLoader

from mmposeda.datasets.difficulty import ScoreFileError
from mmposeda.engine.resumable_loader import ResumableLoader


class TestSets:
    @pytest.mark.parametrize('count', [3, 10, 30, 31, 32])
    def test_hard_and_easy_are_the_ends_of_the_ranks(self, scored, count):
        dataset = People(count)
        path, ranks = scored(dataset)
        cut = -(-2 * count // 3)
        want = dict(all=ranks >= 0, hard=ranks >= cut, easy=ranks < -(-count // 3))
        for strategy, wanted in want.items():
            made = sampler(dataset, path, strategy)
            for epoch in epochs(made, 3):
                assert sorted(epoch) == np.flatnonzero(wanted).tolist()
            assert sorted(set(made.take(0, 300))) == np.flatnonzero(wanted).tolist()

    def test_random33_needs_no_scores_and_is_fixed_by_the_seed(self):
        dataset = People()
        made = sampler(dataset, strategy='random33')
        assert not made.needs_scores
        first, second = epochs(made, 2)
        assert first != second
        assert set(first) == set(second) == set(made.take(10**6, 50))
        assert len(first) == len(set(first)) == 10
        assert set(first) != set(next(iter(epochs(sampler(dataset, strategy='random33', seed=6), 1))))

    def test_a_sample_without_a_score_is_in_no_third(self, scored):
        dataset, missing = People(), [3, 9, 20]
        path, ranks = scored(dataset, missing)
        ordered = np.argsort(ranks)[:27]
        sets = dict(all=range(30), hard=ordered[18:], easy=ordered[:9], weighted=ordered)
        for strategy, want in sets.items():
            drawn = set(sampler(dataset, path, strategy).take(0, 5000))
            assert drawn == set(np.asarray(want).tolist()), strategy
        made = sampler(dataset, path, 'curriculum', total_samples=9000)
        assert set(made.take(0, 3000)) == set(ordered[:9].tolist())
        assert set(made.take(3000, 3000)) == set(ordered[:18].tolist())
        assert set(made.take(6000, 3000)) == set(range(30))

    def test_the_hardest_may_be_dropped(self, scored):
        dataset = People()
        path, ranks = scored(dataset)
        made = sampler(dataset, path, 'hard', drop_top=0.1)
        assert sorted(ranks[list(made)]) == list(range(18, 27))
        made = sampler(dataset, path, 'curriculum', drop_top=0.1, total_samples=300)
        assert len(made) == 27
        assert set(ranks[made.take(200, 500)]) == set(range(27))

    def test_a_filtered_set_keeps_its_ids(self, scored):
        whole = People()
        path, ranks = scored(whole)
        keep = [25, 3, 17, 8, 9, 22, 1, 0, 29]
        for part in (People(keep=keep), People(indices=keep)):
            hard = list(sampler(part, path, 'hard'))
            want = sorted(keep, key=lambda i: ranks[i])[-3:]
            assert sorted(keep[i] for i in hard) == sorted(want)

    def test_a_repeated_or_joined_set_keeps_its_ids(self, scored):
        dataset = People()
        path, ranks = scored(dataset)
        made = sampler(RepeatDataset(dataset, 3), path, 'hard')
        assert len(made) == 30
        counts = np.bincount(list(made), minlength=30)
        np.testing.assert_array_equal(counts, 3 * (ranks >= 20))
        joined = ConcatDataset([People(), People(count=12, seed=1)])
        path, ranks = scored(joined)
        assert sorted(ranks[list(sampler(joined, path, 'easy'))]) == list(range(14))

    def test_changed_poses_are_refused(self, scored):
        path, _ = scored(People())
        with pytest.raises(ScoreFileError, match='30 of 30 poses'):
            list(sampler(People(seed=1), path, 'hard'))
        with pytest.raises(ScoreFileError, match='no score for 5 of 35 samples'):
            list(sampler(People(count=35), path, 'hard'))

    def test_a_part_without_scores_is_refused(self, scored):
        path, _ = scored(People(), missing=range(10))
        with pytest.raises(ScoreFileError, match=r'scores\.npz: none of 10 samples has a score'):
            list(sampler(People(keep=range(10)), path, 'hard'))
        with pytest.raises(ScoreFileError, match=r'scores\.npz: hard takes 0.333 of 2 samples'):
            list(sampler(People(keep=range(12)), path, 'hard'))


class TestShares:
    @pytest.mark.parametrize('world', WORLDS)
    @pytest.mark.parametrize('strategy', STRATEGIES)
    def test_ranks_share_out_one_list(self, scored, monkeypatch, strategy, world):
        dataset = People(31)
        path, _ = scored(dataset)
        alone = epochs(sampler(dataset, path, strategy, monkeypatch, total_samples=31 * 6), 3)
        whole = -(-31 // world) * world  # with the padding
        kwargs = dict(world=world, total_samples=whole * 6)
        ranks = [sampler(dataset, path, strategy, monkeypatch, r, **kwargs) for r in range(world)]
        shares = [epochs(made, 3) for made in ranks]
        for epoch in range(3):
            pieces = [share[epoch] for share in shares]
            assert {len(piece) for piece in pieces} == {len(made) for made in ranks} == {-(-len(alone[0]) // world)}
            together = [index for row in zip(*pieces) for index in row]
            assert together[: len(alone[epoch])] == alone[epoch]
            padding = together[len(alone[epoch]) :]
            assert len(padding) < world
            assert padding == list(itertools.islice(itertools.cycle(alone[epoch]), len(padding)))

    def test_without_rounding_up_nothing_is_padded(self, monkeypatch):
        dataset = People(31)
        made = [sampler(dataset, monkeypatch=monkeypatch, rank=r, world=3, round_up=False) for r in range(3)]
        shares = [list(m) for m in made]
        assert [len(m) for m in made] == [len(s) for s in shares] == [11, 10, 10]
        assert sorted(itertools.chain(*shares)) == list(range(31))

    def test_more_ranks_than_samples(self, scored, monkeypatch):
        dataset = People(3)
        path, ranks = scored(dataset)
        hardest = int(np.argmax(ranks))
        for rank in range(8):
            assert list(sampler(dataset, path, 'hard', monkeypatch, rank, 8)) == [hardest]

    @pytest.mark.parametrize('strategy', STRATEGIES)
    def test_epochs_are_fixed_by_seed_and_number(self, scored, strategy):
        dataset = People()
        path, _ = scored(dataset)
        kwargs = dict(total_samples=10**6)
        first = epochs(sampler(dataset, path, strategy, **kwargs), 4)
        assert first == epochs(sampler(dataset, path, strategy, **kwargs), 4)
        assert len({tuple(epoch) for epoch in first}) == 4
        late = sampler(dataset, path, strategy, **kwargs)
        late.set_epoch(3)
        assert list(late) == first[3]
        assert first != epochs(sampler(dataset, path, strategy, seed=6, **kwargs), 4)

    @pytest.mark.parametrize('length', [7, 10, 25, 40])
    def test_a_set_is_repeated_whole_and_cut(self, scored, length):
        dataset = People()
        path, ranks = scored(dataset)
        made = sampler(dataset, path, 'hard', samples_per_epoch=length)
        assert len(made) == length
        for epoch in epochs(made, 3):
            counts = np.bincount(epoch, minlength=30)[ranks >= 20]
            assert counts.sum() == length
            assert counts.max() - counts.min() <= 1
            assert len(set(epoch[:10])) == min(length, 10)

    def test_in_order(self, scored):
        dataset = People()
        path, ranks = scored(dataset)
        made = sampler(dataset, path, 'easy', shuffle=False)
        assert list(made) == np.flatnonzero(ranks < 10).tolist()
        drawn = sampler(dataset, path, 'weighted', shuffle=False, gamma=0).take(0, 30)
        np.testing.assert_array_equal(ranks[drawn], range(30))


class TestLength:
    @pytest.mark.parametrize('strategy', STRATEGIES)
    def test_needs_no_file_and_does_not_change(self, tmp_path, scored, monkeypatch, strategy):
        dataset = People()
        made = sampler(dataset, str(tmp_path / 'scores.npz'), strategy, monkeypatch, 0, 4, total_samples=30 * 6)
        length = len(made)
        assert length == (3 if strategy in ('hard', 'easy', 'random33') else 8)
        scored(dataset, missing=range(8))
        for epoch in epochs(made, 6):
            assert len(epoch) == len(made) == length

    def test_the_file_is_read_once_at_the_first_index(self, tmp_path, scored, monkeypatch):
        dataset = People()
        made = sampler(dataset, str(tmp_path / 'scores.npz'), 'hard')
        with pytest.raises(FileNotFoundError, match=r'scores\.npz does not exist.*score_poses'):
            made.take(0, 1)
        path, _ = scored(dataset)
        first = made.take(0, 10)
        (tmp_path / 'scores.npz').unlink()
        assert made.take(0, 10) == first


class TestCurriculum:
    def test_early_epochs_hold_no_hard_sample(self, scored):
        dataset = People()
        path, ranks = scored(dataset)
        made = sampler(dataset, path, 'curriculum', total_samples=30 * 6)
        seen = [set(ranks[epoch]) for epoch in epochs(made, 6)]
        for epoch, limit in enumerate([10, 10, 20, 20, 30, 30]):
            assert seen[epoch] == set(range(limit))

    @pytest.mark.parametrize('world', WORLDS)
    @pytest.mark.parametrize('batches', [1, 2, 10, 31, 100])
    def test_a_batch_holds_no_sample_of_a_later_stage(self, scored, monkeypatch, world, batches):
        dataset = People()
        path, ranks = scored(dataset)
        seen = [set() for _ in range(3)]
        for rank in range(world):
            made = sampler(dataset, path, 'curriculum', monkeypatch, rank, world)
            made.set_batch_size(5)
            made.set_total_batches(batches)
            for batch in range(batches + 3):  # data workers go beyond the end
                drawn = ranks[made.take((batch * world + rank) * 5, 5)]
                stage = sum(batch / batches >= border for border in (1 / 3, 2 / 3))
                assert stage == made.stage(batch)
                assert (drawn < 10 * (stage + 1)).all()
                seen[stage].update(drawn)
        if batches == 100:
            assert [len(s) for s in seen] == [10, 20, 30]

    @pytest.mark.parametrize('size, drop_last', [(4, False), (4, True), (7, False), (7, True), (30, False)])
    def test_alone_a_stage_begins_with_its_batch(self, scored, size, drop_last):
        dataset = People(31)
        path, ranks = scored(dataset)
        made = sampler(dataset, path, 'curriculum')
        loader = ResumableLoader(
            DataLoader(range(31), batch_size=size, sampler=made, drop_last=drop_last, collate_fn=list), 0, True
        )
        loader.plan(50)
        limits = [11, 21, 31]
        for batch, draws in zip(range(50), loader.batch_sampler):
            indices = draws.indices
            stage = sum(batch / 50 >= border for border in (1 / 3, 2 / 3))
            assert (ranks[indices] < limits[stage]).all()
            assert made.stage(batch) == stage

    def test_each_stage_begins_with_a_whole_pass(self, scored):
        dataset = People()
        path, ranks = scored(dataset)
        made = sampler(dataset, path, 'curriculum')
        made.set_batch_size(7)
        made.set_total_batches(30)
        for stage, start in enumerate([0, 70, 140]):
            size = 10 * (stage + 1)
            assert sorted(ranks[made.take(start, size)]) == list(range(size))

    def test_other_borders(self, scored):
        dataset = People()
        path, ranks = scored(dataset)
        made = sampler(dataset, path, 'curriculum', stages=[0.25, 0.5, 0.75], total_samples=4000)
        for stage in range(4):
            want = -(-(stage + 1) * 30 // 4)
            assert set(ranks[made.take(1000 * stage, 1000)]) == set(range(want))
        assert sampler(dataset, path, 'curriculum', stages=[], total_samples=10).stage(0) == 0

    def test_an_unknown_length_is_an_error_that_names_the_ways_out(self, scored):
        dataset = People()
        path, _ = scored(dataset)
        made = sampler(dataset, path, 'curriculum')
        for use in (lambda: made.take(0, 4), lambda: list(made), lambda: made.stage(0)):
            with pytest.raises(RuntimeError, match=r'mmposeda\.IterBasedTrainLoop.*total_samples'):
                use()
        assert len(made) == 30

    def test_a_given_length_goes_before_a_told_one(self, scored):
        dataset = People()
        path, _ = scored(dataset)
        made = sampler(dataset, path, 'curriculum', total_samples=400)
        made.set_total_batches(7)
        made.set_batch_size(4)
        assert [made.stage(b) for b in (0, 33, 34, 66, 67)] == [0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(strategy='medium'), "strategy='medium' is unknown, expected one of all, hard"),
        (dict(strategy='hard', score_file=None), "'hard' needs a score_file of People"),
        (dict(fraction=0), 'fraction 0'),
        (dict(fraction=1.5), 'fraction 1.5'),
        (dict(strategy='curriculum', stages=(0.7, 0.2)), 'rising'),
        (dict(gamma=float('nan')), 'gamma=nan'),
        (dict(drop_top=1.0), 'drop_top=1.0'),
        (dict(samples_per_epoch=0), 'samples_per_epoch=0'),
        (dict(total_samples=-3), 'total_samples=-3'),
        (dict(strategy='hard', fraction=0.01), 'People of 30 samples leaves none for hard'),
    ],
)
def test_arguments_that_do_not_fit_are_refused_when_built(kwargs, message):
    with pytest.raises(ValueError, match=message):
        sampler(People(), **{'score_file': 'a.npz', **kwargs})


def test_an_empty_set_is_refused():
    with pytest.raises(ValueError, match='People of 0 samples leaves none'):
        sampler(People(0), strategy='all')
