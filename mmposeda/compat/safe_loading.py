"""Reading files of strangers without running what is in them.

A pickle is a program, and checkpoints are pickles. torch protects its callers by default since 2.6 only, not where a
checkpoint comes from an address (``torch.hub``), and an environment variable turns its default off; mmengine's own
readers of ``.pkl`` and ``.yaml`` files protect nobody. Here all of them read data and refuse everything else.
"""

from __future__ import annotations

import os
import pickle
import re
import sys
from functools import lru_cache
from types import ModuleType


class UnsafeFileError(RuntimeError):
    """A file holds more than data. It was refused before anything in it ran; the message says what it asks for."""


@lru_cache(maxsize=1)
def own_types() -> dict:
    """Dotted name in a pickle -> what it stands for, of mmengine's checkpoints: numpy's arrays and the log history."""
    import numpy as np
    from mmengine.logging import HistoryBuffer

    multiarray = sys.modules.get('numpy._core.multiarray') or sys.modules['numpy.core.multiarray']
    types = [HistoryBuffer, np.ndarray, np.dtype, *{type(np.dtype(kind)) for kind in '?bBhHiIlLqQefdgFDUS'}]
    allowed = {f'{kind.__module__}.{kind.__qualname__}': kind for kind in types}
    allowed['builtins.getattr'] = history_method
    # the content of an array without elements, such as the sigmas of MMPose's hands
    allowed['builtins.bytes'] = allowed['__builtin__.bytes'] = no_bytes
    # numpy 2 renamed its core: files written with either name are read with either version
    for core in ('numpy.core', 'numpy._core'):
        allowed[f'{core}.multiarray._reconstruct'] = multiarray._reconstruct
        allowed[f'{core}.multiarray.scalar'] = multiarray.scalar
    return allowed


def no_bytes(*args) -> bytes:
    """Stand for ``bytes``, which pickles of protocol 2 call without arguments; with a number it would take memory."""
    if args:
        raise UnsafeFileError(f'it asks for bytes of {args!r:.80}')
    return b''


def history_method(owner, name: str):
    """Stand for ``getattr`` in checkpoints, where it only ever names the statistics of ``HistoryBuffer``."""
    from mmengine.logging import HistoryBuffer

    if owner is not HistoryBuffer or name not in ('min', 'max', 'current', 'mean'):
        raise UnsafeFileError(f'it asks for attribute {name!r} of {owner!r}')
    return getattr(HistoryBuffer, name)


@lru_cache(maxsize=1)
def _all_types() -> dict:
    import _codecs
    from collections import OrderedDict

    # what torch itself trusts with weights_only: storages, dtypes and the functions that put tensors together
    from torch._weights_only_unpickler import _get_allowed_globals

    allowed = {**_get_allowed_globals(), **own_types(), 'collections.OrderedDict': OrderedDict}
    allowed['torch.storage._load_from_bytes'] = _storage_from_bytes
    allowed['_codecs.encode'] = _codecs.encode  # bytes, in pickles of protocol 2
    # names that Python 2 and protocol 2 write
    allowed.update({'__builtin__.getattr': history_method, 'builtins.set': set, '__builtin__.set': set})
    return allowed


def _storage_from_bytes(content: bytes):
    import io

    return load_tensors(io.BytesIO(content))


class DataUnpickler(pickle.Unpickler):
    """Reads containers, numbers, text, numpy arrays, tensors and mmengine's log history; refuses any other name."""

    def find_class(self, module: str, name: str):
        """What a name stands for.

        Raises:
            UnsafeFileError: The name is not one of :func:`own_types` or of torch's own.
        """
        try:
            return _all_types()[f'{module}.{name}']
        except KeyError:
            raise UnsafeFileError(f'it asks for {module}.{name}') from None


