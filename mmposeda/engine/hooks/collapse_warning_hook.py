"""Says when an adaptation has stopped to learn from the target, or cannot, and when an augmentation has run empty."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from mmengine.hooks import Hook

from mmposeda.registry import HOOKS

PSEUDO_LABELS = ('unsup', 'pseudo')


class Sign(NamedTuple):
    """What to look at, and from where on it is bad.

    Attributes:
        keys (tuple[str, ...]): As the models log it.
        text (str): What to say, with the ``value`` and the ``first`` one.
        low, high (float, optional): It is good from here to there.
        share_of_first (float, optional): It is good above this share of what it was in the first interval.
    """

    keys: tuple[str, ...]
    text: str
    low: float = -np.inf
    high: float = np.inf
    share_of_first: float | None = None


@HOOKS.register_module()
class CollapseWarningHook(Hook):
    """Warns of the signs of collapse in what the adapters log; no label is needed.

    Every ``interval`` iterations it looks at the mean of each of these since the last look, where the model logs them.
    Of pseudo-labels:

    * ``kept``, the share that was used: none of them was;
    * ``confidence``, the teacher's mean peak: it has fallen below ``confidence_drop`` of what it was in the beginning;
    * ``spread``, the standard deviation of a pseudo-label's place over the batch, in widths of the picture: below
      ``min_spread`` the teacher answers the same for every picture;
    * ``merged``, the share of left-right pairs whose pseudo-labels coincide: above ``max_merged`` the source network
      could not tell left from right on the target, and adaptation will hand that on.

    Of augmented poses (PoseAug):

    * ``aug_kept``, the share in the picture: below ``min_aug_kept`` the lifter learns from hardly any;
    * ``aug_change``, the mean change of the bones' directions, 1 - cos: below ``min_aug_change`` the augmentor does
      nothing;
    * ``disc3d_accuracy`` and ``disc2d_accuracy``: above ``max_accuracy`` a discriminator has won, and its gradient
      says nothing any more. Near one half is where they should be.

    Of pairs (geometric reconstruction):

    * ``rec_used``, the share of pairs whose joints move neither too little nor too much: below ``min_pairs`` the
      reconstruction hardly takes part;
    * ``rec_background``, the mean mask of the background: above ``max_background`` nothing is moved, whatever the
      joints, and the reconstruction says nothing of them.

    Of relations (relation distillation):

    * ``rel_spread``, the standard deviation of latents over a batch: below ``spread_drop`` of what it was in the
      beginning all frames are becoming one, which satisfies every relation that hardly moves it.

    A warning comes once, and again only after the sign had gone.

    Args:
        interval (int): Iterations between looks.
        min_kept (float): Share.
        confidence_drop (float): Fraction of the confidence in the first interval.
        min_spread (float): Picture widths.
        max_merged (float): Share.
        min_aug_kept (float): Share.
        min_aug_change (float): 1 - cos; 0.01 are 8 degrees.
        max_accuracy (float): Share.
        min_pairs (float): Share.
        max_background (float): Share.
        spread_drop (float): Fraction of the spread in the first interval.
    """

    priority = 'BELOW_NORMAL'

    def __init__(
        self,
        interval: int = 50,
        min_kept: float = 0.001,
        confidence_drop: float = 0.5,
        min_spread: float = 0.02,
        max_merged: float = 0.3,
        min_aug_kept: float = 0.01,
        min_aug_change: float = 0.01,
        max_accuracy: float = 0.99,
        min_pairs: float = 0.1,
        max_background: float = 0.99,
        spread_drop: float = 0.5,
    ) -> None:
        if interval < 1:
            raise ValueError(f'interval must be at least 1, got {interval}')
        self.interval = interval
        self.signs = (
            Sign(
                _of_pseudo_labels('kept'),
                'no pseudo-label was used since the last look. The threshold is too high, or the teacher is lost.',
                low=min_kept,
            ),
            Sign(
                _of_pseudo_labels('confidence'),
                "the teacher's confidence has fallen from {first:.3f} to {value:.3f}. A lower learning rate, a higher "
                'keep_rate or fewer iterations may help.',
                share_of_first=confidence_drop,
            ),
            Sign(
                _of_pseudo_labels('spread'),
                'the teacher says the same for every picture (spread {value:.3f} of the width).',
                low=min_spread,
            ),
            Sign(
                _of_pseudo_labels('merged'),
                'left and right coincide in {value:.0%} of the pseudo-labelled pairs. The source network cannot tell '
                'front from back on the target; adaptation will not mend that. Train the source longer, with more '
                'frontal views first (docs/methods/udape.md).',
                high=max_merged,
            ),
            Sign(
                ('aug_kept',),
                'of the augmented poses {value:.1%} lie in the picture, the lifter learns from hardly any. In the '
                'beginning the mean_depth of PoseAugmentor places them; later a lower learning rate of the augmentor '
                'may help, or a larger weight of adv2d.',
                low=min_aug_kept,
            ),
            Sign(
                ('aug_change',),
                'the augmentor hardly turns a bone (1 - cos is {value:.4f} on average). The weight of the angle loss, '
                'which forbids that, is too small beside those of adv3d and of the feedback.',
                low=min_aug_change,
            ),
            Sign(
                ('rec_used',),
                'of the pairs {value:.1%} count for the reconstruction, in the others the joints move too little or '
                "too much. Change the gap of PairSequenceDataset, or the reconstruction's displacement.",
                low=min_pairs,
            ),
            Sign(
                ('rec_background',),
                'the warp gives {value:.1%} of the picture to the background: it copies the base picture, whatever the '
                "joints. Give WarpEstimator a prior, or train the pose network longer before the generator's stage.",
                high=max_background,
            ),
            Sign(
                ('rel_spread',),
                'the latents of different frames have come together, their spread has fallen from {first:.3f} to '
                '{value:.3f}. Adapt fewer parts of the estimator, lower the learning rates, or take relations that '
                'lead farther away.',
                share_of_first=spread_drop,
            ),
            *(
                Sign(
                    (f'disc{dims}d_accuracy',),
                    f'the {dims}D discriminator tells {{value:.1%}} of real and augmented poses right: it has won, and '
                    f'the augmentor learns nothing from it. A lower learning rate of disc{dims}d or a larger '
                    'disc_interval may help.',
                    high=max_accuracy,
                )
                for dims in (3, 2)
            ),
        )
        self._shown: set[str] = set()
        self._seen: dict[str, int] = {}  # values of a key at the last look

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Look, and warn."""
        if not self.every_n_train_iters(runner, self.interval):
            return
        for sign in self.signs:
            for key in sign.keys:
                buffer = runner.message_hub.log_scalars.get(f'train/{key}')
                if buffer is not None:
                    self._look(runner, sign, key, buffer.data[0])

    def _look(self, runner, sign: Sign, key: str, history: np.ndarray) -> None:
        recent = history[self._seen.get(key, 0) :][-self.interval :]
        self._seen[key] = len(history)
        if not len(recent):  # some are logged in parts of an epoch alone
            return
        value, first, low = float(np.mean(recent)), float(np.mean(history[: self.interval])), sign.low
        if sign.share_of_first is not None:
            low = sign.share_of_first * first if len(history) >= 2 * self.interval else -np.inf
        if low <= value <= sign.high:
            self._shown.discard(key)
        elif key not in self._shown:
            self._shown.add(key)
            text = sign.text.format(value=value, first=first)
            runner.logger.warning(f'Sign of collapse at iteration {runner.iter + 1}: {text}')


def _of_pseudo_labels(name: str) -> tuple[str, ...]:
    return tuple(f'{prefix}_{name}' for prefix in PSEUDO_LABELS)
