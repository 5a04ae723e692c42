"""What a picture is put together of: drawn figures, others beside them, shadows under them."""

from __future__ import annotations

import cv2
import numpy as np


def straight(drawn):
    """Premultiplied linear (H, W, 4) to sRGB colour (H, W, 3) and coverage (H, W)."""
    cover = drawn[..., 3]
    color = drawn[..., :3] / np.maximum(cover, 1e-4)[..., None]
    return np.clip(color, 0, 1) ** np.float32(1 / 2.2), cover


def beside(rng, color, cover):
    """Another figure scaled, flipped and moved off the middle."""
    size = cover.shape[0]
    scale, sign = rng.uniform(0.35, 1.15), rng.choice([-1, 1])
    x = size / 2 + rng.choice([-1, 1]) * size * rng.uniform(0.2, 0.55)
    y = size / 2 + size * rng.uniform(-0.3, 0.3)
    matrix = np.array([[sign * scale, 0, x - sign * scale * size / 2], [0, scale, y - scale * size / 2]])
    both = cv2.warpAffine(np.dstack([color * cover[..., None], cover]), matrix, (size, size), flags=cv2.INTER_LINEAR)
    cover = both[..., 3]
    gain = rng.uniform(0.6, 1.2, 3).astype(np.float32)
    return np.clip(both[..., :3] / np.maximum(cover, 1e-4)[..., None] * gain, 0, 1), cover


def at_points(field, points):
    """Values of a field (H, W) at the pixels nearest to points (K, 2), 0 outside."""
    x, y = np.floor(points + 0.5).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < field.shape[1]) & (y < field.shape[0])
    return np.where(inside, field[y.clip(0, field.shape[0] - 1), x.clip(0, field.shape[1] - 1)], 0)


def ground_shadow(rng, image, mask):
    """A soft dark patch about the lowest part of the figure."""
    size, shares = mask.shape[0], (rng.uniform(0.5, 0.8), rng.uniform(0.015, 0.05))
    shift, angle, strength = rng.normal(0, 0.05) * size, rng.normal(0, 5), rng.uniform(0.2, 0.7)
    ys, xs = np.nonzero(mask > 0.5)
    if not len(xs):  # after the draws: what follows in a clip is the same in every frame
        return image
    low = ys > ys.max() - 0.12 * size
    x, y, width = xs[low].mean(), ys.max() - 0.01 * size, max(np.ptp(xs[low]), 0.1 * size)
    patch = np.zeros((size, size), np.float32)
    axes = (int(width * shares[0]), int(size * shares[1]) + 1)
    cv2.ellipse(patch, (int(x + shift), int(y)), axes, angle, 0, 360, 1.0, -1, cv2.LINE_AA)
    patch = cv2.GaussianBlur(patch, (0, 0), 0.02 * size)
    return image * (1 - strength * patch[..., None])
