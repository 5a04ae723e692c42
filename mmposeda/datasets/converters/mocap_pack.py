"""Motion capture in text files as one npz pack."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ..annotations import AnnotationError
from ..mocap import load_mocap
from ..mocap_files import HOW_TO_GET, find_motion, write_pack
from .journal import ConversionError, Journal, Made, written_aside
from .units import Unit


def motion_units(source: Path, out: Path, fps: float, toes: bool) -> list[Unit]:
    """One unit a BVH file or (asf, amc) pair in or below a folder; packs that lie there are no sources.

    Raises:
        ConversionError: There is none, or an AMC file has no skeleton.
    """
    try:
        files = [file for file in find_motion(source) if isinstance(file, tuple) or file.suffix.lower() != '.npz']
    except ValueError as error:
        raise ConversionError(f'{error}. {HOW_TO_GET}') from None
    if not files:
        raise ConversionError(f'{source}: no .bvh or .amc file in it. {HOW_TO_GET}')
    units = []
    for file in files:
        sources = tuple(map(str, file if isinstance(file, tuple) else (file,)))
        name = Path(sources[-1]).relative_to(source).as_posix()
        units.append(Unit(name, 'all', sources, partial(_pack, sources, str(out), name, fps, toes)))
    return units


def _part(out: str | Path, name: str) -> str:
    return f'.{Path(out).stem}/{name}.npz'


def _pack(sources: Sequence[str], out: str, name: str, fps: float, toes: bool, _: bool) -> Made:
    try:
        clips = load_mocap([sources[0] if len(sources) == 1 else sources], toes, fps)
    except (ValueError, LookupError, TypeError) as error:
        raise AnnotationError(f'{sources[-1]}: {error}') from None
    part = _part(out, name)
    path = Path(out).parent / part
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        write_pack(aside, clips)
    return Made(counts=dict(clips=1, frames=len(clips.poses)), files=[part])


def join_packs(out: Path, toes: bool, journal: Journal, units: Sequence[Unit]) -> list[str]:
    """Write the pack of all clips; returns its name."""
    clips = load_mocap([out.parent / _part(out, unit.name) for unit in units], toes)
    with written_aside(out) as aside:
        write_pack(aside, clips)
    return [out.name]
