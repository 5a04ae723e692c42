import json

import cv2
import numpy as np
import pytest

from mmposeda.datasets.difficulty import DifficultyScores, read_poses
from mmposeda.evaluation.eval_pose import EvalPose
from mmposeda.registry import DATASETS
from mmposeda.structures.pose_angles import angle_triplets, reference_angles
from mmposeda.structures.skeleton import Skeleton

LSP = Skeleton.from_metainfo('lsp')
CONFIG = """
default_scope = 'mmposeda'
source = dict(type='LSPDataset', data_root='{root}', ann_file='ann.json', data_prefix=dict(img='images/'),
              pipeline=[dict(type='LoadImage')])
train_dataloader = dict(dataset=dict(type='CombinedDataset', datasets=[
    source, dict(type='UnlabeledDataset', dataset=source)]))
val_dataloader = dict(dataset=source)
other = dict(**source, part='val', val_start=10)
number = 3
"""


@pytest.fixture
def task(tmp_path, write_people):
    """A config whose source has twelve people, and their scores in four bins."""
    folder = write_people(tmp_path / 'people', count=12)
    config = tmp_path / 'config.py'
    config.write_text(CONFIG.format(root=folder))
    dataset = DATASETS.build(dict(type='LSPDataset', data_root=str(folder), ann_file='ann.json', pipeline=[]))
    poses = read_poses(dataset)
    scores = np.random.default_rng(0).uniform(0.1, 1, 12).astype(np.float32)
    scores[5] = np.nan
    path = tmp_path / 'scores.npz'
    DifficultyScores.of(poses, scores, 4).save(str(path))
    return str(path), str(config), poses, tmp_path


@pytest.fixture
def plot(tool):
    """Return a function that runs the tool and gives the picture it has written."""

    def run(*args):
        path = tool('plot_difficulty').main([str(arg) for arg in args])
        picture = cv2.imread(str(path))
        assert picture is not None and picture.std() > 5
        return path, picture

    return run


def fails(plot, *args):
    """The one line that the tool ends with."""
    with pytest.raises(SystemExit) as caught:
        plot(*args)
    text = str(caught.value)
    assert text.startswith(f'plot_difficulty.py {args[0]}: ') and '\n' not in text
    return text


@pytest.mark.parametrize('command', ['poses', 'similarity', 'hardest'])
def test_figures_are_written_beside_the_scores(task, plot, command):
    scores, config, _, folder = task
    path, _ = plot(command, scores, config)
    assert path == folder / f'scores_{command}.png'


def test_the_data_set_can_be_named_and_be_a_part_of_the_scored_one(task, plot, tool):
    scores, config, poses, folder = task
    tool = tool('plot_difficulty')
    for key in ('source', 'val_dataloader.dataset', 'train_dataloader.dataset.datasets.0', 'other'):
        found, values, *_ = tool.read(tool.parse_args(['poses', scores, config, '--dataset', key]))
        kept = poses.ids >= 10 if key == 'other' else poses.ids > 0
        assert (found.ids == poses.ids[kept]).all() and len(values) == kept.sum() > 2
    plot('poses', scores, config, '--dataset', 'other', '--out', folder / 'new' / 'figure.png')


def test_a_file_of_poses_does_for_a_config(task, plot):
    scores, config, poses, folder = task
    file = folder / 'poses.npz'
    np.savez(file, **poses._asdict())
    _, one = plot('similarity', scores, config, '--variant', 'signed')
    _, two = plot('similarity', scores, file, '--joints', 'lsp', '--variant', 'signed')
    assert (one == two).all()
    plot('hardest', scores, file, '--joints', 'lsp')
    assert 'add --joints' in fails(plot, 'poses', scores, file)
    assert '14 joints, but --joints hand21 has 21' in fails(plot, 'poses', scores, file, '--joints', 'hand21')


