"""UDAPE: a unified framework for domain-adaptive pose estimation (Kim et al., ECCV 2022)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mmposeda.registry import MODELS
from mmposeda.structures.heatmap import gaussian_heatmaps, heatmap_argmax
from mmposeda.structures.warp import inside, invert, rescale, transform_points, warp

from ..heatmap_estimator import heatmap_layout, predict_heatmaps, predict_mirrored
from ..pseudo_labels import SCOPES, collapse_signs, occlude_joint, select_confident
from ..views import ViewGenerator
from .base import MeanTeacherAdapter, flip_pairs, prefixed


class PseudoLabels(NamedTuple):
    """The teacher's answer in the base frame: cells (B, K, 2), confidence (B, K), and heatmaps (B, K, H, W).

    A method that lifts poses adds those of each of the teacher's views, (V, B, K, 3).
    """

    points: Tensor
    confidence: Tensor
    heatmaps: Tensor
    poses: Tensor | None = None


class TargetViews(NamedTuple):
    """The views of a target batch: the student's, and the teacher's k; and its left-right pairs of joints."""

    student: Tensor
    student_matrix: Tensor
    teacher: list[Tensor]
    teacher_matrices: list[Tensor]
    pairs: list[tuple[int, int]]


@MODELS.register_module()
class UDAPE(MeanTeacherAdapter):
    """Style transfer in both directions and a mean teacher with cleaned pseudo-heatmaps.

    One step: the source half trains the student, stylised as the target with probability ``s2t``. The teacher sees
    ``num_teacher_views`` views of each target picture (stylised as the source with probability ``t2s``); its heatmaps
    return to the base frame, are averaged and redrawn as Gaussians; the student sees another view, one trusted joint
    hidden, and its heatmaps, returned likewise, must equal the teacher's where these are confident. With
    ``consistency_weight=0`` it is the pre-training stage: the teacher is not run.

    Args:
        estimator (dict): MMPose estimator whose head gives heatmaps.
        view (dict): Ranges of :class:`~mmposeda.models.views.ViewGenerator`, for student and teacher alike.
        style (dict, optional): A network with ``stylize``; None leaves style transfer out.
        s2t (float): Chance that a source batch is drawn in the target's style (0.5 in the paper's code).
        t2s (float): Chance that the teacher's views are drawn in the source's style (0.5).
        consistency_weight (float): lambda_c of the loss (1).
        mask_ratio (float): Share of pseudo-labels thrown away (0.5).
        mask_scope (str): 'batch' pools the joints as the paper's code does; 'joint' keeps the same share of each, our
            default: the peaks of wrists and ankles are far below a head's, and the pooled threshold leaves them out.
        num_teacher_views (int): k (1).
        flip_test (bool): Average the teacher's heatmaps of each view with those of its mirror image, as MMPose's option
            of this name does at a test. Not in the paper: it costs a pass of the teacher.
        occlusion_threshold (float): Confidence from which a joint may be hidden from the student (0.9).
        occlusion_probability (float): Chance that it is (0.5); 0 turns adaptive occlusion off.
        occlusion_radius (float): Reach of the patch, fraction of the input width (10 of 256 pixels).
        kwargs: See :class:`MeanTeacherAdapter`.

    Raises:
        TypeError: The head gives no heatmaps.
        ValueError: A share, scope or count out of range.
    """

    def __init__(
        self,
        estimator: dict,
        view: dict | None = None,
        style: dict | None = None,
        s2t: float = 0.5,
        t2s: float = 0.5,
        consistency_weight: float = 1.0,
        mask_ratio: float = 0.5,
        mask_scope: str = 'joint',
        num_teacher_views: int = 1,
        flip_test: bool = False,
        occlusion_threshold: float = 0.9,
        occlusion_probability: float = 0.5,
        occlusion_radius: float = 10 / 256,
        **kwargs,
    ) -> None:
        super().__init__(estimator, **kwargs)
        shares = dict(s2t=s2t, t2s=t2s, occlusion_probability=occlusion_probability)
        for name, value in shares.items():
            if not 0 <= value <= 1:
                raise ValueError(f'{name} is a probability and must lie in [0, 1], got {value}')
        if not 0 <= mask_ratio < 1:
            raise ValueError(f'mask_ratio is the share thrown away and must lie in [0, 1), got {mask_ratio}')
        if mask_scope not in SCOPES:
            raise ValueError(f'mask_scope must be one of {SCOPES}, got {mask_scope!r}')
        if num_teacher_views < 1:
            raise ValueError(f'num_teacher_views must be at least 1, got {num_teacher_views}')
        self.layout = heatmap_layout(self.student, needed_by='UDAPE')
        self.views = ViewGenerator(**(view or {}))
        self.style = MODELS.build(style) if style else None
        if self.style is not None:
            self.style.requires_grad_(False)
        self.s2t, self.t2s = s2t, t2s
        self.consistency_weight = consistency_weight
        self.mask_ratio, self.mask_scope = mask_ratio, mask_scope
        self.num_teacher_views, self.flip_test = num_teacher_views, flip_test
        self.occlusion_threshold = occlusion_threshold
        self.occlusion_probability = occlusion_probability
        self.occlusion_radius = max(1, round(occlusion_radius * self.layout.input_size[0]))

    def loss(self, inputs: dict[str, Tensor], data_samples: dict[str, list]) -> dict[str, Tensor]:
        """Supervised loss of the source half and consistency loss of the target half (``L_sup + lambda_c L_cons``)."""
        source, target = inputs['source'], inputs.get('target')
        if not self.consistency_weight and not self._styles_source():
            return prefixed('sup', self.supervise(source, data_samples['source']))
        if target is None:
            raise ValueError('UDAPE wants target samples in every batch: check the quotas of the DomainSampler.')
        losses = {}
        with torch.no_grad():
            views = self.make_views(target, data_samples['target'])
            painted = self.paint(source, views.teacher[0], self.s2t)
        # Two passes, so that batch normalisation sees one domain at a time (reference code).
        losses.update(prefixed('sup', self.supervise(painted, data_samples['source'])))
        if self.consistency_weight:
            pseudo = self.pseudo_label(views, source)
            student_view = self.hide_joint(views, pseudo)
            losses.update(prefixed('unsup', self.consistency(student_view, views.student_matrix, pseudo)))
            signs = collapse_signs(pseudo.points, self.layout.size[0], views.pairs, self.layout.sigma)
            losses.update(prefixed('unsup', signs))
        return losses

    def supervise(self, images: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Losses of labelled pictures (B, 3, h, w)."""
        return self.student.loss(images, data_samples)

    def make_views(self, target: Tensor, data_samples: list) -> TargetViews:
        """Draw the shared base crop and the independent student and teacher views of it."""
        mean, std = self.data_preprocessor.mean, self.data_preprocessor.std
        base = self.views.base(target)
        student = self.views(target, base, mean, std)
        teacher = [self.views(target, base, mean, std) for _ in range(self.num_teacher_views)]
        images, matrices = [view.images for view in teacher], [view.matrices for view in teacher]
        return TargetViews(student.images, student.matrices, images, matrices, flip_pairs(data_samples))

    def paint(self, content: Tensor, style: Tensor, probability: float) -> Tensor:
        """Draw a whole batch in another's style with some probability, at a strength from U(0, 1)."""
        # Drawn on the host: a decision about the batch, not about its tensors, costs no synchronisation there.
        if self.style is None or torch.rand(()) >= probability:
            return content
        partner = style[torch.arange(len(content), device=style.device) % len(style)]
        strength = torch.rand((), device=content.device)
        return self.style.stylize(content, partner, strength, self.data_preprocessor.mean, self.data_preprocessor.std)

    @torch.no_grad()
    def pseudo_label(self, views: TargetViews, source: Tensor) -> PseudoLabels:
        """Average the teacher's heatmaps in the base frame and redraw them as Gaussians (paper, section 3.2)."""
        in_source_style = self.style is not None and torch.rand(()) < self.t2s
        total = 0.0
        for image, matrix in zip(views.teacher, views.teacher_matrices):
            image = self.paint(image, source, 1.0) if in_source_style else image
            heatmaps = self.teach(image, views.pairs)
            total = total + warp(heatmaps.float(), invert(self._to_heatmap(matrix)))
        points, confidence = heatmap_argmax(total / len(views.teacher))
        return PseudoLabels(points, confidence, gaussian_heatmaps(points, self.layout.size, self.layout.sigma))

    def teach(self, images: Tensor, pairs: list[tuple[int, int]]) -> Tensor:
        """The teacher's heatmaps (B, K, H, W) of pictures (B, 3, h, w).

        Raises:
            ValueError: ``flip_test`` without left-right pairs.
        """
        heatmaps = predict_heatmaps(self.teacher, images)
        if not self.flip_test:
            return heatmaps
        if not pairs:
            raise ValueError(
                "flip_test wants left-right pairs: add flip_indices to the meta_keys of the target's PackPoseInputs, "
                'or, where joints have no sides (one hand), leave flip_test out'
            )
        return (heatmaps + predict_mirrored(self.teacher, images, self.layout, pairs)) / 2

    def hide_joint(self, views: TargetViews, pseudo: PseudoLabels) -> Tensor:
        """Occlude a joint that the teacher is sure of in the student's view (adaptive occlusion)."""
        if not self.occlusion_probability:
            return views.student
        scale = pseudo.points.new_tensor(self.layout.scale_factor)
        points = transform_points(pseudo.points * scale, views.student_matrix)
        allowed = pseudo.confidence >= self.occlusion_threshold
        return occlude_joint(views.student, points, allowed, self.occlusion_probability, self.occlusion_radius)

    def consistency(self, images: Tensor, matrix: Tensor, pseudo: PseudoLabels) -> dict[str, Tensor]:
        """Squared error between the student's heatmaps, returned to the base frame, and the pseudo-heatmaps.

        All joints and cells stay in the denominator (paper's code). Unlike there, cells that the student's view does
        not cover are left out, where the reference compares padding with labels.
        """
        heatmaps = predict_heatmaps(self.student, images)
        return self.compare_heatmaps(heatmaps, matrix, pseudo, self.select(pseudo))

    def select(self, pseudo: PseudoLabels, gathered: bool = False) -> Tensor:
        """Pseudo-heatmaps to trust, boolean (B, K); with ``gathered`` other processes are not asked."""
        return select_confident(pseudo.confidence, self.mask_ratio, self.mask_scope, gathered)

    def compare_heatmaps(
        self, heatmaps: Tensor, matrix: Tensor, pseudo: PseudoLabels, keep: Tensor
    ) -> dict[str, Tensor]:
        """The loss of :meth:`consistency` for heatmaps (B, K, H, W) of views with matrices (B, 3, 3)."""
        to_view = self._to_heatmap(matrix)
        error = (warp(heatmaps.float(), invert(to_view)) - pseudo.heatmaps) ** 2
        error = error * (keep[..., None, None] & self._covered(to_view))
        return dict(
            loss_consistency=self.consistency_weight * error.mean(),
            confidence=pseudo.confidence.mean(),
            kept=keep.float().mean(),
        )

    @torch.no_grad()
    def judge(self, images: Tensor, pairs: list[tuple[int, int]] = ()) -> dict[str, Tensor]:
        """The teacher's pseudo-labels for pictures as they are, for diagnosis.

        Args:
            images (Tensor): Normalised, (B, 3, h, w); the share that is kept is taken over them.
            pairs (list): Indices of joints that are each other's mirror image, for ``flip_test``.

        Returns:
            dict[str, Tensor]: 'points' (B, K, 2), pixels of the input, and 'kept_2d' and 'kept', boolean (B, K).
        """
        heatmaps = self.teach(images, pairs).float()
        points, confidence = heatmap_argmax(heatmaps)
        kept = self.select(PseudoLabels(points, confidence, heatmaps), gathered=True)
        return {'points': points * points.new_tensor(self.layout.scale_factor), 'kept_2d': kept, 'kept': kept}

    @torch.no_grad()
    def preview(self, inputs: dict[str, Tensor], data_samples: dict[str, list]) -> dict[str, Tensor]:
        """What one step shows student and teacher, for figures.

        Returns:
            dict[str, Tensor]: Normalised pictures 'source', 'painted source', 'target', 'teacher view', 'student view'
            (B, 3, h, w); of the pseudo-labels 'points' in the student's view, pixels (B, K, 2), and 'kept' (B, K); and
            'hidden', the pixels of that view that hide a joint, boolean (B, h, w).
        """
        source, target = inputs['source'], inputs['target']
        views = self.make_views(target, data_samples['target'])
        pseudo = self.pseudo_label(views, source)
        painted, student = self.paint(source, views.teacher[0], 1.0), self.hide_joint(views, pseudo)
        scale = pseudo.points.new_tensor(self.layout.scale_factor)
        return {
            'source': source,
            'painted source': painted,
            'target': target,
            'teacher view': views.teacher[0],
            'student view': student,
            'points': transform_points(pseudo.points * scale, views.student_matrix),
            'kept': self.select(pseudo, gathered=True),
            'hidden': (student != views.student).any(1),
        }

    def _styles_source(self) -> bool:
        return self.style is not None and self.s2t > 0

    def _to_heatmap(self, matrix: Tensor) -> Tensor:
        return rescale(matrix, self.layout.scale_factor)

    def _covered(self, to_view: Tensor) -> Tensor:
        """Cells of the base frame that the view shows, boolean (B, 1, H, W)."""
        width, height = self.layout.size
        like = dict(device=to_view.device, dtype=to_view.dtype)
        rows, columns = torch.meshgrid(torch.arange(height, **like), torch.arange(width, **like), indexing='ij')
        cells = torch.stack([columns, rows], -1).view(1, -1, 2).expand(len(to_view), -1, -1)
        return inside(transform_points(cells, to_view), self.layout.size).view(-1, 1, height, width)
