"""PoseAug: learned, differentiable augmentation of 2D-3D pose pairs (Gong, Zhang and Feng, CVPR 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from mmengine.optim import OptimWrapperDict
from torch import Tensor

from mmposeda.registry import MODELS
from mmposeda.structures.kinematics import KinematicTree, split_bones
from mmposeda.structures.lifting_camera import in_view, project_h36m

from ..fake_store import FakeStore
from ..losses.pose_augmentation import band_loss, exponential_feedback, group_errors, hard_ratio, lsgan_loss
from ..networks.pose_augmentor import AugmentedPose
from ..parallel import load_own_buffers, own_buffers, update_part
from ..replay_pool import ReplayPool
from .base import filled, without_sum
from .lifting import LiftingAdapter

#: Factors of the augmentor's losses (authors' code).
WEIGHTS = dict(adv3d=6.0, adv2d=1.0, angle=3.0, length=3.0, feedback_ba=0.1, feedback_rt=0.01)
#: Joints whose errors are averaged for the feedback, as groups of the joint set, and their factors in it.
GROUPS = (('hip', 'shoulder'), ('knee', 'head', 'elbow'), ('ankle', 'wrist'))
GROUP_FACTORS = dict(hip=5.0, shoulder=5.0, knee=2.0, elbow=2.0)
FEEDBACKS = (None, 'band', 'exponential')


class Fakes(NamedTuple):
    """What an augmentation gave.

    Attributes:
        source (Tensor), points (Tensor): The poses it began with (B, J, 3), metres, and their points (B, J, 2).
        pose (AugmentedPose): The poses after each step.
        points_ba (Tensor), points_rt (Tensor): Points of those with changed angles and of the end result (B, J, 2).
        kept (Tensor): (B,) bool, whether the end result lies in the picture.
    """

    source: Tensor
    points: Tensor
    pose: AugmentedPose
    points_ba: Tensor
    points_rt: Tensor
    kept: Tensor


@MODELS.register_module()
class PoseAug(LiftingAdapter):
    """An augmentor changes the source's poses, discriminators keep them plausible, and the lifter learns from both.

    An iteration (:meth:`train_step`) updates the augmentor; in every ``disc_interval``-th the discriminators, on fakes
    from a replay pool; and the lifter, once, on the fakes that lie in the picture and the source's own pairs together.
    (One after the other each half would be normalised by statistics of its own, and a test by a mixture that neither
    has seen: in short runs that doubled the error on the source's own poses.) The paper's coarser order, all of an
    epoch's fakes and then all pairs, is :class:`~mmposeda.engine.pose_aug_loop.PoseAugEpochLoop`'s.

    Before anything else each pose gets the bone lengths of another pose of the batch, and is projected anew; so the
    augmentor and both discriminators see them. (The authors' code draws one of five subjects' templates, once an epoch;
    this needs no list of them. The share of a body is that of its poses.)

    ``lifter_active`` at 0 is the warm-up: no feedback, and the lifter stands still. It, ``hard_ratio_ba`` and
    ``hard_ratio_rt`` are plain attributes for a ``ScheduleHook``.

    The end result's feedback is that of fakes in the picture. (In the authors' code all count, also in training the
    lifter where they lie left or above; with ours, which drops them, the easiest way to a hard fake was out of the
    picture: within 150 iterations none was left.)

    An augmentor without weights makes no update of its own: random augmentation, the control.

    Args:
        estimator (dict): See :class:`LiftingAdapter`.
        augmentor (dict): ``PoseAugmentor`` or ``RandomPoseAugmentor``.
        disc3d, disc2d (dict, optional): Discriminators of the poses with changed angles, and of the projected results.
        weights (dict): Factors of the augmentor's losses, merged over the authors' code's (:data:`WEIGHTS`).
        feedback (str, optional): How the lifter's error on the fakes over that on their source is held near the hard
            ratio. 'band': no loss within ``hard_width`` of it (authors' code). 'exponential': the paper's
            ``|1 - exp(E_fake - ratio E_source)|``, with a ratio from 2 to 20.
        feedback_mode (str): 'eval' asks the lifter without dropout and with its running statistics; 'train' as the
            authors' code, where the dropout's noise is in the ratio and the statistics take part of the fakes.
        hard_ratio_ba, hard_ratio_rt (float): First ratios, of the changed angles and of the end result.
        hard_width_ba, hard_width_rt (float): Half-widths of 'band'.
        angle_centre, angle_width (float): The mean change of the bones' directions, 1 - cos, is free in
            centre - width to centre + width (0.04 to 0.37: 16 to 51 degrees). Below it the augmentor would be lazy.
        length_limit (float): Relative length changes are free up to this.
        pool_size (int): Poses in each replay pool.
        disc_interval (int): Iterations between updates of the discriminators.
        swap_lengths (bool): Exchange bone lengths within the batch.
        kwargs: See :class:`LiftingAdapter`.

    Raises:
        ValueError: An unknown feedback or weight, or a joint set without the groups of the feedback.
    """

    def __init__(
        self,
        estimator: dict,
        augmentor: dict,
        disc3d: dict | None = None,
        disc2d: dict | None = None,
        weights: Mapping[str, float] | None = None,
        feedback: str | None = 'band',
        feedback_mode: str = 'eval',
        hard_ratio_ba: float = 3.0,
        hard_ratio_rt: float = 17.0,
        hard_width_ba: float = 2.0,
        hard_width_rt: float = 15.0,
        angle_centre: float = 0.205,
        angle_width: float = 0.165,
        length_limit: float = 0.1,
        pool_size: int = 4096,
        disc_interval: int = 2,
        swap_lengths: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(estimator, **kwargs)
        if feedback not in FEEDBACKS:
            raise ValueError(f'feedback must be one of {FEEDBACKS}, got {feedback!r}')
        if feedback_mode not in ('eval', 'train'):
            raise ValueError(f"feedback_mode must be 'eval' or 'train', got {feedback_mode!r}")
        if disc_interval < 1:
            raise ValueError(f'disc_interval must be at least 1, got {disc_interval}')
        joints = dict(skeleton=self.skeleton.name)
        self.augmentor = MODELS.build({**joints, **augmentor})
        self.disc3d = MODELS.build({**joints, **disc3d}) if disc3d else None
        self.disc2d = MODELS.build({'num_joints': self.skeleton.num_joints, **disc2d}) if disc2d else None
        self.tree = KinematicTree(self.skeleton)
        self.weights = filled('weights', weights, WEIGHTS)
        self.feedback, self.feedback_mode = feedback, feedback_mode
        self.hard_ratio_ba, self.hard_ratio_rt = hard_ratio_ba, hard_ratio_rt
        self.hard_width_ba, self.hard_width_rt = hard_width_ba, hard_width_rt
        self.angle_centre, self.angle_width, self.length_limit = angle_centre, angle_width, length_limit
        self.disc_interval, self.swap_lengths = disc_interval, swap_lengths
        self.lifter_active = 1.0
        self.learned = any(p.requires_grad for p in self.augmentor.parameters())
        joints = self.skeleton.num_joints
        self.pool3d = ReplayPool(pool_size, (joints, 3), seed=3)
        self.pool2d = ReplayPool(pool_size, (joints, 2), seed=2)
        self.fakes = FakeStore(joints)
        self._groups, self._factors = self._error_groups()
        self._steps = 0
        self._shown: tuple[Fakes, Tensor] | None = None

    def train_step(self, data: dict, optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        """All updates of an iteration.

        Args:
            data (dict): A batch of :class:`~mmposeda.datasets.PoseStreams`: ``pairs``, ``real_2d`` and ``real_3d``.
            optim_wrapper (OptimWrapperDict): Of ``student`` (the lifter) and those of ``augmentor``, ``disc3d`` and
                ``disc2d`` that have weights.

        Returns:
            dict[str, Tensor]: Losses and shares to log.
        """
        data = self._prepared(data)
        fakes, logged = self._augment(data, optim_wrapper)
        if self.lifter_active:
            pairs = data['pairs']
            points, pose, share = self._in_picture(fakes)
            seen = pairs.get('visible', torch.ones_like(pairs['keypoints'][..., 0]))
            batch = (
                torch.cat([points, pairs['keypoints']]),
                torch.cat([pose, pairs['pose']]),
                torch.cat([torch.ones_like(seen), seen]),
            )
            logged.update(self.update_lifter('both', batch, optim_wrapper['student'], dict(aug_kept=share)))
        return logged

    def augment_step(self, data: dict, optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        """Update augmentor and discriminators alone, and put the fakes that lie in the picture into ``self.fakes``."""
        data = self._prepared(data)
        fakes, logged = self._augment(data, optim_wrapper)
        if self.lifter_active:
            self.fakes.add(fakes.kept, fakes.points_rt, fakes.pose.rt)
            logged['aug_kept'] = fakes.kept.float().mean()
        return logged

    def fake_step(self, rows: Tensor, optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        """Update the lifter on stored fakes, by their row numbers (B,)."""
        return self.update_lifter('fake', (*self.fakes.take(rows), None), optim_wrapper['student'])

    def real_step(self, data: dict, optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        """Update the lifter on a batch of the source's pairs."""
        data = self.data_preprocessor(data, True)
        return self._update_on_pairs({**data['inputs'], **data['data_samples']}, optim_wrapper)

    @torch.no_grad()
    def augmented_examples(self, num: int) -> dict[str, Tensor] | None:
        """The last iteration's first ``num`` augmentations, on the CPU, or None before the first.

        Returns:
            dict[str, Tensor]: ``source``, ``ba``, ``bl``, ``rt`` (n, J, 3) in metres, ``projected`` (n, J, 2) in screen
            coordinates and ``aspect`` (n,), H / W.
        """
        if self._shown is None:
            return None
        fakes, aspect = self._shown
        named = dict(source=fakes.source, ba=fakes.pose.ba, bl=fakes.pose.bl, rt=fakes.pose.rt)
        named.update(projected=fakes.points_rt, aspect=aspect)
        return {key: value[:num].cpu() for key, value in named.items()}

    def rank_state(self) -> dict:
        """What each process keeps of its own: its replay pools, stored fakes, batch statistics and count of steps."""
        return dict(
            steps=self._steps,
            pool3d=self.pool3d.state_dict(),
            pool2d=self.pool2d.state_dict(),
            fakes=self.fakes.state_dict(),
            buffers=own_buffers(self),  # the feedback asks the lifter with the running statistics
        )

    def load_rank_state(self, state: dict) -> None:
        """Take up the state of :meth:`rank_state`."""
        self._steps = state['steps']
        self.pool3d.load_state_dict(state['pool3d'])
        self.pool2d.load_state_dict(state['pool2d'])
        self.fakes.load_state_dict(state['fakes'], next(self.parameters()).device)
        load_own_buffers(self, state['buffers'])

    def _prepared(self, data: dict) -> dict[str, dict]:
        data = self.data_preprocessor(data, True)
        missing = {'pairs', 'real_2d', 'real_3d'} - set(data['inputs'])
        if missing:
            raise ValueError(
                f'PoseAug trains on batches of PoseStreams, this one lacks {", ".join(sorted(missing))}: wrap the data '
                "set as dict(type='PoseStreams', dataset=...) with a DomainSampler of three quotas"
            )
        streams = {name: {**inputs, **data['data_samples'][name]} for name, inputs in data['inputs'].items()}
        self._check(streams['pairs']['keypoints'])
        return streams

    def _update_on_pairs(self, pairs: dict, optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        batch = pairs['keypoints'], pairs['pose'], pairs.get('visible')
        return self.update_lifter('real', batch, optim_wrapper['student'])

    def _augment(self, data: dict, optim_wrapper: OptimWrapperDict) -> tuple[Fakes, dict[str, Tensor]]:
        """Augment a batch and update what makes and judges it."""
        part = optim_wrapper['augmentor' if self.learned else 'student']
        with part.optim_context(self), torch.set_grad_enabled(self.learned):
            fakes = self._make(data['pairs'])
            change = dict(aug_change=fakes.pose.angle_change.detach().mean())
            if self.learned:
                total, change = self.parse_losses({**self.augmentor_losses(fakes), **change})
        if self.learned:
            update_part(part, total)
        logged = without_sum(change)
        fakes = Fakes(*(AugmentedPose(*(x.detach() for x in f)) if isinstance(f, tuple) else f.detach() for f in fakes))
        if self._steps % self.disc_interval == 0:
            logged.update(self._update_discriminators(fakes, data, optim_wrapper))
        self._steps += 1
        self._shown = fakes, data['pairs']['aspect']
        return fakes, logged

    def _make(self, pairs: dict) -> Fakes:
        source = self._swapped(pairs['pose'])
        pose = self.augmentor(source)
        projected = (project_h36m(p, pairs['camera']) for p in (source, pose.ba, pose.rt))
        points, points_ba, points_rt = projected
        kept = in_view(pose.rt.detach(), points_rt.detach(), pairs['aspect'])
        return Fakes(source, points, pose, points_ba, points_rt, kept)

    @torch.no_grad()
    def _swapped(self, pose: Tensor) -> Tensor:
        """Poses (B, J, 3) with the bone lengths of other ones of the batch, each with its own root."""
        if not self.swap_lengths:
            return pose
        unit, length = split_bones(self.tree.bones(pose))
        order = torch.randperm(len(pose), device=pose.device)
        return self.tree.pose(unit * length[order], pose[:, self.root : self.root + 1])

    def augmentor_losses(self, fakes: Fakes) -> dict[str, Tensor]:
        """The augmentor's losses, weighted.

        Only the fake's half of each adversarial loss has a gradient; the reference adds the other as a constant.
        """
        change = fakes.pose.length_change
        losses = dict(
            aug_loss_angle=band_loss(fakes.pose.angle_change.mean(-1), self.angle_centre, self.angle_width),
            aug_loss_length=band_loss(change, 0.0, self.length_limit),
        )
        if self.disc3d is not None:
            losses['aug_loss_adv3d'] = lsgan_loss(self.disc3d(fakes.pose.ba), real=True) / 2
        if self.disc2d is not None:
            losses['aug_loss_adv2d'] = lsgan_loss(self.disc2d(fakes.points_rt), real=True) / 2
        if self.feedback is not None and self.lifter_active:
            losses['aug_loss_feedback_ba'], losses['aug_loss_feedback_rt'] = self._feedback(fakes)
        return {key: self.weights[key[len('aug_loss_') :]] * value for key, value in losses.items()}

    def _feedback(self, fakes: Fakes) -> tuple[Tensor, Tensor]:
        """Losses of the lifter's error on the changed angles and on the end result, against that on the source."""
        training = self.student.training
        self.student.train(self.feedback_mode == 'train')
        try:
            with torch.no_grad():
                source = self._errors(fakes.points, fakes.source)
            if self.feedback_mode == 'train':  # each batch has its own statistics, as in the authors' code
                ba, rt = self._errors(fakes.points_ba, fakes.pose.ba), self._errors(fakes.points_rt, fakes.pose.rt)
            else:
                points, poses = torch.cat([fakes.points_ba, fakes.points_rt]), torch.cat([fakes.pose.ba, fakes.pose.rt])
                ba, rt = self._errors(points, poses).chunk(2)
        finally:
            self.student.train(training)
        if self.feedback == 'exponential':
            return (
                exponential_feedback(ba, source, self.hard_ratio_ba).mean(),
                _mean_of(exponential_feedback(rt, source, self.hard_ratio_rt), fakes.kept),
            )
        # what is not kept is put into the band's middle, where it has neither loss nor gradient
        ratio_rt = torch.where(fakes.kept[:, None], hard_ratio(rt, source), self.hard_ratio_rt)
        share = fakes.kept.float().mean().clamp_min(1 / len(fakes.kept))
        return (
            band_loss(hard_ratio(ba, source), self.hard_ratio_ba, self.hard_width_ba),
            band_loss(ratio_rt, self.hard_ratio_rt, self.hard_width_rt) / share,
        )

    def _errors(self, points: Tensor, pose: Tensor) -> Tensor:
        return group_errors(self.lift(points).float(), self.relative(pose), self._groups, self._factors)

    def _error_groups(self) -> tuple[tuple, tuple]:
        """Joint indices of each group of the feedback, and the factor of every joint."""
        known = self.skeleton.groups
        lacking = {name for group in GROUPS for name in group} - set(known)
        if lacking and self.feedback is not None:
            raise ValueError(
                f'the joint set {self.skeleton.name!r} has no group {", ".join(sorted(lacking))}, which the feedback '
                'averages over: add it to `groups` of the meta file, or set feedback=None'
            )
        groups = tuple(tuple(j for name in group for j in known.get(name, ())) for group in GROUPS)
        factors = [1.0] * self.skeleton.num_joints
        for name, factor in GROUP_FACTORS.items():
            for joint in known.get(name, ()):
                factors[joint] = factor
        return groups, tuple(factors)

    def _update_discriminators(self, fakes: Fakes, data: dict, optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        logged = {}
        if self.disc3d is not None:
            real, fake = self._swapped(data['real_3d']['pose']), _finite(fakes.pose.ba, fakes.source)
            logged.update(self._judge('3d', real, self.pool3d(fake), optim_wrapper['disc3d']))
        if self.disc2d is not None:
            stream = data['real_2d']
            real = stream['keypoints']
            if 'pose' in stream:
                real = project_h36m(self._swapped(stream['pose']), stream['camera'])
            fake = _finite(fakes.points_rt, fakes.points)
            logged.update(self._judge('2d', real, self.pool2d(fake), optim_wrapper['disc2d']))
        return logged

    def _judge(self, name: str, real: Tensor, fake: Tensor, optim_wrapper) -> dict[str, Tensor]:
        """Update a discriminator on both sets in one pass; the accuracy to log is that at a threshold of 0.5."""
        disc = getattr(self, f'disc{name}')
        with optim_wrapper.optim_context(self):
            scores = disc(torch.cat([real, fake])).float()
            real_score, fake_score = scores.split([len(real), len(fake)])
            loss = (lsgan_loss(real_score, real=True) + lsgan_loss(fake_score, real=False)) / 2
            right = ((real_score > 0.5).float().mean() + (fake_score <= 0.5).float().mean()) / 2
            total, logged = self.parse_losses({f'disc_loss_{name}': loss, f'disc{name}_accuracy': right})
        update_part(optim_wrapper, total)
        return without_sum(logged)

    @staticmethod
    def _in_picture(fakes: Fakes) -> tuple[Tensor, Tensor, Tensor]:
        """The fakes in the picture, repeated to a whole batch, and their share. Where there is none, their source.

        A batch of fixed size needs no look at the number of fakes from the host, and all processes make the step.
        """
        kept = fakes.kept
        first = torch.argsort(~kept, stable=True)
        count = kept.sum()
        rows = first[torch.arange(len(kept), device=kept.device) % count.clamp_min(1)]
        points, pose = (
            torch.where(count > 0, fake[rows], source)
            for fake, source in ((fakes.points_rt, fakes.points), (fakes.pose.rt, fakes.source))
        )
        return points, pose, kept.float().mean()


def _mean_of(values: Tensor, rows: Tensor) -> Tensor:
    """Mean of values (B, G) over the rows that are chosen (B,); 0 where none is."""
    chosen = torch.where(rows[:, None], values, 0.0)
    return chosen.sum() / (rows.sum() * values.shape[1]).clamp_min(1)


def _finite(fake: Tensor, source: Tensor) -> Tensor:
    """Fakes (B, J, D), and their sources where they are not finite: a pool would give such ones back for long."""
    return torch.where(fake.isfinite().flatten(1).all(1)[:, None, None], fake, source)
