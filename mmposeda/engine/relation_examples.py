"""What relations, walks through latent spaces and predictions look like: arrays for their figures.

Legend: N clips of F frames, T frames of a motion, k steps of a walk, J joints. Models are in evaluation mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mmposeda.evaluation.joints import in_crop, joint_labels
from mmposeda.models.networks import MotionAutoEncoder, PoseAAE
from mmposeda.structures.relations import Relation
from mmposeda.visualization import RelationPairs, to_uint8

from .interventions import spaced


class Walks(NamedTuple):
    """Lines through latent spaces, as :func:`~mmposeda.visualization.walk_sheet` takes them.

    Attributes:
        walks (dict): Kind -> name of a row -> poses (k, J, 3), or (T, J, 3) of a motion, in canonical units.
        heads (dict): Kind -> names of the columns.
    """

    walks: dict[str, dict[str, np.ndarray]]
    heads: dict[str, list[str]]


class Predictions(NamedTuple):
    """Predicted poses, as :func:`~mmposeda.visualization.prediction_sheet` takes them.

    Attributes:
        pictures (np.ndarray): (N, h, w, 3), RGB, uint8.
        poses (np.ndarray): (N, J, 3), in canonical units.
        truth (np.ndarray): (N, J, 3), at the scale of canonical bodies; NaN where it is not known.
        points (np.ndarray): (N, J, 2), pixels, true joints; NaN likewise.
    """

    pictures: np.ndarray
    poses: np.ndarray
    truth: np.ndarray
    points: np.ndarray


@torch.no_grad()
def relation_pairs(model: nn.Module, relation: Relation, clips: Tensor, count: int) -> tuple[RelationPairs, list[str]]:
    """What a relation does to pictures of clips, by the relation network and by way of the pictures.

    Args:
        model (nn.Module): A ``RelationDistillation``.
        relation (Relation): One of its own.
        clips (Tensor): (N, F, 3, h, w), normalised, on the model's device. Of poses, middle frames of clips at
            even distances are shown; of motions, frames of the first clip, with the poses that its motion latent stands
            for.
        count (int): Most columns.

    Returns:
        tuple: The pairs, poses in canonical units, and names of the columns: numbers of the frames of a motion.

    Raises:
        ValueError: Clips of too few frames for a relation of motions.
    """
    if relation.level == 'pose':
        anchors = positives = clips[spaced(len(clips), count), clips.shape[1] // 2]
    else:
        window = relation.window(model.frames)
        if clips.shape[1] < window:
            raise ValueError(f'{relation.name} needs clips of {window} frames, got {tuple(clips.shape)}')
        clip = clips[:1, :window]
        anchors, positives = relation.anchor(clip)[0], relation.positive(clip)[0]
    seen, related = model.seen(anchors), model.seen(positives, relation)
    before, after = model.latents(seen), model.latents(related)
    if relation.level == 'pose':
        latents, heads = (before, model.relations.after(relation, before), after), []
    else:
        shown = spaced(len(seen), count)
        before, after = (model.motion.encode(z[None]) for z in (before, after))
        latents = (before, model.relations.after(relation, before), after)
        latents = [model.motion.decode(v, len(seen))[0, shown] for v in latents]
        seen, related, heads = seen[shown], related[shown], [f'frame {frame + 1}' for frame in shown]
    preprocessor = model.data_preprocessor
    pictures = [to_uint8(images, preprocessor.mean, preprocessor.std) for images in (seen, related)]
    return RelationPairs(*pictures, *(_host(model.pose.pose(z)) for z in latents)), heads


@torch.no_grad()
def latent_walks(
    pose: PoseAAE, motion: MotionAutoEncoder | None, clips: Tensor, count: int = 3, steps: int = 7, seed: int = 0
) -> Walks:
    """Poses on lines between embedded poses and on random lines through the whole space, motions between two motions.

    A random line goes from one point of the cube [-s, s]^L through its centre to the point across.

    Args:
        pose (PoseAAE): The space of poses.
        motion (MotionAutoEncoder, optional): The space of motions.
        clips (Tensor): (N, T, J, 3), motion capture: lines join the first frames of one and the next, and the motions
            of the first two.
        count (int): Most lines of poses of either kind.
        steps (int): k, and most frames that are shown of a motion.
        seed (int): Of the random lines.

    Raises:
        ValueError: Fewer than two clips.
    """
    if len(clips) < 2:
        raise ValueError(f'walks between poses need two clips at least, got {tuple(clips.shape)}')
    device = next(pose.parameters()).device
    clips = clips.to(device)
    share = torch.linspace(0, 1, steps, device=device)[:, None]
    z = pose.encode(clips[: count + 1, 0])
    ends = pose.scale * (2 * torch.rand(count, pose.latent, generator=torch.Generator().manual_seed(seed)) - 1).to(z)
    between = {
        f'poses {i + 1}, {i + 2}': _host(pose.pose(_line(a, b, share))) for i, (a, b) in enumerate(zip(z, z[1:]))
    }
    across = {f'line {i + 1}': _host(pose.pose(_line(-end, end, share))) for i, end in enumerate(ends)}
    walks = {'between poses': between, 'along random lines from side to side': across}
    heads = {
        name: [f'{start + i * (1 - start) / max(steps - 1, 1):.2f}' for i in range(steps)]
        for name, start in zip(walks, (0, -1))
    }
    if motion is not None:
        frames = clips.shape[1]
        shown = spaced(frames, steps)
        v = motion.encode(pose.encode(clips[:2]))
        line = motion.decode(_line(*v, torch.linspace(0, 1, count + 2, device=device)[:, None]), frames)
        name, rows = 'between two motions', _host(pose.pose(line[:, shown]))
        walks[name] = {f'{i / (count + 1):.2f} of the way': row for i, row in enumerate(rows)}
        heads[name] = [f'frame {frame + 1}' for frame in shown]
    return Walks(walks, heads)


@torch.no_grad()
def predictions(model: nn.Module, images: Tensor, samples: Sequence = ()) -> Predictions:
    """Predicted poses of pictures, and the true ones of samples that have 3D labels of the same joint set.

    Args:
        model (nn.Module): A ``RelationDistillation``.
        images (Tensor): (N, 3, h, w), normalised, on the model's device and of the estimator's size.
        samples (Sequence): The N packed samples, labels as ``RootRelativePose`` leaves them; none without labels.
    """
    kinematics, preprocessor = model.pose.kinematics, model.data_preprocessor
    poses = _host(model.pose.pose(model.latents(images)))
    truth, points = np.full(poses.shape, np.nan), np.full((*poses.shape[:2], 2), np.nan)
    for i, sample in enumerate(samples):
        truth[i], points[i] = _labels(sample, kinematics)
    return Predictions(to_uint8(images, preprocessor.mean, preprocessor.std), poses, truth, points)


def _labels(sample, kinematics) -> tuple[np.ndarray, np.ndarray]:
    """True pose (J, 3), as large as canonical ones, and joints (J, 2) in the crop; NaN where not known."""
    skeleton = kinematics.skeleton
    pose, points = np.full((skeleton.num_joints, 3), np.nan), np.full((skeleton.num_joints, 2), np.nan)
    labels = sample.gt_instances
    if len(labels.get('keypoints_3d_cam', ((),))[0]) == skeleton.num_joints:
        given = np.asarray(labels.keypoints_3d_cam[0], np.float64)
        known = (given != 0).any(-1)
        pose[known] = given[known] - np.where(known[kinematics.root], given[kinematics.root], np.nan)
        lengths = _host(kinematics.bone_lengths(torch.from_numpy(pose)))
        there = np.isfinite(lengths) & (lengths > 0)
        pose *= _host(kinematics.lengths)[there].sum() / max(lengths[there].sum(), 1e-6)
    if len(labels.get('keypoints', ((),))[0]) == skeleton.num_joints:
        place, visible = joint_labels(sample.to_dict(), skeleton)
        points[visible] = in_crop(place[visible], sample.metainfo)
    return pose, points


def _line(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """Latents (k, L) at shares (k, 1) of the way."""
    return start + share * (end - start)


def _host(x: Tensor) -> np.ndarray:
    return x.detach().cpu().numpy()
