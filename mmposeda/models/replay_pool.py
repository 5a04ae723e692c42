"""Made-up samples of earlier iterations, for a discriminator that shall not forget them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class ReplayPool:
    """Mixes new samples with stored ones (Shrivastava et al., CVPR 2017; sizes and odds of PoseAug's code).

    While it fills, samples are stored and come back as they are. From then on each comes back as it is with odds of one
    half; else a stored one comes in its stead, and it takes that one's slot. All samples of a batch look at the pool as
    it was before the batch; if several take one slot, the last of them stays in it.

    It lives on the device of what it is given, asks the host for nothing, and has a random generator of its own.

    Args:
        size (int): Samples it holds.
        item_shape (Sequence[int]): Shape of one.
        seed (int): Of its generator.

    Raises:
        ValueError: A size below 1.
    """

    def __init__(self, size: int, item_shape: Sequence[int], seed: int = 0) -> None:
        if size < 1:
            raise ValueError(f'a replay pool must hold 1 sample or more, got size={size}')
        self.size, self.item_shape, self.seed = size, tuple(item_shape), seed
        self._count = 0
        self._items: Tensor | None = None
        self._generator: torch.Generator | None = None
        self._saved: tuple[str, Tensor] | None = None  # device and state of a generator to come

    def __len__(self) -> int:
        """Samples it holds now."""
        return self._count

    @torch.no_grad()
    def __call__(self, fakes: Tensor) -> Tensor:
        """Exchange samples (B, *item_shape) for as many, without gradient.

        Raises:
            ValueError: Samples of another shape.
        """
        if fakes.shape[1:] != self.item_shape:
            raise ValueError(f'this pool holds samples of shape {self.item_shape}, got a batch {tuple(fakes.shape)}')
        self._settle(fakes)
        fresh = min(len(fakes), self.size - self._count)
        self._items[self._count : self._count + fresh] = fakes[:fresh]
        self._count += fresh
        if fresh == len(fakes):
            return fakes.detach()
        return torch.cat([fakes[:fresh], self._swap(fakes[fresh:])])

    def _swap(self, new: Tensor) -> Tensor:
        count = len(new)
        like = dict(device=new.device, generator=self._generator)
        swap = torch.rand(count, **like) < 0.5
        slots = torch.randint(self.size, (count,), **like)
        old = self._items.index_select(0, slots)
        # what is not stored goes to a row of its own behind the pool, so that no shape depends on the draw
        rows = torch.arange(count, device=new.device)
        slots = torch.where(swap, slots, self.size)
        last = torch.full((self.size + 1,), -1, device=new.device).scatter_reduce_(0, slots, rows, 'amax')
        slots = torch.where(last.index_select(0, slots) == rows, slots, self.size)
        self._items.index_copy_(0, slots, new)
        return torch.where(swap.view(-1, *[1] * (new.ndim - 1)), old, new)

    def _settle(self, fakes: Tensor) -> None:
        """Memory and generator where the samples are."""
        if self._items is None:
            self._items = fakes.new_zeros(self.size + 1, *self.item_shape)
        self._items = self._items.to(fakes)
        if self._generator is None or self._generator.device != fakes.device:
            self._generator = torch.Generator(fakes.device).manual_seed(self.seed)
        if self._saved is not None:
            device, state = self._saved
            if device == fakes.device.type:
                self._generator.set_state(state)
            self._saved = None

    def state_dict(self) -> dict:
        """All it needs to go on: the samples, in memory of the host, and the state of its generator."""
        state = dict(size=self.size, item_shape=self.item_shape, count=self._count)
        if self._count:
            state['items'] = self._items[: self._count].cpu().clone()
        if self._saved is not None:
            state.update(device=self._saved[0], generator=self._saved[1])
        elif self._generator is not None:
            state.update(device=self._generator.device.type, generator=self._generator.get_state())
        return state

    def load_state_dict(self, state: dict) -> None:
        """Go on where another pool stood.

        On another kind of device than the state is from, the generator starts from the seed.

        Raises:
            ValueError: The state is of a pool of another size or of other samples.
        """
        if (state['size'], tuple(state['item_shape'])) != (self.size, self.item_shape):
            raise ValueError(
                f'the state is of a pool of {state["size"]} samples of shape {tuple(state["item_shape"])}, this one '
                f'holds {self.size} of shape {self.item_shape}: resume with the settings that were saved'
            )
        self._count, self._items, self._generator, self._saved = state['count'], None, None, None
        if self._count:
            self._items = state['items'].new_zeros(self.size + 1, *self.item_shape)
            self._items[: self._count] = state['items']
        if 'generator' in state:
            self._saved = state['device'], state['generator']

    def __getstate__(self) -> dict:  # a generator can be neither copied nor pickled in every version of torch
        return dict(self.state_dict(), seed=self.seed)

    def __setstate__(self, state: dict) -> None:
        self.__init__(state['size'], state['item_shape'], state['seed'])
        self.load_state_dict(state)
