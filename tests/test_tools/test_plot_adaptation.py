"""The tool that draws what an adaptation does, on checkpoints of the toy adaptation."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from test_hostile_files import Payload
from test_no_leak import poison
from toy_adaptation import CCSSL, DANN, RECONSTRUCTION, REGDA, UDAPE

from mmposeda.engine.adaptation import by_confidence, domain_features, head_maps, pseudo_labels
from mmposeda.models.heatmap_estimator import predict_heatmaps
from mmposeda.registry import DATASETS, MODELS
from mmposeda.structures.heatmap import gaussian_heatmaps, heatmap_argmax

METHODS = dict(views=UDAPE, labels=CCSSL, maps=REGDA, features=DANN)
#: Each figure of a checkpoint of the method that it is for; a path is a picture of nine target and seven source ones.
FLAGS = dict(
    views=['--num-pictures', 6, '--num', 2, '--cell', 40],
    labels=['--num', 2],
    maps=['--num', 3, '--joint', 'right', '--cell', 40],
    features=['--num-pictures', 7, '--by', 'pca'],
)
RUN = 'train_cfg = dict(max_iters=2, val_interval=2)\ndefault_hooks = dict(checkpoint=dict(interval=2))\n'


def build(config):
    """Model, in evaluation mode, and training data of a config."""
    cfg = Config.fromfile(config)
    torch.manual_seed(0)
    return MODELS.build(cfg.model).eval(), DATASETS.build(cfg.train_dataloader.dataset)


def filled(model, number=9):
    """Give a CCSSL pseudo-labels, those of joint 0 by a threshold of their own."""
    generator = torch.Generator().manual_seed(3)
    confidence = torch.rand(number, 2, generator=generator)
    labels = 32 * torch.rand(number, 2, 2, generator=generator)
    model.table.fill(labels, confidence, confidence > torch.tensor([0.3, 0.6]), 1)


@pytest.fixture(autouse=True)
def no_collection(monkeypatch):
    # MMEngine collects garbage for every data set it loads: most of the time of these tests
    monkeypatch.setattr('gc.collect', lambda *args: 0)


@pytest.fixture
def checkpoint(tmp_path):
    """Return a function that writes a checkpoint of a config's model."""

    def write(config, name='weights'):
        model, _ = build(config)
        if hasattr(model, 'table'):
            filled(model)
        torch.save(dict(state_dict=model.state_dict()), tmp_path / f'{name}.pth')
        return tmp_path / f'{name}.pth'

    return write


@pytest.fixture
def plot(tool, tmp_path):
    """Return a function that runs the tool and gives the picture it has written."""

    def run(*args, name='new/figure.png'):
        path = tool('plot_adaptation').main([str(arg) for arg in (*args, '--out', tmp_path / name)])
        assert path == tmp_path / name
        return cv2.imread(str(path))

    return run


def fails(plot, *args, **kwargs):
    """The one line that the tool ends with."""
    with pytest.raises(SystemExit) as caught:
        plot(*args, **kwargs)
    text = str(caught.value)
    assert text.startswith(f'plot_adaptation.py {args[0]}: ') and '\n' not in text
    return text


@pytest.mark.parametrize('kind', METHODS)
def test_figures_follow_from_checkpoint_and_seed_and_from_no_label_of_the_target(
    kind, toy_adaptation, checkpoint, plot, tmp_path
):
    config = toy_adaptation(METHODS[kind])
    args = [kind, config, checkpoint(config), *FLAGS[kind]]
    state = torch.get_rng_state()
    first = plot(*args)
    assert first.std() > 5 and torch.equal(torch.get_rng_state(), state)
    columns, rows = dict(views=(6, 2), maps=(4, 3)).get(kind, (None, None))
    assert columns is None or first.shape == (18 + rows * 40, columns * 40, 3)
    poison(tmp_path / 'target' / 'labels.json')
    assert (plot(*args) == first).all()
    if kind == 'views':
        assert (plot(*args, '--seed', 1, name='other.jpg') != first).any()


@pytest.mark.parametrize('method, columns', [(CCSSL, 3), (RECONSTRUCTION, 6)])
def test_views_of_others_that_have_a_preview(method, columns, toy_adaptation, checkpoint, plot, capfd):
    config = toy_adaptation(method)
    # the first has no teacher and hides nothing
    assert plot('views', config, checkpoint(config), *FLAGS['views']).shape == (18 + 2 * 40, columns * 40, 3)
    assert 'WARN' not in capfd.readouterr().err


def test_labels_of_a_run_are_those_that_it_trained_on(toy_adaptation, tool, plot, tmp_path):
    config = toy_adaptation(CCSSL + RUN)
    tool('train').main([str(config), '--work-dir', str(tmp_path / 'run'), '--no-validate'])
    assert plot('labels', config, tmp_path / 'run' / 'iter_2.pth', '--title', 'mine').std() > 5


