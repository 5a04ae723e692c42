"""PoseAug's order of updates: an epoch of augmentation, then the lifter on its results, then on the source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from typing import Callable

import numpy as np
import torch
from mmengine.dataset import DefaultSampler
from mmengine.dist import all_reduce, get_rank, get_world_size
from torch.utils.data import DataLoader, Dataset

from mmposeda.registry import LOOPS

from .hooks._model import unwrapped
from .loops import EpochBasedTrainLoop, resumable, stopping
from .resumable_loader import ResumableLoader

#: what an epoch does in turn, and that it is over
AUGMENT, FAKE, REAL, OVER = 'augment', 'fake', 'real', 'over'
_TEXTS = {AUGMENT: 'augmentor and discriminators', FAKE: 'the lifter on {fakes} fakes', REAL: 'the lifter on pairs'}
_INFO = 'pose_aug_position'


@LOOPS.register_module()
class PoseAugEpochLoop(EpochBasedTrainLoop):
    """Epochs of three phases, as in the authors' code; an iteration of any phase counts as one of the run.

    1. One pass over the source: augmentor and discriminators learn, and the fakes in the picture are stored.
    2. One pass of the lifter over the stored fakes, shuffled.
    3. One pass of the lifter over the source's pairs, shuffled.

    While the model's ``lifter_active`` is 0, phases 2 and 3 are left out. Fakes stay on the model's device, in memory
    that all epochs share: 320 bytes each for 16 joints. A run resumes at any iteration, in the middle of a phase too;
    what is saved inside an epoch holds the fakes, what is saved at its end does not.

    How many iterations a run has depends on its fakes: until the last one ``max_iters`` counts as if all were kept, so
    schedules are best written by epoch.

    Args:
        runner (Runner): Of a :class:`~mmposeda.models.adapters.PoseAug`.
        dataloader (DataLoader | dict): Of ``PoseStreams`` with a ``DomainSampler``; its quota of pairs is the batch of
            the lifter. An ``epoch_length`` of None is one pass over the pairs.
        args: Of :class:`~mmposeda.engine.loops.EpochBasedTrainLoop`; so kwargs.

    Raises:
        TypeError: Another data set or model.
        ValueError: Fewer pairs than a batch.
    """

    def __init__(self, runner, dataloader: DataLoader | dict, *args, **kwargs) -> None:
        dataloader = resumable(runner, dataloader, endless=False)
        sampler = dataloader.sampler_below
        pairs = getattr(dataloader.dataset, 'datasets', (None,))[0]
        if pairs is None or not hasattr(sampler, 'quotas'):
            raise TypeError(
                f'PoseAugEpochLoop wants a data set PoseStreams and a DomainSampler with three quotas, got '
                f'{type(dataloader.dataset.dataset).__name__} and {type(sampler).__name__}'
            )
        if not hasattr(unwrapped(runner), 'augment_step'):
            raise TypeError(f'PoseAugEpochLoop trains a PoseAug, got {type(unwrapped(runner)).__name__}')
        self.batch_size, together = sampler.quotas[0], sampler.quotas[0] * get_world_size()
        if not 0 < together <= len(pairs):
            raise ValueError(
                f'{len(pairs)} pairs are no batch of {self.batch_size} in each of {get_world_size()} processes: '
                'the first quota of the DomainSampler must be at least 1, and small enough'
            )
        if sampler.epoch_length is None:
            sampler.epoch_length = -(-len(pairs) // together)
        super().__init__(runner, dataloader, *args, **kwargs)
        self.real_loader = _pair_loader(pairs, self.batch_size, dataloader, sampler.seed)
        # the same in all processes, whose shares of the pairs may differ by one
        self.steps = {AUGMENT: len(self.dataloader), REAL: len(pairs) // together}
        self._max_iters = self._max_epochs * (2 * self.steps[AUGMENT] + self.steps[REAL])

    def run(self) -> torch.nn.Module:
        """Train to the end, from the iteration that was resumed."""
        with stopping(self.real_loader):
            return super().run()

    def run_epoch(self) -> None:
        """Train one epoch, or the rest of it."""
        runner = self.runner
        runner.call_hook('before_train_epoch')
        runner.model.train()
        position = self._resumed_position()
        while position['phase'] != OVER:
            phase = position['phase']
            runner.logger.info(f'Epoch {self._epoch + 1}: {_TEXTS[phase].format(**position)}')
            # closed here, as an error would keep it alive with its traceback, and with it the loader's workers
            with closing(getattr(self, f'_{phase}')(position)) as iterations:
                for batch, step in iterations:
                    self._iterate(position, batch, step)
        self._clear_fakes()
        runner.message_hub.update_info(_INFO, {})
        runner.call_hook('after_train_epoch')
        self._epoch += 1

    def _resumed_position(self) -> dict:
        """Where an epoch stands: its phase, how much of it is done, and what that rests on."""
        anew = dict(phase=AUGMENT, done=0, fakes=0, world=get_world_size(), epoch=self._epoch)
        position = self.runner.message_hub.runtime_info.get(_INFO)
        if not position or position['epoch'] != self._epoch:
            return anew
        kept = len(unwrapped(self.runner).fakes)
        if position['phase'] == OVER or (position['world'] == get_world_size() and kept >= position['fakes']):
            return dict(position)
        self.runner.logger.warning(
            f'Epoch {self._epoch + 1} was interrupted in {position["world"]} processes with {position["fakes"]} fakes, '
            f'this run has {get_world_size()} with {kept}: the epoch begins anew'
        )
        return anew

    def _augment(self, position: dict) -> Iterator[tuple[dict, Callable]]:
        done, length = position['done'], self.steps[AUGMENT]
        if not done:
            self._clear_fakes()
        self.dataloader.begin(self._epoch * length + done, done)
        return self._batches(self.dataloader, length - done, unwrapped(self.runner).augment_step)

    def _fake(self, position: dict) -> Iterator[tuple[dict, Callable]]:
        count, size = position['fakes'], self.batch_size
        seed = np.random.SeedSequence((self.runner.seed, self._epoch, get_rank())).generate_state(1)[0]
        order = torch.randperm(count, generator=torch.Generator().manual_seed(int(seed)))
        for step in range(position['done'], self._fake_steps(count)):
            rows = order[step * size : (step + 1) * size]
            batch = dict(data_samples=dict(fake=dict(index=rows)))
            yield batch, partial(unwrapped(self.runner).fake_step, rows)

    def _real(self, position: dict) -> Iterator[tuple[dict, Callable]]:
        done, length = position['done'], self.steps[REAL]
        self.real_loader.begin(self._epoch * length + done, done)
        self.real_loader.sampler_below.set_epoch(self._epoch)
        return self._batches(self.real_loader, length - done, unwrapped(self.runner).real_step)

    @staticmethod
    def _batches(loader: ResumableLoader, count: int, step: Callable) -> Iterator[tuple[dict, Callable]]:
        with closing(iter(loader)) as batches:
            for batch in islice(batches, count):
                yield batch, partial(step, batch)

    def _iterate(self, position: dict, batch: dict, step: Callable) -> None:
        runner, index = self.runner, position['done']
        runner.call_hook('before_train_iter', batch_idx=index, data_batch=batch)
        outputs = step(optim_wrapper=runner.optim_wrapper)
        # before the hooks, which may save: what comes next is known here, not when a run is resumed
        self._advance(position)
        runner.message_hub.update_info(_INFO, dict(position))
        if position['phase'] == OVER and self._epoch + 1 == self._max_epochs:
            self._max_iters = self._iter + 1
        runner.call_hook('after_train_iter', batch_idx=index, data_batch=batch, outputs=outputs)
        self._iter += 1

    def _advance(self, position: dict) -> None:
        """One iteration further, into the next phase if it was the last."""
        phase = position['phase']
        position['done'] += 1
        if position['done'] < (self._fake_steps(position['fakes']) if phase == FAKE else self.steps[phase]):
            return
        if phase == AUGMENT and unwrapped(self.runner).lifter_active:
            position['fakes'] = self._count_fakes()
            phase = FAKE if self._fake_steps(position['fakes']) else REAL
        else:
            phase = REAL if phase == FAKE else OVER
        position.update(phase=phase, done=0)

    def _fake_steps(self, count: int) -> int:
        """Batches of so many fakes; one that is not full is left out, unless it is the only one and more than one."""
        return count // self.batch_size or int(count > 1)

    def _count_fakes(self) -> int:
        """As many as each process has."""
        count = torch.tensor(len(unwrapped(self.runner).fakes))
        all_reduce(count, 'min')
        if int(count) < 2:
            self.runner.logger.warning(
                f'Epoch {self._epoch + 1}: {int(count)} augmented poses lie in the picture, the lifter learns from the '
                'source alone. If this goes on, the augmentor has collapsed: see aug_kept and aug_change in the log.'
            )
        return int(count)

    def _clear_fakes(self) -> None:
        unwrapped(self.runner).fakes.clear(self.steps[AUGMENT] * self.batch_size)


def _pair_loader(pairs: Dataset, batch_size: int, like: DataLoader, seed: int) -> ResumableLoader:
    """A loader of the pairs alone, shuffled, each process with its share."""
    # not through Runner.build_dataloader, which would copy the data set
    sampler = DefaultSampler(pairs, shuffle=True, seed=seed, round_up=False)
    loader = DataLoader(
        pairs,
        batch_size,
        sampler=sampler,
        num_workers=like.num_workers,
        collate_fn=like.collate_fn,
        pin_memory=like.pin_memory,
        persistent_workers=like.persistent_workers,
        drop_last=True,
    )
    return ResumableLoader(loader, seed, endless=False)
