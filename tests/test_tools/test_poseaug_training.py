"""PoseAug's runs: resumed, told to end, with NaN, and where its fakes run out; in both of its loops."""

import os
import re
import signal

import pytest
import torch
from mmengine.config import Config
from mmpose.models.pose_estimators import PoseLifter
from poseaug_runs import EVERY, LOOPS, PARTS, as_if_killed, load, log_of, moments, same_run
from processes import start, wait_for
from test_resume import equal, last
from toy_lifting import STILL

from mmposeda.registry import MODELS


@pytest.fixture
def train(toy_lifting, tool, tmp_path):
    """Return a function that runs the toy task and returns the run's folder."""

    def run(loop='joint', more='', *flags, name='run', **kwargs):
        config = toy_lifting(LOOPS[loop] + more, **kwargs)
        tool('train').main([str(config), '--work-dir', str(tmp_path / name), *flags])
        return tmp_path / name

    return run


class TestExactResume:
    @pytest.mark.parametrize('workers', [0, 2])
    def test_joint(self, workers, train, tmp_path):
        whole = train(workers=workers)
        folder = as_if_killed(whole, 'iter_2', tmp_path / 'late')
        torch.manual_seed(99)  # a new process would not be in the old one's state
        train('joint', '', '--resume', name='late', workers=workers)
        same_run(last(whole), last(folder))
        (state,) = last(folder)['rank_state']
        assert state['pool3d']['count'] == state['pool2d']['count'] == 16
        assert state['pool3d']['items'].abs().sum() > 0

    @pytest.mark.parametrize(
        'loop, workers, chosen',
        [
            ('loop', 0, {'augment_1', 'fake_0', 'fake_1', 'real_0', 'real_1', 'over_0'}),
            ('loop', 2, {'augment_1', 'fake_1', 'real_1'}),
            ('warm_up', 0, {'over_0'}),
        ],
    )
    def test_inside_and_between_phases(self, loop, workers, chosen, train, tmp_path):
        """What is saved at the ends of epochs is the same too, also right after a resume."""
        every, whole = train(loop, EVERY, name='every', workers=workers), train(loop, workers=workers)
        found = moments(every)
        for moment in chosen:
            as_if_killed(every, found[moment], tmp_path / moment)
            torch.manual_seed(99)
            train(loop, '', '--resume', name=moment, workers=workers)
            for name in ('epoch_1', 'epoch_2'):
                same_run(load(whole, name), load(tmp_path / moment, name))

    def test_at_the_end_of_an_epoch(self, train, tmp_path):
        whole = train('loop')
        folder = as_if_killed(whole, 'epoch_1', tmp_path / 'late')
        train('loop', '', '--resume', name='late')
        same_run(last(whole), last(folder))
        for epoch in (1, 2):
            (state,) = load(whole, f'epoch_{epoch}')['rank_state']
            assert 'points' not in state['fakes'], 'what is saved at the end of an epoch needs none'


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs POSIX processes')
@pytest.mark.parametrize('workers', [0, 2])
def test_sigterm_saves_wherever_the_epoch_stands(workers, toy_lifting, tool, train, tmp_path):
    folder, train_py, kwargs = tmp_path / 'told', tool('train'), dict(workers=workers, frames=16)
    more = 'train_cfg.update(max_epochs=8, val_interval=8)\n'
    command = [str(toy_lifting(LOOPS['loop'] + more, **kwargs)), '--work-dir', str(folder)]
    pid = start(lambda: (os.setpgid(0, 0), train_py.main(command)))
    wait_for(lambda: 'Epoch 2: ' in log_of(folder))
    os.killpg(pid, signal.SIGTERM)  # as a scheduler does: the data workers get it too
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 143
    assert 'SIGTERM: state saved to' in log_of(folder)
    told = last(folder)
    assert 0 < told['meta']['epoch'] < 8
    train('loop', more, '--resume', name='told', **kwargs)
    same_run(last(train('loop', more, **kwargs)), last(folder))


class TestWarmUp:
    def test_leaves_the_lifter_alone_and_its_phases_out(self, train):
        run = train('warm_up', EVERY)
        weights = {
            int(path.stem[5:]): {k: v for k, v in load(run, path.stem)['state_dict'].items() if k.startswith('student')}
            for path in run.glob('iter_*.pth')
        }
        equal(weights[1], weights[5])  # an epoch of augmentation
        equal(weights[5], weights[10])  # that of the second epoch
        assert not torch.equal(*(weights[i]['student.backbone.shrink.weight'] for i in (10, 11)))

    def test_all_fakes_of_the_first_epoch_after_it_are_kept(self, train):
        run = train('warm_up', STILL.format(kept=3))
        phases = re.findall(r'Epoch (\d): (.*)', log_of(run))
        assert phases == [
            ('1', 'augmentor and discriminators'),
            ('2', 'augmentor and discriminators'),
            ('2', 'the lifter on 15 fakes'),
            ('2', 'the lifter on pairs'),
        ]


