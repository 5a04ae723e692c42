"""Weights of losses, measured by the gradients that they send to the features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor, nn


class LossBalance(nn.Module):
    """Weights such that the gradients of losses at the last shared features are a share of another loss's.

    The weights of the geometric reconstruction (Lin et al., NeurIPS 2023) are not known, and its losses are of very
    different sizes, so that the weights are measured instead of guessed (our choice). The norms of the gradients are
    averaged over the first iterations, and the weight is ``share * norm of the reference / norm of the loss``: the
    running one while it is measured, and fixed afterwards. Norms are averaged over all processes. The state is saved.

    Args:
        names (Sequence[str]): Losses that are weighted.
        share (float): Of the reference's norm.
        iterations (int): How long to measure.

    Attributes:
        norms (Tensor): Mean norms (N + 1,), the reference's first.
        counts (Tensor): How many norms each mean is of, (N + 1,).

    Raises:
        ValueError: A share or number of iterations that is not positive.
    """

    def __init__(self, names: Sequence[str], share: float = 0.3, iterations: int = 200) -> None:
        super().__init__()
        if share <= 0 or iterations < 1:
            raise ValueError(f'share and iterations must be positive, got {share} and {iterations}')
        self.names, self.share, self.iterations = tuple(names), share, iterations
        self.register_buffer('norms', torch.zeros(len(self.names) + 1))
        self.register_buffer('counts', torch.zeros(len(self.names) + 1))
        self.register_buffer('measured', torch.tensor(0))
        self._left: int | None = None

    @property
    def measuring(self) -> bool:
        """Whether the weights still move. Reads the device once after building or loading."""
        if self._left is None:
            self._left = self.iterations - int(self.measured)
        return self._left > 0

    def measure(self, losses: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Take the gradients of one iteration in.

        Args:
            losses (Sequence): ``(loss, features)`` of the reference and of each loss. A gradient that is zero all over,
                as of a batch without pseudo-labels, or not finite does not count.
        """
        if not self.measuring:
            return
        gradients = [torch.autograd.grad(loss, features, retain_graph=True)[0] for loss, features in losses]
        with torch.no_grad():
            norms = torch.stack([torch.linalg.vector_norm(gradient.float()) for gradient in gradients])
            seen = norms.isfinite() & (norms > 0)
            sums = torch.stack([torch.where(seen, norms, 0.0), seen.float()])
            if get_world_size() > 1:
                all_reduce(sums)
            self.counts += sums[1]
            self.norms += (sums[0] - sums[1] * self.norms) / self.counts.clamp_min(1)
            self.measured += 1
        self._left -= 1

    def weight(self, name: str) -> Tensor:
        """The weight of a loss, a scalar; 0 as long as it had no gradient."""
        own = self.norms[1 + self.names.index(name)]
        return torch.where(own > 0, self.share * self.norms[0] / own.clamp_min(torch.finfo(own.dtype).tiny), 0.0)

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._left = None

    def extra_repr(self) -> str:
        """The rule."""
        return f'{", ".join(self.names)}, share={self.share}, iterations={self.iterations}'
