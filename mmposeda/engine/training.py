"""Training, stage by stage (see :mod:`mmposeda.engine.stages`).

Stages run one after another in one process, each in a fresh Runner: a process group outlives them, whereas
child processes would have to meet anew under every launcher. What mmengine keeps per process (logger, message hub,
visualiser, default scope) is named after the experiment, and every stage gets an experiment name of its own.
"""

from __future__ import annotations

import gc
import hashlib
import inspect
import json
import logging
import os
import os.path as osp
import time
from dataclasses import dataclass, field
from typing import Callable

import torch
from mmengine.config import Config
from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmposeda.compat.distributed import prepare_cpu_launch

from .checkpoints import POINTER, CheckpointError, check, latest, read, replace_file
from .hooks.non_finite_hook import NonFiniteError
from .stages import StageError, find_references, resolve_references, stage_config, stage_names

MARKER = 'finished.json'

# what a Runner reads of a config; other names in it only helped to write these
RUNNER_KEYS = frozenset(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'} | {
    'compile',
    'custom_imports',
    'detect_anomalous_params',
    'find_unused_parameters',
    'sync_bn',
}

# where a run is and what it shows, not what it computes: these may differ between the parts of a run
UNTRACKED = {
    'auto_resume',
    'env_cfg',
    'experiment_name',
    'launcher',
    'load_from',
    'log_level',
    'log_processor',
    'model_wrapper_cfg',
    'resume',
    'vis_backends',
    'visualizer',
    'work_dir',
}


@dataclass
class StageResult:
    """What became of one stage.

    Attributes:
        name: Stage name, '' for a config without stages.
        checkpoint: Path of the final checkpoint, or None if none was written.
        iterations: Iterations at its end.
        seconds: Wall-clock time of the run that finished it.
        metrics: Metrics of the last validation.
        selected: Names of checkpoints that were chosen by the labels of the validation set.
        skipped: Whether it had been finished before.
    """

    name: str
    checkpoint: str | None = None
    iterations: int = 0
    seconds: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    selected: list[str] = field(default_factory=list)
    skipped: bool = False


def train(
    cfg: Config,
    work_dir: str,
    only: str | None = None,
    resume: str | None = None,
    options: dict | None = None,
    prepare: Callable[[Config], None] | None = None,
) -> list[StageResult]:
    """Run the stages in order; those finished in an earlier run are skipped.

    Args:
        cfg: The whole config.
        work_dir: Folder of the run; a stage has its own inside.
        only: Name of the one stage to run, or None for all.
        resume: 'auto' goes on from the latest checkpoint of the unfinished stage, if there is one; a path from
            that checkpoint.
        options: Dotted keys and values, merged over every stage.
        prepare: Called with each stage's config before its Runner is built, to change it in place.

    Returns:
        list[StageResult]: One a stage that was run or skipped.

    Raises:
        StageError: If ``only`` names no stage or one that starts from missing weights, if the stages' names or
            references are wrong, or if one path is to be resumed in several stages.
        CheckpointError: If a checkpoint to start from or to resume is not whole, or the last one could not be written.
        NonFiniteError: See :class:`~mmposeda.engine.hooks.NonFiniteHook`.
        Preempted: The run was asked to end and can be resumed.
    """
    names = stage_names(cfg)
    chosen = names if only is None else [only]
    configs = {name: stage_config(cfg, name, options) for name in chosen}
    if resume not in (None, 'auto') and len(chosen) > 1:
        raise StageError(
            f'--resume {resume} names one checkpoint for the stages {", ".join(chosen)}: choose one with --stage, '
            'or give --resume without a path'
        )
    results = []
    for name, stage_cfg in configs.items():
        stage_cfg.work_dir = osp.join(work_dir, name) if name else work_dir
        if prepare is not None:
            prepare(stage_cfg)
        result = _finished(stage_cfg, name)
        if result is None:
            _resolve_from_work_dir(stage_cfg, names, name, work_dir)
            _set_start(stage_cfg, resume)
            _set_loop(stage_cfg)
            result = _run(stage_cfg, name)
        results.append(result)
    if is_main_process():
        print_log(f'Training finished\n{format_results(results)}', logger='current')
    return results


