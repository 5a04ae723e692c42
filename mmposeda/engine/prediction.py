"""Predictions of a trained checkpoint on some samples of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.registry import DefaultScope
from mmengine.runner import load_checkpoint
from torch import nn

from mmposeda.registry import DATASETS, MODELS


def predict_samples(cfg: Config, checkpoint: str, indices: Sequence[int]) -> list:
    """Predict chosen samples of the test set as ``tools/test.py`` would.

    Args:
        cfg (Config): Config of a run or of one stage, with ``model`` and ``test_dataloader``.
        checkpoint (str): Path of its checkpoint.
        indices (Sequence[int]): Which samples.

    Returns:
        list[PoseDataSample]: With ``pred_instances`` and ``gt_instances`` in the picture's pixels, and ``img_path``.
    """
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmposeda')):
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
        return predict(load_model(cfg.model, checkpoint, 'cpu'), dataset, indices, len(indices))


def load_model(model: Mapping, checkpoint: str, device: str | None = None) -> nn.Module:
    """A model with a checkpoint's weights, in evaluation mode.

    Args:
        model (Mapping): Its config.
        checkpoint (str): Path of the checkpoint.
        device (str, optional): Where to; a GPU if there is one by default.
    """
    model = MODELS.build(model)
    load_checkpoint(model, checkpoint, map_location='cpu')
    return model.to(device or get_device()).eval()


@torch.no_grad()
def predict(model: nn.Module, dataset, indices: Sequence[int], batch_size: int = 32) -> list:
    """Predict samples of a data set, batch by batch.

    Args:
        model (nn.Module): In evaluation mode.
        dataset: With a pipeline that packs.
        indices (Sequence[int]): Which samples.
        batch_size (int): Samples at a time.

    Returns:
        list[PoseDataSample]: As of :func:`predict_samples`.
    """
    samples = []
    for start in range(0, len(indices), max(1, batch_size)):
        samples += model.test_step(pseudo_collate([dataset[i] for i in indices[start : start + batch_size]]))
    return samples
