"""The contrastive loss of an item, its other view, and the other items of a batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mmposeda.structures.kinematics import at_least_float32


def info_nce(anchor: Tensor, positive: Tensor, temperature: float = 0.07) -> Tensor:
    """Mean over items i of ``-log[e^(q_i k_i / t) / (e^(q_i k_i / t) + sum_(j != i) e^(q_i q_j / t))]``.

    q are anchors and k positives, scaled to length 1, in float32 at least. Every item is an anchor once and has the
    other anchors as negatives; ``log N`` where all are alike.

    Source: non-local relation distillation (Kundu et al., NeurIPS 2021), with the minus sign that its equation 1 lacks,
    and t of the authors' code, where the first item alone is an anchor.

    Args:
        anchor (Tensor): (N, D), N of 2 at least.
        positive (Tensor): (N, D), another view of each.
        temperature (float): t.

    Returns:
        Tensor: Scalar.

    Raises:
        ValueError: Other shapes, fewer than 2 items, or a temperature not above 0.
    """
    if anchor.ndim != 2 or anchor.shape != positive.shape:
        raise ValueError(
            f'anchors and positives must be of one shape (N, D), got {tuple(anchor.shape)} and {tuple(positive.shape)}'
        )
    if len(anchor) < 2:
        raise ValueError(
            f'a contrastive loss needs 2 items at least, the others are the negatives; got {len(anchor)}. Take larger '
            'batches'
        )
    if not temperature > 0:
        raise ValueError(f'temperature must be above 0, got {temperature}')
    with torch.autocast(anchor.device.type, enabled=False):
        q, k = (F.normalize(at_least_float32(x), dim=-1) for x in (anchor, positive))
        alike = (q * k).sum(-1) / temperature
        own = torch.eye(len(q), dtype=torch.bool, device=q.device)
        logits = torch.where(own, alike[:, None], q @ q.t() / temperature)
        return (logits.logsumexp(-1) - alike).mean()
