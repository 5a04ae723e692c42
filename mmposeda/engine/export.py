"""From an adapter's checkpoint to a plain MMPose config and checkpoint."""

from __future__ import annotations

import inspect
import re
from copy import deepcopy
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict

from mmposeda.models.adapters import DomainAdapter
from mmposeda.registry import MODELS

from .checkpoints import read

_HEAD = """# Made by mmposeda's tools/export.py; runs with MMPose alone.
"""
_LOCAL = """import sys

sys.path.insert(0, '{{{{ fileDirname }}}}')
custom_imports = dict(imports={names}, allow_failed_imports=False)
"""
# What MMPose's inference reads of a loader: the pipeline and the names of the joints.
_PIPELINE_ONLY = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False))


def export_plain(config: Config, checkpoint: str, out_dir: str) -> tuple[Path, Path]:
    """Write the estimator that an adapter trained as MMPose's own.

    Own network modules of the estimator (a backbone, say) are copied beside the config, which imports them, so that the
    result needs no mmposeda.

    Args:
        config (Config): The adapter's config.
        checkpoint (str): Its checkpoint.
        out_dir (str): Folder for ``model.py``, ``model.pth`` and copied modules.

    Returns:
        tuple[Path, Path]: Config and checkpoint.

    Raises:
        CheckpointError: The checkpoint is damaged, of another kind, or holds code; nothing in it is run.
        FileNotFoundError: There is no such checkpoint.
        TypeError: The config's model is no adapter.
        ValueError: The checkpoint lacks weights of the estimator.
    """
    if not Path(checkpoint).is_file():
        raise FileNotFoundError(f'No such checkpoint: {checkpoint}')
    model = MODELS.build(_without_weight_files(config.model))
    if not isinstance(model, DomainAdapter):
        raise TypeError(f'tools/export.py takes an adapter of mmposeda, the config builds a {type(model).__name__}')
    saved = read(checkpoint)
    result = model.load_state_dict(saved.get('state_dict', saved), strict=False)
    missing = [key for key in result.missing_keys if key.startswith(f'{model.predict_with}.')]
    if missing:
        raise ValueError(f'{checkpoint} lacks {len(missing)} weights of the {model.predict_with}, first {missing[0]}')
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    modules = _copy_own_modules(model.estimator, out)
    plain = ConfigDict(
        default_scope='mmpose',
        model=_plain(config.model['estimator']),
        test_dataloader=dict(
            **_PIPELINE_ONLY,
            dataset=dict(type='CocoDataset', pipeline=_plain(config.test_dataloader.dataset.pipeline)),
        ),
    )
    local = _LOCAL.format(names=modules) if modules else ''
    (out / 'model.py').write_text(_HEAD + local + '\n' + Config(plain).pretty_text)
    meta = {'dataset_meta': saved.get('meta', {}).get('dataset_meta')}
    torch.save({'state_dict': model.plain_state_dict(), 'meta': meta}, out / 'model.pth')
    return out / 'model.py', out / 'model.pth'


def _without_weight_files(model: dict) -> dict:
    """The adapter without the networks that only training needs, whose weight files may not be here."""
    model = deepcopy(model)
    if model.get('style'):
        model['style'] = None
    return model


def _plain(node):
    """The config without our scope's prefix and the arguments that only our classes know."""
    if isinstance(node, dict):
        ours = {'max_pixels', 'pretrained' if node.get('pretrained') is True else ''}
        return {key: _plain(value) for key, value in node.items() if key not in ours}
    if isinstance(node, (list, tuple)):
        return [_plain(value) for value in node]
    return node.removeprefix('mmposeda.') if isinstance(node, str) else node


def _copy_own_modules(estimator: torch.nn.Module, out: Path) -> list[str]:
    """Copy the files of mmposeda that define the estimator's networks; they register with MMPose there."""
    files = set()
    for module in estimator.modules():
        if type(module).__module__.startswith('mmposeda.'):
            files.add(Path(inspect.getsourcefile(type(module))))
    names = []
    for file in sorted(files):
        source = file.read_text().replace('from mmposeda.registry import', 'from mmpose.registry import')
        if re.search(r'^\s*(from|import) (mmposeda|\.)', source, re.MULTILINE):
            raise TypeError(f'{file.name} needs more of mmposeda than its registry and cannot be exported')
        (out / file.name).write_text(source)
        names.append(file.stem)
    return names
