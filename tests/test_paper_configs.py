"""The published 2D tasks at paper size, on miniatures of their data: batches, learning rates, a few iterations."""

import gc
from pathlib import Path

import pytest
import torch
from miniatures import write_h3d, write_h36m, write_lsp, write_rhd, write_surreal
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import nn

from mmposeda.engine.stages import stage_config, stage_names
from mmposeda.engine.training import train
from mmposeda.registry import DATASETS, HOOKS, MODELS, PARAM_SCHEDULERS

ROOT = Path(__file__).resolve().parents[1] / 'configs'
TASKS = ('surreal2lsp', 'surreal2h36m', 'rhd2h3d')
METHODS = ('source_only', 'oracle', 'regda', 'udape')
#: other pairs of the papers: tests/test_datasets/test_paper_pairs.py
CONFIGS = sorted(
    path
    for method in METHODS
    for task in (*TASKS, 'h36m', 'h3d')
    for path in (ROOT / method / task).glob('*_res101_*.py')
)
REGDA = [path for path in CONFIGS if path.parts[-3] == 'regda']


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('paper')
    write_surreal(root / 'data' / 'surreal_processed', count=3)
    write_lsp(root / 'data' / 'lsp', count=8)
    write_h36m(root / 'data' / 'h36m', count=6)
    write_rhd(root / 'data' / 'RHD_published_v2')
    write_h3d(root / 'data' / 'H3D_crop', count=30)
    return root


@pytest.fixture(autouse=True)
def in_data_folder(data, monkeypatch):
    monkeypatch.chdir(data)
    # MMEngine collects garbage for every data set that it builds, which takes longer here than the rest of a test
    monkeypatch.setattr(gc, 'collect', lambda *args: 0)


def joints_of(path):
    return 21 if 'h3d' in path.stem else 16


def one_batch(loader):
    loader = loader.copy()
    loader.update(num_workers=0, persistent_workers=False)
    return next(iter(Runner.build_dataloader(loader, seed=0)))


def named(path):
    return f'{path.parts[-3]}-{path.parts[-2]}'


def rates(cfg, iterations, base):
    """Learning rate at each of the iterations, for a group that starts at ``base``."""
    optimizer = torch.optim.SGD(nn.Conv2d(1, 1, 1).parameters(), lr=base)
    schedulers = [PARAM_SCHEDULERS.build({**s, 'optimizer': optimizer}) for s in cfg.get('param_scheduler') or []]
    seen = []
    for i in range(max(iterations) + 1):
        if i in iterations:
            seen.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return seen


def test_every_method_has_its_tasks():
    wanted = {(method, task) for method in METHODS if method != 'oracle' for task in TASKS}
    assert {path.parts[-3:-1] for path in CONFIGS} == wanted | {('oracle', 'h36m'), ('oracle', 'h3d')}


@pytest.mark.parametrize('path', CONFIGS, ids=named)
def test_batches_are_of_the_published_make_up(path):
    whole, joints = Config.fromfile(path), joints_of(path)
    loaders = []
    for name in stage_names(whole):
        cfg = stage_config(whole, name)
        if cfg.train_dataloader in loaders:
            continue
        loaders.append(cfg.train_dataloader)
        init_default_scope(cfg.default_scope)
        batch = one_batch(cfg.train_dataloader)
        domains = [sample.metainfo.get('domain', 'source') for sample in batch['data_samples']]
        adapting = 'udape' in path.stem or name == 'adapt'
        each = 4 if name == 'style' else 32
        assert domains == ['source'] * each + ['target'] * (each if adapting else 0)
        assert {tuple(picture.shape) for picture in batch['inputs']} == {(3, 256, 256)}
        for domain, sample in zip(domains, batch['data_samples']):
            if domain == 'target':
                assert 'keypoints' not in sample.gt_instances and 'gt_fields' not in sample
            elif name != 'style':
                assert sample.gt_fields.heatmaps.shape == (joints, 64, 64)
                assert sample.gt_instance_labels.keypoint_weights.shape == (1, joints)
        if cfg.val_dataloader:
            sample = one_batch(cfg.val_dataloader)['data_samples'][0]
            assert sample.gt_instances.keypoints.shape == (1, joints, 2) and sample.input_size == (256, 256)


