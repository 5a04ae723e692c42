"""Trains a VAE on a data set's poses and scores poses with it: the worse one is reconstructed, the rarer it is.

Source: "Towards Effective Synthetic Data Sampling for Domain Adaptive Pose Estimation", which says nothing of how the
VAE is trained: the numbers here are our choice.

Legend: N poses, K joints.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from mmposeda.datasets.annotations import AnnotationError
from mmposeda.datasets.difficulty import DifficultyScores, PoseArray
from mmposeda.models.networks.pose_vae import MIN_VISIBLE, PoseVAE, gaussian_kl
from mmposeda.structures.pose2d import normalize_pose2d

from . import random_state
from .hooks.non_finite_hook import NonFiniteError
from .pose_vae_file import check_joints, vae_hash

Progress = Callable[[int, int], None]
#: Poses that are handed to the device at once.
BLOCK = 1 << 16
#: A VAE below, in nats, passes on too little of a pose; its score is little more than the distance to the mean pose.
MIN_KL = 0.5
#: Of the mean pose's error, how much may be left of a VAE that has learnt something.
MAX_RESIDUE = 0.5
#: Rank correlation of score and size above which the score measures size rather than rarity.
MAX_SIZE_CORRELATION = 0.3
_LOOK_EVERY = 100  # steps between looks at the loss, each of which waits for the device


class VAEReport(NamedTuple):
    """How well a VAE does on poses with 4 visible joints or more; errors are in squared normalised units.

    Attributes:
        kl (float): Information in the latent numbers, nats a pose.
        reconstruction (float): Squared error summed over visible joints, mean over poses.
        mean_pose (float): The same, if every pose were answered with the mean pose.
    """

    kl: float
    reconstruction: float
    mean_pose: float

    @property
    def problem(self) -> str:
        """Why scores of this VAE would mean little, or ''."""
        if self.kl > MIN_KL and self.reconstruction < MAX_RESIDUE * self.mean_pose:
            return ''
        return (
            f'posterior collapse or too little training: the latent numbers hold {self.kl:.2f} nat of a pose (expected '
            f'more than {MIN_KL}) and leave an error of {self.reconstruction:.4g} against {self.mean_pose:.4g} of the '
            f'mean pose (expected less than {MAX_RESIDUE:g} of it), so the score says little more than how far a pose '
            'is from the mean. Train longer, take a smaller kl_weight, or a larger latent'
        )


def train_pose_vae(
    poses: PoseArray,
    vae: dict | None = None,
    norm_mode: str = 'bbox',
    epochs: int = 100,
    max_steps: int = 50_000,
    min_steps: int = 300,
    batch_size: int = 1024,
    lr: float = 1e-3,
    weight_decay: float = 1e-4,
    kl_warmup: float = 0.1,
    rotation: float = 0.0,
    device: str | torch.device = 'cpu',
    seed: int = 0,
    progress: Progress | None = None,
) -> PoseVAE:
    """Train a VAE on all poses with enough visible joints, with AdamW and a rate that falls to 0 along a cosine.

    The poses lie on the device and batches are taken there. Every random number is from a generator of its own, so the
    result depends on the arguments alone and the random state of the process is left as it was. A VAE that has learnt
    too little is warned of.

    Args:
        poses (PoseArray): N poses.
        vae (dict, optional): Arguments of :class:`~mmposeda.models.networks.pose_vae.PoseVAE` beside ``num_keypoints``.
        norm_mode (str): Its normalisation.
        epochs (int): Passes over the poses.
        max_steps (int): Upper bound of the steps, which has the last word.
        min_steps (int): Lower bound: a VAE of a small set is far from done with fewer, and with many times more it
            learns the poses by heart.
        batch_size (int): Poses a step.
        lr (float), weight_decay (float): Of AdamW.
        kl_warmup (float): Share of the steps over which the weight of the Kullback-Leibler term rises from 0.
        rotation (float): Turn each pose by a random angle up to so many degrees either way, every time.
        device: Where to train.
        seed (int): >= 0.
        progress (callable, optional): Called now and then with the steps made and all steps.

    Returns:
        PoseVAE: In evaluation mode, on the device.

    Raises:
        ValueError: A setting out of its range, or a network of another kind.
        AnnotationError: Visible joints that are no numbers, no boxes where they are needed, or no pose with enough
            visible joints.
        NonFiniteError: The training diverged; names the poses with the largest coordinates.
    """
    _check_settings(epochs=epochs, max_steps=max_steps, batch_size=batch_size, lr=lr)
    rows = np.flatnonzero((poses.visible > 0).sum(1) >= MIN_VISIBLE)
    if not len(rows):
        raise AnnotationError(
            f'none of {len(poses.ids)} poses has {MIN_VISIBLE} visible joints, which a score needs; check their '
            'visibility'
        )
    settings = {'norm_mode': norm_mode, **(vae or {})}
    if settings.pop('type', 'PoseVAE') not in ('PoseVAE', 'mmposeda.PoseVAE'):
        raise ValueError(f'vae must hold arguments of PoseVAE, got one of type {vae["type"]!r}')
    with random_state.kept(gpu=False):
        random_state.seed_host(seed)
        model = PoseVAE(**{'num_keypoints': poses.keypoints.shape[1], **settings})
    _check_poses(poses, model)
    model = model.to(device).train()
    data = [torch.from_numpy(array[rows]).to(device) for array in poses[1:]]
    generator = torch.Generator(device).manual_seed(seed)
    steps = min(max(epochs * -(-len(rows) // batch_size), min_steps), max_steps)
    optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=weight_decay)
    for step, batch in zip(range(steps), _batches(len(rows), batch_size, generator)):
        optimizer.param_groups[0]['lr'] = lr * (1 + math.cos(math.pi * step / steps)) / 2
        model.kl_ratio = min(1.0, step / max(kl_warmup * steps, 1))
        keypoints, visible, boxes = (array[batch] for array in data)
        if rotation:
            keypoints = _turned(keypoints, boxes, rotation, generator)
        losses = model(keypoints, visible, boxes, mode='loss', generator=generator)
        loss = losses['loss_rec'] + losses['loss_kl']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % _LOOK_EVERY == 0 or step + 1 == steps:
            if not math.isfinite(loss.item()):
                raise NonFiniteError(_why_diverged(model, poses, step + 1))
            if progress is not None:
                progress(step + 1, steps)
    model.kl_ratio = 1.0
    model.eval()
    problem = examine_pose_vae(model, poses).problem
    if problem:
        print_log(f'PoseVAE after {steps} steps: {problem}', logger='current', level=logging.WARNING)
    return model


def score_poses(
    vae: PoseVAE, poses: PoseArray, chunk: int | None = None, progress: Progress | None = None
) -> np.ndarray:
    """Scores of poses, block after block: beside poses and scores it takes a memory that does not grow with N.

    Args:
        vae (PoseVAE): On any device.
        poses (PoseArray): N poses of its joints.
        chunk (int, optional): Poses at a time in the network; None takes what suits the device.
        progress (callable, optional): Called now and then with the number of scored poses and N.

    Returns:
        np.ndarray: (N,) float32, see :meth:`~mmposeda.models.networks.pose_vae.PoseVAE.score`; NaN where fewer than 4
        joints are visible.

    Raises:
        AnnotationError: Poses of another number of joints, visible joints that are no numbers, or no boxes where they
            are needed.
    """
    check_joints(vae, poses.keypoints.shape[1])
    scores = np.empty(len(poses.ids), np.float32)
    done = 0
    for part, tensors in _blocks(poses, next(vae.parameters()).device):
        values = vae.score(*tensors, chunk=chunk).cpu().numpy()
        if not np.isfinite(values).all():
            _check_scores(values, poses, part, vae)
        scores[part] = values
        done += len(values)
        if progress is not None:
            progress(done, len(scores))
    return scores


def rate_poses(vae: PoseVAE, poses: PoseArray, k: int = 25, progress: Progress | None = None) -> DifficultyScores:
    """Score poses, sort them and cut them into k bins; the rest is as of :func:`score_poses`.

    Warns where the scores go with the size in the picture, which they should not: rare is not large.
    """
    scores = DifficultyScores.of(poses, score_poses(vae, poses, progress=progress), k, vae_hash(vae), vae.norm_mode)
    correlation = size_correlation(scores.scores, poses)
    if abs(correlation) > MAX_SIZE_CORRELATION:
        print_log(
            f"Spearman's correlation of score and size in the picture is {correlation:.2f}, expected within "
            f'{MAX_SIZE_CORRELATION:g} of 0: bins sort by size as well as by rarity. '
            + ("Take norm_mode='bbox'" if vae.norm_mode == 'image' else 'Look whether poses differ with the distance'),
            logger='current',
            level=logging.WARNING,
        )
    return scores


@torch.inference_mode()
def examine_pose_vae(vae: PoseVAE, poses: PoseArray) -> VAEReport:
    """What a VAE keeps of poses (at most 65536 of them, spread over all) and how well it gives them back.

    Raises:
        AnnotationError: Poses of another number of joints.
    """
    check_joints(vae, poses.keypoints.shape[1])
    rows = np.flatnonzero((poses.visible > 0).sum(1) >= MIN_VISIBLE)
    rows = rows[:: max(-(-len(rows) // BLOCK), 1)]
    if not len(rows):
        return VAEReport(math.nan, math.nan, math.nan)
    device = next(vae.parameters()).device
    y, v, boxes = (torch.from_numpy(array[rows]).to(device) for array in poses[1:])
    target = normalize_pose2d(y, v, vae.norm_mode, boxes, vae.root)[0]
    seen = (v > 0)[..., None]
    answer, mean, logvar = vae(y, v, boxes, mode='tensor')
    mean_pose = (target * seen).sum(0) / seen.sum(0).clamp(min=1)
    errors = [((guess - target) * seen).square().sum((1, 2)).mean() for guess in (answer, mean_pose)]
    return VAEReport(*(value.item() for value in (gaussian_kl(mean, logvar).mean(), *errors)))


def size_correlation(scores: np.ndarray, poses: PoseArray) -> float:
    """Spearman's correlation of the scores (N,) and the longer side of the visible joints' box, pixels.

    Boxes of the data set do not serve: they are often the whole picture. NaN where there is nothing to compare.
    """
    place = np.where((poses.visible > 0)[..., None], poses.keypoints, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # a pose without a visible joint
        size = (np.nanmax(place, 1) - np.nanmin(place, 1)).max(1)
    return _spearman(scores, size)


@torch.inference_mode()
def support_correlation(vae: PoseVAE, scores: np.ndarray, poses: PoseArray, k: int = 10) -> float:
    """Spearman's correlation of the scores (N,) and the distance to the k-th nearest pose, normalised as for the VAE.

    It says whether the scores measure how little of the data set lies near a pose. Looked at are poses with all joints
    visible, at most 4096 of them, spread over all; NaN where there are too few.
    """
    rows = np.flatnonzero((poses.visible > 0).all(1) & np.isfinite(scores))
    rows = rows[:: max(-(-len(rows) // 4096), 1)]
    if len(rows) <= k + 1:
        return math.nan
    y, v, boxes = (torch.from_numpy(array[rows]) for array in poses[1:])
    flat = normalize_pose2d(y, v, vae.norm_mode, boxes, vae.root)[0].flatten(1)
    distance = torch.cdist(flat, flat).kthvalue(k + 1, 1).values  # the nearest of all is the pose itself
    return _spearman(scores[rows], distance.numpy())


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    from scipy.stats import spearmanr

    both = np.isfinite(first) & np.isfinite(second)
    if np.unique(first[both]).size < 2 or np.unique(second[both]).size < 2:
        return math.nan
    return float(spearmanr(first[both], second[both])[0])


def _batches(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    while True:
        yield from torch.randperm(count, generator=generator, device=generator.device).split(size)


def _blocks(poses: PoseArray, device: torch.device) -> Iterator[tuple[slice, list[Tensor]]]:
    for start in range(0, len(poses.ids), BLOCK):
        part = slice(start, start + BLOCK)
        yield part, [torch.from_numpy(array[part]).to(device) for array in poses[1:]]


def _turned(keypoints: Tensor, boxes: Tensor, limit: float, generator: torch.Generator) -> Tensor:
    """Poses turned about the middle of their boxes, which matters where the box is their frame."""
    angle = torch.rand(len(keypoints), 1, generator=generator, device=keypoints.device) * 2 - 1
    angle = angle * math.radians(limit)
    centre = torch.nan_to_num((boxes[:, None, :2] + boxes[:, None, 2:]) / 2)
    x, y = (keypoints - centre).unbind(-1)
    return torch.stack([x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()], -1) + centre


def _check_settings(**settings: float) -> None:
    for name, value in settings.items():
        if not value > 0:
            raise ValueError(f'{name}={value} of the training of a pose VAE must be positive')


def _check_poses(poses: PoseArray, vae: PoseVAE) -> None:
    seen = poses.visible > 0
    enough = seen.sum(1) >= MIN_VISIBLE
    bad = enough & (seen & ~np.isfinite(poses.keypoints).all(2)).any(1)
    if bad.any():
        raise AnnotationError(_named(poses.ids[bad], 'visible joints at NaN or infinite places'))
    bad = enough & ~np.isfinite(poses.boxes).all(1)
    if vae.norm_mode == 'image' and bad.any():
        raise AnnotationError(_named(poses.ids[bad], "no box, which norm_mode='image' needs"))


def _check_scores(values: np.ndarray, poses: PoseArray, part: slice, vae: PoseVAE) -> None:
    bad = ~np.isfinite(values) & ((poses.visible[part] > 0).sum(1) >= MIN_VISIBLE)
    if bad.any():
        _check_poses(PoseArray(*(array[part][bad] for array in poses)), vae)
        raise AnnotationError(_named(poses.ids[part][bad], 'a score that is no number'))


def _why_diverged(vae: PoseVAE, poses: PoseArray, step: int) -> str:
    worst: list = []
    for part, (y, v, boxes) in _blocks(poses, torch.device('cpu')):
        size = normalize_pose2d(y, v, vae.norm_mode, boxes, vae.root)[0].abs().amax((1, 2))
        top = size.topk(min(4, len(size)))
        worst += zip(top.values.tolist(), poses.ids[part][top.indices.numpy()].tolist())
    worst = sorted(worst, key=lambda pair: -pair[0])[:4]
    samples = ', '.join(f'{name} ({value:.3g})' for value, name in worst)
    return (
        f'the loss of the pose VAE is not finite after {step} steps. Poses with the largest normalised coordinates '
        f'(about 0.5 is usual): {samples}. Correct or remove these, or take a smaller lr'
    )


def _named(ids: np.ndarray, what: str) -> str:
    more = f' and {len(ids) - 4} more' if len(ids) > 4 else ''
    return f'{len(ids)} poses have {what}: {", ".join(map(str, ids[:4].tolist()))}{more}'
