"""Frames of a video as picture files, each of which is whole or not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from ..frames import each_frame
from ..images import PictureError
from .journal import written_aside

QUALITY = 95


def extract(
    video: str | Path,
    root: str | Path,
    name_of: Callable[[int], str | None],
    resumed: bool = False,
    stop: int | None = None,
    change: Callable[[np.ndarray, int], np.ndarray] | None = None,
) -> tuple[dict[int, str], list[int]]:
    """Write frames of a video.

    Args:
        video (str | Path): The file.
        root (str | Path): Folder to write below.
        name_of (Callable[[int], str | None]): File below it for a frame, counted from 0; None: it is not wanted.
        resumed (bool): Leave pictures that are there as they are.
        stop (int, optional): Frame to stop before.
        change (Callable[[np.ndarray, int], np.ndarray], optional): Makes the picture to write of frame and number.

    Returns:
        tuple[dict[int, str], list[int]]: Files of the frames that are there now, and wanted frames that cannot be
        decoded.

    Raises:
        PictureError: The video cannot be opened, or none of its frames be decoded.
        OSError: A picture cannot be written.
    """
    root, there, lost = Path(root), {}, []

    def is_missing(place: int) -> bool:
        name = name_of(place)
        return name is not None and not (resumed and (root / name).is_file())

    good = 0
    for place, decoded, image in each_frame(video, is_missing, stop):
        good += decoded
        name = name_of(place)
        if name is None:
            continue
        if not decoded:
            lost.append(place)
            continue
        if image is not None:
            write_picture(root / name, image if change is None else change(image, place))
        there[place] = name
    if not good:
        raise PictureError(f'no frame of {video} can be decoded')
    return there, lost


def write_picture(path: Path, image: np.ndarray) -> None:
    """Write a picture (H, W, 3) uint8, BGR, as JPEG.

    Raises:
        OSError: It cannot be written.
    """
    _, content = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        aside.write_bytes(content.tobytes())


def first_and_last(files: dict[int, str]) -> list[str]:
    """Files by which it shows that those of a video are there."""
    names = list(files.values())
    return names[:1] + names[1:][-1:]
