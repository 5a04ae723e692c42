"""Heatmaps as distributions over cells, compared by Kullback-Leibler divergence."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmposeda.registry import MODELS


def heatmap_kl(logits: Tensor, heatmaps: Tensor, weights: Tensor | None = None, eps: float = 0.0) -> Tensor:
    """Divergence ``sum q (log q - log p)`` of each joint's map, in nats (RegDA code, ``JointsKLLoss``).

    ``p`` is the softmax of the logits over all cells, ``q = (heatmap + eps) / sum(heatmap + eps)``. Computed in float32
    at least. A joint of weight 0, and one whose target is empty, has a divergence and a gradient of exactly 0, where
    the reference has NaN.

    Args:
        logits (Tensor): (B, K, H, W); a constant added to a map changes nothing.
        heatmaps (Tensor): Targets (B, K, H, W), not negative, of any sum.
        weights (Tensor, optional): (B, K), not negative; None for 1 throughout.
        eps (float): Added to every cell of the target.

    Returns:
        Tensor: (B, K), multiplied by the weights.

    Raises:
        ValueError: The shapes do not fit.
    """
    if logits.shape != heatmaps.shape:
        raise ValueError(
            f'Logits and target heatmaps must be of one shape (B, K, H, W), got {tuple(logits.shape)} and '
            f"{tuple(heatmaps.shape)}: make the codec's heatmap_size and joints fit the head."
        )
    if weights is not None and weights.shape != logits.shape[:2]:
        raise ValueError(f'Weights must be one a joint, {tuple(logits.shape[:2])}, got {tuple(weights.shape)}')
    dtype = torch.promote_types(logits.dtype, torch.float32)
    log_p = logits.to(dtype).flatten(2).log_softmax(-1)
    mass = heatmaps.to(dtype).flatten(2) + eps
    # 0 / tiny is 0, and xlogy(0, 0) is 0: an empty target is no 0 / 0
    q = mass / mass.sum(-1, keepdim=True).clamp_min(torch.finfo(dtype).tiny)
    divergence = (torch.xlogy(q, q) - q * log_p).sum(-1)
    if weights is None:
        return divergence
    return torch.where(weights > 0, divergence * weights, torch.zeros_like(divergence))


@MODELS.register_module()
class HeatmapKLLoss(nn.Module):
    """:func:`heatmap_kl` as the loss of an MMPose head, ``HeatmapHead(loss=dict(type='HeatmapKLLoss'))``.

    Averaged over all B * K joints, masked ones included in the count (RegDA code). The loss leaves a map's level free,
    while MMPose's ``MSRAHeatmap`` answers (-1, -1) for a map without a positive cell: give all maps of a network that
    trained with it from the start one positive constant, which changes no loss, before they are decoded.

    Args:
        eps (float): Added to every cell of the target; 0 for labels, 1e-7 in RegDA's disparity.
        loss_weight (float): Factor of the result.

    Raises:
        ValueError: ``eps`` is negative.
    """

    def __init__(self, eps: float = 0.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        if eps < 0:
            raise ValueError(f'eps is added to the target and must not be negative, got {eps}')
        self.eps, self.loss_weight = eps, loss_weight

    def forward(self, output: Tensor, target: Tensor, target_weights: Tensor | None = None) -> Tensor:
        """Mean divergence, a scalar.

        Args:
            output (Tensor): Logits (B, K, H, W).
            target (Tensor): Heatmaps (B, K, H, W).
            target_weights (Tensor, optional): (B, K).
        """
        return self.loss_weight * heatmap_kl(output, target, target_weights, self.eps).mean()
