"""The command finds nothing in a miniature of every data set, and names a fault that is planted in it."""

from __future__ import annotations

import copy
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import dataset_miniatures as write
import numpy as np
import pytest
from dataset_cases import CASES
from fault_runs import pipeline, write_config
from mmengine.config import Config
from torch.utils.data import Dataset

import mmposeda.datasets
from mmposeda.datasets import LiftingDataset, MocapMotionDataset
from mmposeda.engine.run_data import innermost

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'

#: configs of published tasks, by the start of their path: their miniatures, and flags of the command
TASKS = {
    'causal_intervention/rhd2stb/sd-td': ([write.rhd, write.stb], []),
    'causal_intervention/rhd2freihand/sd-td': ([write.rhd, write.freihand], []),
    'causal_intervention/rhd2panoptic/sd-td': ([write.rhd, write.panoptic], []),
    'causal_intervention/surreal23dpw/sd-td': ([write.surreal, write.three_dpw], []),
    'causal_intervention/surreal23dhp/sd-td': ([write.surreal, write.mpi_inf_3dhp], []),
    'causal_intervention/surreal2humaneva/sd-td': ([write.surreal, write.humaneva], []),
    'causal_intervention/surreal2h36m/sd-td': ([write.surreal, write.h36m], []),
    'geometric_reconstruction/rhd2mvhand/geometric': ([write.rhd, write.mvhand], []),
    'poseaug/h36m2cross/poseaug_gcn_1xb1024-50e_h36m-gt': (
        [write.h36m_video_pose, write.mpi_inf_3dhp, write.three_dpw],
        [],
    ),
    # its other stages learn of motion capture in ASF files, and of videos with boxes
    'relation_distillation/h36m23dhp/all': ([write.h36m, write.mpi_inf_3dhp], ['--stage', 'source']),
    'udape/rhd2h3d/udape_res101': ([write.rhd, write.h3d], []),
    'udape/surreal2h36m/udape_res101': ([write.surreal, write.h36m], []),
    'udape/surreal2lsp/udape_res101': ([write.surreal, write.lsp], []),
}
#: what a published task on miniatures lacks, by the reason why it does
EXPECTED = {
    'miniatures are smaller than batches': r'^warning: quota \d+ of train \d is larger than its \d+ samples',
    'weights are no part of them': r'^error: model\.\S+: checkpoint data/\S+\.pth does not exist',
    'adapted on all photos of LSP, and tested on them': r'^warning: train 1 shares \d+ of its \d+ .* val 0: data/lsp/',
}


def kinds(cfg: Any) -> Iterator[str]:
    """Types in a config."""
    if isinstance(cfg, dict):
        yield str(cfg.get('type', ''))
    if isinstance(cfg, (dict, list, tuple)):
        for value in cfg.values() if isinstance(cfg, dict) else cfg:
            yield from kinds(value)


def config(name: str) -> dict:
    """A run that trains on the first data set of a case, and validates and tests on the others."""
    case = CASES[name]
    base = Config.fromfile(CONFIGS / '_base_' / 'datasets' / f'{case.base}.py') if case.base else {}
    loaders = {}
    for part, loader in zip(case.parts, ('train', 'val', 'test')):
        dataset = copy.deepcopy(base[part].to_dict() if isinstance(part, str) else part)
        kind = getattr(mmposeda.datasets, dataset['type'])
        if not issubclass(kind, (LiftingDataset, MocapMotionDataset)):
            plain = dataset['type'].startswith('Unlabeled') or 'Pair' in dataset['type']
            innermost(dataset)['pipeline'] = pipeline(loader == 'train' and not plain)
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

    def checked(path: str, *flags: str):
        try:
            tool('check_dataset').main([path, '--samples', '1', '--out', str(tmp_path / 'data.jpg'), *flags])
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


@pytest.mark.parametrize('name', TASKS)
def test_a_published_task_on_miniatures_lacks_nothing_but_size_and_weights(name, check, tmp_path):
    writers, flags = TASKS[name]
    for writer in writers:
        writer(tmp_path / 'data')
    findings, _ = check(str(next(CONFIGS.glob(f'{name}*.py'))), *flags)
    assert [line for line in findings if not any(re.search(text, line) for text in EXPECTED.values())] == []


def test_every_data_set_is_among_them():
    cases = [config(name) for name in CASES]
    tasks = [Config.fromfile(next(CONFIGS.glob(f'{name}*.py'))).to_dict() for name in TASKS]
    known = {*kinds(cases), *kinds(tasks), 'LiftingDataset'}  # which is the base of some
    every = {name for name in mmposeda.datasets.__all__ if isinstance(getattr(mmposeda.datasets, name), type)}
    assert {name for name in every if issubclass(getattr(mmposeda.datasets, name), Dataset)} <= known
