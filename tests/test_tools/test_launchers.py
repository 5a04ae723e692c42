"""Each launcher starts two processes that train as one run; a script stands in for srun and mpirun."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
# What srun and mpirun do for one machine: as many copies of the command, each told its number.
SCHEDULER = """#!{python}
import os, subprocess, sys

words, count, flags = sys.argv[1:], 2, ('-p', '-np', '-x')
while words[0].startswith('-'):
    flag, _, value = words.pop(0).partition('=')
    if flag in flags:
        value = words.pop(0)
    if flag in ('--ntasks', '-np'):
        count = int(value)
names = {names}
told = [dict(zip(names, map(str, (rank, count, rank)))) for rank in range(count)]
ranks = [subprocess.Popen(words, env=dict(os.environ, **more)) for more in told]
sys.exit(max(process.wait() for process in ranks))
"""
NAMES = dict(
    srun=('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    mpirun=('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
)


@pytest.fixture
def environment(tmp_path, free_port):
    folder = tmp_path / 'bin'
    folder.mkdir()
    for name, variables in NAMES.items():
        (folder / name).write_text(SCHEDULER.format(python=sys.executable, names=variables))
    (folder / 'scontrol').write_text('#!/bin/sh\necho 127.0.0.1\necho another\n')
    for path in folder.iterdir():
        path.chmod(0o755)
    python = dict(PYTHON=sys.executable, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1')
    port = dict(PORT=str(free_port), MASTER_PORT=str(free_port))
    slurm = dict(GPUS='2', GPUS_PER_NODE='2', SLURM_NODELIST='node[1-2]')
    return dict(os.environ, PATH=f'{folder}:{os.environ["PATH"]}', **python, **port, **slurm)


def commands(config, work_dir):
    return dict(
        pytorch=['bash', 'dist_train.sh', config, '2', '--work-dir', work_dir],
        slurm=['bash', 'slurm_train.sh', 'part', 'job', config, work_dir],
        mpi=['mpirun', '-np', '2', sys.executable, 'train.py', config, '--launcher', 'mpi', '--work-dir', work_dir],
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason='this is the case without a GPU')
@pytest.mark.parametrize('launcher', ['pytorch', 'slurm', 'mpi'])
def test_two_cpu_processes(launcher, toy, tmp_path, environment):
    # the toy network ends early in a backbone that goes on
    stages = "stages = [dict(name='pretrain'), dict(name='adapt', load_from='{pretrain}', train_cfg=dict(max_iters=2))]"
    config, work_dir = toy(f'{stages}\nfind_unused_parameters = True'), tmp_path / 'run'
    command = commands(str(config), str(work_dir))[launcher]
    result = subprocess.run(command, env=environment, cwd=ROOT / 'tools', capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
    assert (work_dir / 'adapt' / 'finished.json').is_file()
    log = ''.join(path.read_text() for path in sorted((work_dir / 'adapt').glob('*/*.log')))
    assert 'Distributed training: True' in log and 'GPU number: 2' in log and 'Training finished' in log
    assert f'launcher = {launcher!r}' in log


@pytest.mark.skipif(torch.cuda.is_available(), reason='this is the case without a GPU')
def test_tests_of_two_processes_score_as_those_of_one(toy, tool, tmp_path, environment):
    config, one, two = str(toy()), tmp_path / 'one.json', tmp_path / 'two.json'
    tool('train').main([config, '--work-dir', str(tmp_path / 'run'), '--no-validate'])
    checkpoint, more = str(tmp_path / 'run' / 'iter_4.pth'), ['--work-dir', str(tmp_path / 'test'), '--out']
    tool('test').main([config, checkpoint, *more, str(one)])
    for command in (['dist_test.sh', config, checkpoint, '2'], ['slurm_test.sh', 'part', 'job', config, checkpoint]):
        two.unlink(missing_ok=True)
        command = ['bash', *command, *more, str(two)]
        subprocess.run(command, env=environment, cwd=ROOT / 'tools', capture_output=True, check=True, timeout=300)
        assert two.read_text() == one.read_text()
