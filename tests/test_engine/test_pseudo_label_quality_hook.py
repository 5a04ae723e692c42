"""The hook against GroupedPCK and a plain loop, with a model whose answers depend on the picture alone."""

import copy
import json
import logging
import random
import types

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.logging import MessageHub
from torch import nn
from torch.utils.data import DataLoader

from mmposeda.engine.hooks import PseudoLabelQualityHook
from mmposeda.evaluation import GroupedPCK
from mmposeda.registry import DATASETS, HOOKS, MODELS

LOGGER = logging.getLogger('quality')
SIDE = 64


class Judge(nn.Module):
    """Takes places and trust off the pictures; counts what it is asked."""

    def __init__(self, joints=14, three=True):
        super().__init__()
        self.data_preprocessor = MODELS.build(dict(type='PoseDataPreprocessor'))
        self.layers = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout())
        self.layers[0].eval()  # one that stays fixed while the others learn
        self.layout = types.SimpleNamespace(num_joints=joints)
        self.three, self.batches, self.seen = three, [], []

    def judge(self, images, pairs=()):
        assert not any(module.training for module in self.modules()) and not torch.is_grad_enabled()
        self.batches.append(len(images))
        self.seen += [int(image.double().sum()) for image in images]
        random.random(), np.random.rand(), torch.rand(1)  # noqa: NPY002
        joints = torch.arange(self.layout.num_joints)
        pixels = images.double().flatten(1)[:, 50 * joints + 7], images.double().flatten(1)[:, 90 * joints + 3]
        kept = {f'kept_{n}d': images.flatten(1)[:, 70 * joints + n] > 127 for n in (2, 3)[: 1 + self.three]}
        union = torch.stack(list(kept.values())).any(0)
        return {'points': torch.stack(pixels, -1) / 255 * SIDE, **kept, 'kept': union}


@pytest.fixture
def labelled(domain_pair):
    """Config of six labelled target pictures."""
    return domain_pair['target']


@pytest.fixture
def make_runner(tmp_path):
    """Return a function that makes what the hook needs of a runner."""

    def make(model=None, workers=0, **state):
        model = Judge() if model is None else model
        hub = MessageHub.get_instance(f'quality{id(model)}')
        state = dict(iter=0, _resume=False, work_dir=str(tmp_path)) | state
        loader = DataLoader([0], num_workers=workers)
        return types.SimpleNamespace(
            model=model, seed=3, logger=LOGGER, message_hub=hub, train_dataloader=loader, **state
        )

    return make


def train(runner, hook, iterations):
    hook.before_train(runner)
    for _ in range(iterations):
        hook.before_train_iter(runner, runner.iter)
        hook.after_train_iter(runner, runner.iter)
        runner.iter += 1


def rows(tmp_path):
    return [json.loads(line) for line in (tmp_path / 'pseudo_label_quality.jsonl').read_text().splitlines()]


def answers(dataset, three=True):
    """What the model says of each picture alone, and the samples with it as their prediction."""
    model, judged, samples = Judge(three=three).eval(), [], []
    for i in range(len(dataset)):
        batch = pseudo_collate([dataset[i]])
        with torch.no_grad():
            judged.append(model.judge(model.data_preprocessor(batch)['inputs']))
        sample = batch['data_samples'][0].to_dict()
        corner = sample['input_center'] - sample['input_scale'] / 2
        points = judged[-1]['points'].numpy() / sample['input_size'] * sample['input_scale'] + corner
        samples.append({**sample, 'pred_instances': dict(keypoints=points)})
    return {key: torch.cat([one[key] for one in judged]) for key in judged[0]}, samples


@pytest.mark.parametrize('batch_size, workers', [(2, 0), (4, 0), (16, 0), (4, 1)])
def test_right_is_what_grouped_pck_says(labelled, make_runner, tmp_path, batch_size, workers):
    dataset = DATASETS.build(labelled)
    said, samples = answers(dataset)
    runner = make_runner(workers=workers)
    train(runner, PseudoLabelQualityHook(labelled, interval=5, thr=0.25, batch_size=batch_size), 1)
    (row,) = rows(tmp_path)
    metric = GroupedPCK(thr=0.25)
    metric.dataset_meta = dataset.metainfo
    metric.process(None, samples)
    wanted = metric.evaluate(len(dataset))
    groups = {key[len('right/') :]: value for key, value in row.items() if key.startswith('right/')}
    assert {f'PCK/{name}@0.25': 100 * value for name, value in groups.items()} == pytest.approx(wanted)
    assert row['kept'] == pytest.approx(said['kept'].float().mean().item())
    assert row['overlap'] == pytest.approx(((said['kept_2d'] & said['kept_3d']).sum() / said['kept'].sum()).item())
    assert len(set(runner.model.batches)) == 1


def test_what_counts_is_labelled_whatever_else_is_kept(labelled, make_runner, tmp_path, domain_pair):
    path = domain_pair['root'] / 'target' / 'ann.json'
    content = json.loads(path.read_text())
    for annotation in content['annotations'][1:]:
        annotation['keypoints'][2::3] = [0] * 14
        annotation['num_keypoints'] = 1
        annotation['keypoints'][2] = 2
    path.write_text(json.dumps(content))
    said, _ = answers(DATASETS.build(labelled))
    train(make_runner(), PseudoLabelQualityHook(labelled), 1)
    known = torch.zeros(6, 14, dtype=torch.bool)
    known[0], known[:, 0] = True, True
    assert rows(tmp_path)[0]['kept'] == pytest.approx((said['kept'] & known).sum().item() / 19)


