import copy
import pickle

import pytest
import torch

from mmposeda.models.replay_pool import ReplayPool


def numbered(start, count, shape=(2,)):
    """Samples that hold their number."""
    return (
        torch.arange(start, start + count, dtype=torch.float32).view(-1, *[1] * len(shape)).expand(-1, *shape).clone()
    )


def run(pool, batches, start=0, size=32):
    return [pool(numbered(start + i * size, size)) for i in range(batches)]


def held(pool):
    return pool.state_dict()['items']


class SlowPool:
    """The rule, a sample at a time: a batch looks at the pool as it was, and the last one stays in a slot."""

    def __init__(self, size, seed):
        self.size, self.items = size, []
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, fakes):
        fresh = min(len(fakes), self.size - len(self.items))
        self.items += list(fakes[:fresh])
        rest, out = fakes[fresh:], list(fakes[:fresh])
        if len(rest):
            swap = torch.rand(len(rest), generator=self.generator) < 0.5
            slots = torch.randint(self.size, (len(rest),), generator=self.generator)
            before = list(self.items)
            for fake, do, slot in zip(rest, swap.tolist(), slots.tolist()):
                out.append(before[slot] if do else fake)
                if do:
                    self.items[slot] = fake
        return torch.stack(out)


@pytest.mark.parametrize('size, batch', [(8, 32), (100, 32), (4, 1), (64, 64)])
def test_the_pool_follows_the_rule_sample_by_sample(size, batch):
    fast, slow = ReplayPool(size, (2,), seed=5), SlowPool(size, seed=5)
    for step in range(12):
        fakes = numbered(step * batch, batch)
        assert torch.equal(fast(fakes), slow(fakes))
        assert torch.equal(held(fast), torch.stack(slow.items)) and len(fast) == len(slow.items)


def test_the_first_samples_come_back_and_all_later_ones_were_seen():
    pool = ReplayPool(4096, (16, 3))
    for step in range(4):
        fakes = numbered(step * 1024, 1024, (16, 3))
        assert torch.equal(pool(fakes), fakes)
    assert len(pool) == 4096 and torch.equal(held(pool), numbered(0, 4096, (16, 3)))
    for step in range(4, 12):
        before, fakes = set(held(pool)[:, 0, 0].tolist()), numbered(step * 1024, 1024, (16, 3))
        out = pool(fakes)
        assert (out == out[:, :1, :1]).all()
        new = set(fakes[:, 0, 0].tolist())
        returned = set(out[:, 0, 0].tolist())
        assert returned <= before | new and set(held(pool)[:, 0, 0].tolist()) <= before | new
        assert len(pool) == 4096 and held(pool).shape == (4096, 16, 3)
        assert 0.4 < len(returned & new) / 1024 < 0.6  # half of them as they are
    assert not (held(pool) < 0).any()


def test_a_batch_that_fills_the_pool_swaps_the_rest():
    pool = ReplayPool(40, (2,))
    pool(numbered(0, 32))
    out = pool(numbered(32, 200))
    assert torch.equal(out[:8], numbered(32, 8)) and len(pool) == 40
    returned = set(out[8:, 0].tolist())
    assert returned <= set(range(232)) and returned & set(range(40)) and returned & set(range(40, 232))


def test_equal_seeds_choose_alike_and_others_do_not():
    first, second, third = (run(ReplayPool(50, (2,), seed=seed), 6) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, second))
    assert not all(torch.equal(a, b) for a, b in zip(first, third))


def test_the_global_generator_is_left_alone():
    state = torch.get_rng_state()
    run(ReplayPool(20, (2,)), 3)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize('way', ['state', 'pickle', 'copy', 'file'])
@pytest.mark.parametrize('steps', [0, 1, 5])
def test_a_saved_pool_goes_on_as_if_never_stopped(way, steps, tmp_path):
    pool = ReplayPool(50, (2,), seed=7)
    run(pool, steps)
    if way == 'pickle':
        again = pickle.loads(pickle.dumps(pool))
    elif way == 'copy':
        again = copy.deepcopy(pool)
    else:
        state = pool.state_dict()
        if way == 'file':
            torch.save(state, tmp_path / 'pool.pth')
            state = torch.load(tmp_path / 'pool.pth', weights_only=True)
        again = ReplayPool(50, (2,), seed=7)
        again.load_state_dict(state)
        again.load_state_dict(again.state_dict())  # before its first batch too
    for a, b in zip(run(pool, 4, start=10_000), run(again, 4, start=10_000)):
        assert torch.equal(a, b)
    assert torch.equal(held(pool), held(again))


def test_a_state_is_not_changed_by_later_batches():
    pool = ReplayPool(50, (2,))
    run(pool, 3)
    state = pool.state_dict()
    kept = copy.deepcopy(state)
    run(pool, 3, start=500)
    assert torch.equal(state['items'], kept['items']) and torch.equal(state['generator'], kept['generator'])


def test_samples_are_stored_by_value_and_without_gradient():
    pool = ReplayPool(8, (2,))
    weight = torch.ones(4, 2, requires_grad=True)
    fakes = weight * 3
    out = pool(fakes)
    assert not out.requires_grad
    fakes.data.zero_()
    assert (held(pool) == 3).all()


def test_samples_and_states_of_other_pools_are_refused():
    pool = ReplayPool(8, (16, 3))
    with pytest.raises(ValueError, match=r'\(16, 3\), got a batch \(4, 16, 2\)'):
        pool(torch.zeros(4, 16, 2))
    with pytest.raises(ValueError, match='pool of 8 samples.*holds 9'):
        ReplayPool(9, (16, 3)).load_state_dict(pool.state_dict())
    with pytest.raises(ValueError, match='size=0'):
        ReplayPool(0, (16, 3))
