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
    running one while it is measured, and fixed afterwards. Norms are of the losses over all processes. All is saved.

    Args:
        names (Sequence[str]): Losses that are weighted.
        share (float): Of the reference's norm.
        iterations (int): How long to measure.

    Attributes:
        norms (Tensor): Mean norms (N + 1,), the reference's first.
        counts (Tensor): How many norms each mean is of, (N + 1,).
        scales (Tensor): Factors of the losses while gradients are taken, (N + 1,): small ones vanish in half precision.
            Lowered where a gradient is not finite.

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
        self.register_buffer('scales', torch.full((len(self.names) + 1,), 2.0**16))
        self.register_buffer('measured', torch.tensor(0))
        self._left: int | None = None

    @property
    def measuring(self) -> bool:
        """Whether the weights still move. Reads the device once after building or loading, and at the end."""
        if self._left is None:
            self._left = self.iterations - int(self.measured)
        return self._left > 0

    def measure(self, losses: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Take the gradients of one iteration in.

        Args:
            losses (Sequence): ``(loss, features)`` of the reference and of each loss, the mean of a loss over processes
                being the loss of all. A gradient that is zero all over, as of a batch without pseudo-labels, or not
                finite does not count.
        """
        if not self.measuring:
            return
        gradients = [
            torch.autograd.grad(loss, features, scale.to(loss.dtype), retain_graph=True)[0]
            for (loss, features), scale in zip(losses, self.scales)
        ]
        with torch.no_grad():
            norms = torch.stack([torch.linalg.vector_norm(gradient.float()) for gradient in gradients]) / self.scales
            if get_world_size() > 1:  # each has its own pictures' features, and its loss a share in that of all
                squares = norms.square()
                all_reduce(squares)
                norms = squares.sqrt() / get_world_size()
            finite = norms.isfinite()
            seen = finite & (norms > 0)
            self.counts += seen
            self.norms += torch.where(seen, norms - self.norms, 0.0) / self.counts.clamp_min(1)
            self.scales.copy_(torch.where(finite, self.scales, (self.scales / 16).clamp_min(1)))
            self.measured += 1
        # at the end it is read again: a batch that was left out has taken its count back
        self._left = self._left - 1 or None

    def weight(self, name: str) -> Tensor:
        """The weight of a loss, a scalar; 0 as long as it had no gradient."""
        own = self.norms[1 + self.names.index(name)]
        return torch.where(own > 0, self.share * self.norms[0] / own.clamp_min(torch.finfo(own.dtype).tiny), 0.0)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args, **kwargs) -> None:
        norms = state_dict.get(f'{prefix}norms')
        if norms is not None and norms.shape != self.norms.shape:  # a measurement of other losses says nothing here
            for name, _ in self.named_buffers():
                state_dict.pop(f'{prefix}{name}', None)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._left = None

    def extra_repr(self) -> str:
        """The rule."""
        return f'{", ".join(self.names)}, share={self.share}, iterations={self.iterations}'
