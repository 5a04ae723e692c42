"""What the commands that draw figures of a checkpoint have in common."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import load_checkpoint
from torch import nn

from . import random_state
from .checkpoints import check, read
from .failures import MENDABLE
from .stages import stage_config, stage_names

#: Of pictures that are written as JPEG: no trace to be seen, and half as large as at OpenCV's 95
_QUALITY = 85


def read_stage(config: str, stage: str | None = None, options: Mapping | None = None) -> Config:
    """Config of a run, or of one stage of it.

    Args:
        config (str): Path.
        stage (str, optional): The last one by default.
        options (Mapping, optional): Dotted keys and values that are merged over it.

    Raises:
        OSError: There is no such file.
        StageError: There is no such stage.
    """
    whole = Config.fromfile(config)
    return stage_config(whole, stage_names(whole)[-1] if stage is None else stage, options)


def weight_names(checkpoint: str) -> set[str]:
    """Names of the weights in a checkpoint.

    Raises:
        CheckpointError: It is missing, damaged, of another kind, or holds code.
    """
    check(checkpoint)
    return set(read(checkpoint).get('state_dict', ()))


def load_weights(model: nn.Module, checkpoint: str, config: str, parts: Sequence[str] = ('',)) -> None:
    """Load a checkpoint that must hold what a figure is drawn of.

    Args:
        model (nn.Module): An adapter; to be on the CPU.
        checkpoint (str): Of a run of it. Of ``student.`` and ``teacher.`` a plain estimator's will do.
        config (str): That of the model, for messages.
        parts (Sequence[str]): How the names of the needed weights begin; all are by default.

    Raises:
        CheckpointError: See :func:`weight_names`.
        ValueError: It lacks needed weights.
    """
    keys = weight_names(checkpoint)
    needed = {key for key in model.state_dict() if key.startswith(tuple(parts))}
    # a plain estimator's file has the same weights without the prefix
    plain = {re.sub(r'^(student|teacher)\.', '', key) for key in needed}
    lacking = min(needed - keys, plain - keys, key=len)
    if lacking:
        raise ValueError(
            f'{checkpoint} lacks {len(lacking)} weights of the {type(model).__name__} of {config}, such as '
            f'{min(lacking)}: give a checkpoint of its run, or the config or --stage of this one'
        )
    load_checkpoint(model, checkpoint, map_location='cpu', logger='silent')


@contextmanager
def drawn_from(tool: str, seed: int) -> Iterator[None]:
    """Code inside draws from a seed, without a trace in the random state, and with the project's names.

    Args:
        tool (str): Name of the command, for messages.
        seed (int): Of what is drawn at random.

    Raises:
        SystemExit: What the user can mend went wrong; names it.
    """
    try:
        with DefaultScope.overwrite_default_scope('mmposeda'), random_state.kept(gpu=False):
            random_state.seed_host(seed)
            yield
    except (*MENDABLE, ValueError, TypeError, KeyError, OSError, cv2.error) as error:
        # a KeyError would put its message into quotes
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise SystemExit(f'{tool}: {text}') from error


def draw_and_write(tool: str, draw: Callable[[], tuple[dict, dict]], out: Path, name: str, seed: int) -> tuple:
    """Draw, see :func:`drawn_from`, and write numbers and figures into a folder.

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
    with drawn_from(tool, seed):
        numbers, figures = draw()
        out.mkdir(parents=True, exist_ok=True)
        (out / f'{name}.json').write_text(json.dumps(numbers, indent=1) + '\n')
        for figure_name, figure in figures.items():
            figure.savefig(out / f'{figure_name}.png')
    return numbers, figures


def draw_to_file(tool: str, draw: Callable[[], Figure | np.ndarray], out: Path, seed: int = 0) -> None:
    """Draw, see :func:`drawn_from`, and write one picture.

    Args:
        tool (str): Name of the command, for messages.
        draw (Callable): Gives a figure, or an RGB picture (h, w, 3), uint8.
        out (Path): File; its ending says of which kind, its folder is made when there is something to write.
        seed (int): Of what is drawn at random.

    Raises:
        SystemExit: What the user can mend went wrong; names it.
    """
    with drawn_from(tool, seed):
        figure = draw()
        out.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(figure, Figure):
            figure.savefig(out)
        elif not cv2.haveImageWriter(str(out)):
            raise ValueError(f'{out} is of no kind that pictures are written as: let it end in .png or .jpg')
        else:
            flags = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY] if out.suffix.lower() in ('.jpg', '.jpeg') else []
            if not cv2.imwrite(str(out), figure[..., ::-1], flags):
                raise OSError(f'{out} could not be written')
