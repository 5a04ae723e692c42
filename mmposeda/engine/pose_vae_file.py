"""Pose VAEs on disk, with all that is needed to use them on other poses, and whether they fit these."""

from __future__ import annotations

import hashlib
import io
import json
import os
import os.path as osp
from typing import Any

import torch

from mmposeda.datasets.annotations import AnnotationError
from mmposeda.models.networks.pose_vae import PoseVAE
from mmposeda.structures.skeleton import Skeleton

from .checkpoints import CheckpointError, read, replace_file


def vae_hash(vae: PoseVAE) -> str:
    """SHA-1 of a VAE's weights and settings, for telling which one made a score."""
    digest = hashlib.sha1(json.dumps(vae.config, sort_keys=True).encode())
    for name, value in sorted(vae.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().astype('<f4').tobytes())
    return digest.hexdigest()


def vae_path(score_file: str) -> str:
    """Where the VAE lies that made a score file: beside it."""
    return f'{osp.splitext(score_file)[0]}.vae.pth'


def save_pose_vae(vae: PoseVAE, path: str) -> str:
    """Write a VAE, aside and then renamed; returns its :func:`vae_hash`.

    Raises:
        OSError: It could not be written.
    """
    weights = {name: value.detach().cpu() for name, value in vae.state_dict().items()}
    buffer, digest = io.BytesIO(), vae_hash(vae)
    torch.save(dict(pose_vae=vae.config, vae_hash=digest, state_dict=weights), buffer)
    os.makedirs(osp.dirname(osp.abspath(path)), exist_ok=True)
    replace_file(path, buffer.getvalue())
    return digest


def load_pose_vae(path: str, device: str | torch.device = 'cpu') -> PoseVAE:
    """Read a VAE of :func:`save_pose_vae`, in evaluation mode. Nothing in the file is run.

    Raises:
        CheckpointError: It is missing, damaged, or no pose VAE.
    """
    if not osp.isfile(path):
        raise CheckpointError(f'{path} does not exist: expected a VAE that tools/score_poses.py has written')
    content = read(path)
    try:
        vae = PoseVAE(**content['pose_vae'])
        vae.load_state_dict(content['state_dict'])
        wanted = content['vae_hash']
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = f'it has no {error}' if isinstance(error, KeyError) else str(error).strip().splitlines()[0]
        raise CheckpointError(f'{path} holds no pose VAE of tools/score_poses.py: {reason}') from None
    if vae_hash(vae) != wanted:
        raise CheckpointError(f'{path} is damaged: its weights are not those that were saved. Copy or train it again')
    return vae.to(device).eval()


def joint_names(dataset: Any) -> tuple[str, ...]:
    """Names of a data set's joints in its order, as other joint sets know them; () if it does not say."""
    metainfo = getattr(dataset, 'metainfo', None) or {}
    if 'keypoint_id2name' not in metainfo:
        return ()
    skeleton = Skeleton.from_metainfo(metainfo)
    return tuple(skeleton.aliases.get(name, name) for name in skeleton.joint_names)


def check_joints(vae: PoseVAE, count: int, names: tuple[str, ...] = (), where: str = 'the poses') -> None:
    """Check that poses are of the joints that a VAE knows, in its order.

    Args:
        vae (PoseVAE): The network.
        count (int): K of the poses.
        names (tuple[str]): Their names, or () if they are not known.
        where (str): What the poses are of, for the message.

    Raises:
        AnnotationError: They are not.
    """
    if count == vae.num_keypoints and (not names or not vae.joint_names or names == vae.joint_names):
        return
    own = f' ({", ".join(vae.joint_names)})' if vae.joint_names else ''
    theirs = f' ({", ".join(names)})' if names else ''
    raise AnnotationError(
        f'the VAE was trained on {vae.num_keypoints} joints{own}, {where} have {count}{theirs}: give both the same '
        'joint set (metainfo of the data set), or train a VAE on these poses'
    )
