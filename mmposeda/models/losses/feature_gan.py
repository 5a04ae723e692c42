"""Losses of a discriminator of features and of the generator that it judges.

Source: Zhang et al., ICCV 2021, names a discriminator that ends in a sigmoid; the losses are those of Goodfellow et
al., NeurIPS 2014, the generator's in its form that does not saturate.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus


def discriminator_loss(real: list[Tensor], fake: Tensor) -> Tensor:
    """``-mean log D(real) - mean log(1 - D(fake))``; 2 ln 2 where the discriminator cannot tell.

    Args:
        real (list[Tensor]): Logits (B,) of real features, by domain; each domain counts as much.
        fake (Tensor): Logits (B,) of generated ones.
    """
    return sum(softplus(-x.float()).mean() for x in real) / len(real) + softplus(fake.float()).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """``-mean log D(fake)`` of logits (B,); ln 2 where the discriminator cannot tell."""
    return softplus(-fake.float()).mean()
