"""Every config under configs/ is built, stage by stage: nothing is downloaded, and data is read where it is there."""

import functools
import inspect
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

from mmposeda.datasets.lifting import LiftingDataset
from mmposeda.datasets.lifting_streams import STREAMS
from mmposeda.datasets.motion import MocapMotionDataset
from mmposeda.datasets.samplers.difficulty_bin_sampler import STRATEGIES
from mmposeda.engine.stages import resolve_references, stage_config, stage_names
from mmposeda.models.losses import perceptual
from mmposeda.models.networks import adain
from mmposeda.registry import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    LOOPS,
    METRICS,
    MODELS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
    VISUALIZERS,
)

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted(p for p in (ROOT / 'configs').rglob('*.py') if '_base_' not in p.parts)
CONFIGS += sorted((ROOT / 'projects').glob('*/configs/*.py'))
WRAPPERS = (
    'CombinedDataset',
    'ConcatDataset',
    'UnlabeledDataset',
    'PairSequenceDataset',
    'SelfPairDataset',
    'RepeatDataset',
    'PoseStreams',
    'LiftingSets',
)


@pytest.fixture(autouse=True)
def style_weights_at_hand(monkeypatch):
    """The files of AdaIN's networks are the user's to get; the networks are built with their first weights."""
    monkeypatch.setattr(
        adain,
        '_read',
        lambda path, prefix='', keep=None: (adain._decoder() if prefix else adain._encoder()).state_dict(),
    )
    convolutions = perceptual._vgg19_layers()
    weights = {f'features.{i}.weight': torch.zeros(outputs, inputs, 3, 3) for i, inputs, outputs, *_ in convolutions}
    biases = {f'features.{i}.bias': torch.zeros(outputs) for i, _, outputs, *_ in convolutions}
    monkeypatch.setattr(perceptual, '_read', lambda path: {**weights, **biases})


@pytest.fixture(autouse=True)
def weights_not_drawn(monkeypatch):
    """Weights stay zero: half the time of building a ResNet-101 goes into random numbers."""
    for name in ('kaiming_uniform_', 'kaiming_normal_', 'xavier_uniform_', 'uniform_', 'normal_', 'trunc_normal_'):
        monkeypatch.setattr(nn.init, name, lambda tensor, *args, **kwargs: nn.init.zeros_(tensor))


@functools.lru_cache(maxsize=3)
def build_model(text):
    """Neighbouring stages and configs often have one model; the weights are not initialised."""
    return MODELS.build(Config.fromstring(text, '.py').model)


def leaves(cfg):
    """Configs of the data sets inside the wrappers."""
    if cfg['type'] not in WRAPPERS:
        return [cfg]
    inspect.signature(DATASETS.get(cfg['type'])).bind(**{key: value for key, value in cfg.items() if key != 'type'})
    inner = cfg['datasets'] if 'datasets' in cfg else [cfg['dataset']]
    inner = inner.values() if hasattr(inner, 'values') else inner
    return [leaf for part in inner for leaf in leaves(part)]


def check_loader(loader, training):
    if loader is None:
        return
    assert DATA_SAMPLERS.get(loader['sampler']['type']) is not None
    for part in (loader['sampler'].get('samplers') or {}).values():
        assert DATA_SAMPLERS.get(part['type']) is not None and part['strategy'] in STRATEGIES
    if loader['sampler']['type'] == 'DomainSampler':
        assert loader['batch_size'] == sum(loader['sampler']['quotas'])
        parts = loader['dataset'].get('datasets', STREAMS)
        assert len(loader['sampler']['quotas']) == len(parts)
    if loader['sampler']['type'] == 'TurnSampler':
        assert loader['batch_size'] == loader['sampler']['batch_size']
        parts = loader['dataset']['datasets']
        assert set(loader['sampler'].get('turns') or range(len(parts))) <= set(range(len(parts)))
    for cfg in leaves(loader['dataset']):
        kind = DATASETS.get(cfg['type'])
        assert kind is not None
        if issubclass(kind, MocapMotionDataset):
            assert training and loader['collate_fn'] == dict(type='take_batch'), 'whole batches are handed through'
            inspect.signature(kind).bind(**{key: value for key, value in cfg.items() if key != 'type'})
            continue
        if issubclass(kind, LiftingDataset):
            assert loader['collate_fn'] == dict(type='take_batch'), 'whole batches are handed through'
            inspect.signature(kind).bind(**{key: value for key, value in cfg.items() if key != 'type'})
            assert training or cfg.get('test_mode'), 'an evaluated data set is in test mode'
            continue
        pipeline = Compose([TRANSFORMS.build(step) for step in cfg['pipeline']])
        assert type(pipeline.transforms[-1]).__name__ == 'PackPoseInputs'
        if cfg['type'] == 'UnlabeledVideoDataset':
            inspect.signature(kind).bind(**{key: value for key, value in cfg.items() if key != 'type'})
        elif 'Image' not in cfg['type'] and 'Rendered' not in cfg['type']:
            dataset = DATASETS.build({**cfg, 'pipeline': [], 'lazy_init': True})
            assert training or getattr(dataset, 'test_mode', True), 'an evaluated data set is in test mode'