@pytest.mark.parametrize('task', TASKS)
def test_hands_turn_all_round_and_bodies_as_published(task):
    for method, body in (('regda', 30), ('udape', 60)):
        (path,) = (ROOT / method / task).glob('*_res101_*.py')
        cfg = Config.fromfile(path)
        source, target = (part.get('dataset', part).pipeline for part in cfg.train_dataloader.dataset.datasets)
        turn = 180 if task == 'rhd2h3d' else body
        assert [step.rotation for step in source if 'rotation' in step] == [turn]
        assert [step.type for step in source].count('MirrorHands') == (task == 'rhd2h3d')
        # LSP is left as it is by RegDA's code, and UDAPE's views are made in the model
        augmented = method == 'regda' and task != 'surreal2lsp'
        assert [step.rotation for step in target if 'rotation' in step] == [turn] * augmented
        if method == 'udape':
            assert cfg.model.view.rotation == turn and cfg.model.view.shear == 30


def test_published_schedules():
    cases = {
        'source_only/surreal2lsp': ('', 1e-3, 35000, {0: 1, 22499: 1, 22500: 0.1, 29999: 0.1, 30000: 0.01}),
        'oracle/h36m': ('', 1e-3, 35000, {0: 1}),
        'udape/surreal2h36m pretrain': ('pretrain', 1e-4, 20000, {0: 1, 5000: 1}),
        'udape/surreal2h36m adapt': ('adapt', 1e-4, 15000, {0: 1, 2500: 0.1, 10000: 0.01}),
        'udape/rhd2h3d style': ('style', 1e-5, 500000, {0: 1, 100: 1}),
        'regda/rhd2h3d pretrain': ('pretrain', 0.1, 35000, {0: 1, 22500: 0.1, 30000: 0.01}),
        'regda/rhd2h3d adapt': ('adapt', 0.01, 15000, {i: (1 + 1e-4 * i) ** -0.75 for i in (0, 1, 10000, 14999)}),
        'regda/surreal2lsp adapt': ('adapt', 0.01, 15000, {5000: 1.5**-0.75}),
        'regda/surreal2h36m adapt': ('adapt', 0.01, 5000, {4999: 1.4999**-0.75}),
    }
    for case, (stage, base, length, factors) in cases.items():
        (path,) = (ROOT / case.split()[0]).glob('*_res101_*.py')
        cfg = stage_config(Config.fromfile(path), stage)
        assert (cfg.optim_wrapper.optimizer.lr, cfg.train_cfg.max_iters) == (base, length), case
        init_default_scope(cfg.default_scope)
        wanted = [base * factor for factor in factors.values()]
        assert rates(cfg, list(factors), base) == pytest.approx(wanted, rel=1e-6), case


@pytest.mark.parametrize('path', REGDA, ids=named)
def test_regda_scales_the_gradient_by_the_published_curve(path):
    cfg = stage_config(Config.fromfile(path), 'adapt')
    init_default_scope(cfg.default_scope)
    (hook,) = (HOOKS.build(hook) for hook in cfg.custom_hooks)

    class Run:
        model, message_hub, max_iters = nn.Module(), type('', (), dict(update_scalar=lambda *args: None))(), 5000

    Run.model.scale = nn.Module()
    Run.model.scale.coefficient = None
    for i, wanted in {0: 0.0, 1000: 0.0462117, 4999: 0.0986594}.items():
        Run.iter = i
        hook.before_train_iter(Run, i)
        assert Run.model.scale.coefficient == pytest.approx(wanted, abs=1e-6)


