"""Generator and discriminator of a pose estimator's features.

Source: supplement of Zhang et al., "Learning Causal Representation for Training Cross-Domain Pose Estimator via
Generative Interventions", ICCV 2021, table 1. Legend: B samples, Z latent numbers, P numbers of a pose, d features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmposeda.registry import MODELS


@MODELS.register_module()
class FeatureGenerator(BaseModule):
    """The feature that a pose would have under a nuisance: linear layers, batch normalisation, ReLU, dropout; tanh.

    The paper lists the layers, but not what goes in; nuisance and pose are joined here.

    Args:
        pose_dim (int): P.
        latent (int): Z.
        dim (int): d.
        hidden (Sequence[int]): Widths of the hidden layers.
        dropout (float): Share of hidden numbers left out in training.
        init_cfg (dict, optional): Initialisation of MMEngine's.
    """

    def __init__(
        self,
        pose_dim: int,
        latent: int = 256,
        dim: int = 256,
        hidden: Sequence[int] = (1024, 1024),
        dropout: float = 0.5,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.pose_dim, self.latent, self.dim = pose_dim, latent, dim
        layers: list[nn.Module] = []
        for inputs, outputs in zip([latent + pose_dim, *hidden], hidden):
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(True), nn.Dropout(dropout)]
        layers += [nn.Linear(hidden[-1], dim), nn.BatchNorm1d(dim), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, nuisance: Tensor, pose: Tensor) -> Tensor:
        """Features (B, d) in (-1, 1) of nuisances (B, Z) and poses (B, P), about [-1, 1]."""
        return self.layers(torch.cat([nuisance, pose], 1))


@MODELS.register_module()
class FeatureDiscriminator(BaseModule):
    """Tells real features from generated ones: one hidden layer of ReLUs, and a logit.

    The paper's output is a sigmoid; the losses take its logit.

    Args:
        dim (int): d.
        hidden (int): Width of the hidden layer.
        pose_dim (int): P where the pose is seen too, else 0.
        init_cfg (dict, optional): Initialisation of MMEngine's.
    """

    def __init__(self, dim: int = 256, hidden: int = 1024, pose_dim: int = 0, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.dim, self.pose_dim = dim, pose_dim
        self.layers = nn.Sequential(nn.Linear(dim + pose_dim, hidden), nn.ReLU(True), nn.Linear(hidden, 1))

    def forward(self, features: Tensor, pose: Tensor | None = None) -> Tensor:
        """Logits (B,) of features (B, d), and of poses (B, P) where the network sees them."""
        if self.pose_dim:
            features = torch.cat([features, pose], 1)
        return self.layers(features).squeeze(1)
