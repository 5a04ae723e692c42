"""What a person looks like: shape, skin, hair, clothes. Every value is drawn from one random stream."""

from __future__ import annotations

import colorsys

import numpy as np

PATTERNS = ('plain', 'stripes', 'checks', 'blobs', 'camouflage', 'blocks', 'dots', 'fade', 'panels', 'band')
_SKIN = np.array(
    [(0.93, 0.77, 0.67), (0.88, 0.69, 0.57), (0.82, 0.61, 0.48), (0.72, 0.52, 0.38), (0.58, 0.39, 0.27),
     (0.42, 0.27, 0.19), (0.3, 0.19, 0.14)]
)  # fmt: skip
_HAIR = np.array(
    [(0.06, 0.05, 0.05), (0.12, 0.08, 0.06), (0.24, 0.15, 0.09), (0.38, 0.24, 0.13), (0.62, 0.46, 0.25),
     (0.78, 0.66, 0.43), (0.5, 0.2, 0.1), (0.55, 0.55, 0.55), (0.85, 0.83, 0.8)]
)  # fmt: skip
_IRIS = np.array([(0.12, 0.07, 0.04), (0.2, 0.12, 0.06), (0.2, 0.32, 0.45), (0.22, 0.34, 0.2)])


def linear(color):
    """sRGB in [0, 1] to linear light."""
    return np.asarray(color, np.float64) ** 2.2


def cloth_color(rng):
    """One sRGB colour as clothes have them: blacks, whites, greys, navy, and saturated ones."""
    kind = rng.random()
    if kind < 0.2:
        return np.full(3, rng.uniform(0.03, 0.16)) * rng.uniform(0.9, 1.1, 3)
    if kind < 0.37:
        return np.clip(np.full(3, rng.uniform(0.82, 0.97)) * rng.uniform(0.97, 1.03, 3), 0, 1)
    if kind < 0.47:
        return np.full(3, rng.uniform(0.3, 0.7)) * rng.uniform(0.95, 1.05, 3)
    if kind < 0.55:
        return np.array(colorsys.hsv_to_rgb(rng.uniform(0.56, 0.68), rng.uniform(0.4, 0.9), rng.uniform(0.15, 0.4)))
    if kind < 0.63:
        return np.array(colorsys.hsv_to_rgb(rng.uniform(0.05, 0.14), rng.uniform(0.2, 0.6), rng.uniform(0.3, 0.75)))
    return np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.45, 1), rng.uniform(0.35, 0.98)))


def _other(rng, color, least=0.3):
    """Another colour that can be told from the first."""
    for _ in range(8):
        new = cloth_color(rng)
        if np.abs(new - color).max() > least:
            return new
    return 1 - np.asarray(color)


def skin_color(rng):
    """Linear colour of somebody's skin; light tones a little more often than dark ones."""
    tone = rng.uniform(0, len(_SKIN) - 1) if rng.random() < 0.6 else rng.uniform(0, 2.5)
    low = int(tone)
    skin = _SKIN[low] + (tone - low) * (_SKIN[min(low + 1, len(_SKIN) - 1)] - _SKIN[low])
    return linear(np.clip(skin * rng.uniform(0.95, 1.05, 3), 0, 1))


def fill_cloth(rng, record, color, plain):
    """Fill a record of a cloth of one sRGB colour, plain with that chance; returns its second colour."""
    record['a'] = linear(color)
    second = _other(rng, color)
    record['b'], record['c'] = linear(second), linear(cloth_color(rng))
    kind = 0 if rng.random() < plain else rng.integers(1, len(PATTERNS))
    record['kind'] = kind
    low, high = {1: (35, 160), 2: (45, 150), 3: (18, 60), 4: (14, 40), 6: (50, 130)}.get(int(kind), (1, 2))
    record['scale'], record['phase'] = rng.uniform(low, high), rng.uniform(0, 6.28)
    record['angle'] = rng.choice([0, 0, 0, np.pi / 2, np.pi / 4]) if kind in (1, 2) else 0
    return second


def sample_phenotype(rng):
    """Shape values (6,) in ``body.PHENOTYPES``' order: mostly adults and teenagers, sporting builds."""
    gender = np.clip(rng.choice([0.1, 0.9]) + rng.normal(0, 0.1), 0, 1)
    age = rng.uniform(0.42, 0.62) if rng.random() < 0.25 else rng.uniform(0.6, 0.85)
    if rng.random() < 0.06:
        age = rng.uniform(0.33, 0.42)
    muscle, weight = np.clip(rng.normal(0.6, 0.2), 0, 1), np.clip(rng.normal(0.45, 0.2), 0, 1)
    return np.array(
        [gender, age, muscle, weight, np.clip(rng.normal(0.5, 0.12), 0, 1), rng.uniform(0.3, 1)], np.float32
    )


