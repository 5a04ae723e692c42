"""Finding pictures on disk, their sizes, and naming the picture when a sample fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
_EXIF_ORIENTATION = 0x0112


class SampleError(RuntimeError):
    """A sample could not be made; the message names its file."""


def image_size(path: str | Path) -> tuple[int, int]:
    """(width, height) in pixels of a picture as OpenCV decodes it (EXIF turns applied), from the header alone.

    Raises:
        FileNotFoundError: no such file.
        SampleError: the file is no picture, or broken.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
    except FileNotFoundError:
        raise FileNotFoundError(f'picture {path} does not exist') from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise SampleError(f'picture {path} cannot be read: {error}') from error
    return (height, width) if turned else (width, height)


def list_images(folder: str | Path) -> list[str]:
    """Paths of all pictures below a folder, relative to it and sorted.

    Raises:
        FileNotFoundError: the folder does not exist or holds no picture.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f'picture folder {folder} does not exist; set data_root and data_prefix=dict(img=...)')
    paths = sorted(str(p.relative_to(folder)) for p in folder.rglob('*') if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise FileNotFoundError(f'no picture in {folder} or below it; looked for {", ".join(SUFFIXES)}')
    return paths


@contextmanager
def naming_sample(dataset: object, index: int, path: str | None) -> Iterator[None]:
    """Turn any failure inside into a :class:`SampleError` that names the data set, the index and the file."""
    try:
        yield
    except Exception as error:
        where = f'{type(dataset).__name__} sample {index} ({path or "no file"})'
        raise SampleError(f'{where} failed: {type(error).__name__}: {error}') from error
