"""Labels that are no numbers, of too few or many joints, of nobody, and boxes that hold nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..annotations import LIMIT
from ..lifting import LiftingDataset
from ..single import SingleInstanceDataset
from .findings import Finding, error, first_of, warning
from .records import Labels

#: Pixels; a box with a shorter side holds nobody. (Our choice.)
LEAST_SIDE = 2


def joint_counts(labels: Labels) -> list[Finding]:
    """Annotations that have another number of joints than their metainfo."""
    wanted = labels.skeleton.num_joints
    wrong = np.flatnonzero(labels.counts != wanted)
    if labels.points is None or not len(wrong):
        return []
    found = ', '.join(map(str, np.unique(labels.counts[wrong])))
    return [
        error(
            f'{len(wrong)} of {len(labels)} samples have {found} joints, the metainfo {labels.skeleton.name!r} has '
            f'{wanted}: {labels.names[wrong[0]]}. Name the right joint set in `metainfo`'
        )
    ]


def no_numbers(labels: Labels) -> list[Finding]:
    """Joints at NaN, infinite or absurd places."""
    findings = []
    whole = (labels.counts == labels.skeleton.num_joints)[:, None]
    places = dict(points=('2D', labels.visible), space=('3D', np.ones_like(labels.visible)))
    for key, (what, asked) in places.items():
        array = getattr(labels, key)
        if array is not None:
            with np.errstate(invalid='ignore'):
                bad = asked & whole & ~(np.abs(array) <= LIMIT).all(-1)
            findings += _bad_places(labels, what, bad)
    return findings


def nobody(labels: Labels) -> list[Finding]:
    """Samples without a visible joint."""
    if labels.points is None:
        return []
    empty = np.flatnonzero(~labels.visible.any(1))
    if not len(empty):
        return []
    level = error if len(empty) == len(labels) else warning
    return [
        level(
            f'{len(empty)} of {len(labels)} samples have no visible joint: '
            f'{first_of([labels.names[row] for row in empty])}. Nothing is learned of them; remove them'
        )
    ]


def never_visible(labels: Labels, dataset: Any) -> list[Finding]:
    """Joints that no sample shows, other than those that the data set does not have by its nature."""
    if labels.points is None or not labels.visible.any() or isinstance(dataset, LiftingDataset):
        return []
    never = ~labels.visible.any(0)
    if isinstance(dataset, SingleInstanceDataset):  # its readers give joints without a counterpart as 0
        never &= (np.nan_to_num(labels.points) != 0).any((0, 2))
    joint_map = getattr(dataset, '_joint_map', None)
    if hasattr(joint_map, 'mask'):
        never &= joint_map.mask
    if not never.any():
        return []
    names = [labels.skeleton.joint_names[joint] for joint in np.flatnonzero(never)]
    return [
        warning(
            f'no sample of the {len(labels)} that were looked at shows {", ".join(names)}: nothing is learned of '
            f'{"it" if len(names) == 1 else "them"}. Is it the right joint set, and are visibilities 0, 1 and 2?'
        )
    ]


def bad_boxes(labels: Labels, paths: Sequence[str], sizes: Mapping[str, tuple]) -> list[Finding]:
    """Boxes without an area, or outside of their picture.

    Args:
        labels (Labels): Of n samples.
        paths (Sequence[str]): Their pictures.
        sizes (Mapping[str, tuple]): Width and height of pictures, as far as they are known.
    """
    with np.errstate(invalid='ignore'):
        thin = ((labels.boxes[:, 2:] - labels.boxes[:, :2]) < LEAST_SIDE).any(1)
        size = np.array([sizes.get(path, (np.inf, np.inf)) for path in paths], float).reshape(-1, 2)
        away = ((labels.boxes[:, 2:] <= 0) | (labels.boxes[:, :2] >= size)).any(1) if len(size) else np.zeros_like(thin)
    findings = []
    for wrong, what in ((thin, f'a side below {LEAST_SIDE} pixels'), (away & ~thin, 'no pixel inside of its picture')):
        rows = np.flatnonzero(wrong)
        if len(rows):
            box = ', '.join(f'{value:.0f}' for value in labels.boxes[rows[0]])
            findings.append(
                error(
                    f'{len(rows)} of {len(labels)} boxes have {what}: {labels.names[rows[0]]} has (x0, y0, x1, y1) = '
                    f'({box}). Correct or remove them'
                )
            )
    return findings


def _bad_places(labels: Labels, what: str, bad: np.ndarray) -> list[Finding]:
    rows = np.flatnonzero(bad.any(1))
    if not len(rows):
        return []
    joint = labels.skeleton.joint_names[int(np.argmax(bad[rows[0]]))]
    return [
        error(
            f'{len(rows)} of {len(labels)} samples have {what} joints at NaN, infinite or absurd places: {joint} of '
            f'{labels.names[rows[0]]}. Correct them, or give unknown joints visibility 0'
        )
    ]