def format_results(results: list[StageResult]) -> str:
    """A table of stages, iterations, time and the metrics of the last validation.

    Checkpoints that were chosen by labels are listed below it: they are no result of unsupervised adaptation.
    """
    rows = [('stage', 'iterations', 'time', 'last validation')]
    for result in results:
        minutes, seconds = divmod(round(result.seconds), 60)
        spent = f'{minutes // 60}:{minutes % 60:02d}:{seconds:02d}' + (' (before)' if result.skipped else '')
        metrics = ', '.join(f'{key} {value:.4g}' for key, value in result.metrics.items())
        rows.append((result.name or 'train', str(result.iterations), spent, metrics or '-'))
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ['  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    for result in results:
        if result.selected:
            chosen = ', '.join(result.selected)
            lines.append(f'{result.name or "train"}: {chosen} chosen by the labels of the validation set')
    return '\n'.join(lines)


def _resolve_from_work_dir(stage_cfg: Config, names: list[str], name: str, work_dir: str) -> None:
    checkpoints = {}
    used = {key: value for key, value in stage_cfg._cfg_dict.items() if key in RUNNER_KEYS}
    for needed in set(find_references(used)) & set(names) - {''}:
        folder = osp.join(work_dir, needed)
        marker = _read_marker(folder)
        if marker is None or not marker['checkpoint']:
            raise StageError(
                f'stage {name!r} starts from the weights of stage {needed!r}, which are missing: there is no finished '
                f'run in {folder}. Run it first with --stage {needed}, or all stages without --stage.'
            )
        checkpoints[needed] = osp.join(folder, marker['checkpoint'])
    resolve_references(stage_cfg._cfg_dict, checkpoints)


def _set_start(cfg: Config, resume: str | None) -> None:
    """Say where the run starts, and check that file; with nothing to resume it is the config's own ``load_from``."""
    if resume is None and cfg.get('resume') and not cfg.get('load_from'):
        resume = 'auto'  # MMEngine's meaning of resume=True in a config
    if resume is not None:
        checkpoint = latest(cfg.work_dir) if resume == 'auto' else resume
        cfg.resume = checkpoint is not None
        if checkpoint is not None:
            cfg.load_from = checkpoint
    start = cfg.get('load_from')
    if start and '://' not in start and not (cfg.resume and resume == 'auto'):
        check(start, resume=bool(cfg.resume))
    if cfg.get('resume') and start and cfg.get('randomness', {}).get('seed') is None:
        # MMEngine takes the seed from the checkpoint too, but after the samplers have been built with another one.
        cfg.setdefault('randomness', {})['seed'] = read(start)['meta'].get('seed')


def _set_loop(cfg: Config) -> None:
    """Name the training loop where a config leaves it to ``by_epoch``, which would be MMEngine's own."""
    loop = cfg.get('train_cfg')
    if loop and 'type' not in loop:
        loop.type = 'mmposeda.EpochBasedTrainLoop' if loop.pop('by_epoch', True) else 'mmposeda.IterBasedTrainLoop'


def _last_checkpoint(folder: str) -> str | None:
    """The checkpoint CheckpointHook wrote last, also if the folder has been moved since."""
    pointer = osp.join(folder, POINTER)
    if not osp.isfile(pointer):
        return None
    with open(pointer) as file:
        path = file.read().strip()
    candidates = [path, osp.join(folder, osp.basename(path))]
    return next((candidate for candidate in candidates if osp.isfile(candidate)), None)


def _read_marker(folder: str) -> dict | None:
    """What a finished stage left behind, or None; a checkpoint that has gone makes a stage unfinished."""
    path = osp.join(folder, MARKER)
    if not osp.isfile(path):
        return None
    with open(path) as file:
        marker = json.load(file)
    checkpoint = marker['checkpoint']
    return marker if checkpoint is None or osp.isfile(osp.join(folder, checkpoint)) else None


def _digests(cfg: Config) -> dict[str, str]:
    """Top-level key -> digest of its value, for the keys that decide what a run computes."""
    return {
        key: hashlib.sha256(repr(value).encode()).hexdigest()[:12]
        for key, value in sorted(cfg._cfg_dict.to_dict().items())
        if key in RUNNER_KEYS - UNTRACKED
    }


def _finished(cfg: Config, name: str) -> StageResult | None:
    """Result of a stage that an earlier run finished, or None. A run without stages always runs."""
    marker = _read_marker(cfg.work_dir) if name else None
    if marker is None:
        return None
    now = _digests(cfg)
    before = marker.pop('config')
    changed = [key for key in sorted({*now, *before} & RUNNER_KEYS) if now.get(key) != before.get(key)]
    if is_main_process():
        print_log(f'Stage {name!r} is finished and skipped; delete {cfg.work_dir} to run it again')
        if changed:
            print_log(
                f'Stage {name!r} was run with other values of {", ".join(changed)} than the config has now',
                level=logging.WARNING,
            )
    marker['checkpoint'] = marker['checkpoint'] and osp.join(cfg.work_dir, marker['checkpoint'])
    return StageResult(name, skipped=True, **marker)


def _run(cfg: Config, name: str) -> StageResult:
    digests = _digests(cfg)
    prepare_cpu_launch(cfg)
    start = time.time()
    runner = Runner.from_cfg(cfg)
    if name:
        runner.logger.info(f'Stage {name!r} in {cfg.work_dir}')
    try:
        runner.train()
    except (CheckpointError, NonFiniteError) as error:
        runner.logger.error(str(error))
        raise
    checkpoint = _last_checkpoint(cfg.work_dir)
    if checkpoint is not None and not cfg.get('resume') and osp.getmtime(checkpoint) < start - 2:
        checkpoint = None  # left by a run that was broken off
    seconds = time.time() - start
    result = StageResult(name, checkpoint, runner.iter, seconds, _last_metrics(runner), _selected(runner))
    if name:
        if is_main_process():
            _write_marker(cfg.work_dir, result, digests)
        barrier()
    del runner
    gc.collect()  # a Runner and its hooks refer to each other
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return result


def _last_metrics(runner: Runner) -> dict[str, float]:
    scalars = runner.message_hub.log_scalars
    return {
        key[len('val/') :]: float(buffer.current())
        for key, buffer in scalars.items()
        if key.startswith('val/') and not key.endswith('time')
    }


def _selected(runner: Runner) -> list[str]:
    info = runner.message_hub.runtime_info
    return [osp.basename(path) for key, path in info.items() if key.startswith('best_ckpt') and path]


def _write_marker(folder: str, result: StageResult, digests: dict[str, str]) -> None:
    checkpoint = result.checkpoint
    if checkpoint is not None:
        inside = osp.relpath(checkpoint, folder)
        # relative, so that a work_dir can be moved
        checkpoint = osp.abspath(checkpoint) if inside.startswith(os.pardir) else inside
    content = dict(
        checkpoint=checkpoint,
        iterations=result.iterations,
        seconds=result.seconds,
        metrics=result.metrics,
        selected=result.selected,
        config=digests,
    )
    replace_file(osp.join(folder, MARKER), json.dumps(content, indent=2).encode())
