"""Batches of a fixed make-up from several domains."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmposeda.datasets.checks import check_domains
from mmposeda.registry import DATA_SAMPLERS

from .streams import ShuffledStream


@DATA_SAMPLERS.register_module()
class DomainSampler(Sampler):
    """Indices of a joined data set, batch after batch with a fixed number from each part.

    Every batch of a rank holds ``quotas[0]`` samples of the first part, then ``quotas[1]`` of the second, and so on;
    the loader's ``batch_size`` must be their sum. Each part runs through its own stream at its own pace; ranks take
    disjoint shares of it: batch b of rank r has stream positions ``(b * world + r) * quota ...``. So batch b follows
    from the seed and b, and a run resumes at any batch (:meth:`set_start`) without replaying.

    Args:
        dataset: MMPose's ``CombinedDataset`` or MMEngine's ``ConcatDataset``.
        quotas (sequence[int]): samples of each part in a batch of one rank; 0 leaves a part out.
        samplers (sequence | dict, optional): per part None (shuffled passes without replacement) or the config of a
            sampler over that part; a dict has them by the number of the part, as in ``{'0': dict(type=...)}``, so that
            a config can be merged into it, and None for those it lacks. A sampler with ``take(start, count)`` gives
            stretches of a stream that is common to all ranks, and resumes in constant time; of any other one the
            indices are drawn in turn, over and over (``set_epoch`` before each pass, what a resumed run skips is drawn
            and dropped), and it sees to the ranks itself.
        epoch_length (int, optional): batches in an epoch. None: endless, for ``IterBasedTrainLoop``.
        seed (int, optional): None takes one that the ranks agree on; then a resumed run draws other samples.

    Attributes:
        streams (list): what each part's indices come from; None for an empty part.

    Raises:
        ValueError: quotas that do not fit the data sets, or data sets whose joints do not (see :func:`check_domains`).
        TypeError: the data set is not a joined one.
    """

    def __init__(
        self,
        dataset: Any,
        quotas: Sequence[int],
        samplers: Sequence[dict | None] | Mapping[str, dict | None] | None = None,
        epoch_length: int | None = None,
        seed: int | None = None,
    ):
        lengths = self._lengths(dataset)
        samplers = self._by_part(dataset, samplers)
        self._check(dataset, lengths, quotas, samplers, epoch_length)
        check_domains(dataset)
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.quotas = tuple(quotas)
        self.epoch_length = epoch_length
        self._offsets = [0, *itertools.accumulate(lengths)][:-1]
        self._part_lengths = lengths
        self._start = 0
        self.streams = []
        for i, (part, cfg) in enumerate(zip(dataset.datasets, samplers)):
            if cfg is None:
                stream = ShuffledStream(lengths[i], (self.seed, i)) if lengths[i] else None
            else:
                stream = DATA_SAMPLERS.build({'dataset': part, 'seed': self.seed + i, **cfg})
            if hasattr(stream, 'set_batch_size'):
                stream.set_batch_size(self.quotas[i])
            self.streams.append(stream)

    @property
    def batch_size(self) -> int:
        """Samples in a batch of one rank: what the loader's ``batch_size`` must be."""
        return sum(self.quotas)

    def set_start(self, batch_index: int) -> None:
        """Let the next iteration begin at this batch, counted from the start of training. Constant time."""
        self._start = int(batch_index)

    def set_epoch(self, epoch: int) -> None:
        """Begin at the first batch of an epoch. An endless sampler has no epochs and stays where it is."""
        if self.epoch_length is not None:
            self.set_start(epoch * self.epoch_length)

    def set_total_batches(self, batches: int) -> None:
        """Say how many batches the whole training has; handed on to the parts' samplers that want to know."""
        for stream in self.streams:
            if hasattr(stream, 'set_total_batches'):
                stream.set_total_batches(batches)

    @property
    def state(self) -> dict:
        """What fixes the order of samples: equal states give equal batches."""
        return dict(
            seed=self.seed,
            quotas=self.quotas,
            lengths=tuple(self._part_lengths),
            samplers=tuple(getattr(stream, 'state', type(stream).__name__) for stream in self.streams),
            start=self._start,
        )

    def __len__(self) -> int:
        """Indices of one rank in an epoch; if endless, until the slowest part has been seen once."""
        if self.epoch_length is not None:
            return self.epoch_length * self.batch_size
        batches = (-(-n // (q * self.world_size)) for n, q in zip(self._part_lengths, self.quotas) if q)
        return max(batches) * self.batch_size

    def __iter__(self) -> Iterator[int]:
        draws = [self._drawer(s, q) for s, q in zip(self.streams, self.quotas)]
        batches = itertools.count(self._start)
        if self.epoch_length is not None:
            batches = range(self._start, self._start + self.epoch_length)
        for batch in batches:
            for draw, offset, quota in zip(draws, self._offsets, self.quotas):
                if quota:
                    yield from (offset + i for i in draw(batch))

    def _drawer(self, stream: Any, quota: int):
        if hasattr(stream, 'take'):
            return lambda batch: stream.take((batch * self.world_size + self.rank) * quota, quota)
        endless = itertools.islice(_forever(stream), self._start * quota, None)
        return lambda batch: list(itertools.islice(endless, quota))

    @staticmethod
    def _lengths(dataset: Any) -> list[int]:
        if getattr(dataset, 'resample', False):
            raise ValueError(
                'CombinedDataset(sample_ratio_factor=...) draws at random by itself; leave it to the quotas'
            )
        if not hasattr(dataset, 'datasets'):
            raise TypeError(f'DomainSampler needs a CombinedDataset or ConcatDataset, got {type(dataset).__name__}')
        return [len(part) for part in dataset.datasets]

    @staticmethod
    def _by_part(dataset: Any, samplers: Sequence | Mapping | None) -> Sequence:
        count = len(dataset.datasets)
        if not isinstance(samplers, Mapping):
            return [None] * count if samplers is None else samplers
        named = {str(key): cfg for key, cfg in samplers.items()}
        unknown = sorted(set(named) - set(map(str, range(count))))
        if unknown:
            names = ', '.join(f"'{i}' ({type(part).__name__})" for i, part in enumerate(dataset.datasets))
            raise ValueError(f'samplers has {unknown}, expected the numbers of parts: {names}')
        return [named.get(str(i)) for i in range(count)]

    @staticmethod
    def _check(dataset: Any, lengths: list, quotas: Sequence, samplers: Sequence, epoch_length: Any) -> None:
        names = [type(d).__name__ for d in dataset.datasets]
        if len(quotas) != len(lengths):
            raise ValueError(f'{len(quotas)} quotas {list(quotas)} for {len(lengths)} data sets {names}; give one each')
        if any(not isinstance(q, int) or q < 0 for q in quotas) or not sum(quotas):
            raise ValueError(f'quotas {list(quotas)} must be whole numbers >= 0, at least one of them > 0')
        for name, length, quota in zip(names, lengths, quotas):
            if quota and not length:
                raise ValueError(f'quota {quota} for {name}, which is empty; check its annotation file and filters')
        if len(samplers) != len(lengths):
            raise ValueError(f'{len(samplers)} samplers for {len(lengths)} data sets {names}; give one each, or None')
        if epoch_length is not None and epoch_length < 1:
            raise ValueError(f'epoch_length {epoch_length} must be at least one batch, or None for an endless sampler')


def _forever(sampler: Any) -> Iterator[int]:
    for epoch in itertools.count():
        if hasattr(sampler, 'set_epoch'):
            sampler.set_epoch(epoch)
        empty = True
        for index in sampler:
            empty = False
            yield index
        if empty:
            raise ValueError(f'sampler {type(sampler).__name__} gave no index')
