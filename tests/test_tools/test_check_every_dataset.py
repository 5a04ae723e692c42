"""The command finds nothing in a miniature of every data set, and names a fault that is planted in it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from dataset_cases import CASES
from fault_runs import pipeline, write_config
from mmengine.config import Config

import mmposeda.datasets
from mmposeda.datasets import LiftingDataset, MocapMotionDataset

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


def config(name: str) -> dict:
    """A run that trains on the first data set of a case, and validates and tests on the others."""
    case = CASES[name]
    base = Config.fromfile(CONFIGS / '_base_' / 'datasets' / f'{case.base}.py') if case.base else {}
    loaders = {}
    for part, loader in zip(case.parts, ('train', 'val', 'test')):
        dataset = dict(base[part].to_dict() if isinstance(part, str) else part)
        kind = getattr(mmposeda.datasets, dataset['type'])
        if not issubclass(kind, (LiftingDataset, MocapMotionDataset)):
            dataset['pipeline'] = pipeline(loader == 'train' and not dataset['type'].startswith('Unlabeled'))
        loaders[f'{loader}_dataloader'] = dict(batch_size=1, dataset=dataset)
    return dict(default_scope='mmposeda', **loaders)


@pytest.fixture(autouse=True)
def hdf5(monkeypatch):
    """A stand-in for h5py, which need not be there."""
    h5py = ModuleType('h5py')
    h5py.File = lambda path, mode: np.load(path)
    monkeypatch.setitem(sys.modules, 'h5py', h5py)


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    """Write a miniature, once; returns the folder that holds ``data``."""
    folders = {}

    def get(writer):
        if writer not in folders:
            folders[writer] = tmp_path_factory.mktemp('miniature')
            if writer is not None:
                writer(folders[writer] / 'data')
        return folders[writer]

    return get


@pytest.fixture
def check(tool, written, tmp_path, monkeypatch, capsys):
    """Check a config where a miniature lies; returns the findings and the last line."""
    monkeypatch.chdir(tmp_path)

    def checked(path: str):
        try:
            tool('check_dataset').main([path, '--samples', '1', '--out', str(tmp_path / 'data.jpg')])
            end = None
        except SystemExit as stop:
            end = str(stop)
        lines = [line for line in capsys.readouterr().out.splitlines() if ' - mmengine - ' not in line]
        return [line.strip() for line in lines if line.startswith('    ')], lines[-1] if end is None else end

    return checked


@pytest.mark.parametrize('name', CASES)
def test_a_miniature_without_a_fault_passes_and_a_fault_in_it_is_named(name, check, written, tmp_path):
    case = CASES[name]
    shutil.copytree(written(case.write), tmp_path, dirs_exist_ok=True)
    path = write_config(config(name))
    findings, end = check(path)
    assert findings == [] and end == 'config.py: 0 errors and 0 warnings'
    if case.plant is not None:
        file = f'data/{case.file}'
        case.plant(file)
        findings, end = check(path)
        says = [text.replace('{}', file) for text in case.says]
        assert any(line.startswith(case.level) and all(text in line for text in says) for line in findings), findings
        assert ('0 errors' not in end) == (case.level == 'error')
