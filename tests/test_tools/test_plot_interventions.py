"""InterventionHook in real runs, and the tool on what they leave behind."""

import json
import os

import cv2
import pytest
import torch
from mmengine.config import Config
from processes import exit_codes, start_all
from test_hostile_files import Payload
from test_resume import equal, last, same_run
from toy_adaptation import CAUSAL

from mmposeda.registry import MODELS

RUN = """
train_cfg = dict(max_iters=4, val_interval=4)
default_hooks = dict(checkpoint=dict(interval=2, max_keep_ckpts=-1))
"""
HOOK = "custom_hooks = [dict(type='InterventionHook', interval=2, num_pictures=10, num_poses=3, num_nuisances=5)]\n"
PROBE = f"""
{CAUSAL}
model = dict(type='DDC', feat='neck', width=None, estimator=model['estimator'])
optim_wrapper, model_wrapper_cfg = dict(optimizer=dict(type='Adam', lr=0.01)), None
"""
NUMBERS = ['domain_accuracy', 'error_mm', 'silhouette', 'within', 'between', 'pose_leak']
FIGURES = ['features.png', 'reconstructions.png', 'sensitivity.png']
SMALL = ['--num-pictures', 10, '--num-poses', 3, '--num-nuisances', 6]


@pytest.fixture
def train(tool, tmp_path):
    """Return a function that trains by a config and gives the run's folder."""

    def run(config, name, more='', *flags):
        path = tmp_path / f'{name}.py'
        path.write_text(f"_base_ = ['{config}']\n{more}")
        tool('train').main([str(path), '--work-dir', str(tmp_path / name), '--no-validate', *flags])
        return tmp_path / name

    return run


@pytest.fixture
def weights(tmp_path):
    """Return a function that writes a checkpoint of a config's model, as if its head had seen labels."""

    def write(config, name='weights', **changes):
        torch.manual_seed(0)
        state = MODELS.build(Config.fromfile(config).model).state_dict()
        state['student.head.bodies'], state['student.head.square_size'] = torch.tensor(9.0), torch.tensor(900.0)
        path = tmp_path / f'{name}.pth'
        torch.save(dict(state_dict=state, **changes), path)
        return path

    return write


@pytest.fixture
def plot(tool, tmp_path):
    """Return a function that runs the tool and gives its numbers; files are in ``new/figures``."""

    def run(*args):
        folder = tmp_path / 'new' / 'figures'
        out, numbers = tool('plot_interventions').main([str(arg) for arg in (*args, '--out', folder)])
        assert out == folder and json.loads((folder / 'interventions.json').read_text()) == numbers
        return numbers

    return run


def fails(plot, *args):
    """The one line that the tool ends with."""
    with pytest.raises(SystemExit) as caught:
        plot(*args)
    text = str(caught.value)
    assert text.startswith('plot_interventions.py: ') and '\n' not in text
    return text


def rows(folder):
    """Measurements as the visualiser's files have them."""
    (path,) = folder.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if 'intervention/domain_accuracy' in line]


@pytest.mark.parametrize(
    'method, names, workers', [(CAUSAL, NUMBERS, 0), (CAUSAL, NUMBERS, 1), (PROBE, NUMBERS[:1], 0)]
)
def test_a_run_is_bitwise_that_without_the_hook(method, names, workers, toy_adaptation, train):
    config = toy_adaptation(method + RUN, count=12, workers=workers)
    measured, plain = train(config, 'with', HOOK), train(config, 'without')
    first, second = (last(folder) for folder in (measured, plain))
    same_run(first, second)
    found = rows(measured)
    assert [row['step'] for row in found] == [0, 2, 4]
    # of a head that has seen no label there is no error in millimetres
    assert set(found[0]) - {'step'} == {f'intervention/{name}' for name in names if name != 'error_mm'}
    assert set(found[1]) - {'step'} == {f'intervention/{name}' for name in names}
    scalars = first['message_hub']['log_scalars']
    for name in names:
        assert scalars[f'intervention/{name}'].data[0][-1] == found[-1][f'intervention/{name}']
    log = ''.join(path.read_text() for path in measured.glob('*/*.log'))
    kind = 'Interventions' if method is CAUSAL else 'Features'
    told = f'{kind} after 4 iterations: domain_accuracy {found[-1]["intervention/domain_accuracy"]:.3f}'
    assert told in log and 'intervention' not in str(second['message_hub']['log_scalars'].keys())


def test_a_resumed_run_measures_the_same(toy_adaptation, train, tmp_path):
    config = toy_adaptation(CAUSAL + RUN, count=12)
    whole = train(config, 'run', HOOK)
    late = train(config, 'late', HOOK, '--resume', str(whole / 'iter_2.pth'))
    assert rows(late) == rows(whole)[2:]
    scalars = [last(folder)['message_hub']['log_scalars']['intervention/error_mm'].data[0] for folder in (whole, late)]
    assert scalars[0].tolist() == scalars[1].tolist()


@pytest.mark.skipif(not hasattr(os, 'fork') or torch.cuda.is_available(), reason='needs POSIX processes on the CPU')
def test_two_processes_train_as_without_the_hook(toy_adaptation, tool, tmp_path, free_port):
    config = toy_adaptation(CAUSAL + RUN, count=12)
    for name, more in (('with', HOOK), ('without', '')):
        path = tmp_path / f'{name}.py'
        path.write_text(f"_base_ = ['{config}']\n{more}")
        command = [str(path), '--work-dir', str(tmp_path / name), '--no-validate', '--launcher', 'pytorch']
        train = tool('train')

        def main(train=train, command=command):
            torch.set_num_threads(1)
            train.main(command)

        assert exit_codes(start_all(main, free_port)) == [0, 0]
    first, second = (last(tmp_path / name) for name in ('with', 'without'))
    for key in ('state_dict', 'optimizer', 'rank_state', 'random_state'):
        equal(first.get(key), second.get(key), key)
    assert first['rank_state'] and [row['step'] for row in rows(tmp_path / 'with')] == [0, 2, 4]


