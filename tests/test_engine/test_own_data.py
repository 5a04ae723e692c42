import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from own_toy import REGRESSION, SIMCC, write_estimator, write_labels, write_pictures, write_source

from mmposeda.engine.checkpoints import CheckpointError
from mmposeda.engine.config_text import config_text
from mmposeda.engine.own_config import METHODS, STAGE, AdaptationOptions, write_config
from mmposeda.engine.own_data import labelled_source, load_config, read_estimator
from mmposeda.engine.own_joints import OwnDataError, choose_rendering
from mmposeda.engine.own_results import labels_of, logged_scalars, logged_warnings, spread_over
from mmposeda.engine.stages import stage_config
from mmposeda.registry import DATASETS, MODELS
from mmposeda.structures.skeleton import Skeleton

BODY = dict(
    dataset_name='own',
    keypoint_info={i: dict(name=name, id=i, swap='') for i, name in enumerate(('nose', 'left_knee', 'tail'))},
    skeleton_info={0: dict(link=('nose', 'tail'), id=0)},
    joint_weights=[1.0] * 3,
    sigmas=[0.1] * 3,
)


@pytest.fixture
def given(tmp_path):
    return read_estimator(*write_estimator(tmp_path / 'given'))


def test_an_estimator_is_read_without_its_weight_files(given):
    assert given.skeleton.same_joints(Skeleton.from_metainfo('lsp')) and given.input_size == (32, 32)
    assert 'init_cfg' not in given.estimator['backbone']
    assert [step['type'] for step in given.pipeline][-2:] == ['TopdownAffine', 'PackPoseInputs']
    assert given.imports['imports'] == ['own_network']


def test_the_joint_set_of_the_checkpoint_goes_before_that_of_the_config(tmp_path):
    config, checkpoint = write_estimator(tmp_path)
    names = [f'joint {n}' for n in range(14)]
    meta = dict(
        dataset_name='mine',
        keypoint_id2name=dict(enumerate(names)),
        flip_indices=[1, 0, *range(2, 14)],
        upper_body_ids=[2],
        lower_body_ids=[],
        skeleton_links=[(0, 2), (1, 2)],
        sigmas=np.full(14, 0.025, np.float32),
        dataset_keypoint_weights=None,
    )
    saved = torch.load(checkpoint, weights_only=True)
    torch.save(dict(saved, meta=dict(dataset_meta=meta)), checkpoint)
    given = read_estimator(config, checkpoint)
    assert list(given.skeleton.joint_names) == names and given.skeleton.flip_indices[:3] == (1, 0, 2)
    assert given.joint_set['sigmas'] == [0.025] * 14 and given.joint_set['keypoint_info'][2]['type'] == 'upper'
    with pytest.raises(OwnDataError, match='no rendered joint is one of .*--source CONFIG.*--joints'):
        choose_rendering(given.skeleton)
    # one that does not fit the head is passed over
    small = dict(meta, keypoint_id2name={0: 'x'}, flip_indices=[0], upper_body_ids=[], skeleton_links=[])
    torch.save(dict(saved, meta=dict(dataset_meta=small)), checkpoint)
    assert read_estimator(config, checkpoint).skeleton.name == 'lsp'


@pytest.mark.parametrize(
    'name, what, joints, missing',
    [
        ('lsp', 'person', 'lsp', 0),
        ('coco', 'person', 'lsp', 5),
        ('mpii', 'person', 'mpii', 0),
        ('h36m', 'person', 'h36m', 0),
        ('coco_wholebody_hand', 'hand', 'hand21', 0),
    ],
)
def test_the_nearest_joints_that_are_rendered(name, what, joints, missing):
    chosen = choose_rendering(Skeleton.from_metainfo(name))
    assert (chosen.what, chosen.joints, len(chosen.missing)) == (what, joints, missing)
    assert len(chosen.supplied) + missing == Skeleton.from_metainfo(name).num_joints


def test_joints_in_part_are_supplied_by_name():
    chosen = choose_rendering(Skeleton.from_metainfo(BODY))
    assert chosen.supplied == ('left_knee',) and chosen.missing == ('nose', 'tail')


