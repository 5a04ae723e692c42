"""Joint angles of 2D poses and how alike they are: EvalPose.

From "Towards Effective Synthetic Data Sampling for Domain Adaptive Pose Estimation". Legend: N poses, K joints, J angle
triplets (a, c, e), the angle sits at the middle joint c. Everything takes NumPy arrays or torch tensors (of any device,
and differentiable) and gives back the same kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .skeleton import Skeleton

VARIANTS = ('raw', 'centred', 'signed')
#: Poses with fewer common angles are not compared (our choice).
MIN_ANGLES = 3
#: Bones shorter than this share of the pose's box have no direction (our choice).
MIN_BONE = 1e-6


def angle_triplets(skeleton: Skeleton) -> np.ndarray:
    """Triplets of a joint set, (J, 3) int64.

    Raises:
        ValueError: Its meta file names none; says what to write there.
    """
    if not skeleton.angle_triplets:
        raise ValueError(
            f'joint set {skeleton.name!r} has no angles to compare. Add `angle_triplets=[[joint, joint at the angle, '
            f'joint], ...]` to dataset_info of its meta file, with names out of {", ".join(skeleton.joint_names)}'
        )
    return np.array(skeleton.angle_triplets, np.int64)


def pose_angles(y: Any, v: Any, triplets: Sequence, signed: bool = False) -> tuple[Any, Any]:
    """Angles at the middle joints of triplets, from atan2(cross, dot).

    That is exact at 0, pi/2 and pi, where an arccos of the normalised product (the paper's form) loses half of its
    digits and has no finite gradient.

    Args:
        y: Joints (N, K, 2), pixels; float32 or float64 (others are converted).
        v: Visibility (N, K), or (N, K, 1); seen where > 0.
        triplets: (J, 3) joint indices, see :func:`angle_triplets`.
        signed: Angles in (-pi, pi], from the first bone to the second, that change sign under mirroring; else [0, pi].
            That of a straight limb may jump between the two ends.

    Returns:
        (N, J) radians, 0 where masked, and (N, J) bool. Masked are angles with a joint that is invisible or not finite,
        or with a bone shorter than 1e-6 of the longer side of the visible joints' box.

    Raises:
        ValueError: The shapes do not fit.
    """
    xp = torch if isinstance(y, Tensor) else np
    y, seen, triplets = _checked(xp, y, v, triplets)
    y = xp.where(seen[..., None], y, xp.zeros_like(y))
    a, c, e = (y[:, triplets[:, i]] for i in range(3))
    first, second = a - c, e - c  # (N, J, 2)
    far = float('inf')
    spread = xp.where(seen[..., None], y, -far + xp.zeros_like(y)), xp.where(seen[..., None], y, far + xp.zeros_like(y))
    box = xp.amax(xp.amax(spread[0], 1) - xp.amin(spread[1], 1), -1)  # (N,), -inf without a visible joint
    shortest = (MIN_BONE * box[:, None]) ** 2
    squares = (first**2).sum(-1), (second**2).sum(-1)
    mask = seen[:, triplets].all(-1)
    for square in squares:
        mask = mask & (square >= shortest) & (square > 0)
    cross = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    dot = (first * second).sum(-1)
    if not signed:
        cross = abs(cross)
    # masked ones are replaced before and not after: a gradient through atan2(0, 0) is no number
    cross = xp.where(mask, cross, xp.zeros_like(cross)) + 0.0  # -0 would give -pi
    dot = xp.where(mask, dot, xp.ones_like(dot))
    return (torch.atan2 if xp is torch else np.arctan2)(cross, dot), mask


def reference_angles(y: Any, v: Any, triplets: Sequence) -> Any:
    """Mean angle vector of poses, (J,) radians, for the variant ``centred``; NaN for an angle that none has."""
    theta, mask = pose_angles(y, v, triplets)
    xp = torch if isinstance(theta, Tensor) else np
    counts = mask.sum(0)
    mean = theta.sum(0) / xp.where(counts > 0, counts, xp.ones_like(counts))
    return xp.where(counts > 0, mean, xp.full_like(mean, float('nan')))


def eval_pose(P: Any, Q: Any, vP: Any, vQ: Any, triplets: Sequence, variant: str = 'raw', mean: Any = None) -> Any:
    """Cosine between the angle vectors of two poses, over the angles that both have.

    The angles are >= 0, so ``raw``, the printed equation, gives even unrelated poses about 0.75 to 0.98. ``centred``
    and ``signed`` (our additions) give those about 0; ``signed`` also tells a knee bent forwards from one bent
    backwards. All are blind to place, size and rotation of the whole pose, ``raw`` and ``centred`` to mirroring too.

    Args:
        P, Q: Joints (N, K, 2), pixels.
        vP, vQ: Visibility (N, K).
        triplets: (J, 3) joint indices.
        variant: 'raw', 'centred' (the mean angle vector of a reference set, such as the source's training set, is
            subtracted from both) or 'signed'.
        mean: (J,) radians, for 'centred' only, see :func:`reference_angles`; angles where it is NaN are not compared.

    Returns:
        (N,) in [-1, 1]; NaN where fewer than 3 angles are common, or where a vector is zero and has no direction.

    Raises:
        ValueError: Unknown variant, ``mean`` missing or given in vain, or shapes that do not fit.
    """
    check_variant(variant)
    if (variant == 'centred') != (mean is not None):
        raise ValueError(f"a mean angle vector is for variant='centred' and needed there, got {variant=} with {mean=}")
    (tp, mp), (tq, mq) = (pose_angles(y, v, triplets, variant == 'signed') for y, v in ((P, vP), (Q, vQ)))
    if tp.shape != tq.shape:
        raise ValueError(f'P has {len(tp)} poses, but Q has {len(tq)}')
    mask = mp & mq
    if mean is not None:
        mean = torch.as_tensor(mean).to(tp) if isinstance(tp, Tensor) else np.asarray(mean, tp.dtype)
        if mean.shape != tp.shape[1:]:
            raise ValueError(f'the mean angle vector has shape {tuple(mean.shape)}, expected ({tp.shape[1]},)')
        xp = torch if isinstance(mean, Tensor) else np
        mask = mask & ~xp.isnan(mean)
        tp, tq = tp - xp.nan_to_num(mean), tq - xp.nan_to_num(mean)
    return _cosine(tp * mask, tq * mask, mask)


def bin_similarity(theta: Any, bins: Any, k: int) -> np.ndarray:
    """Mean raw cosine between the angle vectors of pairs of poses, by the bins of the two (the paper's figure 3b).

    With unit vectors u the mean over all pairs of bins i and j is mean(u_i) . mean(u_j), so it costs O(N J). A pose is
    not paired with itself: the diagonal is (n^2 |mean(u)|^2 - n) / (n (n - 1)).

    Args:
        theta: (N, J) radians of any variant; NaN where masked. Poses with a masked angle are left out as a whole: over
            common angles only there is no such closed form, and any filling-in would pull the values one way.
        bins: (N,) integers from 0 to ``k`` - 1; poses with -1 are in none.
        k: Number of bins.

    Returns:
        (k, k) float64, symmetric, in [-1, 1]; NaN for an empty bin, and on the diagonal for a bin of one pose.

    Raises:
        ValueError: Lengths that differ, or a bin beyond ``k``.
    """
    theta, bins = (np.asarray(x.detach().cpu() if isinstance(x, Tensor) else x) for x in (theta, bins))
    if theta.ndim != 2 or bins.shape != theta.shape[:1]:
        raise ValueError(f'got angles {theta.shape} and bins {bins.shape}, expected (N, J) and (N,)')
    if len(bins) and not -1 <= bins.min() <= bins.max() < k:
        raise ValueError(f'bins go from {bins.min()} to {bins.max()}, expected -1 to {k - 1}')
    norm = np.linalg.norm(theta.astype(np.float64), axis=1)
    used = (bins >= 0) & np.isfinite(norm) & (norm > 0)
    units, bins = theta[used] / norm[used, None], bins[used]
    count = np.bincount(bins, minlength=k)
    sums = np.stack([np.bincount(bins, column, minlength=k) for column in units.T], 1)  # (k, J)
    with np.errstate(invalid='ignore', divide='ignore'):
        means = sums / count[:, None]
        similarity = means @ means.T
        pairs = count * (count - 1.0)
        diagonal = np.where(count > 1, ((sums**2).sum(1) - count) / pairs, np.nan)
    np.fill_diagonal(similarity, diagonal)
    return similarity


def check_variant(variant: str) -> None:
    """Refuse an unknown variant of EvalPose.

    Raises:
        ValueError: Names those there are.
    """
    if variant not in VARIANTS:
        raise ValueError(f'EvalPose has no variant {variant!r}, expected one of {", ".join(VARIANTS)}')


def _checked(xp: Any, y: Any, v: Any, triplets: Sequence) -> tuple:
    if xp is torch:
        y = y if y.dtype in (torch.float32, torch.float64) else y.float()
        v, triplets = torch.as_tensor(v, device=y.device), torch.as_tensor(triplets, device=y.device).long()
    else:
        y = np.asarray(y)
        y = y if y.dtype in (np.float32, np.float64) else y.astype(np.float64)
        v, triplets = np.asarray(v), np.asarray(triplets, np.int64)
    v = v[..., 0] if v.ndim == 3 else v
    if y.ndim != 3 or y.shape[2] != 2 or tuple(v.shape) != tuple(y.shape[:2]):
        raise ValueError(f'got joints {tuple(y.shape)} and visibility {tuple(v.shape)}, expected (N, K, 2) and (N, K)')
    if triplets.ndim != 2 or triplets.shape[1] != 3 or not len(triplets):
        raise ValueError(f'got angle triplets of shape {tuple(triplets.shape)}, expected (J, 3) with J > 0')
    if not 0 <= int(triplets.min()) <= int(triplets.max()) < y.shape[1]:
        raise ValueError(
            f'angle triplets name joints {int(triplets.min())} to {int(triplets.max())}, but poses have {y.shape[1]}'
        )
    return y, (v > 0) & xp.isfinite(y).all(-1), triplets


def _cosine(p: Any, q: Any, mask: Any) -> Any:
    """Row-wise cosine of (N, J) vectors that are 0 where masked, NaN where it is not defined."""
    xp = torch if isinstance(p, Tensor) else np
    squares = (p**2).sum(1) * (q**2).sum(1)
    defined = (mask.sum(1) >= MIN_ANGLES) & (squares > 0)
    norm = xp.sqrt(xp.where(defined, squares, xp.ones_like(squares)))
    cosine = xp.clip((p * q).sum(1) / norm, -1, 1)
    return xp.where(defined, cosine, xp.full_like(cosine, float('nan')))