def _hair(rng, p, female):
    """Hair, cap, beard; returns the accessories of the head (head units, see ``accessories.place``)."""
    p['hair'] = linear(
        np.clip(
            _HAIR[rng.choice(len(_HAIR), p=[0.24, 0.22, 0.18, 0.1, 0.1, 0.05, 0.04, 0.05, 0.02])]
            * rng.uniform(0.8, 1.2, 3),
            0,
            1,
        )
    )
    p['hairline'], p['nape'] = rng.uniform(0.772, 0.8), rng.uniform(0.615, 0.66)
    p['hair_thick'] = rng.uniform(0.003, 0.02)
    p['cap'] = linear(cloth_color(rng))
    extra = {}
    style = rng.random()
    if style < (0.02 if female else 0.12):
        p['hair_kind'] = 0
    elif style < 0.16:  # cap or helmet, sometimes with a visor
        p['hair_kind'], p['hair_thick'], p['hairline'] = 3, rng.uniform(0.012, 0.03), rng.uniform(0.77, 0.785)
        if rng.random() < 0.7:
            extra['brim'] = ((0, -0.85, 0.62), (0.4, 0.55, 0.05))
    elif style < 0.2:
        p['hair_kind'] = 4
    elif style < (0.8 if female else 0.27):
        p['hair_kind'], p['hair_thick'] = 2, rng.uniform(0.008, 0.028)
        kind = rng.random()
        if kind < 0.38:  # hangs on the back
            length = rng.uniform(0.5, 1.3)
            extra['hang'] = ((0, 0.12, 0.35 - 0.5 * length), (rng.uniform(0.42, 0.6), 0.2, 0.25 + 0.6 * length))
            p['nape'] = 0.6
        elif kind < 0.75:  # a tail
            length = rng.uniform(0.4, 0.9)
            extra['tail'] = (
                (0, 0.34, rng.uniform(0.3, 0.7) - 0.35 * length),
                (0.15, rng.uniform(0.14, 0.24), 0.5 * length),
            )
        elif kind < 0.9:
            extra['bun'] = ((0, rng.uniform(0.1, 0.35), rng.uniform(0.6, 1.05)), (0.24, 0.22, 0.22))
    else:
        p['hair_kind'] = 1
    if not female and rng.random() < 0.25:
        p['beard'] = rng.uniform(0.25, 0.9)
    p['glasses'] = float(rng.random() < 0.06)
    return extra


def _shirt(rng, p, female, shirt):
    p['has_shirt'] = 1
    second = fill_cloth(rng, p['shirt'], shirt, 0.5)
    p['mark'] = linear(_other(rng, shirt, 0.4))
    p['number'] = linear(_other(rng, np.clip(p['mark'] ** (1 / 2.2), 0, 1), 0.4))
    p['sleeve'] = linear(second if rng.random() < 0.5 else cloth_color(rng))
    p['sleeve_own'] = float(rng.random() < 0.2)
    p['sleeve_t'] = rng.choice(
        [-0.15, rng.uniform(0.25, 0.75), rng.uniform(0.8, 1.5), rng.uniform(1.75, 2.0)], p=[0.2, 0.45, 0.08, 0.27]
    )
    p['hem'] = rng.uniform(-0.03, 0.07)
    p['front'] = rng.choice(10, p=[0.2, 0.1, 0.08, 0.14, 0.12, 0.08, 0.08, 0.06, 0.06, 0.08])
    p['back'] = rng.choice(4, p=[0.5, 0.2, 0.15, 0.15])
    p['mark_size'] = rng.uniform(0.035, 0.075)
    p['neck_drop'] = rng.choice([0.02, rng.uniform(0.03, 0.08), rng.uniform(0.08, 0.17)], p=[0.4, 0.4, 0.2])
    p['neck_width'] = rng.uniform(0.05, 0.1)
    p['shirt_loose'] = rng.choice([0.002, rng.uniform(0.004, 0.012), rng.uniform(0.012, 0.042)], p=[0.25, 0.4, 0.35])


