"""Finding pictures on disk, what their headers say, and naming the picture when a sample fails."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
#: A picture of more pixels is refused before it is decoded; this many take 400 MB. Cameras have up to 2e8.
MAX_PIXELS = 2**27
_EXIF_ORIENTATION = 0x0112
_pillow = threading.Lock()


class SampleError(RuntimeError):
    """A sample could not be made; the message names its file."""


class PictureError(SampleError):
    """The picture of a sample cannot be read; the message names the file, but no data set yet."""


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    """Formats whose first bytes tell them apart, so that Pillow and OpenCV see the same one."""
    Image.init()
    return tuple(f for f in ('JPEG', 'PNG', 'BMP', 'WEBP', 'TIFF', 'GIF', 'PPM', 'JPEG2000', 'AVIF') if f in Image.OPEN)


def read_size(file: str | Path | BinaryIO, name: str | Path) -> tuple[int, int]:
    """(width, height) in pixels of a picture as OpenCV decodes it (EXIF turns applied), from the header alone.

    Args:
        file (str | Path | file): The picture; it is not decoded.
        name (str | Path): What to call it in messages.

    Raises:
        FileNotFoundError: no such file.
        PictureError: the file is no picture, or broken.
    """
    try:
        with _pillow:  # Pillow's own limit cannot be set for a single picture
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image = Image.open(file, formats=_formats())
            finally:
                Image.MAX_IMAGE_PIXELS = limit
        with image:
            width, height = image.size
            if image.format == 'TIFF':  # the only one whose size may be that of the turned picture
                width, height = image.tag_v2[256], image.tag_v2[257]
            # the class's own method, because PNG's decodes the picture to look for a turn behind it
            turned = Image.Image.getexif(image).get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
    except FileNotFoundError:
        raise FileNotFoundError(f'picture {name} does not exist') from None
    except UnidentifiedImageError:
        raise PictureError(f'picture {name} cannot be read: it is empty, cut short, or no picture') from None
    except (OSError, SyntaxError, ValueError, LookupError, TypeError, struct.error, OverflowError) as error:
        raise PictureError(f'picture {name} cannot be read: {error}') from error
    return (height, width) if turned else (width, height)


def image_size(path: str | Path) -> tuple[int, int]:
    """:func:`read_size` of a file on disk."""
    return read_size(path, path)


def check_size(size: tuple[int, int], name: str | Path, max_pixels: int = MAX_PIXELS, way_out: str = '') -> None:
    """Refuse a picture that is too large to decode.

    Raises:
        PictureError: the picture has more pixels than allowed.
    """
    if size[0] * size[1] > max_pixels:
        raise PictureError(
            f'picture {name} has {size[0]} x {size[1]} pixels by its header, more than the {max_pixels} allowed; '
            f'it was not decoded. Scale it down{way_out}'
        )


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
    where = f'{type(dataset).__name__} sample {index}'
    try:
        yield
    except PictureError as error:  # names its file already
        raise SampleError(f'{where} failed: {error}') from error
    except Exception as error:
        raise SampleError(f'{where} ({path or "no file"}) failed: {type(error).__name__}: {error}') from error
