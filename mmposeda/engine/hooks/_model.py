"""The model behind a wrapper."""

from mmengine.model import is_model_wrapper


def unwrapped(runner):
    """The runner's model without its parallel wrapper."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
