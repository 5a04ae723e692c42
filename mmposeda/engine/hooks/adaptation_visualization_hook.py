"""Pictures of the adaptation while it runs."""

from __future__ import annotations

from pathlib import Path

import cv2
import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook

from mmposeda.registry import HOOKS
from mmposeda.visualization import adaptation_panel

from ._model import unwrapped


@HOOKS.register_module()
class AdaptationVisualizationHook(Hook):
    """Writes a panel of source, target, teacher view, student view and pseudo-labels every few iterations.

    The panel goes to ``WORK_DIR/TIMESTAMP/vis_data/adaptation_ITER.png`` and to the visualiser's backends. Drawing it
    does not disturb the run: random state and batch statistics are put back.

    Args:
        interval (int): Iterations between panels; the first comes at iteration 1.
        samples (int): Rows of a panel.

    Raises:
        TypeError: The model cannot show what it sees (has no ``preview``).
    """

    def __init__(self, interval: int = 500, samples: int = 4) -> None:
        if interval < 1:
            raise ValueError(f'interval must be at least 1, got {interval}')
        self.interval, self.samples = interval, samples

    def before_train(self, runner) -> None:
        """Check the model."""
        if not hasattr(unwrapped(runner), 'preview'):
            raise TypeError(
                f'AdaptationVisualizationHook needs a model with `preview`, got {type(unwrapped(runner)).__name__}'
            )

    @master_only
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Draw and store the panel."""
        if runner.iter % self.interval:
            return
        model = unwrapped(runner)
        devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        training = model.training
        with torch.random.fork_rng(devices):
            model.eval()
            preview = model.preview(**model.data_preprocessor(data_batch, True))
            model.train(training)
        pre = model.data_preprocessor
        links = (runner.train_dataloader.dataset.metainfo or {}).get('skeleton_links', [])
        panel = adaptation_panel(preview, pre.mean, pre.std, links, self.samples)
        path = Path(runner.log_dir) / 'vis_data' / f'adaptation_{runner.iter + 1:06d}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), panel[..., ::-1])
        runner.visualizer.add_image('adaptation', panel, step=runner.iter + 1)
