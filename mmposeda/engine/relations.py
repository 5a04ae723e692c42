"""How far relations move poses and motions in their latent spaces, and what tells that an adaptation collapses.

Legend: N clips of F frames, T frames of a clip in the space of motions, J joints, L numbers of a pose latent, V of a
motion latent, M latents of either kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from mmposeda.models.networks import MotionAutoEncoder, PoseAAE
from mmposeda.structures.relations import Relation


class NonLocalness(NamedTuple):
    """How far a relation moves latents, in their units.

    Attributes:
        distance (float): Mean distance of a latent and its related one, d_r of the paper.
        random (float): Mean distance of two latents drawn at random; 0 where all are one.
    """

    distance: float
    random: float

    @property
    def relative(self) -> float:
        """The share of the random pairs' distance: near 1, a relation leads as far away as chance; NaN of one latent.

        Latents of another scale or width give another ``distance``, but can be compared by this one (our choice).
        """
        return self.distance / self.random if self.random else float('nan')


@torch.no_grad()
def non_localness(
    pose: PoseAAE,
    motion: MotionAutoEncoder | None,
    relation: Relation,
    clips: Tensor,
    frames: int = 30,
    batch_size: int = 256,
    seed: int = 0,
) -> NonLocalness:
    """How far a relation moves motion capture in the latent space of poses or, of motions, in theirs.

    Source: non-local relation distillation (Kundu et al., NeurIPS 2021). Relations that lead far away, to poses that
    people do take, teach the most; below a few degrees a turn is nearly satisfied by a network that ignores it.

    Args:
        pose (PoseAAE): The space of poses.
        motion (MotionAutoEncoder, optional): The space of motions, for their relations.
        relation (Relation): Which one.
        clips (Tensor): (N, F, J, 3) in any unit, on any device. All frames of them are poses for a relation of poses;
            of motions, the first ``relation.window(frames)`` are a window. (N, J, 3) are N poses.
        frames (int): T.
        batch_size (int): Clips at a time.
        seed (int): Of the random pairs.

    Raises:
        ValueError: Fewer than two latents, clips that are too short, or latents that are not finite.
        TypeError: A relation of motions without their space.
    """
    flips, device = pose.kinematics.skeleton.flip_indices, next(pose.parameters()).device

    def embed(anchor: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
        return pose.encode(anchor.to(device)), pose.encode(relation.joints(positive.to(device), flips))

    return _measure(embed, motion, relation, clips if clips.ndim > 3 else clips[:, None], frames, batch_size, seed)


@torch.no_grad()
def predicted_non_localness(
    latents: Callable[[Tensor], Tensor],
    motion: MotionAutoEncoder | None,
    relation: Relation,
    clips: Tensor,
    size: int | None = None,
    frames: int = 30,
    batch_size: int = 4,
    seed: int = 0,
) -> NonLocalness:
    """How far predictions move when the relation is done to their pictures.

    A network that says the same of every picture satisfies all relations. Its distance is far below that of
    :func:`non_localness` on motion capture, and so is that of random pairs.

    Args:
        latents (Callable): Pictures (B, 3, size, size) to latents (B, L), such as ``RelationDistillation.latents`` in
            evaluation mode.
        motion (MotionAutoEncoder, optional): The space of motions, for their relations.
        relation (Relation): Which one.
        clips (Tensor): (N, F, 3, h, w), as ``latents`` takes pictures; see :func:`non_localness`.
        size (int, optional): Side of the square about the centre that the network sees, pixels; the whole picture by
            default. A margin fills the corners of turned pictures.
        frames (int): T.
        batch_size (int): Clips at a time.
        seed (int): Of the random pairs.

    Raises:
        ValueError, TypeError: As :func:`non_localness`.
    """
    same = Relation.parse('identity')

    def embed(*clips: Tensor) -> tuple[Tensor, Tensor]:
        seen = (one.pixels(clip.flatten(0, 1), size) for one, clip in zip((same, relation), clips))
        anchor, positive = (latents(pictures).unflatten(0, clips[0].shape[:2]) for pictures in seen)
        return anchor, positive

    return _measure(embed, motion, relation, clips, frames, batch_size, seed)


def latent_spread(latents: Tensor) -> Tensor:
    """Root mean square distance of latents (M, L) from their mean, a scalar; 0 where a network says always the same.

    The mean distance of two random latents is about the square root of 2 times this. Of a batch of predictions it falls
    when an adaptation collapses, long before a score tells.
    """
    return (latents - latents.mean(0)).square().sum(-1).mean().sqrt()


def _measure(
    embed: Callable, motion: MotionAutoEncoder | None, relation: Relation, clips: Tensor, frames: int, size: int, seed
) -> NonLocalness:
    if len(clips) * (clips.shape[1] if relation.level == 'pose' else 1) < 2:
        raise ValueError(f'{relation.name}: distances need two latents at least, got clips {tuple(clips.shape)}')
    found = []
    for anchor, positive in _pairs(relation, clips, frames, size):
        latents = embed(anchor, positive)
        if relation.level == 'motion':
            if motion is None:
                raise TypeError(f'{relation.name} relates motions: give the MotionAutoEncoder of their latents')
            found.append([motion.encode(z) for z in latents])
        else:
            found.append([z.flatten(0, 1) for z in latents])
    anchor, positive = (torch.cat(parts).double() for parts in zip(*found))
    order = torch.randperm(len(anchor), generator=torch.Generator().manual_seed(seed)).to(anchor.device)
    # neighbours in a random order: never a latent and itself
    pairs = torch.stack([anchor - positive, anchor[order] - anchor[order.roll(1)]])
    distance, random = pairs.norm(dim=-1).mean(1).tolist()
    if not distance < float('inf') or not random < float('inf'):
        raise ValueError(f'{relation.name}: latents are not finite. Are the clips, and the weights of the networks?')
    return NonLocalness(distance, random)


def _pairs(relation: Relation, clips: Tensor, frames: int, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Frames of anchors and positives, some clips at a time."""
    if relation.level == 'motion':
        window = relation.window(frames)
        if clips.shape[1] < window:
            raise ValueError(
                f'{relation.name} of {frames} frames needs clips of {window} frames, got {tuple(clips.shape)}'
            )
        clips = clips[:, :window]
    for part in clips.split(size):
        yield relation.anchor(part), relation.positive(part)
