"""Pictures of what a method sees: rows of samples under named columns."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

_HEADER, _GAP = 18, 3
_KEPT, _DROPPED, _LINK, _FRAME = (60, 220, 60), (230, 70, 60), (255, 200, 40), (255, 255, 0)


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
    radius: int | None = None,
) -> np.ndarray:
    """Draw joints and links on a copy of an RGB picture.

    Args:
        image (np.ndarray): (h, w, 3), uint8.
        points (np.ndarray): (K, 2), pixels.
        links (list[tuple[int, int]]): Pairs of joints to connect.
        shown (np.ndarray, optional): Boolean (K,): joints in green, the others in red and without links; all are shown
            in green by default.
        colors (np.ndarray, optional): RGB (K, 3): joints in these colours, and links in that of their second joint.
        radius (int, optional): Of a joint, pixels; an 80th of the height by default.

    Returns:
        np.ndarray: (h, w, 3), uint8.
    """
    image = np.array(image, order='C')
    shown = np.ones(len(points), bool) if shown is None else np.asarray(shown)
    radius = max(1, image.shape[0] // 80) if radius is None else radius
    finite = np.isfinite(points).all(-1)
    cells = np.where(finite[:, None], points, -1000).round().astype(int)
    for a, b in links:
        if shown[a] and shown[b] and finite[a] and finite[b]:
            color = _LINK if colors is None else colors[b].tolist()
            cv2.line(image, cells[a].tolist(), cells[b].tolist(), color, 1, cv2.LINE_AA)
    for joint in np.flatnonzero(finite):
        color = (_KEPT if shown[joint] else _DROPPED) if colors is None else colors[joint].tolist()
        cv2.circle(image, cells[joint].tolist(), radius, color, -1, cv2.LINE_AA)
    return image


def grid(columns: dict[str, np.ndarray], gap: int = 0) -> np.ndarray:
    """Set pictures (B, h, w, 3) side by side, a column a name and a row a sample, under a header. Returns RGB.

    With a gap so many pixels of each at the right and below are left white.
    """
    if gap:
        columns = {name: np.array(images) for name, images in columns.items()}
        for images in columns.values():
            images[:, -gap:] = images[:, :, -gap:] = 255
    body = np.concatenate([np.concatenate(list(images), 0) for images in columns.values()], 1)
    header = np.full((_HEADER, body.shape[1], 3), 255, np.uint8)
    left = 0
    for name, images in columns.items():
        cv2.putText(header, name, (left + 3, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
        left += images.shape[2]
    return np.concatenate([header, body], 0)


def enlarged(image: np.ndarray, width: int | None) -> tuple[np.ndarray, float]:
    """A picture (h, w, 3) at another width, and its scale; as it is without one."""
    if width is None or width == image.shape[1]:
        return image, 1.0
    scale = width / image.shape[1]
    way = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    size = width, max(1, round(image.shape[0] * scale))
    return cv2.resize(np.ascontiguousarray(image), size, interpolation=way), scale


def adaptation_panel(
    preview: dict[str, Tensor],
    mean: Tensor,
    std: Tensor,
    links: list[tuple[int, int]],
    samples: int = 4,
    cell: int | None = None,
) -> np.ndarray:
    """Show the pictures of an adapter's ``preview``, and as the last column the pseudo-labels in the student's view.

    Green joints are kept by the confidence mask, red ones are not. Where the preview tells what was hidden from the
    student, its view has a column of its own, with a frame around that place.

    Args:
        preview (dict[str, Tensor]): Normalised pictures (B, 3, h, w) by column name, and of the 'student view'
            'points' (B, K, 2), 'kept' (B, K) and, if anything was hidden, which pixels: 'hidden', boolean (B, h, w).
        mean (Tensor): Normalisation, (1, 3, 1, 1), on the scale 0..255.
        std (Tensor): Likewise.
        links (list[tuple[int, int]]): Pairs of joints to connect.
        samples (int): Rows.
        cell (int, optional): Width of a picture in the panel, pixels; its own by default.

    Returns:
        np.ndarray: RGB, uint8.
    """
    points, kept = preview['points'].cpu().numpy(), preview['kept'].cpu().numpy()
    columns = {}
    for name, images in preview.items():
        if name in ('points', 'kept', 'hidden'):
            continue
        pictures, scales = zip(*(enlarged(row, cell) for row in to_uint8(images[:samples], mean, std)))
        if name != 'student view':
            columns[name] = np.stack(pictures)
            continue
        if 'hidden' in preview:
            masks = preview['hidden'].cpu().numpy()
            columns[name] = np.stack([_framed(*row) for row in zip(pictures, masks, scales)])
        labelled = [
            draw_skeleton(picture, (p + 0.5) * scale - 0.5, links, k, radius=cell and max(2, cell // 55))
            for picture, scale, p, k in zip(pictures, scales, points, kept)
        ]
        columns['pseudo-labels'] = np.stack(labelled)
    return grid(columns, _GAP if cell else 0)


def _framed(image: np.ndarray, mask: np.ndarray, scale: float) -> np.ndarray:
    """A frame just around the pixels of a mask (h, w) of the picture before it was scaled."""
    rows, columns = np.nonzero(mask)
    image = np.array(image, order='C')
    if len(rows):
        low = (np.array([columns.min(), rows.min()]) * scale).round().astype(int) - 1
        high = (np.array([columns.max() + 1, rows.max() + 1]) * scale).round().astype(int)
        cv2.rectangle(image, low.tolist(), high.tolist(), _FRAME, 1)
    return image