def test_regda_moves_heads_ten_times_as_fast_and_the_pretrained_backbone_a_tenth():
    cfg = Config.fromfile(REGDA[0])
    kinds = dict(
        backbone='student.backbone.conv1.weight',
        deconv='student.head.deconv_layers.0.weight',
        conv='student.head.conv_layers.0.weight',
        last='student.head.final_layer.weight',
        bias='student.head.final_layer.bias',
        adversary='adversarial_head.0.0.weight',
    )
    wanted = dict(
        pretrain=dict(backbone=0.01, deconv=0.1, conv=0.1, last=0.1, bias=0.1),
        adapt=dict(backbone=0.01, deconv=0.01, conv=0.1, last=0.1, bias=0.1, adversary=0.1),
    )
    for stage, by_kind in wanted.items():
        part = stage_config(cfg, stage)
        init_default_scope(part.default_scope)
        part.model.estimator.backbone.update(depth=18, init_cfg=None)
        part.model.estimator.head.in_channels = 512
        model = MODELS.build(part.model)
        parameters = dict(model.named_parameters())
        groups = build_optim_wrapper(model, part.optim_wrapper).optimizer.param_groups
        settings = {id(p): (group['lr'], group['weight_decay']) for group in groups for p in group['params']}
        for kind, rate in by_kind.items():
            decay = 0.0 if kind == 'bias' else 1e-4
            assert settings[id(parameters[kinds[kind]])] == pytest.approx((rate, decay)), (stage, kind)
        assert all(group['nesterov'] and group['momentum'] == 0.9 for group in groups)


def test_regda_runs_both_stages_and_keeps_the_level_of_its_maps(data, tmp_path, monkeypatch):
    """Two iterations each with a small backbone: weights go over, and every map has a positive cell to be found."""
    (path,) = (ROOT / 'regda' / 'rhd2h3d').glob('*_res101_*.py')
    options = {
        'model.estimator.backbone.depth': 18,
        'model.estimator.backbone.init_cfg': None,
        'model.estimator.head.in_channels': 512,
        'model.estimator.head.deconv_out_channels': (8, 8, 8),
        'model.estimator.head.conv_out_channels': (8,),
        'train_cfg.max_iters': 2,
        'train_cfg.val_interval': 2,
        'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False,
        'val_dataloader.num_workers': 0,
        'val_dataloader.persistent_workers': False,
        'default_hooks.logger.interval': 1,
    }

    def shrink(cfg):
        cfg.train_dataloader.sampler.quotas = [2, 2] if cfg.model.type == 'RegDA' else [2, 0]
        cfg.train_dataloader.batch_size = sum(cfg.train_dataloader.sampler.quotas)

    pretrain, adapt = train(Config.fromfile(path), str(tmp_path), options=options, prepare=shrink)
    assert pretrain.metrics.keys() == adapt.metrics.keys() >= {'PCK/all@0.05', 'PCK/Fin@0.05', 'PCK_reference/all@0.05'}
    weights = [torch.load(r.checkpoint, weights_only=False)['state_dict'] for r in (pretrain, adapt)]
    assert set(weights[0]) < set(weights[1]) and any(key.startswith('adversarial_head') for key in weights[1])
    for state in weights:
        torch.testing.assert_close(state['student.head.final_layer.bias'], torch.full((21,), 10.0), atol=1e-3, rtol=0)


def test_data_sets_say_what_they_hold(data):
    for name, count in dict(rhd_train=48, rhd_test=8).items():
        cfg = Config.fromfile(ROOT / '_base_' / 'datasets' / 'rhd.py')[name]
        assert len(DATASETS.build(cfg)) == count
    cfg = Config.fromfile(ROOT / '_base_' / 'datasets' / 'hand_3d_studio.py')
    assert [len(DATASETS.build(cfg[name])) for name in ('h3d_train', 'h3d_test')] == [16, 4]
