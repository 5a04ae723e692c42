# ruff: noqa: UP018, SIM102, D103 (Warp needs float(0.0) to declare a variable; its functions are inlined helpers)
"""Warp kernel that colours every drawn pixel: what it is made of, from template coordinates, and how it is lit."""

from __future__ import annotations

import warp as wp

from .geometry_kernels import ramp
from .paint_kernels import between, box, facing_normal, illuminate, mix, pattern, surface_at
from .records import Lens, Light, Person


@wp.func
def digits(x: float, y: float, s: float):
    """1 on the strokes of a two-digit number of half height s."""
    g = float(0.0)
    u = wp.abs(x) - 0.62 * s
    bar = 0.17 * s
    if wp.abs(u) < 0.45 * s and wp.abs(y) < s:
        if wp.abs(wp.abs(u) - 0.4 * s) < bar or wp.abs(y) > s - bar or wp.abs(y) < 0.5 * bar:
            g = 1.0
        if x < 0.0 and u < 0.2 * s and y < 0.5 * s and y > 0.15 * s:
            g = float(0.0)
    return g


@wp.func
def shirt_color(p: Person, c: wp.vec3, arm: float):
    """The shirt with its front (collar, zip, buttons, print) and back (number, name) marks. Front is -y."""
    height = c[2]
    if arm > 0.05:
        height = 0.45 - 0.28 * arm
    out = pattern(p.shirt, c, height)
    if p.sleeve_own > 0.5 and arm > 0.0:
        out = p.sleeve
    if p.sleeve_t > 0.0 and wp.abs(arm - p.sleeve_t) < 0.05:
        out = mix(out, p.sleeve, 0.7)
    if arm < 0.0:
        s = p.mark_size
        if c[1] < -0.045:
            x = c[0]
            z = c[2] - 0.40
            if p.front == 1 and wp.abs(x) < 0.007:  # zip
                out = p.mark
            if p.front == 2:  # buttons on a placket
                if wp.abs(x) < 0.016:
                    out = out * 0.82
                w = c[2] * 14.0
                if wp.abs(x) < 0.006 and w - wp.floor(w) < 0.22:
                    out = p.mark
            if p.front == 3 and x * x + z * z < s * s:  # round print
                out = mix(
                    p.mark,
                    p.number,
                    float(x * x + z * z < 0.55 * s * s and wp.abs(wp.sin(p.seed) * x + wp.cos(p.seed) * z) < 0.3 * s),
                )
            if p.front == 4 and box(x, z, 0.0, 0.0, 1.4 * s, 0.35 * s) > 0.5:  # lettering
                w = x * 90.0 + p.seed
                out = mix(out, p.mark, float(w - wp.floor(w) < 0.65))
            if p.front == 5:  # bib number on a white patch
                if box(x, z, 0.0, -0.05, 1.5 * s, 1.1 * s) > 0.5:
                    out = mix(p.mark, p.number, digits(x, z + 0.05, 0.75 * s))
            if p.front == 6 and wp.abs(x) < 0.05 + 0.03 * (0.4 - c[2]):  # open jacket
                out = p.mark
            if p.front == 7 and box(x, z, 0.065, 0.02, 0.022, 0.024) > 0.5:  # badge on the wearer's left
                out = p.mark
            if p.front == 8 and wp.abs(z + 1.2 * wp.abs(x) + 0.02) < 0.02:  # chevron
                out = p.mark
            if p.front == 9:  # number
                out = mix(out, p.mark, digits(x, z, 0.8 * s))
        if c[1] > 0.005 or (c[1] > -0.03 and c[2] > 0.2 and c[2] < 0.34):
            x = c[0]
            z = c[2] - 0.36
            if p.back == 1:
                out = mix(out, p.mark, digits(x, z, 1.1 * s))
            if p.back == 2 and box(x, z, 0.0, 0.09, 1.5 * s, 0.25 * s) > 0.5:
                w = x * 80.0 + 2.0 * p.seed
                out = mix(out, p.mark, float(w - wp.floor(w) < 0.6))
            if p.back == 3 and wp.abs(x) < 0.008:
                out = out * 0.6
    return out


