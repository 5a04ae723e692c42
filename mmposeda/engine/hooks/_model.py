"""The model behind a wrapper, and a look at it that leaves no trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.model import is_model_wrapper
from torch import nn

from .. import random_state


def unwrapped(runner):
    """The runner's model without its parallel wrapper."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


@contextmanager
def looked_at(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for the code inside; afterwards the mode of every single module and the random state are back."""
    modes = [(module, module.training) for module in model.modules()]
    with random_state.kept():
        model.eval()
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode
