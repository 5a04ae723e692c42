"""The numbers that describe one drawn person to the kernels, as Warp structs (and NumPy records of the same names)."""

from __future__ import annotations

import warp as wp


@wp.struct
class Cloth:
    """Pattern of one piece of clothing; ``kind`` counts through ``appearance.PATTERNS``."""

    a: wp.vec3
    b: wp.vec3
    c: wp.vec3
    kind: wp.int32
    scale: wp.float32
    phase: wp.float32
    angle: wp.float32


@wp.struct
class Person:
    """Looks of one person. Lengths in metres on the template, ``*_t`` along arm or leg (1 = elbow or knee)."""

    skin: wp.vec3
    lips: wp.vec3
    hair: wp.vec3
    iris: wp.vec3
    sock: wp.vec3
    shoe: wp.vec3
    shoe_toe: wp.vec3
    sole: wp.vec3
    cap: wp.vec3
    mark: wp.vec3
    number: wp.vec3
    sleeve: wp.vec3
    glove: wp.vec3
    shirt: Cloth
    trousers: Cloth
    has_shirt: wp.float32
    has_trousers: wp.float32
    sleeve_t: wp.float32
    sleeve_own: wp.float32
    hem: wp.float32
    neck_drop: wp.float32
    neck_width: wp.float32
    front: wp.int32
    back: wp.int32
    mark_size: wp.float32
    waist: wp.float32
    leg_t: wp.float32
    leg_stripe: wp.float32
    sock_t: wp.float32
    shoes: wp.int32
    hair_kind: wp.int32
    hair_thick: wp.float32
    hairline: wp.float32
    nape: wp.float32
    beard: wp.float32
    glasses: wp.float32
    gloves: wp.float32
    shirt_loose: wp.float32
    trousers_loose: wp.float32
    wave: wp.float32
    fold: wp.float32
    seed: wp.float32
    shine: wp.float32


@wp.struct
class Light:
    """One key light, sky and ground, in camera axes. Colours are linear."""

    to_light: wp.vec3
    up: wp.vec3
    key: wp.vec3
    sky: wp.vec3
    ground: wp.vec3
    softness: wp.float32
    origin: wp.vec3
    axis_u: wp.vec3
    axis_v: wp.vec3
    span: wp.float32


@wp.struct
class Lens:
    """Pinhole in edge pixels of the drawn (supersampled) picture."""

    f: wp.float32
    cx: wp.float32
    cy: wp.float32
