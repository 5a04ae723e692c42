"""Keeps NaN and infinity out of the weights."""

from __future__ import annotations

import functools
import math
import os.path as osp
from collections.abc import Mapping
from typing import NamedTuple

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from torch import Tensor

from mmposeda.registry import HOOKS

from ._model import unwrapped

POLICIES = ('stop', 'skip')
_SHOWN = 4  # names of samples or weights in a message


class NonFiniteError(FloatingPointError):
    """A loss or gradient was not finite; the step was not made. The message names term, iteration and samples."""


class _Finding(NamedTuple):
    """What one look at a step gave: all finite or not, and which loss terms or weights are not."""

    finite: bool
    what: str


@HOOKS.register_module()
class NonFiniteHook(Hook):
    """Looks at the losses and gradients before every step of an optimiser and lets none that is not finite pass.

    Neither the optimiser's state nor the weights, the teacher or another average of weights move then, and the
    running statistics of batch normalisation are put back to those of the last good step. With fp16 a gradient that
    overflowed is the loss scaler's business; a loss that is not finite is ours.

    The look takes one value from the device a step, together with all values to be logged, where MMEngine takes each
    of these by itself.

    Args:
        policy (str): 'stop' ends the run with an error, 'skip' leaves the batch out and warns.
        max_skips (int): With 'skip', as many in a row end the run: it would not recover.

    Raises:
        ValueError: An unknown policy.
        NonFiniteError: During the run, by policy.
    """

    priority = 'VERY_HIGH'

    def __init__(self, policy: str = 'stop', max_skips: int = 20) -> None:
        if policy not in POLICIES:
            raise ValueError(f'policy must be one of {POLICIES}, got {policy!r}')
        if max_skips < 1:
            raise ValueError(f'max_skips must be at least 1, got {max_skips}')
        self.policy, self.max_skips = policy, max_skips
        self._in_a_row = 0
        self._runner = None
        self._logged: list[dict] = []  # of the iterations since the last step
        self._samples: list = []
        self._bad_iteration = self._moved_at = -1

    def before_train(self, runner) -> None:
        """Listen to the model's losses and to the optimisers."""
        model = unwrapped(runner)
        self._runner = runner
        self._buffers = list(model.buffers())
        self._good_buffers = [buffer.clone() for buffer in self._buffers]
        model.parse_losses = functools.partial(self._parse_losses, model.parse_losses)
        wrapper = runner.optim_wrapper
        for one in wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]:
            one.optimizer.register_step_pre_hook(self._before_step)

    def after_train(self, runner) -> None:
        """Give the model its own method back."""
        unwrapped(runner).__dict__.pop('parse_losses', None)

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Remember whose samples these are, and the buffers as they are before a step's first batch."""
        if not self._samples:  # after the teacher has moved, so not right after the last step
            _copy(self._good_buffers, self._buffers)
        self._samples.append(data_batch)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Look at the losses of a step that a loss scaler has left out, and forget the samples after each step."""
        wrapper = runner.optim_wrapper
        one = next(iter(wrapper.values())) if isinstance(wrapper, OptimWrapperDict) else wrapper
        if not one.should_update():
            return
        if self._logged:
            self._judge(self._look([]))
        self._samples.clear()

    def _parse_losses(self, original, losses: dict):
        total, logged = original(losses)
        self._logged.append(logged)
        return total, logged

    def _before_step(self, optimizer, args, kwargs) -> None:
        parameters = [p for group in optimizer.param_groups for p in group['params'] if p.grad is not None]
        # a fused optimiser gets scaled gradients, and leaves out by itself what has overflowed
        scaled = getattr(optimizer, 'found_inf', None) is not None
        finding = self._look([] if scaled else parameters)
        if self._runner.iter == self._bad_iteration:  # another optimiser of the same iteration
            finding = _Finding(False, 'an earlier step of this iteration')
        if not self._judge(finding):
            for parameter in parameters:  # what an optimiser finds without gradient it leaves alone
                parameter.grad = None

    @torch.no_grad()
    def _look(self, parameters: list[Tensor]) -> _Finding:
        """One transfer of all logged values and of one flag; the details only when the flag is down."""
        logged, self._logged = self._logged, []
        entries = [(values, key) for values in logged for key in values if isinstance(values[key], Tensor)]
        device = (parameters[0] if parameters else entries[0][0][entries[0][1]] if entries else torch.zeros(())).device
        numbers = [values[key].detach().float().reshape(()).to(device, non_blocking=True) for values, key in entries]
        is_loss = torch.tensor(['loss' in key for _, key in entries], dtype=torch.bool)
        flags = [torch.stack([n for n, loss in zip(numbers, is_loss) if loss])] if is_loss.any() else []
        if parameters:
            flags.append(torch.stack(torch._foreach_norm([p.grad for p in parameters])).float())
        finite = torch.isfinite(torch.cat(flags)).all().float() if flags else torch.ones((), device=device)
        if get_world_size() > 1:  # a loss is one rank's own, but the step is everybody's
            all_reduce(finite, 'min')
        *host, finite = torch.stack([*numbers, finite]).tolist()
        bad = []
        for (values, key), number in zip(entries, host):
            values[key] = number
            if 'loss' in key and not math.isfinite(number):
                bad.append((key, number))
        if finite:
            return _Finding(True, '')
        terms = [f'{key} is {number}' for key, number in bad if key != 'loss'] or [f'{k} is {n}' for k, n in bad]
        return _Finding(False, ', '.join(dict.fromkeys(terms)) or self._bad_gradients(parameters))

    def _bad_gradients(self, parameters: list[Tensor]) -> str:
        names = {id(p): name for name, p in unwrapped(self._runner).named_parameters()}
        bad = [names.get(id(p), '?') for p in parameters if not torch.isfinite(p.grad).all()]
        if not bad:
            return 'a loss or gradient of another process is not finite'
        return f'the gradient of {_some(bad)} is not finite'

    def _judge(self, finding: _Finding) -> bool:
        """Whether the step may be made; puts the statistics back and raises by policy if not."""
        if finding.finite:
            self._in_a_row = 0
            self._moved_at = self._runner.iter
            return True
        _copy(self._buffers, self._good_buffers)
        if self._runner.iter == self._bad_iteration:
            return False
        self._bad_iteration = self._runner.iter
        self._in_a_row += 1
        message = self._describe(finding)
        if self.policy == 'stop':
            raise NonFiniteError(
                f"{message} To leave such batches out, set policy='skip' of NonFiniteHook; a lower learning rate, "
                'gradient clipping or a look at these samples may be the remedy.'
            )
        if self._in_a_row >= self.max_skips:
            raise NonFiniteError(f'{message} This was the {self._in_a_row}th step in a row: giving up.')
        self._runner.logger.warning(f'{message} Leaving the batch out.')
        return False

    def _describe(self, finding: _Finding) -> str:
        number = self._runner.iter + 1
        names = [name for batch in self._samples for name in _sample_names(batch)]
        path = osp.join(self._runner.log_dir, f'nonfinite_{number}_rank{self._runner.rank}.txt')
        with open(path, 'w') as file:
            file.writelines(f'{name}\n' for name in names)
        # some methods make several updates an iteration
        earlier = self._moved_at == self._runner.iter
        state = 'the updates before it in this iteration' if earlier else f'iteration {number - 1}'
        last = self._runner.message_hub.runtime_info.get('last_ckpt')
        return (
            f'Iteration {number}: {finding.what}. The step was not made: '
            f'weights, teacher and averages are those of {state}. Samples: {_some(names)}, all in {path}. '
            f'Last checkpoint: {last or "none yet"}.'
        )


def _copy(to: list[Tensor], values: list[Tensor]) -> None:
    if to:
        # behind autograd's back: later updates of a bad iteration, which move nothing, go through graphs that hold them
        torch._foreach_copy_([x.data for x in to], values)


def _some(names: list[str]) -> str:
    more = f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''
    return ', '.join(names[:_SHOWN]) + more


def _sample_names(batch) -> list[str]:
    samples = batch.get('data_samples', ()) if isinstance(batch, Mapping) else ()
    if isinstance(samples, Mapping):  # a batch of tensors, or several by the name of their stream
        if 'index' in samples:
            return [f'sample {i}' for i in samples['index'].tolist()]
        return [f'{name} of {key}' for key in samples for name in _sample_names(dict(data_samples=samples[key]))]
    return [str(s.metainfo.get('img_path') or f'sample {s.metainfo.get("img_id", "?")}') for s in samples]
