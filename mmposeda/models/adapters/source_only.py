"""The baseline: supervised training on the source (or, as oracle, on labelled target pictures)."""

from __future__ import annotations

from torch import Tensor

from mmposeda.registry import MODELS

from .base import DomainAdapter, prefixed


@MODELS.register_module()
class SourceOnly(DomainAdapter):
    """Trains the estimator on the labelled source and ignores the target.

    The lower reference of every table. Given the labelled target as its source it is the upper one, the oracle. Any
    MMPose head serves.
    """

    def loss(self, inputs: dict[str, Tensor], data_samples: dict[str, list]) -> dict[str, Tensor]:
        """The estimator's own losses on the source half."""
        return prefixed('sup', self.student.loss(inputs['source'], data_samples['source']))
