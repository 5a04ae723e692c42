"""Which 3D pseudo-labels to trust, and how they are combined with the 2D ones.

Legend: B pictures, K joints, N bones, V views. Poses are relative to a root and in lengths of a reference bone, in the
base frame, as of :class:`~mmposeda.models.networks.DepthBranch`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor, nn

from mmposeda.registry import MODELS
from mmposeda.structures.kinematics import at_least_float32
from mmposeda.structures.skeleton import Skeleton

from .pseudo_labels import SCOPES, select_confident

STRATEGIES = ('independent', 'union', 'auto', '3d')


class ScoredJoints(NamedTuple):
    """Answer of a scorer of 3D poses: how sure each joint is, (B, K), larger is surer, and whether it may be used."""

    score: Tensor
    valid: Tensor


class BoneStatistics(nn.Module):
    """Running mean and deviation of the bones' lengths in labelled poses, in buffers that are saved.

    Over all poses that were ever given, those of all processes, without a difference of large numbers (Chan et al.).

    Args:
        skeleton (str | Skeleton): Joint set with parents, or the name of its meta file.

    Attributes:
        mean (Tensor): (N,), bones in the order of the joints that they end in.
        count (Tensor): (N,), how many lengths were seen.

    Raises:
        ValueError: A joint set without bones.
    """

    def __init__(self, skeleton: str | Skeleton) -> None:
        super().__init__()
        if not isinstance(skeleton, Skeleton):
            skeleton = Skeleton.from_metainfo(skeleton)
        ends = list(skeleton.bones)
        if not ends:
            raise ValueError(f'joint set {skeleton.name!r} has no bones: name the `parents` in its meta file')
        self.skeleton, self.num_joints, self.num_bones = skeleton, skeleton.num_joints, len(ends)
        parents, children = torch.tensor(ends).t()
        touches = torch.zeros(self.num_joints, self.num_bones, dtype=torch.bool)
        for bone, joints in enumerate(ends):
            touches[list(joints), bone] = True
        self.register_buffer('_parents', parents.contiguous(), persistent=False)
        self.register_buffer('_children', children.contiguous(), persistent=False)
        self.register_buffer('touches', touches, persistent=False)  # (K, N), whether a bone begins or ends there
        for name in ('mean', 'squares', 'count'):
            self.register_buffer(name, torch.zeros(self.num_bones))

    @property
    def deviation(self) -> Tensor:
        """Standard deviation of each bone's length, (N,); 0 where fewer than two were seen."""
        return (self.squares / (self.count - 1).clamp_min(1)).clamp_min(0).sqrt()

    def lengths(self, joints: Tensor) -> Tensor:
        """Lengths (B, N) of the bones of poses (B, K, 3).

        Raises:
            ValueError: Poses of another joint set.
        """
        if joints.ndim != 3 or joints.shape[1:] != (self.num_joints, 3):
            raise ValueError(
                f'expected poses (B, {self.num_joints}, 3) of joint set {self.skeleton.name!r}, got '
                f'{tuple(joints.shape)}'
            )
        joints = at_least_float32(joints)
        return (joints.index_select(1, self._children) - joints.index_select(1, self._parents)).norm(dim=-1)

    @torch.no_grad()
    def update(self, joints: Tensor, weights: Tensor | None = None) -> None:
        """Take labelled poses in. Every process must call it as often as the others.

        Args:
            joints (Tensor): (B, K, 3).
            weights (Tensor, optional): (B, K), above 0 where a joint is labelled; a bone counts if both its ends are.

        Raises:
            ValueError: Poses or weights of another joint set.
        """
        lengths = self.lengths(joints)
        seen = lengths.isfinite()
        if weights is not None:
            if weights.shape != joints.shape[:2]:
                raise ValueError(f'weights must be {tuple(joints.shape[:2])}, got {tuple(weights.shape)}')
            labelled = weights > 0
            seen = seen & labelled.index_select(1, self._parents) & labelled.index_select(1, self._children)
        away = torch.where(seen, lengths - self.mean, 0.0)
        sums = torch.stack([seen.float().sum(0), away.sum(0), away.square().sum(0)])
        if get_world_size() > 1:
            all_reduce(sums)
        number, first, second = sums
        self.count += number
        shift = first / self.count.clamp_min(1)
        self.mean += shift
        self.squares += second - shift * first


