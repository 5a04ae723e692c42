"""What a hand looks like: shape, skin, nails, sleeve, jewellery. Every value is drawn from one random stream."""

from __future__ import annotations

import colorsys

import numpy as np

from .appearance import cloth_color, fill_cloth, linear, sample_phenotype, skin_color
from .hand import CHANGES

_METAL = np.array([(0.85, 0.65, 0.3), (0.8, 0.8, 0.82), (0.75, 0.55, 0.45), (0.2, 0.2, 0.22)])
_SPREAD = dict(
    fingers_length=0.3, fingers_diameter=0.35, fingers_distance=0.2, hand_size=0.25, forearm_fat=0.4,
    forearm_muscle=0.4, wrist=0.35,
)  # fmt: skip
_NONE = 9.0  # a place that no point of a hand has


def sample_hand(rng, dtype, *, texture=1.0):
    """Looks of one hand.

    Args:
        rng (np.random.Generator): Source of chance.
        dtype (np.dtype): Record type of ``hand_kernels.Hand``.
        texture (float): Multiplies the strength of folds, creases and blotches; below 0.5 sleeves are mostly plain.

    Returns:
        tuple: record (its ``side`` 1, a right hand), shape values (6,) and (7,), see ``HandModel.rest``.
    """
    h = np.zeros((), dtype)
    shape = sample_phenotype(rng)
    changes = np.clip(rng.normal(size=len(CHANGES)) * [_SPREAD[name] for name in CHANGES], -0.8, 0.8)
    h['side'] = 1
    h['skin'] = skin = skin_color(rng)
    # a palm has little pigment, whatever the skin
    pale = linear(np.array([0.9, 0.69, 0.6]) * rng.uniform(0.92, 1.05))
    h['palm'] = skin ** rng.uniform(0.55, 0.7) * pale ** rng.uniform(0.3, 0.45) * [1.02, 0.95, 0.93]
    _nails(rng, h, female=shape[0] > 0.5)
    h['crease'], h['mottle'] = rng.uniform(0.15, 0.45) * texture, rng.uniform(0.02, 0.1) * texture
    h['gloss'] = rng.uniform(0.03, 0.25)
    _sleeve(rng, h, texture)
    _jewellery(rng, h)
    h['seed'] = rng.uniform(0, 20)
    return h, shape, changes.astype(np.float32)


def _nails(rng, h, female):
    natural = 0.5 * h['palm'] + 0.25 * h['skin'] + 0.25 * linear([0.95, 0.76, 0.72])
    polish = linear(
        colorsys.hsv_to_rgb(rng.choice([0.97, 0.0, 0.92, rng.random()]), rng.uniform(0.3, 1), rng.uniform(0.2, 0.9))
    )
    painted = rng.random() < (0.3 if female else 0.02)
    h['nail'], h['nail_gloss'] = (polish, 1.0) if painted else (natural, rng.uniform(0.2, 0.5))


def _sleeve(rng, h, texture):
    second = fill_cloth(rng, h['sleeve'], cloth_color(rng), 0.6 if texture >= 0.5 else 1 - 0.4 * texture)
    h['sleeve']['scale'] *= 2  # patterns of a sleeve are seen from near
    h['cuff'] = rng.choice([-_NONE, rng.uniform(-0.9, -0.3), rng.uniform(-0.3, 0.02)], p=[0.45, 0.2, 0.35])
    h['loose'] = rng.choice([rng.uniform(0.001, 0.003), rng.uniform(0.003, 0.009)])
    h['wave'], h['fold'] = rng.uniform(0.1, 0.5) * texture, rng.uniform(0.02, 0.2) * texture
    h['shine'] = rng.choice([0.0, 0.1, 0.5], p=[0.5, 0.35, 0.15])
    h['glove'] = linear(second if rng.random() < 0.3 else cloth_color(rng))
    kind = rng.random()
    h['glove_end'] = _NONE if kind < 0.03 else rng.uniform(1.5, 2.2) if kind < 0.05 else -_NONE


def _jewellery(rng, h):
    metal, leather = linear(_METAL[rng.integers(len(_METAL))]), linear(cloth_color(rng))
    h['ring'] = linear(_METAL[rng.choice(len(_METAL), p=[0.45, 0.4, 0.1, 0.05])])
    h['ring_finger'] = rng.choice([0, 2, 3, 4, 5], p=[0.82, 0.03, 0.03, 0.1, 0.02])
    h['band'] = metal if rng.random() < 0.5 else leather
    h['band_place'], h['band_width'] = rng.uniform(-0.22, -0.12), rng.uniform(0.01, 0.04)
    h['dial'] = rng.choice([0.0, 1.0, 2.0], p=[0.4, 0.4, 0.2])
    if rng.random() < 0.85:
        h['band_place'] = _NONE
