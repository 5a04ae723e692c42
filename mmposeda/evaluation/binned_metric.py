"""Any metric by difficulty of the samples."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from fnmatch import fnmatch
from numbers import Number
from pathlib import Path
from sys import maxsize

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger, print_log

from mmposeda.datasets.difficulty import DifficultyScores, PoseArray, ScoreFileError
from mmposeda.registry import METRICS
from mmposeda.structures.difficulty import equal_bins


@METRICS.register_module()
class BinnedMetric(BaseMetric):
    """Another metric over all samples and over those of each difficulty bin.

    After figure 4 of "Towards Effective Synthetic Data Sampling for Domain Adaptive Pose Estimation". The wrapped
    metric sees every batch once; what it keeps of each sample is sorted into bins by the sample's id, and its own
    computation is repeated for each bin. A sample that came more than once, as padding of several processes, counts
    once.

    Results are those of the wrapped metric and, for each of its chosen keys,

    - ``{key}_bin_00`` (easiest) to ``{key}_bin_24``: its value over the bin's samples, NaN for an empty bin;
    - ``{key}_slope``: least squares slope over the bin index, per bin;
    - ``{key}_head``, ``{key}_tail``: plain means of the easiest and the hardest ``tail`` bins.

    and ``unbinned``, how many samples have no score; they count in the overall values only. Scores of evaluated samples
    are made with their labels: these numbers are for analysis, not for choosing settings or checkpoints.

    For a mean over samples, the overall value is the mean of the bins weighted by their sizes. It is not for a rate
    over joints where joints are missing (weight by joints), a median or an average precision, nor for numbers that
    depend on the batches such as those of GroupedPCK's reference mode.

    Args:
        metric (dict): config of the wrapped metric, which must keep one result a sample. It may have a method
            ``fit(results)``, called with those of all samples before the bins.
        score_file (str): scores of the evaluated samples, from tools/score_poses.py; read at the first batch.
        k (int): number of bins; if the file has another, its scores are cut anew.
        tail (int): how many bins the head and the tail have.
        keys (sequence[str], optional): which results to give by bin, as patterns such as ``all@*``, with the wrapped
            metric's prefix or without; all numbers by default.
        check_poses (bool): compare the labels of every sample with those that were scored. Switch it off only where the
            pipeline changes them, for instance to another joint set.
        prefix (str, optional): of all results; the wrapped metric's by default.
        kwargs: of MMEngine's ``BaseMetric``.

    Raises:
        FileNotFoundError: there is no score file at the first batch.
        ScoreFileError: the file is damaged, or was made for other samples or other labels.
        ValueError: numbers of bins that do not fit, a pattern that no result has, ids that do not tell samples apart, a
            wrapped metric that does not keep one result a sample or that looks at a ground truth file of its own.
    """

    def __init__(
        self,
        metric: dict | BaseMetric,
        score_file: str,
        k: int = 25,
        tail: int = 5,
        keys: Sequence[str] | None = None,
        check_poses: bool = True,
        prefix: str | None = None,
        **kwargs,
    ) -> None:
        self.metric = metric if isinstance(metric, BaseMetric) else METRICS.build(metric)
        super().__init__(prefix=prefix or self.metric.prefix, **kwargs)
        if not 0 < tail <= k:
            raise ValueError(f'BinnedMetric got {k=} bins and {tail=}, expected 0 < tail <= k')
        if getattr(self.metric, 'coco', None) is not None:
            raise ValueError(
                f'{type(self.metric).__name__} compares with all of its ann_file, also in a bin; leave ann_file out, '
                'it then takes the labels of the samples'
            )
        self.score_file, self.k, self.tail, self.check_poses = score_file, k, tail, check_poses
        self.keys = (keys,) if isinstance(keys, str) else keys
        self._scores = None
        if Path(score_file).is_file():  # else a hook may write it before the first evaluation
            DifficultyScores.load(score_file)

    @property
    def dataset_meta(self) -> dict | None:
        """Meta info of the data set."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict) -> None:
        self._dataset_meta = self.metric.dataset_meta = dataset_meta

    def process(self, data_batch: Sequence, data_samples: Sequence[dict]) -> None:
        """Let the wrapped metric process a batch, and note whose its results are."""
        if self._scores is None:
            self._load()
        rows = self._rows(data_samples)
        self.metric.process(data_batch, data_samples)
        kept = list(self.metric.results)
        self.metric.results.clear()
        if len(kept) != len(data_samples):
            raise ValueError(
                f'{type(self.metric).__name__} keeps {len(kept)} results of {len(data_samples)} samples; BinnedMetric '
                'needs one a sample'
            )
        self.results.extend(zip(rows, kept))

    def evaluate(self, size: int) -> dict:
        """Evaluate all that was processed, of ``size`` samples in all."""
        self._size = size
        # padding is told by the ids: MMEngine would cut by position
        return super().evaluate(maxsize)

    def compute_metrics(self, results: list) -> dict:
        """Values over all samples and by bin, as described for the class."""
        kept = dict(sorted(results, key=lambda pair: pair[0]))
        if len(kept) != self._size:
            raise ValueError(
                f'results came for {len(kept)} different samples, but the data set has {self._size}: its ids do not '
                'tell its samples apart, or some are missing'
            )
        bins = self._bins[list(kept)]
        entries = list(kept.values())
        if hasattr(self.metric, 'fit'):
            self.metric.fit(entries)
        metrics = dict(self.metric.compute_metrics(entries))
        names = self._chosen(metrics)
        by_bin = {name: np.full(self.k, np.nan) for name in names}
        with _quiet():
            for j in range(self.k):
                members = np.flatnonzero(bins == j)
                values = self.metric.compute_metrics([entries[i] for i in members]) if len(members) else {}
                for name in names:
                    by_bin[name][j] = values.get(name, np.nan)
        for name, values in by_bin.items():
            metrics.update({f'{name}_bin_{j:02d}': float(value) for j, value in enumerate(values)})
            metrics.update({f'{name}_{what}': value for what, value in bin_summary(values, self.tail).items()})
        self._print(by_bin, metrics, len(entries))
        return {**metrics, 'unbinned': int((bins < 0).sum())}

    def _load(self) -> None:
        scores = DifficultyScores.load(self.score_file)
        bins = scores.bins if scores.k == self.k else equal_bins(scores.scores, scores.ids, self.k)[1]
        self._scores, self._bins = scores, bins.astype(np.int64)
        self._row_of = {i: row for row, i in enumerate(scores.ids.tolist())}
        self._named = scores.ids.dtype.kind == 'U'

    def _rows(self, samples: Sequence[dict]) -> list[int]:
        """Positions of samples in the score file."""
        rows = [self._row(sample) for sample in samples]
        labels = [sample.get('gt_instances', {}) for sample in samples]
        if self.check_poses and all('keypoints' in gt for gt in labels):
            points = np.stack([np.asarray(gt['keypoints'], np.float32)[0, :, :2] for gt in labels])
            seen = np.stack([np.asarray(gt['keypoints_visible'])[0] for gt in labels])
            seen = (seen[..., 0] if seen.ndim == 3 else seen) > 0
            poses = PoseArray(self._scores.ids[rows], points, seen.astype(np.float32), np.empty((len(rows), 4)))
            self._scores.check(np.array(rows), poses, self.score_file)
        return rows

    def _row(self, sample: dict) -> int:
        names = [sample.get('id')]
        if self._named:
            # where ids are no use, samples are named by their pictures below a folder that is not known here
            parts = Path(sample.get('img_path', '')).parts
            names = [str(names[0]), *('/'.join(parts[i:]) for i in range(len(parts)))]
        row = next((self._row_of[name] for name in names if name in self._row_of), None)
        if row is None:
            raise ScoreFileError(
                f'{self.score_file} has no score for sample {sample.get("id")} ({sample.get("img_path")}): it was made '
                'for another data set. Score the evaluated one with tools/score_poses.py'
            )
        return row

    def _chosen(self, metrics: dict) -> list[str]:
        """Keys of the results to give by bin."""
        numbers = [name for name, value in metrics.items() if isinstance(value, (Number, np.generic))]
        if self.keys is None:
            return numbers
        start = f'{self.metric.prefix}/'
        patterns = [key[len(start) :] if key.startswith(start) else key for key in self.keys]
        for pattern in patterns:
            if not any(fnmatch(name, pattern) for name in numbers):
                raise ValueError(f'BinnedMetric: no result fits keys={pattern!r}; there are {", ".join(numbers)}')
        return [name for name in numbers if any(fnmatch(name, pattern) for pattern in patterns)]

    def _print(self, by_bin: dict, metrics: dict, count: int) -> None:
        lines = [f'{count} samples in {self.k} bins, easiest first; slope; mean of the hardest {self.tail}']
        for name, values in by_bin.items():
            row = ' '.join(f'{value:.1f}' for value in values)
            lines.append(f'{name}: {row}; {metrics[f"{name}_slope"]:+.2f}; {metrics[f"{name}_tail"]:.1f}')
        print_log('\n'.join(lines), logger='current')


def bin_summary(values: np.ndarray, tail: int = 5) -> dict[str, float]:
    """Slope over the bins, and means of the easiest and the hardest ``tail`` of them; bins with NaN are left out.

    Args:
        values (np.ndarray): (k,) by bin.
        tail (int): Number of bins at each end.
    """
    filled = np.flatnonzero(np.isfinite(values))
    slope = np.polyfit(filled, values[filled], 1)[0] if len(filled) > 1 else np.nan
    ends = {}
    for name, part in (('head', values[:tail]), ('tail', values[-tail:])):
        part = part[np.isfinite(part)]
        ends[name] = float(part.mean()) if len(part) else float('nan')
    return dict(slope=float(slope), **ends)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep a metric from printing its table for every bin."""
    logger = MMLogger.get_current_instance()
    before, logger.disabled = logger.disabled, True
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.disabled = before
