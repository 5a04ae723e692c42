"""Little videos whose frames tell their number."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

SIZE = (96, 64)
BITS = 9
COLORS = dict(walk=(60, 60, 60), run=(90, 40, 20), jump=(20, 90, 40))


def frame_picture(number: int, color=(60, 60, 60), size=SIZE) -> np.ndarray:
    """A picture (h, w, 3) with the number as bright and dark bars across its middle."""
    picture = np.full((size[1], size[0], 3), color, np.uint8)
    for bit in range(BITS):
        if number >> bit & 1:
            picture[size[1] // 3 : size[1] * 2 // 3, 4 + 10 * bit : 12 + 10 * bit] = 235
    return picture


def frame_number(picture: np.ndarray) -> int:
    """The number on a picture (h, w, 3) or (3, h, w) of any size, as it is or cut through the whole of it."""
    picture = np.asarray(picture)
    picture = picture.transpose(1, 2, 0) if picture.shape[0] == 3 else picture
    row = cv2.resize(picture, SIZE)[SIZE[1] // 2].mean(-1)
    return sum(int(row[6 + 10 * bit : 10 + 10 * bit].mean() > 150) << bit for bit in range(BITS))


def write_video(path: Path, numbers, fps: float = 30, codec: str = 'MJPG', color=(60, 60, 60), size=SIZE) -> Path:
    """A video of the pictures with these numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, size)
    assert writer.isOpened(), f'OpenCV has no {codec}'
    for number in numbers:
        writer.write(frame_picture(number, color, size))
    writer.release()
    return path


def write_folder(folder: Path, numbers, color=(60, 60, 60), size=SIZE, name='{:06d}.png') -> Path:
    """A folder of the pictures with these numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        cv2.imwrite(str(folder / name.format(number)), frame_picture(number, color, size))
    return folder