def check_evaluator(evaluator):
    for cfg in evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]:
        ann_file = (cfg or {}).get('ann_file')
        if cfg and (ann_file is None or Path(ann_file).is_file()):
            METRICS.build(cfg)


def check_schedule(cfg, model):
    parts = 'constructor' in cfg.optim_wrapper
    wrapper = build_optim_wrapper(model if parts else nn.Conv2d(1, 1, 1), cfg.optim_wrapper)
    loop = cfg.train_cfg.get('type', 'EpochBasedTrainLoop' if cfg.train_cfg.get('by_epoch') else 'IterBasedTrainLoop')
    assert LOOPS.get(loop) is not None
    length = cfg.train_cfg.get('max_iters') or cfg.train_cfg.max_epochs
    schedulers = cfg.get('param_scheduler') or []
    if not isinstance(schedulers, list):
        assert schedulers.keys() == set(wrapper.keys()), 'MMEngine wants an entry for every part'
    first = next(iter(wrapper.keys())) if parts else ''
    by_part = {first: schedulers} if isinstance(schedulers, list) else schedulers
    for part, scheduler in ((part, scheduler) for part, listed in by_part.items() for scheduler in listed):
        ends = [scheduler[key] for key in ('end', 'begin') if key in scheduler]
        if scheduler.get('by_epoch', True) == ('max_epochs' in cfg.train_cfg) and scheduler['type'] != 'MultiStepLR':
            assert all(end <= length for end in ends), f'{scheduler} goes on after the end at {length}'
        PARAM_SCHEDULERS.build({'end': length, **scheduler, 'optimizer': wrapper[part] if parts else wrapper})


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: str(path.relative_to(ROOT)))
def test_config_builds(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = Config.fromfile(path)
    names = stage_names(whole)
    for name in names:
        cfg = stage_config(whole, name)
        init_default_scope(cfg.default_scope)
        assert cfg.default_scope == 'mmposeda'
        resolve_references(cfg._cfg_dict, {earlier: f'{earlier}.pth' for earlier in names})

        model = build_model(Config(dict(model=cfg.model)).pretty_text)
        assert any(p.requires_grad for p in model.parameters())
        check_loader(cfg.train_dataloader, training=True)
        for split in ('val', 'test'):
            parts = [cfg.get(f'{split}_{what}') for what in ('cfg', 'dataloader', 'evaluator')]
            assert len({part is None for part in parts}) == 1, f'{split}: all of cfg, loader and evaluator, or none'
            check_loader(parts[1], training=False)
            check_evaluator(parts[2])
        check_schedule(cfg, model)
        VISUALIZERS.build(dict(type=cfg.visualizer.type, name=f'{path.stem}_{name}'))
        for hook in [*cfg.default_hooks.values(), *(cfg.get('custom_hooks') or [])]:
            HOOKS.build(hook)
        needs_teacher = any(hook['type'] == 'MeanTeacherHook' for hook in cfg.get('custom_hooks') or [])
        adapting = getattr(model, 'consistency_weight', 0) > 0
        assert needs_teacher == adapting, 'a stage that adapts has a MeanTeacherHook, another has none'


@pytest.mark.parametrize('task', ['synthbody2lsp', 'surreal2lsp', 'surreal2h36m', 'rhd2h3d'])
@pytest.mark.parametrize('method', ['regda', 'udape'])
def test_strategies_differ_in_the_sampler_alone(method, task):
    configs = [p for p in CONFIGS if p.parent.name == task and p.parent.parent.name == 'difficulty_sampling']
    loaded = {p.name.partition('_')[0]: Config.fromfile(p)._cfg_dict.to_dict() for p in configs}
    drawn = {name: cfg['train_dataloader']['sampler'].pop('samplers')['0'] for name, cfg in loaded.items()}
    (plain,) = (ROOT / 'configs' / method / task).glob(f'{method}_*{"128x128" if "synth" in task else ""}.py')
    expected = Config.fromfile(plain)._cfg_dict.to_dict()
    for strategy in ('easy', 'random33', 'hard', 'curriculum'):
        name = f'{method}-{strategy}'
        assert drawn[name]['strategy'] == strategy and drawn[name]['type'] == 'DifficultyBinSampler'
        cfg = {key: value for key, value in loaded[name].items() if key != 'by_difficulty'}
        assert cfg == expected
    assert len({drawn[f'{method}-{s}']['score_file'] for s in ('easy', 'hard', 'curriculum')}) == 1


def test_configs_are_found():
    assert len(CONFIGS) > 5
