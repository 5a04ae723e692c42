"""Slow, obvious geometry of drawn meshes: references for rendered people and hands."""

from __future__ import annotations

import numpy as np


def drawn_points(renderer, scene, frame=0):
    """Vertices (V, 3) of one scene in camera axes as they are drawn, float64."""
    rotations = scene['rotations'][frame : frame + 1]
    rest, heads, tails = (scene[name][None] for name in ('rest', 'heads', 'tails'))
    posed = renderer.pose_joints(rotations, heads, tails)[1]
    records = renderer._figures(scene['record'][None])
    shift = scene['translation'][frame : frame + 1]
    points = renderer.posed_vertices(rest, heads, posed, rotations, scene['turn'][None], shift, records)
    return points.numpy()[0].astype(float)


def brute_force_hit(points, faces, target):
    """First triangle (Moeller-Trumbore in float64, all triangles at once) on the ray from the camera to a target."""
    d = target / target[2]
    p, q, r = (points[faces[:, k]] for k in range(3))
    e1, e2 = q - p, r - p
    h = np.cross(d, e2)
    det = (e1 * h).sum(1)
    with np.errstate(divide='ignore', invalid='ignore'):
        u = (-p * h).sum(1) / det
        k = np.cross(-p, e1)
        v = (k * d).sum(1) / det
        t = (e2 * k).sum(1) / det
    t = np.where((np.abs(det) > 1e-14) & (t > 0) & (u >= 0) & (v >= 0) & (u + v <= 1), t, np.inf)
    return t.argmin(), t.min()


def winding_number(point, points, faces):
    """How often the surface goes round a point (van Oosterom and Strackee): 1 inside, 0 outside."""
    a, b, c = (points[faces[:, k]] - point for k in range(3))
    la, lb, lc = (np.linalg.norm(x, axis=1) for x in (a, b, c))
    volume = (a * np.cross(b, c)).sum(1)
    angle = la * lb * lc + (a * b).sum(1) * lc + (b * c).sum(1) * la + (c * a).sum(1) * lb
    return np.arctan2(volume, angle).sum() / (2 * np.pi)


def distance_to_surface(point, points, faces):
    """Distance of a point from the nearest triangle: inside the triangle, or to one of its edges."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    height = ((point - a) * normal).sum(1)
    foot = point - height[:, None] * normal
    sides = [(np.cross(e - s, foot - s) * normal).sum(1) >= 0 for s, e in ((a, b), (b, c), (c, a))]
    best = np.where(np.all(sides, axis=0), np.abs(height), np.inf)
    for s, e in ((a, b), (b, c), (c, a)):
        share = np.clip(((point - s) * (e - s)).sum(1) / ((e - s) ** 2).sum(1), 0, 1)
        best = np.minimum(best, np.linalg.norm(point - s - share[:, None] * (e - s), axis=1))
    return best.min()