@pytest.mark.parametrize('method', METHODS)
def test_every_method_gives_a_config_whose_model_and_data_build(given, tmp_path, method):
    target = dict(data_root=str(write_pictures(tmp_path / 'pictures')))
    source, _ = labelled_source(write_source(tmp_path / 'source'), given)
    path = write_config(tmp_path / 'run', given, source, target, AdaptationOptions(method=method, batch=4))
    cfg = stage_config(Config.fromfile(str(path)), STAGE)
    assert cfg.load_from == given.checkpoint and cfg.work_dir == str(tmp_path / 'run')
    # joints that the source lacks must not count
    assert cfg.model.estimator.head.loss.use_target_weight
    with DefaultScope.overwrite_default_scope('mmposeda'):
        model, data = MODELS.build(cfg.model), DATASETS.build(cfg.train_dataloader.dataset)
    assert type(model).__name__.lower().replace('only', '_only').replace('ccssl', 'cc_ssl') == method
    labelled, unlabelled = data[0], data[len(data) - 1]
    assert labelled['inputs'].shape == unlabelled['inputs'].shape == (3, 32, 32)
    assert labelled['data_samples'].gt_fields.heatmaps.shape == (14, 8, 8)
    assert 'keypoints' not in unlabelled['data_samples'].gt_instances
    assert 'val_dataloader' not in cfg or cfg.val_dataloader is None
    flips = [step.type for step in cfg.train_dataloader.dataset.datasets[1].pipeline].count('RandomFlip')
    assert flips == (method != 'cc_ssl')


def test_a_source_of_other_joints_is_mapped_by_name(tmp_path):
    given = read_estimator(*write_estimator(tmp_path / 'given', 'coco'))
    source, skeleton = labelled_source(write_source(tmp_path / 'source', 'lsp'), given)
    with DefaultScope.overwrite_default_scope('mmposeda'):
        dataset = DATASETS.build(source)
        sample = dataset[0]['data_samples']
        raw = dataset.get_data_info(0)['keypoints'][0]
    weights = np.asarray(sample.gt_instance_labels.keypoint_weights)[0]
    face = [given.skeleton.index(n) for n in ('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear')]
    assert weights.shape == (17,) and not weights[face].any() and weights.sum() == 12
    ours, theirs = given.skeleton.index('left_knee'), skeleton.index('left_knee')
    peak = np.unravel_index(sample.gt_fields.heatmaps[ours].argmax(), (8, 8))[::-1]
    crop = (raw[theirs] - (24, 20) + 0.5 * 60) / 60 * 32  # GetBBoxCenterScale's padding makes 60 of 48 pixels
    assert np.abs(np.array(peak) * 4 - crop).max() <= 4


def test_what_cannot_be_adapted_is_named(tmp_path):
    config, checkpoint = write_estimator(tmp_path / 'given')
    with pytest.raises(OwnDataError, match='nowhere.py does not exist'):
        load_config('nowhere.py')
    (tmp_path / 'broken.py').write_text('model = dict(')
    with pytest.raises(OwnDataError, match='broken.py cannot be read: SyntaxError'):
        read_estimator(str(tmp_path / 'broken.py'), checkpoint)
    (tmp_path / 'lifter.py').write_text("model = dict(type='PoseLifter')")
    with pytest.raises(OwnDataError, match='a model of type PoseLifter, expected a TopdownPoseEstimator'):
        read_estimator(str(tmp_path / 'lifter.py'), checkpoint)
    text = (tmp_path / 'given' / 'own.py').read_text()
    (tmp_path / 'given' / 'unknown.py').write_text(text.replace("'OwnBackbone'", "'mmpretrain.Unknown'"))
    with pytest.raises(OwnDataError, match='cannot be built .*Unknown is not in the .*install that package'):
        read_estimator(str(tmp_path / 'given' / 'unknown.py'), checkpoint)
    stages = text.replace("loss=dict(type='KeypointMSELoss')", "loss=[dict(type='KeypointMSELoss')]")
    (tmp_path / 'given' / 'stages.py').write_text(stages)
    with pytest.raises(OwnDataError, match='several stages.*single head'):
        read_estimator(str(tmp_path / 'given' / 'stages.py'), checkpoint)
    with pytest.raises(CheckpointError, match='nowhere.pth does not exist'):
        read_estimator(config, 'nowhere.pth')
    with pytest.raises(OwnDataError, match='is no file: download it first'):
        read_estimator(config, 'https://example.org/model.pth')
    other, other_checkpoint = write_estimator(tmp_path / 'coco', 'coco')
    with pytest.raises(OwnDataError, match='head.final_layer.weight has shape .17.*14.*another skeleton'):
        read_estimator(config, other_checkpoint)
    saved = torch.load(checkpoint, weights_only=True)
    weights = saved['state_dict']
    torch.save(dict(state_dict={f'student.{k}': v for k, v in weights.items()}), tmp_path / 'adapter.pth')
    with pytest.raises(OwnDataError, match='adapter of ours.*tools/export.py'):
        read_estimator(config, str(tmp_path / 'adapter.pth'))
    torch.save(dict(state_dict={'backbone.conv.weight': torch.ones(1)}), tmp_path / 'other.pth')
    with pytest.raises(OwnDataError, match='0 of the .* weights .*missing: give the checkpoint that belongs'):
        read_estimator(config, str(tmp_path / 'other.pth'))