def _outfit(rng, p, female):
    """Whole outfits: everyday and team clothes, gymnastics, running, bare chests, tracksuits."""
    shirt, trousers = cloth_color(rng), cloth_color(rng)
    kind = rng.random()
    if rng.random() < 0.3:  # jeans and dark trousers
        trousers = np.array(colorsys.hsv_to_rgb(rng.uniform(0.57, 0.65), rng.uniform(0.2, 0.7), rng.uniform(0.1, 0.55)))
    _shirt(rng, p, female, shirt)
    p['has_trousers'], p['waist'] = 1, rng.uniform(0.06, 0.12)
    p['leg_t'] = rng.choice(
        [rng.uniform(0.2, 0.5), rng.uniform(0.5, 0.95), rng.uniform(1.1, 1.6), rng.uniform(1.8, 2.03)],
        p=[0.2, 0.23, 0.08, 0.49],
    )
    p['trousers_loose'] = rng.choice([0.002, rng.uniform(0.005, 0.014), rng.uniform(0.014, 0.05)], p=[0.22, 0.4, 0.38])
    p['leg_stripe'] = float(rng.random() < 0.15)
    fill_cloth(rng, p['trousers'], trousers, 0.8)
    if kind < 0.2:  # leotard or singlet: one piece, bare or covered arms
        fill_cloth(rng, p['shirt'], shirt, 0.45)
        for name in ('a', 'b', 'c', 'kind', 'scale', 'phase', 'angle'):
            p['trousers'][name] = p['shirt'][name]
        p['leg_t'] = rng.choice([-0.02, 0.08, 0.4, 2.0], p=[0.45, 0.2, 0.2, 0.15])
        p['sleeve_t'] = rng.choice([-0.15, 0.3, 1.9], p=[0.5, 0.1, 0.4])
        p['shirt_loose'] = p['trousers_loose'] = 0.001
        p['front'] = rng.choice([0, 8, 7, 3])
        p['neck_drop'], p['waist'] = rng.uniform(0.04, 0.15), 0.1
    elif kind < (0.22 if female else 0.33):  # bare chest
        p['has_shirt'] = 0
    elif kind < (0.4 if female else 0.34):  # sports top
        p['hem'], p['sleeve_t'], p['shirt_loose'], p['back'] = rng.uniform(0.2, 0.3), -0.15, 0.002, 3
        p['front'] = rng.choice([0, 4, 8])
    elif kind < 0.46:  # tracksuit
        for name in ('a', 'b'):
            p['trousers'][name] = p['shirt'][name]
        p['trousers']['kind'] = 0
        p['sleeve_t'], p['leg_t'], p['front'], p['leg_stripe'] = 1.9, 2.0, rng.choice([1, 6, 7]), 1


def sample_person(rng, dtype, *, texture=1.0):
    """Looks of one person.

    Args:
        rng (np.random.Generator): Source of chance.
        dtype (np.dtype): Record type of ``records.Person``.
        texture (float): Multiplies the strength of folds and waves; below 0.5 clothes are plain as well.

    Returns:
        tuple: record, shape values (6,), accessories dict.
    """
    p = np.zeros((), dtype)
    shape = sample_phenotype(rng)
    female = shape[0] > 0.5
    p['skin'] = skin_color(rng)
    p['lips'] = p['skin'] * [0.85, 0.5, 0.5] * rng.uniform(0.8, 1)
    p['iris'] = linear(_IRIS[rng.integers(len(_IRIS))])
    extra = _hair(rng, p, female)
    _outfit(rng, p, female)
    if texture < 0.5:
        p['shirt']['kind'] *= rng.random() < texture
        p['trousers']['kind'] *= rng.random() < texture
    p['shoes'] = rng.choice([1, 2, 3], p=[0.72, 0.08, 0.2])
    shoe = cloth_color(rng)
    p['shoe'], p['shoe_toe'] = linear(shoe), linear(_other(rng, shoe) if rng.random() < 0.4 else shoe * 0.85)
    p['sole'] = linear(np.full(3, rng.uniform(0.75, 0.97)) if rng.random() < 0.7 else cloth_color(rng))
    p['sock'] = linear(np.full(3, 0.9) if rng.random() < 0.6 else cloth_color(rng))
    p['sock_t'] = (
        rng.choice([1.9, rng.uniform(1.5, 1.9), rng.uniform(1.1, 1.4)], p=[0.5, 0.35, 0.15]) if p['shoes'] < 3 else 3
    )
    p['gloves'], p['glove'] = float(rng.random() < 0.06), linear(cloth_color(rng))
    p['wave'], p['fold'] = rng.uniform(0.1, 0.5) * texture, rng.uniform(0.02, 0.16) * texture
    p['seed'], p['shine'] = rng.uniform(0, 20), rng.choice([0.0, 0.1, 0.6], p=[0.5, 0.35, 0.15])
    return p, shape, extra
