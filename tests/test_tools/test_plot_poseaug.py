import json

import cv2
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from test_hostile_files import ROOT, Payload
from toy_lifting import write_lifting

from mmposeda.models.networks.pose_augmentor import PoseAugmentor
from mmposeda.structures.lifting_camera import in_view, project_h36m

TWO_SETS = """
near = dict(**_base_.dataset, test_mode=True)
far = dict(type='CMUMocapDataset', data_root='{folder}', files='motion.npz', test_mode=True,
           cameras=[dict(azimuth=200, elevation=60, distance=9, focal=1.1)])
test_dataloader = dict(dataset=dict(_delete_=True, type='LiftingSets', datasets=dict(near=near, far=far, none=None)))
"""
RANDOM = "model = dict(augmentor=dict(_delete_=True, type='RandomPoseAugmentor'))"
SUPERVISED = """
model = dict(_delete_=True, type='SupervisedLifter', estimator=_base_.model.estimator)
stages = [dict(name='first'), dict(name='second', model=dict(flip_test=True))]
"""


@pytest.fixture
def toy_poseaug(tmp_path):
    """Return a function that writes the toy task, with more config text, and returns its config's path."""
    runtime = ROOT / 'configs' / '_base_' / 'default_runtime.py'
    return lambda more=TWO_SETS: write_lifting(tmp_path, runtime, more.replace('{folder}', str(tmp_path)))


@pytest.fixture
def checkpoint(tmp_path):
    """Checkpoint whose augmentor has seen nothing."""
    torch.manual_seed(1)
    state = {f'augmentor.{key}': value for key, value in PoseAugmentor(hidden=16).state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'iter_4.pth')
    return tmp_path / 'iter_4.pth'


@pytest.fixture
def plot(tool, tmp_path):
    """Return a function that runs the tool and gives the picture it has written."""

    def run(*args):
        path = tool('plot_poseaug').main([str(arg) for arg in (*args, '--out', tmp_path / 'new' / 'figure.png')])
        picture = cv2.imread(str(path))
        assert path == tmp_path / 'new' / 'figure.png' and picture.std() > 5
        return picture

    return run


@pytest.fixture
def shown(tool, monkeypatch, tmp_path):
    """Return a function that runs the tool and gives what its figure would be of."""

    def run(*args):
        module, given = tool('plot_poseaug'), []
        for name in ('augmentation_sheet', 'distribution_figure', 'error_by_action'):
            monkeypatch.setattr(module, name, lambda *args, **kwargs: given.append((*args, kwargs)) or Figure((1, 1)))
        module.main([str(arg) for arg in (*args, '--out', tmp_path / 'figure.png')])
        return given[0]

    return run


def fails(plot, *args):
    """The one line that the tool ends with."""
    with pytest.raises(SystemExit) as caught:
        plot(*args)
    text = str(caught.value)
    assert text.startswith(f'plot_poseaug.py {args[0]}: ') and '\n' not in text
    return text


def test_pictures_are_written(toy_poseaug, checkpoint, plot):
    config = toy_poseaug()
    two, three = (plot('augmentations', config, checkpoint, '--num', num) for num in (2, 3))
    assert len(two) < len(three)
    plot('distributions', config, checkpoint, '--num', 20)


def test_seeds_choose_the_poses_and_what_is_done_to_them(toy_poseaug, checkpoint, shown):
    config = toy_poseaug()
    one, same, other = (shown('augmentations', config, checkpoint, '--seed', seed)[0] for seed in (3, 3, 4))
    assert all((one[key] == same[key]).all() for key in one)
    assert all((one[key] != other[key]).any() for key in ('source', 'ba', 'bl', 'rt', 'projected'))
    one, same, other = (shown('distributions', config, checkpoint, '--num', 9, '--seed', s)[0] for s in (3, 3, 4))
    assert all((one[key] == same[key]).all() and (one[key] != other[key]).any() for key in one)


