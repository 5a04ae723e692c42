# ruff: noqa: UP018, SIM102, D103 (Warp needs float(0.0) to declare a variable; its functions are inlined helpers)
"""Warp functions that colouring any figure needs: patterns of cloth, and how a surface is lit."""

from __future__ import annotations

import warp as wp

from .geometry_kernels import DEPTH_STEPS, FACE_BITS, FAR, hit_triangle, light_pixel, ramp
from .records import Cloth, Lens, Light


@wp.struct
class Surface:
    """What a pixel shows: a triangle (face -1 for nothing), the weights of its vertices, and its point."""

    face: wp.int32
    vertices: wp.vec3i
    weights: wp.vec3
    ray: wp.vec3
    point: wp.vec3


@wp.func
def surface_at(
    key: wp.int64,
    x: int,
    y: int,
    lens: Lens,
    i: int,
    points: wp.array2d(dtype=wp.vec3),
    faces: wp.array2d(dtype=wp.int32),
):
    """The surface that the depth buffer's key names at a pixel of figure i, camera axes."""
    s = Surface()
    s.face = int(-1)
    if key < FAR:
        f = int(key - (key / FACE_BITS) * FACE_BITS)
        d = wp.vec3((float(x) + 0.5 - lens.cx) / lens.f, (float(y) + 0.5 - lens.cy) / lens.f, 1.0)
        v = wp.vec3i(faces[f, 0], faces[f, 1], faces[f, 2])
        h = hit_triangle(d, points[i, v[0]], points[i, v[1]], points[i, v[2]])
        wb = wp.clamp(h[1], 0.0, 1.0)
        wc = wp.clamp(h[2], 0.0, 1.0)
        s.face = f
        s.vertices = v
        s.weights = wp.vec3(1.0 - wb - wc, wb, wc)
        s.ray = d
        s.point = d * h[0]
    return s


@wp.func
def between(s: Surface, values: wp.array(dtype=wp.vec3)):
    """Values of the vertices at the surface point."""
    w = s.weights
    return w[0] * values[s.vertices[0]] + w[1] * values[s.vertices[1]] + w[2] * values[s.vertices[2]]


@wp.func
def facing_normal(s: Surface, normals: wp.array2d(dtype=wp.vec3), i: int, sign: float):
    """Interpolated normal, times ``sign``, turned to the camera where interpolation turned it away."""
    w = s.weights
    a = normals[i, s.vertices[0]]
    b = normals[i, s.vertices[1]]
    c = normals[i, s.vertices[2]]
    n = sign * wp.normalize(w[0] * a + w[1] * b + w[2] * c)
    d = s.ray
    if wp.dot(n, d) > 0.0:
        n = n - (wp.dot(n, d) / wp.dot(d, d)) * d * 1.02
    return n


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
