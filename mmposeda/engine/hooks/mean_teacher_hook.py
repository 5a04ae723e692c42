"""Moves the teacher after every step of the optimiser."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict

from mmposeda.registry import HOOKS

from ._model import unwrapped


@HOOKS.register_module()
class MeanTeacherHook(Hook):
    """Copies the student to the teacher at the start and updates the teacher after each optimiser step.

    An iteration that only accumulates gradients, or that an fp16 scaler skips, leaves the teacher alone: the optimiser
    itself reports its steps. The teacher's share is the model's ``keep_rate``.

    Raises:
        TypeError: The model has no teacher.
    """

    priority = 'NORMAL'

    def __init__(self) -> None:
        self._stepped = False

    def before_train(self, runner) -> None:
        """Check the model, start the teacher of a fresh run and listen to the optimiser."""
        model = unwrapped(runner)
        if not hasattr(model, 'update_teacher'):
            raise TypeError(f'MeanTeacherHook needs a model with a teacher, got {type(model).__name__}')
        if runner.iter == 0:
            model.start_teacher()
        wrapper = runner.optim_wrapper
        wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
        for one in wrappers:
            one.optimizer.register_step_post_hook(self._note_step)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Update the teacher if the optimiser has stepped."""
        if self._stepped:
            unwrapped(runner).update_teacher()
            self._stepped = False

    def _note_step(self, optimizer, *args) -> None:
        # without gradients (NonFiniteHook takes bad ones away) a step moves nothing
        groups = optimizer.param_groups
        self._stepped |= any(parameter.grad is not None for group in groups for parameter in group['params'])
