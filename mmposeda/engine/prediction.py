"""Predictions of a trained checkpoint on some samples of a data set."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmengine.runner import load_checkpoint

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
        model = MODELS.build(cfg.model)
        load_checkpoint(model, checkpoint, map_location='cpu')
        model.eval()
        with torch.no_grad():
            return model.test_step(pseudo_collate([dataset[i] for i in indices]))
