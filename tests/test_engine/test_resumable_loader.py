import random
import signal
from contextlib import suppress

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset

from mmposeda.datasets.samplers.domain_sampler import ShuffledStream
from mmposeda.engine import random_state
from mmposeda.engine.resumable_loader import ResumableLoader


class Noise(Dataset):
    """Samples that draw from all three generators, as a chain of transforms does."""

    metainfo = dict(name='noise')

    def __init__(self, length=11):
        self.length, self.asked = length, []

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if not 0 <= index < self.length:
            raise IndexError(index)
        self.asked.append(index)
        return index, random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002


class Skipping(DefaultSampler):
    """A sampler that can be set to any batch, as DomainSampler: endless, batch b from b alone."""

    def __init__(self, dataset, **kwargs):
        super().__init__(dataset, **kwargs)
        self.stream, self.first = ShuffledStream(len(dataset), (3,)), 0

    def set_start(self, batch):
        self.first = batch

    def __iter__(self):
        position = self.first * 4
        while True:
            yield from self.stream.take(position, 4)
            position += 4


class WholeBatches(Noise):
    """Gives batches, from one draw of each generator."""

    def __getitems__(self, indices):
        self.asked.append(indices)
        return [(index, random.random(), np.random.rand(), torch.rand(()).item()) for index in indices]  # noqa: NPY002


SAMPLERS = dict(endless=InfiniteSampler, finite=DefaultSampler, skipping=Skipping)


def loader(kind='finite', workers=0, dataset=None, endless=True, **kwargs):
    dataset = dataset or Noise()
    sampler = SAMPLERS[kind](dataset, shuffle=True, seed=5)
    plain = DataLoader(dataset, batch_size=4, sampler=sampler, num_workers=workers, collate_fn=list, **kwargs)
    return ResumableLoader(plain, seed=7, endless=endless)


def take(it, count):
    return [next(it) for _ in range(count)]


class TestStart:
    @pytest.mark.parametrize('workers', [0, 2])
    @pytest.mark.parametrize('kind', SAMPLERS)
    def test_any_start_gives_the_batches_of_the_uninterrupted_run(self, kind, workers):
        whole = take(iter(loader(kind)), 9)
        for start in (0, 2, 5):
            late = loader(kind, workers)
            late.begin(start)
            assert take(iter(late), 9 - start) == whole[start:]

    @pytest.mark.parametrize('kind', SAMPLERS)
    def test_nothing_before_the_start_is_loaded(self, kind):
        late = loader(kind)
        late.begin(1000)
        batch = next(iter(late))
        assert late.dataset.dataset.asked == [sample[0] for sample in batch]

    def test_the_rest_of_an_epoch(self):
        whole = loader(endless=False)
        whole.batch_sampler.sampler.set_epoch(2)
        late = loader(endless=False)
        late.batch_sampler.sampler.set_epoch(2)
        whole.begin(6)
        late.begin(8, skip=2)
        assert list(late) == list(whole)[2:]
        assert len(list(late)) == 1


class TestRandomness:
    def test_passes_and_samples_differ(self):
        batches = take(iter(loader()), 6)  # 11 samples in batches of 4: passes of 3
        drawn = [sample[1:] for batch in batches for sample in batch]
        assert len(set(drawn)) == len(drawn)
        orders = [[s[0] for b in batches[i : i + 3] for s in b] for i in (0, 3)]
        assert sorted(orders[0]) == sorted(orders[1]) == list(range(11))
        assert orders[0] != orders[1]

    def test_the_seed_matters(self):
        plain = DataLoader(Noise(), batch_size=4, collate_fn=list)
        first, second = (next(iter(ResumableLoader(plain, seed, endless=True))) for seed in (0, 1))
        assert [s[0] for s in first] == [s[0] for s in second]
        assert all(a[1:] != b[1:] for a, b in zip(first, second))

    def test_random_state_of_the_asking_process_stays(self):
        before = random_state.take()
        take(iter(loader()), 4)
        take(iter(loader(workers=1)), 4)
        after = random_state.take()
        assert before['python'] == after['python']
        assert torch.equal(before['torch'], after['torch'])
        assert torch.equal(before['numpy'][1], after['numpy'][1])
        assert before['numpy'][2:] == after['numpy'][2:]


