"""What of a conversion is done: a file of lines in the output folder, of which a stopped run loses half a line at most.

Each line is a JSON object. The first holds the settings; then come ``begun``, a unit that is being converted, ``made``,
one that is done, and ``wrote``, the files made of all units.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


class ConversionError(RuntimeError):
    """A conversion cannot be done, or go on; the message names the thing and the way out."""


@dataclass
class Made:
    """What became of a unit.

    Attributes:
        counts (dict[str, int]): Numbers for the table, by column.
        left_out (dict[str, list[str]]): What was left out: why -> names.
        files (list[str]): Files, below the output folder, without which the unit does not count as done; the first and
            the last of many do.
        data (Any): What the files made of all units need of it, JSON.
    """

    counts: dict
    left_out: dict = field(default_factory=dict)
    files: list = field(default_factory=list)
    data: Any = None


class Journal:
    """The lines of one output folder.

    Args:
        path (Path): The file; it and its folder are made where they are missing.
        settings (Mapping): What all of the output has to have in common, JSON.

    Raises:
        ConversionError: The folder holds a conversion of other settings, or the file is none of this kind.
    """

    def __init__(self, path: Path, settings: Mapping):
        self.path, self.root = Path(path), Path(path).parent
        self.begun: dict = {}
        self.made: dict = {}
        self.wrote: dict = {}
        self._units = None
        self.root.mkdir(parents=True, exist_ok=True)
        settings = json.loads(json.dumps(settings))
        known = self._read() if self.path.is_file() else None
        if known is None:
            self._add(settings=settings)
        elif known != settings:
            other = sorted(key for key in {*known, *settings} if known.get(key) != settings.get(key))
            was = ', '.join(f'{key}={known.get(key)!r}' for key in other)
            raise ConversionError(
                f'{self.root} holds a conversion with {was}, not {", ".join(f"{settings.get(k)!r}" for k in other)}: '
                f'choose another folder, or to begin anew delete {self.path}'
            )

    def is_done(self, name: str, made_of: Sequence) -> bool:
        """Whether a unit was made of these very sources, and its files are there."""
        line = self.made.get(name)
        if line is None or line['made_of'] != list(map(list, made_of)):
            return False
        return all((self.root / file).is_file() for file in line['files'])

    def begin(self, name: str, made_of: Sequence) -> bool:
        """Note that work on a unit begins; whether it had begun before, of the same sources, and was cut off."""
        made_of = list(map(list, made_of))
        if self.begun.get(name) == made_of:
            return True
        self._add(begun=name, made_of=made_of)
        return False

    def finish(self, name: str, made_of: Sequence, made: Made) -> None:
        """Note that a unit is done."""
        self._add(made=name, made_of=list(map(list, made_of)), **asdict(made))

    def write(self, digests: Mapping[str, str], names: Sequence[str]) -> None:
        """Note the files made of all units, file -> SHA-256."""
        self._add(wrote=dict(digests), units=_together(names))

    def is_written(self, names: Sequence[str]) -> bool:
        """Whether these files are there, and made of these units as they are now."""
        there = all((self.root / file).is_file() for file in self.wrote)
        return bool(self.wrote) and there and self._units == _together(names)

    def _read(self) -> dict | None:
        settings, good = None, 0
        with open(self.path, 'rb') as file:
            for raw in file:
                if not raw.endswith(b'\n'):
                    break
                try:
                    line = json.loads(raw)
                    settings = self._take(line, settings)
                except (ValueError, LookupError, TypeError):
                    raise ConversionError(
                        f'{self.path} is no record of a conversion, or damaged: delete it, and what lies beside it is '
                        'made anew'
                    ) from None
                good += len(raw)
        if good < self.path.stat().st_size:
            os.truncate(self.path, good)
        return settings

    def _take(self, line: dict, settings: dict | None) -> dict:
        if 'settings' in line:
            return line['settings']
        if settings is None:
            raise LookupError('settings')
        if 'begun' in line:
            self.begun[line['begun']] = line['made_of']
            self.made.pop(line['begun'], None)
        elif 'made' in line:
            self.made[line['made']] = line
            self.begun.pop(line['made'], None)
        self.wrote, self._units = line.get('wrote', {}), line.get('units')
        return settings

    def _add(self, **line: Any) -> None:
        with open(self.path, 'ab') as file:
            file.write(json.dumps(line).encode() + b'\n')
        self._take(line, {})


def _together(names: Sequence[str]) -> str:
    return hashlib.sha256('\n'.join(sorted(names)).encode()).hexdigest()


def stamps(sources: Sequence[str | Path]) -> list[tuple[str, int, int]]:
    """Names, sizes and times of files, by which it shows that one is another by now."""
    found = [(Path(path).name, os.stat(path)) for path in sources]
    return [(name, stat.st_size, int(stat.st_mtime)) for name, stat in found]


@contextmanager
def written_aside(path: str | Path) -> Iterator[Path]:
    """A path beside ``path`` to write to, which takes its name when the block ends well and else is removed."""
    path = Path(path)
    aside = path.with_name(f'.{path.name}.part')
    try:
        yield aside
        os.replace(aside, path)
    except BaseException as error:
        aside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a failed write does not tell
        raise


def sha256(path: str | Path) -> str:
    """Digest of a file, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