def test_pictures_are_shown_unless_stick_figures_are_asked_for(task, plot):
    scores, config, *_ = task
    _, photos = plot('hardest', scores, config, '--count', 4, '--columns', 2)
    _, sticks = plot('hardest', scores, config, '--count', 4, '--columns', 2, '--no-pictures')
    assert photos.shape == sticks.shape and photos[60:160, 40:140].std() > 1.5 * sticks[60:160, 40:140].std()


def test_saved_mean_angles_are_for_the_metric(task, plot):
    scores, config, poses, folder = task
    mean = folder / 'mean.npz'
    plot('similarity', scores, config, '--variant', 'centred', '--save-mean', mean)
    want = reference_angles(poses.keypoints.astype(float), poses.visible, angle_triplets(LSP))
    np.testing.assert_allclose(EvalPose(mean=str(mean))._reference, want)


def write_metrics(path, seed=0, bins=25, nested=False, key='PCK/all@0.05'):
    values = np.random.default_rng(seed).uniform(30, 90, bins)
    metrics = {key: values.mean(), **{f'{key}_bin_{j:02d}': v for j, v in enumerate(values)}, f'{key}_slope': -1.0}
    path.write_text(json.dumps(dict(method='x', metrics=metrics) if nested else metrics))
    return path


def test_bars_of_methods_and_seeds(tmp_path, plot, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = [write_metrics(tmp_path / f'{i}.json', i, nested=i % 2 == 0) for i in range(4)]
    path, _ = plot('bars', f'RegDA={files[0]}', f'RegDA={files[1]}', f'VAE-HM={files[2]}')
    assert str(path) == 'bars.png'
    plot('bars', f'a={write_metrics(tmp_path / "b.json", key="EvalPose/raw")}', '--metric', 'EvalPose/raw')


def test_wrong_metrics_end_in_one_line(tmp_path, plot):
    good, few = write_metrics(tmp_path / 'good.json'), write_metrics(tmp_path / 'few.json', bins=5)
    assert 'expected LABEL=FILE' in fails(plot, 'bars', good)
    assert 'none.json' in fails(plot, 'bars', f'a={tmp_path / "none.json"}')
    assert 'has no PCK/knee by bin; there are PCK/all@0.05' in fails(plot, 'bars', f'a={good}', '--metric', 'PCK/knee')
    assert "got {'a': 25, 'b': 5}" in fails(plot, 'bars', f'a={good}', f'b={few}')
    assert 'the files of a have [25, 5] bins' in fails(plot, 'bars', f'a={good}', f'a={few}')
    for text, message in (('nothing', 'is no JSON file'), ('[]', 'evaluate with BinnedMetric'), ('{}', 'BinnedMetric')):
        (tmp_path / 'bad.json').write_text(text)
        assert message in fails(plot, 'bars', f'a={tmp_path / "bad.json"}')


def test_wrong_data_ends_in_one_line(task, plot):
    scores, config, poses, folder = task
    assert 'none.npz does not exist' in fails(plot, 'poses', folder / 'none.npz', config)
    assert 'none.py' in fails(plot, 'poses', scores, folder / 'none.py')
    assert 'has no nope.dataset' in fails(plot, 'poses', scores, config, '--dataset', 'nope.dataset')
    assert 'number in' in fails(plot, 'poses', scores, config, '--dataset', 'number')
    unlabelled = 'train_dataloader.dataset.datasets.1'
    assert 'is unlabelled data' in fails(plot, 'poses', scores, config, '--dataset', unlabelled)
    changed = poses._replace(keypoints=poses.keypoints + 1)
    DifficultyScores.of(changed, np.ones(12), 4).save(str(folder / 'changed.npz'))
    assert 'poses are others than were scored' in (text := fails(plot, 'poses', folder / 'changed.npz', config))
    assert '--dataset' in text
    assert 'no bar' in fails(plot, 'poses', scores, config, '--stage', 'no bar')
    assert 'xyz' in fails(plot, 'poses', scores, config, '--out', folder / 'figure.xyz')
    (folder / 'people' / 'images' / 'im00001.jpg').write_bytes(b'nothing')
    assert 'im00001.jpg cannot be read' in fails(plot, 'hardest', scores, config)
