"""One look at all frames of videos: how many there are, which cannot be read, and where the scene changes.

What was found is kept in a file, so that a video is looked at again only when it has changed.
"""

from __future__ import annotations

import json
import logging
import math
import os
import os.path as osp
import tempfile
import time
import zlib
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field

import cv2
import numpy as np
from mmengine.logging import print_log
from PIL import Image

from .images import PictureError, check_size, image_size
from .video_files import Footage, FrameReader, open_video

VERSION = 1
#: Side of the small pictures that are compared, pixels
SMALL = 64
#: Bins of hue, saturation and value
BINS = (8, 4, 4)
#: Changes below it are not kept; consecutive frames of one scene are mostly below 0.2
LEAST_CHANGE = 0.1
#: Frames that a video may have less than its header says, and for containers that only estimate it a share of them
MISSING = 2
MISSING_SHARE = 0.05
ESTIMATE = ('.mkv', '.webm')
_PROBES, _AROUND = 8, 3
_SAVE_EVERY = 60  # seconds
_WORKERS = 4


@dataclass
class Scan:
    """What a look at a :class:`~mmposeda.datasets.video_files.Footage` found.

    Attributes:
        frames (int): How many there are.
        fps (float): Frames a second by the file; 0 where it does not say, as of pictures.
        sizes (list): (i, width, height) of frame 0 and of every frame whose size is not that of the one before it.
        changes (list): (i, distance) of frames whose colours differ by at least :data:`LEAST_CHANGE` from those of the
            frame before: half the sum of the differences of their histograms, 0 to 1.
        bad (list): (i, reason) of pictures that cannot be read.
        error (str): Why there are no frames to use.
    """

    frames: int = 0
    fps: float = 0.0
    sizes: list = field(default_factory=list)
    changes: list = field(default_factory=list)
    bad: list = field(default_factory=list)
    error: str = ''


def scan(footage: Footage) -> Scan:
    """Look at all frames of a video or sequence once."""
    try:
        return _scan_video(footage.paths[0]) if footage.is_video else _scan_pictures(footage.paths)
    except PictureError as error:
        return Scan(error=str(error))


def scan_all(footage: Sequence[Footage], index_file: str | None, owner: str) -> list[Scan]:
    """Look at videos and sequences, where they are not known from before.

    Args:
        footage (Sequence[Footage]): The videos and sequences.
        index_file (str, optional): Where it is kept what was found; made, and brought up to date as they are scanned.
        owner (str): What the log begins with.
    """
    signs = [_signature(part) for part in footage]
    known = _read_index(index_file, owner)
    found = [_known(known.get(part.name), sign) for part, sign in zip(footage, signs)]
    missing = [n for n, scan_of in enumerate(found) if scan_of is None]
    if not missing:
        return found
    hint = '' if index_file else '; set index_file to keep what is found'
    print_log(
        f'{owner}: reading all frames of {len(missing)} of {len(footage)} videos and sequences once{hint}',
        logger='current',
    )
    saved = time.monotonic()
    with ThreadPoolExecutor(min(_WORKERS, len(missing))) as pool:
        tasks = {pool.submit(scan, footage[n]): n for n in missing}
        for task in as_completed(tasks):
            n = tasks[task]
            found[n] = task.result()
            known[footage[n].name] = dict(signature=signs[n], **asdict(found[n]))
            if time.monotonic() - saved > _SAVE_EVERY:
                _write_index(index_file, known, owner)
                saved = time.monotonic()
    _write_index(index_file, known, owner)
    return found


