"""A plain MMPose estimator as its owner gives it: what of config and checkpoint adapting it to own pictures needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmposeda.registry import DATASETS, MODELS
from mmposeda.structures.skeleton import Skeleton

from .checkpoints import check, read
from .export import plain_config
from .own_joints import OwnDataError, read_joint_set


@dataclass(frozen=True)
class GivenEstimator:
    """An estimator that is trusted on other pictures.

    Attributes:
        config (str), checkpoint (str): Where they are.
        estimator (dict): Config of the model without files of weights, which are all in the checkpoint.
        pipeline (list[dict]): Of the config's test (or validation) data.
        joint_set (dict): As in a meta file.
        skeleton (Skeleton): The same.
        imports (dict): ``custom_imports`` of the config, and ``folder``, where the config is; empty if it has none.
    """

    config: str
    checkpoint: str
    estimator: dict = field(repr=False)
    pipeline: list = field(repr=False)
    joint_set: dict = field(repr=False)
    skeleton: Skeleton = field(repr=False)
    imports: dict = field(default_factory=dict, repr=False)

    @property
    def codec(self) -> dict:
        """What makes and reads the head's targets."""
        return self.estimator['head']['decoder']

    @property
    def input_size(self) -> tuple[int, int]:
        """(w, h), pixels."""
        return tuple(self.codec['input_size'])


def load_config(path: str) -> Config:
    """A config by path or, with ``mmpose::``, from the installed MMPose.

    Raises:
        OwnDataError: There is none, or it cannot be read.
    """
    if '::' not in path and not Path(path).is_file():
        raise OwnDataError(f'config {path} does not exist; give a path, or mmpose::… for one of MMPose')
    try:
        return Config.fromstring(f'_base_ = [{path!r}]', '.py') if '::' in path else Config.fromfile(path)
    except Exception as error:
        raise OwnDataError(f'config {path} cannot be read: {type(error).__name__}: {error}') from error


def read_estimator(config: str, checkpoint: str, joints: str | None = None) -> GivenEstimator:
    """Read and check an estimator; nothing in its checkpoint is run.

    Args:
        config (str): A plain config of MMPose, or one of ours around such an estimator.
        checkpoint (str): Its checkpoint, a file.
        joints (str, optional): Name or path of a meta file of its joints, where neither checkpoint nor config say it.

    Raises:
        OwnDataError: No top-down estimator, codec, pipeline or joint set in the config, or the checkpoint is of another
            network or skeleton.
        CheckpointError: The checkpoint is missing, damaged or holds code.
    """
    cfg = load_config(config)
    estimator = _estimator(cfg, config)
    if '://' in checkpoint:
        raise OwnDataError(f'checkpoint {checkpoint} is no file: download it first, and give its path')
    check(checkpoint)
    saved = read(checkpoint)
    joint_set = read_joint_set(cfg, saved, estimator, joints, config)
    imports = dict(cfg.get('custom_imports') or {})
    given = GivenEstimator(
        config=config,
        checkpoint=str(Path(checkpoint).resolve()),
        estimator=estimator,
        pipeline=_test_pipeline(cfg, config),
        joint_set=joint_set,
        skeleton=Skeleton.from_metainfo(joint_set),
        imports=dict(imports, folder=str(Path(config).resolve().parent)) if imports else {},
    )
    _check_weights(given, saved.get('state_dict', saved))
    return given


def labelled_source(config: str, given: GivenEstimator) -> tuple[dict, Skeleton]:
    """The labelled training data of a config, for this estimator: its joints mapped by name, its targets made anew.

    Returns:
        tuple[dict, Skeleton]: Config of the data set, and its joints.

    Raises:
        OwnDataError: No such data, or of joints that the estimator lacks.
    """
    cfg = load_config(config)
    dataset = (cfg.get('train_dataloader') or {}).get('dataset')
    if dataset is None:
        raise OwnDataError(f'--source {config} has no train_dataloader.dataset: give a config with labelled data')
    if dataset.type.endswith('CombinedDataset'):
        labelled = [part for part in dataset.datasets if 'Unlabeled' not in part.type]
        if len(labelled) != 1:
            raise OwnDataError(f'--source {config} joins {len(labelled)} labelled data sets: give a config with one')
        dataset = labelled[0]
    dataset = Config(dict(dataset=dataset)).dataset.to_dict()
    try:
        with DefaultScope.overwrite_default_scope('mmposeda'):
            skeleton = Skeleton.from_metainfo(DATASETS.build(dataset).metainfo)
        converter = None if skeleton.same_joints(given.skeleton) else skeleton.map_to(given.skeleton).converter()
    except Exception as error:
        raise OwnDataError(f'--source {config}: {error}') from error
    steps = []
    for step in dataset.get('pipeline', ()):
        kind = step['type'].rpartition('.')[2]
        if kind.startswith('Topdown'):
            step = dict(step, input_size=given.input_size)
            steps += [converter] if converter else []
        steps.append(dict(step, encoder=given.codec) if kind == 'GenerateTarget' else step)
    if not any(step['type'].endswith('GenerateTarget') for step in steps):
        raise OwnDataError(f'the pipeline of --source {config} makes no targets: give a config that trains with labels')
    return dict(dataset, pipeline=steps), skeleton


