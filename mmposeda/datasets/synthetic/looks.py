"""Looks: how clean or how rough the pictures of a domain are. Plain numbers, so that configs can change any of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from .backgrounds import WALLS
from .camera import ViewDistribution
from .photo import PhotoNoise
from .tie import Tie


@dataclass
class Look:
    """Everything about pictures but who is in them and what they do.

    Args:
        views (ViewDistribution): Camera.
        photo (PhotoNoise | None): Faults of the picture; ``None`` for none.
        texture (float): Folds and patterns of clothes, 0 (plain) to 1.
        key (tuple): Range of the key light's strength.
        ambient (tuple): Range of the sky light's strength.
        tint (float): Standard deviation of the lights' colour.
        key_color, sky_color, ground_color (tuple): Mean colours of the key light and of the sky light from above and
            from below: RGB factors on their strength.
        clutter (bool): Things in the procedural backgrounds; else plain fades.
        wall (str | None): Pattern over the procedural backgrounds, a name in ``backgrounds.WALLS``.
        tie (Tie | None): Palette of the backgrounds, and how their hue hangs on the pose; ``None``: any colours.
        folder_share (float): Share of backgrounds from the folder, where one is given.
        occluder_share (float): Share of pictures with something in front of the person.
        letterbox_share (float): Share with black strips at the sides.
        ground_shadow (float): Share with a soft shadow under the lowest point.
        other_share (float): Share with another person in the background or half in front.
    """

    views: ViewDistribution = field(default_factory=ViewDistribution)
    photo: PhotoNoise | None = field(default_factory=PhotoNoise)
    texture: float = 1.0
    key: tuple = (0.3, 1.6)
    ambient: tuple = (0.25, 0.75)
    tint: float = 0.08
    key_color: tuple = (1, 1, 1)
    sky_color: tuple = (0.97, 1, 1.05)
    ground_color: tuple = (1.04, 1, 0.95)
    clutter: bool = True
    wall: str | None = None
    tie: Tie | None = None
    folder_share: float = 0.4
    occluder_share: float = 0.2
    letterbox_share: float = 0.35
    ground_shadow: float = 0.4
    other_share: float = 0.2

    def __post_init__(self):
        if self.wall is not None and self.wall not in WALLS:
            raise ValueError(f'unknown wall {self.wall!r}; choose one of {sorted(WALLS)}')


def _sport():
    return Look()


def _clean():
    return Look(
        photo=None,
        texture=0.3,
        key=(0.7, 1.0),
        ambient=(0.45, 0.6),
        tint=0.02,
        clutter=False,
        folder_share=0.0,
        occluder_share=0.0,
        letterbox_share=0.0,
        ground_shadow=0.0,
        other_share=0.0,
        views=ViewDistribution(turned_share=0.1, elevation=(0.0, 6.0), roll=3.0, truncated_share=0.0),
    )


def _shifted():
    return Look(
        photo=PhotoNoise(
            gamma=(1.1, 1.9), cast=0.12, contrast=(0.6, 1.0), saturation=(0.3, 0.9), blur=(0.6, 1.6), blur_share=0.8,
            motion_share=0.15, low_resolution_share=0.4, grain=0.07, jpeg=(15, 50), jpeg_share=0.9, vignette=0.6,
        ),
        key=(0.15, 0.8),
        ambient=(0.12, 0.4),
        tint=0.2,
        occluder_share=0.35,
        views=ViewDistribution(turned_share=0.4, elevation=(12.0, 18.0), roll=14.0),
    )  # fmt: skip


def _tied():
    return replace(_clean(), tie=Tie())


def _untied():
    return replace(
        _clean(),
        photo=PhotoNoise(
            gamma=(0.85, 1.25), cast=0.03, contrast=(0.85, 1.1), saturation=(0.7, 1.1), blur=(0.3, 0.6), blur_share=0.3,
            motion_share=0, low_resolution_share=0.1, grain=0.02, jpeg=(55, 95), jpeg_share=0.5, vignette=0.2,
            grey_share=0,
        ),
        texture=0.8,
        key=(0.5, 1.2),
        ambient=(0.35, 0.65),
        tint=0.06,
        ground_shadow=0.3,
        wall='plaster',
        tie=Tie(rho=0, saturation=(0.3, 0.65), brightness=(0.4, 0.85), spread=0.1),
    )  # fmt: skip


def _dusk():
    return replace(
        _clean(),
        photo=PhotoNoise(
            gamma=(0.9, 1.2), contrast=(0.8, 1.0), saturation=(0.8, 1.2), grey_share=0, blur=(0.4, 0.9), blur_share=0.6,
            motion_share=0, low_resolution_share=0, grain=0.06, jpeg_share=0.2, vignette=0.6,
        ),
        texture=1.0,
        key=(0.5, 1.1),
        ambient=(0.2, 0.35),
        tint=0.1,
        key_color=(1.4, 0.85, 0.45),
        sky_color=(0.65, 0.85, 1.5),
        ground_color=(0.8, 0.85, 1.2),
        clutter=True,
        tie=Tie(rho=0, hues=(0.55, 1.1), saturation=(0.35, 0.8), brightness=(0.05, 0.5), spread=0.15),
    )  # fmt: skip


def _neon():
    return replace(
        _clean(),
        photo=PhotoNoise(
            gamma=(0.8, 1.0), cast=0, contrast=(1.0, 1.25), saturation=(1.1, 1.5), grey_share=0, blur_share=0.2,
            motion_share=0.05, low_resolution_share=0.3, grain=0.01, jpeg=(25, 60), jpeg_share=1.0, vignette=0,
        ),
        texture=0.5,
        key=(0.7, 1.4),
        ambient=(0.2, 0.4),
        tint=0.5,
        wall='tubes',
        tie=Tie(rho=0, hues=(0.3, 0.95), saturation=(0.85, 1.0), brightness=(0.02, 1.0), spread=0.0),
    )  # fmt: skip


def _print():
    return replace(
        _clean(),
        photo=PhotoNoise(
            gamma=(0.85, 1.15), cast=0.03, contrast=(0.9, 1.2), saturation=(0.25, 0.6), grey_share=0, blur_share=0,
            motion_share=0, low_resolution_share=0, grain=0.01, jpeg_share=0, vignette=0, halftone=0.7,
            balance=(1.08, 1.0, 0.84),
        ),
        texture=0.8,
        key=(0.5, 1.0),
        ambient=(0.5, 0.75),
        tint=0.03,
        clutter=True,
        tie=Tie(rho=0, hues=(0.0, 0.2), saturation=(0.05, 0.5), brightness=(0.6, 1.0), spread=0.1),
    )  # fmt: skip


def _studio():
    return replace(
        _clean(),
        photo=PhotoNoise(
            gamma=(0.95, 1.15), cast=0.01, contrast=(1.1, 1.4), saturation=(0.9, 1.15), grey_share=0, blur_share=0,
            motion_share=0, low_resolution_share=0, grain=0, jpeg_share=0, vignette=0.1,
        ),
        texture=0.6,
        key=(1.0, 1.6),
        ambient=(0.2, 0.35),
        tint=0.01,
        ground_shadow=0.8,
        wall='spot',
        tie=Tie(rho=0, hues=(0.0, 0.75), saturation=(0.0, 0.06), brightness=(0.35, 1.0), spread=0.0),
    )  # fmt: skip


#: ``sport``: varied, for training towards real photos; ``clean``: bright and simple, a demo's source; ``shifted``:
#: dark, blurred, compressed, textured, other cameras, a demo's target. The others are for the study of spurious
#: correlations, differ in look alone and share the cameras of ``clean``. ``tied``: bright and simple, the background's
#: hue follows the pose; ``untied``: rougher walls and light, earthy, any hue with any pose; and four that differ from
#: both: ``dusk`` (low warm sun, blue shade, grain), ``neon`` (coloured lights, glowing tubes, heavy compression),
#: ``print`` (yellowed paper with a raster), ``studio`` (grey backdrop, hard light, no fault).
LOOKS = {
    'sport': _sport,
    'clean': _clean,
    'shifted': _shifted,
    'tied': _tied,
    'untied': _untied,
    'dusk': _dusk,
    'neon': _neon,
    'print': _print,
    'studio': _studio,
}


def build_look(name='sport', views=None, photo=None, tie=None, looks=LOOKS, **changes):
    """A look by name with some values changed.

    Args:
        name (str): A name in ``LOOKS``.
        views (dict): Changes to :class:`ViewDistribution`.
        photo (dict | bool): Changes to :class:`PhotoNoise`; ``False`` for a faultless picture.
        tie (dict | bool): Changes to :class:`Tie`; ``False`` for none.
        looks (dict): Functions by name that build a look.
        **changes: Changes to :class:`Look`.

    Raises:
        ValueError: unknown look, or values out of range.
        TypeError: unknown value name.
    """
    if name not in looks:
        raise ValueError(f'unknown look {name!r}; choose one of {sorted(looks)}')
    look = replace(looks[name](), **changes)
    if views:
        look.views = replace(look.views, **views)
    if photo is False:
        look.photo = None
    elif photo:
        look.photo = replace(look.photo or PhotoNoise(), **photo)
    if tie is False:
        look.tie = None
    elif tie:
        look.tie = replace(look.tie or Tie(), **tie)
    return look


def sample_light(rng, look, dtype, elevation, roll):
    """One light record in camera axes; ``elevation`` and ``roll`` of the camera in degrees."""
    light = np.zeros((), dtype)
    e, r = np.radians(elevation), np.radians(roll)
    up = np.array([0, -np.cos(e), -np.sin(e)])
    up = np.array([np.cos(r) * up[0] - np.sin(r) * up[1], np.sin(r) * up[0] + np.cos(r) * up[1], up[2]])
    direction = rng.normal(size=3) * [1, 0.6, 1] + up * rng.uniform(0.2, 2)
    direction[2] -= 0.4  # more often on the camera's side
    light['to_light'], light['up'] = direction / np.linalg.norm(direction), up
    key, ambient = rng.uniform(*look.key), rng.uniform(*look.ambient)
    light['key'] = key * np.exp(rng.normal(0, look.tint, 3)) * look.key_color
    light['sky'] = ambient * np.exp(rng.normal(0, look.tint, 3)) * look.sky_color
    light['ground'] = ambient * rng.uniform(0.3, 0.8) * np.exp(rng.normal(0, look.tint, 3)) * look.ground_color
    light['softness'] = rng.uniform(0, 0.5)
    return light
