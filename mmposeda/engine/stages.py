"""Staged configs: one config, several runs, each starting from the weights of an earlier one.

A config may hold ``stages = [dict(name='pretrain', …), dict(name='adapt', load_from='{pretrain}', …)]``. Each
stage is the rest of the config with the stage's own values merged over it. It runs in ``work_dir/<name>/``, and
``{pretrain}`` in any string of a later stage stands for the final checkpoint of stage ``pretrain``. A config without
``stages`` is one nameless stage in ``work_dir``.
"""

from __future__ import annotations

import copy
import os.path as osp
import re

from mmengine.config import Config

REFERENCE = re.compile(r'\{([^{}]*)\}')


class StageError(ValueError):
    """The stages of a config, or the one asked for, cannot be run as they are."""


def stage_names(cfg: Config) -> list[str]:
    """Names of the stages in order, checked; [''] for a config without stages.

    Raises:
        StageError: If a stage has no name, an unusable or repeated one, or refers to a stage that is not before it.
    """
    if not cfg.get('stages'):
        return ['']
    names: list[str] = []
    for index, stage in enumerate(cfg.stages):
        name = stage.get('name')
        if not isinstance(name, str) or not re.fullmatch(r'[\w-]+', name):
            raise StageError(f'stages[{index}].name is {name!r}, expected letters, digits, "_" and "-" only')
        if name in names:
            raise StageError(f'two stages are named {name!r}; a name is also a folder, so give each its own')
        names.append(name)
    for index, stage in enumerate(cfg.stages):
        later = [ref for ref in find_references(stage) if ref in names[index:]]
        unknown = [ref for ref in REFERENCE.findall(stage.get('load_from') or '') if ref not in names]
        if later or unknown:
            raise StageError(
                f'stage {names[index]!r} refers to {{{(later + unknown)[0]}}}, expected an earlier stage: '
                f'{", ".join(names[:index]) or "there is none"}'
            )
    return names


def stage_config(cfg: Config, name: str, options: dict | None = None) -> Config:
    """Config of one stage: the rest of ``cfg``, the stage's values merged over it, ``options`` merged over both.

    References to earlier stages are left as they are, see :func:`resolve_references`.

    Args:
        cfg: The whole config.
        name: Name of the stage, '' for a config without stages.
        options: Dotted keys and values from the command line, which have the last word.

    Raises:
        StageError: If there is no such stage.
    """
    names = stage_names(cfg)
    if name not in names:
        choices = 'this config has no stages' if names == [''] else f'expected one of {", ".join(names)}'
        raise StageError(f'there is no stage {name!r}: {choices}')
    options = dict(options or {})
    whole = copy.deepcopy(cfg)
    of_stages = {key: options.pop(key) for key in list(options) if key.split('.')[0] == 'stages'}
    whole.merge_from_dict(of_stages)
    stages = whole.pop('stages', None)
    if name:
        stage = copy.deepcopy(stages[names.index(name)])
        stage.pop('name')
        whole.merge_from_dict(stage)
        base = whole.get('experiment_name') or osp.splitext(osp.basename(cfg.filename or 'run'))[0]
        whole.experiment_name = f'{base}_{name}'
        if whole.get('visualizer'):
            whole.visualizer.pop('name', None)  # a named one would be shared between the stages
    whole.merge_from_dict(options)
    return whole


def resolve_references(value, checkpoints: dict[str, str]):
    """Put the path of a stage's checkpoint in place of ``{stage}`` in every string of a nested config."""
    if isinstance(value, str):
        return REFERENCE.sub(lambda match: checkpoints.get(match[1], match[0]), value)
    if isinstance(value, dict):
        for key in value:
            value[key] = resolve_references(value[key], checkpoints)
        return value
    if isinstance(value, (list, tuple)):
        return type(value)(resolve_references(item, checkpoints) for item in value)
    return value


def find_references(value) -> list[str]:
    """Names in braces in the strings of a nested config."""
    if isinstance(value, str):
        return REFERENCE.findall(value)
    if isinstance(value, dict):
        return [ref for item in value.values() for ref in find_references(item)]
    if isinstance(value, (list, tuple)):
        return [ref for item in value for ref in find_references(item)]
    return []