def _estimator(cfg: Config, path: str) -> dict:
    model = cfg.get('model') or {}
    model = model.get('estimator', model)
    kind = str(model.get('type', '')).rpartition('.')[2]
    if kind != 'TopdownPoseEstimator':
        raise OwnDataError(
            f'{path} holds {f"a model of type {kind}" if kind else "no model"}, expected a TopdownPoseEstimator: give '
            'a top-down config of MMPose (topdown_heatmap, simcc, topdown_regression)'
        )
    estimator = plain_config(Config(dict(model=model)).model.to_dict())
    if isinstance(estimator.get('head', {}).get('loss'), (list, tuple)):
        raise OwnDataError(
            f'{path} has a head of several stages with a loss each, which wants targets of several sizes; these are '
            'not made here. Give a config with a single head'
        )
    decoder = estimator.get('head', {}).get('decoder')
    if not isinstance(decoder, Mapping) or 'input_size' not in decoder:
        raise OwnDataError(f'{path} has no codec with an input_size in model.head.decoder, which makes the targets')
    return estimator


def _test_pipeline(cfg: Config, path: str) -> list:
    for name in ('test_dataloader', 'val_dataloader'):
        dataset = (cfg.get(name) or {}).get('dataset') or {}
        while 'dataset' in dataset:
            dataset = dataset['dataset']
        if dataset.get('pipeline'):
            steps = plain_config(Config(dict(pipeline=dataset.pipeline))._cfg_dict.to_dict()['pipeline'])
            if any(step['type'].endswith('TopdownAffine') for step in steps):
                return [step for step in steps if step['type'] != 'GenerateTarget']
    raise OwnDataError(
        f'{path} has no test_dataloader.dataset.pipeline with TopdownAffine, which says how pictures are cut out'
    )


def _check_weights(given: GivenEstimator, weights: Mapping) -> None:
    try:
        with DefaultScope.overwrite_default_scope('mmposeda'):
            model = MODELS.build(dict(type='SourceOnly', estimator=given.estimator))
    except Exception as error:
        reason = str(error).strip('\'"').splitlines()[0]
        raise OwnDataError(
            f'the model of {given.config} cannot be built ({reason}): where it is of mmdet or mmpretrain, install that '
            'package; your own modules want custom_imports in the config'
        ) from error
    own = model.plain_state_dict()
    if any(key.startswith(('student.', 'teacher.')) for key in weights):
        raise OwnDataError(
            f'{given.checkpoint} is of an adapter of ours: make a plain config and checkpoint of it with '
            'tools/export.py, and give those'
        )
    shared = [key for key in own if key in weights]
    if len(shared) < len(own):
        missing = next(key for key in own if key not in weights)
        raise OwnDataError(
            f'checkpoint {given.checkpoint} has {len(shared)} of the {len(own)} weights that {given.config} builds, '
            f'{missing} for one is missing: give the checkpoint that belongs to this config'
        )
    wrong = next((key for key in own if weights[key].shape != own[key].shape), None)
    if wrong:
        shapes = [tuple(side[wrong].shape) for side in (weights, own)]
        raise OwnDataError(
            f'checkpoint {given.checkpoint} does not fit {given.config}: {wrong} has shape {shapes[0]}, the config '
            f'builds {shapes[1]}. Where the last layer of the head differs, it is of another skeleton: give the '
            'checkpoint that belongs to this config'
        )