@MODELS.register_module()
class KinematicScorer(nn.Module):
    """A joint may be used if its bones are as long as in the source; it is the surer the less views disagree about it.

    The geometric reconstruction (Lin et al., NeurIPS 2023) says that kinematic constraints make its 3D pseudo-labels,
    not which: all here is our choice. Another rule is another registered module with the same two methods.

    Args:
        skeleton (str | Skeleton): Joint set with parents, or the name of its meta file.
        num_deviations (float): How many standard deviations a length may be off the source's mean.
        slack (float): What it may be off besides, as a share of the mean: the reference bone itself has the length 1
            always, and so no deviation.

    Raises:
        ValueError: A joint set without bones, or a negative tolerance.
    """

    def __init__(self, skeleton: str | Skeleton, num_deviations: float = 3.0, slack: float = 1e-3) -> None:
        super().__init__()
        if num_deviations < 0 or slack < 0:
            raise ValueError(f'num_deviations and slack must not be negative, got {num_deviations} and {slack}')
        self.bones = BoneStatistics(skeleton)
        self.num_deviations, self.slack = num_deviations, slack

    def update(self, joints: Tensor, weights: Tensor | None = None) -> None:
        """Take source labels in, see :meth:`BoneStatistics.update`."""
        self.bones.update(joints, weights)

    @torch.no_grad()
    def forward(self, joints: Tensor, views: Tensor) -> ScoredJoints:
        """Judge pseudo-labels.

        Args:
            joints (Tensor): The pseudo-labels, (B, K, 3). A bone of which the source has shown no two lengths refuses
                nothing.
            views (Tensor): Poses of the same pictures that should agree, (V, B, K, 3): the teacher's and the student's,
                or the teacher's under several views.

        Returns:
            ScoredJoints: The score is minus twice the mean distance of the views from their middle, which for two is
            minus their distance.

        Raises:
            ValueError: Poses of another joint set, or fewer than two views of these pictures.
        """
        lengths = self.bones.lengths(joints)
        if views.ndim != 4 or len(views) < 2 or views.shape[1:] != joints.shape:
            raise ValueError(
                f'views must be (V, {", ".join(map(str, joints.shape))}) with V of 2 or more, got {tuple(views.shape)}'
            )
        tolerance = self.num_deviations * self.bones.deviation + self.slack * self.bones.mean
        # negated, so that a length of NaN is refused
        wrong = ~((lengths - self.bones.mean).abs() <= tolerance) & ((self.bones.count >= 2) | lengths.isnan())
        valid = ~(wrong[:, None] & self.bones.touches).any(-1)
        views = at_least_float32(views)
        score = -2 * (views - views.mean(0)).norm(dim=-1).mean(0)
        return ScoredJoints(score, valid & score.isfinite())


@torch.no_grad()
def select_stable(
    scored: ScoredJoints, mask_ratio: float = 0.5, scope: str = 'batch', gathered: bool = False
) -> Tensor:
    """The 3D mask: joints that may be used and are among the surest of all, whether these may be used or not.

    Args:
        scored (ScoredJoints): Of a batch.
        mask_ratio (float): Share to throw away, in [0, 1).
        scope (str): See :func:`~mmposeda.models.pseudo_labels.select_confident`, which takes the threshold over all
            processes.
        gathered (bool): Likewise.

    Returns:
        Tensor: Boolean (B, K).

    Raises:
        ValueError: An unknown scope or a share out of range.
    """
    if scope not in SCOPES:
        raise ValueError(f'scope must be one of {SCOPES}, got {scope!r}')
    if not 0 <= mask_ratio < 1:
        raise ValueError(f'mask_ratio is the share thrown away and must lie in [0, 1), got {mask_ratio}')
    score = scored.score.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    return select_confident(score, mask_ratio, scope, gathered) & scored.valid


