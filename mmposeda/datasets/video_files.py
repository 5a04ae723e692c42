"""Frames of videos: which there are below a folder, as video files or as pictures, and reading them by number."""

from __future__ import annotations

import os
import os.path as osp
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .images import SUFFIXES, PictureError
from .sequences import SequenceRule

VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm')
#: Up to so many frames ahead are decoded on the way rather than sought; a seek decodes from the last key frame anyway.
NEAR = 32


_readers: weakref.WeakSet = weakref.WeakSet()
_inherited: list = []


def _forget() -> None:
    """In a forked worker: open no file together with the parent, and close none of its files.

    Closing waits for the decoder's threads, which a fork does not take along.
    """
    for reader in _readers:
        _inherited.append(reader._open)
        reader._open = OrderedDict()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_forget)


@dataclass
class Footage:
    """Frames one after the other: a video file, or the pictures of one sequence. Frame i is the i-th that is there.

    Attributes:
        name (str): Path below the data folder; of pictures what the rule says.
        paths (list[str]): The video file, or a picture each frame.
        numbers (np.ndarray | None): (n,) int64, rising numbers of the pictures; None for a video.
    """

    name: str
    paths: list[str]
    numbers: np.ndarray | None = None

    @property
    def is_video(self) -> bool:
        """Whether it is a video file."""
        return self.numbers is None

    def number(self, frame: int) -> int:
        """Number of frame i as the data has it; of videos i itself."""
        return int(frame) if self.is_video else int(self.numbers[frame])

    def path(self, frame: int) -> str:
        """File of frame i."""
        return self.paths[0 if self.is_video else frame]

    def called(self, frame: int) -> str:
        """Frame i in messages."""
        return f'frame {frame} of {self.paths[0]}' if self.is_video else self.paths[frame]


def find_footage(folder: str, rule: SequenceRule) -> tuple[list[Footage], list[str]]:
    """All videos and sequences of pictures below a folder, by name.

    Args:
        folder (str): The folder.
        rule (SequenceRule): Which pictures belong together.

    Returns:
        tuple[list[Footage], list[str]]: What there is, and pictures that do not fit the rule.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: two pictures are the same frame.
    """
    if not osp.isdir(folder):
        raise FileNotFoundError(f'folder of videos {folder} does not exist; set data_root')
    found, sequences, others = [], {}, []
    for path in sorted(osp.join(at, name) for at, _, names in os.walk(folder) for name in names):
        suffix = osp.splitext(path)[1].lower()
        if suffix in VIDEO_SUFFIXES:
            found.append(Footage(_below(path, folder), [path]))
        elif suffix in SUFFIXES:
            try:
                name, number = rule(dict(img_path=path))
            except ValueError:
                others.append(path)
            else:
                sequences.setdefault(name, []).append((number, path))
    for name, frames in sequences.items():
        frames.sort()
        numbers = np.array([number for number, _ in frames])
        same = np.flatnonzero(np.diff(numbers) == 0)
        if len(same):
            first, second = (frames[same[0] + k][1] for k in range(2))
            raise ValueError(
                f'by the rule {str(rule)!r}, {first} and {second} both are frame {numbers[same[0]]} of sequence '
                f'{name!r}: let the rule tell them apart by a further named group, or move pictures out of data_root'
            )
        found.append(Footage(_below(name, folder), [path for _, path in frames], numbers))
    return sorted(found, key=lambda footage: footage.name), others


def _below(path: str, folder: str) -> str:
    inside = osp.relpath(path, folder) if osp.abspath(path).startswith(osp.abspath(folder)) else path
    return inside.replace(os.sep, '/')


class FrameReader:
    """Reads frames of video files; a few files stay open, in each process for itself.

    Args:
        open_files (int): How many.
    """

    def __init__(self, open_files: int = 8):
        self.open_files, self._open = open_files, OrderedDict()
        _readers.add(self)

    def __getstate__(self) -> dict:
        return dict(open_files=self.open_files)

    def __setstate__(self, state: dict) -> None:
        self.__init__(**state)

    def read(self, path: str, frames: Sequence[int]) -> Iterator[np.ndarray]:
        """Frames of a video by one seek: what lies between them is decoded and dropped.

        Args:
            path (str): The file.
            frames (Sequence[int]): Their places, counted from 0, none before the one before it; the same may come
                again.

        Yields:
            np.ndarray: (H, W, 3) uint8, BGR. Where a frame comes again it is the same array.

        Raises:
            PictureError: the file cannot be opened, or a frame not be decoded.
        """
        video = self._video(path)
        try:
            yield from video.read(frames)
        except PictureError:
            self._open.pop(path).capture.release()
            raise

    def close(self) -> None:
        """Close all files."""
        while self._open:
            self._open.popitem()[1].capture.release()

    def _video(self, path: str) -> _Video:
        if path not in self._open:
            while len(self._open) >= self.open_files:
                self._open.popitem(last=False)[1].capture.release()
            self._open[path] = _Video(path)
        self._open.move_to_end(path)
        return self._open[path]


class _Video:
    def __init__(self, path: str):
        self.path, self.capture, self.next = path, open_video(path), 0

    def read(self, frames: Sequence[int]) -> Iterator[np.ndarray]:
        if not 0 <= frames[0] - self.next <= NEAR:
            self.capture.set(cv2.CAP_PROP_POS_FRAMES, frames[0])
            self.next = frames[0]
        last = None
        for frame in frames:
            while self.next <= frame:
                if not self.capture.grab():
                    raise self._lost(self.next)
                self.next += 1
                last = None
            if last is None:
                done, last = self.capture.retrieve()
                if not done:
                    raise self._lost(frame)
            yield last

    def _lost(self, frame: int) -> PictureError:
        return PictureError(f'frame {frame} of video {self.path} cannot be decoded: it is damaged, or shorter by now')


def open_video(path: str) -> cv2.VideoCapture:
    """An opened video.

    Raises:
        PictureError: no such file, or no video that OpenCV reads.
    """
    if not osp.isfile(path):
        raise PictureError(f'video {path} does not exist')
    capture = cv2.VideoCapture(path)
    if not capture.isOpened():
        raise PictureError(f'video {path} cannot be opened: it is empty, cut short, or of a kind that OpenCV lacks')
    return capture