def load_tensors(file, map_location=None):
    """``torch.load`` for files of strangers, with any version of torch and whatever its environment variables say.

    Args:
        file (str | Path | file): A checkpoint.
        map_location: Of ``torch.load``.

    Raises:
        UnsafeFileError: The file holds more than data: one line with its name, what it asks for and the way out.
    """
    import torch

    name = os.fspath(file) if isinstance(file, (str, os.PathLike)) else getattr(file, 'name', 'the checkpoint')
    try:
        if _torch_reads_our_types():
            _allow_own_types()
            return torch.load(file, map_location=map_location, weights_only=True)
        return torch.load(file, map_location=map_location, pickle_module=_restricted_pickle(), weights_only=False)
    except UnsafeFileError as error:
        reason = str(error)
    except pickle.UnpicklingError as error:  # its message fills a screen and recommends weights_only=False
        text = str(error)
        found = re.search(r'GLOBAL (\S+)', text) or re.search(r'((?:Trying to|Can only) [^\n]*)', text)
        if not found:
            line = next((x for x in text.rpartition('WeightsUnpickler error:')[2].splitlines() if x.strip()), text)
            raise pickle.UnpicklingError(f'{name} is no checkpoint of weights ({line.strip()})') from None
        reason = f'it asks for {found[1]}'
    raise UnsafeFileError(
        f'{name} is refused: {reason}, which weights do not need and which could run code. Nothing in it was run. Get '
        "the weights alone from its author, torch.save({'state_dict': model.state_dict()}, ...)"
    )


def _torch_reads_our_types() -> bool:
    """Whether ``add_safe_globals`` takes names beside types, as it does since torch 2.6."""
    import torch

    return tuple(int(part) for part in re.findall(r'\d+', torch.__version__)[:2]) >= (2, 6)


def _restricted_pickle() -> ModuleType:
    """What ``torch.load`` takes for the module ``pickle``."""
    module = ModuleType('mmposeda_restricted_pickle')
    module.Unpickler = DataUnpickler
    module.load = lambda file, **kwargs: DataUnpickler(file, **kwargs).load()
    return module


def load_url(url, model_dir=None, map_location=None, progress=True, check_hash=False, file_name=None):
    """``torch.hub.load_state_dict_from_url``, which runs what is in the file unless told not to, through
    :func:`load_tensors`. Arguments are that function's.

    Raises:
        UnsafeFileError: The file holds more than data.
    """
    from urllib.parse import urlparse

    from torch import hub

    folder = model_dir or os.path.join(hub.get_dir(), 'checkpoints')
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, file_name or os.path.basename(urlparse(url).path))
    if not os.path.exists(path):
        prefix = hub.HASH_REGEX.search(os.path.basename(path)) if check_hash else None
        hub.download_url_to_file(url, path, prefix and prefix.group(1), progress=progress)
    return load_tensors(path, map_location)


class _TorchWithSafeLoad(ModuleType):
    """torch as mmengine's checkpoint module sees it: ``load`` is :func:`load_tensors`, all else is torch's own."""

    def __init__(self, torch: ModuleType):
        super().__init__('torch')
        self._torch = torch
        self.load = load_tensors

    def __getattr__(self, name):
        return getattr(self._torch, name)


@lru_cache(maxsize=1)
def _allow_own_types() -> None:
    import torch

    torch.serialization.add_safe_globals([(kind, name) for name, kind in own_types().items()])


def protect_checkpoints(module: ModuleType) -> None:
    """Make every scheme of ``mmengine.runner.checkpoint`` (local files, addresses, stores) load data only."""
    if _torch_reads_our_types():  # for those who call torch.load(weights_only=True) on such a checkpoint themselves
        _allow_own_types()
    module.torch = _TorchWithSafeLoad(module.torch)
    module.load_url = load_url


def protect_pickles(module: ModuleType) -> None:
    """Make ``mmengine.fileio.load`` read ``.pkl`` annotations and detections as data."""

    def load_from_fileobj(self, file, **kwargs):
        try:
            return DataUnpickler(file, **kwargs).load()
        except UnsafeFileError as error:
            raise UnsafeFileError(
                f'a pickle file is refused: {error}, which could run code. Nothing in it was run. Convert it to json, '
                'or if you trust its author read it with pickle.load'
            ) from None

    module.PickleHandler.load_from_fileobj = load_from_fileobj


def protect_yaml(module: ModuleType) -> None:
    """Make ``mmengine.fileio.load`` build no Python objects from ``.yaml`` files."""
    import yaml

    module.Loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
