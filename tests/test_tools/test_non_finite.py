"""NaN in a loss or a gradient: what it must not reach, and what is said."""

import pytest
import torch
from test_resume import equal
from toy_adaptation import CAUSAL, RECONSTRUCTION, UDAPE

# A training step of UDAPE calls the student twice: the halves of iteration 3 are calls 5 and 6.
SOURCE, TARGET = 5, 6
# With the reconstruction it is called for the driving pictures too.
DRIVING = 9
CONFIG = """
_base_ = ['{base}']
model = dict(estimator=dict(backbone={backbone}))
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=-1), non_finite=dict(policy='{policy}', max_skips=2))
{more}
"""

# all default hooks but ours, MMEngine adds its own
WITHOUT = """
default_hooks = dict(
    _delete_=True,
    logger=dict(type='LoggerHook', interval=1),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1, max_keep_ckpts=-1),
    schedule=_base_.default_hooks.schedule,
)
"""


def finite(value):
    if isinstance(value, torch.Tensor):
        return bool(torch.isfinite(value.float()).all())
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    return all(map(finite, value)) if isinstance(value, (list, tuple)) else True


def load(folder, iteration):
    return torch.load(folder / f'iter_{iteration}.pth', map_location='cpu', weights_only=True)


@pytest.fixture
def train(toy_adaptation, tool, tmp_path):
    """Run UDAPE with a network that spoils chosen calls; return the run's folder."""

    def run(policy='skip', more='', method=UDAPE, **backbone):
        config = tmp_path / 'spoilt.py'
        config.write_text(CONFIG.format(base=toy_adaptation(method), policy=policy, backbone=backbone, more=more))
        tool('train').main([str(config), '--work-dir', str(tmp_path / 'run'), '--no-validate'])
        return tmp_path / 'run'

    return run


def log_of(folder):
    return ''.join(path.read_text() for path in folder.glob('*/*.log'))


class TestStop:
    def test_names_term_iteration_samples_and_the_last_checkpoint(self, train, tmp_path):
        with pytest.raises(SystemExit, match='Iteration 3: sup_loss_kpt is nan') as caught:
            train('stop', nan_at=[SOURCE])
        message = str(caught.value)
        assert "policy='skip'" in message
        assert 'iter_2.pth' in message
        listed = next(tmp_path.glob('run/*/nonfinite_3_rank0.txt'))
        assert str(listed) in message
        names = listed.read_text().splitlines()
        assert len(names) == 4
        assert all(name.endswith('.png') for name in names)
        assert names[0] in message
        assert message[message.index('Iteration 3') :] in log_of(tmp_path / 'run')

    def test_the_last_good_checkpoint_stays_the_last(self, train, tmp_path):
        with pytest.raises(SystemExit):
            train('stop', nan_at=[TARGET])
        assert (tmp_path / 'run' / 'last_checkpoint').read_text().endswith('iter_2.pth')
        assert not (tmp_path / 'run' / 'iter_3.pth').exists()
        assert finite(load(tmp_path / 'run', 2))

    def test_term_of_the_target(self, train):
        with pytest.raises(SystemExit, match='unsup_loss_consistency is nan'):
            train('stop', nan_at=[TARGET])

    def test_term_of_the_pairs(self, train):
        with pytest.raises(SystemExit, match='Iteration 3: unsup_loss_reconstruction is nan'):
            train('stop', method=RECONSTRUCTION, nan_at=[DRIVING])

    def test_a_gradient_is_named_by_its_weight(self, train):
        with pytest.raises(SystemExit, match=r'the gradient of student\.backbone\.layers\.0\.weight'):
            train('stop', nan_gradient_at=[SOURCE])


class TestSkip:
    @pytest.mark.parametrize('spoilt', [dict(nan_at=[SOURCE]), dict(nan_at=[TARGET]), dict(nan_gradient_at=[SOURCE])])
    def test_nothing_moves_and_the_run_goes_on(self, train, spoilt):
        folder = train(**spoilt)
        before, after, end = (load(folder, i) for i in (2, 3, 4))
        equal(before['state_dict'], after['state_dict'])  # student, teacher, statistics
        equal(before['optimizer'], after['optimizer'])
        assert finite(end['state_dict'])
        assert finite(end['optimizer'])
        steps = {int(state['step']) for state in end['optimizer']['state'].values()}
        assert steps == {3}
        key = 'teacher.backbone.layers.0.weight'
        assert not torch.equal(after['state_dict'][key], end['state_dict'][key])
        assert 'Leaving the batch out' in log_of(folder)

    def test_measured_weights_bones_and_masks_are_those_before_too(self, train):
        folder = train(method=RECONSTRUCTION, nan_at=[DRIVING])
        before, after, end = (load(folder, i) for i in (2, 3, 4))
        equal(before['state_dict'], after['state_dict'])
        equal(before['optimizer'], after['optimizer'])
        assert finite(end['state_dict'])
        assert int(end['state_dict']['balance.measured']) == 3

    @pytest.mark.parametrize('spoilt', [SOURCE, TARGET])
    def test_no_part_of_the_intervention_moves(self, train, spoilt):
        folder = train(method=CAUSAL, nan_at=[spoilt])
        before, after, end = (load(folder, i) for i in (2, 3, 4))
        equal(before['state_dict'], after['state_dict'])
        equal(before['optimizer'], after['optimizer'])
        assert finite(end['state_dict']) and finite(end['optimizer'])
        same = {key for key, value in end['state_dict'].items() if torch.equal(value, after['state_dict'][key])}
        moved = {key.split('.')[0] for key in end['state_dict'].keys() - same}
        assert moved == {'student', 'generator', 'discriminator'}
        assert 'Iteration 3: disc_loss_adv is nan' in log_of(folder)

    def test_without_the_hook_the_weights_are_lost(self, train):
        """The harm is real: this is what the tests above protect from."""
        folder = train(more=WITHOUT, nan_at=[SOURCE])
        assert not finite(load(folder, 4)['state_dict'])

    def test_a_window_of_accumulation_is_left_out_as_a_whole(self, train):
        # iteration 3 is the first half of the second window
        folder = train(more='optim_wrapper = dict(accumulative_counts=2)', nan_at=[SOURCE])
        equal(load(folder, 2)['state_dict'], load(folder, 4)['state_dict'])
        assert finite(load(folder, 4)['optimizer'])

    def test_too_many_in_a_row_end_the_run(self, train):
        with pytest.raises(SystemExit, match='the 2th step in a row: giving up'):
            train(nan_at=[SOURCE, SOURCE + 2])


def test_good_runs_are_untouched(toy_adaptation, tool, tmp_path):
    base = toy_adaptation(UDAPE)
    for name, more in (('with', ''), ('without', WITHOUT)):
        config = tmp_path / f'{name}.py'
        config.write_text(f"_base_ = ['{base}']\n{more}")
        tool('train').main([str(config), '--work-dir', str(tmp_path / name), '--no-validate'])
    runs = [load(tmp_path / name, 4) for name in ('with', 'without')]
    equal(runs[0]['state_dict'], runs[1]['state_dict'])
    scalars = [run['message_hub']['log_scalars'] for run in runs]
    for key in ('train/loss', 'train/sup_loss_kpt', 'train/unsup_confidence'):
        assert scalars[0][key].data[0].tolist() == scalars[1][key].data[0].tolist()
