"""Converting unit after unit (a video, a clip) in several processes, so that it can be stopped and gone on with."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection

import cv2

from ..annotations import AnnotationError
from ..images import SampleError
from .journal import ConversionError, Journal, Made, stamps

#: Errors that are of one unit: it is left out, and the others go on.
OF_A_UNIT = (AnnotationError, SampleError)
_FULL = (errno.ENOSPC, getattr(errno, 'EDQUOT', errno.ENOSPC))
#: Seconds between lines of progress where the output is no terminal
_PAUSE = 10


@dataclass(frozen=True)
class Unit:
    """A piece of work.

    Attributes:
        name (str): Unique, and the same in each run.
        part (str): Row of the table it counts for.
        sources (tuple[str, ...]): Files it is made of.
        work (Callable[[bool], Made]): What is done, a partial of a module's function; told whether it was cut off
            before, so that whole files of it may be there. Raises :data:`OF_A_UNIT` where the sources are damaged.
    """

    name: str
    part: str
    sources: tuple
    work: Callable[[bool], Made]


def convert(units: Sequence[Unit], journal: Journal, jobs: int = 1, what: str = 'clips') -> dict[str, str]:
    """Convert the units that are not done yet.

    Args:
        units (Sequence[Unit]): All of them.
        journal (Journal): What is done.
        jobs (int): Processes.
        what (str): What units are, for the progress.

    Returns:
        dict[str, str]: Units that could not be converted, and why. They are tried again in the next run.

    Raises:
        ConversionError: A process died.
        OSError: A file could not be written; what is done is kept.
    """
    made_of = {unit.name: stamps(unit.sources) for unit in units}
    todo = [unit for unit in units if not journal.is_done(unit.name, made_of[unit.name])]
    print(f'{len(units) - len(todo)} of {len(units)} {what} are there, converting {len(todo)}', flush=True)
    failed, progress = {}, Progress(len(todo), what)
    with _pool(min(jobs, len(todo))) as submit:
        waiting = {}
        for unit in todo:
            waiting[submit(unit.work, journal.begin(unit.name, made_of[unit.name]))] = unit
            if len(waiting) >= 2 * jobs or jobs == 1:
                _collect(waiting, made_of, journal, failed, progress)
        while waiting:
            _collect(waiting, made_of, journal, failed, progress)
    return failed


def _collect(waiting: dict, made_of: dict, journal: Journal, failed: dict, progress: Progress) -> None:
    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
        unit = waiting.pop(future)
        try:
            journal.finish(unit.name, made_of[unit.name], future.result())
        except OF_A_UNIT as error:
            failed[unit.name] = str(error)
        except BrokenProcessPool:
            raise ConversionError(
                f'a process died, perhaps for want of memory, at or near {unit.name}: run the same command again, with '
                'fewer --jobs'
            ) from None
        progress.step()


@contextmanager
def _pool(jobs: int) -> Iterator[Callable[..., Future]]:
    if jobs <= 1:
        yield _here
        return
    # fork would take along locks of OpenCV's threads
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context('spawn'), _begin_process)
    try:
        yield pool.submit
    finally:
        pool.shutdown(cancel_futures=True)


def _here(work: Callable[[bool], Made], resumed: bool) -> Future:
    future: Future = Future()
    try:
        future.set_result(work(resumed))
    except Exception as error:  # to be raised where the result is asked for, as of a process
        future.set_exception(error)
    return future


def _begin_process() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the main process tells that it was stopped
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    """Where the main process is killed, the others would wait for work for ever."""
    connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


class Progress:
    """Prints how far it is: one line that changes in a terminal, else a line every ten seconds."""

    def __init__(self, total: int, what: str):
        self.total, self.what, self.done = total, what, 0
        self.begin = self.told = time.monotonic()

    def step(self) -> None:
        """One more is done."""
        self.done += 1
        now = time.monotonic()
        last, terminal = self.done == self.total, sys.stdout.isatty()
        if not last and now - self.told < (0.2 if terminal else _PAUSE):
            return
        self.told = now
        rate = self.done / max(now - self.begin, 1e-6)
        left = (self.total - self.done) / rate / 60
        text = f'{self.done}/{self.total} {self.what}, {rate:.1f}/s, {left:.1f} min left'
        print(f'\r{text:60}' if terminal else text, end='\n' if last or not terminal else '', flush=True)


@contextmanager
def one_line() -> Iterator[None]:
    """End the process with one line where a user can mend the cause.

    Raises:
        SystemExit: In place of a missing or damaged file, a missing package, a full disk, or a break from the keyboard.
    """
    again = 'what is done is kept: run the same command again to go on'
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(f'\nstopped; {again}') from None
    except (ConversionError, FileNotFoundError, ImportError, *OF_A_UNIT) as error:
        raise SystemExit(str(error)) from error
    except OSError as error:
        if error.errno in _FULL:
            raise SystemExit(f'no space is left for {error.filename or "a file"}; {again} when there is') from error
        raise SystemExit(f'{error}; {again}') from error
