"""How the tools end when a user can mend the cause: one line instead of a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mmposeda.compat.safe_loading import UnsafeFileError
from mmposeda.datasets.annotations import AnnotationError
from mmposeda.datasets.images import SampleError

from .checkpoints import CheckpointError
from .hooks.non_finite_hook import NonFiniteError
from .own_joints import OwnDataError
from .stages import StageError

MENDABLE = (AnnotationError, CheckpointError, NonFiniteError, OwnDataError, SampleError, StageError, UnsafeFileError)


@contextmanager
def one_line(config: str) -> Iterator[None]:
    """End the process with the last line of such an error, which names the thing and the way out.

    Args:
        config (str): Path of the config at work, named first.

    Raises:
        SystemExit: In place of any of :data:`MENDABLE`.
    """
    try:
        yield
    except MENDABLE as error:
        # torch puts a data worker's traceback before the message
        line = (str(error).strip().splitlines() or [''])[-1].rpartition(f'{type(error).__name__}: ')[2]
        raise SystemExit(f'{config}: {type(error).__name__}: {line}') from error
