"""A worked example of a method: the flip test, distilled on pictures without labels."""

from __future__ import annotations

import torch
from torch import Tensor

from mmposeda.models.adapters.base import DomainAdapter, flip_pairs, prefixed
from mmposeda.models.heatmap_estimator import heatmap_layout, predict_heatmaps, predict_mirrored
from mmposeda.registry import MODELS


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
            wanted = (heatmaps + predict_mirrored(self.student, images, self.layout, pairs)) / 2
        return dict(loss_flip=self.weight * (heatmaps - wanted).square().mean())
