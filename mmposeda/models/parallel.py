"""Several processes: models that make several updates an iteration, and what each process has of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from mmengine.dist import all_reduce, broadcast, get_world_size
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS  # not ours: Runner.wrap_model looks a name up in MMEngine's own alone
from torch import Tensor, nn


@torch.no_grad()
def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Mean of the gradients over the processes, in one collective call; with one process nothing.

    What has no gradient here must have none elsewhere.
    """
    if get_world_size() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch._utils._flatten_dense_tensors(gradients)
    all_reduce(flat, 'mean')
    torch._foreach_copy_(gradients, torch._utils._unflatten_dense_tensors(flat, gradients))


def update_part(optim_wrapper: OptimWrapper, loss: Tensor) -> None:
    """One update of the parameters of one optimiser, by the mean gradient over the processes.

    The gradient goes to these parameters alone: those of the networks that the loss passes through stay without, and
    none is computed for them.
    """
    parameters = [p for group in optim_wrapper.optimizer.param_groups for p in group['params'] if p.requires_grad]
    optim_wrapper.backward(optim_wrapper.scale_loss(loss), inputs=parameters)
    average_gradients(parameters)
    optim_wrapper.step()
    optim_wrapper.zero_grad()


def own_buffers(model: nn.Module) -> dict[str, Tensor]:
    """Copies on the host of what a checkpoint, which the first process writes, lacks of this one: its batch statistics.

    Empty in one process. For a model's ``rank_state``, where it is asked by its running statistics while it trains.
    """
    buffers = model.named_buffers() if get_world_size() > 1 else ()
    return {name: buffer.cpu().clone() for name, buffer in buffers}


@torch.no_grad()
def load_own_buffers(model: nn.Module, saved: Mapping[str, Tensor]) -> None:
    """Take up what :func:`own_buffers` gave."""
    for name, buffer in model.named_buffers():
        if name in saved:
            buffer.copy_(saved[name])


@MODEL_WRAPPERS.register_module()
class PartParallel(nn.Module):
    """Stands where ``MMDistributedDataParallel`` does, for a model whose ``train_step`` averages gradients itself.

    MMEngine's own wrapper makes one backward pass and one update an iteration, and that for several optimisers wraps
    the parts, so that a part cannot be passed through frozen. Here the model is left as it is: all processes start from
    the weights of the first, and :func:`update_part` does the rest. Set it by
    ``model_wrapper_cfg = dict(type='PartParallel')``; in one process it is not used.

    Args:
        module (nn.Module): The model.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        for value in module.state_dict().values():
            broadcast(value)

    def forward(self, *args, **kwargs):
        """The model's."""
        return self.module(*args, **kwargs)

    def train_step(self, data, optim_wrapper) -> dict:
        """The model's."""
        return self.module.train_step(data, optim_wrapper)

    def val_step(self, data) -> list:
        """The model's."""
        return self.module.val_step(data)

    def test_step(self, data) -> list:
        """The model's."""
        return self.module.test_step(data)
