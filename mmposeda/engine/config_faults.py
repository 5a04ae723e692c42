"""What of a run's config contradicts its data: heads, codecs, samplers and files of weights."""

from __future__ import annotations

import hashlib
import os.path as osp
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmposeda.datasets.faults.findings import Finding, error, warning

from .checkpoints import CheckpointError, check
from .stages import REFERENCE

#: Heads whose outputs are one a joint, by the key that says how many.
OUTPUTS = {
    'out_channels': ('HeatmapHead', 'SimCCHead', 'RTMCCHead', 'CPMHead', 'MSPNHead', 'ViPNASHead'),
    'num_joints': ('RegressionHead', 'RLEHead', 'IntegralRegressionHead', 'DSNTHead'),
}
WEIGHT_FILES = ('.pth', '.pt', '.ckpt', '.bin')
_HASHED = re.compile(r'-([0-9a-f]{8})\.pth$')


def head_faults(model: Mapping, joints: int, joint_set: str) -> list[Finding]:
    """Heads that give another number of joints than the training data has.

    Args:
        model (Mapping): Config of the model.
        joints (int): Joints of the training data.
        joint_set (str): Their name.
    """
    findings = []
    for where, head in _heads(model):
        key = next((key for key, kinds in OUTPUTS.items() if _kind(head) in kinds and key in head), None)
        if key and head[key] != joints:
            findings.append(
                error(
                    f'{where}.{key} of {_kind(head)} is {head[key]}, the training data has {joints} joints of '
                    f'{joint_set!r}. Set {where}.{key}={joints}, or take the joint set that the head is for'
                )
            )
    return findings


def size_faults(model: Mapping, pipelines: Mapping[str, Sequence]) -> list[Finding]:
    """Codecs made for inputs of another size than the pipeline cuts out.

    Args:
        model (Mapping): Config of the model.
        pipelines (Mapping[str, Sequence]): Configs of the transforms, by name of the data set.
    """
    findings = []
    decoders = [(where, head['decoder']) for where, head in _heads(model) if head.get('decoder')]
    for name, pipeline in pipelines.items():
        cut = next((step['input_size'] for step in _steps(pipeline) if _is_affine(step)), None)
        if cut is None:
            continue
        codecs = [(f'{where}.decoder', decoder) for where, decoder in decoders]
        for step in _steps(pipeline):
            encoder = step.get('encoder') or ()
            codecs += [
                (f'the encoder of {_kind(step)}', each)
                for each in (encoder if isinstance(encoder, (list, tuple)) else [encoder])
            ]
        for where, codec in codecs:
            size = codec.get('input_size') if isinstance(codec, Mapping) else None
            if size is not None and tuple(size) != tuple(cut):
                findings.append(
                    error(
                        f'{where} ({_kind(codec)}) has input_size={tuple(size)}, the pipeline of {name} cuts out '
                        f'{tuple(cut)} pixels: joints would be decoded elsewhere. Set both to the same'
                    )
                )
    return list(dict.fromkeys(findings))


def loader_faults(loader: Mapping, lengths: Sequence[int | None], names: Sequence[str]) -> list[Finding]:
    """Samplers and batches that do not fit the training data sets.

    Args:
        loader (Mapping): Config of the training loader.
        lengths (Sequence[int | None]): Samples of each data set; None where they are not known.
        names (Sequence[str]): What the data sets are called.
    """
    sampler, batch = loader.get('sampler') or {}, loader.get('batch_size')
    quotas = sampler.get('quotas')
    if quotas is None:
        total = None if None in lengths else sum(lengths)
        if batch is None or total is None or total >= batch:
            return []
        level = error if loader.get('drop_last') else warning
        return [level(f'a batch of {batch} is larger than the {total} samples there are. Set batch_size lower')]
    if len(quotas) != len(lengths):
        return [
            error(
                f'{len(quotas)} quotas {list(quotas)} for {len(lengths)} data sets ({", ".join(names)}). Give one each '
                'in train_dataloader.sampler.quotas'
            )
        ]
    findings = []
    if _kind(sampler) == 'DomainSampler' and batch is not None and batch != sum(quotas):
        findings.append(
            error(
                f'batch_size is {batch}, the quotas {list(quotas)} add up to {sum(quotas)}. Set '
                f'train_dataloader.batch_size={sum(quotas)}'
            )
        )
    for name, length, quota in zip(names, lengths, quotas):
        if length is not None and quota > length:
            findings.append(
                warning(
                    f'quota {quota} of {name} is larger than its {length} samples, so a batch has some more than once. '
                    'Set a lower quota, or add data'
                )
            )
    return findings


def weight_faults(cfg: Mapping) -> list[Finding]:
    """Files of weights that a run would load and that are missing, damaged, or not what their name says.

    What comes from an earlier stage or the network is left out. A name that ends in the start of a SHA-256, as in
    ``resnet101-63fe2227.pth``, is held against it.

    Args:
        cfg (Mapping): Config of one stage.
    """
    findings = []
    for where, path in {**dict(_files(cfg.get('model') or {}, 'model')), 'load_from': cfg.get('load_from')}.items():
        if not isinstance(path, str) or not path or '://' in path or REFERENCE.search(path):
            continue
        try:
            check(path)
        except CheckpointError as problem:
            way_out = 'Download or copy it again' if osp.isfile(path) else 'Put it there (see docs/datasets.md)'
            findings.append(error(f'{where}: {problem}. {way_out}, or set {where} to where it is'))
            continue
        named = _HASHED.search(path)
        if named and not _sha256(path).startswith(named[1]):
            findings.append(
                error(
                    f'{where}: {path} is not the file of that name: its SHA-256 begins with {_sha256(path)[:8]}. '
                    'Download it again'
                )
            )
    return findings


def _kind(cfg: Mapping) -> str:
    return str(cfg.get('type', '')).split('.')[-1]


def _heads(model: Any, where: str = 'model') -> Iterator[tuple[str, Mapping]]:
    """Heads of estimators by their key; those that an adapter has beside them are no estimator's."""
    if isinstance(model, Mapping):
        for key, value in model.items():
            if key == 'head' and isinstance(value, Mapping) and 'backbone' in model:
                yield f'{where}.head', value
            else:
                yield from _heads(value, f'{where}.{key}')


def _steps(pipeline: Any) -> Iterator[Mapping]:
    """Transforms, those within others too."""
    if isinstance(pipeline, Mapping):
        if 'type' in pipeline:
            yield pipeline
        for value in pipeline.values():
            yield from _steps(value)
    elif isinstance(pipeline, (list, tuple)):
        for step in pipeline:
            yield from _steps(step)


def _is_affine(step: Mapping) -> bool:
    return _kind(step).endswith('Affine') and bool(step.get('input_size'))


def _files(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _files(item, f'{where}.{key}')
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _files(item, f'{where}.{number}')
    elif isinstance(value, str) and value.endswith(WEIGHT_FILES):
        yield where, value


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(1 << 24), b''):
            digest.update(block)
    return digest.hexdigest()