def _scan_video(path: str) -> Scan:
    capture = open_video(path)
    try:
        size = tuple(int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        check_size(size, path)
        declared, fps = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
        declared = int(declared) if 0 < declared < 1e9 else 0
        probes = {max(declared, 100) * n // _PROBES for n in range(_PROBES)}
        near = {probe + step for probe in probes for step in range(-_AROUND, _AROUND + 1)}
        count, colors, sizes, changes, kept, last = 0, _Colors(), [], [], {}, deque(maxlen=_AROUND)
        while True:
            done, image = capture.read()
            if not done:
                break
            small = cv2.resize(image, (SMALL, SMALL), interpolation=cv2.INTER_AREA)
            if not sizes or sizes[-1][1:] != (image.shape[1], image.shape[0]):
                sizes.append((count, image.shape[1], image.shape[0]))
            colors.add(count, small, changes)
            if count in near:
                kept[count] = small
            last.append((count, small))
            count += 1
    finally:
        capture.release()
    if not count:
        raise PictureError(f'video {path} is empty: not one frame can be decoded')
    share = MISSING_SHARE if path.lower().endswith(ESTIMATE) else 0
    if declared - count > max(MISSING, share * declared):
        raise PictureError(
            f'video {path} is damaged or cut short: {count} of {declared} frames can be decoded. Copy it again, or '
            'keep what is whole by writing it anew (ffmpeg -i OLD NEW)'
        )
    kept.update(last)
    _check_seeking(path, sorted({*(probes & set(kept)), count - 1}), kept, f'{count} of {declared}')
    return Scan(count, fps if 0 < fps < 1000 else 0.0, sizes, changes)


def _check_seeking(path: str, probes: list, kept: dict, decoded: str) -> None:
    """See that a frame sought by its number is the one that is met there in going through the video.

    It is not where a frame in between was lost, and where the frame rate varies.
    """
    reader = FrameReader(1)
    for probe in reversed(probes):  # backwards, or near ones would be reached without a seek
        image = next(reader.read(path, [probe]))
        small = cv2.resize(image, (SMALL, SMALL), interpolation=cv2.INTER_AREA).astype(np.float32)
        away = {
            frame: float(np.abs(small - kept[frame]).mean())
            for frame in range(probe - _AROUND, probe + _AROUND + 1)
            if frame in kept
        }
        if away[probe] > min(min(away.values()) + 0.5, 8):
            raise PictureError(
                f'frames of video {path} are not found again by their numbers (frame {probe}; {decoded} can be '
                'decoded): it is damaged, or of a varying frame rate. Write it anew: ffmpeg -i OLD -vf fps=30 NEW'
            )
    reader.close()


def _scan_pictures(paths: Sequence[str]) -> Scan:
    found, colors = Scan(frames=len(paths)), _Colors()
    for number, path in enumerate(paths):
        try:
            size, small = _small(path)
        except (PictureError, FileNotFoundError) as error:
            found.bad.append((number, str(error)))
            continue
        if not found.sizes or found.sizes[-1][1:] != size:
            found.sizes.append((number, *size))
        colors.add(number, small, found.changes)
    if len(found.bad) == len(paths):
        found.error = f'none of {len(paths)} pictures can be read: {found.bad[0][1]}'
    return found


def _small(path: str) -> tuple[tuple[int, int], np.ndarray]:
    """Size (w, h) of a picture, and it at (SMALL, SMALL, 3), BGR. Unlike OpenCV, Pillow tells one that is cut short."""
    size = image_size(path)
    check_size(size, path)
    try:
        with Image.open(path) as image:
            image.draft('RGB', (SMALL, SMALL))  # JPEGs are decoded at an eighth
            pixels = np.asarray(image.convert('RGB'))
    except Exception as error:  # each format has its own
        raise PictureError(f'picture {path} cannot be decoded: {error}') from error
    return size, cv2.resize(pixels, (SMALL, SMALL), interpolation=cv2.INTER_AREA)[..., ::-1]


class _Colors:
    """Differences of the colours of consecutive frames."""

    def __init__(self):
        self._last = None

    def add(self, number: int, small: np.ndarray, changes: list) -> None:
        hsv = cv2.cvtColor(np.ascontiguousarray(small), cv2.COLOR_BGR2HSV)
        ranges = [0, 180, 0, 256, 0, 256]
        histogram = cv2.calcHist([hsv], [0, 1, 2], None, list(BINS), ranges) / SMALL**2
        if self._last is not None:
            distance = float(np.abs(histogram - self._last).sum()) / 2
            if distance >= LEAST_CHANGE:
                changes.append((number, round(distance, 3)))
        self._last = histogram


def _signature(footage: Footage) -> list[int]:
    """What shows that files have changed: their number, bytes, newest time, and names."""
    stats = [os.stat(path) for path in footage.paths]
    names = '/'.join(osp.basename(path) for path in footage.paths)
    newest = max(stat.st_mtime_ns for stat in stats)
    return [len(stats), sum(stat.st_size for stat in stats), newest, zlib.crc32(names.encode())]


def _known(entry: dict | None, signature: list[int]) -> Scan | None:
    try:
        if entry is None or entry['signature'] != signature:
            return None
        made = Scan(**{key: value for key, value in entry.items() if key != 'signature'})
        numbers = [*(n for row in (*made.sizes, *made.changes) for n in row), *(n for n, _ in made.bad), made.frames]
        good = all(isinstance(n, (int, float)) and math.isfinite(n) for n in (*numbers, made.fps))
        return made if good and isinstance(made.error, str) and (made.sizes or made.error) else None
    except (TypeError, ValueError, KeyError):
        return None


def _read_index(path: str | None, owner: str) -> dict:
    if not path or not osp.isfile(path):
        return {}
    try:
        with open(path, encoding='utf-8') as file:
            content = json.load(file)
        if content['version'] == VERSION and isinstance(content['footage'], dict):
            return content['footage']
        reason = f'it is of version {content["version"]}'
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        reason = str(error)
    print_log(f'{owner}: index {path} is made anew ({reason})', logger='current', level=logging.WARNING)
    return {}


def _write_index(path: str | None, known: dict, owner: str) -> None:
    """Written aside and renamed; others that write it meanwhile lose nothing but their newest entries."""
    if not path:
        return
    try:
        os.makedirs(osp.dirname(path) or '.', exist_ok=True)
        with tempfile.NamedTemporaryFile('w', dir=osp.dirname(path) or '.', suffix='.tmp', delete=False) as file:
            json.dump(dict(version=VERSION, footage=known), file)
        os.replace(file.name, path)
    except OSError as error:
        print_log(f'{owner}: index {path} cannot be written ({error})', logger='current', level=logging.WARNING)
