"""Pseudo-labels of a whole data set: where they are kept, and the rules by which CC-SSL makes them."""

from __future__ import annotations

import os.path as osp
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from mmposeda.structures.heatmap import heatmap_argmax
from mmposeda.structures.warp import affine_matrix, invert, rescale, warp

from .heatmap_estimator import HeatmapLayout


@dataclass(frozen=True)
class TurnRange:
    """Random turns and scales about the picture's centre, drawn from clipped normal distributions (CC-SSL code).

    Args:
        rotation (float): Deviation of the turn, degrees; turns end at twice as much.
        scale (float): Deviation of the factor of the part of the picture that the view shows, which ends at 1 - scale
            and 1 + scale.
        probability (float): Chance that a view is turned at all.
    """

    rotation: float = 30.0
    scale: float = 0.25
    probability: float = 1.0

    def __post_init__(self) -> None:
        if self.rotation < 0:
            raise ValueError(f'rotation is a deviation in degrees and must be >= 0, got {self.rotation}')
        if not 0 <= self.scale < 1:
            raise ValueError(f'scale is the deviation of a factor from 1 and must lie in [0, 1), got {self.scale}')
        if not 0 <= self.probability <= 1:
            raise ValueError(f'the probability of a turn must lie in [0, 1], got {self.probability}')

    def sample(self, n: int, size: tuple[int, int], device='cpu', generator: torch.Generator | None = None) -> Tensor:
        """Draw n matrices (n, 3, 3) from a picture of size (w, h) to its views."""
        like = dict(device=device, generator=generator)
        side = (1 + self.scale * torch.randn(n, **like)).clamp(1 - self.scale, 1 + self.scale)
        turn = (self.rotation * torch.randn(n, **like)).clamp(-2 * self.rotation, 2 * self.rotation)
        turn = turn * (torch.rand(n, **like) < self.probability) * (torch.pi / 180)
        return affine_matrix(size, turn, torch.zeros_like(turn), turn.new_zeros(n, 2), 1 / side)


