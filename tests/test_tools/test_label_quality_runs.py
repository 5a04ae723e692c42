"""PseudoLabelQualityHook in real runs: it changes nothing, resumes exactly, and two processes say what one does."""

import json
import os
import shutil

import pytest
import torch
from processes import exit_codes, start_all
from test_processes import PLAIN, STILL
from test_resume import equal, last, same_run
from toy_adaptation import RECONSTRUCTION, UDAPE

from mmposeda.engine.label_quality import FILE_NAME

BASE = """
_base_ = ['{base}']
train_cfg = dict(max_iters=6, val_interval=6)
default_hooks = dict(checkpoint=dict(interval=3, max_keep_ckpts=-1))
"""
HOOK = """
labelled = dict(pipeline=_base_.val_pipeline, **{**_base_.dataset, 'data_root': '{folder}/target'})
default_hooks['quality'] = dict(
    type='PseudoLabelQualityHook', dataset=labelled, interval=2, thr=0.3, batch_size=4, num_workers={workers})
"""
METHODS = pytest.mark.parametrize('method', [UDAPE, RECONSTRUCTION], ids=['UDAPE', 'GeometricReconstruction'])
#: What random numbers a process draws for itself is switched off, and weights stand still: the same labels in all.
STANDING = f"""
model = dict(type='UDAPE', view={STILL}, occlusion_probability=0, teacher_bn='ema', {PLAIN})
custom_hooks = [dict(type='MeanTeacherHook')]
optim_wrapper = dict(optimizer=dict(lr=0.0))
"""


@pytest.fixture
def write(toy_adaptation, tmp_path):
    """Return a function that writes configs of an adaptation with and without the hook."""

    def make(method, workers=0):
        base, paths = toy_adaptation(method), []
        for name, hook in (('with', HOOK), ('without', '')):
            hook = hook.replace('{folder}', str(tmp_path)).replace('{workers}', str(workers))
            paths.append(tmp_path / f'{name}.py')
            paths[-1].write_text(BASE.format(base=base) + hook)
        return paths

    return make


def rows(folder):
    return [json.loads(line) for line in (folder / FILE_NAME).read_text().splitlines()]


def run(tool, config, folder, *flags):
    tool('train').main([str(config), '--work-dir', str(folder), '--no-validate', *flags])
    return last(folder)


@METHODS
@pytest.mark.parametrize('workers', [0, 1])
def test_a_run_is_bitwise_that_without_the_hook(method, workers, write, tool, tmp_path):
    measured, plain = (run(tool, config, tmp_path / config.stem) for config in write(method, workers))
    same_run(measured, plain)
    assert not (tmp_path / 'without' / FILE_NAME).exists() and 'pseudo_label_quality' not in plain
    found = rows(tmp_path / 'with')
    assert [row['iter'] for row in found] == [0, 2, 4, 6]
    assert ('overlap' in found[0]) == (method is RECONSTRUCTION)
    scalars = measured['message_hub']['log_scalars']
    for name in set(found[-1]) - {'iter'}:
        assert scalars[f'quality/{name}'].data[0][-1] == found[-1][name]
    log = ''.join(path.read_text() for path in (tmp_path / 'with').glob('*/*.log'))
    assert f'Pseudo-labels after 4 iterations: right {found[2]["right"]:.3f}, kept' in log


@METHODS
def test_a_resumed_run_writes_the_same_numbers_once(method, write, tool, tmp_path):
    config, _ = write(method)
    whole = run(tool, config, tmp_path / 'run')
    before = rows(tmp_path / 'run')
    # killed after the checkpoint at 3 and the measurement at 4
    (tmp_path / 'late').mkdir()
    shutil.copy(tmp_path / 'run' / 'iter_3.pth', tmp_path / 'late' / 'iter_3.pth')
    (tmp_path / 'late' / 'last_checkpoint').write_text(str(tmp_path / 'late' / 'iter_3.pth'))
    (tmp_path / 'late' / FILE_NAME).write_text(''.join(f'{json.dumps(row)}\n' for row in before[:3]))
    late = run(tool, config, tmp_path / 'late', '--resume')
    same_run(whole, late)
    equal(whole['pseudo_label_quality'], late['pseudo_label_quality'])
    assert rows(tmp_path / 'late') == before
    assert whole['pseudo_label_quality']['ever'].any(), 'some label was right, so equality says something'

    again = ['--resume', str(tmp_path / 'run' / 'iter_3.pth'), '--cfg-options', 'default_hooks.quality.thr=0.1']
    with pytest.raises(ValueError, match='do not fit: thr was 0.3 and is 0.1. Resume with the settings of the start'):
        run(tool, config, tmp_path / 'late', *again)


def test_a_run_that_starts_from_weights_starts_to_count(write, tool, tmp_path):
    config, _ = write(UDAPE)
    run(tool, config, tmp_path / 'first')
    from_weights = ['--cfg-options', f'load_from={tmp_path / "first" / "iter_6.pth"}', 'train_cfg.max_iters=2']
    run(tool, config, tmp_path / 'second', *from_weights)
    (start, _), (*_, end) = rows(tmp_path / 'second'), rows(tmp_path / 'first')
    assert start['iter'] == 0 and 'repeat' not in start and start['ever_correct'] <= end['ever_correct']


def test_a_resumed_run_without_measurements_says_so(write, tool, tmp_path):
    config, plain = write(UDAPE)
    run(tool, plain, tmp_path / 'run')
    run(tool, config, tmp_path / 'run', '--resume', str(tmp_path / 'run' / 'iter_3.pth'))
    assert [row['iter'] for row in rows(tmp_path / 'run')] == [4, 6]
    log = ''.join(path.read_text() for path in (tmp_path / 'run').glob('*/*.log'))
    assert 'the checkpoint holds no measurements' in log


@pytest.mark.skipif(
    not hasattr(os, 'fork') or torch.cuda.is_available(), reason='needs POSIX processes that compute on the CPU'
)
def test_two_processes_say_what_one_does(write, tool, tmp_path, free_port):
    config, _ = write(STANDING)
    run(tool, config, tmp_path / 'one')

    def main():
        torch.set_num_threads(1)
        run(tool, config, tmp_path / 'two', '--launcher', 'pytorch')

    assert exit_codes(start_all(main, free_port)) == [0, 0]
    one, two = rows(tmp_path / 'one'), rows(tmp_path / 'two')
    assert one == two and len(two) == 4
    assert 0 < one[0]['kept'] < 1 and 0 < one[0]['right'] < 1
    states = [last(tmp_path / name)['pseudo_label_quality'] for name in ('one', 'two')]
    equal(*states)
