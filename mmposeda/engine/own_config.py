"""Writes the config that adapts a given estimator to own pictures: readable, and run by ``tools/train.py``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmposeda.registry import MODELS

from .commands import ROOT
from .config_text import config_text
from .own_data import GivenEstimator, OwnDataError
from .stages import stage_config

#: Method -> file of ``configs/_base_/methods`` it is described in
METHODS = dict(
    udape='udape',
    cc_ssl='cc_ssl',
    regda='alignment',
    dann='alignment',
    dan='alignment',
    ddc='alignment',
    source_only='',
)
#: Why the other methods are not offered
REFUSED = dict(
    poseaug='lifts 2D poses to 3D, and takes no pictures',
    relation_distillation='lifts poses of videos to 3D, and takes no pictures',
    causal_intervention='needs 3D labels and a head for them',
    geometric_reconstruction='needs pairs of pictures of one scene, which a folder does not tell',
)
STAGE = 'adapt'
#: Sizes: what a preset stands for where it is not said otherwise
PRESETS = dict(
    quick=dict(iterations=300, batch=32, num=1200, lr=3e-4, keep_rate=0.99),
    standard=dict(iterations=5000, batch=64, num=10000, lr=1e-4, keep_rate=0.999),
)
# A squared error ends near 0.0015, an alignment stands beside a loss of about 1 (configs/_base_/methods/alignment.py).
_ALIGNED = 1000.0
# The consistency's weight over that of the labels (configs/udape/synthbody2lsp).
_CONSISTENCY = 4.0

_TEMPLATE = """# {title}
# Made by tools/adapt.py. To run it again, or to go on where it was stopped:
#   python tools/train.py {file} --resume
_base_ = {bases}
work_dir = '{{{{ fileDirname }}}}'
joint_set = dict(from_file='{{{{ fileDirname }}}}/joint_set.py')

# model
model = dict(type='SourceOnly', estimator=_base_.estimator)

# pipelines: what is cut out, and how, is as in the estimator's own config
source_pipeline = {source_pipeline}
test_pipeline = {test_pipeline}
target_pipeline = {target_pipeline}

# data
source = {source}
# no label of it exists here
target = {target}
train_dataloader = {train_dataloader}
test_dataloader = {test_dataloader}
test_evaluator = dict(type='DumpResults', out_file_path='{{{{ fileDirname }}}}/predictions.pkl')
test_cfg = dict()

# schedule
optim_wrapper = {optim_wrapper}
train_cfg = dict(type='IterBasedTrainLoop', max_iters={iterations})
param_scheduler = {param_scheduler}
randomness = dict(seed={seed})
default_hooks = {default_hooks}
log_processor = dict(window_size={interval})

