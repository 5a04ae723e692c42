"""Measures during a training what the look of pictures still tells, and what interventions on it change."""

from __future__ import annotations

import time

from mmengine.dist import master_only
from mmengine.hooks import Hook

from mmposeda.registry import HOOKS

from ..interventions import check_model, draw_pictures, finite, intervenes, look, measure
from ._model import looked_at, unwrapped


@HOOKS.register_module()
class InterventionHook(Hook):
    """Measures interventions of the kind of ``CausalIntervention``, before the first iteration and every few.

    It is for the log alone: weights and random state of a run are bitwise those of a run without it. Pictures are drawn
    once from the training data, by their own pipelines, and kept as bytes; they, the poses and the nuisances are the
    same at every measurement and in runs of other seeds. The networks are in evaluation mode.

    To the message hub, to the visualiser's backends and to the log go, under ``intervention/``,

    - ``domain_accuracy``: of a linear probe that tells labelled from unlabelled pictures by their features; 0.5 is
      chance. Of every adapter around an estimator, so that the baselines can be compared;
    - ``error_mm``: mean distance between the poses that the head predicts of one pose under two nuisances;
    - ``silhouette``, ``within``, ``between``: how generated features lie together by pose;
    - ``pose_leak``: share of the poses' variance that the nuisances of their pictures tell, cross-validated.

    Only the first process measures; the others go on until they need it. Numbers that are not finite are reported, and
    the training goes on.

    Args:
        interval (int): Iterations between measurements.
        num_pictures (int): Most labelled and most unlabelled pictures; 256 of each of 128 pixels take 25 MB.
        num_poses (int): Poses that are put under other nuisances.
        num_nuisances (int): Nuisances of each.
        batch_size (int): Pictures or features at a time.

    Raises:
        ValueError: An argument out of range; at the start, no labelled pictures, or nothing to measure.
        TypeError: At the start, a model that is no adapter around an estimator, such as ``ImageVAETraining``.
    """

    priority = 'BELOW_NORMAL'  # the teacher has moved

    def __init__(
        self,
        interval: int = 500,
        num_pictures: int = 256,
        num_poses: int = 6,
        num_nuisances: int = 32,
        batch_size: int = 64,
    ) -> None:
        least = dict(interval=1, num_pictures=10, num_poses=2, num_nuisances=2, batch_size=1)
        given = (interval, num_pictures, num_poses, num_nuisances, batch_size)
        for (name, bound), value in zip(least.items(), given):
            if value < bound:
                raise ValueError(f'{name} must be at least {bound}, got {value}')
        if num_poses > num_pictures:
            raise ValueError(f'{num_poses} poses cannot be taken of {num_pictures} pictures: raise num_pictures')
        self.interval, self.num_pictures, self.num_poses, self.num_nuisances, self.batch_size = given

    def before_train(self, runner) -> None:
        """Check the model, and draw the pictures."""
        check_model(unwrapped(runner), type(self).__name__)
        self._draw(runner)

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Measure where the training starts from."""
        if runner.iter == 0:
            self._measure(runner, 0)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Measure."""
        if self.every_n_train_iters(runner, self.interval):
            self._measure(runner, runner.iter + 1)

    @master_only
    def _draw(self, runner) -> None:
        self._pictures = draw_pictures(runner.train_dataloader.dataset, self.num_pictures)
        if all(self._pictures.labelled):
            raise ValueError(
                'InterventionHook has nothing to measure: the training data have no unlabelled part to tell from the '
                'labelled one. Leave the hook out of this stage'
            )

    @master_only
    def _measure(self, runner, iteration: int) -> None:
        began, model = time.time(), unwrapped(runner)
        with looked_at(model):
            found = look(model, self._pictures, self.num_poses, self.num_nuisances, batch_size=self.batch_size)
        if not finite(found):
            runner.logger.warning(
                f'InterventionHook: features or poses after {iteration} iterations are not finite; nothing is measured'
            )
            return
        numbers = {f'intervention/{name}': value for name, value in measure(found).items()}
        for name, value in numbers.items():
            runner.message_hub.update_scalar(name, value)
        runner.visualizer.add_scalars(numbers, step=iteration)
        told = ', '.join(f'{name.partition("/")[2]} {value:.3f}' for name, value in numbers.items())
        kind = 'Interventions' if intervenes(model) else 'Features'
        runner.logger.info(f'{kind} after {iteration} iterations: {told} ({time.time() - began:.1f} s)')
