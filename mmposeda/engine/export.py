"""From an adapter's checkpoint to a plain MMPose config and checkpoint."""

from __future__ import annotations

import ast
import hashlib
import inspect
from copy import deepcopy
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict

import mmposeda
from mmposeda.models.adapters import DomainAdapter
from mmposeda.registry import MODELS
from mmposeda.structures.skeleton import METAINFO_DIR, Skeleton

from .checkpoints import read

_ROOT = Path(mmposeda.__file__).parent

_HEAD = """# Made by mmposeda's tools/export.py; runs with MMPose alone.
"""
_LOCAL = """import sys

sys.path.insert(0, '{{{{ fileDirname }}}}')
custom_imports = dict(imports={names}, allow_failed_imports=False)
"""
# What MMPose's inference reads of a loader: the pipeline and the names of the joints.
_PIPELINE_ONLY = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False))
# MMPose's for single frames, where our data set gives whole batches and needs none
_LIFTING_META = ('id', 'category_id', 'target_img_path', 'flip_indices', 'target_root')
# Our transforms of labels, which a new picture has not.
_OF_LABELS = ('MirrorHands', 'RelativeDepth', 'RootRelativePose', 'ScreenPose')
_REGISTRY = 'from mmposeda.registry import'


def export_plain(config: Config, checkpoint: str, out_dir: str) -> tuple[Path, Path]:
    """Write the estimator that an adapter trained as MMPose's own.

    Own modules of the estimator (a backbone, a codec) are copied beside the config, which imports them, so that the
    result needs no mmposeda; those that need more of it than its registry as a package, with what they need.

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
        model=plain_config(config.model['estimator']),
        test_dataloader=dict(**_PIPELINE_ONLY, dataset=_dataset(config)),
    )
    local = _LOCAL.format(names=modules) if modules else ''
    (out / 'model.py').write_text(_HEAD + local + '\n' + Config(plain).pretty_text)
    meta = {'dataset_meta': saved.get('meta', {}).get('dataset_meta')}
    torch.save({'state_dict': model.plain_state_dict(), 'meta': meta}, out / 'model.pth')
    return out / 'model.py', out / 'model.pth'


def _without_weight_files(model: dict) -> dict:
    """The adapter without the networks that only training needs, whose weight files may not be here."""
    model = deepcopy(model)
    for part in ('style', 'reconstruction'):
        if model.get(part):
            model[part] = None
    return model


def plain_config(node):
    """The config without our scope's prefix, arguments that only our classes know, and files of weights.

    The checkpoint holds all weights; where some came from at first may not be there.
    """
    if isinstance(node, dict):
        ours = {'max_pixels', 'pretrained' if node.get('pretrained') is True else ''}
        if isinstance(node.get('init_cfg'), dict) and node['init_cfg'].get('type') == 'Pretrained':
            ours.add('init_cfg')
        return {key: plain_config(value) for key, value in node.items() if key not in ours}
    if isinstance(node, (list, tuple)):
        return [plain_config(value) for value in node]
    return node.removeprefix('mmposeda.') if isinstance(node, str) else node


def _dataset(config: Config) -> dict:
    pipeline = config.test_dataloader.dataset.get('pipeline')
    decoder = config.model['estimator']['head'].get('decoder')
    if pipeline is None and config.model['estimator']['type'].endswith('PoseLifter'):
        pipeline = [
            dict(type='GenerateTarget', encoder=decoder),
            dict(type='PackPoseInputs', meta_keys=_LIFTING_META),
        ]
        return dict(type='Human36mDataset', pipeline=plain_config(pipeline))
    steps = [step for step in pipeline if step['type'].removeprefix('mmposeda.') not in _OF_LABELS]
    return dict(type='CocoDataset', pipeline=plain_config(steps))


def _copy_own_modules(estimator: torch.nn.Module, out: Path) -> list[str]:
    """Copy the files of mmposeda that define the estimator's parts; they register with MMPose there."""
    parts = [part for module in estimator.modules() for part in (module, *vars(module).values())]
    own = {type(part) for part in parts if type(part).__module__.startswith('mmposeda.')}
    files = {Path(inspect.getsourcefile(kind)) for kind in own}
    needs = {file: _with_what_it_needs(file) for file in sorted(files) if _REGISTRY in file.read_text()}
    names, package = [], {}
    for file, needed in needs.items():
        if needed == {file}:
            (out / file.name).write_text(_registering_with_mmpose(file))
            names.append(file.stem)
        else:
            package.update(dict.fromkeys(needed))
    if package:
        joint_sets = {METAINFO_DIR / f'{part.name}.py' for part in parts if isinstance(part, Skeleton)}
        joint_sets = {file for given in joint_sets if given.is_file() for file in _with_bases(given)}
        name = _write_package([*package, *joint_sets], out)
        inside = [file for file in needs if file in package]
        names += ['.'.join([name, *file.relative_to(_ROOT).with_suffix('').parts]) for file in inside]
    return names


def _with_what_it_needs(file: Path) -> set[Path]:
    """A file of mmposeda and those that it imports, the registry left out."""
    found, waiting = set(), [file]
    while waiting:
        file = waiting.pop()
        found.add(file)
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.ImportFrom) or not (node.level or node.module.startswith('mmposeda')):
                continue
            base = file.parents[node.level - 1] if node.level else _ROOT.parent
            path = base.joinpath(*(node.module or '').split('.')).with_suffix('.py')
            if not path.is_file():
                raise TypeError(f'{file.name} imports from a package of mmposeda ({path.stem}) and cannot be exported')
            if path != _ROOT / 'registry.py' and path not in found:
                waiting.append(path)
    return found


def _with_bases(file: Path) -> list[Path]:
    """A joint set's file and those of ours that it inherits."""
    values = (node.value for node in ast.parse(file.read_text()).body if ast.unparse(node).startswith('_base_ ='))
    bases = [base for value in values for base in ast.literal_eval(value) if '::' not in base]
    return [file, *(found for base in bases for found in _with_bases((file.parent / base).resolve()))]


def _write_package(files: list[Path], out: Path) -> str:
    """Copy files into a package with the folders they have here; its name goes with what they say.

    So two exports can be used in one process, whatever they have in common.
    """
    digest = hashlib.sha256(b''.join(file.read_bytes() for file in sorted(files)))
    package = f'exported_{digest.hexdigest()[:8]}'
    for file in files:
        target = out / package / file.relative_to(_ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = _registering_with_mmpose(file).replace('from mmposeda.', f'from {package}.')
        target.write_text(text.replace('.register_module()', '.register_module(force=True)'))
        for folder in (target.parent, *target.parent.relative_to(out / package).parents):
            (out / package / folder / '__init__.py').touch()
    return package


def _registering_with_mmpose(file: Path) -> str:
    return file.read_text().replace(_REGISTRY, 'from mmpose.registry import')
