# ruff: noqa: UP018, SIM102, D103 (Warp needs float(0.0) to declare a variable; its functions are inlined helpers)
"""Warp functions that colouring any figure needs: patterns of cloth, and how a surface is lit."""

from __future__ import annotations

import warp as wp

from .geometry_kernels import DEPTH_STEPS, FACE_BITS, light_pixel, ramp
from .records import Cloth, Light


@wp.func
def mix(a: wp.vec3, b: wp.vec3, t: float):
    return a * (1.0 - t) + b * t


@wp.func
def box(x: float, y: float, cx: float, cy: float, hx: float, hy: float):
    """1 inside a rectangle."""
    return float(wp.abs(x - cx) < hx and wp.abs(y - cy) < hy)


@wp.func
def blob(c: wp.vec3, f: float, s: float):
    """Smooth irregular field, about -1 to 1."""
    x = f * c
    a = wp.sin(x[0] + 1.3 * wp.sin(x[2] * 0.7 + s)) + wp.sin(x[2] * 0.9 + 1.1 * wp.sin(x[1] * 1.3 + 2.0 * s))
    b = wp.sin(x[1] * 1.1 + x[2] * 0.6 + 1.7 * wp.sin(x[0] * 0.8 + s * 3.0))
    return (a + b) * 0.4


@wp.func
def pattern(p: Cloth, c: wp.vec3, along: float):
    """Colour of a cloth at a template point; ``along`` replaces the height on limbs."""
    x = c[0] * wp.cos(p.angle) + along * wp.sin(p.angle)
    y = along * wp.cos(p.angle) - c[0] * wp.sin(p.angle)
    if p.kind == 1:  # stripes
        return mix(p.a, p.b, float(wp.sin(y * p.scale + p.phase) > 0.2))
    if p.kind == 2:  # checks
        t = 0.5 * float(wp.sin(y * p.scale) > 0.0) + 0.5 * float(wp.sin(x * p.scale + p.phase) > 0.0)
        return mix(p.a, p.b, t)
    if p.kind == 3:  # blobs
        return mix(p.a, p.b, ramp(0.0, 0.12, blob(c, p.scale, p.phase)))
    if p.kind == 4:  # camouflage
        s = blob(c, p.scale, p.phase)
        t = blob(c, 1.6 * p.scale, p.phase + 4.0)
        if s > 0.25:
            return p.b
        if t > 0.25:
            return p.c
        return p.a
    if p.kind == 5:  # two blocks, one above the other
        return mix(p.a, p.b, float(y > 0.25 + 0.12 * wp.sin(p.phase)))
    if p.kind == 6:  # dots
        u = x * p.scale * 0.32
        v = y * p.scale * 0.32
        u = u - wp.floor(u) - 0.5
        v = v - wp.floor(v) - 0.5
        return mix(p.a, p.b, float(u * u + v * v < 0.07))
    if p.kind == 7:  # fading
        return mix(p.a, p.b, ramp(-0.3, 0.5, y + 0.2 * wp.sin(p.phase)))
    if p.kind == 8:  # side panels
        return mix(p.a, p.b, float(wp.abs(c[0]) > 0.085 + 0.02 * wp.sin(p.phase)))
    if p.kind == 9:  # one chest band
        return mix(p.a, p.b, float(wp.abs(y - 0.36 - 0.05 * wp.sin(p.phase)) < 0.045))
    return p.a


@wp.func
def illuminate(
    light: Light,
    shadow: wp.array3d(dtype=wp.int64),
    image: int,
    p: wp.vec3,
    n: wp.vec3,
    d: wp.vec3,
    albedo: wp.vec3,
    gloss: float,
    offset: float,
    slack: float,
):
    """Linear colour of a surface point p (camera axes, metres) with normal n, seen along d.

    Against shadows on itself, the point is moved by ``offset`` metres along its normal before it is looked up in the
    light's depth buffer of this image, and counts as lit up to ``slack`` metres behind what is stored there.
    """
    size = float(shadow.shape[1])
    lp = light_pixel(light, p + offset * n, size)
    lit = float(0.0)
    for dy in range(2):
        for dx in range(2):
            sx = wp.clamp(int(wp.floor(lp[0] + float(dx) - 0.5)), 0, shadow.shape[2] - 1)
            sy = wp.clamp(int(wp.floor(lp[1] + float(dy) - 0.5)), 0, shadow.shape[1] - 1)
            z = float(shadow[image, sy, sx] / FACE_BITS) / DEPTH_STEPS
            if lp[2] < z + slack:
                lit += 0.25
    toward = wp.dot(n, light.to_light)
    diffuse = lit * wp.max((toward + light.softness) / (1.0 + light.softness), 0.0)
    up = 0.5 + 0.5 * wp.dot(n, light.up)
    radiance = mix(light.ground, light.sky, up) + diffuse * light.key
    view = wp.normalize(-d)
    half_way = wp.normalize(view + light.to_light)
    spec = gloss * lit * wp.pow(wp.max(wp.dot(n, half_way), 0.0), 24.0)
    return wp.cw_mul(albedo, radiance) + spec * light.key * 0.35
