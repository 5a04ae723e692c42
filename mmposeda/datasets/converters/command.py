"""What the commands have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .journal import ConversionError, Journal, sha256
from .summary import summary
from .units import Unit, convert


def command_line(doc: str) -> argparse.ArgumentParser:
    """A parser with what every converter has; ``doc`` is the command's docstring, with an example."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--jobs', type=positive, default=1, help='processes (default: 1)')
    return parser


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'expected a whole number of at least 1, got {text!r}')
    return int(text)


def existing_folder(path: str | Path, what: str) -> Path:
    """``path``, if it is a folder.

    Raises:
        ConversionError: It is none.
    """
    if not Path(path).is_dir():
        raise ConversionError(f'{path} is no folder: expected {what}')
    return Path(path)


def run(
    name: str,
    out: str | Path,
    settings: Mapping,
    units: Sequence[Unit],
    finish: Callable[[Journal, list[Unit]], Sequence[str]] | None = None,
    official: Mapping[str, Mapping[str, int]] | None = None,
    jobs: int = 1,
    what: str = 'clips',
) -> None:
    """Convert what is not converted yet, write the files that are made of everything, and print the table.

    Args:
        name (str): The converter's, of its record.
        out (str | Path): Folder to write to.
        settings (Mapping): What the output depends on.
        units (Sequence[Unit]): All units.
        finish (Callable[[Journal, list[Unit]], Sequence[str]], optional): Writes the files made of all units that are
            done; returns them, below the folder.
        official (Mapping[str, Mapping[str, int]], optional): Known counts, by part and column.
        jobs (int): Processes.
        what (str): What units are.

    Raises:
        ConversionError: No unit could be converted, or the folder holds a conversion of other settings.
    """
    out = Path(out)
    journal = Journal(out / f'.{name}.jsonl', settings)
    failed = convert(units, journal, jobs, what)
    done = [unit for unit in units if unit.name not in failed]
    if not done:
        raise ConversionError(f'none of the {len(units)} {what} can be converted: {next(iter(failed.values()))}')
    names = [unit.name for unit in done]
    if finish is not None and not journal.is_written(names):
        journal.write({file: sha256(out / file) for file in finish(journal, done)}, names)
    print(summary(units, journal, failed, official or {}))
