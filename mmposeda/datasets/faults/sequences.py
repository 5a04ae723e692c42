"""Videos that are not used, and frames of poses that are out of order."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..lifting import LiftingDataset
from ..video import UnlabeledVideoDataset
from .findings import Finding, error, first_of, warning


def left_out_videos(dataset: Any) -> list[Finding]:
    """What of its videos a data set cannot use, and videos of which no clip is left."""
    if not isinstance(dataset, UnlabeledVideoDataset):
        return []
    findings = []
    if dataset.left_out.counts:
        left_out = dataset.left_out
        findings.append(
            warning(f'left out are {left_out}: {left_out.first}. The log above names each. Mend or remove them')
        )
    used = {piece.footage for piece in dataset.pieces}
    unused = [footage.name for number, footage in enumerate(dataset.footage) if number not in used]
    if unused:
        findings.append(
            warning(
                f'{len(unused)} of {len(dataset.footage)} videos give no clip of {dataset.frames} frames: '
                f'{first_of(unused)}. Take longer ones, fewer frames, or remove them'
            )
        )
    return findings


def repeated_frames(dataset: Any) -> list[Finding]:
    """Sequences of 2D-3D poses in which a frame comes twice or before an earlier one: files joined wrongly."""
    if not isinstance(dataset, LiftingDataset):
        return []
    same = np.diff(dataset.sequence) == 0
    rows = np.flatnonzero(same & (np.diff(dataset.frame) <= 0))
    if not len(rows):
        return []
    before, after = (dataset.picture(row) for row in (rows[0], rows[0] + 1))
    return [
        error(
            f'frames of {len(np.unique(dataset.sequence[rows]))} takes are not in order: {after} comes after {before}. '
            'Were files of several takes or cameras joined?'
        )
    ]
