import pytest
import torch

from mmposeda.models.fake_store import FakeStore


def batch(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    kept = torch.rand(count, generator=generator) < 0.5
    return kept, torch.randn(count, 4, 2, generator=generator), torch.randn(count, 4, 3, generator=generator)


def test_holds_the_kept_pairs_in_order():
    store, wanted = FakeStore(4), ([], [])
    store.clear(60)
    for seed in range(3):
        kept, points, poses = batch(20, seed)
        store.add(kept, points, poses)
        wanted[0].append(points[kept])
        wanted[1].append(poses[kept])
    points, poses = (torch.cat(part) for part in wanted)
    assert len(store) == len(points) > 10
    order = torch.randperm(len(points))
    assert torch.equal(store.take(order)[0], points[order]) and torch.equal(store.take(order)[1], poses[order])


def test_numbers_that_are_not_kept_do_no_harm():
    store = FakeStore(4)
    store.clear(2)
    kept, points, poses = batch(10)
    poses[~kept] = float('nan')
    keep_one = kept & (kept.cumsum(0) == 1)
    store.add(keep_one, points, poses)
    assert len(store) == 1 and store.take(torch.tensor([0]))[1].isfinite().all()


def test_an_epoch_begins_empty_in_the_same_memory():
    store = FakeStore(4)
    store.clear(20)
    store.add(*batch(20))
    memory = store.take(torch.arange(1))[0].data_ptr(), store._poses.data_ptr()
    store.clear(20)
    assert len(store) == 0
    store.add(*batch(20))
    assert store._poses.data_ptr() == memory[1]


def test_a_state_takes_up_where_it_was():
    store, other = FakeStore(4), FakeStore(4)
    store.clear(40)
    store.add(*batch(20))
    other.load_state_dict(store.state_dict())
    for each in (store, other):
        each.add(*batch(20, 1))
    rows = torch.arange(len(store))
    assert len(store) == len(other)
    assert all(torch.equal(a, b) for a, b in zip(store.take(rows), other.take(rows)))
    assert 'points' not in FakeStore(4).state_dict()


def test_room_must_be_made_first():
    with pytest.raises(RuntimeError, match='clear'):
        FakeStore(4).add(*batch(2))
