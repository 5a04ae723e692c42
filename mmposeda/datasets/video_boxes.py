"""Boxes of people on the frames of videos, as detectors and trackers write them.

Legend: n frames of a track. A frame is its place in its :class:`~mmposeda.datasets.video_files.Footage`.
"""

from __future__ import annotations

import logging
import os.path as osp
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from mmengine.logging import print_log

from .annotations import LIMIT, AnnotationError, load_json
from .video_files import Footage

#: Boxes without a ``track_id`` are one person's where they overlap by so much (intersection over union)
LEAST_OVERLAP = 0.3
LAYOUTS = (
    '{sequence: {frame: [[x, y, w, h, score, track], ...]}}, {picture: [[x, y, w, h, score, track], ...]}, a '
    'COCO-style dict of images and annotations, or a list of dicts with bbox, score, and image_id, file_name, or '
    'sequence and frame'
)


class Track(NamedTuple):
    """Boxes of one person.

    Attributes:
        label (str | None): Who it is, by the file; None for the only one of a video.
        frames (np.ndarray): (n,) int64, rising.
        boxes (np.ndarray): (n, 4) float32, x1, y1, x2, y2 in pixels.
        scores (np.ndarray): (n,) float32.
    """

    label: str | None
    frames: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray

    def pieces(self, max_gap: int) -> list[Track]:
        """The track cut where more than ``max_gap`` frames have no box; in smaller gaps boxes are interpolated."""
        ends = np.flatnonzero(np.diff(self.frames) > max_gap + 1) + 1
        made = []
        for rows in np.split(np.arange(len(self.frames)), ends):
            own = self.frames[rows]
            every = np.arange(own[0], own[-1] + 1)
            values = np.concatenate([self.boxes[rows], self.scores[rows, None]], 1)
            full = np.stack([np.interp(every, own, column) for column in values.T], 1).astype(np.float32)
            made.append(Track(self.label, every, full[:, :4], full[:, 4]))
        return made


def read_tracks(
    path: str, footage: Sequence[Footage], folder: str, min_score: float, max_gap: int, owner: str
) -> list[list[Track]]:
    """Tracks of the people of each video.

    Args:
        path (str): JSON file, of any of :data:`LAYOUTS`. A sequence is a video's path (with or without its ending) or
            a name of a sequence of pictures, a frame its number: of a video counted from 0, of a picture that of its
            name. Images of COCO's layout have a ``file_name``, and a ``frame`` or ``frame_id`` if that is a video.
            Where categories are named, those called person count; in a list those of ``category_id`` 1.
        footage (Sequence[Footage]): The videos.
        folder (str): What the names are relative to.
        min_score (float): Boxes below do not count.
        max_gap (int): How many frames without a box a person without ``track_id`` may be out of sight.
        owner (str): What messages begin with.

    Returns:
        list[list[Track]]: Of each video, by label.

    Raises:
        FileNotFoundError: no such file.
        AnnotationError: another layout, a box that is none, or no name that is known.
    """
    if not osp.isfile(path):
        raise FileNotFoundError(f'boxes {path} do not exist')
    places, known, unknown = _Places(footage, folder), [], []
    try:
        for name, frame, box, score, label in _entries(load_json(path)):
            at = places.find(name, frame)
            if at is None:
                unknown.append(name if frame is None else f'frame {frame} of {name}')
            else:
                known.append((*at, *_checked(path, name, box, score), label))
    except (LookupError, TypeError, AttributeError) as error:
        raise AnnotationError(f'{path}: expected {LAYOUTS}; got another layout ({error!r:.80})') from None
    if not known:
        there = f', {unknown[0]!r} for instance' if unknown else ''
        some = ', '.join(part.name for part in footage[:3])
        raise AnnotationError(
            f'{path} has no box of any of {len(footage)} videos and sequences in {folder}{there}: names must be '
            f'relative to it, as {some}'
        )
    if unknown:
        print_log(
            f'{owner}: {len(unknown)} boxes of {path} are of frames that are not there, as {unknown[0]}',
            logger='current',
            level=logging.WARNING,
        )
    labelled = {label is not None for *_, label in known}
    if len(labelled) > 1:
        raise AnnotationError(f'{path}: some boxes have a track_id and some have none; give all of them one, or none')
    rows: list[list] = [[] for _ in footage]
    for number, *row in known:
        rows[number].append(row)
    return [_tracks([row for row in part if row[2] >= min_score], labelled == {True}, max_gap) for part in rows]


