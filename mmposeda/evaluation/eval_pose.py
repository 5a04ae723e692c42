"""Agreement of joint angles between predicted and labelled poses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric

from mmposeda.datasets.npz import open_npz
from mmposeda.datasets.pose_array import load_pose_array
from mmposeda.registry import METRICS
from mmposeda.structures.pose_angles import VARIANTS, angle_triplets, check_variant, eval_pose, reference_angles
from mmposeda.structures.skeleton import Skeleton

from .joints import labelled_joints


@METRICS.register_module()
class EvalPose(BaseMetric):
    """Cosine between the joint angle vectors of prediction and label, times 100; needs no threshold.

    From "Towards Effective Synthetic Data Sampling for Domain Adaptive Pose Estimation"; the variants are described at
    :func:`mmposeda.structures.pose_angles.eval_pose`. Results are the means over the images

    - ``EvalPose/raw``: the printed equation. It is high for any two poses; the paper's own values (54 to 79) do not
      come from it, so only the order of methods can be compared with its tables;
    - ``EvalPose/centred_by_file`` or ``EvalPose/centred_by_labels``: with the mean angles of ``mean``, or, without it,
      of the labels that are evaluated, subtracted first; about 0 for unrelated poses;
    - ``EvalPose/signed``: of signed angles; a limb bent the other way counts as wrong;
    - ``EvalPose/skipped``: the number of images left out of all means, with fewer than three angles in common (or with
      some variant's vector zero).

    Angles with an unlabelled joint are left out on both sides, and so are those of predicted joints that fall on one
    spot: a collapsed prediction is skipped and not punished, so look at that number too. The score is blind
    to limb lengths and to the rotation of the whole pose (one predicted upside down scores 100): show it beside a PCK,
    never alone.

    Args:
        variants (sequence[str]): which of 'raw', 'centred' and 'signed' to give.
        mean (str, optional): file for 'centred', best of the source's training set: an npy of (J,) mean angles in
            radians, an npz with them as ``mean_angles``, or an npz of poses as
            :func:`~mmposeda.datasets.pose_array.load_pose_array` reads it, in the evaluated joint set. By default the
            mean of the labels that are evaluated.
        kwargs: of MMEngine's ``BaseMetric``.

    Raises:
        FileNotFoundError: ``mean`` does not exist.
        ValueError: unknown variant, ``mean`` without 'centred', a file of something else or for other angles; a joint
            set without ``angle_triplets`` in its meta file; samples without ground truth or with another joint count.
    """

    default_prefix = 'EvalPose'

    def __init__(self, variants: Sequence[str] = VARIANTS, mean: str | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.variants = (variants,) if isinstance(variants, str) else tuple(variants)
        for variant in self.variants:
            check_variant(variant)
        if not self.variants or (mean is not None and 'centred' not in self.variants):
            raise ValueError(
                f'EvalPose got {variants=} and {mean=}: name one variant at least, and a mean only with centred'
            )
        self.mean = mean
        self._reference = None if mean is None else _load_reference(mean)
        self._fitted = None

    def process(self, data_batch: Sequence, data_samples: Sequence[dict]) -> None:
        """Keep the joints of a batch."""
        skeleton = Skeleton.from_metainfo(self.dataset_meta)
        angle_triplets(skeleton)  # a joint set without angles is refused at the first batch
        self.results.extend(labelled_joints(sample, skeleton) for sample in data_samples)

    def fit(self, results: list) -> None:
        """Take the mean angles of these labels for every following result, as when scoring parts of one set."""
        self._fitted = self._mean_of_labels(results)

    def compute_metrics(self, results: list) -> dict:
        """Means in percent over the images, and how many were skipped."""
        triplets = angle_triplets(Skeleton.from_metainfo(self.dataset_meta))
        gt, seen, pred = (np.stack(part) for part in zip(*results))
        scores = {}
        for variant in self.variants:
            name, mean = variant, None
            if variant == 'centred':
                name = f'centred_by_{"labels" if self.mean is None else "file"}'
                mean = self._mean_angles(results, len(triplets))
            scores[name] = 100 * eval_pose(pred, gt, np.ones(seen.shape), seen, triplets, variant, mean)
        used = np.isfinite(np.stack(list(scores.values()))).all(0)
        means = {name: float(score[used].mean()) if used.any() else float('nan') for name, score in scores.items()}
        return dict(**means, skipped=int((~used).sum()))

    def _mean_angles(self, results: list, count: int) -> np.ndarray:
        if self._reference is None:
            return self._mean_of_labels(results) if self._fitted is None else self._fitted
        mean = self._reference
        if isinstance(mean, tuple):
            keypoints, visible = mean
            skeleton = Skeleton.from_metainfo(self.dataset_meta)
            if keypoints.shape[1] != skeleton.num_joints:
                raise ValueError(
                    f'{self.mean} holds poses of {keypoints.shape[1]} joints, but {skeleton.name!r} has '
                    f'{skeleton.num_joints}: map them to its joints first'
                )
            mean = self._reference = reference_angles(keypoints, visible, angle_triplets(skeleton))
        if mean.shape != (count,):
            raise ValueError(f'{self.mean} holds mean angles {mean.shape}, but the joint set has {count} angles')
        return mean

    def _mean_of_labels(self, results: list) -> np.ndarray:
        triplets = angle_triplets(Skeleton.from_metainfo(self.dataset_meta))
        return reference_angles(np.stack([r[0] for r in results]), np.stack([r[1] for r in results]), triplets)


def _load_reference(path: str) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """Mean angles (J,), or the poses (N, K, 2) and visibility (N, K) to take them from."""
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'EvalPose: there is no file {path} of mean angles. Save those of '
            'mmposeda.structures.pose_angles.reference_angles there, or leave `mean` out to take those of the labels'
        )
    if Path(path).suffix == '.npy':
        with open(path, 'rb') as file:
            try:
                mean = np.lib.format.read_array(file, allow_pickle=False)
            except (ValueError, OSError, EOFError, MemoryError) as error:
                raise ValueError(f'EvalPose: {path} is no usable npy file: {error}') from None
    else:
        with open_npz(path) as data:
            mean = data.get('mean_angles')
        if mean is None:
            poses = load_pose_array(path)
            return poses.keypoints, poses.visible
    if mean.ndim != 1 or mean.dtype.kind != 'f' or not np.isfinite(mean).any():
        raise ValueError(f'EvalPose: {path} holds {mean.dtype} {mean.shape}, expected (J,) angles in radians')
    return mean
