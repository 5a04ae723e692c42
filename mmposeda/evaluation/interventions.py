"""Metrics of what an intervention on the look of pictures changes, and of what features tell of the look."""

from __future__ import annotations

from collections.abc import Sequence
from sys import maxsize

import numpy as np
import torch
from mmengine.evaluator import BaseMetric

from mmposeda.registry import METRICS
from mmposeda.structures.skeleton import Skeleton

from .intervention_numbers import domain_accuracy, interventional_distances


class _ArrayMetric(BaseMetric):
    """Keeps columns (b, ...) of each batch, the first of them the index of samples or NaN, and joins them."""

    default_prefix = 'intervention'

    def evaluate(self, size: int) -> dict:
        """Evaluate all that was processed, by this process and the others."""
        # one object a process: MMEngine would cut them by position, and to the shortest
        self.results = [_joined(self.results)]
        return super().evaluate(maxsize)

    def columns(self, results: list) -> list[np.ndarray]:
        """All columns but the index, each sample once.

        Raises:
            ValueError: There is no sample.
        """
        joined = _joined([part for part in results if part])
        if not joined or not len(joined[0]):
            raise ValueError(f'{type(self).__name__}: nothing was evaluated; is the data set empty?')
        index, *columns = joined
        if np.isnan(index).any():
            return columns
        keys = np.unique(self.kind(columns), return_inverse=True)[1].reshape(-1)
        first = np.unique(np.stack([keys, index]), axis=1, return_index=True)[1]
        return [column[np.sort(first)] for column in columns]

    @staticmethod
    def kind(columns: Sequence[np.ndarray]) -> np.ndarray:
        """What samples of one index may differ in, (N,)."""
        return np.zeros(len(columns[0]))


@METRICS.register_module()
class InterventionalError(_ArrayMetric):
    """How far predicted poses move when nothing changes but the nuisance: ``intervention/error_mm``, 0 at best.

    ``mean over poses y, joints and pairs u != u' of |h(g(u, y)) - h(g(u', y))|``, mm, of poses moved to their root; g
    is the generator of features and h the estimator's head. Labels do not enter: a head that answers the same to
    everything has no such error.

    It takes dicts of arrays: ``intervened_poses`` (n, m, K, 3) in metres, predictions of n poses under m nuisances
    each, of which a batch may have any number. Optional are ``visible`` (n, K), joints that count; and ``index`` (n,),
    numbers of the poses: one that comes more than once, as padding of several processes, counts once.

    Args:
        root (str | Sequence[str], optional): The joint, or joints whose middle it is, that all poses are moved to; by
            default the root of the joint set's tree. An empty list leaves the poses where they are.
        kwargs: Of MMEngine's ``BaseMetric``.

    Raises:
        ValueError: An unknown joint, poses of another shape or joint set or that are not finite, fewer than two
            nuisances, or nothing to evaluate.
    """

    def __init__(self, root: str | Sequence[str] | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.root = root

    def process(self, data_batch: Sequence, data_samples: Sequence[dict]) -> None:
        """Reduce the poses of a batch to their sums over the joints."""
        for batch in data_samples:
            poses = _array(batch, 'intervened_poses')
            distances = interventional_distances(poses, self._root(poses.shape[2] if poses.ndim > 2 else 0))
            visible = np.asarray(_array(batch, 'visible') if 'visible' in batch else np.ones(distances.shape)) > 0
            if visible.shape != distances.shape:
                raise ValueError(
                    f'visible is {visible.shape}, expected {distances.shape} for poses of shape {poses.shape}'
                )
            self.results.append((_index(batch, len(poses)), (distances * visible).sum(1), visible.sum(1)))

    def compute_metrics(self, results: list) -> dict:
        """Mean over all joints that count."""
        distances, counts = self.columns(results)
        if not counts.sum():
            raise ValueError(f'none of the joints of {len(counts)} poses is visible')
        return dict(error_mm=float(distances.sum() / counts.sum()))

    def _root(self, joints: int) -> Sequence[int]:
        if self.root is not None and not len(self.root):
            return ()
        skeleton = Skeleton.from_metainfo(self.dataset_meta)
        if joints != skeleton.num_joints:
            raise ValueError(
                f'predictions of {joints} joints, but joint set {skeleton.name!r} has {skeleton.num_joints}: '
                'intervened_poses are (n, m, K, 3)'
            )
        return (skeleton.parents.index(-1),) if self.root is None else skeleton.index_all(self.root)


@METRICS.register_module()
class DomainProbe(_ArrayMetric):
    """How well a linear probe tells domains by features: ``intervention/domain_accuracy``; 0.5 of two is chance.

    See :func:`~mmposeda.evaluation.domain_accuracy`. Features that hold nothing of the look give chance; so do features
    that hold nothing at all.

    It takes dicts of arrays: ``features`` (B, d) and ``domain``, a name or number of all or of each of them (B,).
    Optional is ``index`` (B,): a sample that comes more than once in a domain, as padding of several processes, counts
    once.

    Args:
        folds (int): Of the cross-validation.
        seed (int): Of its split.
        kwargs: Of MMEngine's ``BaseMetric``.

    Raises:
        ValueError: Fewer than two folds, shapes that do not fit, a single domain, one with fewer samples than folds, or
            features that are not finite.
    """

    def __init__(self, folds: int = 5, seed: int = 0, **kwargs) -> None:
        super().__init__(**kwargs)
        if folds < 2:
            raise ValueError(f'folds must be at least 2, got {folds}')
        self.folds, self.seed = folds, seed

    def process(self, data_batch: Sequence, data_samples: Sequence[dict]) -> None:
        """Keep features and domains of a batch."""
        for batch in data_samples:
            features, domain = _array(batch, 'features'), _array(batch, 'domain').astype(str)
            if features.ndim != 2 or domain.shape not in ((), (len(features),)):
                raise ValueError(
                    f'features are (B, d) and their domain is one or (B,), got {features.shape} and {domain.shape}'
                )
            domain = np.broadcast_to(domain, len(features))
            self.results.append((_index(batch, len(features)), domain, features))

    def compute_metrics(self, results: list) -> dict:
        """Accuracy of the probe."""
        domains, features = self.columns(results)
        return dict(domain_accuracy=domain_accuracy(features, domains, self.folds, self.seed))

    @staticmethod
    def kind(columns: Sequence[np.ndarray]) -> np.ndarray:
        """Domains."""
        return columns[0]


def _joined(parts: Sequence[tuple]) -> tuple[np.ndarray, ...]:
    return tuple(np.concatenate(column) for column in zip(*parts))


def _array(batch: dict, key: str) -> np.ndarray:
    if key not in batch:
        raise ValueError(f'a batch without {key}; it has {", ".join(map(str, batch))}')
    value = batch[key]
    return value.detach().cpu().numpy() if torch.is_tensor(value) else np.asarray(value)


def _index(batch: dict, count: int) -> np.ndarray:
    index = np.asarray(_array(batch, 'index'), np.float64) if 'index' in batch else np.full(count, np.nan)
    if index.shape != (count,):
        raise ValueError(f'index is {index.shape}, expected ({count},)')
    return index