class TestHookRefused:
    def test_a_model_that_is_no_adapter(self, toy_adaptation, train):
        config = toy_adaptation('model = dict(_delete_=True, **_base_.estimator)\n' + RUN)
        with pytest.raises(TypeError, match='InterventionHook needs an adapter .*got TopdownPoseEstimator'):
            train(config, 'run', HOOK)

    def test_training_data_without_an_unlabelled_part(self, toy_adaptation, train):
        config = toy_adaptation(PROBE + RUN, count=12)
        alone = 'train_dataloader = dict(batch_size=2, sampler=dict(quotas=[2]), dataset=dict(datasets=[' + (
            "_base_.train_dataloader['dataset']['datasets'][0]]))\n"
        )
        with pytest.raises(ValueError, match='nothing to measure: the training data have no unlabelled part'):
            train(config, 'run', HOOK + alone)


def test_figures_and_numbers_of_a_checkpoint(toy_adaptation, weights, tmp_path, plot, capsys):
    config = toy_adaptation(CAUSAL, count=12)
    checkpoint = weights(config)
    numbers = plot(config, checkpoint, *SMALL)
    assert list(numbers) == NUMBERS and numbers['error_mm'] > 0 and 0 <= numbers['domain_accuracy'] <= 1
    printed = capsys.readouterr().out
    assert f'error_mm        {numbers["error_mm"]:9.3f}  mean distance' in printed
    pictures = [cv2.imread(str(tmp_path / 'new' / 'figures' / name)) for name in FIGURES]
    assert all(picture.std() > 5 for picture in pictures)
    assert plot(config, checkpoint, *SMALL) == numbers
    # the test set has two pictures less, and is drawn by the unlabelled pipeline
    of_test = plot(config, checkpoint, *SMALL, '--of', 'test', '--num-pictures', 14)
    assert of_test != numbers and list(of_test) == NUMBERS


def test_a_checkpoint_without_a_generator_is_probed(toy_adaptation, weights, plot, tmp_path, capsys):
    config, baseline = toy_adaptation(CAUSAL, count=12), tmp_path / 'baseline.py'
    baseline.write_text(f"_base_ = ['{tmp_path / 'task.py'}']\n{PROBE}")
    checkpoint, plain = weights(baseline), tmp_path / 'plain.pth'
    wanted = plot(baseline, checkpoint, *SMALL)
    assert list(wanted) == ['domain_accuracy'] and plot(config, checkpoint, *SMALL) == wanted
    assert 'has no weights generator.*: there is nothing to draw' in capsys.readouterr().out
    assert not list((tmp_path / 'new' / 'figures').glob('*.png'))
    state = torch.load(checkpoint, weights_only=True)['state_dict']
    state = {key.removeprefix('student.'): value for key, value in state.items() if key.startswith('student.')}
    torch.save(dict(state_dict=state), plain)
    assert plot(baseline, plain, *SMALL) == plot(config, plain, *SMALL) == wanted


def test_what_cannot_be_looked_at_ends_in_one_line(toy_adaptation, weights, plot, tmp_path):
    config, path = toy_adaptation(CAUSAL, count=12), tmp_path / 'other.pth'
    checkpoint = weights(config)
    state = torch.load(checkpoint, weights_only=True)['state_dict']
    torch.save(dict(state_dict={k: v for k, v in state.items() if not k.startswith('vae.mean')}), path)
    assert 'lacks 2 weights of the CausalIntervention' in fails(plot, config, path)
    torch.save(dict(state_dict={'other.weight': torch.ones(1)}), path)
    assert 'give a checkpoint of its run' in fails(plot, config, path)
    torch.save(dict(state_dict={}, more=Payload(tmp_path / 'ran')), path)
    assert 'is refused' in fails(plot, config, path) and not (tmp_path / 'ran').exists()
    assert 'none.pth does not exist' in fails(plot, config, tmp_path / 'none.pth')
    assert "there is no stage 'third'" in fails(plot, config, checkpoint, '--stage', 'third')
    few = ['--num-pictures', 100, '--num-poses', 8, '--cfg-options', 'train_dataloader.dataset.datasets.0.indices=6']
    assert '8 poses of labelled pictures' in fails(plot, config, checkpoint, *few)
    few[-1] = 'train_dataloader.dataset.datasets.0.indices=8'
    assert 'got 8 poses, and 5 folds need 10 at least' in fails(plot, config, checkpoint, *few)
    no_test = ['--of', 'test', '--cfg-options', 'test_dataloader=None']
    assert 'has no test_dataloader; take other pictures with --of' in fails(plot, config, checkpoint, *no_test)


@pytest.mark.parametrize('flag, value', [('--num-poses', 9), ('--num-poses', 1), ('--num-pictures', 9)])
def test_flags_out_of_range_are_refused(flag, value, tool, capsys):
    with pytest.raises(SystemExit):
        tool('plot_interventions').main(['config.py', 'weights.pth', flag, str(value)])
    assert f'{flag} must be at' in capsys.readouterr().err
