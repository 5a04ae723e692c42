"""The figures of a toy run: panels while it trains, and the tool on what it leaves behind."""

import json

import cv2
import pytest
import torch
from matplotlib.figure import Figure
from test_hostile_files import Payload
from test_resume import last, same_run
from toy_adaptation import RECONSTRUCTION, SELF_PAIRS, UDAPE

from mmposeda.engine.label_quality import FILE_NAME

RUN = """
train_cfg = dict(max_iters=4, val_interval=4)
default_hooks = dict(checkpoint=dict(interval=4))
"""
PANEL = "custom_hooks += [dict(type='ReconstructionVisualizationHook', interval=2, samples=2)]\n"
COLUMNS, CELL, HEADER = 7, 160, 18


@pytest.fixture
def train(tool, tmp_path):
    """Return a function that trains by a config and gives its last checkpoint."""

    def run(config, name, more=''):
        path = tmp_path / f'{name}.py'
        path.write_text(f"_base_ = ['{config}']\n{more}")
        tool('train').main([str(path), '--work-dir', str(tmp_path / name), '--no-validate'])
        return tmp_path / name / 'iter_4.pth'

    return run


@pytest.fixture
def plot(tool, tmp_path):
    """Return a function that runs the tool and gives the picture it has written."""

    def run(*args):
        path = tool('plot_reconstruction').main([str(arg) for arg in (*args, '--out', tmp_path / 'new' / 'figure.png')])
        assert path == tmp_path / 'new' / 'figure.png'
        return cv2.imread(str(path))

    return run


@pytest.fixture
def shown(tool, monkeypatch, tmp_path):
    """Return a function that runs the tool and gives what its curves would be of."""

    def run(*args):
        module, given = tool('plot_reconstruction'), []
        monkeypatch.setattr(module, 'quality_curves', lambda *args: given.append(args) or Figure((1, 1)))
        module.main(['quality', *(str(arg) for arg in args), '--out', str(tmp_path / 'figure.png')])
        return given[0]

    return run


def fails(plot, *args):
    """The one line that the tool ends with."""
    with pytest.raises(SystemExit) as caught:
        plot(*args)
    text = str(caught.value)
    assert text.startswith('plot_reconstruction.py ') and '\n' not in text
    return text


@pytest.mark.parametrize('pairs', ['', SELF_PAIRS], ids=['sequences', 'stills'])
def test_panels_are_drawn_and_the_run_is_bitwise_the_same(pairs, toy_adaptation, train, tmp_path, plot):
    config = toy_adaptation(RECONSTRUCTION + pairs + RUN)
    drawn, plain = train(config, 'drawn', f'custom_hooks = _base_.custom_hooks\n{PANEL}'), train(config, 'plain')
    same_run(last(drawn.parent), last(plain.parent))
    panels = sorted((tmp_path / 'drawn').glob('*/vis_data/reconstruction_*.png'))
    assert [path.name for path in panels] == ['reconstruction_000001.png', 'reconstruction_000003.png']
    assert cv2.imread(str(panels[0])).shape == (HEADER + 2 * CELL, COLUMNS * CELL, 3)

    one, same, other = (plot('pairs', config, drawn, '--num', 3, '--seed', seed) for seed in (0, 0, 1))
    assert one.shape == (HEADER + 3 * CELL, COLUMNS * CELL, 3)
    assert (one == same).all() and (one != other).any()
    of_training = plot('pairs', config, drawn, '--num', 100, '--of', 'train')
    assert len(of_training) == HEADER + 9 * CELL, 'the target has nine pictures'
    still = plot('pairs', config, drawn, '--num', 3, '--still')
    assert (still == one).all() == bool(pairs)


class TestPanelRefused:
    def test_a_model_that_reconstructs_nothing(self, toy_adaptation, train):
        config = toy_adaptation(UDAPE + RUN)
        with pytest.raises(TypeError, match='Hook needs a model with .preview_pair., got UDAPE'):
            train(config, 'run', f'custom_hooks = _base_.custom_hooks\n{PANEL}')

    def test_a_model_whose_reconstruction_is_left_out(self, toy_adaptation, train):
        config = toy_adaptation(RECONSTRUCTION + RUN)
        more = f'custom_hooks = _base_.custom_hooks\n{PANEL}model = dict(reconstruction=None)\n'
        with pytest.raises(ValueError, match='nothing to show of a GeometricReconstruction with reconstruction=None'):
            train(config, 'run', more)

    def test_a_batch_without_pairs(self, toy_adaptation, train):
        config = toy_adaptation(RECONSTRUCTION + RUN)
        more = f'custom_hooks = _base_.custom_hooks\n{PANEL}model = dict(reconstruction_weight=0)\n'
        more += 'train_dataloader = dict(batch_size=4, sampler=dict(quotas=[2, 2, 0]))\n'
        with pytest.raises(ValueError, match='without a pair sample, which ReconstructionVisualizationHook draws'):
            train(config, 'run', more)


