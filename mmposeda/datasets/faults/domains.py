"""What data sets of one run share that they should not: pictures, samples, labels of the target."""

from __future__ import annotations

import os.path as osp
import re
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..checks import check_domains
from ..lifting import LiftingDataset
from .findings import Finding, error, first_of, warning
from .records import Labels

#: Equal poses are told from this share of the samples on: someone may stand still for two frames. (Our choice.)
STILL = 0.02


def duplicates(dataset: Any, labels: Labels, paths: Sequence[str]) -> list[Finding]:
    """Samples that are there more than once: of a picture, box and joints, or without pictures of a pose."""
    if isinstance(dataset, LiftingDataset):
        keys = [dataset.poses.reshape(len(dataset), -1), dataset.keypoints.reshape(len(dataset), -1)]
        rows = np.ascontiguousarray(np.concatenate([*keys, dataset.sequence[:, None].astype(np.float32)], 1))
        copies = _copies([row.tobytes() for row in rows])
        copies = copies if len(copies) >= STILL * len(dataset) else []
        names = [dataset.picture(row) for row in copies]
    else:
        keys = [labels.boxes] if labels.points is None else [labels.boxes, np.nan_to_num(labels.points)]
        rows = np.concatenate([key.reshape(len(key), np.prod(key.shape[1:], dtype=int)) for key in keys], 1)
        copies = _copies([(path, row.tobytes()) for path, row in zip(paths, rows)])
        names = [labels.names[row] for row in copies]
    if not len(names):
        return []
    return [
        warning(
            f'{len(names)} samples are there more than once: {first_of(names)}. They count twice in training and in '
            'scores; remove them from the annotations'
        )
    ]


def shared_pictures(train: Mapping[str, tuple], tests: Mapping[str, tuple]) -> list[Finding]:
    """Pictures of training that are also tested on.

    Args:
        train (Mapping[str, tuple]): Whether it is labelled, and its paths, by name of the data set.
        tests (Mapping[str, tuple]): Likewise those of validation and test.
    """
    findings = []
    real = {name: _real(paths) for name, (_, paths) in tests.items()}
    for name, (with_labels, paths) in train.items():
        own = _real(paths)
        for test, theirs in real.items():
            common = sorted(own.keys() & theirs.keys())
            if not common:
                continue
            some = first_of([own[path] for path in common])
            what = f'{name} shares {len(common)} of its {len(own)} pictures with {test}: {some}'
            if with_labels:
                findings.append(error(f'{what}. It is trained on with labels: take disjoint parts'))
            else:
                findings.append(
                    warning(
                        f"{what}. That is transductive: some published settings share pictures on purpose, as LSP's, "
                        'and use no label of them; for a clean split take disjoint parts'
                    )
                )
    return findings


def labelled_target(train: Mapping[str, tuple], tests: Mapping[str, tuple]) -> list[Finding]:
    """Data sets that an adaptation trains on with labels although they are of the domain it is tested on.

    Of the same domain are data sets of one class and root. A run all of whose labelled sets are, is an oracle or trains
    on its source, and is left alone.

    Args:
        train (Mapping[str, tuple]): Whether it is labelled, class and root, by name of the data set.
        tests (Mapping[str, tuple]): Likewise.
    """
    domains = {name: _domain(*rest) for name, (_, *rest) in tests.items()}
    labelled = {name: _domain(*rest) for name, (with_labels, *rest) in train.items() if with_labels}
    of_target = {name: next((t for t, d in domains.items() if d == own), None) for name, own in labelled.items()}
    if all(of_target.values()):
        return []
    return [
        warning(
            f'{name} is of the domain of {test}, has labels, and is trained on beside a labelled source. If it is the '
            "target, wrap it: dict(type='UnlabeledDataset', dataset=...)"
        )
        for name, test in of_target.items()
        if test
    ]


def joints_agree(whole: Mapping, part: Any, name: str) -> list[Finding]:
    """Whether a part of a joined data set gives the joints that the whole has, in its order."""
    try:
        check_domains(SimpleNamespace(metainfo=whole, datasets=[part]))
    except (ValueError, KeyError) as problem:
        return [error(f'{name}{re.sub("^data set 0 |^", " ", str(problem), count=1)}')]
    return []


def _copies(keys: list) -> list[int]:
    """Places of what was there before."""
    met: set = set()
    return [row for row, key in enumerate(keys) if key in met or met.add(key)]


def _real(paths: Sequence[str]) -> dict[str, str]:
    """Paths by what they are with links of folders followed, each folder once."""
    folders: dict = {}
    found = {}
    for path in paths:
        folder, name = osp.split(path)
        if folder not in folders:
            folders[folder] = osp.realpath(folder)
        found[osp.join(folders[folder], name)] = path
    return found


def _domain(kind: str, root: str | None) -> tuple[str, str] | None:
    return (kind, osp.realpath(root)) if root else None
