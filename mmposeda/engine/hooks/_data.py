"""One look at chosen samples of a data set, which the training does not notice."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader, Dataset

from mmposeda.datasets.unlabeled import UnlabeledDataset, UnlabeledImageDataset

from .. import random_state
from ..resumable_loader import ResumableLoader

_LOOKED_AT = 8  # samples that are drawn twice to see whether the pipeline is random


def one_pass(
    runner, dataset: Dataset, indices: Sequence[int], batch_size: int, num_workers: int | None
) -> ResumableLoader:
    """Loader of these samples in this order; ``num_workers`` is the training's by default."""
    training = runner.train_dataloader
    workers = training.num_workers if num_workers is None else num_workers
    context = dict(multiprocessing_context=training.multiprocessing_context) if workers else {}
    plain = DataLoader(dataset, batch_size, sampler=indices, num_workers=workers, collate_fn=pseudo_collate, **context)
    # of its kind for the workers that outlive a signal, and for the random state that is left alone
    return ResumableLoader(plain, runner.seed, endless=False)


def unlabelled_part(dataset: Dataset, owner: str) -> UnlabeledDataset | UnlabeledImageDataset:
    """The one part of the training data that has no labels.

    Args:
        dataset (Dataset): Of the training.
        owner (str): Who asks, for messages.

    Raises:
        ValueError: There is none, or several.
    """
    parts = getattr(dataset, 'datasets', [])
    found = [part for part in parts if isinstance(part, (UnlabeledDataset, UnlabeledImageDataset))]
    if len(found) != 1:
        names = ', '.join(type(part).__name__ for part in parts) or 'none'
        raise ValueError(
            f'{owner} labels the one part of the training data that has no labels, and found {len(found)} among its '
            f'parts ({names}): give a CombinedDataset one UnlabeledDataset or UnlabeledImageDataset.'
        )
    return found[0]


def first_unrepeatable(dataset: Dataset) -> int | None:
    """Index of a sample whose picture is another one each time it is drawn; None if there is none among those tried."""
    for index in sorted({len(dataset) * i // _LOOKED_AT for i in range(_LOOKED_AT)}):
        drawn = []
        for seed in (0, 1):
            with random_state.kept(gpu=False):
                random_state.seed_host(seed, index)
                drawn.append(dataset[index]['inputs'])
        if not torch.equal(*drawn):
            return index
    return None


def step_names(dataset: Dataset) -> str:
    """Names of the transforms of its pipeline."""
    return ', '.join(type(step).__name__ for step in getattr(dataset.pipeline, 'transforms', ()))
