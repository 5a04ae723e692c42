"""Pictures that are missing, damaged, blank, or of another size than their labels'.

What counts as a fault is our choice: see :data:`BLANK_ERROR`, :data:`OUTSIDE` and :data:`SIZE_ERROR`.
"""

from __future__ import annotations

import json
import os
import os.path as osp
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ..annotations import AnnotationError, load_json
from ..images import PictureError, check_size, image_size
from .findings import Finding, error, first_of, warning
from .records import Labels

#: Blank pictures are an error from this share of the decoded ones on.
BLANK_ERROR = 0.5
#: A sample's labels are of another picture if this share of its visible joints lies more than this share of the
#: picture's longer side outside.
OUTSIDE = (0.25, 0.05)
#: Labels of pictures of another size are an error from this share of the samples on.
SIZE_ERROR = 0.2
_SIBLINGS = 200
UNPACK = 'Unpack them again, or set data_root and data_prefix=dict(img=...)'


class Folders:
    """Which files there are, with each folder listed once; on a network disk that is much quicker than to ask."""

    def __init__(self) -> None:
        self._listed: dict[str, frozenset] = {}

    def files(self, folder: str) -> frozenset:
        """Names in a folder; none where there is no such folder."""
        if folder not in self._listed:
            try:
                self._listed[folder] = frozenset(os.listdir(folder or '.'))
            except OSError:
                self._listed[folder] = frozenset()
        return self._listed[folder]

    def has(self, path: str) -> bool:
        """Whether there is a file of that name."""
        folder, name = osp.split(path)
        return name in self.files(folder)

    def missing(self, paths: Sequence[str]) -> list[str]:
        """Those of different paths that do not exist."""
        return [path for path in dict.fromkeys(paths) if not self.has(path)]

    def hint(self, path: str) -> str:
        """Where a file of nearly that path is, as a sentence; empty if it is nowhere near."""
        folder, name = osp.split(path)
        stem = osp.splitext(name)[0].casefold()
        near = sorted(n for n in self.files(folder) if osp.splitext(n)[0].casefold() == stem)
        if near:
            return f'There is {osp.join(folder, near[0])}: only the letters or the ending of the name differ.'
        above = osp.dirname(folder)
        for other in (above, osp.dirname(above)):
            if name in self.files(other):
                return f'There is {osp.join(other, name)}: the pictures lie a folder higher.'
        for below in sorted(self.files(folder))[:_SIBLINGS]:
            if name in self.files(osp.join(folder, below)):
                return f'There is {osp.join(folder, below, name)}: the pictures lie a folder deeper.'
        for beside in sorted(self.files(above))[:_SIBLINGS] if above else ():
            if name in self.files(osp.join(above, beside)):
                return f'There is {osp.join(above, beside, name)}: the folder has another name.'
        if not self.files(folder):
            return f'The folder {folder} is not there, or empty.'
        return ''


def missing_pictures(paths: Sequence[str], folders: Folders, how_to_get: str = '') -> list[Finding]:
    """How many pictures are not there, the first of them, and where they may be."""
    lost = folders.missing(paths)
    if not lost:
        return []
    way_out = ' '.join(filter(None, (folders.hint(lost[0]), how_to_get))) or UNPACK
    return [error(f'{len(lost)} of {len(set(paths))} pictures are missing: {first_of(lost)}. {way_out}')]


def hint_in(message: str, folders: Folders) -> str:
    """``message`` of a reader that stopped at a missing picture, with where it may be."""
    found = re.search(r'picture (?!folder )(.+?)(?:,| does not exist)', message)
    hint = folders.hint(found[1]) if found else ''
    return f'{message.rstrip(". ")}. {hint}' if hint else message


class Decoded(NamedTuple):
    """What pictures turned out to be.

    Attributes:
        sizes (dict[str, tuple[int, int]]): Width and height by path.
        bad (list[str]): Paths of those that cannot be decoded whole.
        findings (list[Finding]): On them, and on blank ones.
    """

    sizes: dict
    bad: list
    findings: list


