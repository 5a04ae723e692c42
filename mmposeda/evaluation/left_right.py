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
    predicted distance from mid-shoulder to mid-hip. Compare with the same number of the source's labels; near 0 means
    collapse.

    Raises:
        ValueError: the joint set has no pair of shoulders or hips in its groups.
    """

    default_prefix = 'separation'

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
        """Median widths in torso lengths."""
        pairs = np.stack(results)
        widths = np.linalg.norm(pairs[:, :, 0] - pairs[:, :, 1], axis=-1)  # (N, 2)
        middles = pairs.mean(2)
        torso = np.linalg.norm(middles[:, 0] - middles[:, 1], axis=-1)
        ratios = widths[torso > 0] / torso[torso > 0, None]
        shoulder, hip = np.median(ratios, axis=0) if len(ratios) else (np.nan, np.nan)
        return dict(shoulder=float(shoulder), hip=float(hip))
