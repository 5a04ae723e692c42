"""Ends the epochs of a mask combiner."""

from __future__ import annotations

from mmengine.hooks import Hook

from mmposeda.registry import HOOKS

from ._model import unwrapped


@HOOKS.register_module()
class MaskCombinerHook(Hook):
    """Measures every so many iterations how far 2D and 3D masks overlap, upon which the combiner decides.

    Logs the overlap of the epoch as ``train/epoch_overlap`` and tells when the masks are merged. The count within an
    epoch is part of the model's state, so that a resumed run decides as one that was not interrupted.

    Args:
        interval (int): Iterations an epoch (500 in UDAPE's schedule, on which the geometric reconstruction rests).

    Raises:
        ValueError: An interval below 1.
        TypeError: The model has no combiner.
    """

    priority = 'NORMAL'

    def __init__(self, interval: int = 500) -> None:
        if interval < 1:
            raise ValueError(f'interval is a number of iterations and must be 1 or more, got {interval}')
        self.interval = interval

    def before_train(self, runner) -> None:
        """Check the model."""
        model = unwrapped(runner)
        if getattr(model, 'combiner', None) is None:
            raise TypeError(
                f'MaskCombinerHook needs a model that combines 2D and 3D masks, got {type(model).__name__} without: '
                'leave the hook out, or give GeometricReconstruction a depth branch'
            )

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Close an epoch."""
        if not self.every_n_train_iters(runner, self.interval):
            return
        combiner = unwrapped(runner).combiner
        merged = bool(combiner.merged)
        overlap = combiner.end_epoch()
        runner.message_hub.update_scalar('train/epoch_overlap', overlap)
        if bool(combiner.merged) != merged:
            rule = 'both losses now take the union' if combiner.merged else 'each loss takes its own again'
            runner.logger.info(f'2D and 3D pseudo-labels overlap by {overlap:.2f}: {rule}')
