# ruff: noqa: UP018, SIM102, D103 (Warp needs float(0.0) to declare a variable; its functions are inlined helpers)
"""Warp kernels from rest pose to a depth buffer: clothes' thickness, skinning, normals, z-buffer, ray test of joints.

A z-buffer is used rather than rays against a hierarchy: with a new mesh for every picture the hierarchy took 13 ms to
build at 27,000 triangles, filling the buffer takes about 2 ms.
"""

from __future__ import annotations

import warp as wp

from .records import Lens, Light, Person

DEPTH_STEPS = wp.constant(wp.float32(1.0e5))  # a depth unit of 10 micrometres
FACE_BITS = wp.constant(wp.int64(1 << 20))
FAR = wp.constant(wp.int64(1 << 62))


@wp.func
def wave(c: wp.vec3, seed: float):
    """A low-frequency wave in [-1, 1] over template coordinates."""
    return 0.5 * wp.sin(23.0 * c[2] + 9.0 * c[0] + seed) + 0.5 * wp.sin(
        31.0 * c[0] - 17.0 * c[1] + 11.0 * c[2] + 1.7 * seed
    )


@wp.func
def ramp(low: float, high: float, x: float):
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = wp.clamp((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


@wp.func
def thickness(p: Person, c: wp.vec3, arm: float, leg: float):
    """Metres by which clothes and hair stand off the skin at a template point."""
    out = float(0.0)
    if c[2] > 0.6 and wp.abs(c[0]) < 0.12:
        scalp = p.hairline - (p.hairline - p.nape) * ramp(-0.125, -0.03, c[1])
        if p.hair_kind > 0:
            out = p.hair_thick * ramp(scalp - 0.004, scalp + 0.02, c[2])
        return out
    if p.has_shirt > 0.5 and c[2] > p.hem and arm < p.sleeve_t and leg < 0.0:
        loose = p.shirt_loose * (0.35 + 0.65 * ramp(0.45, 0.2, c[2]))
        if arm > 0.0:
            loose = p.shirt_loose * (0.4 + 0.6 * wp.min(arm / wp.max(p.sleeve_t, 0.2), 1.0))
        out = loose * (1.0 + p.wave * wave(c, p.seed))
    if p.has_trousers > 0.5 and c[2] <= p.waist and leg < p.leg_t and arm < -0.05:
        loose = p.trousers_loose * (0.25 + 0.75 * wp.clamp(leg / wp.max(p.leg_t, 0.3) + 0.35, 0.0, 1.0))
        inner = ramp(0.015, 0.05, wp.abs(c[0]))
        out = wp.max(out, loose * inner * (1.0 + p.wave * wave(c, p.seed + 2.0)))
    if p.shoes == 1 and leg > 1.93:
        out = wp.max(out, 0.007 * ramp(1.93, 2.02, leg))
    return out


@wp.func
def move(
    x: wp.vec3,
    b: int,
    v: int,
    weights: wp.array2d(dtype=wp.float32),
    bones: wp.array2d(dtype=wp.int32),
    turn: wp.array2d(dtype=wp.mat33),
    shift: wp.array2d(dtype=wp.vec3),
):
    """Where the bones of figure b take vertex v from x: linear blend skinning."""
    y = wp.vec3(0.0)
    for k in range(weights.shape[1]):
        w = weights[v, k]
        if w > 0.0:
            j = bones[v, k]
            y = y + w * (turn[b, j] * x + shift[b, j])
    return y


@wp.kernel
def skin_vertices(
    rest: wp.array2d(dtype=wp.vec3),
    canonical: wp.array(dtype=wp.vec3),
    normals: wp.array(dtype=wp.vec3),
    along: wp.array(dtype=wp.vec2),
    weights: wp.array2d(dtype=wp.float32),
    bones: wp.array2d(dtype=wp.int32),
    turn: wp.array2d(dtype=wp.mat33),
    shift: wp.array2d(dtype=wp.vec3),
    people: wp.array(dtype=Person),
    num_body: int,
    out: wp.array2d(dtype=wp.vec3),
):
    """Rest vertices, put on clothes, to camera axes."""
    b, v = wp.tid()
    x = rest[b, v]
    if v < num_body:
        t = along[v]
        x = x + thickness(people[b], canonical[v], t[0], t[1]) * normals[v]
    out[b, v] = move(x, b, v, weights, bones, turn, shift)


@wp.kernel
def vertex_normals(
    points: wp.array2d(dtype=wp.vec3),
    faces: wp.array2d(dtype=wp.int32),
    first: wp.array(dtype=wp.int32),
    around: wp.array(dtype=wp.int32),
    out: wp.array2d(dtype=wp.vec3),
):
    """Area-weighted normals, gathered by vertex so that the sum's order never changes."""
    b, v = wp.tid()
    n = wp.vec3(0.0)
    for i in range(first[v], first[v + 1]):
        f = around[i]
        p0 = points[b, faces[f, 0]]
        n = n + wp.cross(points[b, faces[f, 1]] - p0, points[b, faces[f, 2]] - p0)
    out[b, v] = wp.normalize(n)


@wp.func
def edge(a: wp.vec2, b: wp.vec2, x: float, y: float):
    return (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])


@wp.func
def fill(
    a: wp.vec2,
    b: wp.vec2,
    c: wp.vec2,
    za: float,
    zb: float,
    zc: float,
    image: int,
    f: int,
    buffer: wp.array3d(dtype=wp.int64),
):
    """Keep the nearest triangle at every pixel centre inside; ``z*`` are inverse depths."""
    height = buffer.shape[1]
    width = buffer.shape[2]
    x0 = wp.max(int(wp.floor(wp.min(a[0], wp.min(b[0], c[0])) + 0.5)), 0)
    x1 = wp.min(int(wp.floor(wp.max(a[0], wp.max(b[0], c[0])) + 0.5)), width)
    y0 = wp.max(int(wp.floor(wp.min(a[1], wp.min(b[1], c[1])) + 0.5)), 0)
    y1 = wp.min(int(wp.floor(wp.max(a[1], wp.max(b[1], c[1])) + 0.5)), height)
    area = edge(a, b, c[0], c[1])
    if wp.abs(area) < 1.0e-12:
        return
    for y in range(y0, y1):
        py = float(y) + 0.5
        for x in range(x0, x1):
            px = float(x) + 0.5
            wa = edge(b, c, px, py) / area
            wb = edge(c, a, px, py) / area
            wc = 1.0 - wa - wb
            if wa >= 0.0 and wb >= 0.0 and wc >= 0.0:
                z = 1.0 / (wa * za + wb * zb + wc * zc)
                key = wp.int64(z * DEPTH_STEPS) * FACE_BITS + wp.int64(f)
                wp.atomic_min(buffer, image, y, x, key)


@wp.kernel
def draw_faces(
    points: wp.array2d(dtype=wp.vec3),
    faces: wp.array2d(dtype=wp.int32),
    lenses: wp.array(dtype=Lens),
    buffer: wp.array3d(dtype=wp.int64),
):
    """Depth and face number of the nearest surface at every pixel centre, packed so that one atomic minimum serves."""
    i, f = wp.tid()
    lens = lenses[i]
    p = points[i, faces[f, 0]]
    q = points[i, faces[f, 1]]
    r = points[i, faces[f, 2]]
    if p[2] < 0.05 or q[2] < 0.05 or r[2] < 0.05:
        return
    a = wp.vec2(lens.f * p[0] / p[2] + lens.cx, lens.f * p[1] / p[2] + lens.cy)
    b = wp.vec2(lens.f * q[0] / q[2] + lens.cx, lens.f * q[1] / q[2] + lens.cy)
    c = wp.vec2(lens.f * r[0] / r[2] + lens.cx, lens.f * r[1] / r[2] + lens.cy)
    fill(a, b, c, 1.0 / p[2], 1.0 / q[2], 1.0 / r[2], i, f, buffer)


@wp.func
def light_pixel(light: Light, x: wp.vec3, size: float):
    d = x - light.origin
    s = size / (2.0 * light.span)
    return wp.vec3(
        (wp.dot(d, light.axis_u) + light.span) * s,
        (wp.dot(d, light.axis_v) + light.span) * s,
        2.0 * light.span - wp.dot(d, light.to_light),
    )


@wp.kernel
def draw_shadow(
    points: wp.array2d(dtype=wp.vec3),
    faces: wp.array2d(dtype=wp.int32),
    lights: wp.array(dtype=Light),
    buffer: wp.array3d(dtype=wp.int64),
):
    """The depth buffer seen from the light (orthographic)."""
    i, f = wp.tid()
    size = float(buffer.shape[1])
    p = light_pixel(lights[i], points[i, faces[f, 0]], size)
    q = light_pixel(lights[i], points[i, faces[f, 1]], size)
    r = light_pixel(lights[i], points[i, faces[f, 2]], size)
    a = wp.vec2(p[0], p[1])
    b = wp.vec2(q[0], q[1])
    c = wp.vec2(r[0], r[1])
    fill(a, b, c, 1.0 / p[2], 1.0 / q[2], 1.0 / r[2], i, f, buffer)


@wp.func
def hit_triangle(d: wp.vec3, p: wp.vec3, q: wp.vec3, r: wp.vec3):
    """Ray from the camera along d: (depth factor t, weight of q, weight of r); t < 0 where it misses."""
    e1 = q - p
    e2 = r - p
    h = wp.cross(d, e2)
    det = wp.dot(e1, h)
    if wp.abs(det) < 1.0e-14:
        return wp.vec3(-1.0, 0.0, 0.0)
    u = -wp.dot(p, h) / det
    k = wp.cross(-p, e1)
    v = wp.dot(d, k) / det
    t = wp.dot(e2, k) / det
    return wp.vec3(t, u, v)


@wp.kernel
def first_hits(
    points: wp.array2d(dtype=wp.vec3),
    faces: wp.array2d(dtype=wp.int32),
    targets: wp.array2d(dtype=wp.vec3),
    hit_face: wp.array2d(dtype=wp.int32),
    hit_depth: wp.array2d(dtype=wp.float32),
):
    """The first surface that the ray from the camera through each target meets; face -1 for none."""
    i, k = wp.tid()
    d = targets[i, k] / targets[i, k][2]
    best = float(1.0e9)
    face = int(-1)
    for f in range(faces.shape[0]):
        p = points[i, faces[f, 0]]
        q = points[i, faces[f, 1]]
        r = points[i, faces[f, 2]]
        if wp.max(p[0] - d[0] * p[2], wp.max(q[0] - d[0] * q[2], r[0] - d[0] * r[2])) >= 0.0:
            if wp.min(p[0] - d[0] * p[2], wp.min(q[0] - d[0] * q[2], r[0] - d[0] * r[2])) <= 0.0:
                if wp.max(p[1] - d[1] * p[2], wp.max(q[1] - d[1] * q[2], r[1] - d[1] * r[2])) >= 0.0:
                    if wp.min(p[1] - d[1] * p[2], wp.min(q[1] - d[1] * q[2], r[1] - d[1] * r[2])) <= 0.0:
                        h = hit_triangle(d, p, q, r)
                        if h[0] > 0.0 and h[1] >= 0.0 and h[2] >= 0.0 and h[1] + h[2] <= 1.0 and h[0] < best:
                            best = h[0]
                            face = f
    hit_face[i, k] = face
    hit_depth[i, k] = best
