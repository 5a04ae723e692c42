"""Collects what the report of an adaptation to own pictures says, and writes it."""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
import time
from pathlib import Path

import cv2
import mmengine
import mmpose
import torch

from mmposeda.structures.skeleton import Skeleton
from mmposeda.version import __version__
from mmposeda.visualization.adaptation_report import AdaptationSummary, adaptation_report

from .own_config import STAGE
from .own_data import GivenEstimator
from .own_results import BeforeAfter, last_panel, logged_scalars, logged_warnings


def machine() -> str:
    """Processor, cores and GPU in words."""
    name = platform.processor() or platform.machine()
    info = Path('/proc/cpuinfo')
    if info.is_file():
        names = re.findall(r'model name\s*: (.*)', info.read_text())
        name = names[0] if names else name
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else 'no GPU'
    return (
        f'{name}, {len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()} cores, {gpu}'
    )


def _settings(args: argparse.Namespace, command: str) -> dict:
    """What was done, for the report."""
    python = '.'.join(map(str, sys.version_info[:3]))
    return {
        'command': command,
        'given config': args.config,
        'given checkpoint': args.checkpoint,
        'target': args.target,
        'source': args.source,
        'method': args.method,
        'iterations': args.iterations,
        'batch': f'{args.batch} pictures' + ('' if args.method == 'source_only' else ', half of them of the target'),
        'learning rate': args.lr,
        'seed': args.seed,
        'versions': f'mmposeda {__version__}, mmpose {mmpose.__version__}, mmengine {mmengine.__version__}, torch '
        f'{torch.__version__}, Python {python}',
        'machine': machine(),
    }


def made_of(source: Skeleton, skeleton: Skeleton) -> list[list[str] | None]:
    """For each joint of the estimator the joints of the source that label it, or None."""
    weights = source.map_to(skeleton).weights
    return [[source.joint_names[i] for i in row.nonzero()[0]] or None for row in weights]


def write_report(
    args: argparse.Namespace,
    given: GivenEstimator,
    compared: BeforeAfter,
    pck: dict,
    found: dict,
    minutes: dict,
    command: str,
) -> Path:
    """Write ``report.html`` into the work dir; return its path.

    Args:
        args (Namespace): Arguments of ``tools/adapt.py``.
        given (GivenEstimator): What was adapted.
        compared (BeforeAfter): Its predictions, and those of what came of it.
        pck (dict): Metrics before and after, if there are labels.
        found (dict): What there is to say of the 'target' and the 'source', and the source's 'joints'.
        minutes (dict): Step -> minutes.
        command (str): The command as it was given.
    """
    folder = Path(args.work_dir).resolve()
    panel = last_panel(folder / STAGE)
    exported = folder / 'exported'
    name = Path(args.target).name or args.target
    summary = AdaptationSummary(
        title=f'{Path(args.config).stem} adapted to {name}',
        subtitle=f'{time.strftime("%d %B %Y")} · {args.method} · {found["target"][0]} without labels · '
        f'source: {found["source"][0]}',
        settings=_settings(args, command),
        target=found['target'],
        source=found['source'],
        joints=made_of(found['joints'], given.skeleton),
        minutes=minutes,
        config=(folder / 'adapt.py').read_text(),
        files={
            'plain MMPose config': str(exported / 'model.py'),
            'plain MMPose checkpoint': str(exported / 'model.pth'),
            'config to repeat it': str(folder / 'adapt.py'),
            'everything that was said': str(folder / 'adapt.log'),
        },
        curves=logged_scalars(folder / STAGE),
        warnings=logged_warnings(folder / STAGE),
        panel=None if panel is None else cv2.imread(str(panel))[..., ::-1],
        pck=pck,
        exported=os.path.relpath(exported),
    )
    return adaptation_report(summary, compared, given.skeleton, args.samples).write(folder / 'report.html')