def test_batches_are_those_of_training(toy_poseaug, checkpoint, shown, tool):
    config = toy_poseaug()
    examples, metainfo, count, title, _ = shown('augmentations', config, checkpoint, '--num', 10)
    assert len(examples['rt']) == 16 and count == 10  # two batches of 8
    assert metainfo['dataset_name'] == 'body16_3d' and title == 'lifting, iter_4.pth'
    module = tool('plot_poseaug')
    args = module.parse_args(['augmentations', str(config), str(checkpoint)])
    augmentation = module.Augmentation(module.config_of(args), args)
    augmentor = augmentation.augmentor
    saved = torch.load(checkpoint, weights_only=True)['state_dict']
    assert (augmentor.angle_head.weight == saved['augmentor.angle_head.weight']).all()
    examples, seen = augmentation.batch()
    # the batch's own statistics
    assert augmentor.training and (augmentor.norms[0].running_mean != saved['augmentor.norms.0.running_mean']).all()
    pairs = augmentation.pairs
    rows = [int(np.flatnonzero((pairs.poses == pose).all((1, 2)))[0]) for pose in examples['source'].numpy()]
    assert len(set(rows)) == 8
    camera, aspect = (pairs.__getitems__(rows)['inputs'][key] for key in ('camera', 'aspect'))
    torch.testing.assert_close(examples['projected'], project_h36m(examples['rt'], camera))
    assert (seen == in_view(examples['rt'], examples['projected'], aspect)).all()


@pytest.mark.parametrize('num', [30, 500])
def test_distributions_are_of_poses_in_the_picture_and_of_the_test_sets(toy_poseaug, checkpoint, shown, num):
    sets, skeleton, reference, given = shown('distributions', toy_poseaug(), checkpoint, '--num', num)
    assert list(sets) == ['source', 'augmented', 'near', 'far'] and reference == 'augmented'
    assert {name: len(poses) for name, poses in sets.items()} == dict(
        source=min(num, 40), augmented=num, near=min(num, 40), far=min(num, 40)
    )
    assert skeleton.name == 'body16_3d' and '% of the augmented poses lie in the picture' in given['title']
    poses = torch.from_numpy(sets['augmented'])
    camera = torch.tensor([2 * 1.1, 2 * 1.1, 0, 0, 0, 0, 0, 0, 0])
    assert in_view(poses, project_h36m(poses, camera), 1.0).all()
    far = shown('distributions', toy_poseaug(), checkpoint, '--num', num, '--sets', 'far', '--title', 'mine')
    assert list(far[0]) == ['source', 'augmented', 'far'] and far[-1]['title'] == 'mine'


def test_joints_that_cannot_be_seen_do_not_count(tool):
    class Dataset:
        poses, visible = np.ones((5, 16, 3), np.float32), np.ones((5, 16), bool)

        def __len__(self):
            return 5

    Dataset.visible[:, 3] = False
    module = tool('plot_poseaug')
    poses = module.some(Dataset(), module.parse_args(['distributions', 'config.py']))
    assert poses.shape == (5, 16, 3) and (np.isnan(poses).all((0, 2)) == ~Dataset.visible[0]).all()


def test_the_random_control_needs_no_checkpoint_and_minds_none_of_its_run(toy_poseaug, checkpoint, shown, tmp_path):
    config = toy_poseaug(RANDOM)
    torch.save(dict(state_dict=dict(weight=torch.ones(2))), tmp_path / 'iter_9.pth')
    without, with_it = (shown('augmentations', config, *more) for more in ([], [tmp_path / 'iter_9.pth']))
    assert (
        (without[0]['rt'] == with_it[0]['rt']).all() and without[3] == 'lifting' and with_it[3] == 'lifting, iter_9.pth'
    )
    assert 'has no weights: leave `checkpoint` out' in fails(shown, 'augmentations', config, checkpoint)
    assert list(shown('distributions', config, '--num', 20)[0]) == ['source', 'augmented', 'test']


