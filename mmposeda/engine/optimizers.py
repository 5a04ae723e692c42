"""One optimiser a part of the model."""

from __future__ import annotations

import torch
from mmengine.model import is_model_wrapper
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper, OptimWrapperDict
from mmengine.utils import digit_version
from torch import nn

from mmposeda.models.parallel import PartParallel
from mmposeda.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS

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
            _check_once(name, cfg)

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        """Build the wrappers of a model."""
        model = _bare(model)
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
            cfg = _completed(cfg)
            paramwise = cfg.pop('paramwise_cfg', self.paramwise)
            wrappers[name] = DefaultOptimWrapperConstructor(cfg, paramwise)(part)
        lost = [name for name, p in model.named_parameters() if p.requires_grad and p not in owner]
        if lost:
            raise ValueError(
                f'optim_wrapper: no part updates {", ".join(lost[:4])}{" and more" if len(lost) > 4 else ""}; name '
                f'the sub-modules of {type(model).__name__} that hold them'
            )
        return OptimWrapperDict(**wrappers)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LossOptimWrapperConstructor:
    """Builds an ``OptimWrapperDict`` of one optimiser a loss; several may have the same weights.

    ::

        optim_wrapper = dict(
            constructor='LossOptimWrapperConstructor',
            default=dict(optimizer=dict(type='Adam', lr=1e-5)),
            pose_contrast=dict(optimizer=dict(type='Adam', lr=2e-5)),
        )

    The model's ``losses`` are the names, and its ``trained_by(name)`` gives the weights. Every loss that the model has
    gets the ``default``, or what is written under its name; one that is None has no optimiser and is not made.

    Args:
        optim_wrapper_cfg (dict): ``default`` and names of losses, each with what a plain ``optim_wrapper`` holds.
        paramwise_cfg (dict, optional): Not supported.

    Raises:
        ValueError: A name that is none of the model's losses, accumulated gradients, or weights set apart.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        self.losses = {key: cfg and dict(cfg) for key, cfg in optim_wrapper_cfg.items() if key != 'type'}
        self.default = self.losses.pop('default', None)
        given = {name: cfg or {} for name, cfg in {'default': self.default, **self.losses}.items()}
        for name, cfg in given.items():
            _check_once(name, cfg)
        if paramwise_cfg or any('paramwise_cfg' in cfg for cfg in given.values()):
            raise ValueError(f'{type(self).__name__} has one rate a loss and takes no paramwise_cfg')

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        """Build the wrappers of a model."""
        model = _bare(model)
        unknown = sorted(set(self.losses) - set(model.losses))
        if unknown:
            raise ValueError(
                f'optim_wrapper names {", ".join(unknown)}, but losses of {type(model).__name__} are '
                f'{", ".join(model.losses)}'
            )
        wrappers = {}
        for name in model.losses:
            cfg = self.losses.get(name, self.default)
            if cfg is None:
                continue
            cfg = _completed(cfg)
            cfg['optimizer']['params'] = model.trained_by(name)
            optimizer = OPTIMIZERS.build(cfg.pop('optimizer'))
            wrappers[name] = OPTIM_WRAPPERS.build(dict(cfg, optimizer=optimizer))
        return OptimWrapperDict(**wrappers)


def _bare(model: nn.Module) -> nn.Module:
    """The model inside a wrapper of several processes, if that leaves updates to the model."""
    if not is_model_wrapper(model):
        return model
    if not isinstance(model, PartParallel):
        raise ValueError(
            f'{type(model).__name__} makes one update an iteration, not one a part of the model: for several '
            "processes set model_wrapper_cfg=dict(type='PartParallel')"
        )
    return model.module


def _check_once(name: str, cfg: dict) -> None:
    if cfg.get('accumulative_counts', 1) != 1:
        raise ValueError(
            f'optim_wrapper.{name}: several updates an iteration cannot be accumulated; leave out '
            'accumulative_counts and use a larger batch'
        )


def _completed(cfg: dict) -> dict:
    """A wrapper's config with our wrapper, and its optimiser fused where torch can."""
    cfg = {'type': 'DeviceOptimWrapper', **cfg, 'optimizer': dict(cfg['optimizer'])}
    if cfg['optimizer']['type'] in FUSED and digit_version(torch.__version__) >= digit_version(FUSED_SINCE):
        cfg['optimizer'].setdefault('fused', True)
    return cfg