def decode(paths: Sequence[str]) -> Decoded:
    """Decode pictures whole. OpenCV fills up what was cut off with grey, so this goes through Pillow, which tells."""
    sizes, bad, reasons, blank = {}, [], [], []
    for path in dict.fromkeys(paths):
        try:
            sizes[path] = image_size(path)
            check_size(sizes[path], path)
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')  # check_size has said what is too large
                with Image.open(path) as image:
                    bands = image.getextrema()
        except FileNotFoundError:
            continue
        except (PictureError, OSError, SyntaxError, ValueError, EOFError) as problem:
            bad.append(path)
            reasons.append(str(problem))
            continue
        bands = bands if isinstance(bands[0], tuple) else (bands,)
        if all(low == high for low, high in bands):
            blank.append(path)
    findings = []
    if bad:
        findings.append(
            error(
                f'{len(bad)} of {len(set(paths))} pictures that were decoded are damaged or cut short: '
                f'{first_of(bad)} ({reasons[0]}). Copy or unpack them again'
            )
        )
    if blank:
        level = error if len(blank) >= BLANK_ERROR * len(sizes) else warning
        findings.append(
            level(
                f'{len(blank)} of {len(sizes)} pictures that were decoded are blank, all of one colour: '
                f'{first_of(blank)}. Were they written before they were drawn? Remove them or make them again'
            )
        )
    return Decoded(sizes, bad, findings)


def declared_sizes(dataset: Any) -> dict[str, tuple[float, float]]:
    """Width and height of pictures by the end of their path, as a COCO-style annotation file says; else empty."""
    ann_file = getattr(dataset, 'ann_file', '')
    if not isinstance(ann_file, str) or not ann_file.endswith('.json') or not osp.isfile(ann_file):
        return {}
    try:
        content = load_json(ann_file, lists=('images',))
    except (AnnotationError, json.JSONDecodeError):
        return {}
    folder = (getattr(dataset, 'data_prefix', None) or {}).get('img', '')
    return {
        osp.join(folder, image['file_name']): (image['width'], image['height'])
        for image in content['images']
        if isinstance(image, dict) and {'file_name', 'width', 'height'} <= set(image)
    }


def other_sizes(sizes: Mapping[str, tuple], declared: Mapping[str, tuple]) -> list[Finding]:
    """Pictures that are not as large as their annotation file says."""
    wrong = [path for path, size in sizes.items() if path in declared and tuple(declared[path]) != size]
    if not wrong:
        return []
    found, said = sizes[wrong[0]], declared[wrong[0]]
    level = error if len(wrong) >= SIZE_ERROR * len(sizes) else warning
    return [
        level(
            f'{len(wrong)} of {len(sizes)} pictures are of another size than the annotation file says: {wrong[0]} is '
            f'{found[0]} x {found[1]}, its labels are of {said[0]:g} x {said[1]:g}. Take the pictures that were '
            'labelled, or scale the labels'
        )
    ]


def labels_outside(labels: Labels, paths: Sequence[str], sizes: Mapping[str, tuple]) -> list[Finding]:
    """Samples with many visible joints outside of their picture.

    Args:
        labels (Labels): Of n samples.
        paths (Sequence[str]): Their pictures.
        sizes (Mapping[str, tuple]): Width and height of pictures, of some samples at least.
    """
    rows = [row for row, path in enumerate(paths) if path in sizes]
    if labels.points is None or not rows:
        return []
    size = np.array([sizes[paths[row]] for row in rows], float)[:, None]
    margin = OUTSIDE[1] * size.max(-1, keepdims=True)
    points, good = labels.points[rows], labels.good[rows]
    out = good & ~((points >= -margin) & (points <= size - 1 + margin)).all(-1)
    wrong = np.flatnonzero(out.sum(1) > OUTSIDE[0] * np.maximum(good.sum(1), 1))
    if not len(wrong):
        return []
    row = rows[wrong[0]]
    width, height = sizes[paths[row]]
    level = error if len(wrong) >= SIZE_ERROR * len(rows) else warning
    joint = labels.skeleton.joint_names[int(np.argmax(out[wrong[0]]))]
    x, y = labels.points[row, labels.skeleton.index(joint)]
    return [
        level(
            f'{len(wrong)} of {len(rows)} samples have many joints outside of their picture: {labels.names[row]} is '
            f'{width} x {height}, its {joint} at ({x:.0f}, {y:.0f}). Are the labels of pictures of another size?'
        )
    ]
