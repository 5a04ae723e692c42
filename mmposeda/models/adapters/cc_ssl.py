"""CC-SSL: consistency-constrained semi-supervised learning (Mu et al., CVPR 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mmposeda.registry import MODELS
from mmposeda.structures.heatmap import gaussian_heatmaps
from mmposeda.structures.warp import compose, inside, transform_points

from ..heatmap_estimator import heatmap_layout, predict_heatmaps
from ..relabelling import PseudoLabelTable, TurnRange, label_views
from ..views import ViewGenerator
from .base import DomainAdapter, prefixed


class LabelledViews(NamedTuple):
    """Views of a target batch (B, 3, h, w), its pseudo-labels in them, cells (B, K, 2), and 0/1 weights (B, K)."""

    images: Tensor
    cells: Tensor
    weights: Tensor


def sample_indices(data_samples: Sequence) -> list[int]:
    """Places of target samples in their data set.

    Raises:
        ValueError: A sample does not say it, or was flipped, so that labels of another time would not fit it.
    """
    for sample in data_samples:
        if 'flip' in sample.metainfo:
            raise ValueError(
                "CCSSL keeps a label of every target picture as the pipeline gives it, and the target's pipeline has a "
                'RandomFlip: take it out, and whatever else is random there. The model augments by itself.'
            )
        if 'sample_index' not in sample.metainfo:
            raise ValueError(
                f'CCSSL finds the labels of a target sample by its sample_index, and {sample.metainfo.get("img_path")} '
                'has none: wrap the target in UnlabeledDataset.'
            )
    return [sample.metainfo['sample_index'] for sample in data_samples]


@MODELS.register_module()
class CCSSL(DomainAdapter):
    """Self-training in rounds: the network labels the whole target set, then trains on source and sure target labels.

    ``PseudoRelabelHook`` makes the labels; they stand in ``table``, whose buffers go into checkpoints. The loss of a
    step is the estimator's own on the source plus ``gamma`` times ``1/2 mean (w (prediction - Gaussian))^2`` over the
    pictures, joints and cells of a random view of the target; w is 1 for joints that are kept and in the view, and the
    others stay in the denominator (paper's code). The Gaussians are drawn as the estimator's codec draws the source's.
    The domains pass through the network separately, as in the paper's code.

    Args:
        estimator (dict): MMPose estimator whose head gives heatmaps; with a squared error of ``loss_weight=0.5`` both
            terms are alike.
        gamma (float): Weight of the target's loss (10, the paper's); with 0 the target is not looked at.
        rotation (float): Deviation of the turn of a target view, degrees, see
            :class:`~mmposeda.models.relabelling.TurnRange`, as are the next two.
        scale (float): Deviation of its scale.
        rotation_probability (float): Chance that it is turned.
        flip (float): Chance that it is mirrored, left and right joints exchanged.
        gain (float): Largest deviation of a colour channel's factor from 1.
        kwargs: See :class:`DomainAdapter`.

    Raises:
        TypeError: The head gives no heatmaps.
        ValueError: An argument out of range; in training, a batch without target or whose pictures have no labels.
    """

    def __init__(
        self,
        estimator: dict,
        gamma: float = 10.0,
        rotation: float = 30.0,
        scale: float = 0.25,
        rotation_probability: float = 0.6,
        flip: float = 0.5,
        gain: float = 0.2,
        **kwargs,
    ) -> None:
        super().__init__(estimator, **kwargs)
        if gamma < 0:
            raise ValueError(f'gamma must not be negative, got {gamma}')
        if not 0 <= flip <= 1:
            raise ValueError(f'flip is a probability and must lie in [0, 1], got {flip}')
        self.layout = heatmap_layout(self.student, needed_by='CCSSL')
        self.gamma, self.flip = gamma, flip
        self.turns = TurnRange(rotation, scale, rotation_probability)
        still = dict(brightness=0, contrast=0, saturation=0)
        self.views, self.plain_views = ViewGenerator(**still, gain=gain), ViewGenerator(**still)
        self.table = PseudoLabelTable(self.layout.num_joints)
        # MSRAHeatmap draws about whole cells unless it is told otherwise, other codecs about the place itself
        self.whole_cells = getattr(self.student.head.decoder, 'unbiased', True) is False

    def loss(self, inputs: dict[str, Tensor], data_samples: dict[str, list]) -> dict[str, Tensor]:
        """Losses of the source half and, against the pseudo-labels, of the target half."""
        losses = prefixed('sup', self.student.loss(inputs['source'], data_samples['source']))
        if not self.gamma:
            return losses
        if 'target' not in inputs:
            raise ValueError('CCSSL wants target samples in every batch: check the quotas of the DomainSampler.')
        views = self.make_views(inputs['target'], data_samples['target'])
        losses['unsup_loss_pseudo'] = self.gamma * self.pseudo_loss(views)
        return losses

    @torch.no_grad()
    def make_views(self, images: Tensor, data_samples: list) -> LabelledViews:
        """Draw a random view of every target picture and carry its pseudo-labels over."""
        labels, keep = self.table.look_up(sample_indices(data_samples))
        number, device, size = len(images), images.device, self.layout.input_size
        base = torch.eye(3, device=device).repeat(number, 1, 1)
        if self.flip:
            flipped = torch.rand(number, device=device) < self.flip
            base[:, 0, 0] -= 2.0 * flipped
            base[:, 0, 2] += (size[0] - 1) * flipped
            partner = torch.tensor(self._partners(data_samples)).to(device, non_blocking=True)
            labels = torch.where(flipped[:, None, None], labels[:, partner], labels)
            keep = torch.where(flipped[:, None], keep[:, partner], keep)
        turns = self.turns.sample(number, size, device)
        mean, std = self.data_preprocessor.mean, self.data_preprocessor.std
        images = self.views(images, base, mean, std, turns).images
        cells = transform_points(labels, compose(turns, base)) / labels.new_tensor(self.layout.scale_factor)
        return LabelledViews(images, cells, (keep & inside(cells, self.layout.size)).float())

    def pseudo_loss(self, views: LabelledViews) -> Tensor:
        """Half the mean squared error of the heatmaps of views; those of joints of weight 0 count as right."""
        cells = (views.cells + 0.5).floor() if self.whole_cells else views.cells
        wanted = gaussian_heatmaps(cells, self.layout.size, self.layout.sigma)
        error = predict_heatmaps(self.student, views.images).float() - wanted
        return 0.5 * (views.weights[..., None, None] * error).square().mean()

    @torch.no_grad()
    def label(self, images: Tensor, matrices: Tensor) -> tuple[Tensor, Tensor]:
        """Label target pictures; the caller sees to evaluation mode.

        Args:
            images (Tensor): Normalised pictures (B, 3, h, w).
            matrices (Tensor): From each to its views, (B, V, 3, 3); V may be 0.

        Returns:
            tuple[Tensor, Tensor]: Places, input pixels (B, K, 2), and confidence (B, K).
        """
        flat = matrices.flatten(0, 1)
        views = images.repeat_interleave(matrices.shape[1], 0)
        if len(views):
            base = torch.eye(3, device=images.device).repeat(len(flat), 1, 1)
            mean, std = self.data_preprocessor.mean, self.data_preprocessor.std
            views = self.plain_views(views, base, mean, std, flat).images
        return label_views(lambda x: predict_heatmaps(self.student, x), images, views, flat, self.layout)

    @torch.no_grad()
    def preview(self, inputs: dict[str, Tensor], data_samples: dict[str, list]) -> dict[str, Tensor]:
        """What one step trains on, for figures.

        Returns:
            dict[str, Tensor]: Normalised pictures 'source', 'target' and 'student view' (B, 3, h, w), and of the
            pseudo-labels 'points' in the student's view, pixels (B, K, 2), and 'kept' (B, K).
        """
        views = self.make_views(inputs['target'], data_samples['target'])
        return {
            'source': inputs['source'],
            'target': inputs['target'],
            'student view': views.images,
            'points': views.cells * views.cells.new_tensor(self.layout.scale_factor),
            'kept': views.weights.bool(),
        }

    @staticmethod
    def _partners(data_samples: list) -> list[int]:
        indices = data_samples[0].metainfo.get('flip_indices')
        if indices is None:
            raise ValueError(
                "CCSSL mirrors target views and needs flip_indices among the meta_keys of the target's PackPoseInputs; "
                'add it there, or set flip=0.'
            )
        return [int(i) for i in indices]
