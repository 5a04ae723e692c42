"""Batches of several parts of a joined data set, one part at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmposeda.registry import DATA_SAMPLERS

from .domain_sampler import JoinedSampler


@DATA_SAMPLERS.register_module()
class TurnSampler(JoinedSampler):
    """Indices of a joined data set whose parts take turns: batch b comes wholly from part ``turns[b % len(turns)]``.

    For losses that are trained one after the other, each on samples of its own kind, such as pictures and clips that do
    not fit into one batch. Each part runs through its own stream at its own pace, see :class:`JoinedSampler`.

    Args:
        dataset: MMPose's ``CombinedDataset`` or MMEngine's ``ConcatDataset``.
        batch_size (int): samples in a batch of one rank, the same for all parts; the loader's must be equal.
        turns (sequence[int], optional): numbers of the parts in the order of the batches, over and over; a part may
            come several times, one that is not named is left out. By default all of them, one after the other.
        samplers, epoch_length, seed: as of :class:`JoinedSampler`.

    Raises:
        ValueError: turns that name no part, or an empty one, another ``batch_size`` of the loader, and as of
            :class:`JoinedSampler`.
        TypeError: the data set is not a joined one.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        turns: Sequence[int] | None = None,
        samplers: Sequence[dict | None] | Mapping[str, dict | None] | None = None,
        epoch_length: int | None = None,
        seed: int | None = None,
    ):
        parts = range(len(self._lengths(dataset)))
        self.turns = tuple(parts if turns is None else turns)
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f'TurnSampler got batch_size={batch_size!r}, expected a whole number of at least 1')
        if not self.turns or any(not isinstance(part, int) or part not in parts for part in self.turns):
            names = ', '.join(f'{i} ({type(part).__name__})' for i, part in enumerate(dataset.datasets))
            raise ValueError(f'TurnSampler got turns={list(self.turns)}, expected numbers of parts: {names}')
        super().__init__(
            dataset, [batch_size if part in self.turns else 0 for part in parts], samplers, epoch_length, seed
        )
        self._batch_size = batch_size

    @property
    def batch_size(self) -> int:
        """Samples in a batch of one rank: what the loader's ``batch_size`` must be."""
        return self._batch_size

    def set_batch_size(self, batch_size: int, drop_last: bool = False) -> None:
        """Told by the loops of this package what the loader's batch is.

        Raises:
            ValueError: it is another one, with which batches would mix the parts.
        """
        if batch_size != self._batch_size:
            raise ValueError(
                f'the loader has batch_size={batch_size}, its TurnSampler {self._batch_size}: set both to the same, or '
                'batches would mix the parts'
            )

    def parts_of(self, batch: int) -> Sequence[int]:
        """The part whose turn it is."""
        return [self.turns[batch % len(self.turns)]]

    def times(self, part: int, batch: int) -> int:
        """How many of the batches before this one were a part's turn."""
        rounds, rest = divmod(batch, len(self.turns))
        return rounds * self.turns.count(part) + self.turns[:rest].count(part)

    @property
    def state(self) -> dict:
        """What fixes the order of samples: equal states give equal batches."""
        return dict(super().state, turns=self.turns)

    def _pass(self) -> int:
        together = self._batch_size * self.world_size
        rounds = (-(-self._part_lengths[part] // (together * self.turns.count(part))) for part in set(self.turns))
        return max(rounds) * len(self.turns)
