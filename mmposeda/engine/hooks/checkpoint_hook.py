"""Checkpoints that survive a crash and resume exactly."""

from __future__ import annotations

import logging
import os
import os.path as osp
import re
import signal
import threading
from collections import deque
from collections.abc import Sequence

import torch
from mmengine.dist import all_gather_object, all_reduce, get_rank, get_world_size, is_main_process
from mmengine.hooks import CheckpointHook as _CheckpointHook
from mmengine.logging import print_log

from mmposeda.registry import HOOKS

from .. import random_state
from ..checkpoints import POINTER, CheckpointError, clear_aside, replace_file
from ._model import unwrapped


class Preempted(SystemExit):
    """The run was asked to end (SIGTERM) and has saved its state; the exit status is 143, as the shell's is."""


@HOOKS.register_module()
class CheckpointHook(_CheckpointHook):
    """MMEngine's hook with checkpoints that are whole or absent and hold all that a run needs to go on exactly.

    Takes the place of MMEngine's under ``default_scope = 'mmposeda'`` and takes its arguments. Beyond it:

    * A file is written aside, flushed and renamed, with its SHA-256 beside it; an older one is deleted only after the
      newer one is whole. What cannot be written (a full disk) is reported and tried again at the next interval; only
      at the end of the training is it an error.
    * The random state of every process is saved (``checkpoint['random_state']``, by rank), and the gradients that are
      being accumulated, if any. Validation leaves the random state as it was.
    * What a model keeps for each process (its ``rank_state()``, a dict of tensors and plain values) is saved likewise
      and given back to its ``load_rank_state``.
    * On SIGTERM the run saves after its iteration and ends with status 143 (schedulers send it before they pre-empt).
    * ``save_best`` chooses by the labels of the validation set. It works, and the log says so.

    Args:
        args: Of MMEngine's hook.
        backend_args (dict, optional): Of another storage; those have their own guarantees.
        signal_interval (int): Iterations between the questions whether any process was signalled, in runs of several
            processes; each is a collective call.
        kwargs: Of MMEngine's hook.
    """

    def __init__(self, *args, backend_args: dict | None = None, signal_interval: int = 10, **kwargs) -> None:
        super().__init__(*args, backend_args=backend_args or dict(backend='mmposeda_checkpoint'), **kwargs)
        if signal_interval < 1:
            raise ValueError(f'signal_interval must be at least 1, got {signal_interval}')
        self.signal_interval = signal_interval
        self._state: dict = {}  # goes into the checkpoint that is being written
        self._resumed: dict = {}
        self._before_val = None
        self._signalled = False
        self._former_handler = None
        self._saved_at = -1

    def before_train(self, runner) -> None:
        """Prepare the folder, load what each process keeps, listen to SIGTERM and warn of a selection by labels."""
        super().before_train(runner)
        states = self._resumed.get('rank_state')
        if states is not None and len(states) == get_world_size():
            unwrapped(runner).load_rank_state(states[get_rank()])
        if is_main_process():
            clear_aside(self.out_dir)
        if runner._resume and self.max_keep_ckpts > 0:
            self._count_kept(runner)
        if self.save_best:
            runner.logger.warning(
                f'Model selection (save_best={self.save_best}) uses the labels of the validation set. Where these are '
                "the target's, the best checkpoint is not the result of unsupervised adaptation; the last one is."
            )
        if threading.current_thread() is threading.main_thread():
            self._former_handler = signal.signal(signal.SIGTERM, self._note_signal)

    def after_train(self, runner) -> None:
        """Publish, and give SIGTERM back."""
        super().after_train(runner)
        if self._former_handler is not None:
            signal.signal(signal.SIGTERM, self._former_handler)
            self._former_handler = None

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Add the state of the processes."""
        checkpoint.update(self._state)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Remember the state of the processes until the first iteration."""
        if runner._resume:
            self._resumed = {key: checkpoint.get(key) for key in ('random_state', 'gradients', 'rank_state')}

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Put a resumed state back; the hook comes last, so nothing draws random numbers in between."""
        self._go_on(runner)

    def _go_on(self, runner) -> None:
        if not self._resumed:
            return
        states, gradients = self._resumed['random_state'], self._resumed['gradients'] or {}
        self._resumed = {}
        for name, parameter in unwrapped(runner).named_parameters():
            if name in gradients:
                parameter.grad = gradients[name].to(parameter)
        if states is not None and len(states) == get_world_size():
            random_state.put_back(states[get_rank()])
        else:
            runner.logger.warning(
                f'The checkpoint holds the random state of {len(states or ())} processes, this run has '
                f'{get_world_size()}. It goes on, but not exactly as it would have without the interruption.'
            )

    def before_val(self, runner) -> None:
        """Take the random state: a resumed run does not repeat this validation."""
        self._go_on(runner)
        self._before_val = random_state.take()

    def after_val(self, runner) -> None:
        """Put it back."""
        random_state.put_back(self._before_val)
        self._before_val = None

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Save at the interval, and at once if the run is to end."""
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        if not self._must_end(runner):
            return
        done = runner.iter + 1
        if self._saved_at != done:
            epoch = runner.epoch
            step = f'{epoch}_iter_{done}' if self.by_epoch else done
            self._save_checkpoint_with_step(runner, step, dict(epoch=epoch, iter=done))
        if self._saved_at != done:
            raise CheckpointError('The run was asked to end (SIGTERM), but its state could not be saved, see above.')
        runner.logger.warning(f'SIGTERM: state saved to {self.last_ckpt}. Go on with the same command and --resume.')
        raise Preempted(143)

    def _save_best_checkpoint(self, runner, metrics: dict) -> None:
        try:
            super()._save_best_checkpoint(runner, metrics)
        except CheckpointError as error:
            print_log(str(error), logger='current', level=logging.ERROR)

    def _save_checkpoint_with_step(self, runner, step, meta: dict) -> None:
        """Save, and only then delete what is over ``max_keep_ckpts``."""
        # MMEngine's own does the same in the opposite order.
        name = self.filename_tmpl.format(step)
        former = dict(runner.message_hub.runtime_info)
        dropped: list = []
        if self.max_keep_ckpts > 0:
            kept = [*(s for s in self.keep_ckpt_ids if s != step), step]
            dropped, kept = kept[: -self.max_keep_ckpts], kept[-self.max_keep_ckpts :]
            runner.message_hub.update_info('keep_ckpt_ids', kept)
        path = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', path)
        self._state = self._take_state(runner)
        try:
            self._write(runner, name, meta)
            if is_main_process():
                replace_file(osp.join(runner.work_dir, POINTER), path.encode())
        except (CheckpointError, OSError) as error:
            for key in ('keep_ckpt_ids', 'last_ckpt'):
                runner.message_hub.runtime_info.pop(key, None)
                if key in former:
                    runner.message_hub.update_info(key, former[key])
            if meta['iter'] >= runner.max_iters:
                raise CheckpointError(str(error)) from error
            print_log(f'{error} Trying again at the next interval.', logger='current', level=logging.ERROR)
            return
        finally:
            self._state = {}
        self.last_ckpt, self._saved_at = path, meta['iter']
        if self.max_keep_ckpts > 0:
            self.keep_ckpt_ids = deque(kept, self.max_keep_ckpts)
        if is_main_process():
            self._remove(dropped)

    def _count_kept(self, runner) -> None:
        """Count the checkpoints of this run in the folder, and delete the oldest over ``max_keep_ckpts``.

        A run that was killed after a save, before its list was cut, has left one that no list names.
        """
        if not is_main_process():
            return
        here = osp.abspath(self.out_dir)
        number = re.compile(re.escape(self.filename_tmpl).replace(r'\{\}', r'(\d+(?:_iter_\d+)?)'))
        order = {}
        for name in os.listdir(here) if osp.isdir(here) else ():
            match = number.fullmatch(name)
            if match:
                step = int(match[1]) if match[1].isdigit() else match[1]
                order[step] = tuple(map(int, match[1].split('_iter_')))
        start = osp.abspath(runner._load_from or '')
        resumed = number.fullmatch(osp.basename(start))
        if resumed is None or osp.dirname(start) != here:
            return
        last = tuple(map(int, resumed[1].split('_iter_')))
        steps = [step for step in sorted(order, key=order.get) if order[step] <= last]
        kept = steps[-self.max_keep_ckpts :]
        self.keep_ckpt_ids = deque(kept, self.max_keep_ckpts)
        runner.message_hub.update_info('keep_ckpt_ids', kept)
        self._remove(steps[: -self.max_keep_ckpts])

    def _remove(self, steps: Sequence) -> None:
        for step in steps:
            path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)

    def _write(self, runner, name: str, meta: dict) -> None:
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )

    def _take_state(self, runner) -> dict:
        """Collective: what the checkpoint must hold of every process."""
        self._go_on(runner)  # where nothing was left of an epoch but its end
        state = dict(random_state=all_gather_object(self._before_val or random_state.take()))
        model, gradients = unwrapped(runner), {}
        if hasattr(model, 'rank_state'):
            state['rank_state'] = all_gather_object(model.rank_state())
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:  # in the middle of an accumulation
                mean = parameter.grad.detach().clone()
                all_reduce(mean, 'mean')
                gradients[name] = mean.cpu()
        if gradients:
            state['gradients'] = gradients
        return state

    def _note_signal(self, *args: Sequence) -> None:
        self._signalled = True

    def _must_end(self, runner) -> bool:
        """Whether any process was signalled: all of them end at the same iteration."""
        if get_world_size() == 1:
            return self._signalled
        if (runner.iter + 1) % self.signal_interval:
            return False
        flag = torch.tensor([float(self._signalled)])
        all_reduce(flag, 'max')
        return bool(flag.item())
