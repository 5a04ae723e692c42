"""Small meshes carried by the head: hair that hangs, buns, caps. Ellipsoids whose place and size vary by person."""

from __future__ import annotations

import numpy as np

ACCESSORY_BONE = 'Head'
ACCESSORIES = ('hang', 'tail', 'bun', 'brim')
_RINGS, _SEGMENTS = 7, 12


def accessory_mesh():
    """Unit spheres, one for each accessory.

    Returns:
        tuple: vertices (V, 3) on the unit sphere, faces (F, 3), dict name -> (first, last + 1) vertex.
    """
    theta = np.linspace(0, np.pi, _RINGS + 2)[1:-1]
    phi = np.arange(_SEGMENTS) * 2 * np.pi / _SEGMENTS
    ring = np.stack(
        [
            np.outer(np.sin(theta), np.cos(phi)),
            np.outer(np.sin(theta), np.sin(phi)),
            np.outer(np.cos(theta), np.ones_like(phi)),
        ],
        axis=-1,
    ).reshape(-1, 3)
    unit = np.concatenate([[[0, 0, 1]], ring, [[0, 0, -1]]])
    faces = []
    for s in range(_SEGMENTS):
        n = (s + 1) % _SEGMENTS
        faces.append((0, 1 + s, 1 + n))
        for r in range(_RINGS - 1):
            a, b = 1 + r * _SEGMENTS, 1 + (r + 1) * _SEGMENTS
            faces += [(a + s, b + s, b + n), (a + s, b + n, a + n)]
        last = 1 + (_RINGS - 1) * _SEGMENTS
        faces.append((last + s, len(unit) - 1, last + n))
    faces = np.array(faces)
    vertices = np.concatenate([unit] * len(ACCESSORIES)).astype(np.float32)
    all_faces = np.concatenate([faces + k * len(unit) for k in range(len(ACCESSORIES))])
    slices = {name: (k * len(unit), (k + 1) * len(unit)) for k, name in enumerate(ACCESSORIES)}
    return vertices, all_faces, slices


def place(unit, slices, specs, head, scale):
    """Vertices of a person's accessories at rest.

    Args:
        unit (np.ndarray): (V, 3) from :func:`accessory_mesh`.
        slices (dict): from :func:`accessory_mesh`.
        specs (dict): name -> (centre (3,), radii (3,)), in lengths of the head bone from the bone's start.
        head (np.ndarray): (3,) start of the head bone, metres.
        scale (float): length of the head bone, metres.

    Returns:
        np.ndarray: (V, 3) metres. Accessories that are not named shrink to a point inside the head.
    """
    out = np.repeat((head + [0, -0.2 * scale, 0.5 * scale])[None], len(unit), axis=0)
    for name, (centre, radii) in specs.items():
        start, stop = slices[name]
        sphere = unit[start:stop]
        if name == 'brim':  # a visor: the front half of a disc
            sphere = sphere.copy()
            sphere[:, 1] = np.where(unit[start:stop, 1] < 0, unit[start:stop, 1], unit[start:stop, 1] * 0.05)
        out[start:stop] = head + scale * (np.asarray(centre) + sphere * np.asarray(radii))
    return out.astype(np.float32)
