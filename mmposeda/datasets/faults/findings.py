"""What a check says, and how it names things."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

ERROR, WARNING = 'error', 'warning'
NAMED = 3


class Finding(NamedTuple):
    """Something missing or wrong.

    Attributes:
        level (str): ``error``: a run fails or learns nonsense; ``warning``: it may be meant.
        text (str): The thing (file, sample, joint by name), what was got and expected, and the way out.
    """

    level: str
    text: str

    def __str__(self) -> str:
        return f'{self.level}: {self.text}'


def error(text: str) -> Finding:
    """A finding that speaks against a run."""
    return Finding(ERROR, text)


def warning(text: str) -> Finding:
    """A finding that may be meant."""
    return Finding(WARNING, text)


def spread(count: int, most: int) -> np.ndarray:
    """At most so many of ``count`` indices, evenly over all of them, int64."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)) if count else np.arange(0)


def first_of(names: Sequence) -> str:
    """The first of some names, and how many more there are."""
    more = len(names) - NAMED
    return ', '.join(map(str, names[:NAMED])) + (f' and {more} more' if more > 0 else '')
