"""Values of a model that move during training."""

from __future__ import annotations

import math

from mmengine.hooks import Hook

from mmposeda.registry import HOOKS

from ._model import unwrapped


def linear(progress: float, start: float, end: float) -> float:
    """Straight line."""
    return start + (end - start) * progress


def cosine(progress: float, start: float, end: float) -> float:
    """Half a cosine, flat at both ends."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def step(progress: float, start: float, end: float) -> float:
    """``start`` until the end of the range, then ``end``."""
    return end if progress >= 1 else start


def sigmoid(progress: float, start: float, end: float, alpha: float = 10.0) -> float:
    """Steep, then flat: ``start + (end - start) (2 / (1 + exp(-alpha progress)) - 1)``, which stays short of ``end``.

    The ramp of gradient reversal. 10 is DANN's (Ganin and Lempitsky, ICML 2015). RegDA's code counts iterations,
    ``exp(-alpha i / N)`` with alpha 1 and N 1000: over a run of 15000 that is 15 here.
    """
    return start + (end - start) * math.tanh(alpha * progress / 2)


CURVES = dict(linear=linear, cosine=cosine, step=step, sigmoid=sigmoid)
#: What a curve takes beside its ends.
OPTIONS = dict(sigmoid=dict(alpha=10.0))


@HOOKS.register_module()
class ScheduleHook(Hook):
    """Sets attributes of the model from the run's progress, before every iteration.

    The value depends on the runner's iteration, or epoch, alone, so it is exact after a resume. It is logged as
    ``schedule/ATTRIBUTE``.

    Args:
        schedules (list[dict]): Each with ``attribute`` (dotted path in the model, e.g. 'mask_ratio'), ``start`` and
            ``end`` values, ``curve`` ('linear', 'cosine', 'step' or 'sigmoid', which takes ``alpha`` (10) too), and the
            range of iterations ``begin`` (0) to ``finish`` (the run's end), outside of which the value stays.
        by_epoch (bool): Ranges are epochs, and values stand still within one.

    Raises:
        ValueError: A key is missing or unknown, or the curve is, the range is empty, or ``alpha`` is not positive.
        AttributeError: The model has no such attribute.
    """

    priority = 'HIGH'

    def __init__(self, schedules: list[dict], by_epoch: bool = False) -> None:
        self.by_epoch = by_epoch
        self.schedules = []
        for entry in schedules:
            entry = {'curve': 'linear', 'begin': 0, 'finish': None, **entry}
            if entry['curve'] not in CURVES:
                raise ValueError(f'curve must be one of {sorted(CURVES)}, got {entry["curve"]!r}')
            options = OPTIONS.get(entry['curve'], {})
            entry = {**options, **entry}
            wanted = {'attribute', 'start', 'end', 'curve', 'begin', 'finish', *options}
            if set(entry) != wanted:
                raise ValueError(
                    f'A schedule of curve {entry["curve"]!r} takes the keys {sorted(wanted)}, got {sorted(entry)}'
                )
            if entry.get('alpha', 1) <= 0:
                raise ValueError(f'alpha of {entry["attribute"]!r} must be positive, got {entry["alpha"]}')
            if entry['finish'] is not None and entry['finish'] <= entry['begin']:
                raise ValueError(f'The range of {entry["attribute"]!r} is empty: {entry["begin"]} to {entry["finish"]}')
            self.schedules.append(entry)

    def before_train(self, runner) -> None:
        """Check that every attribute is there."""
        for entry in self.schedules:
            self._owner(runner, entry['attribute'])

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Set and log the values of this iteration."""
        now, end = (runner.epoch, runner.max_epochs) if self.by_epoch else (runner.iter, runner.max_iters)
        for entry in self.schedules:
            finish = end if entry['finish'] is None else entry['finish']
            progress = (now - entry['begin']) / max(finish - entry['begin'], 1)
            options = {key: entry[key] for key in OPTIONS.get(entry['curve'], ())}
            value = CURVES[entry['curve']](min(max(progress, 0.0), 1.0), entry['start'], entry['end'], **options)
            owner, name = self._owner(runner, entry['attribute'])
            setattr(owner, name, value)
            runner.message_hub.update_scalar(f'schedule/{entry["attribute"]}', value)

    @staticmethod
    def _owner(runner, path: str):
        owner = unwrapped(runner)
        *parents, name = path.split('.')
        for parent in parents:
            owner = getattr(owner, parent, None)
        if not hasattr(owner, name):
            raise AttributeError(f'ScheduleHook: {type(runner.model).__name__} has no attribute {path!r}')
        return owner, name
