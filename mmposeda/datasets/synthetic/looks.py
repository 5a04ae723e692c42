"""Looks: how clean or how rough the pictures of a domain are. Plain numbers, so that configs can change any of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from .camera import ViewDistribution
from .photo import PhotoNoise


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
        clutter (bool): Things in the procedural backgrounds; else plain fades.
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
    clutter: bool = True
    folder_share: float = 0.4
    occluder_share: float = 0.2
    letterbox_share: float = 0.35
    ground_shadow: float = 0.4
    other_share: float = 0.2


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


#: ``sport``: varied, for training towards real photos; ``clean``: bright and simple, a demo's source; ``shifted``:
#: dark, blurred, compressed, textured, other cameras, a demo's target.
LOOKS = {'sport': _sport, 'clean': _clean, 'shifted': _shifted}


def build_look(name='sport', views=None, photo=None, looks=LOOKS, **changes):
    """A look by name with some values changed.

    Args:
        name (str): A name in ``LOOKS``.
        views (dict): Changes to :class:`ViewDistribution`.
        photo (dict | bool): Changes to :class:`PhotoNoise`; ``False`` for a faultless picture.
        looks (dict): Functions by name that build a look.
        **changes: Changes to :class:`Look`.

    Raises:
        ValueError: unknown look.
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
    light['key'] = key * np.exp(rng.normal(0, look.tint, 3))
    light['sky'] = ambient * np.exp(rng.normal(0, look.tint, 3)) * [0.97, 1, 1.05]
    light['ground'] = ambient * rng.uniform(0.3, 0.8) * np.exp(rng.normal(0, look.tint, 3)) * [1.04, 1, 0.95]
    light['softness'] = rng.uniform(0, 0.5)
    return light
