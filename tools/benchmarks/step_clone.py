"""Imports of a published training script from a clone, on today's Python stack and without what its step never uses."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import torch
from torch import nn


def _is_below(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f'{package}.') for package in packages)


class StandIns(MetaPathFinder, Loader):
    """Any module of some packages, with any class in it.

    Args:
        packages (str): Modules to stand in for, with all below them.
        submodules (tuple[str, ...]): Names in them that are modules, not classes.
        given (dict, optional): True contents, names to values by module.
    """

    def __init__(self, *packages: str, submodules: tuple[str, ...] = (), given: dict | None = None) -> None:
        self.packages, self.submodules, self.given = packages, submodules, given or {}

    def find_spec(self, name, path=None, target=None):
        """Claim every module of the packages."""
        return ModuleSpec(name, self, is_package=True) if _is_below(name, self.packages) else None

    def create_module(self, spec):
        """Make it."""
        return types.ModuleType(spec.name)

    def exec_module(self, module):
        """Fill it."""

        def anything(name):
            if name in self.submodules or name.startswith('__'):
                raise AttributeError(name)  # the import system finds it
            return type(name, (nn.Module,), {})

        module.__getattr__ = anything
        vars(module).update(self.given.get(module.__name__, {}))


class BarePackage(MetaPathFinder):
    """A package of the clone with its real modules, but without what the ``__init__`` of each folder imports.

    Args:
        root (Path): The clone.
        name (str): The package.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name

    def find_spec(self, name, path=None, target=None):
        """Claim its folders, and leave its modules to the import system."""
        folder = self.root.joinpath(*name.split('.'))
        if not (_is_below(name, (self.name,)) and folder.is_dir()):
            return None
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        return spec


@contextmanager
def old_numpy() -> Iterator[None]:
    """``np.int`` and ``np.float``, which left with NumPy 1.24."""
    missing = {name: kind for name, kind in dict(int=int, float=float).items() if name not in vars(np)}
    vars(np).update(missing)
    try:
        yield
    finally:
        for name in missing:
            del vars(np)[name]


@contextmanager
def old_stack(device: str) -> Iterator[None]:
    """What a script needs of an older stack, and ``.cuda()`` where there is no such device."""
    saved = torch.Tensor.cuda
    if device == 'cpu':
        torch.Tensor.cuda = lambda self, *args, **kwargs: self
    try:
        with old_numpy():
            yield
    finally:
        torch.Tensor.cuda = saved


def load_script(root: str, script: str, repository: str, *finders: MetaPathFinder, forget: tuple[str, ...] = ()):
    """Import a script of a clone and leave no trace of its imports behind.

    Args:
        root (str): The clone.
        script (str): Path in it.
        repository (str): Its name on GitHub.
        finders (MetaPathFinder): Asked first for every import, in this order.
        forget (tuple[str, ...]): Packages to import anew whenever somebody else asks for them.

    Raises:
        FileNotFoundError: The folder is no such clone.
    """
    path = Path(root) / script
    if not path.is_file():
        raise FileNotFoundError(f'{root} is no clone of {repository} (no {script})')
    search, found, known = list(sys.path), list(sys.meta_path), set(sys.modules)
    sys.path.insert(0, str(root))
    sys.meta_path[:0] = finders
    try:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        with old_numpy():
            spec.loader.exec_module(module)
    finally:
        sys.path[:], sys.meta_path[:] = search, found
        for name in [name for name in sys.modules if name not in known and _is_below(name, forget)]:
            del sys.modules[name]
    return module
