"""Videos as folders of frames, named as each data set expects them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ..frames import frame_step
from ..video_files import VIDEO_SUFFIXES
from .extraction import extract, first_and_last
from .journal import ConversionError, Made
from .units import Unit


class VideoLayout(NamedTuple):
    """Where videos lie, and where their frames go.

    Attributes:
        pattern (str): Of the videos below the source folder.
        name (Callable[[Path], str]): Format of a frame's path for a video's path, both relative; it takes a number.
        first (int): Number of a video's first frame.
        part (Callable[[Path], str]): Row of the table.
        renumber (bool): Frames that are taken are numbered one after the other, else by their place in the video.
        expected (str): Example for messages.
        labelled (Callable[[Path], list[int]] | None): Frames of a video that have labels; None: all count.
    """

    pattern: str
    name: Callable[[Path], str]
    first: int
    part: Callable[[Path], str]
    renumber: bool
    expected: str
    labelled: Callable[[Path], list] | None = None


def _escaped(path: Path) -> str:
    return path.as_posix().replace('{', '{{').replace('}', '}}')


def _panoptic(path: Path) -> str:
    view = path.stem[len('hd_') :]
    return f'{_escaped(path.parent.parent)}/hdImgs/{view}/{view}_{{:08d}}.jpg'


def _panoptic_labels(video: Path) -> list[int]:
    folder = video.parent.parent / 'hdHand3d'
    frames = sorted(int(path.stem.rpartition('hd')[2]) for path in folder.glob('handRecon3D_hd*.json'))
    if not frames:
        raise ConversionError(f'no handRecon3D_hd*.json in {folder}: unpack hdHand3d.tar first, it tells which frames')
    return frames


def _beside(path: Path) -> str:
    return f'{_escaped(path.with_suffix(""))}/{{:06d}}.jpg'


def _top(path: Path) -> str:
    return path.parts[0]


LAYOUTS = {
    'clips': VideoLayout('**/*', _beside, 0, lambda _: 'all', True, 'videos in or below it'),
    'humaneva': VideoLayout(
        'S*/Image_Data/*.avi', _beside, 1, _top, False, 'S1/Image_Data/Walking_1_(C1).avi and so on in it'
    ),
    'panoptic': VideoLayout(
        '*/hdVideos/hd_*.mp4',
        _panoptic,
        0,
        _top,
        False,
        '171204_pose3/hdVideos/hd_00_00.mp4 and so on in it',
        _panoptic_labels,
    ),
}


def video_units(source: Path, out: Path, layout: str, every: int = 1, fps: float | None = None) -> list[Unit]:
    """One unit a video.

    Args:
        source (Path): Folder of the videos.
        out (Path): Folder to write to.
        layout (str): Of :data:`LAYOUTS`.
        every (int): Takes every so manieth frame, where some have labels of these.
        fps (float, optional): Takes so many frames a second in place of ``every``; all of a video that has fewer.

    Raises:
        ConversionError: There is no video, no label where some frames have them, or the frames of two videos would go
            to one folder.
    """
    rules, units, folders = LAYOUTS[layout], [], {}
    found = sorted(path for path in source.glob(rules.pattern) if path.suffix.lower() in VIDEO_SUFFIXES)
    for path in found:
        inside = path.relative_to(source)
        name = rules.name(inside)
        if name in folders:
            raise ConversionError(f'frames of {folders[name]} and {path} would go to one folder: rename one of them')
        folders[name] = path
        if rules.labelled is None:
            work = partial(_video, str(path), str(out), name, rules.first, rules.renumber, every, fps)
        else:
            work = partial(_labelled, str(path), str(out), name, tuple(rules.labelled(path)[::every]))
        units.append(Unit(inside.as_posix(), rules.part(inside), (str(path),), work))
    if not units:
        raise ConversionError(f'no video in {source}: expected {rules.expected}, {", ".join(VIDEO_SUFFIXES)}')
    return units


def _video(
    video: str, out: str, name: str, first: int, renumber: bool, every: int, fps: float | None, resumed: bool
) -> Made:
    step = every if fps is None else frame_step(video, fps)

    def name_of(place: int) -> str | None:
        number = math.ceil(place / step - 1e-9)
        if math.floor(number * step + 1e-9) != place:
            return None
        return name.format((number if renumber else place) + first)

    return frames_made(video, *extract(video, out, name_of, resumed))


def _labelled(video: str, out: str, name: str, frames: tuple, resumed: bool) -> Made:
    wanted = frozenset(frames)

    def name_of(place: int) -> str | None:
        return name.format(place) if place in wanted else None

    files, lost = extract(video, out, name_of, resumed, max(frames) + 1)
    made = frames_made(video, files, lost)
    beyond = [f'{video}#{place}' for place in frames if place not in files and place not in lost]
    made.left_out['video is shorter than its labels'] = beyond
    return made


def frames_made(video: str, files: dict, lost: list) -> Made:
    """What became of a video of which :func:`~mmposeda.datasets.converters.extraction.extract` wrote frames."""
    return Made(
        counts=dict(videos=1, pictures=len(files)),
        left_out={'frame cannot be decoded': [f'{video}#{place}' for place in lost]},
        files=first_and_last(files),
    )
