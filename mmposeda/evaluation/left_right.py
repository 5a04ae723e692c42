"""A label-free sign of left-right collapse."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from mmposeda.registry import METRICS
from mmposeda.structures.skeleton import Skeleton


@METRICS.register_module()
class LeftRightSeparation(BaseMetric):
    """How far apart left and right are predicted, in torso lengths; needs no label.

    A network that cannot tell front from back puts both hips (and both shoulders) on one pixel. Results are
    ``separation/hip`` and ``separation/shoulder``, the median over samples of the predicted width divided by the
    predicted distance from mid-shoulder to mid-hip, and ``separation/hip_merged`` and ``separation/shoulder_merged``,
    the share of samples in which the pair lies within ``merged_below`` torso lengths. Compare with those of the
    source's labels. A median alone can look sound while two samples in five have collapsed.

    Args:
        merged_below (float): Width, in torso lengths, below which a pair counts as merged.
        kwargs: Of MMEngine's ``BaseMetric``.

    Raises:
        ValueError: the joint set has no pair of shoulders or hips in its groups.
    """

    default_prefix = 'separation'

    def __init__(self, merged_below: float = 0.1, **kwargs) -> None:
        super().__init__(**kwargs)
        self.merged_below = merged_below

    def process(self, data_batch: Sequence, data_samples: Sequence[dict]) -> None:
        """Keep the predicted pairs of a batch."""
        groups = Skeleton.from_metainfo(self.dataset_meta).groups
        pairs = [groups.get(name, ()) for name in ('shoulder', 'hip')]
        if any(len(p) != 2 for p in pairs):
            raise ValueError(f'LeftRightSeparation needs pairs `shoulder` and `hip`, groups are {list(groups)}')
        for sample in data_samples:
            joints = np.asarray(sample['pred_instances']['keypoints'])[0, :, :2]
            self.results.append(joints[np.array(pairs)])  # (2 pairs, 2 sides, 2)

    def compute_metrics(self, results: list) -> dict:
        """Median widths in torso lengths, and shares of merged pairs."""
        pairs = np.stack(results)
        widths = np.linalg.norm(pairs[:, :, 0] - pairs[:, :, 1], axis=-1)  # (N, 2)
        middles = pairs.mean(2)
        torso = np.linalg.norm(middles[:, 0] - middles[:, 1], axis=-1)
        ratios = widths[torso > 0] / torso[torso > 0, None]
        values = {}
        for name, column in zip(('shoulder', 'hip'), ratios.T):
            values[name] = float(np.median(column)) if len(column) else float('nan')
            values[f'{name}_merged'] = float(np.mean(column < self.merged_below)) if len(column) else float('nan')
        return values
