"""Archives of arrays from strangers."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

#: Unpacked size of an archive; a hundred hours of motion at 30 frames a second take a quarter of it.
MAX_BYTES = 2**33


@contextmanager
def open_npz(path: str | Path) -> Iterator[np.lib.npyio.NpzFile]:
    """The arrays of an npz file. Objects in it, which are pickles, are never loaded.

    Raises:
        ValueError: It is no npz, damaged, holds objects, or unpacks to more than :data:`MAX_BYTES`; names the file,
            also where that shows only when an array is taken.
    """
    try:
        with zipfile.ZipFile(path) as members:
            size = sum(member.file_size for member in members.infolist())
        if size > MAX_BYTES:
            raise ValueError(f'it unpacks to {size / 2**30:.0f} GiB, more than the {MAX_BYTES / 2**30:.0f} allowed')
        with np.load(path, allow_pickle=False) as data:
            yield data
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, MemoryError) as error:
        text = str(error)
        raise ValueError(text if text.startswith(str(path)) else f'{path} is no usable npz file: {text}') from None
