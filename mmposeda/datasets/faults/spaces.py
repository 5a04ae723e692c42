"""3D joints in another unit, behind the camera, or elsewhere than the 2D joints. All bounds are our choice."""

from __future__ import annotations

import numpy as np

from .findings import Finding, error, first_of, warning
from .records import Labels
from .skeletons import TRUNK, finger_chains

#: Lengths in mm that hold for people from small children to giants, in any pose.
TORSO, THIGH, PALM = (200, 900), (150, 700), (35, 160)
#: A sample's 3D joints do not project onto its 2D ones if half of them are further off than this share of the longer
#: side of the 2D joints' hull, and this many pixels. Detected 2D joints are a tenth of that off.
OFF, LEAST_OFF = 0.1, 2.0
#: An error from this share of the samples on, below it a warning.
SHARE = 0.1
_UNITS = {1000: 'metres', 10: 'centimetres', 25.4: 'inches', 0.001: 'micrometres'}


def other_unit(labels: Labels) -> list[Finding]:
    """Bones that are no human's."""
    if labels.space is None or not labels.known.any():
        return []
    what, lengths, bounds = _measured(labels)
    if what is None or not len(lengths):
        return []
    median = float(np.median(lengths))
    if bounds[0] <= median <= bounds[1]:
        return []
    factor = next((f for f in _UNITS if bounds[0] <= f * median <= bounds[1]), None)
    unit = f'; they are as long as in {_UNITS[factor]}: multiply by {factor:g}' if factor else '; is it another unit?'
    first = labels.names[int(np.argmax(labels.known.any(1)))]
    return [
        error(
            f'3D joints are in another unit, from {first} on: {what} is {median:.4g} long where {bounds[0]} to '
            f'{bounds[1]} mm are human{unit}'
        )
    ]


def behind_camera(labels: Labels) -> list[Finding]:
    """Joints that a camera is said to see although they are behind it."""
    if labels.space is None or not labels.absolute:
        return []
    behind = labels.known & np.isfinite(labels.cameras).all(-1)[:, None] & (labels.space[..., 2] <= 0)
    rows = np.flatnonzero(behind.any(1))
    if not len(rows):
        return []
    joint = labels.skeleton.joint_names[int(np.argmax(behind[rows[0]]))]
    level = error if len(rows) >= SHARE * len(labels) else warning
    return [
        level(
            f'{len(rows)} of {len(labels)} samples have 3D joints behind the camera: {joint} of '
            f"{labels.names[rows[0]]}. Expected the camera's axes, x right, y down, z away from it"
        )
    ]


def off_projections(labels: Labels) -> list[Finding]:
    """3D joints that the camera does not see where the 2D joints are."""
    if labels.space is None or not labels.absolute:
        return []
    seen = labels.good & np.isfinite(labels.projected).all(-1)
    rows = np.flatnonzero(seen.sum(1) >= 3)
    if not len(rows):
        return []
    points, seen = labels.points[rows], seen[rows]
    apart = np.where(seen, np.linalg.norm(labels.projected[rows] - points, axis=-1), np.nan)
    low = np.where(seen[..., None], points, np.inf).min(1)
    high = np.where(seen[..., None], points, -np.inf).max(1)
    middle = np.nanmedian(apart, 1)
    wrong = rows[middle > np.maximum(OFF * (high - low).max(-1), LEAST_OFF)]
    if not len(wrong):
        return []
    level = error if len(wrong) >= SHARE * len(rows) else warning
    return [
        level(
            f'3D joints of {len(wrong)} of {len(rows)} samples do not project onto their 2D joints: '
            f'{first_of([labels.names[row] for row in wrong])}, median distance '
            f'{np.median(middle[np.isin(rows, wrong)]):.0f} pixels. Are camera, picture size and frame those of the '
            'labels?'
        )
    ]


def _measured(labels: Labels) -> tuple[str | None, np.ndarray, tuple[float, float]]:
    """A bone that every joint set of its kind has: its name, its lengths (m,), and what is human."""
    index, space, known = labels.skeleton.index, labels.space, labels.known

    def between(first: list[int], second: list[int]) -> np.ndarray:
        there = known[:, [*first, *second]].all(1)
        return np.linalg.norm(space[there][:, first].mean(1) - space[there][:, second].mean(1), axis=-1)

    if labels.has(*TRUNK):
        joints = list(map(index, TRUNK))
        return 'the median torso', between(joints[:2], joints[2:]), TORSO
    if labels.has('left_hip', 'left_knee'):
        return 'the median left thigh', between([index('left_hip')], [index('left_knee')]), THIGH
    fingers = finger_chains(labels.skeleton)
    if fingers:
        wrist, first = fingers[len(fingers) // 2][:2]
        name = labels.skeleton.joint_names[first]
        return f'the median bone from the wrist to {name}', between([wrist], [first]), PALM
    return None, np.zeros(0), (0, 0)
