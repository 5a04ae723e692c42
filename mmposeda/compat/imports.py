"""Import hooks: stand-ins for what MMPose imports but rarely needs, and repairs right after an import.

MMPose's model zoo cannot be imported unless six, mmdet, compiled mmcv ops, torchvision and xtcocotools are
all there, although each of the first four serves one or two classes. While one of the few modules in
:data:`NEEDS` is executed, names that cannot be had for real are lent to it from a stand-in; afterwards
``sys.modules`` is as before, because other code draws conclusions from what it finds there.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.abc
import importlib.machinery
import sys
from contextlib import contextmanager
from types import ModuleType
from typing import Callable

NEEDS = {
    'mmpose.models.heads.hybrid_heads.rtmo_head': {'mmdet.utils': ('ConfigType', 'reduce_mean')},
    'mmpose.models.heads.transformer_heads.edpose_head': {'mmcv.ops': ('MultiScaleDeformableAttention',)},
    'mmpose.models.heads.transformer_heads.transformers.deformable_detr_layers': {
        'mmcv.ops': ('MultiScaleDeformableAttention',)
    },
    'mmpose.models.utils.misc': {'six.moves': ('map', 'zip')},
    'mmpose.visualization.simcc_vis': {'torchvision.transforms': ('ToPILImage',)},
}
"""MMPose module -> module it imports at its top -> names it takes from there."""

PACKAGES = {
    'mmcv.ops': 'a full mmcv (mmcv-lite has no compiled ops)',
    'mmdet.utils': 'mmdet',
    'torchvision.transforms': 'a torchvision that matches your torch',
}
"""Module -> what to install when one of its stand-ins is used."""


class _StandInMeta(type):
    """Class of the stand-ins: any use but a type annotation or an isinstance check raises ImportError."""

    def __call__(cls, *args, **kwargs):
        raise ImportError(cls.reason)

    def __getattr__(cls, name):
        if name.startswith('__'):
            raise AttributeError(name)
        raise ImportError(cls.reason)


def make_stand_in(module: str, name: str, cause: str) -> type:
    """Make a class that raises an ImportError naming the package to install once it is called.

    Args:
        module: Dotted name of the module that is missing.
        name: Name that was to be imported from it.
        cause: Why the real import failed.
    """
    package = PACKAGES.get(module, module.partition('.')[0])
    reason = f'{module}.{name} is needed here but cannot be imported ({cause}). Install {package} to use it.'
    return _StandInMeta(name, (), {'reason': reason, '__module__': module})


def _import_error(module: str, names: tuple[str, ...]) -> str | None:
    """Return why ``names`` cannot be had from ``module``, or None if they can."""
    try:
        real = importlib.import_module(module)
    except Exception as error:  # a package that is there but broken fails in its own way (RuntimeError, AssertionError)
        return f'{type(error).__name__}: {error}'
    missing = [name for name in names if not hasattr(real, name)]
    return f'{module} has no {", ".join(missing)}' if missing else None


@contextmanager
def stand_ins(needs: dict[str, tuple[str, ...]]):
    """Lend stand-ins to the imports made inside the block, for those of ``needs`` that cannot be had."""
    saved: dict[str, ModuleType | None] = {}
    try:
        for module, names in needs.items():
            cause = _import_error(module, names)
            if cause is None:
                continue
            lent = ModuleType(module)
            for name in names:
                # six.moves only renames builtins, so here the stand-in can be the real thing
                value = getattr(builtins, name) if module == 'six.moves' else make_stand_in(module, name, cause)
                setattr(lent, name, value)
            parent = module.partition('.')[0]
            if parent not in sys.modules:
                saved[parent] = None
                sys.modules[parent] = ModuleType(parent)
            saved[module] = sys.modules.get(module)
            sys.modules[module] = lent
        yield
    finally:
        for name, original in saved.items():
            if original is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = original


class _Loader(importlib.abc.Loader):
    """Runs a module with its stand-ins lent and patches it afterwards; then leaves no trace of itself."""

    def __init__(self, loader, needs, patch):
        self.loader, self.needs, self.patch = loader, needs, patch

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        module.__loader__ = module.__spec__.loader = self.loader
        with stand_ins(self.needs):
            self.loader.exec_module(module)
        if self.patch is not None:
            self.patch(module)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of :data:`NEEDS` and those to be patched, as Python would, and wraps their loader."""

    def __init__(self, patches: dict[str, Callable[[ModuleType], None]]):
        self.patches = patches

    def find_spec(self, fullname, path, target=None):
        needs, patch = NEEDS.get(fullname, {}), self.patches.get(fullname)
        if not needs and patch is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, needs, patch)
        return spec


class _CocoFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Last in line: serves ``xtcocotools`` from :mod:`.cocotools` where no real one is installed."""

    MODULES = {
        'xtcocotools': None,
        'xtcocotools.coco': 'mmposeda.compat.cocotools',
        'xtcocotools.cocoeval': 'mmposeda.compat.cocotools',
        'xtcocotools.mask': 'pycocotools.mask',
    }

    def find_spec(self, fullname, path, target=None):
        if fullname not in self.MODULES:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=fullname == 'xtcocotools')

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        source = self.MODULES[module.__name__]
        if source is not None:
            real = importlib.import_module(source)
            module.__dict__.update({k: v for k, v in vars(real).items() if not k.startswith('__')})


def install(patches: dict[str, Callable[[ModuleType], None]]) -> None:
    """Install the import hooks, once.

    Args:
        patches: Module name -> function that repairs the module. Runs right after the module's import, or now
            if it is imported already.
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Finder(patches))
    sys.meta_path.append(_CocoFinder())
    for name, patch in patches.items():
        if name in sys.modules:
            patch(sys.modules[name])
