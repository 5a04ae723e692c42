"""Skinning weights from a mesh and its bones alone, for rigs whose joints were moved."""

from __future__ import annotations

import numpy as np

from .renderer import vertex_normals


def closest(points, start, end):
    """Nearest points (V, 3) to ``points`` on the segment from start to end (3,), and where on it, (V,) in [0, 1]."""
    axis = end - start
    share = np.clip((points - start) @ axis / (axis @ axis), 0, 1)
    return start + share[:, None] * axis, share


def bone_heat(vertices, faces, segments):
    """Bone heat (Baran and Popovic, Automatic Rigging and Animation of 3D Characters, SIGGRAPH 2007, with c = 1).

    The skin is in equilibrium between heat from each vertex' nearest bone, of strength 1 / distance^2, and diffusion
    over the surface. A bone outside, behind the skin, counts as 2.5 times as far (our choice, in place of a test for
    visibility).

    Args:
        vertices (np.ndarray): (V, 3), metres.
        faces (np.ndarray): (F, 3) triangles.
        segments (sequence): For each bone a list of segments ((3,), (3,)).

    Returns:
        np.ndarray: (V, bones) weights, rows sum to 1.
    """
    from scipy.sparse import coo_matrix, diags
    from scipy.sparse.linalg import splu

    v = np.asarray(vertices, np.float64)
    normal = vertex_normals(v, faces)
    far = np.full((len(v), len(segments)), np.inf)
    for bone, pieces in enumerate(segments):
        for start, end in pieces:
            way = closest(v, start, end)[0] - v
            distance = np.maximum(np.linalg.norm(way, axis=1), 1e-6)
            outside = (way * normal).sum(1) > 0
            far[:, bone] = np.minimum(far[:, bone], distance * np.where(outside, 2.5, 1))
    near = far.min(1, keepdims=True)
    source = (far <= near * 1.0001).astype(np.float64)
    source /= source.sum(1, keepdims=True)
    rows, columns, values, area = [], [], [], np.zeros(len(v))
    for k in range(3):
        i, j, o = faces[:, k], faces[:, (k + 1) % 3], faces[:, (k + 2) % 3]
        a, b = v[i] - v[o], v[j] - v[o]
        double = np.maximum(np.linalg.norm(np.cross(a, b), axis=1), 1e-12)
        cotangent = np.clip((a * b).sum(1) / double, 0.02, 50) / 2  # from below, so that weights stay positive
        rows, columns, values = rows + [i, j], columns + [j, i], values + [cotangent, cotangent]
        np.add.at(area, o, double / 6)
    flow = coo_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (len(v),) * 2).tocsr()
    heat = area / near[:, 0] ** 2
    matrix = diags(np.asarray(flow.sum(1)).ravel() + heat) - flow
    weights = np.clip(splu(matrix.tocsc()).solve(heat[:, None] * source), 0, 1)
    return weights / weights.sum(1, keepdims=True)
