"""Endless streams of indices, any stretch of which can be had without what lies before it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class ShuffledStream:
    """Endless stream of shuffled passes over ``length`` indices; any stretch of it in time of its own length.

    Pass k is a permutation drawn from (seed, k), so position p needs pass p // length alone and nothing before it.

    Args:
        length (int): how many indices there are.
        seed (tuple[int]): one or more numbers >= 0.
        shuffle (bool): False leaves every pass in order.
    """

    def __init__(self, length: int, seed: Sequence[int], shuffle: bool = True):
        self.length, self.seed, self.shuffle = length, tuple(seed), shuffle
        self._pass, self._order = -1, None

    def take(self, start: int, count: int) -> list[int]:
        """Indices at positions ``start`` to ``start + count - 1``."""
        out: list = []
        while count > 0:
            number, offset = divmod(start, self.length)
            if number != self._pass:
                generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence((*self.seed, number))))
                self._pass, self._order = number, self._draw(generator).tolist()
            piece = self._order[offset : offset + count]
            out += piece
            start, count = start + len(piece), count - len(piece)
        return out

    def _draw(self, generator: np.random.Generator) -> np.ndarray:
        return generator.permutation(self.length) if self.shuffle else np.arange(self.length)


class WeightedStream(ShuffledStream):
    """Endless stream in which index i has the share ``weights[i]``, as even as whole numbers allow.

    In each pass of n draws index i comes floor(n p_i) or ceil(n p_i) times, n p_i on average over the passes
    (systematic sampling): less noise than independent draws, in which a third of equally likely samples is missing.

    Args:
        weights (np.ndarray): (n,) finite and >= 0, with a sum above 0.
        seed, shuffle: as of :class:`ShuffledStream`.
    """

    def __init__(self, weights: np.ndarray, seed: Sequence[int], shuffle: bool = True):
        super().__init__(len(weights), seed, shuffle)
        total = np.cumsum(weights, dtype=np.float64)
        self._upper = total / total[-1] * self.length

    def _draw(self, generator: np.random.Generator) -> np.ndarray:
        points = np.arange(self.length) + generator.random()
        drawn = np.minimum(np.searchsorted(self._upper, points, side='right'), self.length - 1)
        return generator.permutation(drawn) if self.shuffle else drawn


class Stage(NamedTuple):
    """Part of a stream: from position ``start`` on, ``stream`` over ``indices`` (int64 array)."""

    start: int
    indices: np.ndarray
    stream: ShuffledStream


class StagedStream:
    """Streams over different sets of indices one after the other; each begins anew where its stage starts.

    Args:
        stages (sequence[Stage]): by rising start, the first at 0; the last has no end.
    """

    def __init__(self, stages: Sequence[Stage]):
        self.stages = tuple(stages)
        self._starts = [stage.start for stage in self.stages]

    def take(self, start: int, count: int) -> list[int]:
        """Indices at positions ``start`` to ``start + count - 1``."""
        out: list = []
        while count > 0:
            number = bisect_right(self._starts, start)
            first, indices, stream = self.stages[number - 1]
            piece = count if number == len(self.stages) else min(count, self._starts[number] - start)
            out += indices[stream.take(start - first, piece)].tolist()
            start, count = start + piece, count - piece
        return out
