"""A training loader that starts at any batch and gives there what an uninterrupted one would.

A data worker of torch draws augmentations from one generator, sample after sample, so that what it draws depends on all
that it has drawn since it was started and on how many workers there are. Here every sample is drawn from a state made
of (seed, batch, index): a run that starts at batch b, with any number of workers, makes the same samples. A data set
that makes whole batches (``__getitems__``) draws each from one state.
"""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from functools import partial
from typing import Any, Callable, NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset, Subset

from . import random_state


class Draws(NamedTuple):
    """A batch to be made: its number since the start of training, and its indices in the data set."""

    batch: int
    indices: list[int]


class SeededDataset(Dataset):
    """A data set asked for :class:`Draws`; a sample's random state is made from (seed, batch, index).

    It stands for the data set in every other way: unknown attributes are the data set's own. The random state of the
    process that asks is put back after each sample.

    A data set with ``__getitems__``, which torch's loaders look for, is asked for the batch at once, in a state made
    from (seed, batch, first index).
    """

    def __init__(self, dataset: Dataset, seed: int) -> None:
        self.dataset, self.seed = dataset, seed

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__') or name == 'dataset':  # not there yet while a worker unpickles it
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, draws: Draws) -> Any:
        if _gives_batches(self.dataset):
            return self._made(self.dataset.__getitems__, draws.batch, draws.indices[0], draws.indices)
        return [self._made(self.dataset.__getitem__, draws.batch, index, index) for index in draws.indices]

    def _made(self, make: Callable, batch: int, index: int, wanted: Any) -> Any:
        with random_state.kept(gpu=False):
            random_state.seed_host(self.seed, batch, index)
            return make(wanted)


def _gives_batches(dataset: Dataset) -> bool:
    # torch's own Subset has the method always, and falls back on samples
    if isinstance(dataset, Subset):
        return _gives_batches(dataset.dataset)
    return callable(getattr(dataset, '__getitems__', None))


class NumberedBatches:
    """Batches of a batch sampler from batch ``start`` of the training on, each with its number.

    What lies before ``start`` is skipped by index; a sampler with ``set_start``, as ours, gets there in constant time.
    One with ``set_batch_size(batch_size, drop_last)`` is told these.

    Args:
        batch_sampler: Of a finite or endless sampler.
        endless (bool): Begin another pass (``set_epoch`` with its number) where the sampler ends; else one pass is an
            epoch.

    Attributes:
        start (int): Number of the first batch.
        skip (int): In an epoch, how many of its batches lie before ``start``.
    """

    def __init__(self, batch_sampler: Any, endless: bool) -> None:
        self.batch_sampler, self.endless = batch_sampler, endless
        self.start = self.skip = 0
        sampler = getattr(batch_sampler, 'sampler', None)
        if hasattr(sampler, 'set_batch_size') and hasattr(batch_sampler, 'batch_size'):
            sampler.set_batch_size(batch_sampler.batch_size, getattr(batch_sampler, 'drop_last', False))

    @property
    def sampler(self) -> Any:
        """The sampler below, for hooks that set its epoch."""
        return self.batch_sampler.sampler

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[Draws]:
        batches = self._endless() if self.endless else self._epoch()
        for number, batch in enumerate(batches, self.start):
            yield Draws(number, batch)

    def _endless(self) -> Iterator[list[int]]:
        number = 0
        for epoch in itertools.count():
            if hasattr(self.sampler, 'set_start'):
                number = max(number, self.start)
                self.sampler.set_start(number)
            elif hasattr(self.sampler, 'set_epoch'):
                self.sampler.set_epoch(epoch)
            before = number
            for batch in self.batch_sampler:
                if number >= self.start:
                    yield batch
                number += 1
            if number == before:
                raise ValueError(
                    f'{type(self.sampler).__name__} gives no batch: the data set is empty, or smaller than the batch '
                    'of a loader with drop_last=True'
                )

    def _epoch(self) -> Iterator[list[int]]:
        skip = self.skip
        if skip and hasattr(self.sampler, 'set_start'):
            self.sampler.set_start(self.start)
            return itertools.islice(self.batch_sampler, len(self) - skip)
        return itertools.islice(self.batch_sampler, skip, None)


class ResumableLoader(DataLoader):
    """A loader of the same samples as another one, batch by batch, that can begin at any batch (:meth:`begin`).

    Args:
        loader (DataLoader): Of a map-style data set with a batch sampler; not used afterwards.
        seed (int): Of the run.
        endless (bool): See :class:`NumberedBatches`.

    Raises:
        TypeError: The loader does not work by batches of indices.
    """

    def __init__(self, loader: DataLoader, seed: int, endless: bool) -> None:
        if loader.batch_sampler is None or not hasattr(loader.dataset, '__getitem__'):
            raise TypeError(
                'The training loops of mmposeda want a map-style data set with a batch size, got '
                f'{type(loader.dataset).__name__} with batch_size={loader.batch_size}; for others, name the loop '
                "'mmengine.IterBasedTrainLoop'"
            )
        self._numbered = NumberedBatches(loader.batch_sampler, endless)
        super().__init__(
            SeededDataset(loader.dataset, seed),
            batch_sampler=self._numbered,
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn,
            pin_memory=loader.pin_memory,
            timeout=loader.timeout,
            worker_init_fn=partial(_start_worker, then=loader.worker_init_fn),
            multiprocessing_context=loader.multiprocessing_context,
            # of its own, or every start of its workers would take a number from the generator of dropout and views
            generator=torch.Generator().manual_seed(seed),
            prefetch_factor=loader.prefetch_factor,
            persistent_workers=loader.persistent_workers,
        )

    def begin(self, start: int, skip: int = 0) -> None:
        """Let the next iteration over the loader begin at batch ``start`` of the training.

        Args:
            start (int): Number of batches that have been trained.
            skip (int): How many of them belong to the epoch that goes on.
        """
        self._numbered.start, self._numbered.skip = start, skip

    @property
    def sampler_below(self) -> Any:
        """The sampler that gives the indices."""
        return self._numbered.sampler

    def plan(self, batches: int) -> None:
        """Tell a sampler that wants to know (``set_total_batches``) how many batches the whole training has."""
        sampler = getattr(self._numbered.batch_sampler, 'sampler', None)
        if hasattr(sampler, 'set_total_batches'):
            sampler.set_total_batches(batches)

    def stop_workers(self) -> None:
        """End the workers that ``persistent_workers`` keeps."""
        _shut_down(self._iterator)
        self._iterator = None

    def __iter__(self) -> Iterator:
        # A generator: mmengine's loop asks for an iterator when it is built, before it is known where to begin.
        iterator = super().__iter__()
        try:
            yield from iterator
        finally:
            if not self.persistent_workers:
                _shut_down(iterator)


def _shut_down(iterator: Any) -> None:
    # An exception keeps the iterator alive with its traceback, and the workers of a live iterator wait for work; at
    # the exit of the process they would then be waited for.
    if hasattr(iterator, '_shutdown_workers'):
        iterator._shutdown_workers()


def _start_worker(worker_id: int, then: Callable | None) -> None:
    # A scheduler that pre-empts signals the whole group, but the main process still needs its batch to save and exit.
    # The second signal is for the worker: so ends it at the exit of a process that had no time to stop it.
    signal.signal(signal.SIGTERM, _outlive_one_signal)
    if then is not None:
        then(worker_id)


def _outlive_one_signal(*args) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
