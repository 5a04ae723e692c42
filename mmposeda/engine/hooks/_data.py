"""One look at chosen samples of a data set, which the training does not notice."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader, Dataset

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
