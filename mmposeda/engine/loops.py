"""MMEngine's training loops, resumable at any iteration in constant time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from mmengine.runner import EpochBasedTrainLoop as _EpochBasedTrainLoop
from mmengine.runner import IterBasedTrainLoop as _IterBasedTrainLoop
from torch import nn
from torch.utils.data import DataLoader

from mmposeda.registry import LOOPS

from .resumable_loader import ResumableLoader


def resumable(runner, dataloader: DataLoader | dict, endless: bool) -> ResumableLoader:
    """A loader, or the config of one, as a :class:`ResumableLoader`."""
    if isinstance(dataloader, dict):
        distinct = runner._randomness_cfg.get('diff_rank_seed', False)
        dataloader = runner.build_dataloader(dataloader, seed=runner.seed, diff_rank_seed=distinct)
    return ResumableLoader(dataloader, runner.seed, endless)


@contextmanager
def stopping(loader: ResumableLoader) -> Iterator[None]:
    """End a loader's workers with the code inside."""
    try:
        yield
    finally:
        loader.stop_workers()


@LOOPS.register_module()
class IterBasedTrainLoop(_IterBasedTrainLoop):
    """MMEngine's loop over iterations, which goes on at the batch it had come to instead of loading all before it.

    Takes the place of MMEngine's under ``default_scope = 'mmposeda'``. Data are made from (seed, iteration, index), see
    :class:`~mmposeda.engine.resumable_loader.ResumableLoader`; a finite sampler begins anew without its workers being
    restarted.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader | dict): Of the training data.
        args: Of MMEngine's loop (``max_iters``, ``val_begin``, ``val_interval``, ``dynamic_intervals``); so kwargs.
    """

    def __init__(self, runner, dataloader: DataLoader | dict, *args, **kwargs) -> None:
        super().__init__(runner, resumable(runner, dataloader, endless=True), *args, **kwargs)
        self.dataloader_iterator = iter(self.dataloader)

    def run(self) -> nn.Module:
        """Train to the end, from the iteration that was resumed."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        self.dataloader.plan(self._max_iters)
        self.dataloader.begin(self._iter)
        with stopping(self.dataloader), closing(self.dataloader_iterator):
            while self._iter < self._max_iters and not self.stop_training:
                self.runner.model.train()
                self.run_iter(next(self.dataloader_iterator))
                self._decide_current_val_interval()
                due = self._iter % self.val_interval == 0 or self._iter == self._max_iters
                if self.runner.val_loop is not None and self._iter >= self.val_begin and due:
                    self.runner.val_loop.run()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model


@LOOPS.register_module()
class EpochBasedTrainLoop(_EpochBasedTrainLoop):
    """MMEngine's loop over epochs, which goes on inside the epoch that was interrupted.

    Takes the place of MMEngine's under ``default_scope = 'mmposeda'``, see :class:`IterBasedTrainLoop`.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader | dict): Of the training data.
        args: Of MMEngine's loop (``max_epochs``, ``val_begin``, ``val_interval``, ``dynamic_intervals``); so kwargs.
    """

    def __init__(self, runner, dataloader: DataLoader | dict, *args, **kwargs) -> None:
        if not isinstance(dataloader, ResumableLoader):
            dataloader = resumable(runner, dataloader, endless=False)
        super().__init__(runner, dataloader, *args, **kwargs)

    def run(self) -> nn.Module:
        """Train to the end, from the iteration that was resumed."""
        self.dataloader.plan(self._max_epochs * len(self.dataloader))
        with stopping(self.dataloader):
            return super().run()

    def run_epoch(self) -> None:
        """Train one epoch, or the rest of it."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        skip = self._iter - self._epoch * len(self.dataloader)
        if not 0 <= skip <= len(self.dataloader):
            self.runner.logger.warning(
                f'Iteration {self._iter} is not in epoch {self._epoch} of {len(self.dataloader)} batches: the data or '
                'the number of processes have changed; going on at the start of the epoch'
            )
            skip = 0
        self.dataloader.begin(self._iter, skip)
        with closing(iter(self.dataloader)) as batches:
            for index, batch in enumerate(batches, skip):
                self.run_iter(index, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1
