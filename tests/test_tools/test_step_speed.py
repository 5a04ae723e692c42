"""The step benchmark at a tiny size, beside the authors' code where a clone is given."""

import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
TINY = ['--size', '32', '--batch', '2', '--repeats', '1', '--device', 'cpu']


@pytest.fixture(autouse=True)
def path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools' / 'benchmarks'))


@pytest.fixture
def speed(path):
    import step_speed

    return step_speed


def clone(method):
    """The folder that the environment names; the test is skipped without."""
    variable = f'MMPOSEDA_REFERENCE_{method.upper()}'
    if not os.environ.get(variable):
        pytest.skip(f"no clone of the authors' code; set {variable}")
    return os.environ[variable]


def ratios(output):
    return {name: float(value) for name, value in re.findall(r'^(\w+ / \w+) +([\d.]+)$', output, re.MULTILINE)}


@pytest.mark.parametrize('flags', [['--method', 'regda'], ['--style', 'statistics']], ids=['regda', 'udape'])
def test_prints_the_step_against_the_networks(flags, speed, capsys):
    speed.main([*flags, *TINY])
    output = capsys.readouterr().out
    assert ratios(output).keys() == {'step / bare'} and ratios(output)['step / bare'] > 0.5
    assert re.search(r'^(udape|regda), ResNet-18, 32 px, 2 \+ 2(, style statistics)?, cpu, wall time$', output, re.M)


@pytest.mark.parametrize(
    'method, line',
    [('causal', 'prediction, adapter / estimator'), ('relation', 'all of the estimator adapting / this step')],
    ids=['causal', 'relation'],
)
def test_prints_what_a_method_takes_and_its_own_ratio(method, line, speed, capsys):
    speed.main(['--method', method, *TINY])
    output = capsys.readouterr().out
    assert re.search(rf'^{method}, ResNet-18, 32 px, 2 \+ 2, cpu, wall time$', output, re.M)
    found = ratios(output)
    assert found.keys() == {'step / bare'} and found['step / bare'] > 0.5
    assert re.search(rf'^{line} [\d.]+ \(', output, re.M)


def test_prints_what_the_reconstruction_takes(speed, capsys, monkeypatch):
    """Without another process for the peak of the memory, which here is that of the tests."""
    import step_reconstruction

    class Pool:
        def __enter__(self):
            return self

        def __exit__(self, *args):
            pass

        def apply(self, function, arguments):
            return function(*arguments)

    here = SimpleNamespace(Pool=lambda count: Pool())
    monkeypatch.setattr(step_reconstruction.multiprocessing, 'get_context', lambda kind: here)
    threads = torch.get_num_threads()
    speed.main(['--method', 'reconstruction', '--width', '2', '--memory-batch', '1', '--memory-size', '32', *TINY])
    torch.set_num_threads(threads)
    output = capsys.readouterr().out
    assert ratios(output).keys() == {'step / bare'} and ratios(output)['step / bare'] > 0.5
    assert (
        len(re.findall(r'^warp of 22 regions, (8x8|64x64), batch 2: .* repeated / stacked [\d.]+$', output, re.M)) == 2
    )
    assert re.search(r'^peak memory of a step, 32 px, batch 1: (\d+ MiB, beside \d+ MiB|not measured)', output, re.M)


@pytest.mark.parametrize('method', ['regda', 'udape'])
def test_runs_the_authors_step_and_leaves_no_trace_of_it(method, speed, capsys):
    folder, finders, search = clone(method), list(sys.meta_path), list(sys.path)
    speed.main(['--method', method, '--reference', folder, *TINY])
    output = capsys.readouterr().out
    assert ratios(output).keys() == {'step / bare', 'reference / step'}
    assert sys.meta_path == finders and sys.path == search and 'int' not in vars(np)
    assert not {'tllib', 'lib', 'torchvision.transforms'} & sys.modules.keys()
    if method == 'regda':
        moved, apart = (float(value) for value in re.findall(r'up to (\S+)\b', output))
        assert apart < 1e-3 * moved, "ours and the authors' are one step"


@pytest.mark.parametrize('method', ['regda', 'udape'])
def test_a_folder_that_is_no_clone_is_refused_by_name(method, speed, tmp_path):
    with pytest.raises(FileNotFoundError, match=f'is no clone of {speed.METHODS[method]}'):
        speed.main(['--method', method, '--reference', str(tmp_path), *TINY])


@pytest.mark.parametrize(
    'flags, message',
    [
        (['--method', 'regda', '--style', 'statistics'], 'regda has no style transfer'),
        (['--clock', 'processor', '--device', 'cuda'], 'does not see what a GPU does'),
        (['--method', 'reconstruction', '--reference', 'clone'], 'no public code of the authors'),
    ],
    ids=['style', 'clock', 'reference'],
)
def test_flags_that_do_not_fit_are_refused(flags, message, speed, capsys):
    with pytest.raises(SystemExit):
        speed.main(flags)
    assert message in capsys.readouterr().err