def test_what_cannot_be_augmented_ends_in_one_line(toy_poseaug, checkpoint, shown, tmp_path):
    config = toy_poseaug()
    assert 'PoseAugmentor has to be trained: give `checkpoint`' in fails(shown, 'augmentations', config)
    assert 'none.pth does not exist' in fails(shown, 'distributions', config, tmp_path / 'none.pth')
    torch.save(dict(state_dict=dict(weight=torch.ones(2))), tmp_path / 'lifter.pth')
    assert 'has no weights augmentor.*, but of weight' in fails(shown, 'augmentations', config, tmp_path / 'lifter.pth')
    wider = ['--cfg-options', 'model.augmentor.hidden=8']
    assert 'is of other joints or layers' in fails(shown, 'augmentations', config, checkpoint, *wider)
    torch.save(dict(state_dict={}, more=Payload(tmp_path / 'ran')), tmp_path / 'hostile.pth')
    assert 'is refused' in fails(shown, 'augmentations', config, tmp_path / 'hostile.pth')
    assert not (tmp_path / 'ran').exists()
    message = fails(shown, 'distributions', config, checkpoint, '--sets', 'near', 'mars')
    assert "there is no test set 'mars'" in message and message.endswith('lifting.py, but near, far')
    assert 'none.py' in fails(shown, 'augmentations', tmp_path / 'none.py', checkpoint)
    supervised = toy_poseaug(SUPERVISED)
    assert 'has no augmentor in its model, a SupervisedLifter' in fails(shown, 'augmentations', supervised, checkpoint)
    assert "there is no stage 'third'" in fails(shown, 'augmentations', supervised, checkpoint, '--stage', 'third')


def test_an_augmentor_that_throws_people_out_of_the_picture_is_named(toy_poseaug, checkpoint, shown):
    content = torch.load(checkpoint, weights_only=True)
    content['state_dict']['augmentor.translation_head.bias'] += torch.tensor([1000.0, 0, 0])
    torch.save(content, checkpoint)
    message = fails(shown, 'distributions', toy_poseaug(), checkpoint, '--num', 4)
    assert 'none of 200 augmented poses lies in the picture' in message
    outside = shown('augmentations', toy_poseaug(), checkpoint)[0]['projected']
    assert (outside.abs() > 1).any(-1).all()


def write_results(folder, methods, seeds=(0, 1), sets=('walk', 'run', 'dance')):
    rng = np.random.default_rng(0)
    values = {}
    for method in methods:
        for seed in seeds:
            by_set = {name: rng.uniform(40, 90) for name in sets}
            values[method, seed] = list(by_set.values())
            named = dict(frames=1.0, actions=2.0, **by_set, **{'run/fast': 20.0 + seed, 'run/slow': 30.0})
            metrics = {f'lifting/MPJPE/{name}': value for name, value in named.items()}
            metrics.update({f'lifting/PA-MPJPE/{name}': value / 2 for name, value in named.items()})
            metrics['lifting/PCK@150/walk'] = 99.0
            path = folder / method / f'seed_{seed}' / 'result.json'
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(dict(method=method, seed=seed, metrics=metrics)))
    return values


METHODS = ['gcn_poseaug', 'gcn_supervised', 'new_no_feedback', 'vpose_other', 'vpose_supervised', 'vpose_no_feedback']


def test_errors_have_a_panel_a_network_in_the_order_of_the_benchmark(tmp_path, shown, plot):
    values = write_results(tmp_path / 'bench', METHODS)
    panels, sets, label, title, apart, _ = shown('errors', tmp_path / 'bench', '--apart', 'run')
    assert {network: list(bars) for network, bars in panels.items()} == dict(
        vpose=['supervised', 'no feedback', 'other'], gcn=['supervised', 'poseaug'], new=['no feedback']
    )
    assert list(panels) == ['vpose', 'gcn', 'new'] and sets == ['run', 'walk', 'dance'] and apart == 1
    rows = np.array([values['vpose_other', seed] for seed in (0, 1)])
    assert panels['vpose']['other'] == pytest.approx(rows[:, [1, 0, 2]])
    assert label == 'MPJPE (mm)' and title == 'mean and standard deviation over seeds 0, 1'
    plot('errors', tmp_path / 'bench', '--metric', 'PA-MPJPE')