@wp.func
def face_color(p: Person, c: wp.vec3, base: wp.vec3):
    """Skin of the face with brows, eye sockets, nostrils, mouth, beard and glasses."""
    out = base
    ax = wp.abs(c[0])
    if c[1] < -0.085:
        cheek = (ax - 0.042) * (ax - 0.042) + (c[2] - 0.685) * (c[2] - 0.685)
        out = mix(out, wp.vec3(out[0], 0.72 * out[1], 0.68 * out[2]), 0.45 * wp.exp(-cheek / 0.0004))
        if p.beard > 0.0 and c[2] < 0.672 and c[2] > 0.575:
            if not (ax < 0.02 and c[2] > 0.651 and c[2] < 0.66):
                out = mix(out, p.hair, p.beard)
        mouth = (ax / 0.024) * (ax / 0.024) + ((c[2] - 0.651) / 0.0075) * ((c[2] - 0.651) / 0.0075)
        if mouth < 1.0 and c[1] < -0.12:
            out = p.lips
            if wp.abs(c[2] - 0.651) < 0.0014:
                out = 0.35 * p.lips
        bx = (ax - 0.032) / 0.019
        bz = (c[2] - 0.748 + 0.10 * wp.abs(ax - 0.032)) / 0.0045
        if bx * bx + bz * bz < 1.0:
            out = mix(0.3 * p.skin, 0.6 * p.hair, 0.6)
        ex = (ax - 0.031) / 0.018
        ez = (c[2] - 0.728) / 0.009
        if ex * ex + ez * ez < 1.0:
            out = 0.55 * out
        if ax < 0.011 and ax > 0.003 and wp.abs(c[2] - 0.677) < 0.003:
            out = 0.4 * out
        if p.glasses > 0.5:
            gx = (ax - 0.033) / 0.024
            gz = (c[2] - 0.726) / 0.017
            if gx * gx + gz * gz < 1.0 or (ax < 0.012 and wp.abs(c[2] - 0.73) < 0.003):
                out = p.number * 0.15
    return out


@wp.func
def body_color(p: Person, c: wp.vec3, arm: float, leg: float, kind: int):
    """Colour (xyz) and gloss (w) at a template point of the body."""
    if kind == -1:
        dx = wp.abs(c[0]) - 0.031
        dz = c[2] - 0.728
        d = dx * dx + dz * dz
        eye = wp.vec3(0.82, 0.8, 0.78)
        if d < 0.000035:
            eye = p.iris
        if p.glasses > 0.5:
            eye = p.number * 0.1
        return wp.vec4(eye[0], eye[1], eye[2], 0.4)
    if kind > 0:
        h = p.hair * (0.85 + 0.25 * wp.sin(40.0 * c[0] + 3.0 * wp.sin(5.0 * c[2])))
        if kind == 4:
            h = p.cap
        return wp.vec4(h[0], h[1], h[2], 0.25)
    out = p.skin
    gloss = 0.12
    head = c[2] > 0.585 and wp.abs(c[0]) < 0.12
    if head:
        scalp = p.hairline - (p.hairline - p.nape) * ramp(-0.115, -0.045, c[1])
        ear = (
            wp.abs(c[0]) > 0.074
            and c[1] > -0.085
            and c[1] < -0.03
            and c[2] > 0.675
            and c[2] < 0.745
            and p.hair_kind != 2
        )
        if p.hair_kind > 0 and c[2] > scalp and not ear:
            out = p.hair * (0.8 + 0.22 * wp.sin(260.0 * c[0] + 90.0 * c[1]) + 0.1 * wp.sin(130.0 * c[2] + 70.0 * c[0]))
            gloss = 0.25
            if p.hair_kind == 3 and c[2] > 0.775:
                out = p.cap
                if c[1] < -0.1 and c[2] < 0.81 and wp.abs(c[0]) < 0.02:
                    out = p.mark
            if p.hair_kind == 4 and wp.abs(c[2] - 0.79) < 0.014:
                out = p.cap
        else:
            out = face_color(p, c, p.skin)
    covered = False
    if p.has_trousers > 0.5 and c[2] < p.waist and leg < p.leg_t and arm < -0.05 and not head:
        height = c[2]
        out = pattern(p.trousers, c, height)
        if p.leg_stripe > 0.5 and leg > -0.4 and wp.abs(c[0]) > 0.15 + 0.058 * wp.clamp(leg, 0.0, 2.0):
            out = p.mark
        if c[2] > p.waist - 0.022:
            out = 0.6 * out
        if c[1] < -0.06 and c[2] > -0.02 and wp.abs(c[0]) < 0.004:
            out = 0.55 * out
        if c[1] > 0.03 and c[2] > 0.0 and c[2] < 0.075 and wp.abs(wp.abs(c[0]) - 0.085) < 0.03 and p.leg_t > 0.3:
            if wp.abs(c[2] - 0.07) < 0.006 or wp.abs(wp.abs(c[0]) - 0.085) > 0.026:
                out = 0.6 * out
        gloss = p.shine
        covered = True
    if p.has_shirt > 0.5 and c[2] > p.hem and arm < p.sleeve_t and leg < 0.3 and not head:
        open_front = (
            c[1] < 0.0
            and c[2] > 0.56 - p.neck_drop + p.neck_drop * wp.abs(c[0]) / p.neck_width
            and wp.abs(c[0]) < p.neck_width
        )
        neck = c[2] > 0.575 and wp.abs(c[0]) < 0.09
        tank = arm < 0.0 and p.sleeve_t < 0.0 and c[2] > 0.44 and wp.abs(c[0]) > 0.105 + 0.2 * wp.abs(c[2] - 0.52)
        racer = (
            p.back == 3
            and p.sleeve_t < 0.0
            and c[1] > 0.0
            and c[2] > 0.36
            and wp.abs(c[0]) > 0.05 + 0.3 * wp.max(c[2] - 0.5, 0.0)
        )
        if not open_front and not neck and not tank and not racer:
            out = shirt_color(p, c, arm)
            gloss = p.shine
            covered = True
    if not covered and not head:
        if arm > 2.0:
            out = wp.cw_mul(out, wp.vec3(1.0, 0.92, 0.9))
            if p.gloves > 0.5:
                out = p.glove
        if arm < 0.0 and c[2] > 0.08 and c[2] < 0.52 and c[1] < -0.03:  # a bare chest has a front
            nx = wp.abs(c[0]) - 0.082
            nz = c[2] - 0.385
            if nx * nx + nz * nz < 0.00022:
                out = wp.cw_mul(out, wp.vec3(0.6, 0.45, 0.42))
            if wp.abs(c[0]) < 0.006 and wp.abs(c[2] - 0.17) < 0.01:
                out = 0.3 * out
            if wp.abs(c[0]) < 0.006 or wp.abs(c[2] - 0.355 - 0.3 * nx * nx) < 0.006:
                out = 0.85 * out
        if arm < 0.0 and c[1] > -0.01 and c[2] > 0.1 and c[2] < 0.5 and wp.abs(c[0]) < 0.008:
            out = 0.8 * out
        if p.shoes < 3 and leg > p.sock_t:
            out = p.sock
            gloss = 0.0
    if leg > 1.9:
        if p.shoes == 1 and (leg > 1.97 or c[2] < -0.74):
            out = p.shoe
            gloss = 0.2
            if c[1] < -0.13:
                out = p.shoe_toe
            if c[2] < -0.795:
                out = p.sole
            w = c[1] * 60.0
            if (
                c[1] > -0.12
                and c[1] < -0.03
                and c[2] > -0.77
                and w - wp.floor(w) < 0.4
                and wp.abs(wp.abs(c[0]) - 0.228) < 0.018
            ):
                out = p.sole
        if p.shoes == 2 and (leg > 1.97):
            out = p.sock
            if c[2] < -0.8:
                out = 0.6 * out
        if p.shoes == 3 and c[1] < -0.17:
            out = wp.cw_mul(out, wp.vec3(1.05, 0.9, 0.88))
    return wp.vec4(out[0], out[1], out[2], gloss)


