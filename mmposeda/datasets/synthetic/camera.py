"""Where the camera stands: view of the person, distance, crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .poses import facing
from .rotations import apply, axis_angle, random_rotation

#: World (z up, the body looks along -y) to a camera in front of it: x right, y down, z ahead.
FRONT = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


@dataclass
class ViewDistribution:
    """From where people are seen. Independent of how they look, so that a curriculum can move it alone.

    Args:
        frontal_share (float): Share of pictures with an azimuth near 0 (camera in front of the person).
        frontal_spread (float): Standard deviation of that azimuth, degrees.
        turned_share (float): Share of bodies turned freely (handstands, falls). Of those drawn as frontal, the chest
            still faces the camera and the turn is about the line of sight, with a tilt of ``turned_tilt``.
        turned_tilt (float): Standard deviation in degrees of that tilt.
        elevation (tuple): Mean and standard deviation of the camera's elevation, degrees.
        roll (float): Standard deviation of the in-plane roll, degrees.
        distance (tuple): Range of camera distances, metres, drawn log-uniformly.
        fill (tuple): Range of the share of the picture that the joints' square hull takes.
        shift (float): Largest offset of the hull's centre, share of the picture.
        truncated_share (float): Share of pictures zoomed and moved so that parts are outside.
    """

    frontal_share: float = 0.5
    frontal_spread: float = 40.0
    turned_share: float = 0.33
    turned_tilt: float = 25.0
    elevation: tuple = (4.0, 14.0)
    roll: float = 8.0
    distance: tuple = (2.5, 14.0)
    fill: tuple = (0.6, 0.85)
    shift: float = 0.06
    truncated_share: float = 0.06

    def __post_init__(self):
        for name in ('frontal_share', 'turned_share', 'truncated_share'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{name} must lie in [0, 1], got {getattr(self, name)}')

    def sample(self, rng):
        """Draw one view (dict of plain floats; angles in degrees)."""
        frontal = rng.random() < self.frontal_share
        azimuth = rng.normal(0, self.frontal_spread) if frontal else rng.uniform(-180, 180)
        turned = rng.random() < self.turned_share
        free = random_rotation(rng)
        spin, tilt = rng.uniform(-180, 180), rng.normal(0, self.turned_tilt)
        truncated = rng.random() < self.truncated_share
        fill = rng.uniform(*self.fill) * (rng.uniform(1.15, 1.6) if truncated else 1)
        reach = 0.25 if truncated else self.shift
        return dict(
            azimuth=float((azimuth + 180) % 360 - 180),
            frontal=bool(frontal),
            turned=bool(turned),
            free=free,
            spin=float(spin),
            tilt=float(tilt),
            elevation=float(np.clip(rng.normal(*self.elevation), -45, 75)),
            roll=float(rng.normal(0, self.roll)),
            distance=float(np.exp(rng.uniform(*np.log(self.distance)))),
            fill=float(fill),
            shift=rng.uniform(-reach, reach, 2),
            offset=rng.normal(0, 0.12, 2),
        )


def view_rotation(view, g):
    """Rotation (3, 3) from the world of a pose to camera axes.

    Args:
        view (dict): From :meth:`ViewDistribution.sample`.
        g (np.ndarray): (31, 3, 3) world rotations of the bones.
    """
    ahead = facing(g)
    flat = np.hypot(ahead[0], ahead[1])
    heading = np.arctan2(ahead[0], -ahead[1]) if flat > 0.25 else 0.0
    return orient(view, FRONT, np.array([0, 0, 1.0]), heading)


def orient(view, front, up, heading=0.0):
    """Rotation (3, 3) from a figure's axes to camera axes.

    Args:
        view (dict): From :meth:`ViewDistribution.sample`.
        front (np.ndarray): (3, 3) to the axes of a camera in front of the figure.
        up (np.ndarray): (3,) what is up for the figure; the azimuth turns about it.
        heading (float): Azimuth in radians at which the figure looks.
    """
    if view['turned'] and not view['frontal']:
        return front @ view['free']
    upright = axis_angle(up * (np.radians(view['azimuth']) - heading))
    rotation = axis_angle(np.array([np.radians(view['elevation']), 0, 0])) @ front @ upright
    turn = view['roll'] + (view['spin'] if view['turned'] else 0)
    if view['turned']:
        rotation = axis_angle(np.array([np.radians(view['tilt']), 0, 0])) @ rotation
    return axis_angle(np.array([0, 0, np.radians(turn)])) @ rotation


def place_camera(view, rotation, joints, size, nearest=0.6):
    """Camera that frames the joints.

    Args:
        view (dict): From :meth:`ViewDistribution.sample`.
        rotation (np.ndarray): (3, 3) world to camera axes.
        joints (np.ndarray): (J, 3) posed joints, world metres.
        size (int): Picture width and height, pixels.
        nearest (float): Least depth of a joint, metres.

    Returns:
        tuple: translation (3,) so that ``x_camera = rotation @ x + translation``, focal length in pixels, principal
        point (2,) in index pixels (the centre of pixel i is i).
    """
    middle = (joints.max(0) + joints.min(0)) / 2
    distance = view['distance']
    # the person is off the optical axis as in a crop from a larger photo
    translation = distance * np.array([view['offset'][0], view['offset'][1], 1.0]) - rotation @ middle
    at = apply(rotation[None], joints) + translation
    short = nearest - at[:, 2].min()
    if short > 0:
        translation[2] += short
        at[:, 2] += short
    flat = at[:, :2] / at[:, 2:]
    low, high = flat.min(0), flat.max(0)
    focal = view['fill'] * size / max((high - low).max(), 1e-3)
    centre = size / 2 + view['shift'] * size - focal * (low + high) / 2 - 0.5
    return translation, float(focal), centre
