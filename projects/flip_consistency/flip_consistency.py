"""A worked example of a method: the flip test, distilled on pictures without labels."""

from __future__ import annotations

import torch
from torch import Tensor

from mmposeda.models.adapters.base import DomainAdapter, flip_pairs, prefixed
from mmposeda.models.heatmap_estimator import heatmap_layout, predict_heatmaps
from mmposeda.registry import MODELS
from mmposeda.structures.warp import invert, rescale, warp


@MODELS.register_module()
class FlipConsistency(DomainAdapter):
    """Heatmaps of a target picture are pulled to their mean with those of its mirror image.

    MMPose's ``flip_test`` averages the two when it predicts; here the average teaches the network, so that one pass
    does as well. Example of the page ``docs/write_a_method.md``, not a published method.

    Args:
        estimator (dict): MMPose estimator whose head gives heatmaps.
        weight (float): Factor of the loss of the target half.
        kwargs: See :class:`~mmposeda.models.adapters.base.DomainAdapter`.

    Raises:
        TypeError: The head gives no heatmaps.
        ValueError: A negative weight.
    """

    needed_domains = ('source', 'target')

    def __init__(self, estimator: dict, weight: float = 1.0, **kwargs) -> None:
        super().__init__(estimator, **kwargs)
        if weight < 0:
            raise ValueError(f'weight must not be negative, got {weight}')
        self.weight = weight
        self.layout = heatmap_layout(self.student, needed_by='FlipConsistency')
        width = self.layout.input_size[0]
        mirror = torch.tensor([[[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
        # A buffer moves to the model's device; it is no weight, so checkpoints do without.
        self.register_buffer('mirror', mirror, persistent=False)

    def loss(self, inputs: dict[str, Tensor], data_samples: dict[str, list]) -> dict[str, Tensor]:
        """The estimator's own losses of the source half, and the distance of the target half to its flip test."""
        source = self.student.loss(inputs['source'], data_samples['source'])
        target = self.consistency(inputs['target'], flip_pairs(data_samples['target']))
        return {**prefixed('sup', source), **prefixed('unsup', target)}

    def consistency(self, images: Tensor, pairs: list[tuple[int, int]]) -> dict[str, Tensor]:
        """Squared error of the heatmaps of ``images`` (B, 3, h, w) to the mean with those of their mirror images.

        Args:
            images (Tensor): Normalised pictures.
            pairs (list): Indices of joints that are each other's mirror image.
        """
        heatmaps = predict_heatmaps(self.student, images)  # (B, K, H, W)
        with torch.no_grad():
            mirrored = predict_heatmaps(self.student, images.flip(-1))
            wanted = (heatmaps + self.unmirror(mirrored, pairs)) / 2
        return dict(loss_flip=self.weight * (heatmaps - wanted).square().mean())

    def unmirror(self, heatmaps: Tensor, pairs: list[tuple[int, int]]) -> Tensor:
        """Heatmaps (B, K, H, W) of mirrored pictures, as the pictures themselves would have them."""
        order = list(range(heatmaps.shape[1]))
        for left, right in pairs:
            order[left], order[right] = right, left
        # Cells stand for pixels by a factor, so mirroring the map alone would be off by a part of a cell.
        matrix = rescale(self.mirror, self.layout.scale_factor).expand(len(heatmaps), 3, 3)
        return warp(heatmaps[:, order], invert(matrix))
