"""PoseAug in two processes, in both of its loops."""

import os
import re
import signal
import time

import pytest
import torch
from poseaug_runs import EVERY, LOOPS, PARTS, as_if_killed, log_of, moments, same_run
from processes import start_all
from test_resume import equal, last
from toy_lifting import STILL

pytestmark = pytest.mark.skipif(
    not hasattr(os, 'fork') or torch.cuda.is_available(), reason='needs POSIX processes that compute on the CPU'
)
# what each process has at the end, beside the checkpoint of the first
SPY = """
import os

import torch
from mmengine.hooks import Hook
from mmposeda.registry import HOOKS


@HOOKS.register_module(force=True)
class Spy(Hook):
    def after_train(self, runner):
        model = getattr(runner.model, 'module', runner.model)
        weights = {name: p.detach() for name, p in model.named_parameters()}
        torch.save(dict(weights=weights, steps=runner.iter), os.path.join(runner.work_dir, f'rank{runner.rank}.pt'))
"""
SPIED = """
custom_imports = dict(imports=['toy_lifter', 'spy'])
custom_hooks = [*_base_.custom_hooks, dict(type='Spy')]
"""


@pytest.fixture
def launch(toy_lifting, tool, tmp_path, free_port):
    """Return a function that runs the toy task in two processes, and gives the run's folder and their exit codes."""

    def run(loop, more='', *flags, name='run', **kwargs):
        (tmp_path / 'spy.py').write_text(SPY)
        config = toy_lifting(LOOPS[loop] + SPIED + more, **kwargs)
        command = [str(config), '--work-dir', str(tmp_path / name), '--launcher', 'pytorch', *flags]
        train = tool('train')  # here, so that the children need not import it

        def main():
            torch.set_num_threads(1)
            train.main(command)

        return tmp_path / name, ends_of(start_all(main, free_port))

    return run


def ends_of(pids, seconds=900):
    """Exit codes of children, which are killed if they wait for each other."""
    deadline, codes = time.time() + seconds, {}
    while len(codes) < len(pids):
        for pid in pids:
            done, status = os.waitpid(pid, os.WNOHANG) if pid not in codes else (0, 0)
            if done:
                codes[pid] = os.waitstatus_to_exitcode(status)
            elif pid not in codes and time.time() > deadline:
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    return [codes[pid] for pid in pids]


@pytest.fixture
def both(launch):
    """Return a function that runs in two processes, and gives the run's folder and what each had at the end."""

    def run(*args, **kwargs):
        folder, codes = launch(*args, **kwargs)
        assert codes == [0, 0], log_of(folder)[-2000:]
        return folder, [torch.load(folder / f'rank{rank}.pt') for rank in (0, 1)]

    return run


@pytest.mark.parametrize('loop', ['joint', 'loop'])
def test_both_end_with_the_same_weights_and_resume_exactly(loop, both, tmp_path):
    whole, ends = both(loop, EVERY)
    equal(*ends)
    assert {name.split('.')[0] for name in ends[0]['weights']} == set(PARTS)
    states = last(whole)['rank_state']
    assert len(states) == 2 and not torch.equal(states[0]['pool3d']['items'], states[1]['pool3d']['items'])
    assert all(value.isfinite().all() for value in last(whole)['state_dict'].values())
    found = moments(whole) if loop == 'loop' else dict(middle='iter_2')
    for moment in [name for name in found if name in ('middle', 'fake_1', 'real_1', 'over_0')]:
        folder = as_if_killed(whole, found[moment], tmp_path / moment)
        _, resumed = both(loop, EVERY, '--resume', name=moment)
        equal(ends, resumed)
        same_run(last(whole), last(folder))


@pytest.mark.parametrize('loop, kept', [('joint', None), ('loop', 0)])
def test_the_lifter_learns_as_in_one_with_twice_the_batch(loop, kept, both, toy_lifting, tool, tmp_path):
    """On fakes that all lie in the picture (else each process fills up its own batch), and on an epoch's pairs."""
    two, _ = both(loop, STILL.format(kept=kept))
    twice = ['train_dataloader.batch_size=48', 'train_dataloader.sampler.quotas=[16,16,16]']
    config, one = str(toy_lifting(LOOPS[loop] + STILL.format(kept=kept))), tmp_path / 'one'
    tool('train').main([config, '--work-dir', str(one), '--cfg-options', *twice])
    assert last(one)['meta']['iter'] == last(two)['meta']['iter']
    for key, value in last(one)['state_dict'].items():
        torch.testing.assert_close(last(two)['state_dict'][key], value, rtol=1e-4, atol=1e-6, msg=key)
    errors = [[float(e) for e in re.findall(r'/MPJPE/frames: ([\d.]+)', log_of(run))] for run in (one, two)]
    assert errors[0] and errors[0] == pytest.approx(errors[1], rel=1e-5)


def test_different_numbers_of_fakes_and_pairs_are_no_deadlock(both):
    # 47 pairs are 3 batches of 8 for the first process and 2 for the second
    folder, (first, second) = both('loop', STILL.format(kept=[2, 1]), frames=47)
    equal(first, second)
    assert first['steps'] == 2 * (3 + 1 + 2)
    assert 'the lifter on 3 fakes' in log_of(folder)


def test_nan_of_one_stops_both(launch):
    nan = 'model = dict(estimator=dict(backbone=dict(nan_at=[8], nan_rank=1)))\n'
    folder, codes = launch('joint', nan)
    assert codes == [1, 1]
    listed = sorted(path.name for path in folder.glob('*/nonfinite_*'))
    assert listed == ['nonfinite_3_rank0.txt', 'nonfinite_3_rank1.txt']
    assert last(folder)['meta']['iter'] == 2
