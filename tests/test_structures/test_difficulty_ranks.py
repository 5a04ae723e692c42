import math
from fractions import Fraction

import numpy as np
import pytest

from mmposeda.structures.difficulty import (
    curriculum_sets,
    curriculum_stage,
    equal_bins,
    first_rank,
    select_subset,
    subset_size,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


class TestEqualBins:
    @pytest.mark.parametrize('n, k', [(1, 25), (7, 25), (25, 25), (26, 25), (1000, 25), (999, 7), (13, 1)])
    def test_bins_hold_the_ranks_of_the_rule(self, rng, n, k):
        scores = rng.random(n)
        order, bins = equal_bins(scores, np.arange(n), k)
        assert (np.diff(scores[order]) >= 0).all()
        want = [math.floor(j * n / k) for j in range(k + 1)]
        for j in range(k):
            np.testing.assert_array_equal(np.sort(order[want[j] : want[j + 1]]), np.flatnonzero(bins == j))
        sizes = np.bincount(bins, minlength=k)
        assert sizes.sum() == n
        assert sizes.max() - sizes.min() <= 1

    def test_a_bin_is_no_harder_than_the_next(self, rng):
        scores = rng.integers(0, 40, 500) / 8.0  # many ties
        _, bins = equal_bins(scores, np.arange(500))
        for j in range(24):
            assert scores[bins == j].max() <= scores[bins == j + 1].min()

    @pytest.mark.parametrize('kind', [np.int64, str])
    def test_ties_go_by_id_whatever_the_order_of_samples(self, rng, kind):
        scores = rng.integers(0, 3, 60).astype(float)
        ids = np.array([kind(i) for i in rng.permutation(60)])
        order, bins = equal_bins(scores, ids, 7)
        want = sorted(range(60), key=lambda i: (scores[i], ids[i]))
        assert order.tolist() == want
        shuffled = rng.permutation(60)
        again, moved = equal_bins(scores[shuffled], ids[shuffled], 7)
        np.testing.assert_array_equal(ids[shuffled][again], ids[order])
        np.testing.assert_array_equal(moved, bins[shuffled])

    def test_samples_without_a_score_are_in_no_bin(self, rng):
        scores = rng.random(40)
        scores[::4] = np.nan
        order, bins = equal_bins(scores, np.arange(40), 5)
        assert set(order) == set(range(40)) - set(range(0, 40, 4))
        assert (bins[::4] == -1).all()
        np.testing.assert_array_equal(np.bincount(bins[bins >= 0]), [6] * 5)

    def test_types(self):
        order, bins = equal_bins(np.ones(3, np.float32), np.arange(3))
        assert (order.dtype, bins.dtype) == (np.int64, np.int16)

    @pytest.mark.parametrize(
        'scores, ids, k, message',
        [
            ([], [], 25, 'none of 0 samples'),
            ([np.nan, np.nan], [1, 2], 25, 'none of 2 samples has a score'),
            ([1.0], [1], 0, '0 bins'),
            ([1.0], [1], 40000, '40000 bins'),
            ([1.0, 2.0], [1], 5, 'same length'),
        ],
    )
    def test_what_cannot_be_sorted_is_refused(self, scores, ids, k, message):
        with pytest.raises(ValueError, match=message):
            equal_bins(np.array(scores), np.array(ids), k)


class TestSubsets:
    @pytest.mark.parametrize('n', [3, 4, 5, 100, 101, 3 * 10**5, 10**6 + 1])
    def test_hard_is_the_last_third_and_thirds_share_out_all(self, n):
        order = np.arange(n)[::-1]
        hard, easy = select_subset(order, 'hard'), select_subset(order, 'easy')
        cut = -(-2 * n // 3)
        np.testing.assert_array_equal(hard, order[cut:])
        np.testing.assert_array_equal(np.concatenate([easy, order[len(easy) : cut], hard]), order)
        sizes = [len(easy), cut - len(easy), len(hard)]
        assert max(sizes) - min(sizes) <= 1

    def test_thirds_are_exact_where_floats_are_not(self):
        assert all(first_rank(2 / 3, n) == math.ceil(Fraction(2 * n, 3)) for n in range(10000))
        assert all(first_rank(1 - 1 / 3, 3 * n) == 2 * n for n in range(10000))

    def test_random33_has_the_size_of_hard_and_looks_at_no_rank(self):
        order = np.random.default_rng(1).permutation(1000)
        drawn = select_subset(order, 'random33', seed=3)
        assert len(set(drawn)) == len(select_subset(order, 'hard'))
        np.testing.assert_array_equal(drawn, select_subset(np.arange(1000), 'random33', seed=3))
        assert set(drawn) != set(select_subset(order, 'random33', seed=4))
        assert abs(np.isin(drawn, order[500:]).mean() - 0.5) < 0.1

    @pytest.mark.parametrize('fraction', [0.1, 0.25, 0.5, 1])
    def test_other_fractions(self, fraction):
        order = np.arange(20)
        for strategy in ('hard', 'easy', 'random33'):
            assert len(select_subset(order, strategy, fraction)) == 20 * fraction == subset_size(20, strategy, fraction)
        np.testing.assert_array_equal(select_subset(order, 'all', fraction), order)

    def test_what_cannot_be_chosen_is_refused(self):
        with pytest.raises(ValueError, match=r"'medium'.*all, hard, easy, random33"):
            select_subset(np.arange(9), 'medium')
        with pytest.raises(ValueError, match='hard takes 0.333 of 2 samples'):
            select_subset(np.arange(2), 'hard')
        for fraction in (0, 1.2, float('nan')):
            with pytest.raises(ValueError, match='fraction'):
                select_subset(np.arange(9), 'easy', fraction)


class TestCurriculum:
    @pytest.mark.parametrize('n', [1, 2, 3, 50, 100])
    def test_sets_are_nested_and_fit_the_subsets(self, n):
        order = np.random.default_rng(0).permutation(n)
        sets = curriculum_sets(order, 3)
        for small, large in zip(sets, sets[1:]):
            assert set(small) <= set(large)
        np.testing.assert_array_equal(sets[0], select_subset(order, 'easy'))
        np.testing.assert_array_equal(sets[2], order)
        if n > 2:
            np.testing.assert_array_equal(np.concatenate([sets[1], select_subset(order, 'hard')]), order)

    def test_stages_begin_at_their_borders(self):
        assert [curriculum_stage(p) for p in (0, 0.333, 1 / 3, 0.5, 2 / 3, 0.99, 1)] == [0, 0, 1, 1, 2, 2, 2]
        assert [curriculum_stage(p, (0.5,)) for p in (0, 0.49, 0.5, 1)] == [0, 0, 1, 1]
        assert curriculum_stage(0.7, ()) == 0

    def test_iterations_are_not_moved_by_rounding(self):
        for total in (3, 30, 2999, 3000, 123456):
            borders = [-(-total // 3), -(-2 * total // 3)]
            for iteration in {0, total, *(b + d for b in borders for d in (-1, 0))}:
                assert curriculum_stage(iteration / total) == sum(iteration >= b for b in borders)

    def test_what_is_no_progress_or_border_is_refused(self):
        for progress in (-0.1, 1.1, float('nan')):
            with pytest.raises(ValueError, match='progress'):
                curriculum_stage(progress)
        for stages in ((0.5, 0.5), (0.7, 0.3), (0, 0.5), (0.5, 1), (float('nan'),)):
            with pytest.raises(ValueError, match='rising'):
                curriculum_stage(0.5, stages)
