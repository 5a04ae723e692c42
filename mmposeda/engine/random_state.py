"""The random state of a process: taken, put back, and kept through code that must not disturb it."""
# NumPy's global generator is the one MMPose's transforms draw from.
# ruff: noqa: NPY002

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def take(gpu: bool = True) -> dict:
    """State of Python's, NumPy's and torch's generators.

    Only tensors and plain Python values, so that ``torch.load(weights_only=True)`` reads it.

    Args:
        gpu (bool): The current GPU's too, where there is one. A forked data worker must not ask for it.
    """
    name, keys, position, has_gauss, gauss = np.random.get_state()
    state = dict(
        python=random.getstate(),
        numpy=(name, torch.from_numpy(keys.astype(np.int64)), int(position), int(has_gauss), float(gauss)),
        torch=torch.get_rng_state(),
    )
    if gpu and torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def put_back(state: dict) -> None:
    """Set the generators to what :func:`take` returned, here or in an earlier process."""
    version, inner, gauss = state['python']
    random.setstate((version, tuple(inner), gauss))
    name, keys, *rest = state['numpy']
    np.random.set_state((name, keys.cpu().numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


@contextmanager
def kept(gpu: bool = True) -> Iterator[None]:
    """Let the code inside draw random numbers without the code after it noticing."""
    state = take(gpu)
    try:
        yield
    finally:
        put_back(state)


def seed_host(*numbers: int) -> None:
    """Seed Python's, NumPy's and torch's CPU generators from whole numbers >= 0; a GPU's are left alone."""
    words = np.random.SeedSequence(numbers).generate_state(4)
    random.seed(int(words[0]))
    np.random.seed(words[1])
    torch.default_generator.manual_seed(int(words[2]) << 32 | int(words[3]))