def test_methods_that_do_not_fit_the_head_are_refused(tmp_path):
    given = read_estimator(*write_estimator(tmp_path / 'given', kind=SIMCC))
    target = dict(data_root=str(write_pictures(tmp_path / 'pictures')))
    source, _ = labelled_source(write_source(tmp_path / 'source'), given)
    for method in ('udape', 'cc_ssl', 'regda'):
        with pytest.raises(OwnDataError, match=f'--method {method} does not fit'):
            write_config(tmp_path / method, given, source, target, AdaptationOptions(method=method))
    for method in ('source_only', 'ddc', 'dann'):
        write_config(tmp_path / method, given, source, target, AdaptationOptions(method=method))
    given = read_estimator(*write_estimator(tmp_path / 'regression', kind=REGRESSION))
    path = write_config(tmp_path / 'backbone', given, source, target, AdaptationOptions(method='dan'))
    assert Config.fromfile(str(path)).stages[0].model.feat == 'backbone'


def test_labels_are_put_into_the_order_of_the_estimator(given, tmp_path):
    pictures = write_pictures(tmp_path / 'pictures', 3)
    path = write_labels(tmp_path / 'labels.json', pictures)
    plain = labels_of(str(path), str(pictures), given, whole=True)
    content = json.loads(path.read_text())
    order = np.random.default_rng(0).permutation(14)
    content['categories'][0]['keypoints'] = [content['categories'][0]['keypoints'][i] for i in order]
    for entry in content['annotations']:
        entry['keypoints'] = np.reshape(entry['keypoints'], (14, 3))[order].ravel().tolist()
        entry['bbox'] = [1, 2, 3, 4]
    path.write_text(json.dumps(content))
    mixed = labels_of(str(path), str(pictures), given, whole=True)
    assert mixed == plain and mixed['annotations'][0]['bbox'] == [0, 0, 48, 40]
    assert labels_of(str(path), str(pictures), given, whole=False)['annotations'][0]['bbox'] == [1, 2, 3, 4]
    content['annotations'][1]['keypoints'].pop()
    path.write_text(json.dumps(content))
    with pytest.raises(OwnDataError, match='annotation 2 .* 41 numbers of joints, expected 42'):
        labels_of(str(path), str(pictures), given, whole=True)
    content['categories'][0]['keypoints'][0] = 'tail'
    path.write_text(json.dumps(content))
    with pytest.raises(OwnDataError, match='names 14 joints .*tail'):
        labels_of(str(path), str(pictures), given, whole=True)


def test_curves_of_a_run_in_parts_are_joined(tmp_path):
    for part, rows in dict(a=[(1, 9.0), (2, 8.0), (3, 7.0)], b=[(3, 6.0), (4, 5.0)]).items():
        folder = tmp_path / part / 'vis_data'
        folder.mkdir(parents=True)
        lines = [json.dumps(dict(loss=loss, time=1.0, step=step)) for step, loss in rows]
        (folder / 'scalars.json').write_text('\n'.join([*lines, json.dumps(dict(score=1.0, step=4))]))
        warning = 'Sign of collapse at iteration 2: no pseudo-label was used'
        (tmp_path / part / 'run.log').write_text(f'mmengine - WARNING - {warning}\nelse')
    assert logged_scalars(tmp_path) == dict(loss=([1, 2, 3, 4], [9.0, 8.0, 6.0, 5.0]))
    assert logged_warnings(tmp_path) == ['Sign of collapse at iteration 2: no pseudo-label was used']


def test_config_text_is_what_it_was_made_of():
    value = dict(type='A', b=[1, (2.5,), 'x'], c={0: None, 'not a name': dict(d='y' * 120)}, e='@name@')
    made = eval(config_text(value), dict(name='seen'))
    assert made == dict(value, e='seen')


def test_samples_are_spread_over_all():
    assert spread_over(3, 10) == [0, 1, 2] and spread_over(101, 3) == [0, 50, 100] and spread_over(1, 4) == [0]
