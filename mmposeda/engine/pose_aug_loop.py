"""PoseAug's order of updates: an epoch of augmentation, then the lifter on its results, then on the source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Callable

import numpy as np
import torch
from mmengine.dist import all_reduce, get_rank, get_world_size
from mmengine.model import is_model_wrapper
from torch import Tensor
from torch.utils.data import DataLoader

from mmposeda.registry import LOOPS

from .loops import EpochBasedTrainLoop, resumable, stopping

PHASES = ('augment', 'fake', 'real')
_INFO = 'pose_aug_position'


@LOOPS.register_module()
class PoseAugEpochLoop(EpochBasedTrainLoop):
    """Epochs of three phases, as in the authors' code; an iteration of any phase counts as one of the run.

    1. One pass over the source: augmentor and discriminators learn, and the fakes in the picture are stored.
    2. One pass of the lifter over the stored fakes, shuffled.
    3. One pass of the lifter over the source's pairs, shuffled.

    While the model's ``lifter_active`` is 0, phases 2 and 3 are left out. Fakes stay on the model's device, in memory
    that all epochs share: 160 bytes each for 16 joints. A run resumes at any iteration, in the middle of a phase too.

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
        self.batch_size = sampler.quotas[0]
        if sampler.epoch_length is None:
            sampler.epoch_length = len(dataloader)
        if len(pairs) < self.batch_size * get_world_size():
            raise ValueError(
                f'{len(pairs)} pairs are fewer than a batch of {self.batch_size} in each of {get_world_size()} '
                'processes: lower the quotas of the DomainSampler'
            )
        super().__init__(runner, dataloader, *args, **kwargs)
        real = dict(
            dataset=pairs,
            batch_size=self.batch_size,
            num_workers=dataloader.num_workers,
            sampler=dict(type='DefaultSampler', shuffle=True, round_up=False),
            drop_last=True,
        )
        built = runner.build_dataloader(real, seed=runner.seed)
        built.collate_fn = dataloader.collate_fn
        self.real_loader = resumable(runner, built, endless=False)
        self.passes = len(self.dataloader)
        self._max_iters = self._max_epochs * (2 * self.passes + len(self.real_loader))

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
        for phase in PHASES[PHASES.index(position['phase']) :]:
            if phase != position['phase']:
                position = self._begin(phase)
            for call in getattr(self, f'_{phase}')(position):
                call()
            if phase == 'augment' and not self._model.lifter_active:
                break
        self._model.fakes.clear(self.passes * self.batch_size)
        runner.message_hub.update_info(_INFO, {})
        if self._epoch + 1 == self._max_epochs:
            self._max_iters = self._iter  # known only now: the fakes of an epoch are as many as they are
        runner.call_hook('after_train_epoch')
        self._epoch += 1

    @property
    def _model(self):
        model = self.runner.model
        return model.module if is_model_wrapper(model) else model

    def _begin(self, phase: str) -> dict:
        return dict(phase=phase, done=0, world=get_world_size(), epoch=self._epoch)

    def _resumed_position(self) -> dict:
        position = self.runner.message_hub.runtime_info.get(_INFO)
        if not position or position['epoch'] != self._epoch:
            return self._begin('augment')
        if position['world'] != get_world_size():
            self.runner.logger.warning(
                f'Epoch {self._epoch} was interrupted with {position["world"]} processes, this run has '
                f'{get_world_size()}: it begins anew'
            )
            return self._begin('augment')
        return position

    def _augment(self, position: dict) -> Iterator[Callable]:
        done = position['done']
        if not done:
            self._model.fakes.clear(self.passes * self.batch_size)
        self.dataloader.begin(self._epoch * self.passes + done, done)
        with closing(iter(self.dataloader)) as batches:
            for batch in batches:
                yield lambda batch=batch: self._iterate(position, batch, self._model.augment_step, batch)

    def _fake(self, position: dict) -> Iterator[Callable]:
        if 'count' not in position:
            position['count'] = self._count_fakes()
        count, size = position['count'], self.batch_size
        seed = np.random.SeedSequence((self.runner.seed, self._epoch, get_rank())).generate_state(1)[0]
        order = torch.randperm(count, generator=torch.Generator().manual_seed(int(seed)))
        # a last batch that is not full is left out, unless it is the only one
        steps = count // size or int(count > 1)
        for step in range(position['done'], steps):
            rows = order[step * size : (step + 1) * size]
            batch = dict(data_samples=dict(fake=dict(index=rows)))
            yield lambda rows=rows, batch=batch: self._iterate(position, batch, self._model.fake_step, rows)

    def _real(self, position: dict) -> Iterator[Callable]:
        done = position['done']
        self.real_loader.begin(self._epoch * len(self.real_loader) + done, done)
        self.real_loader.sampler_below.set_epoch(self._epoch)
        with closing(iter(self.real_loader)) as batches:
            for batch in batches:
                yield lambda batch=batch: self._iterate(position, batch, self._model.real_step, batch)

    def _iterate(self, position: dict, batch: dict, step: Callable, argument: dict | Tensor) -> None:
        runner, index = self.runner, position['done']
        runner.call_hook('before_train_iter', batch_idx=index, data_batch=batch)
        outputs = step(argument, runner.optim_wrapper)
        position['done'] += 1
        runner.message_hub.update_info(_INFO, dict(position))
        runner.call_hook('after_train_iter', batch_idx=index, data_batch=batch, outputs=outputs)
        self._iter += 1

    def _count_fakes(self) -> int:
        """As many as each process has."""
        count = torch.tensor(len(self._model.fakes))
        all_reduce(count, 'min')
        if not int(count):
            self.runner.logger.warning(
                f'Epoch {self._epoch + 1}: no augmented pose lies in the picture, the lifter learns from the source '
                'alone. If this goes on, the augmentor has collapsed: see aug_kept and aug_change in the log.'
            )
        return int(count)
