"""Human3.6M's official files as pictures and the annotation files of MMPose's converter, which our data sets read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ..annotations import AnnotationError
from ..human36m_lifting import SUBJECTS
from .extraction import extract, first_and_last
from .human36m_files import KINDS, Metadata, find_files, read_cdf
from .journal import Journal, Made
from .pose_file import write_pickle, write_poses, write_statistics
from .units import Unit

#: Frames a second of the videos
RATE = 50
#: Frames that have labels, by --every, as VideoPose3D's poses and MMPose's files count them
OFFICIAL = {1: dict(train=dict(pictures=1559752)), 5: dict(train=dict(pictures=312188))}
CAMERA_FILE = 'annotation_body3d/cameras.pkl'


def h36m_units(
    source: Path, out: Path, unpacked: Path, metadata: Metadata, subjects: Sequence[str], every: int
) -> list[Unit]:
    """One unit a take before a camera, in the order of MMPose's files.

    Raises:
        ConversionError: Files of a subject are missing or damaged.
    """
    units = []
    for split, people in SUBJECTS.items():
        for subject in (name for name in people if name in subjects):
            folders = find_files(source, subject, unpacked)
            for take in metadata.takes[subject]:
                for camera in metadata.camera_ids:
                    files = _files(folders, take, camera)
                    name = f'{subject}_{take.replace(" ", "_")}.{camera}'
                    there = tuple(str(path) for path in files if path.is_file())
                    units.append(Unit(name, split, there, partial(_take, files, str(out), subject, name, every)))
    return units


def _files(folders: dict[str, Path], take: str, camera: str) -> tuple[Path, Path, Path]:
    return tuple(folders[kind] / f'{take}.{camera}{end}' for kind, end in KINDS.items())


def _labels(files: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
    """2D joints (T, 17, 2) in pixels and 3D joints (T, 17, 3) in metres."""
    flat, space = read_cdf(files[1], 2), read_cdf(files[2], 3)
    if len(flat) != len(space):
        raise AnnotationError(f'{files[1]} has {len(flat)} frames, but {files[2]} {len(space)}')
    return flat, space / 1000


def _take(files: Sequence[Path], out: str, subject: str, name: str, every: int, resumed: bool) -> Made:
    frames = len(_labels(files)[0])

    def name_of(place: int) -> str | None:
        return None if place % every else f'images/{subject}/{name}/{name}_{place + 1:06d}.jpg'

    pictures, lost = extract(files[0], out, name_of, resumed, frames)
    wanted = range(0, frames, every)
    return Made(
        counts=dict(videos=1, pictures=len(pictures)),
        left_out={
            'frame cannot be decoded': [f'{files[0]}#{place}' for place in lost],
            'video is shorter than its labels': [
                f'{files[0]}#{n}' for n in wanted if n not in pictures and n not in lost
            ],
        },
        files=first_and_last(pictures),
        data=sorted(pictures),
    )


def write_annotations(out: Path, metadata: Metadata, every: int, journal: Journal, units: Sequence[Unit]) -> list[str]:
    """Write ``h36m_train.npz``, ``h36m_test.npz``, their statistics and ``cameras.pkl``; returns the npz files."""
    write_pickle(out / CAMERA_FILE, metadata.cameras)
    folder, written = f'annotation_body3d/fps{RATE // every}', []
    for split in SUBJECTS:
        names, points, spaces = [], [], []
        for unit in (unit for unit in units if unit.part == split):
            flat, space = _labels(unit.work.args[0])
            rows = np.array(journal.made[unit.name]['data'], int)
            points.append(flat[rows])
            spaces.append(space[rows])
            subject = unit.name.partition('_')[0]
            names += [f'{subject}/{unit.name}/{unit.name}_{n + 1:06d}.jpg' for n in rows]
        if names:
            points, spaces = np.concatenate(points), np.concatenate(spaces)
            written.append(f'{folder}/h36m_{split}.npz')
            write_poses(out / written[-1], names, points, spaces)
            if split == 'train':
                write_statistics(out / folder, points, spaces)
    return written