def test_folders_metrics_and_names_can_be_chosen(tmp_path, shown):
    values = write_results(tmp_path / 'bench', METHODS)
    one = tmp_path / 'bench' / 'vpose_other' / 'seed_1'
    panels, sets, label, title, *_ = shown('errors', one, one, '--metric', 'PA-MPJPE', '--sets', 'dance', 'walk')
    assert panels['vpose']['other'] == pytest.approx(np.array([values['vpose_other', 1]])[:, [2, 0]] / 2)
    assert label == 'PA-MPJPE (mm)' and title == 'seed 1'
    chosen = ['--networks', 'gcn', 'vpose', '--variants', 'poseaug', 'supervised', '--title', 'mine']
    panels, *_, title, _, _ = shown('errors', tmp_path / 'bench', *chosen)
    assert {network: list(bars) for network, bars in panels.items()} == dict(
        gcn=['poseaug', 'supervised'], vpose=['supervised']
    )
    assert list(panels) == ['gcn', 'vpose'] and title == 'mine'
    panels, sets, label, *_ = shown('errors', tmp_path / 'bench', '--metric', 'PCK@150')
    assert sets == ['walk'] and label == 'PCK@150 (%)'
    panels, sets, *_ = shown('errors', tmp_path / 'bench', '--within', 'run')
    assert sets == ['fast', 'slow'] and panels['gcn']['poseaug'].tolist() == [[20, 30], [21, 30]]


def test_what_is_missing_is_left_open(tmp_path, shown):
    write_results(tmp_path, ['poseaug', 'random'], sets=('walk', 'run'))
    write_results(tmp_path / 'more', ['supervised'], seeds=[0], sets=('walk',))
    panels, sets, _, title, *_ = shown('errors', tmp_path)
    assert list(panels) == [''] and list(panels['']) == ['supervised', 'random', 'poseaug']
    assert sets == ['walk', 'run'] and np.isnan(panels['']['supervised']).tolist() == [[False, True]]
    assert title == 'mean and standard deviation over 1 to 2 seeds'


def test_wrong_results_end_in_one_line(tmp_path, shown):
    bench, empty, broken = (tmp_path / name for name in ('bench', 'empty', 'broken'))
    write_results(bench, METHODS)
    for folder in (empty, broken):
        folder.mkdir()
    assert 'there is no folder' in fails(shown, 'errors', tmp_path / 'none')
    assert 'adaptation.py writes them to METHOD/seed_S' in fails(shown, 'errors', empty)
    assert 'has MPVPE/..., but lifting/MPJPE/actions' in fails(shown, 'errors', bench, '--metric', 'MPVPE')
    for flag, what in (('--sets', 'test set'), ('--apart', 'test set'), ('--networks', 'network')):
        assert f"there is no {what} 'mars' in {bench}, but " in fails(shown, 'errors', bench, flag, 'mars')
    none = fails(shown, 'errors', bench, '--networks', 'new', '--variants', 'poseaug')
    assert none.endswith('is one of networks new and poseaug')
    write_results(tmp_path / 'again', METHODS[:1])
    assert 'are both of gcn_poseaug, seed 0' in fails(shown, 'errors', bench, tmp_path / 'again')
    for text, reason in (('nothing', 'Expecting'), ('[]', 'list'), ('{"method": "a"}', "it has no 'seed'")):
        (broken / 'result.json').write_text(text)
        message = fails(shown, 'errors', broken)
        assert 'is no result of tools/benchmarks/adaptation.py: ' in message and reason in message
