"""docs/model_zoo.md, from tasks, papers' figures and records alone."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path

from .catalogue import Catalogue, Row, Task

HEAD = """\
<!-- Written by `python tools/model_zoo.py write` from docs/model_zoo/: change those files, not this one. -->

# Model zoo

Every pair of data sets that the papers report, and the tasks that run on two cores, with the figures of both:
{rows} rows of {tasks} tasks, {figures} with a paper's figures, {recorded} with runs of ours ({runs} runs). This page is
written by a script from [tasks and configs](model_zoo/tasks.yml), [the papers' figures](model_zoo/papers.yml) and
[records of runs](model_zoo/runs):

```bash
python tools/model_zoo.py collect WORK_DIR [WORK_DIR ...]    # of tools/benchmarks/adaptation.py or tools/train.py
python tools/model_zoo.py write
```

- **The papers' figures** are those of the paper, of its supplement or of its authors' code, as far as they could be
  read; [where](#papers) is said line by line. An empty cell is a figure that could not be had, never a zero.
- **Ours** are of the last iteration, never of the best one: mean ± standard deviation over the seeds, whose number
  links to the record.
- What is said of a method against source only is computed from the seeds that both have: not better is what gains less
  than the seeds are apart. A single seed tells little.
"""
PUBLISHED = """\
## Published tasks

These data sets are for research, most of them after registration or an agreement, and training is sized for a GPU. The
configs are built by the tests, and batches of most of them made from miniatures of the official files. How to get each
data set and how to check it: [datasets.md](datasets.md).
"""
SMALL = """\
## Tasks for two cores

On data that anyone can make or has at hand: rendered people and hands, free motion capture, a subset of LSP-extended.
"""


def render(catalogue: Catalogue, root: Path) -> str:
    """The whole page.

    Args:
        catalogue: Tasks with their records.
        root: The repository, to see which pages there are.
    """
    tasks = catalogue.tasks.values()
    rows = [row for task in tasks for row in task.rows.values()]
    head = HEAD.format(
        rows=len(rows),
        tasks=len(tasks),
        figures=sum(bool(row.figures) for row in rows),
        recorded=sum(len(task.records) for task in tasks),
        runs=sum(len(record['runs']) for task in tasks for record in task.records.values()),
    )
    parts = [head, _index(tasks)]
    pages = {path.stem for path in (root / 'docs' / 'methods').glob('*.md')}
    for size, title in (('published', PUBLISHED), ('small', SMALL)):
        parts.append(title)
        parts += [_section(task, catalogue, pages) for task in tasks if task.size == size]
    return '\n'.join([*parts, _papers(catalogue), _excluded(catalogue)])


def table(header: list[str], rows: list[list[str]], numbers: Iterable[int] = ()) -> str:
    """A Markdown table; columns of these numbers are set to the right."""
    rule = ['--:' if i in set(numbers) else '---' for i in range(len(header))]
    return '\n'.join('| ' + ' | '.join(cells) + ' |' for cells in (header, rule, *rows)) + '\n'


def anchor(title: str) -> str:
    """GitHub's anchor of a heading."""
    return ''.join(c for c in title.lower().replace(' ', '-') if c.isalnum() or c in '-_')


def values(task: Task, row: str, column: str) -> dict[int, float]:
    """Seed -> our value in a column, of the seeds that have it."""
    runs = task.records[row]['runs'] if row in task.records else []
    keys = task.columns[column]
    return {
        run['seed']: statistics.fmean(run['metrics'][key] for key in keys)
        for run in runs
        if keys and all(key in run['metrics'] for key in keys)
    }


def cell(task: Task, row: str, column: str) -> str:
    """Mean ± standard deviation, the value of a single seed, or ''; with how many seeds, if not all have it."""
    numbers = list(values(task, row, column).values())
    if not numbers:
        return ''
    text = f'{statistics.fmean(numbers):.1f}' + (f' ± {statistics.stdev(numbers):.1f}' if len(numbers) > 1 else '')
    runs = len(task.records[row]['runs'])
    return text if len(numbers) == runs else f'{text} ({len(numbers)} of {runs} seeds)'


def verdict(task: Task, row: Row) -> tuple[str, float, int] | None:
    """How a row stands to the one that it has to beat: (better | level | worse, gain, seeds); positive is better.

    The gain is the mean over the seeds that both have. It is level up to the larger of two standard deviations, of the
    gains and of the other row's values; with a single seed of both every gain counts, as no spread is known.
    """
    if row.against not in task.records or row.name in (row.against, 'oracle'):
        return None
    ours, base = (values(task, name, task.judge) for name in (row.name, row.against))
    gains = [(ours[seed] - base[seed]) * (1 if task.higher else -1) for seed in sorted(ours.keys() & base.keys())]
    if not gains:
        return None
    gain = statistics.fmean(gains)
    spread = max(statistics.stdev(found) if len(found) > 1 else 0.0 for found in (gains, list(base.values())))
    return ('level' if abs(gain) <= spread else 'better' if gain > 0 else 'worse'), gain, len(gains)


def _index(tasks: Iterable[Task]) -> str:
    rows = [
        [
            f'[{task.title}](#{anchor(task.title)})',
            task.kind,
            task.size,
            str(len(task.rows)),
            str(sum(bool(row.figures) for row in task.rows.values()) or ''),
            str(len(task.records) or ''),
        ]
        for task in tasks
    ]
    return table(['task', 'what', 'size', 'rows', "with a paper's figures", 'with runs'], rows, (3, 4, 5))


def _section(task: Task, catalogue: Catalogue, pages: set[str]) -> str:
    text = [f'### {task.title}\n', f'{task.kind}. {task.text}'.rstrip() + '\n']
    if not task.records:
        text.append(f'**No runs of ours**: {task.empty}\n')
    lines = _published(task, catalogue, pages) if task.size == 'published' else _small(task, pages)
    text.append(lines)
    text += [line + '\n' for line in _verdicts(task)]
    return '\n'.join(text)


def _title(row: Row, pages: set[str]) -> str:
    return f'[{row.title}](methods/{row.page}.md)' if row.page in pages else row.title


def _config(row: Row) -> str:
    if not row.config:
        return row.why
    return f'[config](../{row.path})' + (f', stage `{row.stage}`' if row.stage else '')


def _seeds(task: Task, row: str) -> str:
    record = task.records.get(row)
    return f'[{len(record["runs"])}](model_zoo/runs/{task.name}/{row}.json)' if record else ''


def _published(task: Task, catalogue: Catalogue, pages: set[str]) -> str:
    others = [column for column in task.columns if column not in task.main]
    measured = [column for column in task.main if task.columns[column]]
    header = ['method', *(f'{column}, paper' for column in task.main), *(f'{column}, ours' for column in measured)]
    header += ['seeds', *(['more, paper'] if others else []), 'from', 'config']
    rows = []
    for row in task.rows.values():
        ours = [cell(task, row.name, column) for column in measured]
        for number, figures in enumerate(row.figures or (None,)):
            given = figures.values if figures else {}
            line = ['' if number else _title(row, pages), *(_figure(given.get(column)) for column in task.main)]
            line += [*([''] * len(ours) if number else ours), '' if number else _seeds(task, row.name)]
            if others:
                line.append(' · '.join(f'{column} {_figure(given[column])}' for column in others if column in given))
            line.append(f'[{catalogue.papers[figures.paper]["short"]}](#papers), {figures.where}' if figures else '')
            rows.append([*line, '' if number else _config(row)])
    return table(header, rows, range(1, 2 + len(task.main) + len(measured)))


def _figure(value: float | None) -> str:
    return '' if value is None else f'{value:.1f}'


def _small(task: Task, pages: set[str]) -> str:
    header = ['method', *task.main, 'seeds', 'last stage', 'minutes', 'config']
    rows = []
    for row in task.rows.values():
        runs = task.records[row.name]['runs'] if row.name in task.records else []
        ours = [cell(task, row.name, column) for column in task.main]
        lengths = ', '.join(sorted({str(run['iterations']) for run in runs}))
        minutes = f'{statistics.fmean(sum(run["minutes"].values()) for run in runs):.0f}' if runs else ''
        rows.append([_title(row, pages), *ours, _seeds(task, row.name), lengths, minutes, _config(row)])
    return table(header, rows, range(1, 4 + len(task.main)))


def _verdicts(task: Task) -> list[str]:
    """Sentences on which rows beat the ones that they have to."""
    found: dict[str, list[str]] = {}
    for row in task.rows.values():
        result = verdict(task, row)
        if result:
            sort, gain, seeds = result
            what = 'one seed' if seeds == 1 else f'{seeds} seeds'
            title = row.title[2:] if row.title.startswith('+ ') else row.title
            found.setdefault(sort, []).append(f'{title} ({gain:+.1f}, {what})')
    if not found:
        return []
    bases = {task.rows[row.against].title for row in task.rows.values() if row.against in task.records}
    base = bases.pop() if len(bases) == 1 else 'their own baseline'
    lines = [f'Against {base}, by {task.judge} (a plus is better):']
    for sort, name in (
        ('better', 'Better'),
        ('level', '**Not better**, within the spread of the seeds'),
        ('worse', '**Not better**'),
    ):
        if sort in found:
            lines.append(f'- {name}: {"; ".join(found[sort])}.')
    machines = {
        f'{run["machine"].get("device")}, torch {run["machine"].get("torch")}'
        for record in task.records.values()
        for run in record['runs']
    }
    commits = {run['commit'] for record in task.records.values() for run in record['runs']}
    known = ', '.join(sorted(commit for commit in commits if commit))
    told = f'code of {known}' if known else 'code of a commit that is not recorded'
    if known and None in commits:
        told += ' and of others that are not recorded'
    return ['\n'.join(lines), f'({"; ".join(sorted(machines))}; {told}.)']


def _papers(catalogue: Catalogue) -> str:
    lines = ['## Papers\n', 'Where the figures were read:\n']
    for paper in catalogue.papers.values():
        lines.append(f'- **{paper["short"]}**: {paper["cite"]} Read: {paper["read"]}')
    return '\n'.join([*lines, ''])


def _excluded(catalogue: Catalogue) -> str:
    lines = ['## Not in the tables\n']
    lines += [f'- `configs/{pattern}`: {why}' for pattern, why in catalogue.excluded.items()]
    lines += [f'- {what}: {why}' for what, why in catalogue.comments.items()]
    return '\n'.join([*lines, ''])
