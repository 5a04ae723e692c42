"""All checks of one data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..lifting import LiftingDataset
from ..motion import MocapMotionDataset
from .domains import duplicates
from .findings import WARNING, Finding, spread
from .labels import bad_boxes, joint_counts, never_visible, no_numbers, nobody
from .pictures import Folders, declared_sizes, decode, hint_in, labels_outside, missing_pictures, other_sizes
from .records import inner, labelled, paths_of, read_labels
from .sequences import left_out_videos, repeated_frames
from .skeletons import left_and_right, turned_fingers
from .spaces import behind_camera, off_projections, other_unit

#: Pictures that are decoded unless all are asked for.
DECODED = 64
#: What a reader raises at a file or label that it cannot use.
UNREADABLE = (ValueError, OSError, LookupError, TypeError, AssertionError, AttributeError, ImportError, RuntimeError)


@dataclass
class DatasetCheck:
    """What was looked at in a data set, and what was found.

    Attributes:
        findings (list[Finding]): In the order of the checks.
        paths (list[str]): Path of each sample's picture; none of poses, videos and drawn figures.
        unusable (frozenset[str]): Pictures that are missing or damaged.
        looked (str): What was looked at, in words.
    """

    findings: list = field(default_factory=list)
    paths: list = field(default_factory=list)
    unusable: frozenset = frozenset()
    looked: str = ''


def check_dataset(
    dataset: Any, every_picture: bool = False, needs_space: bool = True, folders: Folders | None = None
) -> DatasetCheck:
    """Look for what is missing or wrong in the files of a data set that is built.

    Existence is checked of every picture; :data:`DECODED` of them are decoded, and the labels of at most
    :data:`~mmposeda.datasets.faults.records.LOOKED` samples read, both evenly over the data set.

    Args:
        dataset: A data set of MMEngine's kind, or of poses or videos; no joined one.
        every_picture (bool): Decode every picture, and look at every label.
        needs_space (bool): Whether the run learns from 3D joints; else what is wrong with them is a warning.
        folders (Folders, optional): Folders that were listed before.
    """
    folders = Folders() if folders is None else folders
    base, result = inner(dataset), DatasetCheck()
    result.paths = paths_of(dataset)
    how_to_get = getattr(base, 'HOW_TO_GET', '')
    result.findings += missing_pictures(result.paths, folders, how_to_get)
    lost = set(folders.missing(result.paths))
    chosen = spread(len(result.paths), len(result.paths) if every_picture else DECODED)
    chosen = [result.paths[row] for row in chosen if result.paths[row] not in lost]
    decoded = decode(chosen)
    result.unusable = frozenset((*lost, *decoded.bad))
    result.findings += decoded.findings
    result.findings += other_sizes(decoded.sizes, declared_sizes(base) if decoded.sizes else {})
    result.findings += [*left_out_videos(base), *repeated_frames(base)]
    there = len(set(result.paths)) - len(lost)
    looked = [f'{there} pictures there, {len(set(chosen))} decoded'] if result.paths else []
    try:
        labels = read_labels(dataset, len(base)) if every_picture else read_labels(dataset)
    except UNREADABLE as problem:
        result.findings.append(Finding('error', hint_in(str(problem), folders)))
        result.looked = ', '.join(looked)
        return result
    rows = spread(len(base), len(labels)) if result.paths else np.arange(0)
    paths = [result.paths[row] for row in rows]
    result.findings += [*bad_boxes(labels, paths, decoded.sizes), *duplicates(base, labels, paths)]
    if labelled(dataset):
        looked.append(f'{len(labels)} labels read')
        counted = joint_counts(labels)
        result.findings += counted
        if not counted:
            result.findings += [*no_numbers(labels), *nobody(labels), *never_visible(labels, base)]
            result.findings += labels_outside(labels, paths, decoded.sizes) if paths else []
            result.findings += [*left_and_right(labels), *turned_fingers(labels)]
            in_space = [*other_unit(labels), *behind_camera(labels), *off_projections(labels)]
            needed = needs_space or isinstance(base, (LiftingDataset, MocapMotionDataset))
            result.findings += in_space if needed else _milder(in_space)
    result.looked = ', '.join(looked)
    return result


def _milder(findings: Sequence[Finding]) -> list[Finding]:
    return [Finding(WARNING, f'{finding.text} (this run does not use them)') for finding in findings]
