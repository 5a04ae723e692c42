"""Three streams of poses for training an augmentor: pairs, real 2D poses and real 3D poses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset

from mmposeda.registry import DATASETS

from .checks import check_domains
from .lifting import LiftingDataset

STREAMS = ('pairs', 'real_2d', 'real_3d')


@DATASETS.register_module()
class PoseStreams(Dataset):
    """Data sets joined for :class:`DomainSampler` with ``quotas=[n, n, n]``, which runs through each in its own order.

    PoseAug edits the poses of one stream and shows its discriminators real 2D and 3D poses of two others. By default
    all three are one data set, held once.

    A batch is ``dict(inputs=dict(pairs=…, real_2d=…, real_3d=…), data_samples=dict(pairs=…, …))``, each part a batch of
    :class:`~mmposeda.datasets.lifting.LiftingDataset`; a part with a quota of 0 is missing. The loader has
    ``collate_fn=dict(type='take_batch')``.

    Args:
        dataset (dict | LiftingDataset): Data set of the pairs, absolute poses with cameras.
        real_2d (dict | LiftingDataset, optional): Of the real 2D poses, for instance of the target domain.
        real_3d (dict | LiftingDataset, optional): Of the real 3D poses.

    Attributes:
        datasets (list[LiftingDataset]): One a stream; the same object where it is the same data set.

    Raises:
        TypeError: a data set is of another kind, or has a pipeline.
        ValueError: they have different joints, or the pairs' roots or cameras are not known.
    """

    def __init__(
        self,
        dataset: dict | LiftingDataset,
        real_2d: dict | LiftingDataset | None = None,
        real_3d: dict | LiftingDataset | None = None,
    ):
        pairs = _build('dataset', dataset)
        self.datasets = [
            pairs,
            *(pairs if part is None else _build(name, part) for name, part in zip(STREAMS[1:], (real_2d, real_3d))),
        ]
        if not pairs.projectable:
            raise ValueError(
                f'PoseStreams cannot take pairs from {type(pairs).__name__} here: its files lack cameras or the '
                "people's positions, so that edited poses cannot be projected. It will do for real_2d or real_3d"
            )
        check_domains(self)
        self._ends = np.cumsum([len(part) for part in self.datasets])

    @property
    def metainfo(self) -> dict:
        """Of the pairs."""
        return self.datasets[0].metainfo

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitems__(self, indices: Sequence[int]) -> dict:
        index = np.asarray(indices)
        if len(index) and not 0 <= index.min() <= index.max() < len(self):
            raise IndexError(f'indices {index.min()} to {index.max()} of {len(self)} samples')
        stream = np.searchsorted(self._ends, index, side='right')
        batch: dict = dict(inputs={}, data_samples={})
        for number, (name, part) in enumerate(zip(STREAMS, self.datasets)):
            chosen = index[stream == number]
            if len(chosen):
                taken = part.__getitems__(chosen - (self._ends[number] - len(part)))
                batch['inputs'][name], batch['data_samples'][name] = taken['inputs'], taken['data_samples']
        return batch

    def __getitem__(self, index: int) -> dict:
        return self.__getitems__([range(len(self))[index]])


def _build(name: str, dataset: dict | LiftingDataset) -> LiftingDataset:
    built = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
    if not isinstance(built, LiftingDataset) or built.pipeline is not None:
        what = 'one with a pipeline' if isinstance(built, LiftingDataset) else type(built).__name__
        raise TypeError(f'PoseStreams wants a 2D-3D data set without a pipeline as {name}, got {what}')
    return built
