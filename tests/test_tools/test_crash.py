"""Runs that are killed, told to end, or run out of disk."""

import os
import random
import signal
import time

import pytest
import torch
from processes import start, wait_for
from test_resume import last, same_run
from toy_adaptation import UDAPE

from mmposeda.engine import checkpoints
from mmposeda.engine.checkpoints import CheckpointBackend, CheckpointError, latest

pytestmark = pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs POSIX processes')
EVERY = """
_base_ = ['{base}']
model = dict(estimator=dict(backbone=dict(ballast=2000000)))
default_hooks = dict(checkpoint=dict(interval=1))
"""


@pytest.mark.parametrize('kills', [3, pytest.param(50, marks=pytest.mark.slow)])
def test_kill_at_any_moment_leaves_a_checkpoint_to_go_on_from(kills, toy_adaptation, tool, tmp_path):
    total, folder = 10 * kills, tmp_path / 'killed'
    config = tmp_path / 'every.py'
    config.write_text(EVERY.format(base=toy_adaptation(UDAPE)))
    flags = ['--no-validate', '--cfg-options', f'train_cfg.max_iters={total}', 'log_level=ERROR']
    rng, reached, pointer = random.Random(0), 0, folder / 'last_checkpoint'
    for _ in range(kills):
        before = pointer.stat().st_mtime_ns if pointer.exists() else 0
        pid = start(lambda: tool('train').main([str(config), '--work-dir', str(folder), '--resume', *flags]))
        wait_for(lambda old=before: pointer.exists() and pointer.stat().st_mtime_ns != old)
        time.sleep(rng.uniform(0, 0.1))
        os.kill(pid, signal.SIGKILL)
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL
        found = latest(str(folder))
        iteration = torch.load(found, map_location='cpu', weights_only=True)['meta']['iter']
        assert iteration > reached, 'what was saved is not lost'
        reached = iteration
    tool('train').main([str(config), '--work-dir', str(folder), '--resume', *flags])
    tool('train').main([str(config), '--work-dir', str(tmp_path / 'whole'), *flags])
    same_run(last(tmp_path / 'whole'), last(folder))
    assert not list(folder.glob('*.part'))
    assert len(list(folder.glob('*.pth'))) == 2, 'max_keep_ckpts holds over all interruptions'


def test_what_a_kill_between_save_and_removal_left_goes(toy_adaptation, tool, tmp_path):
    config, folder = str(toy_adaptation(UDAPE)), tmp_path / 'run'
    flags = ['--work-dir', str(folder), '--no-validate', '--cfg-options', 'default_hooks.checkpoint.interval=1']
    tool('train').main([config, *flags, 'train_cfg.max_iters=4'])
    for name in ('iter_1.pth', 'iter_2.pth', 'iter_9.pth', 'iter_1_mine.pth'):
        (folder / name).write_bytes((folder / 'iter_3.pth').read_bytes())
    (folder / 'iter_0.pth.sha256').write_text('of a file that has gone')
    for name in ('iter_2.pth.part', 'iter_2.pth.sha256.part'):
        (folder / name).write_text('the first half')
    tool('train').main([config, '--resume', str(folder / 'iter_4.pth'), *flags, 'train_cfg.max_iters=5'])
    left = sorted(path.name for path in folder.glob('*.pth*'))
    kept = ['iter_1_mine.pth', 'iter_4.pth', 'iter_4.pth.sha256', 'iter_5.pth', 'iter_5.pth.sha256', 'iter_9.pth']
    assert left == kept, 'those of the user, or after the one that was resumed, stay'


@pytest.mark.parametrize('workers', [0, 2])
def test_sigterm_saves_and_ends_with_a_state_to_go_on_from(workers, toy_adaptation, tool, tmp_path):
    folder = tmp_path / 'told'
    config = str(toy_adaptation(UDAPE, workers=workers))
    flags = ['--no-validate', '--cfg-options', 'train_cfg.max_iters=40', 'default_hooks.checkpoint.interval=1000']
    pid = start(lambda: (os.setpgid(0, 0), tool('train').main([config, '--work-dir', str(folder), *flags])))
    wait_for(lambda: any('Iter(train) [ 5/40]' in log.read_text() for log in folder.glob('*/*.log')))
    os.killpg(pid, signal.SIGTERM)  # as a scheduler does: the data workers get it too
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 143
    log = ''.join(path.read_text() for path in folder.glob('*/*.log'))
    assert 'SIGTERM: state saved to' in log
    assert 5 <= last(folder)['meta']['iter'] < 40
    tool('train').main([config, '--work-dir', str(folder), '--resume', *flags])
    tool('train').main([config, '--work-dir', str(tmp_path / 'whole'), *flags])
    same_run(last(tmp_path / 'whole'), last(folder))


