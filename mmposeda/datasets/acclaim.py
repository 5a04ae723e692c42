"""Node positions of motion capture in Acclaim's ASF and AMC files; no kept package reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def acclaim_nodes(asf, amc):
    """Places of a skeleton's (ASF) nodes over a motion on it (AMC).

    Each bone turns about axes of its own (``axis``, rotations applied x, then y, then z) that are fixed to its parent.

    Args:
        asf, amc (str | Path): The files.

    Returns:
        tuple: names (N,), a bone's for its start and ``NAME.end`` for its end; positions (F, N, 3) in the file's units;
        and the ASF's ``length`` unit.

    Raises:
        ValueError: not an ASF or AMC file, or bones that do not match.
    """
    bones, children, length = _read_asf(asf)
    frames = _read_amc(amc, bones)
    count = len(frames['root'])
    start, end, turn = {}, {'root': frames['root'][:, :3]}, {'root': _euler(frames['root'][:, 3:])}
    stack = ['root']
    while stack:
        parent = stack.pop()
        for name in children.get(parent, ()):
            bone = bones[name]
            angles = np.zeros((count, 3))
            angles[:, bone['dof']] = frames.get(name, np.zeros((count, 0)))
            axes = _euler(np.array([bone['axis']]))[0]
            turn[name] = turn[parent] @ axes @ _euler(angles) @ axes.T
            start[name] = end[parent]
            end[name] = start[name] + turn[name] @ (bone['direction'] * bone['length'])
            stack.append(name)
    names = [*start, *(f'{n}.end' for n in end)]
    return names, np.stack([*start.values(), *end.values()], axis=1), length


def _euler(degrees):
    """Rotations (N, 3, 3) about x, then y, then z, fixed axes, of angles (N, 3) in degrees."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler('xyz', degrees, degrees=True).as_matrix()


def _read_asf(path):
    bones, children, length = {}, {}, 1.0
    bone, section = None, ''
    for line in Path(path).read_text().splitlines():
        words = line.split()
        if not words or words[0].startswith('#'):
            continue
        if words[0].startswith(':'):
            section = words[0]
        elif section == ':units' and words[0] == 'length':
            length = float(words[1])
        elif section == ':bonedata':
            if words[0] == 'begin':
                bone = dict(dof=[])
            elif words[0] == 'end':
                bones[bone['name']] = bone
            elif words[0] in ('direction', 'axis'):
                bone[words[0]] = np.array([float(w) for w in words[1:4]])
            elif words[0] == 'name':
                bone['name'] = words[1]
            elif words[0] == 'length':
                bone['length'] = float(words[1])
            elif words[0] == 'dof':
                bone['dof'] = [['rx', 'ry', 'rz'].index(w) for w in words[1:]]
        elif section == ':hierarchy' and words[0] not in ('begin', 'end'):
            children[words[0]] = words[1:]
    if not bones or 'root' not in children:
        raise ValueError(f'{path}: no bones or no root; is it an ASF file?')
    return bones, children, length


def _read_amc(path, bones):
    rows = {}
    for line in Path(path).read_text().splitlines():
        words = line.split()
        if len(words) < 2 or words[0][0] in '#:':
            continue
        rows.setdefault(words[0], []).append([float(w) for w in words[1:]])
    unknown = set(rows) - set(bones) - {'root'}
    if 'root' not in rows or unknown:
        raise ValueError(f'{path}: motion of {sorted(unknown) or "no root"}, which the skeleton lacks; wrong ASF?')
    return {name: np.array(values) for name, values in rows.items()}
