"""What a conversion made, as a table to compare with the official counts and with other people's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ..frames import few_names
from .journal import Journal
from .units import Unit

#: Marks a count that is not the official one
MARK = '!'


def summary(
    units: Sequence[Unit], journal: Journal, failed: Mapping[str, str], official: Mapping[str, Mapping[str, int]]
) -> str:
    """Counts by part, what was left out, and digests of the files that were made of all units.

    Args:
        units (Sequence[Unit]): All units.
        journal (Journal): What became of them.
        failed (Mapping[str, str]): Those that could not be converted, and why.
        official (Mapping[str, Mapping[str, int]]): Known counts, by part and column.
    """
    counts: dict = {}
    left_out: dict = {}
    for unit in units:
        line = journal.made.get(unit.name)
        row = counts.setdefault(unit.part, Counter())
        if unit.name not in failed and line is not None:
            row.update(line['counts'])
            for why, names in line['left_out'].items():
                left_out.setdefault(why, []).extend(names)
    lines = _table(counts, official)
    lines += [f'left out, {why}: {len(names)} ({few_names(names)})' for why, names in left_out.items() if names]
    if failed:
        lines.append(f'left out, cannot be converted: {len(failed)} ({few_names(list(failed.values()))})')
    lines += [f'sha256 {digest}  {journal.root / file}' for file, digest in journal.wrote.items()]
    return '\n'.join(lines)


def _table(counts: Mapping[str, Mapping[str, int]], official: Mapping[str, Mapping[str, int]]) -> list[str]:
    columns = list(dict.fromkeys(column for row in counts.values() for column in row))
    known = {column: any(column in official.get(part, {}) for part in counts) for column in columns}
    header = ['part']
    for column in columns:
        header += [column, 'official'] if known[column] else [column]
    rows, differs = [header], False
    for part, row in counts.items():
        cells = [part]
        for column in columns:
            cells.append(str(row[column]))
            if known[column]:
                right = official.get(part, {}).get(column)
                differs |= right not in (None, row[column])
                cells.append('-' if right is None else f'{right} {" " if right == row[column] else MARK}')
        rows.append(cells)
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [
        '  '.join(cell.rjust(w) if n else cell.ljust(w) for n, (cell, w) in enumerate(zip(row, widths))).rstrip()
        for row in rows
    ]
    return lines + [f'{MARK} is another number than the official one: something is missing'] * differs
