"""What an epoch of PoseAug costs beside time: waits of the host for the device, and memory for each pose."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.profiler import ProfilerActivity, profile

ROOT = Path(__file__).resolve().parents[2]
# What the profiler records where the host waits; without a GPU, what would make it wait for one
WAITS = dict(
    cuda=('cudaStreamSynchronize', 'cudaEventSynchronize'),
    cpu=('aten::_local_scalar_dense', 'aten::nonzero', 'aten::equal', 'aten::masked_select', 'aten::_unique2'),
)
READS = {'__bool__', '__float__', '__index__', '__int__', 'cpu', 'equal', 'item', 'masked_select', 'nonzero', 'numpy'}
READS |= {'tolist', 'unique'}


class HostReads(TorchFunctionMode):
    """Counts calls that need a value on the host, by the line that makes them.

    On a CPU every tensor is on the host. Counted is then what would wait if it were not, but for optimisers: their step
    numbers stay on the host with a GPU too.

    Args:
        device (str): 'cpu' or 'cuda', with which values of the CPU are not counted.

    Attributes:
        places (Counter): Line, function and call.
        own (int): Reads of optimisers.
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device, self.places, self.own = device, Counter(), 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Count, and do it."""
        name, first = getattr(func, '__name__', ''), args[0] if args else None
        if isinstance(first, Tensor) and first.device.type == self.device:
            mask = args[1] if name in ('__getitem__', '__setitem__') and len(args) > 1 else None
            if name in READS or (isinstance(mask, Tensor) and mask.dtype == torch.bool):
                self._note(name)
        return func(*args, **(kwargs or {}))

    def _note(self, name: str) -> None:
        frame = sys._getframe(2)
        while frame is not None and _is_torch(frame.f_code.co_filename):
            if os.sep + 'optim' + os.sep in frame.f_code.co_filename:
                self.own += 1
                return
            frame = frame.f_back
        if frame is None:
            return
        path = Path(frame.f_code.co_filename)
        short = path.relative_to(ROOT) if path.is_relative_to(ROOT) else Path(*path.parts[-3:])
        self.places[f'{short}:{frame.f_lineno} {frame.f_code.co_name}, {name}'] += 1


def _is_torch(path: str) -> bool:
    return path.startswith(os.path.dirname(torch.__file__) + os.sep) or path == __file__


def host_waits(epoch: Callable[[], None], steps: Counter, device: str) -> str:
    """Profile one epoch, and look for the lines in another.

    Args:
        epoch (Callable): Runs it.
        steps (Counter): Steps by phase, which it counts up.
        device (str): 'cpu' or 'cuda'.
    """
    kind = torch.device(device).type
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if kind == 'cuda' else [])]
    before = sum(steps.values())
    with profile(activities=activities) as profiled:
        epoch()
    count = sum(steps.values()) - before
    events = {event.key: event.count for event in profiled.key_averages() if event.key in WAITS[kind]}
    with HostReads(kind) as reads:
        epoch()
    seen = ', '.join(f'{number / count:.2f} {key}' for key, number in events.items()) or 'no wait'
    lines = [f'profiled, in each of {count} steps: {seen}']
    rate = sum(reads.places.values()) / count
    lines += [f'read by the host, {rate:.2f} times a step and {reads.own / count:.2f} by optimisers for themselves:']
    lines += [f'  {number / count:6.2f} {place}' for place, number in reads.places.most_common()]
    return '\n'.join(lines)


def memory(build: Callable, args: Namespace, sizes: tuple[int, ...]) -> str:
    """Measure epochs of several sizes, each in a process of its own.

    Args:
        build (Callable): From the command line to a function that runs an epoch; to be found by name in a new process.
        args (Namespace): The command line.
        sizes (tuple[int, ...]): Poses of the epochs, two at least.
    """
    if not os.path.exists('/proc/self/clear_refs'):
        raise OSError('--memory reads the peak of a process from /proc, which this system does not have')
    context = multiprocessing.get_context('spawn')
    rows = []
    for size in sizes:
        with context.Pool(1) as pool:
            rows.append(pool.apply(_measure, (build, Namespace(**{**vars(args), 'poses': size}))))
    lines = [f'{"poses":>8s} {"before, MiB":>12s} {"epoch adds":>12s}']
    lines += [f'{n:8d} {held / 2**20:12.1f} {added / 2**20:12.1f}' for n, (held, added) in zip(sizes, rows)]
    (first, last), span = (rows[0], rows[-1]), sizes[-1] - sizes[0]
    held, added = ((b - a) / span for a, b in zip(first, last))
    return '\n'.join([*lines, f'bytes a pose: {held:.0f} before, an epoch adds {added:.0f} at its peak'])


def _measure(build: Callable, args: Namespace) -> tuple[int, int]:
    torch.set_num_threads(1)
    epoch = build(args)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what was freed while it was built would hide what the epoch takes
    held = _status('VmRSS')
    Path('/proc/self/clear_refs').write_text('5')  # the peak begins anew
    epoch()
    return held, _status('VmHWM') - held


def _status(key: str) -> int:
    lines = Path('/proc/self/status').read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f'{key}:'))
