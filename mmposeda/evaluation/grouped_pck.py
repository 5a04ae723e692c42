"""Percentage of correct keypoints by joint group, in the crop the network sees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmengine.dist import get_rank
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmposeda.registry import METRICS
from mmposeda.structures.skeleton import Skeleton

from .joints import in_crop, labelled_joints


@METRICS.register_module()
class GroupedPCK(BaseMetric):
    """PCK by joint group, as a share of the side of the input crop.

    ``mode='image'`` is the clean one: sub-pixel ground truth, joints counted by their visibility, a joint is right if
    its error in the input crop is strictly below ``thr`` times the crop's longer side; hits and counts are summed over
    the whole set, a group is its joints' hits over their counts.

    ``mode='reference'`` repeats the arithmetic of the published tables (RegDA, UDAPE: ``accuracy`` in both
    repositories): ground truth and prediction are positions on the heatmap's grid, the error is divided by a tenth of
    its size, a joint counts if both ground truth coordinates are > 1, per joint rates are averaged over the
    batches by batch size, leaving out batches without that joint, and a group is the plain mean of its joints. It reads
    ``pred_fields.heatmaps`` (``test_cfg=dict(output_heatmaps=True, flip_test=False)``) or, without them, rounds the
    predicted keypoints to the grid. Its numbers depend on the batch size, 32 in the published tables.

    Results are ``PCK/{group}@{thr}`` in percent (NaN where no joint counts); groups are those of the joint set, with
    ``all`` the average of the limb joints.

    Args:
        thr (sequence[float]): shares of the crop's side.
        mode (str): ``image`` or ``reference``.
        heatmap_size (tuple[int]): (w, h) of the grid in reference mode.
        per_joint (bool): also give every joint under its name.
        collect_device, prefix: see MMEngine's ``BaseMetric``.

    Raises:
        ValueError: unknown mode; samples without ground truth; another number of joints predicted than labelled.
    """

    default_prefix = 'PCK'

    def __init__(
        self,
        thr: Sequence[float] = (0.05, 0.1, 0.2),
        mode: str = 'image',
        heatmap_size: Sequence[int] = (64, 64),
        per_joint: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ):
        super().__init__(collect_device=collect_device, prefix=prefix)
        if mode not in ('image', 'reference'):
            raise ValueError(f"GroupedPCK got mode={mode!r}, expected 'image' or 'reference'")
        self.thr = (thr,) if isinstance(thr, (int, float)) else tuple(thr)
        self.mode, self.per_joint = mode, per_joint
        self.heatmap_size = np.array(heatmap_size)
        self._batch = 0

    def process(self, data_batch: Sequence, data_samples: Sequence[dict]) -> None:
        """Reduce a batch to one normalised error and one mask a joint."""
        skeleton = Skeleton.from_metainfo(self.dataset_meta)
        for sample in data_samples:
            gt, visible, pred = self._joints(sample, skeleton)
            if self.mode == 'image':
                error = np.linalg.norm(pred - gt, axis=1) / max(sample['input_size'])
                mask = visible
            else:
                error, mask = self._on_grid(gt, visible, pred, sample)
            self.results.append(dict(error=error, mask=mask, batch=(get_rank(), self._batch)))
        self._batch += 1

    def compute_metrics(self, results: list) -> dict:
        """Rates in percent by group and threshold; prints them as a table."""
        self._batch = 0
        skeleton = Skeleton.from_metainfo(self.dataset_meta)
        error = np.stack([r['error'] for r in results])  # (N, K) as a share of the side
        mask = np.stack([r['mask'] for r in results])
        rows = dict(skeleton.groups)
        if self.per_joint:
            rows = {**{n: (i,) for i, n in enumerate(skeleton.joint_names) if n not in rows}, **rows}
        table, metrics = {name: [] for name in rows}, {}
        for thr in self.thr:
            hit = (error < thr) & mask
            if self.mode == 'image':
                hits, counts = hit.sum(0), mask.sum(0)
                rates = {n: hits[list(j)].sum() / max(counts[list(j)].sum(), 1) for n, j in rows.items()}
                rates = {n: r if counts[list(rows[n])].any() else np.nan for n, r in rates.items()}
            else:
                joints = _batch_average(hit, mask, [r['batch'] for r in results])
                rates = {n: joints[list(j)].mean() for n, j in rows.items()}
            for name, rate in rates.items():
                table[name].append(100 * float(rate))
                metrics[f'{name}@{thr:g}'] = 100 * float(rate)
        self._print(table, len(results))
        return metrics

    def _joints(self, sample: dict, skeleton: Skeleton) -> tuple:
        """Ground truth (K, 2), visibility (K,) and prediction (K, 2), in pixels of the input crop."""
        truth, visible, pred = labelled_joints(sample, skeleton)
        return in_crop(truth, sample), visible, in_crop(pred, sample)

    def _on_grid(self, gt: np.ndarray, visible: np.ndarray, pred: np.ndarray, sample: dict) -> tuple:
        grid, size = self.heatmap_size, np.asarray(sample['input_size'])
        heatmaps = sample.get('pred_fields', {}).get('heatmaps') if sample.get('pred_fields') else None
        if heatmaps is not None:
            heatmaps = heatmaps.detach().cpu().numpy() if hasattr(heatmaps, 'detach') else np.asarray(heatmaps)
            grid = np.array(heatmaps.shape[:0:-1])
            flat = heatmaps.reshape(len(heatmaps), -1)
            cell = np.stack([flat.argmax(1) % grid[0], flat.argmax(1) // grid[0]], 1)
            cell = cell * (flat.max(1) > 0)[:, None]
        else:
            cell = np.clip(np.trunc(pred / (size / grid) + 0.5), 0, grid - 1)
        truth = np.trunc(gt / (size / grid) + 0.5)
        drawn = visible & ((truth >= 0) & (truth < grid)).all(1)
        truth = np.where(drawn[:, None], truth, 0)  # an empty map peaks at 0
        norm = grid[::-1] / 10  # (h, w) on (x, y), as there
        error = np.linalg.norm(cell / norm - truth / norm, axis=1) / 10
        return error, (truth > 1).all(1)

    def _print(self, table: dict, count: int) -> None:
        header = ''.join(f'{"@" + format(t, "g"):>8}' for t in self.thr)
        width = max(len(n) for n in table)
        lines = [f'PCK (%), {self.mode} mode, {count} samples', f'{"":{width}}{header}']
        lines += [f'{n:{width}}' + ''.join(f'{v:8.1f}' for v in values) for n, values in table.items()]
        print_log('\n'.join(lines), logger='current')


def _batch_average(hit: np.ndarray, mask: np.ndarray, batches: Sequence) -> np.ndarray:
    """(K,) mean of the batches' rates weighted by batch size; a batch without a joint does not count for it."""
    total, weight = np.zeros(hit.shape[1]), np.zeros(hit.shape[1])
    for batch in dict.fromkeys(batches):
        picked = [i for i, b in enumerate(batches) if b == batch]
        counts = mask[picked].sum(0)
        total += np.where(counts > 0, hit[picked].sum(0) / np.maximum(counts, 1) * len(picked), 0)
        weight += np.where(counts > 0, len(picked), 0)
    return total / np.maximum(weight, 1)