class TestFullDisk:
    @pytest.fixture
    def fail_at(self, monkeypatch):
        """Let the saves of these iterations find a full disk."""

        def install(*names):
            put = CheckpointBackend.put

            def full(self, obj, path):
                if os.path.basename(path) not in names:
                    return put(self, obj, path)
                with monkeypatch.context() as disk:
                    disk.setattr(checkpoints.os, 'fsync', _no_space)
                    return put(self, obj, path)

            monkeypatch.setattr(CheckpointBackend, 'put', full)

        return install

    def test_the_run_goes_on_and_keeps_the_old_ones(self, toy_adaptation, tool, tmp_path, fail_at):
        fail_at('iter_3.pth')
        config, folder = str(toy_adaptation(UDAPE)), tmp_path / 'run'
        flags = ['--no-validate', '--cfg-options', 'default_hooks.checkpoint.interval=1', 'train_cfg.max_iters=4']
        tool('train').main([config, '--work-dir', str(folder), *flags])
        assert sorted(path.name for path in folder.glob('*.pth')) == ['iter_2.pth', 'iter_4.pth']
        log = ''.join(path.read_text() for path in folder.glob('*/*.log'))
        assert 'iter_3.pth could not be written: No space left' in log

    def test_at_the_end_it_is_an_error(self, toy_adaptation, tool, tmp_path, fail_at):
        fail_at('iter_4.pth')
        config, folder = str(toy_adaptation(UDAPE)), tmp_path / 'run'
        with pytest.raises(SystemExit, match=r'iter_4\.pth could not be written'):
            tool('train').main([config, '--work-dir', str(folder), '--no-validate'])
        assert (folder / 'last_checkpoint').read_text().endswith('iter_2.pth')
        assert latest(str(folder)).endswith('iter_2.pth')


def _no_space(descriptor):
    raise OSError(28, 'No space left on device')


class TestDamagedFiles:
    def test_resume_falls_back(self, toy_adaptation, tool, tmp_path):
        config, folder = str(toy_adaptation(UDAPE)), tmp_path / 'run'
        tool('train').main([config, '--work-dir', str(folder), '--no-validate'])
        path = folder / 'iter_4.pth'
        path.write_bytes(path.read_bytes()[:-50])
        tool('train').main([config, '--work-dir', str(folder), '--no-validate', '--resume'])
        logs = [log.read_text() for log in sorted(folder.glob('*/*.log'))]
        assert 'resumed epoch: 0, iter: 2' in ''.join(logs)
        assert last(folder)['meta']['iter'] == 4

    def test_resume_in_the_config_falls_back_too(self, toy_adaptation, tool, tmp_path):
        config, folder = str(toy_adaptation(UDAPE)), tmp_path / 'run'
        flags = ['--work-dir', str(folder), '--no-validate', '--cfg-options', 'resume=True']
        tool('train').main([config, *flags])  # nothing to resume yet
        path = folder / 'iter_4.pth'
        path.write_bytes(path.read_bytes()[:-50])
        tool('train').main([config, *flags])
        assert 'resumed epoch: 0, iter: 2' in ''.join(log.read_text() for log in folder.glob('*/*.log'))

    @pytest.mark.parametrize('how', ['load_from', 'resume'])
    def test_a_named_one_is_an_error(self, how, toy_adaptation, tool, tmp_path):
        config, bad = str(toy_adaptation(UDAPE)), tmp_path / 'bad.pth'
        bad.write_bytes(b'')
        flags = ['--resume', str(bad)] if how == 'resume' else ['--cfg-options', f'load_from={bad}']
        with pytest.raises(SystemExit, match=r'bad\.pth is empty'):
            tool('train').main([config, '--work-dir', str(tmp_path / 'run'), *flags])

    def test_weights_of_a_finished_stage_are_checked(self, toy_adaptation, tool, tmp_path):
        stages = "stages = [dict(name='pretrain'), dict(name='adapt', load_from='{pretrain}')]\n"
        config, folder = str(toy_adaptation(UDAPE + stages)), tmp_path / 'run'
        tool('train').main([config, '--work-dir', str(folder), '--no-validate', '--stage', 'pretrain'])
        path = folder / 'pretrain' / 'iter_4.pth'
        path.write_bytes(path.read_bytes()[:-50])
        with pytest.raises(SystemExit, match=r'pretrain/iter_4\.pth is damaged'):
            tool('train').main([config, '--work-dir', str(folder), '--no-validate'])


def test_selection_by_labels_is_said(toy_adaptation, tool, tmp_path, capsys):
    option = ['--cfg-options', 'default_hooks.checkpoint.save_best=PCK', 'default_hooks.checkpoint.rule=greater']
    tool('train').main([str(toy_adaptation(UDAPE)), '--work-dir', str(tmp_path / 'run'), *option])
    table = capsys.readouterr().out.rpartition('Training finished')[2]
    assert 'best_PCK_iter_4.pth chosen by the labels of the validation set' in table
    log = ''.join(path.read_text() for path in (tmp_path / 'run').glob('*/*.log'))
    assert 'Model selection (save_best=[' in log
    with pytest.raises(CheckpointError, match='holds weights'):
        checkpoints.check(str(tmp_path / 'run' / 'best_PCK_iter_4.pth'), resume=True)
