"""Several test sets for lifting, evaluated in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from mmposeda.registry import DATASETS

from .checks import check_domains
from .lifting import LiftingDataset


@DATASETS.register_module()
class LiftingSets(Dataset):
    """Lifting data sets one after the other under names, so that one evaluation gives a value for each.

    Their actions become ``SET/ACTION``; ``LiftingMetric`` gives ``MPJPE/SET`` beside its means. The loader has
    ``collate_fn=dict(type='take_batch')``.

    Args:
        datasets (dict[str, dict]): Configs by name; a name holds no slash. None leaves out what a base config has.

    Attributes:
        datasets (list[LiftingDataset]): In the order of the config.

    Raises:
        TypeError: A part is no lifting data set, or has a pipeline.
        ValueError: No parts, a name with a slash, or parts of different joints.
    """

    def __init__(self, datasets: Mapping[str, dict | None]):
        parts = {name: cfg for name, cfg in datasets.items() if cfg is not None}
        if not parts or any('/' in name for name in parts):
            raise ValueError(f'LiftingSets wants data sets under names without a slash, got {list(parts)}')
        self.names = tuple(parts)
        self.datasets = [DATASETS.build(cfg) if isinstance(cfg, Mapping) else cfg for cfg in parts.values()]
        for name, part in zip(self.names, self.datasets):
            if not isinstance(part, LiftingDataset) or part.pipeline is not None:
                raise TypeError(
                    f'LiftingSets wants 2D-3D data sets without a pipeline, {name!r} is {type(part).__name__}'
                )
        self._ends = np.cumsum([len(part) for part in self.datasets])
        actions = [part.metainfo['action_names'] for part in self.datasets]
        self._action_starts = np.cumsum([0, *map(len, actions)])
        self._names = tuple(f'{name}/{action}' for name, part in zip(self.names, actions) for action in part)
        check_domains(self)

    @property
    def metainfo(self) -> dict:
        """Of the first part, with the actions of all."""
        return {**self.datasets[0].metainfo, 'action_names': self._names}

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitems__(self, indices: Sequence[int]) -> dict:
        index = np.asarray(indices)
        part = np.searchsorted(self._ends, index, side='right')
        taken = []
        for number in np.unique(part):
            dataset = self.datasets[number]
            start = int(self._ends[number]) - len(dataset)
            batch = dataset.__getitems__(index[part == number] - start)
            batch['data_samples']['index'] += start
            batch['data_samples']['action'] += int(self._action_starts[number])
            taken.append(batch)
        return {
            key: {name: torch.cat([batch[key][name] for batch in taken]) for name in taken[0][key]}
            for key in ('inputs', 'data_samples')
        }

    def __getitem__(self, index: int) -> dict:
        return self.__getitems__([range(len(self))[index]])