class PseudoLabelTable(nn.Module):
    """Labels of the N pictures of a data set, in buffers: a checkpoint has them, and a run that resumes needs no more.

    It is empty (N = 0) until the first :meth:`fill`, and takes over the N of a checkpoint that is loaded.

    Args:
        num_joints (int): K.

    Attributes:
        labels (Tensor): Pixels of the network's input, (N, K, 2).
        confidence (Tensor): (N, K).
        keep (Tensor): Labels to train on, boolean (N, K).
        round (Tensor): How many times the data set has been labelled, int64.
    """

    def __init__(self, num_joints: int) -> None:
        super().__init__()
        self.register_buffer('labels', torch.zeros(0, num_joints, 2))
        self.register_buffer('confidence', torch.zeros(0, num_joints))
        self.register_buffer('keep', torch.zeros(0, num_joints, dtype=torch.bool))
        self.register_buffer('round', torch.zeros((), dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.labels)

    def fill(self, labels: Tensor, confidence: Tensor, keep: Tensor, number: int) -> None:
        """Take the labels of round ``number`` (from 1) in place of the last ones."""
        # new tensors: hooks that put buffers back after a bad step must not bring old labels back
        like = dict(device=self.labels.device, copy=True)
        self.labels = labels.to(dtype=torch.float32, **like)
        self.confidence = confidence.to(dtype=torch.float32, **like)
        self.keep = keep.to(dtype=torch.bool, **like)
        self.round = torch.full_like(self.round, number)

    def clear(self) -> None:
        """Forget all labels."""
        self.fill(self.labels[:0], self.confidence[:0], self.keep[:0], 0)

    def look_up(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Labels (B, K, 2) and which of them to train on (B, K) of the pictures at these places in the data set.

        Raises:
            ValueError: There are no labels yet, or none for such a place.
        """
        if not len(self):
            raise ValueError('There are no pseudo-labels yet: put PseudoRelabelHook into custom_hooks.')
        if max(indices) >= len(self):
            raise ValueError(
                f'There are pseudo-labels of {len(self)} pictures and none of picture {max(indices)}: the target data '
                'have changed since they were made. Start the stage again, without --resume.'
            )
        places = torch.tensor(indices).to(self.labels.device, non_blocking=True)
        return self.labels[places], self.keep[places]

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        for name, own in list(self.named_buffers(recurse=False)):
            found = state_dict.get(prefix + name)
            if found is None:  # a checkpoint of another method
                state_dict[prefix + name] = own
            elif found.shape[1:] == own.shape[1:]:
                setattr(self, name, own.new_zeros(found.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)


def kept_share(progress: float, first: float = 0.2, last: float = 0.8, ramp: float = 0.5) -> float:
    """Share of pseudo-labels to keep: from ``first`` in a straight line to ``last``, reached at ``ramp`` of the run.

    The defaults are the published ``1 - max(0.2, 1 - 0.02 (epoch + 10))`` over 60 epochs: 20, 40, 60, 80, 80 and 80 %
    at epochs 0, 10, ..., 50.

    Args:
        progress (float): Of the run, in [0, 1].
    """
    return first + (last - first) * min(progress / ramp, 1.0)


def label_views(
    predict: Callable[[Tensor], Tensor], pictures: Tensor, views: Tensor, matrices: Tensor, layout: HeatmapLayout
) -> tuple[Tensor, Tensor]:
    """Label pictures by the mean of their own heatmaps and those of turned views, turned back (equivariance).

    As published, what a view does not show counts as 0 in its mean, so that a joint near the border is less sure.

    Args:
        predict (callable): Network from pictures (n, 3, h, w) to heatmaps (n, K, H, W).
        pictures (Tensor): (B, 3, h, w).
        views (Tensor): The V views of each, (B V, 3, h, w), all of a picture side by side; V may be 0.
        matrices (Tensor): From picture to view, (B V, 3, 3).
        layout (HeatmapLayout): Of the network.

    Returns:
        tuple[Tensor, Tensor]: Places in ``pictures``, pixels (B, K, 2), and confidence, the peaks (B, K).
    """
    number, of_each = len(pictures), len(views) // len(pictures)
    mean, turned = predict(torch.cat([pictures, views])).float().split([number, len(views)])
    if of_each:
        back = warp(turned, invert(rescale(matrices, layout.scale_factor)))
        mean = (mean + back.view(number, of_each, *back.shape[1:]).sum(1)) / (1 + of_each)
    cells, confidence = heatmap_argmax(mean)
    return cells * cells.new_tensor(layout.scale_factor), confidence


def prefer_flow(
    labels: np.ndarray, confidence: np.ndarray, flow: np.ndarray, flow_confidence: np.ndarray, decay: float = 0.9
) -> tuple[np.ndarray, np.ndarray]:
    """Take the place to which optical flow brought the last frame's label where that is surer (temporal consistency).

    A label less confident than ``decay`` times the flow's gives way to the flow, which then has that confidence.

    Args:
        labels (np.ndarray): Of this frame, (K, 2).
        confidence (np.ndarray): (K,).
        flow (np.ndarray): The last frame's labels moved by the flow, (K, 2).
        flow_confidence (np.ndarray): Their confidence, (K,); 0 where the flow is not to be trusted.
        decay (float): In (0, 1].

    Returns:
        tuple[np.ndarray, np.ndarray]: Labels (K, 2) and confidence (K,).
    """
    surer = (flow_confidence > 0) & (confidence < decay * flow_confidence)
    return np.where(surer[:, None], flow, labels), np.where(surer, decay * flow_confidence, confidence)


def follows(previous: str, path: str) -> bool:
    """Whether a picture can be the frame after ``previous``: another one of the same folder."""
    return previous != path and osp.dirname(previous) == osp.dirname(path)


class FlowFollower:
    """Goes through frames in order and pushes each one's labels on to the next (pyramidal Lucas-Kanade).

    What it hands on are the labels it returned, so a sure label may travel over many frames, less sure in each. Frames
    of another folder begin anew (the authors' code goes on from one video to the next).

    Args:
        max_motion (float): Farther from its place a joint does not move in a frame, in picture widths (15 of 256
            pixels).
        decay (float): See :func:`prefer_flow`.
    """

    def __init__(self, max_motion: float = 15 / 256, decay: float = 0.9) -> None:
        self.max_motion, self.decay = max_motion, decay
        self._last: tuple | None = None  # path, grey picture, labels, confidence

    def __call__(
        self, pictures: Tensor, paths: Sequence[str], labels: Tensor, confidence: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Correct the labels of the next frames.

        Args:
            pictures (Tensor): BGR crops, uint8 (B, 3, h, w).
            paths (sequence[str]): Of their files.
            labels (Tensor): Pixels of the crops, (B, K, 2).
            confidence (Tensor): (B, K).

        Returns:
            tuple[Tensor, Tensor]: Labels and confidence, on the device they came from.
        """
        places, sure = labels.cpu().numpy().astype(np.float32), confidence.cpu().numpy().astype(np.float32)
        frames = pictures.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        # one after the other: each frame's result is where the next one's flow begins
        for i, path in enumerate(paths):
            grey = cv2.cvtColor(frames[i], cv2.COLOR_BGR2GRAY)
            if self._last is not None and follows(self._last[0], path):
                places[i], sure[i] = prefer_flow(places[i], sure[i], *self._flow(grey), self.decay)
            self._last = (path, grey, places[i].copy(), sure[i].copy())
        return torch.from_numpy(places).to(labels), torch.from_numpy(sure).to(confidence)

    def _flow(self, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        _, before, start, confidence = self._last
        criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03)
        end, found, _ = cv2.calcOpticalFlowPyrLK(
            before, grey, start[:, None].copy(), None, winSize=(15, 15), maxLevel=2, criteria=criteria
        )
        end = end[:, 0]
        size = np.array(grey.shape[::-1])
        trusted = (found.ravel() > 0) & ((end >= 0) & (end < size)).all(-1)
        trusted &= np.linalg.norm(end - start, axis=-1) <= self.max_motion * size[0]
        return end, np.where(trusted, confidence, 0)
