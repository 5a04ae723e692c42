"""One run of the adaptation benchmark on disk: its stages, what they depend on, and its result."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
from pathlib import Path

from mmengine.config import Config, DictAction

import mmposeda  # noqa: F401  (makes MMPose importable)
from mmposeda.engine.stages import resolve_references, stage_config, stage_names
from mmposeda.engine.training import MARKER, RUNNER_KEYS, UNTRACKED

SETTINGS, SECONDS = 'settings.json', 'seconds.json'


def write_json(path: Path, content) -> None:
    """Write aside, then rename: a file is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + '.tmp')
    aside.write_text(json.dumps(content, indent=2) + '\n')
    os.replace(aside, path)


def read_json(path: Path, default=None):
    """Content of a file, or the default if there is none."""
    return json.loads(path.read_text()) if path.is_file() else default


def canonical(value) -> str:
    """Text of a nested config that does not depend on the order of keys or on tuple against list."""
    if isinstance(value, dict):
        return '{' + ','.join(f'{key!r}:{canonical(value[key])}' for key in sorted(value, key=repr)) + '}'
    if isinstance(value, (list, tuple)):
        return '[' + ','.join(map(canonical, value)) + ']'
    return repr(value)


def digest(text: str) -> str:
    """Short hash."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class Run:
    """A method with a seed.

    Args:
        method: Name of the row.
        config: Its config.
        seed: Merged over the config as ``randomness.seed``.
        folder: Work folder; a stage has its own inside.
        options: ``KEY=VALUE`` merged over the config.

    Attributes:
        stages: Names in order; [''] for a config without stages.
        settings: Stage -> top-level key -> digest of all that decides what the stage computes, earlier stages included.
        fingerprints: Stage -> digest of these.
    """

    def __init__(self, method: str, config: str, seed: int, folder: Path, options: list[str]) -> None:
        self.method, self.config, self.seed, self.folder = method, config, seed, folder
        self.title = f'{method} seed {seed}'
        self.options = [*options, f'randomness.seed={seed}']
        self.result_file = folder / 'result.json'
        cfg = Config.fromfile(config)
        parser = argparse.ArgumentParser()
        parser.add_argument('--options', nargs='+', action=DictAction)
        parsed = parser.parse_args(['--options', *self.options]).options
        self.stages = stage_names(cfg)
        self.settings, self.fingerprints = {}, {}
        for stage in self.stages:
            resolved = stage_config(cfg, stage, parsed)._cfg_dict.to_dict()
            resolve_references(resolved, {name: f'<{mark}>' for name, mark in self.fingerprints.items()})
            tracked = (RUNNER_KEYS - UNTRACKED | {'load_from'}) & set(resolved)
            self.settings[stage] = {key: digest(canonical(resolved[key])) for key in sorted(tracked)}
            self.fingerprints[stage] = digest(canonical([stage, self.settings[stage]]))

    def stage_folder(self, stage: str) -> Path:
        """Where a stage is trained, or has been copied to."""
        return self.folder / stage

    def check(self) -> None:
        """Refuse to go on in folders that were begun with other settings.

        Raises:
            SystemExit: Names the folder and the keys of the config that differ.
        """
        for stage in self.stages:
            folder, now = self.stage_folder(stage), self.settings[stage]
            before = read_json(folder / SETTINGS, now)
            changed = [key for key in sorted({*now, *before}) if now.get(key) != before.get(key)]
            if changed:
                raise SystemExit(
                    f'{folder} was begun with other values of {", ".join(changed)} than {self.config} has now: delete '
                    f'{self.folder}, or take another --work-dir'
                )

    def note_settings(self, stage: str) -> None:
        """Record what a stage is begun with."""
        write_json(self.stage_folder(stage) / SETTINGS, self.settings[stage])

    def note_end(self, stage: str) -> None:
        """Record the end of a config without stages, for which tools/train.py keeps no record."""
        if not stage:
            checkpoint = Path((self.folder / 'last_checkpoint').read_text().strip()).name
            write_json(self.folder / MARKER, dict(checkpoint=checkpoint))

    def finished(self, stage: str) -> bool:
        """Whether the stage was trained to its end and its checkpoint is there."""
        if stage not in self.stages:
            return False
        marker = read_json(self.stage_folder(stage) / MARKER)
        return marker is not None and (self.stage_folder(stage) / (marker['checkpoint'] or '?')).is_file()

    def adopt(self, stage: str, other: Run) -> None:
        """Copy a stage that another run has finished: the last checkpoint, logs and records."""
        source, target = other.stage_folder(stage), self.stage_folder(stage)
        keep = read_json(source / MARKER)['checkpoint']
        aside = target.with_name(f'.{stage}.copy')
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(
            source, aside, ignore=lambda folder, names: [n for n in names if n.endswith('.pth') and n != keep]
        )
        shutil.rmtree(target, ignore_errors=True)  # begun, but not finished
        os.replace(aside, target)

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint of the last stage."""
        folder = self.stage_folder(self.stages[-1])
        return folder / read_json(folder / MARKER)['checkpoint']

    def train_command(self, stage: str) -> list[str]:
        """Arguments for training or resuming a stage."""
        only = ['--stage', stage] if stage else []
        return [
            'train.py', self.config, '--work-dir', str(self.folder), '--resume', *only, '--cfg-options', *self.options
        ]  # fmt: skip

    def test_command(self, scores: str | None = None) -> list[str]:
        """Arguments for evaluating the last checkpoint, by difficulty too where the test set's scores are given."""
        out = ['--out', str(self.folder / 'metrics.json'), '--work-dir', str(self.folder / 'test')]
        binned = ['--scores', scores] if scores else []
        return ['test.py', self.config, str(self.checkpoint), *out, *binned, '--cfg-options', *self.options]

    def has_result(self, binned: bool = False) -> bool:
        """Whether the run was evaluated, with numbers by difficulty bin if asked for."""
        metrics = (read_json(self.result_file) or {}).get('metrics')
        return metrics is not None and (not binned or any(key.endswith('_bin_00') for key in metrics))

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Add to the wall-clock time of a stage."""
        path = self.stage_folder(stage) / SECONDS
        write_json(path, read_json(path, 0.0) + seconds)

    def store(self, machine: dict) -> None:
        """Write the result from what tools/test.py has left.

        Raises:
            RuntimeError: The checkpoint is not of the last iteration.
        """
        cfg = stage_config(Config.fromfile(self.config), self.stages[-1])
        number = re.fullmatch(r'iter_(\d+)\.pth', self.checkpoint.name)
        hook = cfg.get('default_hooks', {}).get('checkpoint', {})
        if not hook.get('save_last', True):
            raise RuntimeError(f'{self.config} keeps no checkpoint of the last iteration: save_last=False')
        content = dict(
            method=self.method,
            seed=self.seed,
            config=self.config,
            checkpoint=self.checkpoint.name,
            iterations=int(number[1]) if number else None,
            minutes={stage: read_json(self.stage_folder(stage) / SECONDS, 0.0) / 60 for stage in self.stages},
            machine=machine,
            fingerprint=self.fingerprints[self.stages[-1]],
            metrics=read_json(self.folder / 'metrics.json'),
        )
        write_json(self.result_file, content)
