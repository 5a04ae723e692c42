"""The tool for figures of relation distillation."""

import json
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config
from test_hostile_files import Payload
from toy_relations import write_relations

from mmposeda.engine.stages import stage_config
from mmposeda.registry import MODELS

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ['relation_pairs.png', 'latent_walks.png', 'predictions.png', 'non_localness.png']
SMALL = ['--num', 2, '--num-clips', 4, '--num-motions', 12, '--device', 'cpu']
OWN = ['flip_inplane(50)', 'flip_backward', 'slow_backward']


@pytest.fixture
def config(tmp_path):
    return write_relations(tmp_path, ROOT / 'configs' / '_base_' / 'default_runtime.py')


@pytest.fixture
def checkpoint(config, tmp_path):
    """Weights of the adapter, whose latents differ from picture to picture."""
    torch.manual_seed(0)
    model = MODELS.build(stage_config(Config.fromfile(config), 'adapt').model)
    torch.nn.init.normal_(model.student.head.rest[-1].weight, std=0.3)
    path = tmp_path / 'weights.pth'
    torch.save(dict(state_dict=model.state_dict()), path)
    return path


@pytest.fixture
def plot(tool, tmp_path):
    """Return a function that runs the tool and gives its numbers; files are in ``new/figures``."""

    def run(*args):
        folder = tmp_path / 'new' / 'figures'
        out, numbers = tool('plot_relations').main([str(arg) for arg in (*args, '--out', folder)])
        assert out == folder and json.loads((folder / 'relations.json').read_text()) == numbers
        return numbers

    return run


def fails(plot, *args):
    """The one line that the tool ends with."""
    with pytest.raises(SystemExit) as caught:
        plot(*args, *SMALL)
    text = str(caught.value)
    assert text.startswith('plot_relations.py: ') and '\n' not in text
    return text


def test_figures_and_numbers_of_a_checkpoint(config, checkpoint, plot, tmp_path, capsys):
    state = torch.get_rng_state()
    numbers = plot(config, checkpoint, *SMALL)
    assert torch.equal(torch.get_rng_state(), state)
    assert list(numbers['predictions']) == OWN and set(OWN) <= set(numbers['mocap'])
    assert numbers['mocap']['identity']['distance'] == 0 < numbers['mocap']['inplane(5)']['distance']
    assert len(numbers['mocap']) == 10 * 4 + 1
    for what in ('mocap', 'predictions'):
        for name, row in numbers[what].items():
            assert row['relative'] == row['distance'] / numbers['mocap'][name]['random']
    assert min(numbers['spread'].values()) > 0
    lines = capsys.readouterr().out.splitlines()
    relative = [numbers[what]['flip_backward']['relative'] for what in ('mocap', 'predictions')]
    assert f'{"flip_backward":64}{relative[0]:7.3f}{relative[1]:13.3f}' in lines
    pictures = [cv2.imread(str(tmp_path / 'new' / 'figures' / name)) for name in FIGURES]
    assert all(picture.std() > 5 for picture in pictures)
    assert pictures[2].shape[1] // 145 == 5  # the truth beside the predictions
    other = plot(config, checkpoint, *SMALL, '--seed', 1)
    assert other['mocap']['flip'] != numbers['mocap']['flip']
    # the same clips
    assert other['predictions']['flip_backward']['distance'] == numbers['predictions']['flip_backward']['distance']


def test_without_a_test_set_frames_of_the_videos_are_predicted(config, checkpoint, plot, tmp_path):
    plot(config, checkpoint, *SMALL, '--cfg-options', 'test_dataloader=None')
    columns = cv2.imread(str(tmp_path / 'new' / 'figures' / 'predictions.png')).shape[1] // 145
    assert columns == 3


def test_a_network_that_says_always_the_same_is_told_by_its_numbers(config, checkpoint, plot, tmp_path):
    state = torch.load(checkpoint, weights_only=True)['state_dict']
    last = max(key for key in state if key.startswith('student.head.rest.') and key.endswith('weight'))
    torch.save(dict(state_dict={**state, last: torch.zeros_like(state[last])}), tmp_path / 'constant.pth')
    numbers = plot(config, tmp_path / 'constant.pth', *SMALL)
    assert numbers['spread']['predictions'] < 1e-6 < numbers['spread']['mocap']
    assert numbers['predictions']['flip_inplane(50)'] == dict(distance=0.0, random=0.0, relative=0.0)


def test_what_cannot_be_drawn_ends_in_one_line(config, checkpoint, plot, tmp_path):
    path = tmp_path / 'other.pth'
    state = torch.load(checkpoint, weights_only=True)['state_dict']
    torch.save(dict(state_dict={k: v for k, v in state.items() if not k.startswith('motion.')}), path)
    text = fails(plot, config, path)
    assert 'weights of the RelationDistillation of' in text and 'such as motion.' in text
    torch.save(dict(state_dict=state, more=Payload(tmp_path / 'ran')), path)
    assert 'is refused' in fails(plot, config, path) and not (tmp_path / 'ran').exists()
    assert 'none.pth does not exist' in fails(plot, config, tmp_path / 'none.pth')
    assert "there is no stage 'third'" in fails(plot, config, checkpoint, '--stage', 'third')
    text = fails(plot, config, checkpoint, '--stage', 'source')
    assert 'needs a RelationDistillation, got SourceOnly of' in text and 'with --stage' in text
    no_mocap = ['--cfg-options', 'mocap_dataset=None']
    assert 'has no mocap_dataset: set it at the top level' in fails(plot, config, checkpoint, *no_mocap)
    no_clips = ['--cfg-options', 'train_dataloader.dataset=None']
    assert 'have no UnlabeledVideoDataset' in fails(plot, config, checkpoint, *no_clips)


@pytest.mark.parametrize('flag, value', [('--num', 1), ('--num-clips', 1), ('--num-motions', 0), ('--seed', -1)])
def test_flags_out_of_range_are_refused(flag, value, tool, capsys):
    with pytest.raises(SystemExit):
        tool('plot_relations').main(['config.py', 'weights.pth', flag, str(value)])
    assert f'{flag} must be at least' in capsys.readouterr().err