class TestWholeBatches:
    def test_a_data_set_that_gives_batches_is_asked_once_a_batch(self):
        made = loader(dataset=WholeBatches())
        drawn = take(iter(made), 3)
        assert made.dataset.dataset.asked == [[sample[0] for sample in batch] for batch in drawn]
        assert len({sample[1:] for batch in drawn for sample in batch}) == 11

    @pytest.mark.parametrize('workers', [0, 2])
    def test_they_start_anywhere_too(self, workers):
        whole = take(iter(loader(dataset=WholeBatches())), 7)
        late = loader(workers=workers, dataset=WholeBatches())
        late.begin(4)
        assert take(iter(late), 3) == whole[4:]

    def test_random_state_of_the_asking_process_stays(self):
        before = random_state.take()
        take(iter(loader(dataset=WholeBatches())), 2)
        after = random_state.take()
        assert before['python'] == after['python'] and torch.equal(before['torch'], after['torch'])
        assert torch.equal(before['numpy'][1], after['numpy'][1])

    def test_others_are_asked_sample_by_sample(self):
        whole = Noise()
        drawn = take(iter(loader(dataset=whole)), 5)
        assert whole.asked == [sample[0] for batch in drawn for sample in batch]
        part = loader(dataset=Subset(Noise(), range(11)))  # torch's own class has the method, whatever is in it
        assert take(iter(part), 5) == drawn
        asked = WholeBatches()
        take(iter(loader(dataset=Subset(asked, range(11)))), 2)
        assert [len(indices) for indices in asked.asked] == [4, 4]


class TestLoader:
    def test_stands_for_the_data_set(self):
        made = loader()
        assert made.dataset.metainfo == Noise.metainfo
        assert len(made.dataset) == 11
        assert len(made) == 3
        with pytest.raises(AttributeError):
            _ = made.dataset.nothing

    def test_no_worker_starts_before_the_first_batch(self):
        made = loader(workers=1, persistent_workers=True)
        iter(made)
        assert made._iterator is None

    def test_a_worker_outlives_one_sigterm_and_not_two(self):
        made = loader(workers=1, persistent_workers=True)
        batches = iter(made)
        next(batches)
        worker = made._iterator._workers[0]
        worker.terminate()
        assert len(take(batches, 4)) == 4
        with suppress(RuntimeError):  # torch watches its workers, and says so if it comes to it
            worker.terminate()
            worker.join(timeout=20)
        worker.join(timeout=20)
        assert worker.exitcode == -signal.SIGTERM

    def test_workers_end_when_told(self):
        made = loader(workers=1, persistent_workers=True)
        batches = iter(made)
        next(batches)
        worker = made._iterator._workers[0]
        batches.close()
        assert worker.is_alive()
        made.stop_workers()
        worker.join(timeout=20)
        assert worker.exitcode == 0

    def test_an_empty_data_set_is_an_error_not_an_endless_wait(self):
        made = loader(dataset=ConcatDataset([Noise(1)]))
        made.begin(0)
        made.batch_sampler.batch_sampler.drop_last = True
        with pytest.raises(ValueError, match='gives no batch'):
            next(iter(made))

    def test_a_loader_without_batches_is_refused(self):
        with pytest.raises(TypeError, match=r'mmengine\.IterBasedTrainLoop'):
            ResumableLoader(DataLoader(Noise(), batch_size=None), 0, endless=True)


def test_random_state_goes_through_a_safe_checkpoint(tmp_path):
    torch.save(dict(state=random_state.take()), tmp_path / 'a.pth')
    drawn = [(random.random(), np.random.rand(), torch.rand(()).item()) for _ in range(3)]  # noqa: NPY002
    random_state.put_back(torch.load(tmp_path / 'a.pth', weights_only=True)['state'])
    assert drawn == [(random.random(), np.random.rand(), torch.rand(()).item()) for _ in range(3)]  # noqa: NPY002
