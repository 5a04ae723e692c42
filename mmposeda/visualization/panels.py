"""Pictures of what a method sees: rows of samples under named columns."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

_HEADER = 18
_KEPT, _DROPPED, _LINK = (60, 220, 60), (230, 70, 60), (255, 200, 40)


def to_uint8(images: Tensor, mean: Tensor, std: Tensor) -> np.ndarray:
    """Undo the normalisation of (B, 3, h, w): RGB pictures (B, h, w, 3), uint8."""
    images = (images.detach().float() * std + mean).round().clamp(0, 255).to(torch.uint8)
    return images.permute(0, 2, 3, 1).cpu().numpy()


def draw_skeleton(
    image: np.ndarray,
    points: np.ndarray,
    links: list[tuple[int, int]],
    shown: np.ndarray | None = None,
    colors: np.ndarray | None = None,
) -> np.ndarray:
    """Draw joints and links on a copy of an RGB picture.

    Args:
        image (np.ndarray): (h, w, 3), uint8.
        points (np.ndarray): (K, 2), pixels.
        links (list[tuple[int, int]]): Pairs of joints to connect.
        shown (np.ndarray, optional): Boolean (K,): joints in green, the others in red and without links; all are shown
            in green by default.
        colors (np.ndarray, optional): RGB (K, 3): joints in these colours, and links in that of their second joint.

    Returns:
        np.ndarray: (h, w, 3), uint8.
    """
    image = np.array(image, order='C')
    shown = np.ones(len(points), bool) if shown is None else np.asarray(shown)
    finite = np.isfinite(points).all(-1)
    cells = np.where(finite[:, None], points, -1000).round().astype(int)
    for a, b in links:
        if shown[a] and shown[b] and finite[a] and finite[b]:
            color = _LINK if colors is None else colors[b].tolist()
            cv2.line(image, cells[a].tolist(), cells[b].tolist(), color, 1, cv2.LINE_AA)
    for joint in np.flatnonzero(finite):
        color = (_KEPT if shown[joint] else _DROPPED) if colors is None else colors[joint].tolist()
        cv2.circle(image, cells[joint].tolist(), max(1, image.shape[0] // 80), color, -1, cv2.LINE_AA)
    return image


def grid(columns: dict[str, np.ndarray]) -> np.ndarray:
    """Set pictures (B, h, w, 3) side by side, a column a name and a row a sample, under a header. Returns RGB."""
    body = np.concatenate([np.concatenate(list(images), 0) for images in columns.values()], 1)
    header = np.full((_HEADER, body.shape[1], 3), 255, np.uint8)
    left = 0
    for name, images in columns.items():
        cv2.putText(header, name, (left + 3, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
        left += images.shape[2]
    return np.concatenate([header, body], 0)


def adaptation_panel(
    preview: dict[str, Tensor], mean: Tensor, std: Tensor, links: list[tuple[int, int]], samples: int = 4
) -> np.ndarray:
    """Show the pictures of an adapter's ``preview``; the student's view carries the pseudo-labels.

    Green joints are kept by the confidence mask, red ones are not.

    Args:
        preview (dict[str, Tensor]): Normalised pictures (B, 3, h, w) by column name, and 'points' (B, K, 2), 'kept'
            (B, K) in the 'student view'.
        mean (Tensor): Normalisation, (1, 3, 1, 1), on the scale 0..255.
        std (Tensor): Likewise.
        links (list[tuple[int, int]]): Pairs of joints to connect.
        samples (int): Rows.

    Returns:
        np.ndarray: RGB, uint8.
    """
    points, kept = preview['points'].cpu().numpy(), preview['kept'].cpu().numpy()
    columns = {}
    for name, images in preview.items():
        if name in ('points', 'kept'):
            continue
        rows = to_uint8(images[:samples], mean, std)
        if name == 'student view':
            labelled = [draw_skeleton(r, p, links, k) for r, p, k in zip(rows, points, kept)]
            columns['pseudo-labels'] = np.stack(labelled)
        else:
            columns[name] = rows
    return grid(columns)
