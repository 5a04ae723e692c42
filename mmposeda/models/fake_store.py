"""Poses kept for later in the same epoch."""

from __future__ import annotations

import torch
from torch import Tensor


class FakeStore:
    """Pairs of points and poses in two blocks of memory on their own device, filled without a look from the host.

    Args:
        num_joints (int): J.
    """

    def __init__(self, num_joints: int) -> None:
        self.num_joints = num_joints
        self._points, self._poses, self._count = None, None, None
        self._capacity = 0

    def clear(self, capacity: int) -> None:
        """Forget all, and be ready for this many pairs. Memory that suffices is used again."""
        if capacity != self._capacity:
            self._points = self._poses = self._count = None
        self._capacity = capacity
        if self._count is not None:
            self._count.zero_()

    def add(self, kept: Tensor, points: Tensor, poses: Tensor) -> None:
        """Keep those rows of points (B, J, 2) and poses (B, J, 3) that ``kept`` (B,) says.

        Raises:
            RuntimeError: No room was made with :meth:`clear`.
        """
        if not self._capacity:
            raise RuntimeError('FakeStore.clear(capacity) must come before the first pairs')
        if self._points is None:
            # one row more, where all that is not kept goes
            self._points = points.new_empty(self._capacity + 1, self.num_joints, 2)
            self._poses = poses.new_empty(self._capacity + 1, self.num_joints, 3)
            self._count = torch.zeros((), dtype=torch.int64, device=points.device)
        rows = self._count + kept.cumsum(0) - 1
        rows = torch.where(kept, rows, self._capacity).clamp_max(self._capacity)
        self._points.index_copy_(0, rows, points.to(self._points))
        self._poses.index_copy_(0, rows, poses.to(self._poses))
        self._count += kept.sum()

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Points (B, J, 2) and poses (B, J, 3) of row numbers (B,)."""
        rows = rows.to(self._points.device)
        return self._points[rows], self._poses[rows]

    def __len__(self) -> int:
        """Pairs kept; this waits for the device."""
        return 0 if self._count is None else min(int(self._count), self._capacity)

    def state_dict(self) -> dict:
        """The pairs, on the CPU."""
        count = len(self)
        state = dict(capacity=self._capacity)
        if count:
            state.update(points=self._points[:count].cpu(), poses=self._poses[:count].cpu())
        return state

    def load_state_dict(self, state: dict, device: torch.device | str = 'cpu') -> None:
        """Take up the pairs of a state, on a device."""
        self._points = self._poses = self._count = None
        self.clear(state['capacity'])
        if 'points' in state:
            points, poses = state['points'].to(device), state['poses'].to(device)
            self.add(torch.ones(len(points), dtype=torch.bool, device=device), points, poses)
