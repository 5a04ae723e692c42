"""Difficulty by rank: equal bins, subsets and curriculum stages of scored samples. Pure NumPy.

Source: "Towards Effective Synthetic Data Sampling for Domain Adaptive Pose Estimation". The paper sorts poses by the
error of their reconstruction, cuts the order into groups of equal size and trains on the hardest third or from easy to
hard. How ties, remainders and samples without a score are treated is our choice and said here.

Legend: N samples, n of them with a score, rank 0 is the easiest, k bins.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

SUBSETS = ('all', 'hard', 'easy', 'random33')


def equal_bins(scores: np.ndarray, ids: np.ndarray, k: int = 25) -> tuple[np.ndarray, np.ndarray]:
    """Sort by difficulty and cut into bins of equal size.

    Bin j holds the ranks from floor(j n / k) to floor((j + 1) n / k) - 1: sizes differ by 1 at most, and with n < k
    some bins are empty. Equal scores are sorted by id, so the order does not depend on the one in which samples come.

    Args:
        scores (np.ndarray): (N,), larger is harder; NaN for a sample without a score.
        ids (np.ndarray): (N,) of whole numbers or of strings, each only once.
        k (int): Number of bins.

    Returns:
        tuple[np.ndarray, np.ndarray]: ``order`` (n,) int64, positions of the scored samples from the easiest to the
        hardest, and ``bins`` (N,) int16 in 0 to k - 1, -1 where there is no score.

    Raises:
        ValueError: No sample, no score that is a number, or a number of bins that does not fit.
    """
    scores, ids = np.asarray(scores), np.asarray(ids)
    if scores.ndim != 1 or scores.shape != ids.shape:
        raise ValueError(f'scores {scores.shape} and ids {ids.shape} must be one list each, of the same length')
    if not 1 <= k <= np.iinfo(np.int16).max:
        raise ValueError(f'{k} bins asked for, expected 1 to {np.iinfo(np.int16).max}')
    scored = np.flatnonzero(~np.isnan(scores))
    if not len(scored):
        raise ValueError(
            f'none of {len(scores)} samples has a score: there is nothing to sort. Scores need visible joints'
        )
    by_id = scored[np.argsort(ids[scored], kind='stable')]
    order = by_id[np.argsort(scores[by_id], kind='stable')]
    starts = np.arange(k, dtype=np.int64) * len(order) // k
    bins = np.full(len(scores), -1, np.int16)
    bins[order] = np.searchsorted(starts, np.arange(len(order)), side='right') - 1
    return order, bins


def first_rank(share: float, n: int) -> int:
    """ceil(share * n), with a share such as 1/3 or 2/3 taken for that ratio and not for the float next to it."""
    ratio = Fraction(share).limit_denominator(10**6)
    return -(-ratio.numerator * n // ratio.denominator)


def subset_size(n: int, strategy: str, fraction: float = 1 / 3) -> int:
    """How many of n samples :func:`select_subset` takes."""
    if strategy not in SUBSETS:
        raise ValueError(f'unknown subset {strategy!r}, expected one of {", ".join(SUBSETS)}')
    if not 0 < fraction <= 1:
        raise ValueError(f'fraction {fraction} of the samples must be above 0 and at most 1')
    if strategy == 'all':
        return n
    return first_rank(fraction, n) if strategy == 'easy' else n - first_rank(1 - fraction, n)


def select_subset(order: np.ndarray, strategy: str, fraction: float = 1 / 3, seed: int = 0) -> np.ndarray:
    """Choose samples by difficulty.

    ``hard``: ranks from ceil((1 - fraction) n) on, the paper's hardest third (cut by rank: a third is no whole number
    of 25 bins). ``easy``: ranks below ceil(fraction n). With a third, they and the ranks between share out all samples.
    ``random33``: as many as ``hard`` has, drawn without looking at the ranks, the control of what fewer samples alone
    do (not in the paper). ``all``: all.

    Args:
        order (np.ndarray): (n,) positions of samples, easiest first.
        strategy (str): One of :data:`SUBSETS`.
        fraction (float): Share of the samples, in (0, 1]; no matter for ``all``.
        seed (int): Of ``random33``, >= 0.

    Returns:
        np.ndarray: Their positions, easiest first; of ``random33`` sorted by position.

    Raises:
        ValueError: Unknown strategy, or nothing is left.
    """
    order = np.asarray(order)
    size = subset_size(len(order), strategy, fraction)
    if not size:
        raise ValueError(f'{strategy} takes {fraction:.3g} of {len(order)} samples, which is none; take a larger share')
    if strategy == 'random33':
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, 33))))
        return np.sort(generator.permutation(np.sort(order))[:size])
    return order[-size:] if strategy == 'hard' else order[:size]


def curriculum_sets(order: np.ndarray, count: int) -> list[np.ndarray]:
    """Nested sets of a curriculum: stage s of ``count`` has the ranks below ceil((s + 1) n / count).

    With three stages these are the easy third, easy and medium, and all.
    """
    order = np.asarray(order)
    return [order[: -(-(stage + 1) * len(order) // count)] for stage in range(count)]


def curriculum_stage(progress: float, stages: Sequence[float] = (1 / 3, 2 / 3)) -> int:
    """Stage at a point of the training.

    Args:
        progress (float): Done share of the training in [0, 1].
        stages (sequence[float]): Where the second and later stages begin, rising, in (0, 1). A stage begins at its
            border itself: intervals are open on the right.

    Returns:
        int: From 0 to ``len(stages)``, which it is at the end.

    Raises:
        ValueError: Borders that do not rise within (0, 1), or progress outside of [0, 1].
    """
    check_stages(stages)
    if not 0 <= progress <= 1:
        raise ValueError(f'progress {progress} must be a share of the training in [0, 1]')
    return bisect_right(list(stages), progress)


def check_stages(stages: Sequence[float]) -> None:
    """Raise a ValueError unless borders of a curriculum rise within (0, 1)."""
    bounds = [0, *stages, 1]
    if not all(low < high for low, high in zip(bounds, bounds[1:])):  # a NaN is no border either
        raise ValueError(
            f'stages {tuple(stages)} must say where the second and later ones begin, rising and between 0 and 1, '
            'such as (1/3, 2/3)'
        )
