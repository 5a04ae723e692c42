"""Stretches of videos that show one person in one scene, from which clips are taken."""

from __future__ import annotations

import logging
import os.path as osp
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from mmengine.logging import print_log

from .annotations import AnnotationError, load_json
from .video_boxes import Track
from .video_files import Footage
from .video_scan import Scan

_LINES = 50  # of the log; a tracker may leave thousands of short tracks


class Piece(NamedTuple):
    """Consecutive frames of one video, scene and person.

    Attributes:
        footage (int): Number of the video.
        label (str | None): Who it is, see :class:`~mmposeda.datasets.video_boxes.Track`.
        first (int): First frame.
        boxes (np.ndarray): (n, 4) float32, a box a frame; x1, y1, x2, y2 in pixels.
        scores (np.ndarray): (n,) float32.
        rate (float): Frames a second.
    """

    footage: int
    label: str | None
    first: int
    boxes: np.ndarray
    scores: np.ndarray
    rate: float

    def count(self, fps: float) -> int:
        """How many frames it has at another rate, by the nearest frame."""
        return int(np.ceil((len(self.boxes) - 0.5) * fps / self.rate))

    def nearest(self, places: np.ndarray, fps: float) -> np.ndarray:
        """Frames (T,), from the first of the piece on, that are nearest to places (T,) at another rate."""
        return np.minimum((places * (self.rate / fps) + 0.5).astype(np.int64), len(self.boxes) - 1)


class LeftOut:
    """What is not used, told in the log by name and reason.

    Args:
        owner (str): What the lines begin with.

    Attributes:
        counts (dict[str, int]): How many, by kind.
        first (str): The first line.
    """

    def __init__(self, owner: str):
        self.owner, self.counts, self.first, self._lines = owner, {}, '', 0

    def add(self, what: str, line: str, count: int = 1) -> None:
        """One line about ``count`` of the kind ``what``; after the first 50 lines the rest are only counted."""
        self.counts[what] = self.counts.get(what, 0) + count
        self.first = self.first or line
        self._lines += 1
        if self._lines <= _LINES:
            print_log(f'{self.owner}: left out: {line}', logger='current', level=logging.WARNING)
        elif self._lines == _LINES + 1:
            print_log(f'{self.owner}: more is left out, counted below', logger='current', level=logging.WARNING)

    def __str__(self) -> str:
        return ', '.join(f'{count} {what}' for what, count in self.counts.items()) or 'nothing'


def read_cuts(path: str, footage: Sequence[Footage]) -> list[list[int]]:
    """Frames of each video before which the scene changes.

    Args:
        path (str): JSON file ``{sequence: [frame, ...]}`` with numbers of frames as in files of boxes.
        footage (Sequence[Footage]): The videos; one that the file lacks has no cut.

    Raises:
        FileNotFoundError: no such file.
        AnnotationError: another layout, or the file names none of the videos.
    """
    if not osp.isfile(path):
        raise FileNotFoundError(f'scene cuts {path} do not exist; set scene_cuts=True to find them by their colours')
    raw = load_json(path)
    good = isinstance(raw, dict) and all(
        isinstance(cuts, list) and all(isinstance(n, int) for n in cuts) for cuts in raw.values()
    )
    if not good:
        raise AnnotationError(f'{path}: expected {{sequence: [frame, ...]}}, with whole numbers')
    found = [raw.get(part.name, raw.get(osp.splitext(part.name)[0])) for part in footage]
    if raw and all(cuts is None for cuts in found):
        raise AnnotationError(
            f'{path} names {next(iter(raw))!r} and others, but none of the videos, as {footage[0].name}: names are '
            'relative to data_root'
        )
    return [
        sorted(cuts or ()) if part.is_video else np.searchsorted(part.numbers, sorted(cuts or ())).tolist()
        for part, cuts in zip(footage, found)
    ]


def stretches(footage: Footage, scan: Scan, cuts: Sequence[int]) -> list[tuple[int, int]]:
    """(first, last + 1) of stretches of frames without a cut, an unreadable frame or a gap in the numbers."""
    frames = scan.frames
    ends = {0, frames, *cuts, *(frame for frame, *_ in scan.sizes)}
    for frame, _ in scan.bad:
        ends |= {frame, frame + 1}
    if not footage.is_video and frames > 2:
        steps = np.diff(footage.numbers)
        values, counts = np.unique(steps, return_counts=True)
        ends |= set((np.flatnonzero(steps != values[counts.argmax()]) + 1).tolist())
    bad = {frame for frame, _ in scan.bad}
    ends = sorted(end for end in ends if 0 <= end <= frames)
    return [(first, stop) for first, stop in zip(ends, ends[1:]) if first not in bad]


def cut_pieces(
    number: int,
    footage: Footage,
    scan: Scan,
    cuts: Sequence[int],
    tracks: Sequence[Track] | None,
    max_gap: int,
    rate: float,
) -> list[Piece]:
    """Pieces of one video: its stretches, or with tracks where people are seen in them.

    Args:
        number (int): Of the video.
        footage (Footage), scan (Scan): The video and what is known of it.
        cuts (Sequence[int]): Frames before which the scene changes.
        tracks (Sequence[Track] | None): People; None takes the whole pictures.
        max_gap (int): Frames without a box that are bridged.
        rate (float): Frames a second.
    """
    whole = stretches(footage, scan, cuts)
    if tracks is None:
        starts = [frame for frame, *_ in scan.sizes]
        made = []
        for first, stop in whole:
            _, width, height = scan.sizes[np.searchsorted(starts, first, side='right') - 1]
            boxes = np.tile(np.array([[0, 0, width, height]], np.float32), (stop - first, 1))
            made.append(Piece(number, None, first, boxes, np.ones(stop - first, np.float32), rate))
        return made
    made = []
    for first, stop in whole:
        for track in tracks:
            # cut before gaps are bridged: a box is not drawn from one scene into the next
            inside = (track.frames >= first) & (track.frames < stop)
            if inside.any():
                part = Track(track.label, *(column[inside] for column in track[1:]))
                for piece in part.pieces(max_gap):
                    made.append(Piece(number, track.label, int(piece.frames[0]), piece.boxes, piece.scores, rate))
    return made
