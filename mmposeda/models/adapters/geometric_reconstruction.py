"""Geometric reconstruction with integrated pseudo-labels (Lin, Gu, Yang and Yao, NeurIPS 2023)."""

from __future__ import annotations

from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmposeda.registry import MODELS
from mmposeda.structures.keypoint_grid import soft_argmax, warp_by_field
from mmposeda.structures.thin_plate import random_deformation
from mmposeda.structures.warp import invert

from ..heatmap_estimator import predict_heatmaps
from ..loss_balance import LossBalance
from ..networks.depth_branch import DecoderTap, joint_distance, transform_joints
from ..pseudo_labels_3d import mask_overlap, select_stable
from ..reconstruction import PairReconstruction, Reconstruction
from .base import prefixed
from .udape import UDAPE, PseudoLabels, TargetViews

PHASES = ('pose', 'generator', 'adapt')
GRADIENTS = ('driving', 'both')


class Pair(NamedTuple):
    """Two pictures of one scene under one draw of view and colours, normalised, (B, 3, h, w)."""

    base: Tensor
    driving: Tensor


@MODELS.register_module()
class GeometricReconstruction(UDAPE):
    """UDAPE with 3D pseudo-labels, and with a picture that must be redrawn from where its joints are said to be.

    Self-training never corrects a joint of which it is sure and wrong. Here the picture tells: of two pictures of one
    person and scene, the *base* one is bent so that its joints, as the teacher sees them, go to those that the student
    predicts on the *driving* one, a generator completes it, and what differs from the driving picture pushes the
    student's joints. Beside it the student has a depth branch, trained on the source, whose poses give a second mask of
    pseudo-labels: a joint is trusted in 3D if its bones are as long as in the source and two views agree on it.

    Losses of fine-tuning: ``L_2D + w_d L_3D`` on the source, ``lambda_2D L_pl2D + lambda_3D L_pl3D`` on the target's
    pseudo-labels, and ``lambda_rec L_rec`` on pairs; the gradient of the last reaches the student through the driving
    points. Of the paper: the idea, both networks, the first mask, and how the masks are combined. Our choice, for want
    of its main text: the 3D branch and its mask, the pairs' views, and the weights, which are measured, see
    :class:`~mmposeda.models.loss_balance.LossBalance`.

    A batch has domains 'source' and 'target' as UDAPE's, the source's samples with ``screen_pose`` labels where there
    is a depth branch (:class:`~mmposeda.datasets.transforms.ScreenPose`), and 'pair', (B, V, 3, h, w): two pictures,
    or a still one, which is deformed to make the second.

    Args:
        estimator (dict): MMPose estimator whose head gives heatmaps by a ``final_layer``.
        phase (str): 'pose' trains the student on the source, 'generator' the networks of the reconstruction on pairs,
            with the pose network fixed and in evaluation mode, and 'adapt' is fine-tuning.
        depth (dict, optional): Arguments of :class:`~mmposeda.models.networks.DepthBranch`, but those that follow from
            the estimator. None leaves all that is 3D out.
        reconstruction (dict, optional): Arguments of :class:`~mmposeda.models.reconstruction.PairReconstruction` beside
            the number of keypoints. None leaves the reconstruction out.
        scorer (dict, optional): Judge of 3D poses, :class:`~mmposeda.models.pseudo_labels_3d.KinematicScorer`.
        combine (dict, optional): Arguments of :class:`~mmposeda.models.pseudo_labels_3d.MaskCombiner`, whose epochs
            :class:`~mmposeda.engine.hooks.MaskCombinerHook` ends.
        depth_weight (float): w_d (0.01).
        weight_3d (float | str): lambda_3D, or 'auto' to measure it; 0 leaves the 3D pseudo-labels out.
        reconstruction_weight (float | str): lambda_rec likewise.
        balance (dict, optional): ``share`` and ``iterations`` of the measurement (0.3, 200).
        mask_ratio_3d (float, optional): Share of 3D pseudo-labels thrown away, those with wrong bones aside;
            ``mask_ratio`` by default: the overlap of the masks means little for different shares.
        kp_grad (str): 'driving' lets the gradient through the driving points alone, the base ones being the teacher's;
            'both' takes both from the student.
        freeze_generator (bool): Fix the networks of the reconstruction in fine-tuning. Otherwise they learn on, best at
            a tenth of the pose network's rate (``paramwise_cfg=dict(custom_keys={'reconstruction': ...})``).
        temperature (float): Of the points read off heatmaps, see
            :func:`~mmposeda.structures.keypoint_grid.soft_argmax`.
        radius (float, optional): Likewise, cells; three deviations of the codec's Gaussian by default.
        deformation (dict, optional): Ranges of :func:`~mmposeda.structures.thin_plate.random_deformation`, by which a
            still picture becomes its own driving picture.
        kwargs: See :class:`UDAPE`.

    Raises:
        TypeError: The head gives no heatmaps or has no ``final_layer``.
        ValueError: An unknown phase or way of the gradient, a weight that is negative, or one for what is left out.
    """

    def __init__(
        self,
        estimator: dict,
        phase: str = 'adapt',
        depth: dict | None = None,
        reconstruction: dict | None = None,
        scorer: dict | None = None,
        combine: dict | None = None,
        depth_weight: float = 0.01,
        weight_3d: float | str = 'auto',
        reconstruction_weight: float | str = 'auto',
        balance: dict | None = None,
        mask_ratio_3d: float | None = None,
        kp_grad: str = 'driving',
        freeze_generator: bool = False,
        temperature: float = 0.2,
        radius: float | None = None,
        deformation: dict | None = None,
        **kwargs,
    ) -> None:
        super().__init__(estimator, **kwargs)
        if phase not in PHASES:
            raise ValueError(f'phase must be one of {PHASES}, got {phase!r}')
        if kp_grad not in GRADIENTS:
            raise ValueError(f'kp_grad must be one of {GRADIENTS}, got {kp_grad!r}')
        self.phase, self.kp_grad = phase, kp_grad
        self.temperature = temperature
        self.radius = 3 * self.layout.sigma if radius is None else radius
        self.depth_weight, self.deformation = depth_weight, dict(deformation or {})
        self.mask_ratio_3d = self.mask_ratio if mask_ratio_3d is None else mask_ratio_3d
        if phase != 'adapt':
            self.consistency_weight = 0.0
        self.weights = {'3d': weight_3d, 'reconstruction': reconstruction_weight}
        for name, part in (('3d', depth), ('reconstruction', reconstruction)):
            self._check_weight(name, part)
        self.depth = self.teacher_depth = self.reconstruction = None
        if depth is not None:
            self._build_depth(depth, scorer, combine)
        if reconstruction is not None:
            self.reconstruction = PairReconstruction(self.layout.num_joints, **reconstruction)
        measured = [name for name, weight in self.weights.items() if weight == 'auto']
        self.balance = LossBalance(measured, **(balance or {})) if measured else None
        self._terms: dict[str, tuple[Tensor, Tensor]] = {}
        fixed = {
            'pose': ('reconstruction',),
            'generator': ('student', 'depth'),
            'adapt': () if self._weighs('reconstruction') and not freeze_generator else ('reconstruction',),
        }[phase]
        self.fixed = [name for name in fixed if getattr(self, name) is not None]
        for name in self.fixed:
            getattr(self, name).requires_grad_(False)
        self.train(self.training)

    @property
    def needed_domains(self) -> tuple[str, ...]:
        """Domains that a training batch of the phase must have."""
        if self.phase == 'generator':
            return ('pair',)
        return ('source', 'pair') if self._weighs('reconstruction') else ('source',)

    def taught(self) -> list[tuple[nn.Module, nn.Module]]:
        """Parts of the teacher, and the student's that they follow."""
        return super().taught() + ([] if self.depth is None else [(self.teacher_depth, self.depth)])

    def train(self, mode: bool = True) -> GeometricReconstruction:
        """Set the mode of what the phase trains; the rest stays in evaluation mode."""
        super().train(mode)
        for name in self.__dict__.get('fixed', ()):
            getattr(self, name).eval()
        return self

    def loss(self, inputs: dict[str, Tensor], data_samples: dict[str, list]) -> dict[str, Tensor]:
        """Losses of the phase: of the pose network, of the reconstruction, or of both."""
        if self.phase == 'generator':
            made = self.reconstruct(self.make_pair(inputs['pair']))[0]
            return prefixed('rec', dict(loss=made.loss, **made.signs()))
        self._terms = {}
        losses = super().loss(inputs, data_samples)
        if self._weighs('reconstruction'):
            made, features = self.reconstruct(self.make_pair(inputs['pair']))
            self._terms['reconstruction'] = made.loss, features
            losses.update(prefixed('rec', made.signs()))
        terms, self._terms = self._terms, {}
        losses.update(self._weigh(terms))
        return losses

    def supervise(self, images: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Losses of labelled pictures (B, 3, h, w): the estimator's own, and the depth branch's.

        Raises:
            ValueError: Samples without ``screen_pose`` labels.
        """
        if self.depth is None:
            return super().supervise(images, data_samples)
        with DecoderTap(self.student) as tap:
            losses = super().supervise(images, data_samples)
        label = screen_poses(data_samples).to(images.device, non_blocking=True)
        known = label.isfinite().all(-1)
        target = self.depth.relative(torch.where(known[..., None], label[..., :3], 0.0))
        weights = torch.where(known & self.depth.anchored(known), label[..., 3], 0.0)
        self.scorer.update(target, weights)
        poses = self.depth.relative(self.depth(*tap.passes[-1]))
        losses['loss_3d'] = self.depth_weight * joint_distance(poses, target, weights)
        return losses

    @torch.no_grad()
    def pseudo_label(self, views: TargetViews, source: Tensor) -> PseudoLabels:
        """UDAPE's pseudo-heatmaps, and the poses of each of the teacher's views in the base frame."""
        if not self._weighs('3d'):
            return super().pseudo_label(views, source)
        with DecoderTap(self.teacher) as tap:
            pseudo = super().pseudo_label(views, source)
        # a mirror image's pass follows each view's
        seen = zip(tap.passes[:: 2 if self.flip_test else 1], views.teacher_matrices)
        return pseudo._replace(poses=torch.stack([self._base_pose(self.teacher_depth, *s) for s in seen]))

    def consistency(self, images: Tensor, matrix: Tensor, pseudo: PseudoLabels) -> dict[str, Tensor]:
        """UDAPE's loss under the combined mask; that of the poses joins the terms that are weighed at the end."""
        with DecoderTap(self.student) as tap:
            heatmaps = predict_heatmaps(self.student, images)
        logs, kept, kept_3d = {}, self.select(pseudo), None
        if self._weighs('3d'):
            poses = self._base_pose(self.depth, tap.passes[-1], matrix)
            masks = kept, self.select_poses(pseudo.poses, poses.detach())
            logs.update(kept_3d=masks[1].float().mean(), overlap=mask_overlap(*masks))
            kept, kept_3d = self.combiner(*masks)
            self._terms['3d'] = joint_distance(poses, pseudo.poses.mean(0), kept_3d), tap.features
        losses = self.compare_heatmaps(heatmaps, matrix, pseudo, kept)
        self._terms['consistency'] = losses['loss_consistency'], tap.features
        return {**losses, **logs}

    @torch.no_grad()
    def select_poses(self, teacher: Tensor, student: Tensor, gathered: bool = False) -> Tensor:
        """3D pseudo-labels to trust: sound bones, and a place that views agree on.

        Args:
            teacher (Tensor): Poses of each of the teacher's views in one frame, (V, B, K, 3).
            student (Tensor): The student's, (B, K, 3), which is asked where the teacher has one view alone.
            gathered (bool): Ask no other process.

        Returns:
            Tensor: Boolean (B, K).
        """
        views = teacher if len(teacher) > 1 else torch.cat([teacher, student[None]])
        return select_stable(self.scorer(teacher.mean(0), views), self.mask_ratio_3d, self.mask_scope, gathered)

    @torch.no_grad()
    def judge(self, images: Tensor, pairs: list[tuple[int, int]] = ()) -> dict[str, Tensor]:
        """UDAPE's answer, and which 3D pseudo-labels it trusts: 'kept_3d' (B, K), and 'kept' by either rule."""
        if not self._weighs('3d'):
            return super().judge(images, pairs)
        with DecoderTap(self.teacher) as teacher, DecoderTap(self.student) as student:
            judged = super().judge(images, pairs)
            predict_heatmaps(self.student, images)
        taught = self.depth.relative(self.teacher_depth(*teacher.passes[0]))  # not of the mirror image
        kept_3d = self.select_poses(taught[None], self.depth.relative(self.depth(*student.passes[-1])), gathered=True)
        masks = self.combiner.combine(judged['kept_2d'], kept_3d)
        return {**judged, 'kept_3d': kept_3d, 'kept': masks[0] | masks[1]}

    def make_pair(self, pictures: Tensor) -> Pair:
        """Draw one view and one colouring for both pictures of each pair, and deform still ones.

        Args:
            pictures (Tensor): Normalised, (B, V, 3, h, w), V being 1 for still pictures and 2 for pairs.
        """
        mean, std = self.data_preprocessor.mean, self.data_preprocessor.std
        still = pictures[:, 0]
        drawn = self.views.base(still), mean, std, self.views.matrices(still), self.views.colours(still)
        base = self.views(still, *drawn).images
        if pictures.shape[1] > 1:
            return Pair(base, self.views(pictures[:, 1], *drawn).images)
        field = random_deformation(len(still), self.layout.input_size, still.device, **self.deformation)
        return Pair(base, self.data_preprocessor.normalised(warp_by_field(self._unit(base), field)))

    def reconstruct(self, pair: Pair) -> tuple[Reconstruction, Tensor | None]:
        """Redraw the driving pictures from the base ones; also the features that the gradient passes."""
        learns = self.phase == 'adapt' and torch.is_grad_enabled()
        if self.kp_grad == 'both' and learns:
            with DecoderTap(self.student) as tap:
                points = self._points(predict_heatmaps(self.student, torch.cat(pair))).chunk(2)
        else:
            fixed = self.teacher if self.phase == 'adapt' else self.student
            with torch.no_grad():
                base = self._points(predict_heatmaps(fixed, pair.base))
            with DecoderTap(self.student) as tap, torch.set_grad_enabled(learns):
                points = base, self._points(predict_heatmaps(self.student, pair.driving))
        made = self.reconstruction(*(self._unit(picture) for picture in pair), *points)
        return made, tap.features

    @torch.no_grad()
    def preview_pair(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """What the reconstruction makes of a batch, for figures.

        Returns:
            dict[str, Tensor]: Pictures RGB or BGR as the network sees them, in [0, 1], (B, 3, h, w): 'base', 'driving',
            'warped' and 'drawn'; 'base points' and 'driving points' (B, K, 2) in pixels; 'field' (B, h', w', 2) in grid
            units; 'mask' (B, R, h', w'), 'inpainting' (B, 1, h', w').
        """
        pair = self.make_pair(inputs['pair'])
        base, driving = (self._unit(picture) for picture in pair)
        points = [self._points(predict_heatmaps(self.estimator, picture)) for picture in pair]
        warp, drawn = self.reconstruction.draw(base, *points)
        return {
            'base': base,
            'driving': driving,
            'warped': warp_by_field(base, warp.field),
            'drawn': drawn,
            'base points': points[0],
            'driving points': points[1],
            **warp._asdict(),
        }

    def _build_depth(self, depth: dict, scorer: dict | None, combine: dict | None) -> None:
        given = dict(in_channels=DecoderTap(self.student).channels, scale_factor=self.layout.scale_factor)
        readout = dict(temperature=self.temperature, radius=self.radius)
        self.depth = MODELS.build({'type': 'DepthBranch', **readout, **depth, **given})
        if self.depth.num_joints != self.layout.num_joints:
            raise ValueError(
                f'depth.skeleton {self.depth.skeleton.name!r} has {self.depth.num_joints} joints, but the estimator '
                f'makes {self.layout.num_joints} heatmaps: name the joint set of the estimator'
            )
        self.teacher_depth = deepcopy(self.depth).requires_grad_(False)
        self.scorer = MODELS.build({'type': 'KinematicScorer', 'skeleton': self.depth.skeleton, **(scorer or {})})
        self.combiner = MODELS.build({'type': 'MaskCombiner', **(combine or {})})

    def _check_weight(self, name: str, part: dict | None) -> None:
        weight = self.weights[name]
        if part is None:
            self.weights[name] = 0.0
        elif weight == 'auto':
            if self.phase == 'adapt' and not self.consistency_weight:
                raise ValueError(
                    f'the weight of {name!r} is measured against the consistency loss, which consistency_weight=0 '
                    'leaves out: give a number'
                )
        elif isinstance(weight, str) or weight < 0:
            raise ValueError(f"the weight of {name!r} must be 'auto' or not negative, got {weight!r}")

    def _weighs(self, name: str) -> bool:
        return self.phase == 'adapt' and self.weights[name] != 0

    def _weigh(self, terms: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        """Losses ``loss_3d`` and ``loss_reconstruction`` times their weights, and the weights for the log."""
        if self.balance is not None and {'consistency', *self.balance.names} <= terms.keys():
            self.balance.measure([terms['consistency'], *(terms[name] for name in self.balance.names)])
        out = {}
        for name in (name for name in self.weights if name in terms):  # in an order that does not change the sum
            loss, _ = terms[name]
            weight = self.balance.weight(name) if self.weights[name] == 'auto' else loss.new_tensor(self.weights[name])
            out.update({f'unsup_loss_{name}': weight * loss, f'weight_{name}': weight, f'raw_{name}': loss.detach()})
        return out

    def _base_pose(self, depth: nn.Module, seen: tuple[Tensor, Tensor], matrix: Tensor) -> Tensor:
        """Relative poses (B, K, 3) in the base frame, of features and heatmaps of views with matrices (B, 3, 3)."""
        return self.depth.relative(transform_joints(depth(*seen), invert(matrix)))

    def _points(self, heatmaps: Tensor) -> Tensor:
        """Places of joints in pixels of the input, (B, K, 2), differentiable."""
        cells = soft_argmax(heatmaps, self.temperature, self.radius)
        return cells * cells.new_tensor(self.layout.scale_factor)

    def _unit(self, pictures: Tensor) -> Tensor:
        return self.data_preprocessor.unit(pictures).clamp(0, 1)


def screen_poses(data_samples: list) -> Tensor:
    """Labels of samples, (B, K, 4), see :class:`~mmposeda.datasets.transforms.ScreenPose`.

    Raises:
        ValueError: A sample has none.
    """
    labels = [sample.gt_instance_labels.get('screen_pose') for sample in data_samples]
    if any(label is None for label in labels):
        raise ValueError(
            'a source sample without screen_pose labels, which the depth branch learns from: put '
            "dict(type='ScreenPose') between GenerateTarget and PackPoseInputs of the source's pipeline, or leave "
            'depth out of the model'
        )
    return torch.cat(labels)
