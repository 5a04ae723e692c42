"""Which joints an estimator finds, and who can label them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmengine.config import Config

from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import Skeleton, metainfo_path

#: Joint sets that ``tools/render_people.py`` draws, and what it is to draw for them
RENDERABLE = dict(lsp='person', mpii='person', h36m='person', hand21='hand')


class OwnDataError(ValueError):
    """What the user gave cannot be adapted or adapted to; the message names it and the way out."""


@dataclass(frozen=True)
class Rendering:
    """Which figures to draw for an estimator.

    Attributes:
        what (str), joints (str): Of ``tools/render_people.py``.
        supplied (tuple[str]), missing (tuple[str]): Joints of the estimator with and without a label.
    """

    what: str
    joints: str
    supplied: tuple
    missing: tuple


def choose_rendering(skeleton: Skeleton) -> Rendering:
    """The set of rendered joints that supplies most of an estimator's, by name.

    Raises:
        OwnDataError: None of them has a joint of the estimator.
    """
    common = {name: Skeleton.from_metainfo(name).common_joints(skeleton) for name in RENDERABLE}
    best = max(RENDERABLE, key=lambda name: len(common[name]))
    if not common[best]:
        raise OwnDataError(
            f'no rendered joint is one of {skeleton.name!r} ({", ".join(skeleton.joint_names)}): rendered are '
            f'{", ".join(RENDERABLE)}. Give a labelled source of these joints with --source CONFIG, or, where only '
            'names differ, a meta file with aliases with --joints'
        )
    missing = tuple(name for name in skeleton.joint_names if name not in common[best])
    return Rendering(RENDERABLE[best], best, common[best], missing)


def read_joint_set(cfg: Config, saved: Mapping, estimator: Mapping, joints: str | None, path: str) -> dict:
    """Joints of an estimator: as asked for, else by the checkpoint, else by the config's data, whichever fits the head.

    Args:
        cfg (Config): The estimator's config.
        saved (Mapping): Its checkpoint.
        estimator (Mapping): The part of the config that builds it.
        joints (str, optional): Name or path of a meta file.
        path (str): Of the config, for messages.

    Raises:
        OwnDataError: None that has as many joints as the head finds.
    """
    count = estimator['head'].get('out_channels') or estimator['head'].get('num_joints')
    found = {}
    if joints is not None:
        try:
            found['--joints'] = _from_file(joints)
        except (FileNotFoundError, AttributeError) as error:
            raise OwnDataError(f'--joints {joints}: {error}') from error
    else:
        meta = (saved.get('meta') or {}).get('dataset_meta')
        if meta and meta.get('keypoint_id2name'):
            found['the checkpoint'] = _as_in_a_file(meta)
        for name in ('test_dataloader', 'val_dataloader', 'train_dataloader'):
            dataset = (cfg.get(name) or {}).get('dataset') or {}
            kind = DATASETS.get(dataset['type']) if dataset.get('type') else None
            meta = dataset.get('metainfo') or getattr(kind, 'METAINFO', None)
            if meta:
                found.setdefault(name, _from_file(meta['from_file']) if 'from_file' in meta else dict(meta))
    fits = [info for info in found.values() if len(info.get('keypoint_info', ())) == count]
    if fits:
        return fits[0]
    said = ', '.join(f'{len(info["keypoint_info"])} by {where}' for where, info in found.items()) or 'none are named'
    raise OwnDataError(
        f'the head of {path} finds {count} joints, but of joint sets {said}: name the right one with --joints '
        '(lsp, coco, mpii, … or the path of a meta file)'
    )


def _from_file(name: str) -> dict:
    return Config.fromfile(metainfo_path(name)).dataset_info.to_dict()


def _as_in_a_file(meta: Mapping) -> dict:
    """A parsed joint set as a meta file has it: the file of that name where it has the same joints, else rebuilt."""
    names = [meta['keypoint_id2name'][i] for i in range(len(meta['keypoint_id2name']))]
    try:
        info = _from_file(str(meta['dataset_name']))
        if [info['keypoint_info'][i]['name'] for i in range(len(info['keypoint_info']))] == names:
            return info
    except (FileNotFoundError, LookupError):
        pass
    flips, kinds = meta['flip_indices'], {}
    for kind in ('upper', 'lower'):
        kinds.update(dict.fromkeys(meta.get(f'{kind}_body_ids', ()), kind))
    count = len(names)
    return dict(
        dataset_name=str(meta['dataset_name']),
        keypoint_info={
            i: dict(name=name, id=i, type=kinds.get(i, ''), swap=names[flips[i]] if flips[i] != i else '')
            for i, name in enumerate(names)
        },
        skeleton_info={
            i: dict(link=(names[a], names[b]), id=i) for i, (a, b) in enumerate(meta.get('skeleton_links', ()))
        },
        joint_weights=_numbers(meta.get('dataset_keypoint_weights'), count, 1.0),
        sigmas=_numbers(meta.get('sigmas'), count, 0.05),
    )


def _numbers(values: Sequence | None, count: int, default: float) -> list[float]:
    return [default] * count if values is None or len(values) != count else [round(float(v), 6) for v in values]