def _tracks(rows: list, labelled: bool, max_gap: int) -> list[Track]:
    if not rows:
        return []
    rows = sorted(rows, key=lambda row: (row[0], -row[2]))
    if not labelled and len({row[0] for row in rows}) < len(rows):
        labels = _linked(rows, max_gap)
    else:
        labels = [None if row[3] is None else str(row[3]) for row in rows]
    people: dict = {}
    for row, label in zip(rows, labels):
        people.setdefault(label, {}).setdefault(row[0], row)  # of two boxes on a frame the one of the better score
    return [
        Track(
            label,
            np.array(list(own)),
            np.array([row[1] for row in own.values()], np.float32),
            np.array([row[2] for row in own.values()], np.float32),
        )
        for label, own in sorted(people.items(), key=lambda item: str(item[0]))
    ]


def _linked(rows: list, max_gap: int) -> list[str]:
    """Numbers of people, from frame to frame by greatest overlap."""
    labels, count, last = [''] * len(rows), 0, {}  # last: label -> (frame, box)
    start = 0
    while start < len(rows):
        frame = rows[start][0]
        stop = start
        while stop < len(rows) and rows[stop][0] == frame:
            stop += 1
        last = {label: seen for label, seen in last.items() if frame - seen[0] <= max_gap + 1}
        pairs = [(_overlap(rows[n][1], box), n, label) for n in range(start, stop) for label, (_, box) in last.items()]
        taken = set()
        for overlap, n, label in sorted(pairs, key=lambda pair: -pair[0]):
            if overlap >= LEAST_OVERLAP and not labels[n] and label not in taken:
                labels[n] = label
                taken.add(label)
        for n in range(start, stop):
            if not labels[n]:
                labels[n], count = f'person{count}', count + 1
            last[labels[n]] = (frame, rows[n][1])
        start = stop
    return labels


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


class _Places:
    """Which frame a name and number of a file of boxes mean."""

    def __init__(self, footage: Sequence[Footage], folder: str):
        self.sequences, self.pictures = {}, {}
        for number, part in enumerate(footage):
            if part.is_video:
                self.sequences.setdefault(osp.splitext(part.name)[0], (number, None))
            else:
                for frame, path in enumerate(part.paths):
                    self.pictures[osp.relpath(path, folder).replace(osp.sep, '/')] = (number, frame)
        for number, part in enumerate(footage):  # a whole name goes before one without its ending
            frames = None if part.is_video else {int(n): frame for frame, n in enumerate(part.numbers)}
            self.sequences[part.name] = (number, frames)

    def find(self, name: str, frame: int | None) -> tuple[int, int] | None:
        if frame is None:
            return self.pictures.get(name)
        number, frames = self.sequences.get(name, (None, None))
        if number is None:
            return self.pictures.get(name)
        if frames is None:
            return (number, frame) if frame >= 0 else None
        return (number, frames[frame]) if frame in frames else None


def _entries(raw: Any) -> Iterator[tuple]:
    """(name, frame or None, box, score, label) of each box, whatever the layout."""
    if isinstance(raw, dict) and 'images' in raw:
        images = {image['id']: image for image in raw['images']}
        persons = [c['id'] for c in raw.get('categories', ()) if c.get('name') == 'person']
        for entry in raw.get('annotations', ()):
            if not persons or entry.get('category_id', persons[0]) in persons:
                image = images[entry['image_id']]
                yield image['file_name'], _frame(image), *_of_dict(entry)
    elif isinstance(raw, list):
        for entry in raw:
            if entry.get('category_id', 1) == 1:
                name = entry.get('sequence', entry.get('file_name', entry.get('image_id')))
                yield name, _frame(entry), *_of_dict(entry)
    else:
        for name, value in raw.items():
            frames = value.items() if isinstance(value, dict) else [(None, value)]
            for frame, boxes in frames:
                for box in boxes:
                    yield name, frame if frame is None else _whole(frame), *_of_any(box)


def _frame(entry: dict) -> int | None:
    found = entry.get('frame', entry.get('frame_id'))
    return None if found is None else _whole(found)


def _whole(value: Any) -> int:
    try:
        return int(value)
    except ValueError:
        raise TypeError(f'frame {value!r} is no whole number') from None


def _of_any(box: Any) -> tuple:
    if isinstance(box, dict):
        return _of_dict(box)
    return box[:4], box[4] if len(box) > 4 else 1.0, box[5] if len(box) > 5 else None


def _of_dict(entry: dict) -> tuple:
    return entry['bbox'], entry.get('score', 1.0), entry.get('track_id')


def _checked(path: str, name: str, box: Any, score: Any) -> tuple:
    try:
        values = np.array([*box, score], np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.shape != (5,) or not (np.abs(values) <= LIMIT).all() or (values[2:4] <= 0).any():
        raise AnnotationError(
            f'box {box!r:.80} with score {score!r:.20} of {name} in {path}: expected x, y, w, h in pixels with w, h > 0'
        )
    x, y, w, h, score = values.tolist()
    return (x, y, x + w, y + h), score
