"""One optimiser a part of the model."""

from __future__ import annotations

import torch
from mmengine.model import is_model_wrapper
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper, OptimWrapperDict
from mmengine.utils import digit_version
from torch import nn

from mmposeda.models.parallel import PartParallel
from mmposeda.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS

#: Those that torch has in one fused kernel on the CPU too (a third of the time there), and since when.
FUSED, FUSED_SINCE = ('Adam', 'AdamW', 'SGD'), '2.5'


@OPTIM_WRAPPERS.register_module()
class DeviceOptimWrapper(OptimWrapper):
    """MMEngine's, but the norm of clipped gradients is not logged: that waits for the device at each step."""

    def _clip_grad(self) -> None:
        groups = self.optimizer.param_groups
        parameters = [p for group in groups for p in group['params'] if p.grad is not None]
        if parameters:
            self.clip_func(parameters, **self.clip_grad_kwargs)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class PartOptimWrapperConstructor:
    """Builds an ``OptimWrapperDict`` from a config that names sub-modules.

    ::

        optim_wrapper = dict(
            constructor='PartOptimWrapperConstructor',
            augmentor=dict(optimizer=dict(type='Adam', lr=1e-4), clip_grad=dict(max_norm=1)),
            student=dict(optimizer=dict(type='Adam', lr=1e-4)),
        )

    A part that the model has no weights for (a discriminator that is None, a random augmentor) is left out. The type
    of a wrapper is :class:`DeviceOptimWrapper` if none is given, and Adam, AdamW and SGD are fused where torch can.

    Args:
        optim_wrapper_cfg (dict): By the sub-module's name, what a plain ``optim_wrapper`` holds, ``paramwise_cfg`` too.
        paramwise_cfg (dict, optional): For all parts that have none of their own.

    Raises:
        ValueError: A name that the model lacks, accumulated gradients, weights that no part or several have, or a
            wrapper of several processes other than :class:`~mmposeda.models.parallel.PartParallel`.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        self.parts, self.paramwise = {k: dict(v) for k, v in optim_wrapper_cfg.items() if k != 'type'}, paramwise_cfg
        for name, cfg in self.parts.items():
            if cfg.get('accumulative_counts', 1) != 1:
                raise ValueError(
                    f'optim_wrapper.{name}: several updates an iteration cannot be accumulated; leave out '
                    'accumulative_counts and use a larger batch'
                )

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        """Build the wrappers of a model."""
        if is_model_wrapper(model):
            if not isinstance(model, PartParallel):
                raise ValueError(
                    f'{type(model).__name__} makes one update an iteration, not one a part of the model: for several '
                    "processes set model_wrapper_cfg=dict(type='PartParallel')"
                )
            model = model.module
        wrappers, owner = {}, {}
        for name, cfg in self.parts.items():
            if not hasattr(model, name):
                known = ', '.join(n for n, _ in model.named_children())
                raise ValueError(f'optim_wrapper names {name!r}, but {type(model).__name__} has only {known}')
            part = getattr(model, name)
            if part is None or not any(p.requires_grad for p in part.parameters()):
                continue
            for parameter in part.parameters():
                if parameter in owner:
                    raise ValueError(f'optim_wrapper: {name!r} and {owner[parameter]!r} share weights')
                owner[parameter] = name
            cfg = {'type': 'DeviceOptimWrapper', **cfg, 'optimizer': dict(cfg['optimizer'])}
            if cfg['optimizer']['type'] in FUSED and digit_version(torch.__version__) >= digit_version(FUSED_SINCE):
                cfg['optimizer'].setdefault('fused', True)
            paramwise = cfg.pop('paramwise_cfg', self.paramwise)
            wrappers[name] = DefaultOptimWrapperConstructor(cfg, paramwise)(part)
        lost = [name for name, p in model.named_parameters() if p.requires_grad and p not in owner]
        if lost:
            raise ValueError(
                f'optim_wrapper: no part updates {", ".join(lost[:4])}{" and more" if len(lost) > 4 else ""}; name '
                f'the sub-modules of {type(model).__name__} that hold them'
            )
        return OptimWrapperDict(**wrappers)
