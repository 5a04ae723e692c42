"""Keeps docs/model_zoo.md: records what runs gave, and writes the page from records, papers' figures and configs.

    python tools/model_zoo.py collect WORK_DIR [WORK_DIR ...]    # of tools/benchmarks/adaptation.py or tools/train.py
    python tools/model_zoo.py write

Which rows there are is said in docs/model_zoo/tasks.yml, the papers' figures in docs/model_zoo/papers.yml.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from zoo import records  # noqa: E402
from zoo.catalogue import Catalogue, load_catalogue  # noqa: E402
from zoo.page import render  # noqa: E402
from zoo.runs import ZooError, find_runs, read_run  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]


def parse_args(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--root', type=Path, default=ROOT, help='the repository')
    commands = parser.add_subparsers(dest='command', required=True)
    collect = commands.add_parser('collect', help='record the finished runs of work folders')
    collect.add_argument('work_dirs', nargs='+', type=Path, metavar='WORK_DIR')
    collect.add_argument('--commit', help='of the code that made them, where it is known')
    collect.add_argument(
        '--only', nargs='+', metavar='ROW', help='rows of the benchmark, where some are of changed configs'
    )
    collect.add_argument('--seeds', nargs='+', type=int, metavar='SEED', help='of the benchmark; default: all')
    commands.add_parser('write', help='write docs/model_zoo.md')
    return parser.parse_args(argv)


def wanted(folder: Path, args) -> bool:
    """Whether ``--only`` and ``--seeds`` take the run; they are of ROW/seed_N folders."""
    row, seed = folder.parent.name, re.fullmatch(r'seed_(\d+)', folder.name)
    return not seed or ((not args.only or row in args.only) and (not args.seeds or int(seed[1]) in args.seeds))


def collect(args, catalogue: Catalogue) -> None:
    """Write the records of all runs that are finished."""
    by_name = {Path(path).stem: path for path in catalogue.configs()}
    found: dict[str, list[dict]] = {}
    for work_dir in args.work_dirs:
        folders, unfinished = ([f for f in part if wanted(f, args)] for part in find_runs(work_dir))
        if unfinished:
            print('not finished:', ', '.join(str(folder.relative_to(work_dir)) for folder in unfinished))
        for folder in folders:
            run = dict(read_run(folder, by_name), folder=folder, commit=args.commit)
            found.setdefault(run['config'], []).append(run)
    for config, runs in sorted(found.items()):
        names = {run['row'] for run in runs}
        if len(names) > 1:
            raise ZooError(
                f'{", ".join(sorted(map(str, names)))} all are of {config}, so some are of a changed config: name '
                'those that are not with --only'
            )
        places = catalogue.places(config)
        if not places:
            raise ZooError(f'{runs[0]["folder"]} is of {config}, which is in no table of docs/model_zoo/tasks.yml')
        for task, row in places:
            record = records.merge(task.name, row.name, config, runs, task.records.get(row.name))
            records.write(args.root / 'docs' / 'model_zoo' / 'runs' / task.name / f'{row.name}.json', record)
            print(f'{task.name}, {row.name}: seeds {", ".join(str(run["seed"]) for run in record["runs"])}')


def main(argv=None) -> int:
    """Run the command."""
    args = parse_args(argv)
    try:
        catalogue = load_catalogue(args.root / 'docs' / 'model_zoo')
        if args.command == 'collect':
            collect(args, catalogue)
        else:
            page = args.root / 'docs' / 'model_zoo.md'
            aside = page.with_name(page.name + '.tmp')
            aside.write_text(render(catalogue, args.root))
            os.replace(aside, page)
            print(f'wrote {page}')
    except ZooError as error:
        raise SystemExit(str(error)) from None
    return 0


if __name__ == '__main__':
    sys.exit(main())
