"""How far apart two samples of features are.

Legend: n source features, m target features, D dimensions. In several processes each value is of the rank's own
features. Callers switch autocast off: squared distances lose all their digits in half precision.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def linear_mmd(source: Tensor, target: Tensor) -> Tensor:
    """Squared distance of the means: maximum mean discrepancy with a linear kernel (Tzeng et al. 2014, DDC).

    Args:
        source (Tensor): (n, D).
        target (Tensor): (m, D).

    Returns:
        Tensor: Scalar, not negative; biased, since the means of small samples of one distribution differ too.
    """
    return (source.mean(0) - target.mean(0)).square().sum()


class MultiKernelMMD(nn.Module):
    """Squared maximum mean discrepancy with a sum of Gaussian kernels (Long et al., ICML 2015, DAN).

    ``k_a(u, v) = exp(-|u - v|^2 / (2 a m))``, where ``m`` is the mean squared distance over all pairs of both samples
    together, without gradient. One matrix of distances serves all kernels.

    Args:
        alphas (Sequence[float]): The factors a (authors' choice: 2^-3 to 2^1).
        linear (bool): The estimate of linear complexity from neighbours in the batch, the reference's default. Ours is
            the quadratic one over all pairs: unbiased as well, of smaller variance, and cheap at these sizes. Either
            may be negative.
        offset (bool): Add 2 / (n - 1) as the reference code does. It has no gradient and hides the estimate.

    Raises:
        ValueError: No factor, or one that is not positive.
    """

    def __init__(
        self, alphas: Sequence[float] = (0.125, 0.25, 0.5, 1.0, 2.0), linear: bool = False, offset: bool = False
    ) -> None:
        super().__init__()
        if not alphas or min(alphas) <= 0:
            raise ValueError(f'alphas must be positive factors of the bandwidth, at least one; got {tuple(alphas)}')
        self.alphas, self.linear, self.offset = tuple(alphas), linear, offset

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """The estimate, a scalar.

        Args:
            source (Tensor): (n, D), n at least 2.
            target (Tensor): (m, D), m at least 2; the linear form and the offset want m = n.

        Raises:
            ValueError: Too few features, or the numbers differ where they must not.
        """
        n, m = len(source), len(target)
        if min(n, m) < 2:
            raise ValueError(
                f'The discrepancy compares pairs within a domain and wants at least 2 features of each, got {n} of the '
                f'source and {m} of the target: raise the quotas of the DomainSampler.'
            )
        if n != m and (self.linear or self.offset):
            raise ValueError(
                f'linear=True and offset=True are defined for equal numbers, got {n} source and {m} target features: '
                'make the quotas of the DomainSampler equal, or leave both options out.'
            )
        kernel = self._kernel(torch.cat([source, target]))
        within_source, within_target, cross = kernel[:n, :n], kernel[n:, n:], kernel[:n, n:]
        if self.linear:
            here = torch.arange(n, device=kernel.device)
            after = here.roll(-1)
            pairs = within_source[here, after] + within_target[here, after] - cross[here, after] - cross[after, here]
            value = pairs.mean()
        else:
            value = _mean_off_diagonal(within_source) + _mean_off_diagonal(within_target) - 2 * cross.mean()
        return value + 2 / (n - 1) if self.offset else value

    def _kernel(self, features: Tensor) -> Tensor:
        """Sum of the kernels of all pairs, (n + m, n + m)."""
        features = features - features.mean(0).detach()  # distances stay, and the squares below keep their digits
        squares = features.square().sum(1)
        distances = (squares[:, None] + squares[None] - 2 * features @ features.T).clamp_min(0)
        bandwidth = distances.detach().mean().clamp_min(1e-8)  # equal features are 0 apart, not 0 / 0
        return sum(torch.exp(-distances / (2 * alpha * bandwidth)) for alpha in self.alphas)


def _mean_off_diagonal(kernel: Tensor) -> Tensor:
    count = len(kernel)
    return (kernel.sum() - kernel.diagonal().sum()) / (count * (count - 1))
