"""Backgrounds: procedural scenes, or crops of the pictures in a folder. All are sRGB floats (H, W, 3) RGB in [0, 1]."""

from __future__ import annotations

import colorsys
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from ..images import check_size, image_size

_IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')


def _color(rng, low=0.1, high=0.95, saturation=0.7):
    return np.array(
        colorsys.hsv_to_rgb(rng.random(), rng.random() ** 1.5 * saturation, rng.uniform(low, high)), np.float32
    )


def smooth_noise(rng, size, cells):
    """Noise (size, size) in [0, 1] with about ``cells`` features across."""
    grid = rng.random((cells + 1, cells + 1)).astype(np.float32)
    return cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def _texture(rng, image, size):
    """Multiply by several octaves of noise, sometimes stretched as grass, boards or planks are."""
    strength = rng.uniform(0.02, 0.4) ** 1.3
    for cells in (4, 12, 36, 90)[: rng.integers(2, 5)]:
        noise = smooth_noise(rng, size, min(cells, size // 2))
        image = image * (1 - strength / 2 + strength * noise[..., None])
        strength *= 0.75
    return image


def _ground(rng, size, image, horizon):
    """A floor with lines in perspective below the horizon."""
    ys = np.arange(size, dtype=np.float32)
    depth = 1.0 / np.maximum((ys - horizon) / size, 0.02)
    floor = (
        _color(rng, 0.15, 0.8)
        if rng.random() < 0.6
        else np.array([0.25, 0.42, 0.15], np.float32) * rng.uniform(0.6, 1.4)
    )
    far = floor * rng.uniform(0.7, 1.3)
    t = np.clip((ys - horizon) / max(size - horizon, 1), 0, 1)[:, None, None]
    plane = np.broadcast_to(far * (1 - t) + floor * t, (size, size, 3)).copy()
    if rng.random() < 0.6:
        xs = (np.arange(size, dtype=np.float32) - size * rng.uniform(0, 1)) / size
        u, v = xs[None] * depth[:, None] * rng.uniform(0.4, 1.5), depth[:, None] * rng.uniform(0.3, 2)
        u, v = u * np.cos(1.0) + v * np.sin(1.0) * (rng.random() < 0.5), v
        kind = rng.integers(3)
        if kind == 0:
            pick = (np.floor(u * 3) + np.floor(v * 3)) % 2 > 0.5
        elif kind == 1:
            pick = (u * 3) % 1 < 0.08
        else:
            pick = (v * 2) % 1 < 0.12
        plane[np.broadcast_to(pick, plane.shape[:2])] *= rng.uniform(0.6, 1.5)
    below = ys > horizon
    image[below] = plane[below]
    return image


def _clutter(rng, image, size):
    """Boxes, bars, blobs and lines: buildings, rails, apparatus, trees, spectators."""
    for _ in range(rng.integers(0, 14)):
        kind, color = rng.integers(6), tuple(float(x) for x in _color(rng, 0.05, 0.98, 0.9))
        x, y = (int(v) for v in rng.uniform(-0.1, 1.1, 2) * size)
        w, h = (int(v) for v in size * 0.5 * rng.random(2) ** 2 + 2)
        if kind == 0:
            cv2.rectangle(image, (x, y), (x + w, y + h), color, -1, cv2.LINE_AA)
        elif kind == 1:
            cv2.ellipse(image, (x, y), (w // 2 + 1, h // 2 + 1), rng.uniform(0, 180), 0, 360, color, -1, cv2.LINE_AA)
        elif kind == 2:
            end = tuple(int(v) for v in rng.uniform(-0.2, 1.2, 2) * size)
            cv2.line(image, (x, y), end, color, int(rng.integers(1, max(2, size // 24))), cv2.LINE_AA)
        elif kind == 3:  # windows
            for i in range(rng.integers(2, 5)):
                for j in range(rng.integers(2, 5)):
                    cv2.rectangle(
                        image,
                        (x + i * w // 2, y + j * w // 2),
                        (x + i * w // 2 + w // 4, y + j * w // 2 + w // 3),
                        color,
                        -1,
                    )
        elif kind == 4:  # foliage or crowd
            for _ in range(rng.integers(10, 50)):
                cx, cy = rng.normal((x, y), (w + 4, h / 2 + 4))
                shade = tuple(float(v) for v in np.clip(np.array(color) * rng.uniform(0.5, 1.4), 0, 1))
                cv2.circle(image, (int(cx), int(cy)), int(rng.integers(1, max(2, size // 28))), shade, -1, cv2.LINE_AA)
        else:
            points = (rng.uniform(-0.3, 0.3, (rng.integers(3, 6), 2)) * size + (x, y)).astype(np.int32)
            cv2.fillPoly(image, [points], color, cv2.LINE_AA)
    return image


def procedural(rng, size, clutter=True):
    """A made-up scene: sky or wall, often a floor, texture, things standing about."""
    top, bottom = _color(rng, 0.1, 1), _color(rng, 0.1, 1)
    if rng.random() < 0.25:
        top, bottom = (
            np.array([0.45, 0.62, 0.9], np.float32) * rng.uniform(0.6, 1.1),
            np.array([0.85, 0.9, 0.97], np.float32),
        )
    t = np.linspace(0, 1, size, dtype=np.float32)[:, None, None]
    image = np.broadcast_to(top * (1 - t) + bottom * t, (size, size, 3)).astype(np.float32)
    if rng.random() < 0.3:
        a = rng.uniform(0, np.pi)
        image = image.copy() if a < 0.5 else cv2.rotate(np.ascontiguousarray(image), cv2.ROTATE_90_CLOCKWISE)
    image = np.ascontiguousarray(image)
    if clutter:
        image = _clutter(rng, image, size)
        if rng.random() < 0.65:
            image = _ground(rng, size, image, rng.uniform(0.25, 0.95) * size)
        image = _texture(rng, image, size)
        if rng.random() < 0.6:
            image = _clutter(rng, np.ascontiguousarray(image, np.float32), size)
        if rng.random() < 0.5:
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 0.025 * size))
    return np.clip(image, 0, 1).astype(np.float32)


def _tubes(rng, image, size):
    """A dark wall with glowing lines."""
    glow = np.zeros((size, size), np.float32)
    for _ in range(rng.integers(2, 6)):
        (x, y), a, length = rng.uniform(0, 1, 2) * size, rng.uniform(0, np.pi), rng.uniform(0.2, 1.2) * size
        end = (int(x + length * np.cos(a)), int(y + length * np.sin(a)))
        cv2.line(glow, (int(x), int(y)), end, 1.0, max(1, size // 64), cv2.LINE_AA)
    halo = cv2.GaussianBlur(glow, (0, 0), 0.06 * size)
    light = np.clip(glow + 2.5 * halo, 0, 1)[..., None]
    return image * 0.3 * (1 - light) + light * image / np.maximum(image.max(-1, keepdims=True), 1e-3)


def _spot(rng, image, size):
    """A paper backdrop lit by a lamp: bright about a place behind the figure, dark at the edges."""
    x, y, radius = rng.uniform(0.35, 0.65), rng.uniform(0.25, 0.55), rng.uniform(0.35, 0.7)
    at = (np.arange(size, dtype=np.float32) + 0.5) / size
    far = ((at[None] - x) ** 2 + (at[:, None] - y) ** 2) / radius**2
    return image.mean() * 0.5 + (0.9 - image.mean() * 0.5) * np.exp(-far)[..., None] * np.ones(3, np.float32)


def _plaster(rng, image, size):
    return _texture(rng, _texture(rng, image, size), size)


#: Patterns over a background: rough plaster, neon tubes on a dark wall, a studio's paper in the light of a lamp.
WALLS = {'plaster': _plaster, 'tubes': _tubes, 'spot': _spot}


def wall(rng, image, kind):
    """A background (H, W, 3) in [0, 1] under a pattern, a name in ``WALLS``."""
    return np.clip(WALLS[kind](rng, image, len(image)), 0, 1).astype(np.float32)


@lru_cache(maxsize=4)
def list_images(folder):
    """Sorted picture paths below a folder.

    Raises:
        FileNotFoundError: the folder is not there or holds no picture.
    """
    folder = Path(folder)
    found = sorted(p for p in folder.rglob('*') if p.suffix.lower() in _IMAGES) if folder.is_dir() else []
    if not found:
        raise FileNotFoundError(f'no pictures ({", ".join(_IMAGES)}) in the background folder {folder}')
    return tuple(found)


@lru_cache(maxsize=256)
def _read(path):
    check_size(image_size(path), path)
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise OSError(f'cannot read the background picture {path}')
    scale = 384 / min(image.shape[:2])
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return image


def from_folder(rng, folder, size):
    """A random crop of a random picture: scaled, flipped, sometimes blurred, colours moved."""
    paths = list_images(folder)
    image = _read(paths[rng.integers(len(paths))])
    height, width = image.shape[:2]
    side = int(min(height, width) * rng.uniform(0.35, 1))
    x, y = rng.integers(0, width - side + 1), rng.integers(0, height - side + 1)
    crop = image[y : y + side, x : x + side, ::-1]
    crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA if side > size else cv2.INTER_LINEAR)
    crop = crop.astype(np.float32) / 255
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    if rng.random() < 0.15:
        crop = crop[::-1]
    if rng.random() < 0.4:
        crop = cv2.GaussianBlur(np.ascontiguousarray(crop), (0, 0), rng.uniform(0.3, 0.02 * size))
    crop = np.clip(crop, 0, 1) ** rng.uniform(0.7, 1.4) * rng.uniform(0.8, 1.15, 3).astype(np.float32)
    return np.ascontiguousarray(np.clip(crop, 0, 1), np.float32)


def occluder(rng, size):
    """Something in front of the person.

    Args:
        rng (np.random.Generator): Source of chance.
        size (int): Picture side, pixels.

    Returns:
        tuple: colour (size, size, 3) in [0, 1] and coverage (size, size) in [0, 1].
    """
    cover = np.zeros((size, size), np.float32)
    x, y = rng.uniform(0.1, 0.9, 2) * size
    kind = rng.integers(4)
    if kind == 0:  # a bar or a pole right across
        a = rng.uniform(0, np.pi)
        d = np.array([np.cos(a), np.sin(a)]) * 2 * size
        ends = [tuple(int(v) for v in (np.array([x, y]) + s * d)) for s in (-1, 1)]
        cv2.line(cover, *ends, 1.0, int(size * rng.uniform(0.012, 0.05)) + 1, cv2.LINE_AA)
    elif kind == 1:  # a limb: a thick short stroke with round ends
        a, length = rng.uniform(0, np.pi), size * rng.uniform(0.15, 0.45)
        end = (int(x + length * np.cos(a)), int(y + length * np.sin(a)))
        cv2.line(cover, (int(x), int(y)), end, 1.0, int(size * rng.uniform(0.04, 0.1)) + 1, cv2.LINE_AA)
    elif kind == 2:
        axes = (int(size * rng.uniform(0.04, 0.16)) + 1, int(size * rng.uniform(0.04, 0.16)) + 1)
        cv2.ellipse(cover, (int(x), int(y)), axes, rng.uniform(0, 180), 0, 360, 1.0, -1, cv2.LINE_AA)
    else:
        points = (rng.uniform(-0.17, 0.17, (rng.integers(3, 7), 2)) * size + (x, y)).astype(np.int32)
        cv2.fillPoly(cover, [cv2.convexHull(points)], 1.0, cv2.LINE_AA)
    color = np.broadcast_to(_color(rng, 0.05, 0.95, 0.9), (size, size, 3))
    return _texture(rng, color, size), cover
