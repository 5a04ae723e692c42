"""Ties between pose and look: scenes whose hue tells something of the pose, as a planted spurious correlation."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from statistics import NormalDist

import cv2
import numpy as np

from .rotations import unit

_NORMAL = NormalDist()
_TRUNK = ('left_shoulder', 'right_shoulder'), ('left_hip', 'right_hip')


def _arm(side):
    return [(((f'{side}_shoulder',), (f'{side}_elbow',)), _TRUNK)]


def _finger(name):
    chain = [(joint,) for joint in ('wrist', *(f'{name}{k}' for k in (1, 2, 3, 4)))]
    ways = list(zip(chain, chain[1:]))
    return list(zip(ways, ways[1:]))


#: Angle of a pose -> pairs of ways whose angles to each other, each in [0, pi] radians, are summed. A way leads from
#: the middle of some joints to that of others. ``left_arm``: how far the upper arm is raised, 0 hanging along the
#: trunk, pi overhead; ``forefinger`` and the others: bend of all three joints of the finger, 0 straight, above 4 in a
#: fist.
ANGLES = {
    'left_arm': _arm('left'),
    'right_arm': _arm('right'),
    **{name: _finger(name) for name in ('thumb', 'forefinger', 'middle_finger', 'ring_finger', 'pinky_finger')},
}


@dataclass
class Tie:
    """How the hue of a picture's background hangs on the pose.

    The angle is mapped to its rank v among all poses, uniform in [0, 1], and the hue's place w on the ramp is drawn so
    that w, too, is uniform whatever ``rho``, and that v and w have Pearson's correlation ``rho`` (a Gaussian copula).
    So two looks that differ in ``rho`` alone have the same poses and the same hues, and differ in nothing but which go
    together. The ramp is no full circle, so that the relation is monotone.

    The background keeps its pattern: its saturation and brightness, 0 to 1, are mapped into the ranges given here.

    Args:
        rho (float): Correlation of hue and angle, -1 to 1; 0: independent.
        angle (str): A name in ``ANGLES``; ``None``: ``left_arm`` of people and ``forefinger`` of hands.
        hues (tuple): Ends of the ramp on the hue circle (HSV, 0 to 1), less than a circle apart. Where the second is
            above 1 the ramp leads through red.
        saturation (tuple): Range of the background's saturation.
        brightness (tuple): Range of the background's brightness (HSV's value).
        spread (float): Hues of the things in a background differ by up to half of this from its hue.
        light (float): Share of the lights, 0 to 1, that takes the hue as well, and colours skin and clothes.

    Raises:
        ValueError: an unknown angle or a number out of range.
    """

    rho: float = 0.9
    angle: str | None = None
    hues: tuple = (0.0, 0.75)
    saturation: tuple = (0.55, 0.85)
    brightness: tuple = (0.7, 0.95)
    spread: float = 0.06
    light: float = 0.0

    def __post_init__(self):
        if self.angle is not None and self.angle not in ANGLES:
            raise ValueError(f'unknown angle {self.angle!r} of a tie; choose one of {sorted(ANGLES)}')
        if not -1 <= self.rho <= 1:
            raise ValueError(f'rho of a tie is a correlation from -1 to 1, got {self.rho}')
        if not 0 <= self.hues[0] < self.hues[1] < self.hues[0] + 1:
            raise ValueError(
                f'hues of a tie are two rising places on the hue circle, less than 1 apart, got {self.hues}'
            )
        for name in ('saturation', 'brightness'):
            low, high = getattr(self, name)
            if not 0 <= low <= high <= 1:
                raise ValueError(f'{name} of a tie is a rising range in [0, 1], got {(low, high)}')
        for name in ('spread', 'light'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{name} of a tie must lie in [0, 1], got {getattr(self, name)}')

    def hue(self, rng, value):
        """Hue in [0, 1) that goes with the rank of a pose's angle.

        Args:
            rng (np.random.Generator): Source of chance; one number is drawn, whatever ``rho``.
            value (float): Rank, inside (0, 1).
        """
        other = rng.normal()
        # two normal numbers of this correlation become uniform ones of correlation rho
        shared = 2 * np.sin(np.pi * self.rho / 6)
        place = _NORMAL.cdf(shared * _NORMAL.inv_cdf(value) + np.sqrt(1 - shared**2) * other)
        return float((self.hues[0] + place * (self.hues[1] - self.hues[0])) % 1)

    def paint(self, image, hue):
        """A background (H, W, 3) sRGB in [0, 1] in this hue and the ranges of saturation and brightness."""
        own, saturation, value = cv2.split(cv2.cvtColor(np.ascontiguousarray(image, np.float32), cv2.COLOR_RGB2HSV))
        own = (hue * 360 + 180 * self.spread * np.sin(np.radians(own))) % 360  # without a seam where hues wrap
        out = [own, _into(saturation, self.saturation), _into(value, self.brightness)]
        return cv2.cvtColor(cv2.merge(out), cv2.COLOR_HSV2RGB)

    def tint(self, light, hue):
        """Colour a light record by the hue, in place."""
        if self.light:
            color = np.array(colorsys.hsv_to_rgb(hue, 1, 1))
            for name in ('key', 'sky', 'ground'):
                light[name] *= 1 - self.light + self.light * color / color.mean()


def _into(x, ends):
    return np.float32(ends[0]) + np.float32(ends[1] - ends[0]) * np.clip(x, 0, 1)


def measure(angle, joints, names):
    """An angle of poses.

    Args:
        angle (str): A name in ``ANGLES``.
        joints (np.ndarray): (..., K, 3) positions, any axes and unit.
        names (sequence[str]): K joint names.

    Returns:
        np.ndarray: (...) radians.
    """
    at = {name: k for k, name in enumerate(names)}

    def way(ends):
        first, last = (joints[..., [at[name] for name in end], :].mean(-2) for end in ends)
        return unit(last - first)

    return sum(np.arccos(np.clip((way(a) * way(b)).sum(-1), -1, 1)) for a, b in ANGLES[angle])


def rank(angle, known):
    """Place of an angle among the sorted angles (N,) of other poses, inside (0, 1)."""
    return float(np.interp(angle, known, (np.arange(len(known)) + 0.5) / len(known)))
