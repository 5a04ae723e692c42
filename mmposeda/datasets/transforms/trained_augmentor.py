"""Augmentors for the data pipeline, with the weights of a run of PoseAug."""

from __future__ import annotations

import os.path as osp
import pickle
from collections.abc import Mapping

from torch import nn

from mmposeda.compat.safe_loading import UnsafeFileError, load_tensors
from mmposeda.registry import MODELS
from mmposeda.structures.skeleton import Skeleton

PREFIX = 'augmentor.'


def build_augmentor(config: Mapping, checkpoint: str | None, joints: Skeleton | None = None) -> nn.Module:
    """An augmentor in evaluation mode.

    Args:
        config (Mapping): Of the network.
        checkpoint (str, optional): Of a run of PoseAug; needed if the network has weights.
        joints (Skeleton, optional): Joint set, where the config names none.

    Raises:
        FileNotFoundError: No such checkpoint.
        UnsafeFileError: It holds more than data.
        ValueError: It is damaged, or has no such augmentor; or weights without a checkpoint.
    """
    network = MODELS.build(dict(config) if joints is None else {'skeleton': joints, **config})
    kind, learned = type(network).__name__, bool(network.state_dict())
    if learned and checkpoint is None:
        raise ValueError(
            f'{kind} has to be trained: give `checkpoint` of a run of PoseAug, or take RandomPoseAugmentor'
        )
    if checkpoint is not None:
        if not learned:
            raise ValueError(f'{kind} has no weights: leave `checkpoint` out, or take the augmentor of that run')
        _load(network, checkpoint)
    return network.eval().requires_grad_(False)


def _load(network: nn.Module, path: str) -> None:
    if not osp.isfile(path):
        raise FileNotFoundError(
            f'checkpoint {path} does not exist: PoseAugment takes the augmentor of a run of PoseAug'
        )
    try:
        content = load_tensors(path, 'cpu')
        state = content.get('state_dict', content)
        weights = {key[len(PREFIX) :]: value for key, value in state.items() if key.startswith(PREFIX)}
    except UnsafeFileError:
        raise
    except (pickle.UnpicklingError, RuntimeError, EOFError, AttributeError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).split('. ')[0].splitlines()[0]
        raise ValueError(
            f'{path} cannot be read as a checkpoint ({reason}): it is damaged or of another kind'
        ) from None
    if not weights:
        found = ', '.join(sorted({key.split('.')[0] for key in state})) or 'nothing'
        raise ValueError(f'{path} has no weights {PREFIX}*, but of {found}: take a checkpoint of a run of PoseAug')
    _check_joints(network, content, path)
    own = network.state_dict()
    wrong = [
        f'{key} {tuple(weights[key].shape) if key in weights else "missing"} instead of {tuple(value.shape)}'
        for key, value in own.items()
        if key not in weights or weights[key].shape != value.shape
    ] + [f'{key} too many' for key in weights if key not in own]
    if wrong:
        raise ValueError(
            f'the augmentor in {path} is of other joints or layers ({len(wrong)} differences, first {wrong[0]}): give '
            'the `augmentor` of its config, with the `skeleton` it was trained on'
        )
    network.load_state_dict(weights)


def _check_joints(network: nn.Module, content: Mapping, path: str) -> None:
    """Compare with the joint set that the run has written into the file, if it has."""
    meta = (content.get('meta') or {}).get('dataset_meta') or {}
    if isinstance(meta, Mapping) and 'keypoint_id2name' in meta:
        trained, own = Skeleton.from_metainfo(meta), network.tree.skeleton
        if not trained.same_joints(own):
            raise ValueError(
                f'the augmentor in {path} is of joint set {trained.name!r} ({trained.num_joints} joints), not of '
                f"{own.name!r} ({own.num_joints}): set augmentor=dict(skeleton={trained.name!r}, ...). The data's own "
                'joint set goes into `joints`'
            )
