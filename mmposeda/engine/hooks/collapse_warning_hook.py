"""Says when an adaptation has stopped to learn from the target, or cannot."""

from __future__ import annotations

import numpy as np
from mmengine.hooks import Hook

from mmposeda.registry import HOOKS


@HOOKS.register_module()
class CollapseWarningHook(Hook):
    """Warns of the signs of collapse in what the adapters log about their pseudo-labels; no label is needed.

    Every ``interval`` iterations it looks at the mean of each of these since the last look, where the model logs them:

    * ``kept``, the share of pseudo-labels that were used: none of them was;
    * ``confidence``, the teacher's mean peak: it has fallen below ``confidence_drop`` of what it was in the beginning;
    * ``spread``, the standard deviation of a pseudo-label's place over the batch, in widths of the picture: below
      ``min_spread`` the teacher answers the same for every picture;
    * ``merged``, the share of left-right pairs whose pseudo-labels coincide: above ``max_merged`` the source network
      could not tell left from right on the target, and adaptation will hand that on.

    A warning comes once, and again only after the sign had gone.

    Args:
        interval (int): Iterations between looks.
        min_kept (float): Share.
        confidence_drop (float): Fraction of the confidence in the first interval.
        min_spread (float): Picture widths.
        max_merged (float): Share.
    """

    priority = 'BELOW_NORMAL'

    def __init__(
        self,
        interval: int = 50,
        min_kept: float = 0.001,
        confidence_drop: float = 0.5,
        min_spread: float = 0.02,
        max_merged: float = 0.3,
    ) -> None:
        if interval < 1:
            raise ValueError(f'interval must be at least 1, got {interval}')
        self.interval = interval
        self.min_kept, self.confidence_drop = min_kept, confidence_drop
        self.min_spread, self.max_merged = min_spread, max_merged
        self._shown: set[str] = set()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Look, and warn."""
        if not self.every_n_train_iters(runner, self.interval):
            return
        for sign, text in (
            ('kept', self._rejected(runner)),
            ('confidence', self._unsure(runner)),
            ('spread', self._constant(runner)),
            ('merged', self._merged(runner)),
        ):
            if text and sign not in self._shown:
                runner.logger.warning(f'Sign of collapse at iteration {runner.iter + 1}: {text}')
            (self._shown.add if text else self._shown.discard)(sign)

    def _history(self, runner, name: str) -> np.ndarray | None:
        for key, buffer in runner.message_hub.log_scalars.items():
            if key.startswith('train/') and key.rpartition('_')[2] == name:
                return buffer.data[0]
        return None

    def _recent(self, runner, name: str) -> float | None:
        history = self._history(runner, name)
        return None if history is None else float(np.mean(history[-self.interval :]))

    def _rejected(self, runner) -> str:
        kept = self._recent(runner, 'kept')
        if kept is None or kept >= self.min_kept:
            return ''
        return 'no pseudo-label was used since the last look. The threshold is too high, or the teacher is lost.'

    def _unsure(self, runner) -> str:
        history = self._history(runner, 'confidence')
        if history is None or len(history) < 2 * self.interval:
            return ''
        first, now = float(np.mean(history[: self.interval])), float(np.mean(history[-self.interval :]))
        if now >= self.confidence_drop * first:
            return ''
        return (
            f"the teacher's confidence has fallen from {first:.3f} to {now:.3f}. A lower learning rate, a higher "
            'keep_rate or fewer iterations may help.'
        )

    def _constant(self, runner) -> str:
        spread = self._recent(runner, 'spread')
        if spread is None or spread >= self.min_spread:
            return ''
        return f'the teacher says the same for every picture (spread {spread:.3f} of the width).'

    def _merged(self, runner) -> str:
        merged = self._recent(runner, 'merged')
        if merged is None or merged <= self.max_merged:
            return ''
        return (
            f'left and right coincide in {merged:.0%} of the pseudo-labelled pairs. The source network cannot tell '
            'front from back on the target; adaptation will not mend that. Train the source longer, with more frontal '
            'views first (docs/methods/udape.md).'
        )
