import numpy as np
import pytest
from scored_people import People, sampler

from mmposeda.datasets.samplers.streams import ShuffledStream, WeightedStream


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