def test_comes_before_the_first_iteration_and_then_at_the_interval(labelled, make_runner, tmp_path):
    runner = make_runner(Judge(three=False))
    train(runner, PseudoLabelQualityHook(labelled, interval=3, batch_size=3, max_samples=3), 7)
    found = rows(tmp_path)
    assert [row['iter'] for row in found] == [0, 3, 6] and len(runner.model.batches) == 3
    assert 'repeat' not in found[0] and found[1]['repeat'] == found[2]['repeat'] == 1.0
    assert not any(key.startswith('overlap') for key in found[0])
    assert found[0]['ever_correct'] == pytest.approx(found[0].get('precision', 0) * found[0]['kept'])
    assert runner.message_hub.get_scalar('quality/kept').data[0].tolist() == [row['kept'] for row in found]


def test_of_a_large_set_samples_at_even_distances_are_looked_at(labelled, make_runner):
    dataset, runner = DATASETS.build(labelled), make_runner()
    sums = [int(dataset[i]['inputs'].double().sum()) for i in range(6)]
    train(runner, PseudoLabelQualityHook(labelled, batch_size=2, max_samples=3), 1)
    assert runner.model.seen == [sums[i] for i in (0, 2, 4, 0)]


@pytest.mark.parametrize('workers', [0, 1])
def test_model_and_random_state_are_left_as_they_were(labelled, make_runner, workers):
    runner = make_runner(workers=workers)
    before, modes = copy.deepcopy(runner.model.state_dict()), [m.training for m in runner.model.modules()]

    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002

    random.seed(0), np.random.seed(0), torch.manual_seed(0)  # noqa: NPY002
    wanted = draw()
    random.seed(0), np.random.seed(0), torch.manual_seed(0)  # noqa: NPY002
    train(runner, PseudoLabelQualityHook(labelled), 1)
    assert draw() == wanted
    assert [m.training for m in runner.model.modules()] == modes and True in modes and False in modes
    assert all(torch.equal(value, before[key]) for key, value in runner.model.state_dict().items())


def test_a_full_disk_is_reported_and_the_training_goes_on(labelled, make_runner, tmp_path, caplog):
    runner = make_runner(work_dir=str(tmp_path / 'gone'))
    train(runner, PseudoLabelQualityHook(labelled), 1)
    assert 'gone/pseudo_label_quality.jsonl could not be written: No such file' in caplog.text


def test_other_settings_than_those_of_the_checkpoint_are_refused(labelled, make_runner):
    first, checkpoint = PseudoLabelQualityHook(labelled), {}
    train(make_runner(), first, 1)
    first.before_save_checkpoint(None, checkpoint)
    for options, message in (
        (dict(thr=0.1), 'thr was 0.05 and is 0.1'),
        (dict(max_samples=5), 'of 6 pictures with 14 joints, the data set gives 5 pictures'),
    ):
        runner, hook = make_runner(_resume=True, iter=1), PseudoLabelQualityHook(labelled, **options)
        hook.after_load_checkpoint(runner, checkpoint)
        with pytest.raises(ValueError, match=f'do not fit: .*{message}.*Resume with the settings of the start'):
            hook.before_train(runner)


class TestRefused:
    def test_a_model_that_judges_nothing(self, labelled, make_runner):
        with pytest.raises(TypeError, match='UDAPE and GeometricReconstruction have it, got Linear'):
            PseudoLabelQualityHook(labelled).before_train(make_runner(nn.Linear(1, 1)))

    def test_pictures_without_labels(self, labelled, make_runner):
        with pytest.raises(ValueError, match='no ground truth keypoints for .*im00001.jpg'):
            PseudoLabelQualityHook(dict(type='UnlabeledDataset', dataset=labelled)).before_train(make_runner())

    def test_another_joint_set(self, labelled, make_runner):
        with pytest.raises(ValueError, match="LSPDataset .* has the 14 joints of 'lsp', the model labels 21"):
            PseudoLabelQualityHook(labelled).before_train(make_runner(Judge(joints=21)))

    def test_labels_of_no_joint(self, labelled, make_runner, domain_pair):
        path = domain_pair['root'] / 'target' / 'ann.json'
        content = json.loads(path.read_text())
        for annotation in content['annotations']:
            annotation['keypoints'][2::3] = [0] * 14
        path.write_text(json.dumps(content))
        with pytest.raises(ValueError, match='none of 84 joints of 6 pictures is labelled in LSPDataset'):
            train(make_runner(), PseudoLabelQualityHook(labelled), 1)

    @pytest.mark.parametrize('step', ['RandomFlip', 'PhotometricDistortion'])
    def test_a_random_pipeline(self, labelled, make_runner, step):
        pipeline = labelled['pipeline']
        place = 3 if step == 'PhotometricDistortion' else 2
        labelled['pipeline'] = [*pipeline[:place], dict(type=step), *pipeline[place:]]
        with pytest.raises(ValueError, match=f'another one each time.*what is random out of its pipeline.*{step}'):
            PseudoLabelQualityHook(labelled).before_train(make_runner())

    @pytest.mark.parametrize('bad', [dict(interval=0), dict(batch_size=0), dict(max_samples=0), dict(thr=0)], ids=str)
    def test_settings_out_of_range(self, bad, labelled):
        with pytest.raises(ValueError, match=next(iter(bad))):
            HOOKS.build(dict(type='PseudoLabelQualityHook', dataset=labelled, **bad))
