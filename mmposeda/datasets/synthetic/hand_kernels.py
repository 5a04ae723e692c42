# ruff: noqa: UP018, D103 (Warp needs float(0.0) to declare a variable; its functions are inlined helpers)
"""The numbers that describe one drawn hand, and the Warp kernels that dress and colour it."""

from __future__ import annotations

import warp as wp

from .geometry_kernels import move, ramp, wave
from .paint_kernels import between, blob, facing_normal, illuminate, mix, pattern, surface_at
from .records import Cloth, Lens, Light


@wp.struct
class Hand:
    """Looks of one hand; places along arm and fingers as in ``HandModel.coordinates``, lengths in metres."""

    skin: wp.vec3
    palm: wp.vec3
    nail: wp.vec3
    nail_gloss: wp.float32
    crease: wp.float32
    mottle: wp.float32
    gloss: wp.float32
    sleeve: Cloth
    cuff: wp.float32
    loose: wp.float32
    wave: wp.float32
    fold: wp.float32
    shine: wp.float32
    band: wp.vec3
    band_place: wp.float32
    band_width: wp.float32
    dial: wp.float32
    ring: wp.vec3
    ring_finger: wp.int32
    glove: wp.vec3
    glove_end: wp.float32
    side: wp.float32
    seed: wp.float32


GLOVE_TOP = wp.constant(wp.float32(-0.12))  # gloves reach so far up the forearm


@wp.func
def covered(h: Hand, along: float):
    """What lies on the skin there: 0 nothing, 1 sleeve, 2 glove, 3 watch or bracelet."""
    if along < h.cuff:
        return 1
    if along > GLOVE_TOP and along < h.glove_end:
        return 2
    if wp.abs(along - h.band_place) < h.band_width:
        return 3
    return 0


@wp.kernel
def skin_hands(
    rest: wp.array2d(dtype=wp.vec3),
    canonical: wp.array(dtype=wp.vec3),
    normals: wp.array(dtype=wp.vec3),
    coordinates: wp.array(dtype=wp.vec3),
    weights: wp.array2d(dtype=wp.float32),
    bones: wp.array2d(dtype=wp.int32),
    turn: wp.array2d(dtype=wp.mat33),
    shift: wp.array2d(dtype=wp.vec3),
    hands: wp.array(dtype=Hand),
    out: wp.array2d(dtype=wp.vec3),
):
    """Rest vertices, with sleeve and glove, to camera axes."""
    b, v = wp.tid()
    h = hands[b]
    c = canonical[v]
    over = covered(h, coordinates[v][1])
    thick = float(0.0)
    if over == 1:
        thick = h.loose * (1.0 + h.wave * wave(2.5 * c, h.seed))
    if over == 2:
        thick = 0.0012
    if over == 3:
        thick = 0.002
    out[b, v] = move(rest[b, v] + thick * normals[v], b, v, weights, bones, turn, shift)


@wp.func
def line(distance: float, width: float):
    """1 on a line, fading beside it."""
    t = distance / width
    return wp.exp(-t * t)


@wp.func
def arc(c: wp.vec3, x: float, y: float, radius: float):
    """Distance from a circle in the plane of the palm, metres."""
    dx = c[0] - x
    dy = c[1] - y
    return wp.abs(wp.sqrt(dx * dx + dy * dy) - radius)


@wp.func
def creases(c: wp.vec3, q: wp.vec3, kind: int):
    """How deep in a crease of the skin a point lies, 0 to 1."""
    out = float(0.0)
    if kind > 0:
        end = float(0.0)
        inside = ramp(0.1, -0.4, q[2])
        back = ramp(0.1, 0.5, q[2])
        for k in range(2, 4):
            d = q[1] - float(k)
            out = wp.max(out, inside * line(d, 0.03))
            out = wp.max(out, inside * 0.6 * line(d + 0.09, 0.025))
            folds = 0.5 + 0.5 * wp.cos(d * 95.0)
            out = wp.max(out, back * 0.55 * folds * line(d, 0.13))
            end = 1.0
        if kind > 1:
            out = wp.max(out, end * inside * line(q[1] - 1.52, 0.03))
    elif q[1] > -0.1 and q[2] < 0.0:
        inside = ramp(0.0, -0.4, q[2])
        if c[0] > -0.034 and c[0] < 0.03 and c[1] > 0.01 and c[1] < 0.075:
            out = wp.max(out, line(arc(c, -0.052, 0.012, 0.046), 0.0011))  # around the ball of the thumb
        if c[0] > -0.028 and c[0] < 0.034:
            out = wp.max(out, 0.8 * line(arc(c, -0.03, -0.05, 0.112), 0.001))  # across the palm
        if c[0] > -0.012 and c[0] < 0.05:
            out = wp.max(out, 0.9 * line(arc(c, 0.024, 0.135, 0.066), 0.0011))  # under the fingers
        out = wp.max(out, line(q[1] + 0.005, 0.008)) * inside
    return out