def test_pictures_are_ordered_by_the_confidence_of_their_labels(toy_adaptation):
    model, dataset = build(toy_adaptation(CCSSL))
    filled(model)
    found = pseudo_labels(model, dataset, 2)
    assert list(found) == ['surest', 'middle', 'least sure']
    of_picture = model.table.confidence.mean(1)
    shown = torch.cat([torch.from_numpy(group.confidence) for group in found.values()]).mean(1)
    ordered = of_picture.sort(descending=True).values
    assert torch.equal(shown, ordered[[0, 1, 3, 4, 7, 8]])
    for name, rows in by_confidence(model.table.confidence.numpy(), 2).items():
        group = found[name]
        assert np.array_equal(group.points, model.table.labels[rows]) and group.kept.dtype == bool
        for row, picture in zip(rows, group.pictures):
            crop = dataset.datasets[1][row]['inputs'].permute(1, 2, 0).numpy()
            assert np.array_equal(picture, crop) or np.array_equal(picture, crop[..., ::-1])


def test_a_group_has_at_most_a_third_of_the_pictures():
    confidence = np.arange(20.0).reshape(10, 2)
    assert by_confidence(confidence, 9) == {'surest': [9, 8, 7], 'middle': [6, 5, 4], 'least sure': [2, 1, 0]}
    with pytest.raises(ValueError, match='at least three pictures with pseudo-labels, got 2'):
        by_confidence(confidence[:2], 1)


@pytest.mark.parametrize('joint, other', [('left', 'right'), ('right', 'left')])
def test_maps_are_of_the_joint_of_that_name(joint, other, toy_adaptation):
    model, dataset = build(toy_adaptation(REGDA))
    maps = head_maps(model, dataset, joint, 4)
    names = ['left', 'right']
    assert maps.pictures.shape == (4, 32, 32, 3)
    for part in (maps.main, maps.adversarial):  # both heads are trained by a divergence
        assert part.sum((1, 2)) == pytest.approx(np.ones(4), abs=1e-5)
    images = (torch.from_numpy(maps.pictures).permute(0, 3, 1, 2).float() - 127) / 64
    with torch.no_grad():
        logits = predict_heatmaps(model.student, images)
        cells = heatmap_argmax(logits)[0]
    assert maps.main == pytest.approx(logits[:, names.index(joint)].flatten(1).softmax(1).view(4, 8, 8).numpy())
    wanted = gaussian_heatmaps(cells, (8, 8), model.layout.sigma)[:, names.index(other)]
    assert maps.false == pytest.approx(wanted.numpy(), abs=1e-6), 'there are no other joints'


def test_a_head_of_squared_errors_is_shown_as_it_is(toy_adaptation):
    squared = "model = dict(estimator=dict(head=dict(loss=dict(_delete_=True, type='KeypointMSELoss'))))\n"
    config = toy_adaptation(REGDA)
    path = config.with_name('squared.py')
    path.write_text(f"_base_ = ['{config}']\n{squared}")
    model, dataset = build(path)
    maps = head_maps(model, dataset, 'left', 2)
    images = (torch.from_numpy(maps.pictures).permute(0, 3, 1, 2).float() - 127) / 64
    with torch.no_grad():
        assert maps.main == pytest.approx(predict_heatmaps(model.student, images)[:, 0].clamp(min=0).numpy())


def test_augmentation_tells_no_domains_apart(toy_adaptation):
    model, dataset = build(toy_adaptation(DANN))
    found = domain_features(model, dataset, 7)
    source, target = dataset.datasets
    assert source.pipeline is target.pipeline and found.labelled.tolist() == [True] * 7 + [False] * 7
    assert found.features.shape == (14, 8) and 0 <= found.accuracy <= 1
    assert source[0]['inputs'].shape == (3, 32, 32)


def test_features_of_several_models_stand_side_by_side(toy_adaptation, checkpoint, plot, tmp_path, capsys):
    config = toy_adaptation(DANN)
    whole, plain, source_only = checkpoint(config), tmp_path / 'plain.pth', tmp_path / 'source_only.pth'
    state = torch.load(whole, weights_only=True)['state_dict']
    student = {key: value for key, value in state.items() if key.startswith('student.')}
    torch.save(dict(state_dict=student), source_only)
    torch.save(dict(state_dict={key.removeprefix('student.'): value for key, value in student.items()}), plain)
    flags = FLAGS['features']
    picture = plot('features', f'plain={config}', plain, f'source only={config}', source_only, config, whole, *flags)
    lines = [line for line in capsys.readouterr().out.splitlines() if 'linear probe' in line]
    assert len({line.rpartition('tells ')[2] for line in lines}) == 1, 'one network in three files'
    assert [line.split(':')[0] for line in lines] == ['plain', 'source only', 'DANN, weights']
    assert picture.shape[1] > 800
    assert "two models are named 'a'" in fails(plot, 'features', f'a={config}', plain, f'a={config}', whole, *flags)