class TestFewFakes:
    @pytest.mark.parametrize('kept, iterations', [(1, 5 + 1 + 5), (0, 5 + 5), (7, 5 + 4 + 5)])
    def test_of_a_batch_or_less_or_none(self, kept, iterations, train):
        run = train('loop', STILL.format(kept=kept) + "default_hooks['collapse'] = dict(interval=5)\n")
        assert last(run)['meta']['iter'] == 2 * iterations
        assert ('0 augmented poses lie in the picture' in log_of(run)) is (kept == 0)
        assert ('at iteration 5: of the augmented poses 0.0% lie in the picture' in log_of(run)) is (kept == 0)

    def test_the_last_iteration_is_known_as_such(self, train):
        """A checkpoint by iterations is written at the end, whatever the fakes."""
        run = train(
            'loop', STILL.format(kept=1) + "default_hooks['checkpoint'].update(by_epoch=False, interval=1000)\n"
        )
        assert last(run)['meta']['iter'] == 22

    def test_an_epoch_is_one_pass_over_the_pairs(self, train):
        longer = 'train_dataloader = dict(dataset=dict(real_2d=dict(stride=1, **_base_.dataset)))\n'
        short = longer + "train_dataloader['dataset']['dataset'] = dict(stride=2)\n"
        assert last(train('loop', STILL.format(kept=0) + short))['meta']['iter'] == 2 * (3 + 2)


class TestNaN:
    """An iteration of the joint mode asks the lifter thrice: about the source, about fakes, and to learn."""

    SPOILT = """
model = dict(estimator=dict(backbone=dict(nan_at=[{call}])))
default_hooks['checkpoint'].update(interval=1, max_keep_ckpts=-1)
default_hooks['non_finite'] = dict(policy='{policy}')
"""

    @pytest.mark.parametrize('call, term', [(8, 'aug_loss_feedback_ba is nan'), (9, 'lift_loss_both is nan')])
    def test_stops_and_names_term_iteration_and_samples(self, call, term, train, tmp_path):
        with pytest.raises(SystemExit, match=f'Iteration 3: {term}') as caught:
            train('joint', self.SPOILT.format(call=call, policy='stop'))
        assert 'sample' in str(caught.value) and 'of pairs' in str(caught.value)
        (listed,) = (tmp_path / 'run').glob('*/nonfinite_3_rank0.txt')
        names = listed.read_text().splitlines()
        assert [name.split(' of ')[1] for name in names] == 8 * ['pairs'] + 8 * ['real_2d'] + 8 * ['real_3d']
        assert last(tmp_path / 'run')['meta']['iter'] == 2

    def test_in_the_feedback_leaves_all_parts_alone_and_the_run_goes_on(self, train):
        run = train('joint', self.SPOILT.format(call=8, policy='skip'))
        before, after, end = (load(run, f'iter_{i}') for i in (2, 3, 4))
        equal(before['state_dict'], after['state_dict'])
        for part in PARTS:
            equal(*(moment['optimizer'][part]['state'] for moment in (before, after)))
        assert 'Leaving the batch out' in log_of(run)
        for part in PARTS:
            moved = [k for k, v in end['state_dict'].items() if not torch.equal(v, after['state_dict'][k])]
            assert any(key.startswith(part) for key in moved) is not part.startswith('disc')  # every second iteration
        assert all(value.isfinite().all() for value in end['state_dict'].values())
        assert all(end['rank_state'][0][pool]['items'].isfinite().all() for pool in ('pool2d', 'pool3d'))

    def test_in_the_lifter_leaves_the_lifter_alone(self, train):
        run = train('joint', self.SPOILT.format(call=9, policy='skip'))
        before, after = (load(run, f'iter_{i}')['state_dict'] for i in (2, 3))
        assert {key.split('.')[0] for key in before if not torch.equal(before[key], after[key])} == {
            'augmentor',
            'disc3d',
            'disc2d',
        }

    def test_on_a_stored_fake_is_named_too(self, train):
        # each of 5 iterations asks twice for the feedback
        with pytest.raises(SystemExit, match=r'Iteration 6: lift_loss_fake is nan.*sample \d+ of fake'):
            train('loop', self.SPOILT.format(call=11, policy='stop'))


def test_a_result_is_evaluated_and_exported(train, toy_lifting, tool, tmp_path):
    mlp = "model = dict(estimator=dict(backbone=dict(type='MLPLifter', channels=16, num_blocks=1)))\n"
    run, config = train('loop', mlp), str(toy_lifting(LOOPS['loop'] + mlp))
    checkpoint = str(run / 'epoch_2.pth')
    metrics = tool('test').main([config, checkpoint, '--work-dir', str(tmp_path / 'test')])
    (logged,) = re.findall(r'/MPJPE/frames: ([\d.]+)', log_of(run))
    assert metrics['lifting/MPJPE/frames'] == pytest.approx(float(logged), abs=1e-5)

    tool('export').main([config, checkpoint, '--out', str(tmp_path / 'out')])
    adapter = Config.fromfile(config).model
    adapter, plain = MODELS.build(adapter).eval(), MODELS.build(adapter.estimator).eval()
    assert type(plain) is PoseLifter
    adapter.load_state_dict(load(run, 'epoch_2')['state_dict'])
    plain.load_state_dict(load(tmp_path / 'out', 'model')['state_dict'])
    points = torch.rand(5, 16, 2) - 0.5
    assert torch.equal(adapter.lift(points), plain(points.view(5, 32, 1), None, mode='tensor'))
