"""Records of runs: small files that stay in the repository when work folders are gone."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterable
from pathlib import Path

from .runs import DIGITS, ZooError, clean, load

KEYS = ('config', 'row', 'runs', 'summary', 'task')
RUN_KEYS = ('commit', 'iterations', 'machine', 'metrics', 'minutes', 'seed')


def summarise(runs: Iterable[dict]) -> dict[str, dict]:
    """Of each metric its mean over the seeds, the standard deviation of a sample (None of one) and their number."""
    runs, summary = list(runs), {}
    for key in sorted({key for run in runs for key in run['metrics']}):
        values = [run['metrics'][key] for run in runs if key in run['metrics']]
        spread = round(statistics.stdev(values), DIGITS) if len(values) > 1 else None
        summary[key] = dict(mean=round(statistics.fmean(values), DIGITS), seeds=len(values), spread=spread)
    return summary


def merge(task: str, row: str, config: str, runs: list[dict], before: dict | None = None) -> dict:
    """A record of these runs and of those seeds that it had before and that are not among them.

    Args:
        task, row: Where in the catalogue.
        config: Path below the repository.
        runs: As of :func:`~zoo.runs.read_run`, with ``commit`` (None if unknown) and ``folder``.
        before: The record as it is.

    Raises:
        ZooError: Two of the runs have one seed and give different numbers, or one has no seed.
    """
    by_seed: dict[int, dict] = {}
    for run in runs:
        seed = run['seed']
        if not isinstance(seed, int):
            raise ZooError(f'{run["folder"]} has seed {seed!r}: only runs with a seed are recorded')
        other = by_seed.get(seed)
        if other is not None:
            keys = other['metrics'].keys() & run['metrics'].keys()
            unlike = [key for key in sorted(keys) if other['metrics'][key] != run['metrics'][key]]
            if unlike:
                raise ZooError(
                    f'{other["folder"]} and {run["folder"]} both are seed {seed} of {config}, but {unlike[0]} is '
                    f'{other["metrics"][unlike[0]]} and {run["metrics"][unlike[0]]}: give one of them'
                )
            if len(other['metrics']) >= len(run['metrics']):
                continue
        by_seed[seed] = run
    kept = [run for run in (before or {}).get('runs', []) if run['seed'] not in by_seed]
    rows = [{key: run[key] for key in RUN_KEYS} for run in (*kept, *by_seed.values())]
    rows.sort(key=lambda run: run['seed'])
    return dict(task=task, row=row, config=config, runs=rows, summary=summarise(rows))


def write(path: Path, record: dict) -> None:
    """Write aside, then rename; keys are sorted, so that equal records are equal files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + '.tmp')
    aside.write_text(json.dumps(record, indent=1, sort_keys=True, allow_nan=False) + '\n')
    os.replace(aside, path)


def read(path: Path) -> dict:
    """A record.

    Raises:
        ZooError: It is cut off, lacks something, holds what is no number, or its summary is not that of its runs.
    """
    record = load(path)
    missing = [key for key in KEYS if key not in record] if isinstance(record, dict) else list(KEYS)
    if not missing and not record['runs']:
        missing = ['runs']
    for number, run in enumerate([] if missing else record['runs']):
        missing += [f'runs.{number}.{key}' for key in RUN_KEYS if key not in run]
    if missing:
        raise ZooError(f'{path} is no record of the model zoo: it lacks {", ".join(missing)}; collect it again')
    for run in record['runs']:
        clean(run['metrics'], path)
    if record['summary'] != summarise(record['runs']):
        raise ZooError(f'the summary in {path} is not that of its runs: it was changed by hand; collect it again')
    return record
