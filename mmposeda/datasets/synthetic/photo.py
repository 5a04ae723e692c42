"""What a camera does to a scene: exposure, colour cast, blur, grain, JPEG, black borders. Pictures: RGB in [0, 1]."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass
class PhotoNoise:
    """Ranges of the picture's faults.

    Args:
        gamma (tuple): Range of the exponent on brightness.
        cast (float): Standard deviation of the gain of each channel.
        contrast (tuple): Range of the factor about the mean.
        saturation (tuple): Range of the factor on colourfulness; ``grey_share`` of the pictures lose all.
        blur (tuple): Range of the Gaussian's standard deviation, pixels at 128 px; ``blur_share`` of the pictures.
        motion_share (float): Share with motion blur.
        low_resolution_share (float): Share that was once smaller.
        grain (float): Largest standard deviation of the grain.
        jpeg (tuple): Range of the quality of a JPEG round trip; ``jpeg_share`` of the pictures.
        vignette (float): Largest darkening of the corners.
        balance (tuple): Mean gain of each channel, RGB.
        halftone (float): Strength, 0 to 1, of a printer's raster of dots.
    """

    gamma: tuple = (0.75, 1.35)
    cast: float = 0.05
    contrast: tuple = (0.8, 1.2)
    saturation: tuple = (0.6, 1.3)
    grey_share: float = 0.03
    blur: tuple = (0.3, 0.9)
    blur_share: float = 0.35
    motion_share: float = 0.06
    low_resolution_share: float = 0.2
    grain: float = 0.025
    jpeg: tuple = (35, 95)
    jpeg_share: float = 0.6
    vignette: float = 0.25
    balance: tuple = (1, 1, 1)
    halftone: float = 0.0

    def __call__(self, rng, image):
        """Spoil one picture (H, W, 3) RGB float [0, 1]; returns (H, W, 3) uint8 RGB."""
        size = image.shape[0]
        unit = size / 128
        # every number is drawn whether it is used or not, so that a switch does not move the others
        u = rng.random(8)
        gamma, contrast, saturation = (
            rng.uniform(*self.gamma),
            rng.uniform(*self.contrast),
            rng.uniform(*self.saturation),
        )
        cast, blur, quality = 1 + self.cast * rng.normal(size=3), rng.uniform(*self.blur), int(rng.uniform(*self.jpeg))
        grain, angle, length, shrink = (
            self.grain * rng.random() ** 2,
            rng.uniform(0, np.pi),
            rng.uniform(1.5, 4),
            rng.uniform(0.45, 0.9),
        )
        image = np.power(np.clip(image, 0, 1), gamma, dtype=np.float32)
        grey = image @ np.array([0.299, 0.587, 0.114], np.float32)
        image = grey[..., None] + (0.0 if u[0] < self.grey_share else saturation) * (image - grey[..., None])
        mean = image.mean()
        image = (mean + contrast * (image - mean)) * (cast * self.balance).astype(np.float32)
        if self.vignette > 0:
            ys = np.linspace(-1, 1, size, dtype=np.float32) ** 2
            image *= 1 - self.vignette * u[1] * 0.5 * (ys[:, None] + ys[None])[..., None]
        if u[2] < self.motion_share:
            n = int(length * unit) * 2 + 1
            kernel = np.zeros((n, n), np.float32)
            d = np.array([np.cos(angle), np.sin(angle)]) * n / 2
            cv2.line(kernel, tuple((n // 2 - d).astype(int).tolist()), tuple((n // 2 + d).astype(int).tolist()), 1.0)
            image = cv2.filter2D(image, -1, kernel / kernel.sum())
        elif u[3] < self.blur_share:
            image = cv2.GaussianBlur(image, (0, 0), blur * unit)
        if u[4] < self.low_resolution_share:
            small = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
            image = cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)
        if self.halftone > 0:
            image = _halftone(image, self.halftone, unit * (2.2 + u[6]), u[7] * np.pi / 2)
        image = image + rng.standard_normal(image.shape, np.float32) * np.float32(grain)
        out = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
        if u[5] < self.jpeg_share:
            ok, data = cv2.imencode('.jpg', out[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
            assert ok
            out = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
        return np.ascontiguousarray(out)


def _halftone(image, strength, pitch, angle):
    """A picture (H, W, 3) as dots of ink ``pitch`` pixels apart, in lines at ``angle``: large ones where it is dark."""
    ys, xs = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32) * np.float32(2 * np.pi / pitch)
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    screen = 0.5 + 0.25 * (np.cos(c * xs + s * ys) + np.cos(c * ys - s * xs))[..., None]
    ink = np.clip(4 * (image - screen) + 0.5, 0, 1)
    return image + np.float32(strength) * 0.5 * (ink - image)


def letterbox(rng, image, box):
    """Black out strips that a crop from the edge of a photo has, outside the person.

    Args:
        rng (np.random.Generator): Source of chance.
        image (np.ndarray): (H, W, 3) uint8, changed in place.
        box (tuple): x0, y0, x1, y1 that stays free, pixels.

    Returns:
        tuple: x0, y0, x1, y1 of what is left of the picture.
    """
    size = image.shape[0]
    x0, y0, x1, y1 = 0, 0, size, size
    reach = rng.random(4)
    if rng.random() < 0.7:  # tall photo: left and right
        x0, x1 = int(reach[0] * max(box[0] - 1, 0)), size - int(reach[1] * max(size - box[2] - 1, 0))
    else:
        y0, y1 = int(reach[2] * max(box[1] - 1, 0)), size - int(reach[3] * max(size - box[3] - 1, 0))
    image[:y0], image[y1:], image[:, :x0], image[:, x1:] = 0, 0, 0, 0
    return x0, y0, x1, y1