@wp.func
def hand_color(h: Hand, c: wp.vec3, q: wp.vec3, kind: int):
    """Colour (xyz) and gloss (w) at a template point c with place q on the hand."""
    inside = ramp(0.35, -0.45, q[2]) * ramp(-0.12, 0.1, q[1])
    out = mix(h.skin, h.palm, inside)
    red = wp.vec3(1.0, 0.8, 0.76)
    if kind > 0:  # knuckles and finger tips
        warm = 0.5 * ramp(3.3, 3.9, q[1]) + 0.35 * line(q[1] - 2.0, 0.16) + 0.3 * line(q[1] - 3.0, 0.14)
        out = wp.cw_mul(out, mix(wp.vec3(1.0), red, wp.min(warm, 1.0)))
    out = out * (1.0 + h.mottle * (0.6 * blob(c, 130.0, h.seed) + 0.4 * blob(c, 310.0, 2.0 * h.seed)))
    out = out * (1.0 - h.crease * creases(c, q, kind))
    gloss = h.gloss
    if kind > 0 and q[2] > 0.35:
        u = q[0] / 0.82
        v = (q[1] - 3.7) / 0.27
        edge = u * u * u * u + v * v * v * v
        if edge < 1.0:
            out = mix(h.nail, out, 0.35 * ramp(0.75, 1.0, edge))
            if v > 0.72 - 0.25 * u * u:
                out = mix(out, wp.vec3(0.8, 0.75, 0.7), 0.3)
            gloss = h.nail_gloss
        elif edge < 1.7:
            out = 0.82 * out
    if kind == h.ring_finger and kind > 0 and wp.abs(q[1] - 1.72) < 0.07:
        out = h.ring
        gloss = 1.2
    over = covered(h, q[1])
    if over == 1:
        out = pattern(h.sleeve, c, c[1])
        if q[1] > h.cuff - 0.07:
            out = 0.85 * out
        gloss = h.shine
    if over == 2:
        out = h.glove * (0.94 + 0.06 * blob(c, 200.0, h.seed))
        gloss = h.shine
        if q[1] < GLOVE_TOP + 0.05 or (kind == 0 and q[2] > 0.5 and line(c[0] * 60.0, 0.1) > 0.5):
            out = 0.7 * out
    if over == 3:
        out = h.band
        gloss = 0.3
        if h.dial > 0.5 and q[2] > 0.72:
            out = mix(wp.vec3(0.03, 0.03, 0.035), wp.vec3(0.8), float(h.dial > 1.5))
            gloss = 0.9
    return wp.vec4(out[0], out[1], out[2], gloss)


@wp.kernel
def shade_hands(
    points: wp.array2d(dtype=wp.vec3),
    normals: wp.array2d(dtype=wp.vec3),
    faces: wp.array2d(dtype=wp.int32),
    canonical: wp.array(dtype=wp.vec3),
    coordinates: wp.array(dtype=wp.vec3),
    face_kind: wp.array(dtype=wp.int32),
    face_part: wp.array(dtype=wp.int32),
    buffer: wp.array3d(dtype=wp.int64),
    shadow: wp.array3d(dtype=wp.int64),
    lenses: wp.array(dtype=Lens),
    lights: wp.array(dtype=Light),
    hands: wp.array(dtype=Hand),
    image: wp.array3d(dtype=wp.vec4),
    part: wp.array3d(dtype=wp.uint8),
):
    """Linear colour with alpha 1 where a hand is, all zero elsewhere; part numbers beside it."""
    i, y, x = wp.tid()
    s = surface_at(buffer[i, y, x], x, y, lenses[i], i, points, faces)
    if s.face < 0:
        image[i, y, x] = wp.vec4(0.0, 0.0, 0.0, 0.0)
        part[i, y, x] = wp.uint8(0)
        return
    h = hands[i]
    c = between(s, canonical)
    q = between(s, coordinates)
    n = facing_normal(s, normals, i, h.side)  # mirroring a mesh turns its triangles
    color = hand_color(h, c, q, face_kind[s.face])
    if h.fold > 0.0 and q[1] < h.cuff:
        t = c * 90.0
        g = wp.vec3(
            wp.cos(t[0] * 1.3 + t[1] * 0.8 + h.seed) + 0.6 * wp.cos(2.3 * t[0] - t[1] + 2.0 * h.seed),
            wp.cos(t[1] * 1.1 + t[2] * 0.5 + 3.0 * h.seed),
            wp.cos(t[2] * 0.9 + t[1] * 0.4 + 2.0 * h.seed),
        )
        n = wp.normalize(n + h.fold * g)
    albedo = wp.vec3(color[0], color[1], color[2])
    out = illuminate(lights[i], shadow, i, s.point, n, s.ray, albedo, color[3], 0.004, 0.004)
    image[i, y, x] = wp.vec4(out[0], out[1], out[2], 1.0)
    part[i, y, x] = wp.uint8(face_part[s.face])
