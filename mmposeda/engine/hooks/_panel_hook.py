"""What hooks have in common that draw what the model sees, while it trains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from mmengine.dist import master_only
from mmengine.hooks import Hook
from torch import nn

from ._model import looked_at, unwrapped


class PanelHook(Hook):
    """Writes a panel every few iterations to ``WORK_DIR/TIMESTAMP/vis_data/NAME_ITER.png``, and to the visualiser.

    Drawing it does not disturb the run: random state and modes are put back.

    Args:
        interval (int): Iterations between panels; the first comes at iteration 1.
        samples (int): Most rows of a panel.

    Attributes:
        name (str): Of the file.
        needs (str): Method that the model must have.

    Raises:
        ValueError: ``interval`` or ``samples`` below 1.
    """

    name: str
    needs: str

    def __init__(self, interval: int = 500, samples: int = 4) -> None:
        if interval < 1 or samples < 1:
            raise ValueError(f'interval and samples must be at least 1, got {interval} and {samples}')
        self.interval, self.samples = interval, samples

    def before_train(self, runner) -> None:
        """Check the model."""
        model = unwrapped(runner)
        if not hasattr(model, self.needs):
            raise TypeError(f'{type(self).__name__} needs a model with `{self.needs}`, got {type(model).__name__}')

    def panel(self, model: nn.Module, batch: dict, metainfo: Mapping) -> np.ndarray:
        """RGB picture, uint8.

        Args:
            model (nn.Module): In evaluation mode.
            batch (dict): Inputs and samples by domain, as the model gets them.
            metainfo (Mapping): Of the training data.
        """
        raise NotImplementedError

    @master_only
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Draw and store the panel."""
        if runner.iter % self.interval:
            return
        model, iteration = unwrapped(runner), runner.iter + 1
        with looked_at(model):
            batch = model.data_preprocessor(data_batch, True)
            panel = self.panel(model, batch, runner.train_dataloader.dataset.metainfo or {})
        path = Path(runner.log_dir) / 'vis_data' / f'{self.name}_{iteration:06d}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), panel[..., ::-1])
        runner.visualizer.add_image(self.name, panel, step=iteration)