@wp.kernel
def shade(
    points: wp.array2d(dtype=wp.vec3),
    normals: wp.array2d(dtype=wp.vec3),
    faces: wp.array2d(dtype=wp.int32),
    canonical: wp.array(dtype=wp.vec3),
    along: wp.array(dtype=wp.vec2),
    face_kind: wp.array(dtype=wp.int32),
    face_part: wp.array(dtype=wp.int32),
    buffer: wp.array3d(dtype=wp.int64),
    shadow: wp.array3d(dtype=wp.int64),
    lenses: wp.array(dtype=Lens),
    lights: wp.array(dtype=Light),
    people: wp.array(dtype=Person),
    image: wp.array3d(dtype=wp.vec4),
    part: wp.array3d(dtype=wp.uint8),
):
    """Linear colour with alpha 1 where a body is, all zero elsewhere; part numbers beside it."""
    i, y, x = wp.tid()
    s = surface_at(buffer[i, y, x], x, y, lenses[i], i, points, faces)
    if s.face < 0:
        image[i, y, x] = wp.vec4(0.0, 0.0, 0.0, 0.0)
        part[i, y, x] = wp.uint8(0)
        return
    f = s.face
    w = s.weights
    template = between(s, canonical)
    limb = w[0] * along[s.vertices[0]] + w[1] * along[s.vertices[1]] + w[2] * along[s.vertices[2]]
    n = facing_normal(s, normals, i, 1.0)
    person = people[i]
    color = body_color(person, template, limb[0], limb[1], face_kind[f])
    albedo = wp.vec3(color[0], color[1], color[2])
    if person.fold > 0.0 and face_kind[f] == 0 and template[2] < 0.58 and limb[0] < 1.9 and limb[1] < 1.9:
        t = template * 38.0
        p = person.seed
        g = wp.vec3(
            wp.cos(t[0] * 1.3 + t[2] * 0.8 + p) + 0.6 * wp.cos(2.3 * t[0] - t[2] + 2.0 * p),
            wp.cos(t[1] * 1.1 + t[2] * 0.5 + 3.0 * p),
            wp.cos(t[2] * 0.9 + t[0] * 0.4 + 2.0 * p) + 0.5 * wp.cos(2.1 * t[2] + t[1] + p),
        )
        n = wp.normalize(n + person.fold * g)
    out = illuminate(lights[i], shadow, i, s.point, n, s.ray, albedo, color[3], 0.012, 0.015)
    image[i, y, x] = wp.vec4(out[0], out[1], out[2], 1.0)
    part[i, y, x] = wp.uint8(face_part[f])
