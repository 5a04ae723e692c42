"""Pictures of what a pose augmentor does while it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mmengine.dist import master_only
from mmengine.hooks import Hook

from mmposeda.registry import HOOKS
from mmposeda.visualization import augmentation_sheet

from ._model import unwrapped


@HOOKS.register_module()
class PoseAugmentationVisualizationHook(Hook):
    """Writes a sheet of source poses, each step of their augmentation and its projection every few iterations.

    The sheet, see :func:`~mmposeda.visualization.augmentation_sheet`, goes to
    ``WORK_DIR/TIMESTAMP/vis_data/augmentation_ITER.png`` and to the visualiser's backends. What it shows are the
    augmentations of the iteration itself, so nothing is drawn at random for it and the run is not disturbed.

    Args:
        interval (int): Iterations between sheets; the first comes at iteration 1.
        samples (int): Most rows of a sheet.

    Raises:
        TypeError: The model cannot show its augmentations (has no ``augmented_examples``).
        ValueError: ``interval`` or ``samples`` below 1.
    """

    def __init__(self, interval: int = 1000, samples: int = 6) -> None:
        if interval < 1 or samples < 1:
            raise ValueError(f'interval and samples must be at least 1, got {interval} and {samples}')
        self.interval, self.samples = interval, samples

    def before_train(self, runner) -> None:
        """Check the model."""
        if not hasattr(unwrapped(runner), 'augmented_examples'):
            raise TypeError(
                'PoseAugmentationVisualizationHook needs a model with `augmented_examples`, such as PoseAug, got '
                f'{type(unwrapped(runner)).__name__}'
            )

    @master_only
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Draw and store the sheet."""
        if runner.iter % self.interval:
            return
        examples = unwrapped(runner).augmented_examples(self.samples)
        if examples is None:  # nothing has been augmented yet
            return
        iteration = runner.iter + 1
        metainfo = runner.train_dataloader.dataset.metainfo
        figure = augmentation_sheet(examples, metainfo, self.samples, f'iteration {iteration}')
        path = Path(runner.log_dir) / 'vis_data' / f'augmentation_{iteration:06d}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
        sheet = np.ascontiguousarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])
        runner.visualizer.add_image('augmentation', sheet, step=iteration)
