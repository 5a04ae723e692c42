import itertools
import json
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset, ConcatDataset, DefaultSampler, RepeatDataset
from torch.utils.data import DataLoader

from mmposeda.datasets.difficulty import DifficultyScores, ScoreFileError, read_poses
from mmposeda.datasets.samplers import difficulty_bin_sampler, domain_sampler
from mmposeda.datasets.samplers.streams import ShuffledStream, WeightedStream
from mmposeda.engine.loops import EpochBasedTrainLoop, IterBasedTrainLoop
from mmposeda.engine.resumable_loader import ResumableLoader
from mmposeda.registry import DATA_SAMPLERS, DATASETS

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
            indices = [draw.index for draw in draws]
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


class TestResume:
    @pytest.mark.parametrize('world', WORLDS)
    @pytest.mark.parametrize('strategy', STRATEGIES)
    def test_a_stream_is_the_same_from_anywhere(self, scored, monkeypatch, strategy, world):
        dataset = People()
        path, _ = scored(dataset)

        def built():
            made = sampler(dataset, path, strategy, monkeypatch, 0, world)
            made.set_batch_size(4)
            made.set_total_batches(40)
            return made

        whole = built().take(0, 4 * 40 * world)
        again = built()
        for start, count in [(77, 20), (0, 3), (53, 60), (159, 1)]:
            assert again.take(start, count) == whole[start : start + count]

    def test_a_far_place_takes_no_longer(self, scored):
        dataset = People()
        path, _ = scored(dataset)
        for strategy in STRATEGIES:
            made = sampler(dataset, path, strategy, total_samples=10**15)
            made.take(0, 1)
            tick = time.perf_counter()
            made.take(10**14 + 7, 32)
            assert time.perf_counter() - tick < 0.5

    @pytest.mark.parametrize('rank, world, drop_last', [(0, 1, True), (1, 2, False), (2, 3, True), (7, 8, False)])
    @pytest.mark.parametrize('endless', [False, True])
    @pytest.mark.parametrize('strategy', STRATEGIES)
    def test_alone_through_a_loader(self, scored, monkeypatch, strategy, endless, rank, world, drop_last):
        dataset = People(62)
        path, _ = scored(dataset)

        def loader():
            made = sampler(dataset, path, strategy, monkeypatch, rank, world, samples_per_epoch=62)
            plain = DataLoader(range(62), batch_size=4, sampler=made, drop_last=drop_last, collate_fn=list)
            plain = ResumableLoader(plain, 0, endless)
            plain.plan(5 * len(plain))
            return plain

        def indices(batches):
            return [[draw.index for draw in batch] for batch in batches]

        def run(start, stop):
            made, out = loader(), []
            size = len(made)
            if endless:
                made.begin(start)
                return indices(itertools.islice(made.batch_sampler, stop - start))
            for epoch in range(start // size, -(-stop // size)):
                skip = start % size if epoch == start // size else 0
                made.batch_sampler.sampler.set_epoch(epoch)
                made.begin(epoch * size + skip, skip)
                out += indices(made.batch_sampler)
            return out[: stop - start]

        size = len(loader())
        whole = run(0, 5 * size)
        assert len(whole) == 5 * size
        assert len({tuple(batch) for batch in whole}) > size
        for start in {1, size - 1, size, 2 * size + 1, 4 * size}:
            assert run(start, 5 * size) == whole[start:]

    def test_state_tells_samplers_apart(self, scored):
        dataset = People()
        path, _ = scored(dataset)
        first, second = sampler(dataset, path, 'curriculum'), sampler(dataset, path, 'curriculum')
        assert first.state == second.state
        first.set_total_batches(9)
        assert first.state != second.state != sampler(dataset, path, 'hard').state


class TestWeighted:
    @pytest.mark.parametrize('gamma', [0, 1, 3, -1])
    def test_shares_follow_the_ranks(self, scored, gamma):
        dataset = People(40)
        path, ranks = scored(dataset)
        made = sampler(dataset, path, 'weighted', gamma=gamma)
        share = ((ranks + 1) / 40) ** gamma
        share /= share.sum()
        for number in range(5):
            counts = np.bincount(made.take(40 * number, 40), minlength=40)
            assert (np.abs(counts - 40 * share) < 1).all()
        counts = np.bincount(made.take(0, 40 * 2000), minlength=40) / (40 * 2000)
        np.testing.assert_allclose(counts, share, atol=0.001)

    def test_order_within_a_pass_is_random(self):
        drawn = np.array(WeightedStream(np.ones(1000), (0,)).take(0, 1000))
        assert sorted(drawn) == list(range(1000))
        assert abs(np.corrcoef(drawn, np.arange(1000))[0, 1]) < 0.15

    def test_weights_of_zero_are_never_drawn(self):
        stream = WeightedStream(np.array([0, 1, 0, 2, 0.0]), (1,))
        assert set(stream.take(0, 500)) == {1, 3}
        assert np.bincount(stream.take(0, 3000))[[1, 3]].tolist() == pytest.approx([1000, 2000], abs=50)


def test_shuffled_streams_stay_what_they_were():
    """Runs of before go on with the same samples."""
    seed = np.random.SeedSequence((4, 2, 3))
    want = np.random.Generator(np.random.PCG64(seed)).permutation(9).tolist()
    assert ShuffledStream(9, (4, 2)).take(27, 9) == want


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


class TestInDomainSampler:
    @pytest.fixture
    def joined(self, domain_pair, write_people):
        """30 people as source, 6 as target; returns the joined data set and its source."""
        folder = write_people(domain_pair['root'] / 'many', count=30)
        domain_pair['joined']['datasets'][0]['data_root'] = str(folder)
        return DATASETS.build(domain_pair['joined'])

    def built(self, joined, samplers, monkeypatch=None, rank=0, world=1, **kwargs):
        if monkeypatch is not None:
            for module in (difficulty_bin_sampler, domain_sampler):
                monkeypatch.setattr(module, 'get_dist_info', lambda: (rank, world))
        cfg = dict(type='DomainSampler', dataset=joined, quotas=[3, 2], samplers=samplers, seed=0)
        return DATA_SAMPLERS.build({**cfg, **kwargs})

    def batches(self, made, count, size=5):
        return np.array(list(itertools.islice(iter(made), size * count))).reshape(count, size)

    @pytest.mark.parametrize('form', [list, dict])
    def test_the_source_alone_is_subsampled(self, joined, scored, form):
        path, ranks = scored(joined.datasets[0])
        hard = dict(type='DifficultyBinSampler', score_file=path, strategy='hard')
        made = self.built(joined, [hard, None] if form is list else {'0': hard})
        drawn = self.batches(made, 30)
        assert set(ranks[drawn[:, :3].ravel()]) == set(range(20, 30))
        assert set(drawn[:, 3:].ravel()) == set(range(30, 36))
        np.testing.assert_array_equal(drawn[:, 3:], self.batches(self.built(joined, None), 30)[:, 3:])

    @pytest.mark.parametrize('world', WORLDS)
    def test_a_curriculum_over_ranks_resumes_index_for_index(self, joined, scored, monkeypatch, world):
        path, ranks = scored(joined.datasets[0])
        samplers = {'0': dict(type='DifficultyBinSampler', score_file=path, strategy='curriculum')}
        for rank in range(world):
            made = self.built(joined, samplers, monkeypatch, rank, world)
            made.set_total_batches(20)
            whole = self.batches(made, 20)
            limits = np.array([10 if b < 7 else 20 if b < 14 else 30 for b in range(20)])
            assert (ranks[whole[:, :3]] < limits[:, None]).all()
            for start in (1, 6, 7, 13, 19):
                resumed = self.built(joined, samplers, monkeypatch, rank, world)
                resumed.set_total_batches(20)
                resumed.set_start(start)
                np.testing.assert_array_equal(self.batches(resumed, 20 - start), whole[start:])

    def test_ranks_draw_from_one_stream(self, joined, scored, monkeypatch):
        path, _ = scored(joined.datasets[0])
        samplers = {'0': dict(type='DifficultyBinSampler', score_file=path, strategy='hard')}
        two = [self.batches(self.built(joined, samplers, monkeypatch, r, 2), 10)[:, :3] for r in (0, 1)]
        passes = np.stack(two, 1).ravel()[:60].reshape(6, 10)
        assert all(len(set(row)) == 10 for row in passes)

    def test_keys_are_numbers_of_parts(self, joined):
        plain = dict(type='DefaultSampler', shuffle=False)
        drawn = self.batches(self.built(joined, {'1': plain}), 3)
        np.testing.assert_array_equal(drawn[:, 3:].ravel(), range(30, 36))
        np.testing.assert_array_equal(self.batches(self.built(joined, {1: plain}), 3), drawn)
        for key in ('2', 'source', '-1'):
            with pytest.raises(ValueError, match=rf"samplers has \['{key}'\].*'0' \(LSPDataset\), '1' \(Unlabeled"):
                self.built(joined, {key: plain})
        assert self.built(joined, {}).state == self.built(joined, None).state

    def test_configs_merge_into_it(self, tmp_path):
        (tmp_path / 'base.py').write_text("s = dict(type='DomainSampler', quotas=[1, 1])\n")
        (tmp_path / 'hard.py').write_text(
            "_base_ = ['base.py']\ns = dict(samplers={'0': dict(type='DifficultyBinSampler', strategy='hard')})\n"
        )
        (tmp_path / 'easy.py').write_text("_base_ = ['hard.py']\ns = dict(samplers={'0': dict(strategy='easy')})\n")
        merged = Config.fromfile(tmp_path / 'easy.py').s
        assert merged.samplers == {'0': dict(type='DifficultyBinSampler', strategy='easy')}
        assert list(merged.quotas) == [1, 1]

    def test_the_target_has_no_difficulty(self, joined):
        with pytest.raises(ValueError, match='UnlabeledDataset, which has no joints.*target is not subsampled'):
            self.built(joined, {'1': dict(type='DifficultyBinSampler', score_file='a.npz', strategy='hard')})
        third = self.built(joined, {'1': dict(type='DifficultyBinSampler', strategy='random33')})
        assert len(set(self.batches(third, 20)[:, 3:].ravel())) == 2

    def test_end_to_end_with_edited_annotations(self, domain_pair, joined, scored):
        """Samples that reach a batch are the hard ones, also after people were removed from the annotation file."""
        from mmengine.dataset import pseudo_collate

        path, ranks = scored(joined.datasets[0])
        file = domain_pair['root'] / 'many' / 'ann.json'
        raw = json.loads(file.read_text())
        raw['annotations'] = raw['annotations'][5:][::-1]
        file.write_text(json.dumps(raw))
        fewer = DATASETS.build(domain_pair['joined'])
        kept = sorted(range(5, 30), key=lambda i: ranks[i])
        want = {f'im{i + 1:05}.jpg' for i in kept[-8:]}
        made = self.built(fewer, {'0': dict(type='DifficultyBinSampler', score_file=path, strategy='hard')})
        loader = DataLoader(fewer, batch_size=5, sampler=made, collate_fn=pseudo_collate)
        names = set()
        for _, batch in zip(range(8), loader):
            samples = batch['data_samples']
            names.update(sample.img_path.rpartition('/')[2] for sample in samples[:3])
            assert all(sample.domain == 'target' for sample in samples[3:])
        assert names == want


class Told(DefaultSampler):
    def set_total_batches(self, batches):
        self.told = batches

    def set_batch_size(self, batch_size, drop_last):
        self.size = batch_size, drop_last


class TestLoops:
    """The loops tell the length of the training before the first batch."""

    def loop(self, cls, loader, **kwargs):
        model = torch.nn.Linear(1, 1)
        model.train_step = lambda batch, optim_wrapper: self.seen.append(batch) or {}
        self.seen = []
        runner = SimpleNamespace(seed=0, model=model, optim_wrapper=None, call_hook=lambda *a, **k: None, val_loop=None)
        runner.visualizer = SimpleNamespace()
        made = cls(runner, loader, **kwargs)
        runner.train_loop = made
        return made

    @pytest.mark.parametrize(
        'cls, kwargs, want',
        [(IterBasedTrainLoop, dict(max_iters=7), 7), (EpochBasedTrainLoop, dict(max_epochs=3), 9)],
    )
    def test_samplers_are_told(self, cls, kwargs, want):
        told = Told(range(10))
        self.loop(cls, DataLoader(range(10), batch_size=4, sampler=told, collate_fn=list), **kwargs).run()
        assert told.told == want
        assert told.size == (4, False)
        assert len(self.seen) == want

    def test_a_curriculum_gets_its_stages(self, scored):
        dataset = People()
        path, ranks = scored(dataset)
        made = sampler(dataset, path, 'curriculum')
        loader = DataLoader(range(30), batch_size=5, sampler=made, collate_fn=list)
        self.loop(IterBasedTrainLoop, loader, max_iters=30).run()
        for batch, indices in enumerate(self.seen):
            assert (ranks[indices] < 10 * (1 + batch // 10)).all()
        assert set(itertools.chain(*self.seen[20:])) == set(range(30))