def test_a_checkpoint_of_another_adapter_is_refused(toy_adaptation, checkpoint, plot, tmp_path):
    config = toy_adaptation(UDAPE)
    weights = checkpoint(config)
    for kind in ('labels', 'maps', 'features'):
        other = tmp_path / f'{kind}.py'
        other.write_text(f"_base_ = ['{tmp_path / 'task.py'}']\n{METHODS[kind]}")
        if kind != 'features':
            assert 'weights of the' in fails(plot, kind, other, weights, *FLAGS[kind])
            assert 'got a UDAPE: name another config' in fails(plot, kind, config, weights, *FLAGS[kind])
    state = torch.load(weights, weights_only=True)['state_dict']
    alone = {key: value for key, value in state.items() if not key.startswith('teacher.')}
    torch.save(dict(state_dict=alone), tmp_path / 'alone.pth')
    text = fails(plot, 'views', config, tmp_path / 'alone.pth', *FLAGS['views'])
    assert 'weights of the UDAPE' in text and 'such as teacher.backbone' in text and 'give a checkpoint of' in text
    dann = checkpoint(tmp_path / 'features.py', 'dann')
    assert 'needs a mean teacher such as UDAPE, got a DANN' in fails(plot, 'views', tmp_path / 'features.py', dann)


def test_what_cannot_be_drawn_ends_in_one_line(toy_adaptation, checkpoint, plot, tmp_path):
    config = toy_adaptation(REGDA)
    weights, flags = checkpoint(config), FLAGS['maps']
    assert 'none.pth does not exist' in fails(plot, 'maps', config, tmp_path / 'none.pth', *flags)
    assert 'none.py' in fails(plot, 'maps', tmp_path / 'none.py', weights, *flags)
    unknown = fails(plot, 'maps', config, weights, '--joint', 'nose')
    assert "has no joint 'nose'; it has left, right" in unknown and not unknown.endswith('"')
    assert 'is of no kind that pictures' in fails(plot, 'maps', config, weights, *flags, name='new/figure.txt')
    assert "there is no stage 'third'" in fails(plot, 'maps', config, weights, *flags, '--stage', 'third')
    change = [*flags, '--cfg-options']
    assert 'has no train_dataloader' in fails(plot, 'maps', config, weights, *change, 'train_dataloader=None')
    source = 'train_dataloader.dataset.datasets.1.dataset.ann_file=none.json'
    assert 'none.json' in fails(plot, 'maps', config, weights, *change, source)
    alone = tmp_path / 'alone.py'
    alone.write_text(
        f"_base_ = ['{config}']\nfirst = _base_.train_dataloader['dataset']['datasets'][0]\n"
        'train_dataloader = dict(dataset=dict(datasets=[first]))\n'
    )
    assert 'have no unlabelled pictures' in fails(plot, 'maps', alone, weights, *flags)
    torch.save(dict(state_dict={}, more=Payload(tmp_path / 'ran')), tmp_path / 'other.pth')
    assert 'is refused' in fails(plot, 'maps', config, tmp_path / 'other.pth', *flags)
    assert not (tmp_path / 'ran').exists() and not (tmp_path / 'new' / 'figure.png').exists()


def test_a_table_that_does_not_fit_is_refused(toy_adaptation, checkpoint, plot, tmp_path):
    config = toy_adaptation(CCSSL)
    weights = checkpoint(config)
    fewer = json.loads((tmp_path / 'target' / 'labels.json').read_text())
    fewer['annotations'].pop()
    (tmp_path / 'target' / 'labels.json').write_text(json.dumps(fewer))
    assert 'pseudo-labels of 9 target pictures and the target has 8' in fails(plot, 'labels', config, weights)
    model, _ = build(config)
    torch.save(dict(state_dict=model.state_dict()), weights)
    assert 'holds no pseudo-labels yet' in fails(plot, 'labels', config, weights)


@pytest.mark.parametrize(
    'args, message',
    [
        (['views', 'a.py', 'a.pth', '--num', '0'], '--num must be at least 1, got 0'),
        (['features', 'a.py', 'a.pth', '--num-pictures', '4'], '--num-pictures must be at least 5, got 4'),
        (['features', 'a.py', 'a.pth', 'b.py'], 'features wants pairs of CONFIG CHECKPOINT, got 3 paths'),
        (['maps', 'a.py', 'a.pth'], '--joint'),
    ],
)
def test_flags_that_cannot_be_are_refused(args, message, tool, capsys):
    with pytest.raises(SystemExit):
        tool('plot_adaptation').main(args)
    assert message in capsys.readouterr().err
