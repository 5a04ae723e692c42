"""Which pictures belong to one sequence, and which of them lie how many frames apart."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import numpy as np

#: Rules by name. ``folders``: a folder is a sequence, and the file's name is the frame's number. ``numbered``: all that
#: comes before the last number of the path is the sequence.
RULES = dict(
    folders=r'(?P<sequence>.+)/(?P<frame>\d+)\.\w+$',
    numbered=r'(?P<sequence>.*?)(?P<frame>\d+)\.\w+$',
)


class SequenceRule:
    """Says of an entry of a data list which sequence it is of, and which frame of it.

    Args:
        rule (str): ``'fields'``: the entry has ``sequence_id`` and ``frame``. Else a name of :data:`RULES`, or a
            regular expression that is searched in the entry's ``img_path`` (with ``/`` between folders). Its group
            ``frame`` is a whole number; ``sequence`` and all other named groups together tell the sequence.
        person (str, optional): Field of the entry, or of its ``raw_ann_info``, that tells several people of a picture
            apart, such as ``track_id``.

    Raises:
        ValueError: no regular expression, or one without the groups ``sequence`` and ``frame``.
    """

    def __init__(self, rule: str = 'folders', person: str | None = None):
        self.rule, self.person = rule, person
        self.pattern = None
        if rule == 'fields':
            return
        try:
            self.pattern = re.compile(RULES.get(rule, rule))
        except re.error as error:
            raise ValueError(
                f'sequence={rule!r} is neither fields, {", ".join(RULES)} nor a regular expression: {error}'
            ) from None
        missing = [name for name in ('sequence', 'frame') if name not in self.pattern.groupindex]
        if missing:
            raise ValueError(
                f'sequence={rule!r} lacks the named group {" and ".join(missing)}: a regular expression for img_path '
                f'must have both, as {RULES["folders"]!r}; names of rules are fields, {", ".join(RULES)}'
            )

    def __str__(self) -> str:
        return self.rule if self.pattern is None else self.pattern.pattern

    def __call__(self, entry: Mapping) -> tuple[str, int]:
        """Sequence and frame number of an entry.

        Raises:
            ValueError: the rule does not fit; names the path.
        """
        path = entry.get('img_path')
        name, frame = self._by_fields(entry) if self.pattern is None else self._by_path(entry, path)
        if self.person:
            who = entry.get(self.person, (entry.get('raw_ann_info') or {}).get(self.person))
            if who is None:
                raise ValueError(f'{path or "an entry"} has no {self.person!r} to tell people apart by')
            name = f'{name}#{who}'
        return name, frame

    @staticmethod
    def _by_fields(entry: Mapping) -> tuple[str, int]:
        try:
            return str(entry['sequence_id']), int(entry['frame'])
        except KeyError as error:
            raise ValueError(
                f"sequence='fields' needs sequence_id and frame in the data list, but {entry.get('img_path') or 'it'} "
                f'has no {error}, only {", ".join(sorted(map(str, entry)))}; give a regular expression for img_path, '
                'or a data set of sequences'
            ) from None

    def _by_path(self, entry: Mapping, path: str | None) -> tuple[str, int]:
        if not path:
            raise ValueError(
                f'the rule {str(self)!r} needs img_path, which the data list lacks or leaves empty '
                f'(it has {", ".join(sorted(entry))}); '
                "sequence='fields' takes sequence_id and frame of a data set that gives them"
            )
        found = self.pattern.search(path.replace(os.sep, '/'))
        if found is None:
            raise ValueError(
                f'the rule {str(self)!r} does not match {path}: give a regular expression with the groups sequence and '
                'frame that does'
            )
        groups = found.groupdict()
        try:
            frame = int(groups.pop('frame'))
        except (TypeError, ValueError):
            raise ValueError(f'the rule {str(self)!r} finds no whole number as the frame of {path}') from None
        return '/'.join(str(group) for group in groups.values()), frame


class Partners:
    """For every frame those of its sequence that lie a given number of frames before or after.

    Building takes a sort, a draw constant time; four numbers a frame are kept.

    Args:
        sequences (np.ndarray): (N,) numbers of the frames' sequences, 0 to S - 1, each at least once.
        frames (np.ndarray): (N,) int64, numbers of the frames.
        gap (tuple[int, int]): Least and largest distance, at least 1; both count.

    Attributes:
        bases (np.ndarray): (M,) rising indices of the frames that have a partner.
        distances (tuple[int, int]): Least and largest distance of two frames of a sequence; None where none has two.
        same (tuple[int, int]): Indices of two entries that are one frame of one sequence; None where all differ.

    Raises:
        ValueError: numbers that are too large.
    """

    def __init__(self, sequences: np.ndarray, frames: np.ndarray, gap: tuple[int, int]):
        low, high = gap
        order = np.lexsort((frames, sequences))
        sequences, frames = sequences[order], frames[order]
        first = np.flatnonzero(np.append(True, sequences[1:] != sequences[:-1]))
        inside = frames - frames[first][sequences]
        span = int(inside.max()) + high + 1
        if span * len(first) >= 2**62:
            raise ValueError(f'frame numbers that differ by {span} in a sequence cannot be handled')
        # sequences one after the other on one axis, farther apart than any partner
        places = sequences * span + inside
        edges = [(-high, 'left'), (-low, 'right'), (low, 'left'), (high, 'right')]
        self._edges = np.stack([np.searchsorted(places, places + step, side) for step, side in edges], 1)
        self._order, self._row = order, np.argsort(order)
        counts = self._edges[:, 1] - self._edges[:, 0] + self._edges[:, 3] - self._edges[:, 2]
        self.bases = np.sort(order[counts > 0])
        steps = np.diff(places)[np.diff(sequences) == 0]
        self.distances = (int(steps.min()), int(inside.max())) if len(steps) else None
        same = np.flatnonzero(np.diff(places) == 0)[:1]
        self.same = (int(order[same[0]]), int(order[same[0] + 1])) if len(same) else None

    def of(self, index: int) -> np.ndarray:
        """Indices of the partners of entry ``index``."""
        a, b, c, d = self._edges[self._row[index]]
        return np.concatenate([self._order[a:b], self._order[c:d]])

    def draw(self, index: int) -> int:
        """One of the partners, all equally likely, by NumPy's global generator as MMPose's transforms draw."""
        a, b, c, d = self._edges[self._row[index]]
        pick = np.random.randint(b - a + d - c)  # noqa: NPY002
        return int(self._order[a + pick if pick < b - a else c + pick - (b - a)])
