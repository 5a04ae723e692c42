"""Tasks, rows and the papers' figures: docs/model_zoo/tasks.yml and papers.yml."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from .records import read
from .runs import ZooError

#: folder of configs -> page of docs/methods, where it is not of that name
PAGES = dict(ddc='alignment', dan='alignment', dann='alignment')
SIZES = ('published', 'small')


@dataclass(frozen=True)
class Figures:
    """What a paper reports for a row: ``values`` {column: number}, of the table ``where`` of the paper ``paper``."""

    paper: str
    where: str
    values: dict[str, float]


@dataclass(frozen=True)
class Row:
    """A line of a task's table.

    Attributes:
        name: In records and in papers.yml.
        title: Shown.
        config: Below ``configs/``, without ``.py``; None where there is none, ``why`` then says why.
        stage: Its result is that of this stage of the config; None: the last.
        against: Row that it has to beat.
    """

    name: str
    title: str
    config: str | None
    why: str | None
    stage: str | None
    against: str | None
    figures: tuple[Figures, ...] = ()

    @property
    def path(self) -> str | None:
        """Of the config, below the repository."""
        return self.config and f'configs/{self.config}.py'

    @property
    def page(self) -> str | None:
        """Name of the method's page, if its folder of configs has one."""
        folder = (self.config or '').partition('/')[0]
        return PAGES.get(folder, folder) or None


@dataclass(frozen=True)
class Task:
    """A source and a target.

    Attributes:
        size: ``published``, as in a paper, or ``small``, for two cores.
        columns: Name of a column -> keys of our metrics, of which it shows the mean; none where ours do not measure it.
        main: Columns that are shown side by side with ours.
        judge: The column by which rows are compared.
        higher: Whether more is better.
    """

    name: str
    title: str
    kind: str
    size: str
    text: str
    empty: str
    columns: dict[str, tuple[str, ...]]
    main: tuple[str, ...]
    judge: str
    higher: bool
    rows: dict[str, Row]
    records: dict[str, dict] = field(default_factory=dict)


@dataclass(frozen=True)
class Catalogue:
    """All tasks, the papers {key: {cite, read}} and what is left out {pattern of a config: reason}."""

    tasks: dict[str, Task]
    papers: dict[str, dict]
    excluded: dict[str, str]
    comments: dict[str, str]

    def configs(self) -> set[str]:
        """Paths of all configs in a table."""
        return {row.path for task in self.tasks.values() for row in task.rows.values() if row.config}

    def why_excluded(self, path: str) -> str | None:
        """Reason why a config is in no table, or None."""
        inside = path[len('configs/') :]
        return next((why for pattern, why in self.excluded.items() if fnmatch.fnmatch(inside, pattern)), None)

    def places(self, config: str) -> list[tuple[Task, Row]]:
        """Tasks and rows of a config's last stage."""
        return [
            (task, row)
            for task in self.tasks.values()
            for row in task.rows.values()
            if row.path == config and row.stage is None
        ]


def load_catalogue(folder: Path) -> Catalogue:
    """Read ``tasks.yml``, ``papers.yml`` and ``runs/*/*.json``.

    Raises:
        ZooError: Names the entry that is wrong, or the record that is of no row.
    """
    content, papers = (_yaml(folder / name) for name in ('tasks.yml', 'papers.yml'))
    figures = _figures(papers, folder / 'papers.yml')
    tasks = {}
    for entry in content['tasks']:
        task = _task(entry, figures)
        if task.name in tasks:
            raise ZooError(f'two tasks are called {task.name}')
        tasks[task.name] = task
    if figures:
        task, row = next(iter(figures))
        raise ZooError(f'papers.yml has figures of the row {row!r} of {task!r}, which tasks.yml lacks')
    for path in sorted((folder / 'runs').glob('*/*.json')):
        record, (task, row) = read(path), (path.parent.name, path.stem)
        if task not in tasks or row not in tasks[task].rows:
            raise ZooError(f'{path} is of no row of tasks.yml: rename or delete it')
        if (record['task'], record['row'], record['config']) != (task, row, tasks[task].rows[row].path):
            raise ZooError(f'{path} says that it is of {record["task"]}, {record["row"]}, {record["config"]}')
        tasks[task].records[row] = record
    return Catalogue(tasks, papers, content.get('excluded', {}), content.get('comments', {}))


def _yaml(path: Path) -> dict:
    try:
        return yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ZooError(f'there is no {path}') from None
    except yaml.YAMLError as error:
        raise ZooError(f'{path} is no YAML: {error}') from None


def _figures(papers: dict, path: Path) -> dict[tuple[str, str], list[Figures]]:
    found: dict[tuple[str, str], list[Figures]] = {}
    for name, paper in papers.items():
        for table in paper.get('tables', []):
            for row, values in table['rows'].items():
                if len(values) != len(table['columns']):
                    raise ZooError(
                        f'{path}: {name}, {table["where"]}, {row} has {len(values)} figures for columns '
                        f'{", ".join(table["columns"])}'
                    )
                values = {column: value for column, value in zip(table['columns'], values) if value is not None}
                _add(found.setdefault((table['task'], row), []), Figures(name, table['where'], values))
    return found


def _add(known: list[Figures], new: Figures) -> None:
    """Append, or join with figures that the same paper gives elsewhere and that agree."""
    for place, old in enumerate(known):
        shared = old.values.keys() & new.values.keys()
        if old.paper == new.paper and shared and all(old.values[key] == new.values[key] for key in shared):
            known[place] = Figures(old.paper, f'{old.where}; {new.where}', {**old.values, **new.values})
            return
    known.append(new)


def _task(entry: dict, figures: dict) -> Task:
    name = entry['name']
    columns = {key: (keys,) if isinstance(keys, str) else tuple(keys or ()) for key, keys in entry['columns'].items()}
    main = tuple(entry.get('main', columns))
    judge = entry.get('judge', main[0])
    if entry['size'] not in SIZES:
        raise ZooError(f'{name} has size {entry["size"]!r}, expected one of {", ".join(SIZES)}')
    rows = {}
    for key, line in entry['rows'].items():
        row = Row(
            name=key,
            title=line['title'],
            config=line.get('config'),
            why=line.get('why'),
            stage=line.get('stage'),
            against=line.get('against', 'source_only'),
            figures=tuple(figures.pop((name, key), ())),
        )
        if bool(row.config) == bool(row.why):
            raise ZooError(f'{name}, {key}: give a config, or why there is none')
        rows[key] = row
    for row in rows.values():
        unknown = {column for item in row.figures for column in item.values} - set(columns)
        if unknown:
            raise ZooError(f'papers.yml has {", ".join(sorted(unknown))} of {name}, {row.name}, but no such column')
    if not {*main, judge} <= set(columns):
        raise ZooError(f'{name}: main and judge are to be of the columns {", ".join(columns)}')
    return Task(
        name=name,
        title=entry['title'],
        kind=entry['kind'],
        size=entry['size'],
        text=entry.get('text', ''),
        empty=entry.get('empty', ''),
        columns=columns,
        main=main,
        judge=judge,
        higher=entry['higher'],
        rows=rows,
    )
