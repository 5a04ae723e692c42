"""Which samples of a data set are trained on, and when, by the difficulty of their poses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from mmengine.dataset import RepeatDataset
from mmengine.dist import get_dist_info, sync_random_seed
from mmengine.logging import print_log
from torch.utils.data import Sampler

from mmposeda.registry import DATA_SAMPLERS
from mmposeda.structures.difficulty import (
    check_stages,
    curriculum_sets,
    equal_bins,
    first_rank,
    select_subset,
    subset_size,
)

from ..difficulty import DifficultyScores, ScoreFileError, match_rows
from ..unlabeled import UnlabeledDataset, UnlabeledImageDataset
from .streams import ShuffledStream, Stage, StagedStream, WeightedStream

STRATEGIES = ('all', 'hard', 'easy', 'random33', 'curriculum', 'weighted')


@DATA_SAMPLERS.register_module()
class DifficultyBinSampler(Sampler):
    """Trains on hard, easy or random samples, or from easy to hard.

    Source: "Towards Effective Synthetic Data Sampling for Domain Adaptive Pose Estimation", whose VAE-HM is ``hard``
    and whose VAE-CL is ``curriculum``; borders of the stages, ties and the other strategies are our choice. Samples
    are ranked by their score, and by id among equals, within the data set at hand (N samples, n of them scored):

    - ``all``: every sample.
    - ``hard``: the hardest ``fraction``, ranks from ceil((1 - fraction) n) on.
    - ``easy``: the easiest ``fraction``, ranks below ceil(fraction n); the control for ``hard``.
    - ``random33``: a ``fraction`` of all N fixed by the seed, as many as ``hard`` takes; the control for its size.
    - ``curriculum``: cumulative, in equal parts: the easy third, then easy and medium, then all N.
    - ``weighted``: every scored sample, with probability proportional to ((rank + 1) / n) ** ``gamma``.

    A sample without a score (too few visible joints) has no rank: it belongs to ``all``, ``random33`` and the last
    stage of ``curriculum`` alone.

    It serves in two ways. As a part's sampler in :class:`DomainSampler` it is an endless stream common to all ranks
    (:meth:`take`). Alone it gives epochs of ``len()`` indices a rank: the epoch's list is drawn from (seed, epoch)
    alone, padded cyclically to a multiple of the ranks, and rank r takes every world-th from r on. In both, what is
    drawn is a function of its position, so a resumed run goes on with the same samples. ``len()`` does not depend on
    scores or stages: a smaller set is repeated in whole permutations, cut to length.

    A stage of a curriculum begins with the first batch b of which b / batches of the training is at or above its
    border, on all ranks alike; batches that data workers had made by then come before. How many batches the training
    has is told by the loops of this package (:meth:`set_total_batches`), or by ``total_samples``.

    Args:
        dataset: labelled data set; for ``all`` and ``random33`` any.
        score_file (str, optional): of ``tools/score_poses.py`` or ``DifficultyScoringHook``, of this data set or of
            one that it is a part of. Read when the first index is asked for.
        strategy (str): see above.
        fraction (float): share of the samples for ``hard``, ``easy`` and ``random33``, in (0, 1].
        k (int): bins of the score file, where it is made for this sampler.
        stages (sequence[float]): where the second and later stages of ``curriculum`` begin, shares of the training;
            k borders make k + 1 stages.
        gamma (float): of ``weighted``; 0 is uniform, below 0 prefers easy samples.
        drop_top (float): share of the scored samples, the hardest, that is left out as probably wrong annotations.
        samples_per_epoch (int, optional): alone, indices in an epoch over all ranks; None: as many as the last stage
            would have with every sample scored.
        total_samples (int, optional): samples that all ranks draw in the whole training, for a curriculum in loops
            that do not tell; it goes before what they tell.
        shuffle (bool): False goes through the sets in the order of the data set.
        round_up (bool): alone, pad so that all ranks have equally many.
        seed (int, optional): >= 0. None takes one that the ranks agree on; then a resumed run draws other samples.

    Raises:
        ValueError: an argument out of its range, a strategy that needs a score file and has none, or that leaves no
            sample; an unlabelled data set.
        FileNotFoundError, ScoreFileError: when the first index is asked for, see :class:`DifficultyScores`.
    """

    def __init__(
        self,
        dataset: Any,
        score_file: str | None = None,
        strategy: str = 'all',
        fraction: float = 1 / 3,
        k: int = 25,
        stages: Sequence[float] = (1 / 3, 2 / 3),
        gamma: float = 1.0,
        drop_top: float = 0.0,
        samples_per_epoch: int | None = None,
        total_samples: int | None = None,
        shuffle: bool = True,
        round_up: bool = True,
        seed: int | None = None,
    ):
        self.dataset = dataset.dataset if isinstance(dataset, RepeatDataset) else dataset
        self.score_file, self.strategy, self.fraction, self.k = score_file, strategy, fraction, k
        self.stages, self.gamma, self.drop_top = tuple(stages), gamma, drop_top
        self.total_samples, self.shuffle, self.round_up = total_samples, shuffle, round_up
        self._check(samples_per_epoch)
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.samples_per_epoch = samples_per_epoch or self._full_length(len(dataset))
        self._batch_size, self._drop_last, self._batches = 1, False, None
        self._epoch = self._skip = 0
        self._sets = self._endless = None

    @property
    def needs_scores(self) -> bool:
        """Whether the score file is read."""
        return self.strategy not in ('all', 'random33')

    @property
    def state(self) -> dict:
        """What fixes the order of samples, beside the scores: equal states give equal batches."""
        names = ('strategy', 'fraction', 'stages', 'gamma', 'drop_top', 'total_samples', 'shuffle', 'seed')
        return dict(batches=self._batches, **{name: getattr(self, name) for name in names})

    def set_batch_size(self, batch_size: int, drop_last: bool = False) -> None:
        """Say how many samples a batch of one rank has, of this sampler; the loader and ``DomainSampler`` do."""
        self._batch_size, self._drop_last, self._endless = int(batch_size), drop_last, None

    def set_total_batches(self, batches: int) -> None:
        """Say how many batches the whole training has, as the loops of this package do before the first one."""
        self._batches, self._endless = int(batches), None

    def set_epoch(self, epoch: int) -> None:
        """Begin at the start of an epoch."""
        self._epoch, self._skip = int(epoch), 0

    def set_start(self, batch_index: int) -> None:
        """Begin at this batch, counted from the start of training, and go on to the end of its epoch."""
        self._epoch, batch = divmod(int(batch_index), self._epoch_batches)
        self._skip = batch * self._batch_size

    def stage(self, batch_index: int) -> int:
        """Stage of a batch, counted from the start of training; 0 without a curriculum."""
        return sum(first <= batch_index for first in self._first_batches()) - 1

    def take(self, start: int, count: int) -> list[int]:
        """Indices at positions ``start`` to ``start + count - 1`` of an endless stream that all ranks share."""
        if self._endless is None:
            width = self._batch_size * self.world_size
            self._endless = self._stream((self.seed,), [first * width for first in self._first_batches()])
        return self._endless.take(start, count)

    def __len__(self) -> int:
        if self.round_up:
            return -(-self.samples_per_epoch // self.world_size)
        return -(-(self.samples_per_epoch - self.rank) // self.world_size)

    def __iter__(self) -> Iterator[int]:
        length, world = self.samples_per_epoch, self.world_size
        width = self._batch_size * world
        epochs = (divmod(first, self._epoch_batches) for first in self._first_batches())
        # an epoch that a stage was begun before starts with it
        starts = [0 if epoch < self._epoch else batch * width for epoch, batch in epochs if epoch <= self._epoch]
        indices = self._stream((self.seed, self._epoch), starts).take(0, length)
        if self.round_up:
            whole = -(-length // world) * world
            indices = (indices * -(-whole // length))[:whole]
        yield from indices[self.rank + self._skip * world :: world]

    @property
    def _epoch_batches(self) -> int:
        length = -(-self.samples_per_epoch // self.world_size)
        return max(length // self._batch_size if self._drop_last else -(-length // self._batch_size), 1)

    def _first_batches(self) -> list[int]:
        """Batch with which each stage begins."""
        if self.strategy != 'curriculum':
            return [0]
        if self.total_samples is not None:
            total = Fraction(self.total_samples, self._batch_size * self.world_size)
        elif self._batches is not None:
            total = Fraction(self._batches)
        else:
            raise RuntimeError(
                "DifficultyBinSampler(strategy='curriculum') does not know how long the training is: train with this "
                "package's loops ('mmposeda.IterBasedTrainLoop', 'mmposeda.EpochBasedTrainLoop'), which tell it, or "
                'give it total_samples, the number that all ranks draw in the whole training'
            )
        return [0, *(math.ceil(Fraction(border).limit_denominator(10**6) * total) for border in self.stages)]

    def _stream(self, seed: tuple[int, ...], starts: Sequence[int]) -> StagedStream:
        """The sets from these positions on, each with a seed of its own."""
        if self._sets is None:
            self._sets = self._load()
        stages = []
        for number, (start, indices) in enumerate(zip(starts, self._sets)):
            own = (*seed, number)
            if self.strategy == 'weighted':
                weights = np.arange(1, len(indices) + 1, dtype=np.float64) / len(indices)
                stream = WeightedStream(weights**self.gamma, own, self.shuffle)
            else:
                stream = ShuffledStream(len(indices), own, self.shuffle)
            stages.append(Stage(start, indices, stream))
        return StagedStream(stages)

    def _load(self) -> list[np.ndarray]:
        """Indices of each stage; without a curriculum there is one. Those of ``weighted`` are in order of rank."""
        count = len(self.dataset)
        if not self.needs_scores:
            sets = [select_subset(np.arange(count), self.strategy, self.fraction, self.seed)]
        else:
            scores = DifficultyScores.load(self.score_file)
            rows = match_rows(self.dataset, scores, self.score_file)
            values = scores.scores[rows]
            try:
                order, _ = equal_bins(values, scores.ids[rows], self.k)
                order = order[: first_rank(1 - self.drop_top, len(order))]
                sets = [order]
                if self.strategy in ('hard', 'easy'):
                    sets = [select_subset(order, self.strategy, self.fraction)]
            except ValueError as error:
                raise ScoreFileError(f'{self.score_file}: {error}') from None
            if self.strategy == 'curriculum':
                sets = curriculum_sets(order, len(self.stages) + 1)
                sets[-1] = np.concatenate([order, np.flatnonzero(np.isnan(values))])
        sizes = ', then '.join(str(len(indices)) for indices in sets)
        print_log(
            f'DifficultyBinSampler: {self.strategy}, {sizes} of {count} samples of {type(self.dataset).__name__}',
            logger='current',
        )
        return sets if self.strategy == 'weighted' else [np.sort(indices) for indices in sets]

    def _full_length(self, count: int) -> int:
        """Samples of the last stage if all have a score."""
        if self.needs_scores:
            count = first_rank(1 - self.drop_top, count)
        if self.strategy in ('hard', 'easy', 'random33'):
            count = subset_size(count, self.strategy, self.fraction)
        if not count:
            raise ValueError(
                f'{type(self.dataset).__name__} of {len(self.dataset)} samples leaves none for {self.strategy} with '
                f'fraction={self.fraction:.3g} and drop_top={self.drop_top:g}; take more data or other values'
            )
        return count

    def _check(self, samples_per_epoch: int | None) -> None:
        name = type(self.dataset).__name__
        if self.strategy not in STRATEGIES:
            raise ValueError(f'strategy={self.strategy!r} is unknown, expected one of {", ".join(STRATEGIES)}')
        subset_size(0, 'hard', self.fraction)
        check_stages(self.stages)
        if not math.isfinite(self.gamma):
            raise ValueError(f'gamma={self.gamma} must be a finite number')
        if not 0 <= self.drop_top < 1:
            raise ValueError(f'drop_top={self.drop_top} must be a share of the samples in [0, 1)')
        for key, value in dict(samples_per_epoch=samples_per_epoch, total_samples=self.total_samples).items():
            if value is not None and value < 1:
                raise ValueError(f'{key}={value} must be at least 1')
        if not self.needs_scores:
            return
        if not self.score_file:
            raise ValueError(f'strategy={self.strategy!r} needs a score_file of {name}, see tools/score_poses.py')
        if isinstance(self.dataset, (UnlabeledDataset, UnlabeledImageDataset)):
            raise ValueError(
                f'strategy={self.strategy!r} for {name}, which has no joints to score: the target is not subsampled; '
                "leave its sampler out, or take 'all' or 'random33'"
            )
