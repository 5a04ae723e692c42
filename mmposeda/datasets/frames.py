"""Own pictures as an unlabelled target: which of a folder can be read, and single frames of videos written out once."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from .images import SUFFIXES, PictureError, check_size, list_images
from .transforms.load_image import LoadImage
from .video_files import VIDEO_SUFFIXES, open_video

#: Frames in a row that may be undecodable before a video counts as cut short there
LOST = 100
_RECORD = 'frames.json'
_NAMED = 3


@dataclass
class OwnPictures:
    """Pictures to adapt to.

    Attributes:
        folder (str): Where they are.
        names (list[str]): Those that can be used, paths below it.
        left_out (list[str]): What was left out, and why.
        videos (int): How many videos they are frames of; 0 for a folder of pictures.
    """

    folder: str
    names: list
    left_out: list = field(default_factory=list)
    videos: int = 0


def own_pictures(target: str | Path, work_dir: str | Path, fps: float = 2.0) -> OwnPictures:
    """Find the pictures of a folder, or write out those of a video or a folder of videos.

    Frames go to ``WORK_DIR/frames/VIDEO/NUMBER.jpg`` and are written once. Pictures and frames that cannot be read are
    left out.

    Args:
        target (str | Path): A folder of pictures, a video file, or a folder of videos.
        work_dir (str | Path): Where frames may go.
        fps (float): Frames a second to take of videos.

    Raises:
        FileNotFoundError: There is no such folder or file.
        PictureError: Nothing there can be read.
    """
    target = Path(target)
    if target.is_file():
        if target.suffix.lower() in VIDEO_SUFFIXES:
            return _of_videos([target], Path(work_dir) / 'frames', fps)
        if target.suffix.lower() in SUFFIXES:
            raise PictureError(f'{target} is a single picture: give the folder of your pictures')
        raise PictureError(
            f'{target} is neither a folder nor a video: expected a folder of pictures ({", ".join(SUFFIXES)}), a video '
            f'({", ".join(VIDEO_SUFFIXES)}) or a folder of videos'
        )
    if not target.is_dir():
        raise FileNotFoundError(f'target {target} does not exist: give a folder of pictures, or a video')
    if any(path.suffix.lower() in SUFFIXES for path in target.rglob('*')):
        return _readable(target)
    videos = sorted(path for path in target.rglob('*') if path.suffix.lower() in VIDEO_SUFFIXES)
    if not videos:
        raise FileNotFoundError(
            f'no picture and no video in {target} or below it: looked for {", ".join((*SUFFIXES, *VIDEO_SUFFIXES))}'
        )
    return _of_videos(videos, Path(work_dir) / 'frames', fps)


def few_names(names: Sequence[str]) -> str:
    """The first of some names, and how many more."""
    more = len(names) - _NAMED
    return ', '.join(map(str, names[:_NAMED])) + (f' and {more} more' if more > 0 else '')


def _readable(folder: Path) -> OwnPictures:
    load, names, left_out = LoadImage(), [], []
    for name in list_images(folder):
        try:
            load.transform(dict(img_path=str(folder / name)))
        except (PictureError, OSError) as error:
            left_out.append(str(error))
        else:
            names.append(name)
    if not names:
        raise PictureError(f'none of the {len(left_out)} pictures in {folder} can be read: {left_out[0]}')
    return OwnPictures(str(folder.resolve()), names, left_out)


def _of_videos(videos: Sequence[Path], out: Path, fps: float) -> OwnPictures:
    if not fps > 0:
        raise ValueError(f'frames a second must be positive, got {fps}')
    names, left_out, used, whole = [], [], set(), 0
    for video in videos:
        name = video.stem
        while name in used:
            name += '_'
        used.add(name)
        try:
            record = _frames(video, out / name, fps)
        except PictureError as error:
            left_out.append(str(error))
            continue
        names += [f'{name}/{frame}' for frame in record['frames']]
        whole += bool(record['frames'])
        left_out += [record['note']] if record['note'] else []
    if not names:
        raise PictureError(f'no frame of {few_names(videos)} can be read: {left_out[0]}')
    return OwnPictures(
        str(out.resolve()), names, left_out, len(videos) - sum('cannot be opened' in n for n in left_out)
    )


def _frames(video: Path, folder: Path, fps: float) -> dict:
    """Names of the frames in their folder, and a note on those that were lost; as recorded, if they are there."""
    stat = video.stat()
    made_of = dict(video=str(video.resolve()), size=stat.st_size, time=stat.st_mtime, fps=fps)
    path = folder / _RECORD
    if path.is_file():
        record = json.loads(path.read_text())
        if record['made_of'] == made_of and all((folder / name).is_file() for name in record['frames']):
            return record
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob('*.jpg'):
        old.unlink()
    names, lost = write_frames(video, folder, fps)
    note = f'{lost} frames of {video} cannot be decoded and were skipped' if lost else ''
    record = dict(made_of=made_of, frames=names, note=note)
    aside = path.with_suffix('.tmp')
    aside.write_text(json.dumps(record))
    os.replace(aside, path)
    return record


def write_frames(video: str | Path, folder: str | Path, fps: float) -> tuple[list[str], int]:
    """Write frames of a video as JPEG, named by their place.

    A frame that is due but cannot be decoded is replaced by the next one that can.

    Args:
        video (str | Path): The file.
        folder (str | Path): Where to; must exist.
        fps (float): Frames a second to write; all where the video has no more.

    Returns:
        tuple[list[str], int]: Names, and how many frames of the video cannot be decoded.

    Raises:
        PictureError: The video cannot be opened, or its pictures are too large.
        OSError: A frame could not be written.
    """
    step, names, lost, due = frame_step(video, fps), [], 0, 0.0

    def is_due(place: int) -> bool:
        return place >= due

    for place, decoded, image in each_frame(video, is_due):
        lost += not decoded
        if image is not None:
            name = f'{place:06d}.jpg'
            if not cv2.imwrite(str(Path(folder) / name), image, [cv2.IMWRITE_JPEG_QUALITY, 95]):
                raise OSError(f'{Path(folder) / name} could not be written')
            names.append(name)
            due += step
    return names, lost


def frame_step(video: str | Path, fps: float) -> float:
    """Every how manieth frame of a video makes so many a second: at least 1, and 1 where it does not tell its rate.

    Raises:
        PictureError: The video cannot be opened.
    """
    capture = open_video(str(video))
    rate = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    return max(1.0, rate / fps) if math.isfinite(rate) and 0 < rate < 1000 else 1.0


def each_frame(
    video: str | Path, wanted: Callable[[int], bool], stop: int | None = None
) -> Iterator[tuple[int, bool, np.ndarray | None]]:
    """All frames of a video one after the other; where some cannot be decoded it goes on behind them.

    Args:
        video (str | Path): The file.
        wanted (Callable[[int], bool]): Whether the frame of that place, from 0, is to be decoded.
        stop (int, optional): Place to stop before.

    Yields:
        tuple[int, bool, np.ndarray | None]: Place, whether it can be decoded, and if it is wanted and can its picture
        (H, W, 3) uint8, BGR. Of a video that breaks off, the frames that its header promises come as lost.

    Raises:
        PictureError: The video cannot be opened, or its pictures are too large.
    """
    capture = open_video(str(video))
    try:
        size = tuple(int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        check_size(size, video)
        declared = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        declared = int(declared) if 0 < declared < 1e9 else 0
        declared = declared if stop is None else min(declared, stop)
        place, misses = 0, 0
        while misses < LOST and (stop is None or place < stop):
            decoded, image = capture.read() if wanted(place) else (capture.grab(), None)
            if decoded:
                misses = 0
                yield place, True, image
            elif place + 1 < declared:
                misses += 1
                yield place, False, None
                capture.set(cv2.CAP_PROP_POS_FRAMES, place + 1)
            else:
                break
            place += 1
        for lost in range(place, declared):
            yield lost, False, None
    finally:
        capture.release()
