"""A run that was interrupted ends as the same run without the interruption, bit for bit."""

import json
import math
import shutil

import pytest
import torch
from toy_adaptation import CAUSAL, CCSSL, RECONSTRUCTION, SELF_PAIRS, UDAPE

RUN = """
_base_ = ['{base}']
train_cfg = dict(max_iters=6, val_interval=3)
default_hooks = dict(checkpoint=dict(interval=3, max_keep_ckpts=-1))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=6, by_epoch=False)]
"""
EPOCHS = """
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2, val_interval=1, _delete_=True)
train_dataloader = dict(sampler=dict(epoch_length=3))
log_processor = dict(by_epoch=True)
"""
CASES = dict(
    iterations=('iter_3.pth', UDAPE, ''),
    epochs=('epoch_1.pth', UDAPE, EPOCHS + 'default_hooks["checkpoint"].update(by_epoch=True, interval=1)\n'),
    inside_an_epoch=('iter_2.pth', UDAPE, EPOCHS + 'default_hooks["checkpoint"].update(interval=2)\n'),
    after_the_last_batch_of_an_epoch=('iter_3.pth', UDAPE, EPOCHS + 'default_hooks["checkpoint"].update(interval=3)\n'),
    inside_an_accumulation=('iter_3.pth', UDAPE, 'optim_wrapper = dict(accumulative_counts=2)\n'),
    inside_a_round_of_labels=('iter_3.pth', CCSSL, ''),
    between_rounds_of_labels=('iter_3.pth', CCSSL.replace('rounds=3', 'rounds=2'), ''),
    reconstruction_poses=('iter_3.pth', RECONSTRUCTION, "model = dict(phase='pose')\n"),
    reconstruction_generator=('iter_3.pth', RECONSTRUCTION, "model = dict(phase='generator')\n"),
    # the masks' epochs end at iterations 4 and 8
    reconstruction_while_weights_are_measured=('iter_3.pth', RECONSTRUCTION, ''),
    reconstruction_with_measured_weights=(
        'iter_3.pth',
        RECONSTRUCTION + SELF_PAIRS,
        "model = dict(balance=dict(iterations=2), combine=dict(overlap_threshold=0.0), kp_grad='both')\n",
    ),
    causal_intervention=('iter_3.pth', CAUSAL, "model = dict(u_source='mixed')\n"),
    causal_warm_up=(
        'iter_3.pth',
        CAUSAL,
        "model = dict(phase='warm_up')\nval_cfg = val_dataloader = val_evaluator = None\n",  # nothing learns to predict
    ),
    causal_sequential=('iter_3.pth', CAUSAL, 'model = dict(refresh_generator=False)\n'),
    finite_sampler_and_plain_model=(
        'iter_3.pth',
        '',
        """
train_dataloader = dict(
    sampler=dict(type='DefaultSampler', shuffle=True, _delete_=True),
    dataset=dict(pipeline=_base_.augmented, _delete_=True, **_base_.dataset),
)
model = dict(_delete_=True, **_base_.estimator)
""",
    ),
)


def last(folder):
    name = (folder / 'last_checkpoint').read_text().rpartition('/')[2]
    return torch.load(folder / name, map_location='cpu', weights_only=True)


def equal(a, b, path=''):
    """Bitwise equality of nested content; the first difference is named."""
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype and torch.equal(a, b), path
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            equal(a[key], b[key], f'{path}.{key}')
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), path
        for i, pair in enumerate(zip(a, b)):
            equal(*pair, f'{path}[{i}]')
    elif not (isinstance(a, float) and math.isnan(a) and math.isnan(b)):
        assert a == b, path


def same_run(first, second):
    for key in ('state_dict', 'optimizer', 'param_schedulers', 'random_state', 'rank_state'):
        equal(first.get(key), second.get(key), key)
    assert first['meta']['iter'] == second['meta']['iter']
    logged = [run['message_hub']['log_scalars'] for run in (first, second)]
    losses = [key for key in logged[0] if key.startswith('train/') and 'loss' in key]
    assert losses
    for key in losses:
        assert logged[0][key].data[0].tolist() == logged[1][key].data[0].tolist(), key


@pytest.fixture
def interrupt(tmp_path):
    """Copy what a run had left when it had written checkpoint NAME, as if it had been killed right then."""

    def copy(run, name, into='interrupted'):
        folder = tmp_path / into
        folder.mkdir(parents=True)
        shutil.copy(run / name, folder / name)
        (folder / 'last_checkpoint').write_text(str(folder / name))
        return folder

    return copy


