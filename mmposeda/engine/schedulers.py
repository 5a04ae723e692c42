"""Learning rates that MMEngine has no schedule for."""

from __future__ import annotations

from mmengine.optim import _ParamScheduler
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin

from mmposeda.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class PolyInvLR(LRSchedulerMixin, _ParamScheduler):
    """Learning rate ``initial (1 + gamma t)^-power``, t steps after ``begin``: steep at first, and never at an end.

    What domain-adversarial methods anneal with (Ganin and Lempitsky, ICML 2015, section 5.2.2; RegDA code). Like
    MMEngine's schedules it multiplies, step by step, so that others may change the rate beside it.

    Args:
        optimizer (Optimizer | OptimWrapper): Whose rates change, each group's from its own initial one.
        gamma (float): Growth a step (1e-4 of RegDA, by iteration).
        power (float): Exponent (0.75).
        kwargs: ``begin``, ``end``, ``last_step``, ``by_epoch`` (True) and ``verbose`` of MMEngine's schedules.

    Raises:
        ValueError: ``gamma`` or ``power`` is negative.
    """

    def __init__(self, optimizer, gamma: float = 1e-4, power: float = 0.75, **kwargs) -> None:
        if gamma < 0 or power < 0:
            raise ValueError(f'gamma and power must not be negative, got {gamma} and {power}')
        self.gamma, self.power = gamma, power
        super().__init__(optimizer, **kwargs)

    def _get_value(self) -> list[float]:
        factor = 1.0
        if self.last_step > 0:
            factor = ((1 + self.gamma * self.last_step) / (1 + self.gamma * (self.last_step - 1))) ** -self.power
        return [group[self.param_name] * factor for group in self.optimizer.param_groups]
