"""MPI-INF-3DHP's official training videos as pictures, and its labels in one file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ..mpi_inf_3dhp import SUBJECTS, picture_size
from ..mpi_inf_3dhp_files import read_calibration, read_train
from .extraction import extract
from .journal import ConversionError, Journal, Made
from .pose_file import write_pickle, write_poses
from .units import Unit
from .video_layouts import frames_made

SEQUENCES = ('Seq1', 'Seq2')
#: At chest height, as MMPose and most authors take them
CAMERAS = (0, 1, 2, 4, 5, 6, 7, 8)
#: Frames before each camera that have a label and a picture, by person: Seq1, Seq2 (MMPose's converter)
FRAMES = dict(
    S1=(6416, 12430), S2=(6502, 6081), S3=(12488, 12283), S4=(6171, 6675),
    S5=(12820, 12312), S6=(6188, 6145), S7=(6239, 6320), S8=(6468, 6054),
)  # fmt: skip
ANN_FILE, CAMERA_FILE = 'annotations/mpi_inf_3dhp_train.npz', 'annotations/cameras_train.pkl'


def mpi_units(source: Path, out: Path, subjects: Sequence[str], cameras: Sequence[int], every: int) -> list[Unit]:
    """One unit a video, ``S1/Seq1/imageSequence/video_0.avi``.

    Raises:
        ConversionError: A video or label file is missing.
    """
    source = source / 'train' if (source / 'train').is_dir() else source
    units, missing = [], []
    for subject in subjects:
        for sequence in SEQUENCES:
            folder = source / subject / sequence
            missing += [path for path in (folder / 'annot.mat', folder / 'camera.calibration') if not path.is_file()]
            for camera in cameras:
                video = folder / f'imageSequence/video_{camera}.avi'
                name = f'{subject}_{sequence}_Cam{camera}'
                missing += [] if video.is_file() else [video]
                work = partial(_video, str(video), str(out), name, every, FRAMES[subject][SEQUENCES.index(sequence)])
                units.append(Unit(name, subject, (str(video), str(folder / 'annot.mat')), work))
    if missing:
        raise ConversionError(
            f'{missing[0]} does not exist' + (f', nor do {len(missing) - 1} more files' if missing[1:] else '') + ': '
            'expected the training set as the official scripts unpack it; --subjects and --cameras choose parts of it'
        )
    return units


def _video(video: str, out: str, name: str, every: int, frames: int, resumed: bool) -> Made:
    def name_of(place: int) -> str | None:
        return None if place % every else f'images/{name}_{place + 1:06d}.jpg'

    files, lost = extract(video, out, name_of, resumed, frames)
    made = frames_made(video, files, lost)
    made.data = sorted(files)
    return made


def official(cameras: Sequence[int], every: int) -> dict[str, dict[str, int]]:
    """Numbers of pictures of each person."""
    return {s: dict(pictures=len(cameras) * sum(-(-n // every) for n in counts)) for s, counts in FRAMES.items()}


def write_labels(source: Path, out: Path, journal: Journal, units: Sequence[Unit]) -> list[str]:
    """Write labels (``annot3``, people in their size) and cameras of all pictures; returns the files.

    A joint outside of the picture counts as invisible, as in MMPose's file.
    """
    source = source / 'train' if (source / 'train').is_dir() else source
    takes: dict = {}
    for unit in units:
        subject, sequence, camera = re.match(r'(S\d+)_(Seq\d)_Cam(\d+)$', unit.name).groups()
        takes.setdefault((subject, sequence), []).append(int(camera))
    names, points, spaces, seen, cameras = [], [], [], [], {}
    for (subject, sequence), numbers in sorted(takes.items(), key=lambda item: SUBJECTS['train'].index(item[0][0])):
        folder, size = source / subject / sequence, picture_size(subject)
        intrinsics = read_calibration(str(folder / 'camera.calibration'), numbers)
        for number, (f, c), (flat, space) in zip(
            numbers, intrinsics, read_train(str(folder / 'annot.mat'), 'annot3', numbers)
        ):
            name = f'{subject}_{sequence}_Cam{number}'
            rows = np.array([n for n in journal.made[name]['data'] if n < len(flat)], int)
            names += [f'{name}_{n + 1:06d}.jpg' for n in rows]
            points.append(flat[rows])
            spaces.append(space[rows])
            seen.append(((flat[rows] >= 0) & (flat[rows] < size)).all(-1))
            f, c = (np.array(values, np.float64)[:, None] for values in (f, c))
            cameras[name] = dict(f=f, c=c, w=size[0], h=size[1], name=f'train_cam_{number}')
    if not names:
        raise ConversionError(f'no picture of {source} has a label')
    write_poses(out / ANN_FILE, names, np.concatenate(points), np.concatenate(spaces), np.concatenate(seen))
    write_pickle(out / CAMERA_FILE, cameras)
    return [ANN_FILE]
