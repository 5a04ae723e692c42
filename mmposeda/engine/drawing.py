"""What the commands that draw figures of a checkpoint have in common."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
from mmengine.registry import DefaultScope

from . import random_state
from .failures import MENDABLE


def draw_and_write(tool: str, draw: Callable[[], tuple[dict, dict]], out: Path, name: str, seed: int) -> tuple:
    """Draw from a seed, without a trace in the random state, and write numbers and figures.

    Args:
        tool (str): Name of the command, for messages.
        draw (Callable): Gives numbers and figures by name.
        out (Path): Folder; made when there is something to write.
        name (str): File of the numbers, without ``.json``. Figures are ``NAME.png``.
        seed (int): Of what is drawn at random.

    Returns:
        tuple[dict, dict]: What ``draw`` gave.

    Raises:
        SystemExit: What the user can mend went wrong; names it.
    """
    try:
        with DefaultScope.overwrite_default_scope('mmposeda'), random_state.kept(gpu=False):
            random_state.seed_host(seed)
            numbers, figures = draw()
        out.mkdir(parents=True, exist_ok=True)
        (out / f'{name}.json').write_text(json.dumps(numbers, indent=1) + '\n')
        for figure_name, figure in figures.items():
            figure.savefig(out / f'{figure_name}.png')
    except (*MENDABLE, ValueError, TypeError, KeyError, OSError, cv2.error) as error:
        raise SystemExit(f'{tool}: {error}') from error
    return numbers, figures