class TestExactResume:
    @pytest.mark.parametrize('case, workers', [*((case, 0) for case in CASES), ('iterations', 2), ('epochs', 2)])
    def test_equals_the_uninterrupted_run(self, case, workers, toy_adaptation, tool, tmp_path, interrupt):
        middle, method, more = CASES[case]
        config = tmp_path / 'run.py'
        config.write_text(RUN.format(base=toy_adaptation(method, workers=workers)) + more)
        tool('train').main([str(config), '--work-dir', str(tmp_path / 'whole')])
        folder = interrupt(tmp_path / 'whole', middle)
        torch.manual_seed(99)  # a new process would not be in the old one's state
        tool('train').main([str(config), '--work-dir', str(folder), '--resume'])
        same_run(last(tmp_path / 'whole'), last(folder))
        if case.startswith('reconstruction'):
            self.check_reconstruction(case, last(folder), torch.load(folder / middle, weights_only=True))

    @staticmethod
    def check_reconstruction(case, end, middle):
        """Else the run could be the same for nothing."""
        end, middle = end['state_dict'], middle['state_dict']
        weighed = dict(reconstruction_while_weights_are_measured=5, reconstruction_with_measured_weights=2)
        assert int(end['balance.measured']) == weighed.get(case, 0)
        assert (middle['combiner.counts'][1] > 0) == (end['combiner.overlap'] > 0) == (case in weighed)
        assert (end['scorer.bones.count'] > 0).all() == ('generator' not in case)
        moved = {key.split('.')[0] for key, value in end.items() if not torch.equal(value, middle[key])}
        assert ('student' in moved) == ('generator' not in case)
        assert ('reconstruction' in moved) == ('poses' not in case)

    def test_inside_a_stage(self, toy_adaptation, tool, tmp_path, interrupt):
        stages = "stages = [dict(name='pretrain'), dict(name='adapt', load_from='{pretrain}', " + (
            'default_hooks=dict(checkpoint=dict(interval=3)))]\ntrain_cfg = dict(max_iters=6)\n'
        )
        config = str(toy_adaptation(UDAPE + stages))
        whole = tmp_path / 'whole'
        tool('train').main([config, '--work-dir', str(whole), '--no-validate'])
        shutil.copytree(whole / 'pretrain', tmp_path / 'interrupted' / 'pretrain')
        interrupt(whole / 'adapt', 'iter_3.pth', 'interrupted/adapt')
        tool('train').main([config, '--work-dir', str(tmp_path / 'interrupted'), '--no-validate', '--resume'])
        same_run(last(whole / 'adapt'), last(tmp_path / 'interrupted' / 'adapt'))
        marker = json.loads((tmp_path / 'interrupted' / 'adapt' / 'finished.json').read_text())
        assert marker['iterations'] == 6

    def test_number_of_workers_does_not_matter(self, toy_adaptation, tool, tmp_path):
        config = str(toy_adaptation(UDAPE))
        for workers in (0, 2):
            option = ['--cfg-options', f'train_dataloader.num_workers={workers}']
            tool('train').main([config, '--work-dir', str(tmp_path / str(workers)), '--no-validate', *option])
        same_run(last(tmp_path / '0'), last(tmp_path / '2'))

    def test_a_run_without_a_seed_goes_on_with_the_one_it_drew(self, toy_adaptation, tool, tmp_path, interrupt):
        config = str(toy_adaptation(UDAPE + 'randomness = dict(seed=None)\n'))
        tool('train').main([config, '--work-dir', str(tmp_path / 'whole'), '--no-validate'])
        folder = interrupt(tmp_path / 'whole', 'iter_2.pth')
        tool('train').main([config, '--work-dir', str(folder), '--no-validate', '--resume'])
        same_run(last(tmp_path / 'whole'), last(folder))

    def test_another_number_of_processes_is_said(self, toy_adaptation, tool, tmp_path, interrupt):
        config = str(toy_adaptation(UDAPE))
        tool('train').main([config, '--work-dir', str(tmp_path / 'whole'), '--no-validate'])
        folder = interrupt(tmp_path / 'whole', 'iter_2.pth')
        content = torch.load(folder / 'iter_2.pth', weights_only=True)
        content['random_state'] *= 2
        torch.save(content, folder / 'iter_2.pth')
        tool('train').main([config, '--work-dir', str(folder), '--no-validate', '--resume'])
        log = ''.join(path.read_text() for path in folder.glob('*/*.log'))
        assert 'random state of 2 processes, this run has 1' in log