def test_what_has_no_pairs_to_show_ends_in_one_line(toy_adaptation, plot, tmp_path):
    config, checkpoint = toy_adaptation(RECONSTRUCTION), tmp_path / 'weights.pth'
    torch.save(dict(state_dict={'student.weight': torch.ones(1)}), checkpoint)
    assert 'has no weights reconstruction.*: give one of a run' in fails(plot, 'pairs', config, checkpoint)
    torch.save(dict(state_dict={}, more=Payload(tmp_path / 'ran')), checkpoint)
    assert 'is refused' in fails(plot, 'pairs', config, checkpoint) and not (tmp_path / 'ran').exists()
    assert 'none.pth does not exist' in fails(plot, 'pairs', config, tmp_path / 'none.pth')
    none = ['--cfg-options', 'model.reconstruction=None']
    assert 'a GeometricReconstruction, has no reconstruction' in fails(plot, 'pairs', config, checkpoint, *none)
    assert "there is no stage 'third'" in fails(plot, 'pairs', config, checkpoint, '--stage', 'third')


def write_runs(folder, **runs):
    for name, right in runs.items():
        path = folder / name.replace('__', '/') / FILE_NAME
        path.parent.mkdir(parents=True)
        path.write_text(''.join(json.dumps({'iter': i, 'right': right, 'right/Fin': 0.1}) + '\n' for i in (0, 5)))


def found(methods):
    return {name: [run[0]['right'] for run in runs] for name, runs in methods.items()}


def test_folders_of_a_benchmark_are_methods_and_seeds(tmp_path, shown, plot):
    bench = tmp_path / 'bench'
    write_runs(bench, both__seed_0=0.1, both__seed_1__adapt=0.2, pseudo__seed_0=0.3)
    methods, group, title = shown(bench)
    assert found(methods) == dict(both=[0.1, 0.2], pseudo=[0.3]) and (group, title) == ('', '')
    assert found(shown(bench / 'both')[0]) == dict(both=[0.1, 0.2])
    assert found(shown(bench / 'both' / 'seed_1', bench / 'pseudo')[0]) == dict(both=[0.2], pseudo=[0.3])
    assert found(shown(bench, bench / 'both')[0]) == found(methods), 'no run counts twice'
    assert shown(bench, '--group', 'Fin', '--title', 'mine')[1:] == ('Fin', 'mine')
    assert plot('quality', bench).std() > 5


def test_single_runs_go_by_their_folders_or_by_labels(tmp_path, shown):
    write_runs(tmp_path, one=0.1, two__adapt=0.2, three__a=0.3, three__b=0.4)
    methods = shown(tmp_path / 'one', tmp_path / 'two', tmp_path / 'three')[0]
    assert found(methods) == {'one': [0.1], 'two': [0.2], 'three/a': [0.3], 'three/b': [0.4]}
    labelled = shown(f'mine={tmp_path / "one"}', f'mine={tmp_path / "two"}', f'other={tmp_path / "three" / "a"}')[0]
    assert found(labelled) == dict(mine=[0.1, 0.2], other=[0.3])


def test_wrong_folders_end_in_one_line(tmp_path, plot):
    empty, broken = tmp_path / 'empty', tmp_path / 'broken'
    empty.mkdir()
    broken.mkdir()
    assert 'there is no folder' in fails(plot, 'quality', tmp_path / 'none')
    assert f'there is no {FILE_NAME} in {empty}: train with custom_hooks' in fails(plot, 'quality', empty)
    for text in ('', 'nothing\n', '[1]\n', '{"right": 1}\n'):
        (broken / FILE_NAME).write_text(text)
        assert 'is no file of PseudoLabelQualityHook' in fails(plot, 'quality', broken)
    write_runs(tmp_path, run=0.1)
    assert "nothing was measured of group 'Head'; groups are Fin" in fails(
        plot, 'quality', tmp_path / 'run', '--group', 'Head'
    )
