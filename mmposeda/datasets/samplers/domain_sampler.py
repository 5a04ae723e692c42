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


class JoinedSampler(Sampler):
    """Indices of a joined data set, batch after batch: what samplers share that say which parts a batch takes from.

    Each part runs through its own stream at its own pace; ranks take disjoint shares of it: the n-th time that a part
    with quota q is taken from, rank r takes its stream's positions ``(n * world + r) * q ...``. So a batch follows from
    the seed and its number, and a run resumes at any batch (:meth:`set_start`) without replaying.

    A subclass says which parts a batch takes from (:meth:`parts_of`) and how often each was before (:meth:`times`).

    Args:
        dataset: MMPose's ``CombinedDataset`` or MMEngine's ``ConcatDataset``.
        quotas (sequence[int]): samples of each part that a rank takes at a time; 0 leaves a part out.
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
        raise NotImplementedError

    def parts_of(self, batch: int) -> Sequence[int]:
        """Numbers of the parts that a batch takes from, in its order."""
        raise NotImplementedError

    def times(self, part: int, batch: int) -> int:
        """How many of the batches before this one take from a part."""
        raise NotImplementedError

    def _pass(self) -> int:
        """Batches until every part that is taken from has been seen once."""
        raise NotImplementedError

    def set_start(self, batch_index: int) -> None:
        """Let the next iteration begin at this batch, counted from the start of training. Constant time."""
        self._start = int(batch_index)

    def set_epoch(self, epoch: int) -> None:
        """Begin at the first batch of an epoch. An endless sampler has no epochs and stays where it is."""
        if self.epoch_length is not None:
            self.set_start(epoch * self.epoch_length)

    def set_total_batches(self, batches: int) -> None:
        """Say how many batches the whole training has; handed on to the parts' samplers that want to know."""
        for part, stream in enumerate(self.streams):
            if hasattr(stream, 'set_total_batches'):
                stream.set_total_batches(self.times(part, batches))

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
        batches = self._pass() if self.epoch_length is None else self.epoch_length
        return batches * self.batch_size

    def __iter__(self) -> Iterator[int]:
        draws = [self._drawer(part) for part in range(len(self.streams))]
        batches = itertools.count(self._start)
        if self.epoch_length is not None:
            batches = range(self._start, self._start + self.epoch_length)
        for batch in batches:
            for part in self.parts_of(batch):
                offset = self._offsets[part]
                yield from (offset + i for i in draws[part](self.times(part, batch)))

    def _drawer(self, part: int):
        stream, quota = self.streams[part], self.quotas[part]
        if hasattr(stream, 'take'):
            return lambda time: stream.take((time * self.world_size + self.rank) * quota, quota)
        endless = itertools.islice(_forever(stream), self.times(part, self._start) * quota, None)
        return lambda time: list(itertools.islice(endless, quota))

    @classmethod
    def _lengths(cls, dataset: Any) -> list[int]:
        if getattr(dataset, 'resample', False):
            raise ValueError(
                'CombinedDataset(sample_ratio_factor=...) draws at random by itself; leave it to the quotas'
            )
        if not hasattr(dataset, 'datasets'):
            raise TypeError(f'{cls.__name__} needs a CombinedDataset or ConcatDataset, got {type(dataset).__name__}')
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


@DATA_SAMPLERS.register_module()
class DomainSampler(JoinedSampler):
    """Indices of a joined data set, batch after batch with a fixed number from each part.

    Every batch of a rank holds ``quotas[0]`` samples of the first part, then ``quotas[1]`` of the second, and so on;
    the loader's ``batch_size`` must be their sum.

    Args:
        kwargs: of :class:`JoinedSampler`.
    """

    @property
    def batch_size(self) -> int:
        """Samples in a batch of one rank: what the loader's ``batch_size`` must be."""
        return sum(self.quotas)

    def parts_of(self, batch: int) -> Sequence[int]:
        """All parts with a quota."""
        return [part for part, quota in enumerate(self.quotas) if quota]

    def times(self, part: int, batch: int) -> int:
        """All batches before."""
        return batch

    def _pass(self) -> int:
        return max(-(-n // (q * self.world_size)) for n, q in zip(self._part_lengths, self.quotas) if q)


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
