"""Checkpoints on disk: written aside and renamed, with a digest, and checked before they are used."""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import os.path as osp
import re
import shutil

from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import print_log
from mmengine.runner.checkpoint import _load_checkpoint

from mmposeda.compat.safe_loading import UnsafeFileError

ASIDE, DIGEST, POINTER = '.part', '.sha256', 'last_checkpoint'
_BLOCK = 1 << 24
# what a run goes on from; a file of weights alone lacks them
_RUN_KEYS = ('meta', 'state_dict', 'message_hub', 'optimizer')


class CheckpointError(RuntimeError):
    """A checkpoint could not be written, or is not what it should be; the message names the file and the way out."""


def replace_file(path: str, content: bytes) -> None:
    """Write a file so that at any moment the old or the new one is there whole, whatever happens to the process.

    Raises:
        OSError: It could not be written; the old one is untouched.
    """
    aside = path + ASIDE
    try:
        with open(aside, 'wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError:
        if osp.exists(aside):
            os.remove(aside)
        raise
    if os.name == 'posix':  # the name itself must survive a power cut too
        folder = os.open(osp.dirname(osp.abspath(path)), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@register_backend('mmposeda_checkpoint')
class CheckpointBackend(LocalBackend):
    """Local files of checkpoints with their digests beside them, as ``sha256sum -c`` reads them."""

    def put(self, obj: bytes, filepath: str | os.PathLike) -> None:
        """Write a checkpoint.

        Raises:
            CheckpointError: It could not be written, for instance on a full disk; the one before is untouched.
        """
        path = os.fspath(filepath)
        folder = osp.dirname(osp.abspath(path))
        os.makedirs(folder, exist_ok=True)
        line = f'{hashlib.sha256(obj).hexdigest()}  {osp.basename(path)}\n'
        try:
            # Without a digest a whole file is still recognised; with that of another it would be refused.
            if osp.isfile(path + DIGEST):
                os.remove(path + DIGEST)
            replace_file(path, obj)
            replace_file(path + DIGEST, line.encode())
        except OSError as error:
            free = shutil.disk_usage(folder).free
            raise CheckpointError(
                f'{path} could not be written: {error.strerror or error}. It needs {len(obj) / 2**20:.1f} MiB, '
                f'{free / 2**20:.1f} MiB are free there. The checkpoints before it are untouched.'
            ) from error

    def remove(self, filepath: str | os.PathLike) -> None:
        """Delete a checkpoint and its digest."""
        super().remove(filepath)
        if osp.isfile(os.fspath(filepath) + DIGEST):
            super().remove(os.fspath(filepath) + DIGEST)


def check(path: str, resume: bool = False) -> None:
    """Check a local checkpoint against its digest, or, where it has none, by reading it.

    Args:
        path (str): The file.
        resume (bool): It must hold a run's whole state and not weights alone.

    Raises:
        CheckpointError: It is missing, empty, damaged, of another kind, or holds code.
    """
    if not osp.isfile(path):
        raise CheckpointError(f'checkpoint {path} does not exist')
    if not osp.getsize(path):
        raise CheckpointError(f'checkpoint {path} is empty: its run was stopped while it was being written')
    if osp.isfile(path + DIGEST):
        with open(path + DIGEST) as file:
            wanted = file.read().split()[:1]
        if wanted != [_digest(path)]:
            raise CheckpointError(
                f'checkpoint {path} is damaged: it is not the file that was saved, as {osp.basename(path)}{DIGEST} '
                'shows. Take another one, or copy it again from where it came from'
            )
        if not resume:
            return
    content = read(path)
    missing = [key for key in _RUN_KEYS if key not in content] if resume else []
    if missing:
        raise CheckpointError(
            f'{path} has no {", ".join(missing)}: it holds weights, not the state of a run. To start from these '
            'weights set load_from, without --resume'
        )


def read(path: str, map_location: str = 'cpu') -> dict:
    """Content of a local checkpoint. Nothing in the file is executed.

    Raises:
        CheckpointError: It cannot be read, or is no checkpoint.
    """
    try:
        content = _load_checkpoint(path, map_location=map_location, logger='silent')
    except UnsafeFileError as error:
        raise CheckpointError(str(error)) from error
    except Exception as error:  # torch has a dozen ways to say it
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f'{path} cannot be read as a checkpoint ({reason}): it is cut short, damaged, or a file of another kind'
        ) from error
    if not isinstance(content, dict) or not content:
        raise CheckpointError(f'{path} is no checkpoint: it holds a {type(content).__name__}, expected a dict')
    return content


def latest(folder: str) -> str | None:
    """The newest checkpoint of a run that is whole, or None if it has none yet.

    One that is newer than the run's own record comes first, then the one that was recorded, then the others from new to
    old. What is damaged is named in a warning and passed over.

    Raises:
        CheckpointError: There are checkpoints, but none is whole.
    """
    broken = []
    for path in _candidates(folder):
        try:
            check(path, resume=True)
        except CheckpointError as error:
            broken.append(path)
            print_log(f'{error}. Looking for the one before it.', logger='current', level=logging.WARNING)
        else:
            return path
    if broken:
        raise CheckpointError(
            f'none of the {len(broken)} checkpoints in {folder} can be resumed (newest: {broken[0]}). Delete the '
            'folder to start again, or give --resume the path of a whole one'
        )
    return None


def clear_aside(folder: str) -> None:
    """Delete what processes that were killed while writing have left."""
    for name in ('*.pth' + ASIDE, '*.pth' + DIGEST + ASIDE):
        for path in glob.glob(osp.join(glob.escape(folder), name)):
            os.remove(path)
    for path in glob.glob(osp.join(glob.escape(folder), '*.pth' + DIGEST)):
        if not osp.exists(path.removesuffix(DIGEST)):
            os.remove(path)


def _candidates(folder: str) -> list[str]:
    """Checkpoints of a run, the most promising first."""
    pointer = osp.join(folder, POINTER)
    recorded, since = '', 0.0
    if osp.isfile(pointer):
        with open(pointer, errors='replace') as file:
            recorded = file.read().strip()
        since = osp.getmtime(pointer)
    # the folder may have been moved since, or the checkpoints may be kept elsewhere (out_dir)
    found = _checkpoints_in(folder) or _checkpoints_in(osp.dirname(recorded))

    def order(path: str) -> tuple:
        # one that is newer than the record was whole when its run was killed before recording it
        written = osp.getmtime(path)
        return written <= since, osp.basename(path) != osp.basename(recorded), -written

    return sorted(found, key=order)


def _checkpoints_in(folder: str) -> list[str]:
    paths = glob.glob(osp.join(glob.escape(folder), '*.pth')) if folder else []
    return [path for path in paths if re.match(r'(iter|epoch)_\d', osp.basename(path))]


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