# method
stages = {stages}
"""


@dataclass(frozen=True)
class AdaptationOptions:
    """What a user chooses of a run.

    Attributes:
        method (str): One of :data:`METHODS`.
        iterations (int), batch (int): Length, and pictures in a batch, half of them of the target.
        lr (float): Of AdamW; the backbone's is 0.3 of it.
        keep_rate (float): The teacher's share in an update, for UDAPE.
        workers (int): Loading processes.
        seed (int): Of the run.
    """

    method: str = 'udape'
    iterations: int = 300
    batch: int = 32
    lr: float = 3e-4
    keep_rate: float = 0.99
    workers: int = 2
    seed: int = 0

    def __post_init__(self):
        if self.method not in METHODS:
            why = REFUSED.get(self.method, 'is not known')
            raise OwnDataError(f'--method {self.method} {why}: choose one of {", ".join(METHODS)}')
        if self.iterations < 1 or self.batch < 2 or self.batch % 2:
            raise OwnDataError(
                f'--iterations must be at least 1 and --batch even, got {self.iterations} and {self.batch}: half of a '
                'batch is source, half target'
            )


def write_config(
    folder: str | Path, given: GivenEstimator, source: Mapping, target: Mapping, options: AdaptationOptions
) -> Path:
    """Write ``joint_set.py``, ``estimator.py`` and, on top of them and of our base configs, ``adapt.py``.

    Args:
        folder (str | Path): Where to; the folder of the run.
        given (GivenEstimator): What is adapted.
        source (Mapping): Labelled data set; without a ``pipeline`` it gets one of random views.
        target (Mapping): Arguments of ``UnlabeledImageDataset``: ``data_root``, ``ann_file``.
        options (AdaptationOptions): The user's choices.

    Returns:
        Path: The last one of them.

    Raises:
        OwnDataError: The method does not fit the estimator.
    """
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    head = '# Joints of the estimator.\n'
    (folder / 'joint_set.py').write_text(f'{head}dataset_info = {config_text(given.joint_set)}\n')
    (folder / 'estimator.py').write_text(_estimator_text(given))
    path = folder / 'adapt.py'
    path.write_text(_TEMPLATE.format(**_values(folder, given, source, target, options)))
    cfg = Config.fromfile(str(path))
    try:
        with DefaultScope.overwrite_default_scope('mmposeda'):
            MODELS.build(stage_config(cfg, STAGE).model)
    except (TypeError, ValueError, AttributeError) as error:
        raise OwnDataError(
            f'--method {options.method} does not fit {given.config}: {error} With '
            '--method source_only any head learns, from the source alone'
        ) from error
    return path


def _estimator_text(given: GivenEstimator) -> str:
    lines = [f'# The estimator that is adapted, as {given.config} has it.']
    imports = {key: value for key, value in given.imports.items() if key != 'folder'}
    if imports:
        folder = given.imports['folder']
        lines += ['import sys', '', f'sys.path.insert(0, {folder!r})', f'custom_imports = {config_text(imports)}']
    estimator = dict(given.estimator, head=dict(given.estimator['head'], decoder='@codec@'))
    return '\n'.join([*lines, f'codec = {config_text(given.codec)}', f'estimator = {config_text(estimator)}', ''])


def _values(folder: Path, given: GivenEstimator, source: Mapping, target: Mapping, options: AdaptationOptions) -> dict:
    size, half = '@_base_.codec.input_size@', options.batch // 2
    flip = dict(type='RandomFlip', direction='horizontal')
    cut = next(n for n, step in enumerate(given.pipeline) if step['type'].endswith('TopdownAffine'))
    before, after = given.pipeline[:cut], given.pipeline[cut:]
    view = dict(rotation=40, shear=15, translation=0.08, scale=(0.65, 1.25), crop_area=(0.7, 1.0))
    source_pipeline = [
        *before,
        flip,
        dict(type='TopdownRandomAffine', input_size=size, **view),
        dict(type='PhotometricDistortion'),
        dict(type='GenerateTarget', encoder='@_base_.codec@'),
        dict(type='PackPoseInputs'),
    ]
    # CC-SSL's labels belong to the picture as it comes
    target_pipeline = given.pipeline if options.method == 'cc_ssl' else [*before, flip, *after]
    workers = dict(num_workers=options.workers, persistent_workers=options.workers > 0)
    quotas = [options.batch, 0] if options.method == 'source_only' else [half, half]
    interval = max(1, options.iterations // 60)
    warm_up = max(1, min(options.iterations // 10, 500))
    own = source.get('pipeline')
    bases = ['./estimator.py', _path('configs/_base_/default_runtime.py')]
    if METHODS[options.method]:
        bases.append(_path(f'configs/_base_/methods/{METHODS[options.method]}.py'))
    loader = dict(sampler=dict(type='DefaultSampler', shuffle=False, round_up=False), dataset='@test_set@')
    return dict(
        title=f'{options.method}: {Path(given.config).stem}, adapted to {target["data_root"]}',
        file=folder / 'adapt.py',
        bases=config_text(bases),
        source_pipeline=config_text(own or source_pipeline),
        test_pipeline=config_text(given.pipeline),
        target_pipeline=config_text(target_pipeline),
        source=config_text(dict({k: v for k, v in source.items() if k != 'pipeline'}, pipeline='@source_pipeline@')),
        target=config_text(
            dict(type='UnlabeledImageDataset', **target, metainfo='@joint_set@', pipeline='@target_pipeline@')
        ),
        train_dataloader=config_text(
            dict(
                batch_size=options.batch,
                **workers,
                sampler=dict(type='DomainSampler', quotas=quotas),
                dataset=dict(type='CombinedDataset', metainfo='@joint_set@', datasets=['@source@', '@target@']),
            )
        ),
        test_dataloader=config_text(dict(batch_size=options.batch, num_workers=0, **loader)).replace(
            'test_set', 'dict(target, pipeline=test_pipeline, test_mode=True)'
        ),
        iterations=options.iterations,
        optim_wrapper=config_text(
            dict(
                optimizer=dict(type='AdamW', lr=options.lr, weight_decay=1e-2),
                paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.3))),
            )
        ),
        param_scheduler=config_text(_schedule(options.iterations, warm_up)),
        seed=options.seed,
        default_hooks=config_text(
            dict(
                checkpoint=dict(interval=max(1, options.iterations // 4), max_keep_ckpts=1),
                logger=dict(interval=interval),
                collapse=dict(interval=max(1, min(50, options.iterations // 5))),
            )
        ),
        interval=interval,
        stages=_stages(given, options),
    )


def _schedule(iterations: int, warm_up: int) -> list[dict]:
    warm = dict(type='LinearLR', start_factor=0.02, end=warm_up, by_epoch=False)
    down = dict(type='CosineAnnealingLR', begin=warm_up, T_max=iterations - warm_up, eta_min_ratio=0.05, by_epoch=False)
    return [warm, down] if iterations > warm_up else [warm]


def _stages(given: GivenEstimator, options: AdaptationOptions) -> str:
    base, settings, hooks = _method(given, options)
    panel = dict(type='AdaptationVisualizationHook', interval=max(1, options.iterations // 3))
    settings = [f'@_base_.{base}@'] * bool(base) + [
        f'@{key}={config_text(value, 16)}@' for key, value in settings.items()
    ]
    model = config_text(settings, 8)[1:-1]
    hooks = ['@*_base_.custom_hooks@', dict(type='ChannelsLastHook'), *(panel if h == 'panel' else h for h in hooks)]
    stage = dict(name=STAGE, load_from=given.checkpoint, model=f'@dict({model})@', custom_hooks=hooks)
    return config_text([stage])


def _method(given: GivenEstimator, options: AdaptationOptions) -> tuple[str, dict, list]:
    """Of the last stage: the model's base, what is set of it besides, merged over the source's, and hooks it needs."""
    loss = given.estimator['head'].get('loss') or {}
    squared = 'MSE' in str(loss.get('type', ''))
    weight = float(loss.get('loss_weight', 1.0))
    # joints that the source lacks have weight 0, and a loss that does not look would draw them to empty maps
    changed = dict(use_target_weight=True) if _takes_weights(loss) else {}
    name = options.method
    if squared and METHODS[name] == 'alignment':
        changed['loss_weight'] = _ALIGNED * weight
    settings = dict(estimator=dict(head=dict(loss=changed))) if changed else {}
    if name == 'source_only':
        return '', settings, []
    if name == 'udape':
        own = dict(keep_rate=options.keep_rate, teacher_bn='ema', occlusion_threshold=0.5)
        own['consistency_weight'] = _CONSISTENCY * weight if squared else 1.0
        return 'udape', {**own, **settings}, [dict(type='MeanTeacherHook'), 'panel']
    if name == 'cc_ssl':
        return 'cc_ssl', settings, ['@_base_.cc_ssl_hooks[0]@', 'panel']
    if name != 'regda' and not _has_last_layer(given):
        settings['feat'] = 'backbone'
    return name, settings, [f'@*_base_.{name}_hooks@'] if name in ('dann', 'regda') else []


def _has_last_layer(given: GivenEstimator) -> bool:
    with DefaultScope.overwrite_default_scope('mmposeda'):
        return getattr(MODELS.build(given.estimator).head, 'final_layer', None) is not None


def _takes_weights(loss: Mapping) -> bool:
    with DefaultScope.overwrite_default_scope('mmposeda'):
        kind = MODELS.get(loss['type']) if loss.get('type') else None
    return kind is not None and 'use_target_weight' in inspect.signature(kind).parameters


def _path(inside: str) -> str:
    return str(ROOT / inside)
