"""What a relation does to latents, and the heads that contrastive losses compare.

Source: non-local relation distillation (Kundu et al., NeurIPS 2021), widths of the authors' code.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from mmposeda.registry import MODELS
from mmposeda.structures.kinematics import at_least_float32

from .mlp import bounded, check_last, check_scale, mlp


@MODELS.register_module()
class RelationNetwork(BaseModule):
    """The latent after a relation (mirrored, turned, played backwards ...) from the one before: four linear layers.

    ReLUs between them and ``s tanh(a / s)`` at the end. 698,144 weights for pose latents of 32 numbers, 821,120 for
    motion latents of 128.

    Legend: L latent numbers, s scale.

    Args:
        dim (int): L.
        scale (float): s, as of the auto-encoder's latents.
        hidden (Sequence[int]): Widths of the hidden layers.
        init_cfg (dict, optional): Initialisation of MMEngine's.

    Raises:
        ValueError: Numbers out of range.
    """

    def __init__(
        self, dim: int, scale: float = 1.0, hidden: Sequence[int] = (1024, 512, 256), init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        self.dim, self.scale = dim, check_scale(scale)
        self.layers = mlp((dim, *hidden, dim))

    def forward(self, z: Tensor) -> Tensor:
        """Latents (..., L) in [-s, s] of latents (..., L).

        Raises:
            ValueError: Latents of another width.
        """
        check_last(z, self.dim, 'latents')
        return bounded(self.layers(z), self.scale)


@MODELS.register_module()
class ProjectionHead(BaseModule):
    """Unit vectors that a contrastive loss compares: linear layers with ReLUs between, scaled to length 1.

    It is trained along with the loss and dropped afterwards. The authors' code has a ReLU at the end too, which leaves
    only angles up to 90 degrees between vectors; there is none here (our choice).

    Legend: D features, P projected numbers.

    Args:
        in_channels (int): D.
        hidden (Sequence[int]): Widths of the hidden layers.
        dim (int): P.
        init_cfg (dict, optional): Initialisation of MMEngine's.
    """

    def __init__(
        self, in_channels: int, hidden: Sequence[int] = (512, 256), dim: int = 128, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.layers = mlp((in_channels, *hidden, dim))

    def forward(self, features: Tensor) -> Tensor:
        """Unit vectors (..., P), in float32 at least, of features (..., D).

        Raises:
            ValueError: Features of another width.
        """
        check_last(features, self.in_channels, 'features')
        return F.normalize(at_least_float32(self.layers(features)), dim=-1)
