"""What tells whether features hold the pose and nothing of the look: numbers of arrays on the host.

Legend: n poses under m nuisances each, N samples, K joints, d features, Z latent numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

#: Ridge penalties that a fold chooses from, for standardised inputs.
PENALTIES = np.logspace(-1, 6, 15)


def interventional_distances(poses: np.ndarray, root: Sequence[int] = ()) -> np.ndarray:
    """Mean distance between the places that a joint is predicted at under two nuisances, over all pairs of these.

    Args:
        poses (np.ndarray): (n, m, K, 3), metres.
        root (Sequence[int]): Joints whose middle all poses are moved to first; by default they stay where they are.

    Returns:
        np.ndarray: (n, K), mm.

    Raises:
        ValueError: Another shape, fewer than two nuisances, or numbers that are not finite.
    """
    poses = np.asarray(poses, np.float64)
    if poses.ndim != 4 or poses.shape[-1] != 3:
        raise ValueError(f'poses under nuisances are (n, m, K, 3), got {poses.shape}')
    if poses.shape[1] < 2:
        raise ValueError(f'got {poses.shape[1]} nuisance a pose: predictions are compared under two at least')
    _check_finite(poses.reshape(len(poses), -1), 'poses under nuisances')
    if len(root):
        poses = poses - poses[:, :, list(root)].mean(2, keepdims=True)
    places = torch.from_numpy(poses).transpose(1, 2)
    # the other mode gives equal places a distance
    distances = torch.cdist(places, places, compute_mode='donot_use_mm_for_euclid_dist')
    count = poses.shape[1]
    return 1000 * (distances.sum((-2, -1)) / (count * (count - 1))).numpy()


def cluster_numbers(features: np.ndarray) -> dict[str, float]:
    """How features of several poses keep apart, whatever the nuisance.

    Args:
        features (np.ndarray): (n, m, d).

    Returns:
        dict[str, float]: ``within`` and ``between``, mean Euclidean distances of features of one pose and of two; and
        ``silhouette``, the mean over the features of ``(b - a) / max(a, b)``: a is the mean distance to the others of
        its pose, b that to those of the nearest other pose (Rousseeuw, 1987). It is 1 for points that lie together by
        pose, about 0 where poses mix, and below 0 where another pose is nearer.

    Raises:
        ValueError: Another shape, a single pose or nuisance, or numbers that are not finite.
    """
    features = np.asarray(features, np.float64)
    if features.ndim != 3 or min(features.shape[:2]) < 2:
        raise ValueError(f'features of two poses at least under two nuisances are (n, m, d), got {features.shape}')
    n, m = features.shape[:2]
    _check_finite(features.reshape(n, -1), 'generated features')
    flat = torch.from_numpy(features.reshape(n * m, -1))
    pairs = torch.cdist(flat, flat, compute_mode='donot_use_mm_for_euclid_dist')
    sums = pairs.view(n, m, n, m).sum(-1).numpy()  # (n, m, n) from a feature to all of a pose
    own = np.arange(n)
    within = sums[own, :, own] / (m - 1)
    others = sums / m
    others[own, :, own] = np.inf
    nearest = others.min(-1)
    larger = np.maximum(within, nearest)
    scores = np.where(larger > 0, (nearest - within) / np.where(larger > 0, larger, 1), 0)
    between = others[np.isfinite(others)].mean()
    return dict(silhouette=float(scores.mean()), within=float(within.mean()), between=float(between))


def domain_accuracy(features: np.ndarray, domains: Sequence, folds: int = 5, seed: int = 0) -> float:
    """Accuracy of a linear probe that tells a sample's domain by its features: 1 / domains is chance.

    Logistic regression of standardised features, cross-validated. Domains count alike, whatever their numbers of
    samples: in the fit by weights, and in the mean over the domains of the share told right. The order of the samples
    has no influence.

    Args:
        features (np.ndarray): (N, d).
        domains (Sequence): (N,), names or numbers.
        folds (int): Of the cross-validation; they hold the same share of each domain.
        seed (int): Of the split.

    Raises:
        ValueError: Shapes that do not fit, a single domain, one with fewer samples than folds, or features that are not
            finite.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features, domains = np.asarray(features, np.float64), np.asarray(domains)
    if features.ndim != 2 or domains.shape != features.shape[:1]:
        raise ValueError(f'features are (N, d) and domains (N,), got {features.shape} and {domains.shape}')
    names, labels, counts = np.unique(domains, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise ValueError(f'all {len(labels)} samples are of domain {", ".join(map(str, names))}: there is none to tell')
    if counts.min() < folds:
        raise ValueError(
            f'domain {names[counts.argmin()]} has {counts.min()} samples, and {folds} folds need as many at least: '
            'give more pictures of it'
        )
    _check_finite(features, 'features')
    order = np.lexsort((*features.T[::-1], labels))
    features, labels = features[order], labels[order]
    probe = make_pipeline(StandardScaler(), LogisticRegression(class_weight='balanced', max_iter=1000))
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return float(balanced_accuracy_score(labels, cross_val_predict(probe, features, labels, cv=split)))


def pose_leak(nuisances: np.ndarray, poses: np.ndarray, folds: int = 5, seed: int = 0) -> float:
    """How much of the pose a linear map reads off the nuisance: cross-validated R^2 of a ridge regression.

    ``1 - sum |y - y^|^2 / sum |y - mean y|^2`` over the samples left out and all numbers of a pose: 0 where nothing is
    told (a little less, as the mean is of other samples), 1 where all is. A fold chooses its penalty by the samples it
    fits. The order of the samples has no influence.

    Args:
        nuisances (np.ndarray): (N, Z).
        poses (np.ndarray): (N, P).
        folds (int): Of the cross-validation.
        seed (int): Of the split.

    Returns:
        float: NaN where the poses do not differ.

    Raises:
        ValueError: Shapes that do not fit, too few samples, or numbers that are not finite.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    nuisances, poses = (np.asarray(x, np.float64) for x in (nuisances, poses))
    if nuisances.ndim != 2 or poses.ndim != 2 or len(nuisances) != len(poses):
        raise ValueError(f'nuisances are (N, Z) and poses (N, P), got {nuisances.shape} and {poses.shape}')
    if len(poses) < 2 * folds:
        raise ValueError(f'got {len(poses)} poses, and {folds} folds need {2 * folds} at least: give more pictures')
    _check_finite(nuisances, 'nuisances')
    _check_finite(poses, 'poses')
    spread = np.square(poses - poses.mean(0)).sum()
    if not spread:
        return float('nan')
    order = np.lexsort((*poses.T[::-1], *nuisances.T[::-1]))
    nuisances, poses = nuisances[order], poses[order]
    ridge = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
    told = cross_val_predict(ridge, nuisances, poses, cv=KFold(folds, shuffle=True, random_state=seed))
    return float(1 - np.square(poses - told.reshape(poses.shape)).sum() / spread)


def _check_finite(rows: np.ndarray, what: str) -> None:
    bad = np.flatnonzero(~np.isfinite(rows).all(1))
    if len(bad):
        raise ValueError(
            f'{what}: {len(bad)} of {len(rows)} are not finite, the first is number {bad[0]}. Has the training '
            'diverged?'
        )
