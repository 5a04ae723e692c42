"""SURREAL's official clips as the single pictures that :class:`~mmposeda.datasets.surreal.SURREALDataset` reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ..annotations import AnnotationError
from ..single import square_boxes
from ..surreal import RUNS
from .extraction import extract, first_and_last
from .journal import ConversionError, Journal, Made, written_aside
from .units import Unit

SPLITS = ('train', 'val', 'test')
#: Width and height of the pictures
PICTURE = (320, 240)
#: Focal length and principal point, pixels, of all cameras: 60 mm before a sensor of 32 mm (the authors'
#: datageneration/misc/3Dto2D, as are the axes below)
FOCAL, CENTRE = 600.0, (160.0, 120.0)
#: World to camera axes (x right, y down, z forward), the same for all clips
TURN = np.diag([1.0, -1, -1]) @ np.array([[0.0, 0, 1], [0, -1, 0], [-1, 0, 0]]).T
#: Side of the crop over that of the person's box, as in the published tasks
CROP = 1.5
#: A frame is left out where fewer of the 24 joints lie in the picture (our choice)
MIN_JOINTS = 12
#: Pixels; where the 3D joints project farther than this from the 2D joints, they are not of one clip
TOLERANCE = 2.0
#: Frames of the clips (Varol et al., CVPR 2017, table 2)
OFFICIAL = dict(train=dict(frames=5342090), test=dict(frames=1194662))


def surreal_units(source: Path, out: Path, splits: Sequence[str], every: int) -> list[Unit]:
    """One unit a clip of ``source/{split}/run{0,1,2}/SEQUENCE/SEQUENCE_c0001.mp4``.

    Raises:
        ConversionError: A split has no clip.
    """
    parents = (source, source / 'cmu', source / 'data/cmu')
    source = next((folder for folder in parents if (folder / splits[0]).is_dir()), source)
    units = []
    for split in splits:
        videos = sorted(path for run in RUNS for path in (source / split / f'run{run}').glob('*/*_c*.mp4'))
        if not videos:
            raise ConversionError(
                f'no clip in {source / split}: expected run0/01_01/01_01_c0001.mp4 and 01_01_c0001_info.mat there, as '
                'SURREAL is downloaded; --splits chooses others'
            )
        for video in videos:
            name = video.relative_to(source).with_suffix('').as_posix()
            info = video.with_name(f'{video.stem}_info.mat')
            sources = (str(video), str(info)) if info.is_file() else (str(video),)
            units.append(Unit(name, split, sources, partial(_clip, str(video), str(info), str(out), name, every)))
    return units


def read_info(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels of a ``_info.mat``.

    Returns:
        tuple: 2D joints (T, 24, 2) in pixels, 3D joints (T, 24, 3) in metres in the camera's axes, and (T,) whether the
        latter project on the former.

    Raises:
        AnnotationError: It is missing, damaged or none of SURREAL, or 3D joints nowhere project on the 2D ones.
    """
    from scipy.io import loadmat

    try:
        content = loadmat(path, variable_names=['joints2D', 'joints3D', 'camLoc'])
        flat, space, place = (np.asarray(content[key], np.float64) for key in ('joints2D', 'joints3D', 'camLoc'))
    except Exception as error:  # scipy fails in many ways on damaged files
        raise AnnotationError(f'{path} is no usable file of SURREAL: {error!r}') from None
    # a clip of one frame has lost the last axis
    flat, space = (a[..., None] if a.ndim == 2 else a for a in (flat, space))
    if flat.shape[:2] != (2, 24) or space.shape != (3, *flat.shape[1:]) or place.size != 3:
        raise AnnotationError(
            f'{path} has joints2D {flat.shape}, joints3D {space.shape} and camLoc {place.shape}, expected (2, 24, T), '
            '(3, 24, T) and (3, 1)'
        )
    flat, space = flat.transpose(2, 1, 0), (space.transpose(2, 1, 0) - place.reshape(3)) @ TURN.T
    with np.errstate(all='ignore'):
        error = np.abs(FOCAL * space[..., :2] / space[..., 2:] + CENTRE - flat).max((1, 2))
    good = (error <= TOLERANCE) & (space[..., 2] > 0).all(1)
    if not good.any():
        raise AnnotationError(f'{path}: 3D joints project {np.min(error):.0f} pixels and more off the 2D joints')
    return flat, space, good


def _clip(video: str, info: str, out: str, name: str, every: int, resumed: bool) -> Made:
    flat, space, good = read_info(info)
    inside = ((flat >= 0) & (flat <= np.array(PICTURE) - 1)).all(2).sum(1) >= MIN_JOINTS
    wanted = np.arange(0, len(flat), every)
    hull = np.where(good[:, None, None], flat, 0)
    low, high = hull.min(1), hull.max(1)
    corners, sides = square_boxes((low + high) / 2, np.maximum((high - low).max(1), 2), PICTURE, CROP)
    corners, sides = corners.astype(int), sides.astype(int)
    usable = good & inside
    sequence, clip = name.split('/')[2:]

    def name_of(place: int) -> str | None:
        return f'{name}_{place:04d}.jpg' if place % every == 0 and place < len(flat) and usable[place] else None

    def crop(image: np.ndarray, place: int) -> np.ndarray:
        if image.shape[1::-1] != PICTURE:
            raise AnnotationError(f'{video} is of {image.shape[1]} x {image.shape[0]} pixels, expected 320 x 240')
        (x, y), side = corners[place], sides[place]
        return image[y : y + side, x : x + side]

    files, lost = extract(video, out, name_of, resumed, int(wanted[-1]) + 1, crop)
    missing = [n for n in wanted if usable[n] and n not in files and n not in lost]
    entries = []
    for n in files:
        camera = [[FOCAL, 0.0, CENTRE[0] - corners[n, 0]], [0.0, FOCAL, CENTRE[1] - corners[n, 1]], [0.0, 0.0, 1.0]]
        entries.append(
            dict(
                name=f'{sequence}/{clip}_{n:04d}.jpg',
                keypoint2d=np.round(flat[n] - corners[n], 3).tolist(),
                keypoint3d=np.round(space[n], 6).tolist(),
                intrinsic_matrix=[[float(value) for value in row] for row in camera],
            )
        )
    return Made(
        counts=dict(clips=1, frames=len(flat), samples=len(entries)),
        left_out={
            '3D joints that do not project on the 2D joints': [f'{name}#{n}' for n in wanted if not good[n]],
            'fewer than half of the joints in the picture': [
                f'{name}#{n}' for n in wanted if good[n] and not inside[n]
            ],
            'frame cannot be decoded': [f'{video}#{n}' for n in lost],
            'clip is shorter than its labels': [f'{video}#{n}' for n in missing],
        },
        files=first_and_last(files),
        data=entries,
    )


def write_runs(out: Path, journal: Journal, units: Sequence[Unit]) -> list[str]:
    """Write ``{split}/run{0,1,2}.json`` of all clips; returns them."""
    runs: dict = {f'{split}/run{run}.json': [] for split in dict.fromkeys(u.part for u in units) for run in RUNS}
    for unit in units:
        runs[f'{unit.name.rsplit("/", 2)[0]}.json'] += journal.made[unit.name]['data']
    for file, entries in runs.items():
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        with written_aside(out / file) as aside:
            aside.write_text(json.dumps(entries))
    return list(runs)