def mask_overlap(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of two boolean masks, a scalar; 0 if both are empty, which is no evidence of agreement.

    Independent masks of half the entries overlap by 1/3.
    """
    return _share((first & second).sum(), (first | second).sum())


def _share(intersection: Tensor, union: Tensor) -> Tensor:
    return intersection.float() / union.clamp_min(1)


@MODELS.register_module()
class MaskCombiner(nn.Module):
    """Which pseudo-labels train the heatmaps and which the 3D poses, from the masks of both.

    The geometric reconstruction (Lin et al., NeurIPS 2023): at first each loss has the mask of its own kind; once the
    two masks overlap by more than 80 %, both have the union. It reports an overlap of 40 % at the start of fine-tuning
    and of more than 80 % late, and that the union from the start is worse than either. From the paper: this rule. Our
    reading: the overlap is intersection over union (two independent halves have 1/3), it is measured over an epoch, and
    the union stays once it is reached.

    The overlap can be no larger than the ratio of the masks' sizes: keep the same share in both, or 80 % means another
    thing.

    Nothing is read back from the device but once an epoch, in :meth:`end_epoch`, which somebody must call.

    Args:
        strategy (str): 'independent', 'union' or 'auto', which goes from the first to the second; '3d' gives both
            losses the 3D mask, for comparison.
        overlap_threshold (float): For 'auto'; it must be exceeded.
        latch (bool): Whether 'auto' keeps the union when the overlap falls again.

    Attributes:
        overlap (Tensor): That of the last epoch that ended, 0 before; a saved buffer, as all the state is.
        merged (Tensor): Whether 'auto' has gone over to the union, boolean.

    Raises:
        ValueError: An unknown strategy, or a threshold outside [0, 1].
    """

    def __init__(self, strategy: str = 'auto', overlap_threshold: float = 0.8, latch: bool = True) -> None:
        super().__init__()
        if strategy not in STRATEGIES:
            raise ValueError(f'strategy must be one of {STRATEGIES}, got {strategy!r}')
        if not 0 <= overlap_threshold <= 1:
            raise ValueError(f'overlap_threshold must lie in [0, 1], got {overlap_threshold}')
        self.strategy, self.overlap_threshold, self.latch = strategy, overlap_threshold, latch
        self.register_buffer('counts', torch.zeros(2, dtype=torch.int64))  # intersection and union so far
        self.register_buffer('overlap', torch.tensor(0.0))
        self.register_buffer('merged', torch.tensor(False))

    @torch.no_grad()
    def forward(self, mask_2d: Tensor, mask_3d: Tensor) -> tuple[Tensor, Tensor]:
        """Masks for the 2D and the 3D loss, and the overlap of these counted in, over all processes.

        Args:
            mask_2d (Tensor): Trusted heatmaps, boolean (B, K).
            mask_3d (Tensor): Trusted 3D joints, boolean (B, K).

        Raises:
            TypeError: Masks that are not boolean.
            ValueError: Masks of different shapes.
        """
        if mask_2d.dtype != torch.bool or mask_3d.dtype != torch.bool:
            raise TypeError(f'masks must be boolean, got {mask_2d.dtype} and {mask_3d.dtype}')
        if mask_2d.shape != mask_3d.shape:
            raise ValueError(f'masks must be of one shape, got {tuple(mask_2d.shape)} and {tuple(mask_3d.shape)}')
        counts = torch.stack([(mask_2d & mask_3d).sum(), (mask_2d | mask_3d).sum()])
        if get_world_size() > 1:  # here and not once an epoch: a checkpoint holds the first process's count
            all_reduce(counts)
        self.counts += counts
        return self.combine(mask_2d, mask_3d)

    @torch.no_grad()
    def combine(self, mask_2d: Tensor, mask_3d: Tensor) -> tuple[Tensor, Tensor]:
        """The same masks, and nothing counted in."""
        union = mask_2d | mask_3d
        if self.strategy == 'independent':
            return mask_2d, mask_3d
        if self.strategy == '3d':
            return mask_3d, mask_3d
        if self.strategy == 'union':
            return union, union
        return torch.where(self.merged, union, mask_2d), torch.where(self.merged, union, mask_3d)

    @torch.no_grad()
    def end_epoch(self) -> float:
        """Close an epoch: measure the overlap, decide, and begin to count anew.

        Returns:
            float: The overlap; 0 where no mask was given.
        """
        self.overlap.copy_(_share(*self.counts))
        self.counts.zero_()
        exceeded = self.overlap > self.overlap_threshold
        self.merged.copy_(exceeded | self.merged if self.latch else exceeded)
        return float(self.overlap)

    def extra_repr(self) -> str:
        """The rule."""
        return f'{self.strategy}, overlap_threshold={self.overlap_threshold}, latch={self.latch}'
