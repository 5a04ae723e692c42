"""What a finished run has left in its work folder."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

from mmengine.config import Config

from mmposeda.engine.stages import stage_names

RESULT = 'result.json'
#: a number for each of 25 bins, and what BinnedMetric repeats of the metric that it wraps
LEFT_OUT = re.compile(r'.+_bin_\d+|.+/unbinned')
DIGITS = 4


class ZooError(ValueError):
    """A run, a record or a table that cannot be used; the message says which and what to do."""


def load(path: Path):
    """Content of a JSON file.

    Raises:
        ZooError: It is missing, damaged or cut off.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise ZooError(f'there is no {path}') from None
    except (ValueError, UnicodeDecodeError) as error:
        raise ZooError(f'{path} is no whole JSON file ({error}); was it cut off?') from None


def find_runs(work_dir: Path) -> tuple[list[Path], list[Path]]:
    """Folders of the runs in a work folder, and of those without a result.

    ``WORK_DIR/ROW/seed_N`` of tools/benchmarks/adaptation.py, or the work folder of one tools/train.py.

    Raises:
        ZooError: It holds neither.
    """
    folders = sorted(path for path in work_dir.glob('*/seed_*') if path.is_dir())
    if folders:
        done = [folder for folder in folders if (folder / RESULT).is_file()]
        return done, [folder for folder in folders if folder not in done]
    if not (work_dir / 'last_checkpoint').is_file() and not any(work_dir.glob('*/last_checkpoint')):
        raise ZooError(
            f'{work_dir} holds no runs: expected ROW/seed_N folders of tools/benchmarks/adaptation.py, or a work '
            'folder of tools/train.py with a last_checkpoint'
        )
    return [work_dir], []


def read_run(folder: Path, configs: Mapping[str, str]) -> dict:
    """Config, seed, iterations, minutes, machine and metrics of a run.

    Args:
        folder: As of :func:`find_runs`.
        configs: Name of a config file without ``.py`` -> its path below the repository.

    Returns:
        ``config``, ``row`` (its name in the benchmark, or None), ``seed``, ``iterations`` of the last stage,
        ``minutes`` {stage: value}, ``machine`` {key: value} and ``metrics`` {key: value}, rounded to 4 decimals and
        without those of single difficulty bins.

    Raises:
        ZooError: Something is missing, damaged or no number.
    """
    path = folder / RESULT
    run = _of_benchmark(path) if path.is_file() else _of_training(folder, configs)
    run['metrics'] = clean(run['metrics'], path if path.is_file() else folder)
    run['minutes'] = {stage or 'training': round(float(value), 1) for stage, value in run['minutes'].items()}
    return run


def clean(metrics: Mapping, where: Path) -> dict[str, float]:
    """The metrics to keep, rounded.

    Raises:
        ZooError: There are none, or one is not a finite number.
    """
    if not isinstance(metrics, Mapping) or not metrics:
        raise ZooError(f'{where} has no metrics')
    kept = {}
    for key, value in metrics.items():
        if LEFT_OUT.fullmatch(key) or (key.endswith('/actions') and value != value):  # data without actions
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ZooError(f'{where}: {key} is {value!r}, expected a finite number; what broke down is not recorded')
        kept[key] = round(float(value), DIGITS)
    return kept


def _of_benchmark(path: Path) -> dict:
    content = load(path)
    wanted = ('config', 'method', 'seed', 'iterations', 'minutes', 'machine', 'metrics')
    missing = [key for key in wanted if key not in content] if isinstance(content, dict) else list(wanted)
    if missing:
        raise ZooError(f'{path} is no result of tools/benchmarks/adaptation.py: it lacks {", ".join(missing)}')
    run = {key: content[key] for key in wanted}
    return dict(run, row=run.pop('method'))


def _of_training(folder: Path, configs: Mapping[str, str]) -> dict:
    dumped = sorted({*folder.glob('*.py'), *folder.glob('*/*.py')})
    names = {path.stem for path in dumped} & set(configs)
    if len(names) != 1:
        found = ', '.join(sorted({path.name for path in dumped})) or 'none'
        raise ZooError(f'{folder}: expected the copy of one config of the model zoo, found {found}')
    name = names.pop()
    stages = stage_names(Config.fromfile(configs[name]))
    last = folder / stages[-1]
    iterations = _iterations(last)
    copy = next(path for path in dumped if path.stem == name)
    return dict(
        config=configs[name],
        row=None,
        seed=Config.fromfile(copy).get('randomness', {}).get('seed'),
        iterations=iterations,
        minutes={stage: _minutes(folder / stage) for stage in stages},
        machine=_machine(last),
        metrics=_metrics(folder, last, iterations),
    )


def _iterations(folder: Path) -> int:
    marker = folder / 'last_checkpoint'
    checkpoint = Path(marker.read_text().strip()).name if marker.is_file() else ''
    number = re.fullmatch(r'iter_(\d+)\.pth', checkpoint)
    if not number:
        raise ZooError(f'{folder} has no checkpoint of its last iteration, but {checkpoint or "none"}')
    return int(number[1])


def _scalars(folder: Path) -> list[dict]:
    """Lines of MMEngine's ``scalars.json``, of all runs that were resumed in turn."""
    lines = []
    for path in sorted(folder.glob('*/vis_data/scalars.json')):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            try:
                lines.append(json.loads(line))
            except ValueError:
                raise ZooError(f'line {number} of {path} is no JSON; was it cut off?') from None
    return lines


def _minutes(folder: Path) -> float:
    lines = [line for line in _scalars(folder) if 'loss' in line and 'time' in line]
    steps = sorted({line['step']: line['time'] for line in lines}.items())
    return sum(time * (step - before) for (step, time), before in zip(steps, [0, *(s for s, _ in steps)])) / 60


def _machine(folder: Path) -> dict:
    text = ''.join(path.read_text(errors='replace') for path in sorted(folder.glob('*/*.log'))[-1:])
    found = dict(re.findall(r'^\s*(PyTorch|GPU \d[\d,]*):\s*(.+?)\s*$', text, re.MULTILINE))
    device = next((value for key, value in found.items() if key.startswith('GPU')), 'CPU')
    return dict(device=device, torch=found.get('PyTorch'))


def _metrics(folder: Path, last: Path, iterations: int) -> dict:
    """By what tools/test.py wrote, or by the validation of the last iteration."""
    tested = sorted(path for path in folder.glob('**/*.json') if path.stem == path.parent.name)
    written = [path for path in (folder / 'metrics.json', last / 'metrics.json', *tested[::-1]) if path.is_file()]
    if written:
        return _scored(load(written[0]))
    lines = [line for line in _scalars(last) if 'loss' not in line and 'step' in line]
    line = lines[-1] if lines else {}
    if line.get('step') != iterations:
        raise ZooError(
            f'{folder}: iteration {iterations}, the last, was not evaluated: run tools/test.py with --out '
            f'{folder / "metrics.json"}'
        )
    return _scored(line)


def _scored(line):
    """Without what MMEngine logs beside the metrics."""
    beside = ('time', 'data_time', 'step', 'iter')
    return {k: v for k, v in line.items() if k not in beside} if isinstance(line, dict) else line
