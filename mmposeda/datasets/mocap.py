"""Motion capture as 17 joint positions: npz packs, BVH files of the CMU skeleton, and ASF + AMC pairs.

BVH is read by ``pybvh`` (extra ``synth``), which agrees with the packs to 0.01 mm on files of both naming habits.
ASF/AMC is read here: no kept package reads it.

Everything is millimetres in the capture's world, y up; a person at rest looks along +z with the left side at +x. One
unit of CMU's files is 25.4 / 0.45 mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .npz import open_npz

JOINT_NAMES = (
    'root',
    *(f'right_{j}' for j in ('hip', 'knee', 'foot')),
    *(f'left_{j}' for j in ('hip', 'knee', 'foot')),
    *('spine', 'thorax', 'neck_base', 'head'),
    *(f'left_{j}' for j in ('shoulder', 'elbow', 'wrist')),
    *(f'right_{j}' for j in ('shoulder', 'elbow', 'wrist')),
)
CMU_UNIT = 25.4 / 0.45
#: The thorax bone over the upper back's length, in the thorax's axes, as in CMU's ASF files; public BVH conversions
#: have it at length zero.
THORAX = 1.0042 * np.array([0.0, 0.99916, 0.04105])
HEAD_RATIO = 1.06  # length of the head over the upper neck's, where a file gives none
#: joint -> names of the node at its place: MotionBuilder, 3dsMax (BVH), Acclaim (start of the bone)
_NODES = {
    'hip': ('{Side}UpLeg', '{Side}Hip', '{s}femur'),
    'knee': ('{Side}Leg', '{Side}Knee', '{s}tibia'),
    'foot': ('{Side}Foot', '{Side}Ankle', '{s}foot'),
    'shoulder': ('{Side}Arm', '{Side}Shoulder', '{s}humerus'),
    'elbow': ('{Side}ForeArm', '{Side}Elbow', '{s}radius'),
    'wrist': ('{Side}Hand', '{Side}Wrist', '{s}wrist'),
    'spine': ('Spine', 'Chest', 'upperback'),
    'thorax': ('lowerneck', 'Neck'),
    'neck_base': ('Head', 'Head', 'head'),
    'head': ('EndSiteHead', 'EndSiteHead', 'head.end'),
}


@dataclass
class MocapClips:
    """Poses of many clips one after another.

    Attributes:
        poses (np.ndarray): (F, 17, 3) joint positions relative to the root, mm.
        root (np.ndarray): (F, 3) position of the root in the capture's world, mm.
        starts, lengths (np.ndarray): (C,) frames of each clip.
        fps (float): Frames a second.
        weights (np.ndarray): (C,) chance of each clip.
        names, subjects, actions (list[str]): Of each clip; ``unknown`` where a file does not say.
    """

    poses: np.ndarray
    root: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    fps: float
    weights: np.ndarray
    names: list[str]
    subjects: list[str]
    actions: list[str]

    def draw(self, rng, num):
        """Random frame numbers (num,): clip by weight, then a frame of it."""
        clip = np.searchsorted(np.cumsum(self.weights), rng.random(num) * self.weights.sum(), side='right')
        clip = np.minimum(clip, len(self.starts) - 1)
        return self.starts[clip] + (rng.random(num) * self.lengths[clip]).astype(int)

    def draw_clip(self, rng, frames):
        """Numbers (frames,) of consecutive frames of a random clip; a shorter clip runs to and fro."""
        clip = np.searchsorted(np.cumsum(self.weights), rng.random() * self.weights.sum(), side='right')
        clip = min(clip, len(self.starts) - 1)
        length = int(self.lengths[clip])
        begin = int(rng.random() * max(length - frames + 1, 1))
        step = (begin + np.arange(frames)) % max(2 * length - 2, 1)
        return self.starts[clip] + np.where(step < length, step, 2 * length - 2 - step)


def read_pack(path):
    """An npz pack of the keys ``poses, clip_start, clip_len, fps, joint_names``.

    ``root``, ``clip_id``, ``subject`` and ``action`` are used if they are there.

    Raises:
        ValueError: the file is damaged or too large, or keys or joints are not those of a pack.
    """
    with open_npz(path) as data:
        missing = {'poses', 'clip_start', 'clip_len', 'fps', 'joint_names'} - set(data.files)
        if missing:
            raise ValueError(f'{path}: not a motion pack, missing {sorted(missing)}; it has {sorted(data.files)}')
        names = tuple(str(n) for n in data['joint_names'])
        if names != JOINT_NAMES:
            raise ValueError(f'{path}: joints {names}, expected {JOINT_NAMES}')
        clips = len(data['clip_len'])
        name, subject, action = (
            [str(text) for text in data[key]] if key in data.files else ['unknown'] * clips
            for key in ('clip_id', 'subject', 'action')
        )
        root = data['root'] if 'root' in data.files else np.zeros((len(data['poses']), 3), np.float32)
        # rare actions count for more than their frames: an action's chance goes with the square root of its length
        poses, start, length = data['poses'], data['clip_start'], data['clip_len']
        if poses.shape[1:] != (17, 3) or root.shape != (len(poses), 3):
            raise ValueError(f'{path}: poses {poses.shape} and root {root.shape}, expected (F, 17, 3) and (F, 3)')
        if any(len(texts) != clips for texts in (start, name, subject, action)):
            raise ValueError(f'{path}: clip_start, clip_id, subject or action are not of its {clips} clips')
        if (start < 0).any() or (length < 1).any() or (start + length > len(poses)).any():
            raise ValueError(f'{path}: clips reach beyond its {len(poses)} poses')
        if not (np.isfinite(poses).all() and np.isfinite(root).all() and np.isfinite(data['fps'])):
            raise ValueError(f'{path}: poses, root or fps are not finite')
        count = {a: length[[a == other for other in action]].sum() for a in set(action)}
        weights = np.array([frames / np.sqrt(count[a]) for a, frames in zip(action, length)])
        return MocapClips(poses, root, start, length, float(data['fps']), weights, name, subject, action)


def _joints(positions, names, path):
    """Seventeen joints (F, 17, 3) from node positions (F, N, 3), in the order of ``JOINT_NAMES``."""

    def find(joint):
        side, _, bare = joint.partition('_')
        if side not in ('left', 'right'):
            bare, side = joint, 'left'
        options = [n.format(Side=side.title(), s=side[0]) for n in _NODES[bare]]
        # 'LeftShoulder' is the collar in MotionBuilder's naming and the shoulder in 3dsMax'
        options = [
            n for n in options if n in names and not (n == f'{side.title()}Shoulder' and f'{side.title()}Arm' in names)
        ]
        if not options:
            raise ValueError(f'{path}: no node for {joint} (one of {_NODES[bare]}); it has {sorted(names)}')
        return positions[:, names.index(options[0])]

    out = {j: find(j) for j in JOINT_NAMES if j != 'root'}
    out['root'] = (out['left_hip'] + out['right_hip']) / 2
    return np.stack([out[j] for j in JOINT_NAMES], axis=1)


def read_bvh(path, unit=CMU_UNIT, mend=True):
    """A BVH file of the CMU skeleton, MotionBuilder or 3dsMax names.

    Args:
        path (str | Path): The file.
        unit (float): Millimetres a unit of the file.
        mend (bool): Give the thorax bone and the end of the head a length where the file has zero, as the public
            conversions of CMU's files do.

    Returns:
        tuple: joints (F, 17, 3) in mm and frames a second.

    Raises:
        ImportError: pybvh is not installed.
        ValueError: a joint is missing.
    """
    try:
        import pybvh
    except ImportError as error:
        raise ImportError('reading BVH files needs the package pybvh: pip install mmposeda[synth]') from error
    motion = pybvh.read_bvh_file(str(path))
    nodes = {n.name: n for n in motion.nodes}
    chest = nodes.get('Spine1') or nodes.get('Chest2')
    above = [n for n in nodes.values() if n.parent is chest] if chest is not None else []
    if mend and above and not np.any([n.offset for n in above]):
        for node in above:
            node.offset = THORAX * np.linalg.norm(chest.offset)
    end = nodes.get('EndSiteHead')
    if mend and end is not None and not np.any(end.offset):
        end.offset = np.array([0.0, HEAD_RATIO * np.linalg.norm(nodes['Head'].offset), 0.0])
    return _joints(motion.node_positions() * unit, [n.name for n in motion.nodes], path), float(motion.fps)


def read_acclaim(asf, amc, unit=None, fps=120.0):
    """A skeleton (ASF) and a motion on it (AMC).

    Each bone turns about axes of its own (``axis``, rotations applied x, then y, then z) that are fixed to its parent.

    Args:
        asf, amc (str | Path): The files.
        unit (float): Millimetres a unit; by default 25.4 over the ASF's ``length`` unit.
        fps (float): Frames a second; AMC files do not say.

    Returns:
        tuple: joints (F, 17, 3) in mm and frames a second.

    Raises:
        ValueError: not an ASF or AMC file, or bones that do not match.
    """
    bones, children, length = _read_asf(asf)
    frames = _read_amc(amc, bones)
    unit = unit or 25.4 / length
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
    return _joints(np.stack([*start.values(), *end.values()], axis=1) * unit, names, asf), fps


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


def _read_one(file):
    """One file, or an (asf, amc) pair, as a pack of clips."""
    pair = (file,) if isinstance(file, (str, Path)) else tuple(file)
    for part in pair:
        if not Path(part).exists():
            raise FileNotFoundError(f'motion file {part} is not there')
    kind = Path(pair[0]).suffix.lower()
    if kind == '.npz':
        return read_pack(pair[0])
    if kind == '.bvh':
        joints, fps = read_bvh(pair[0])
    elif kind == '.asf' and len(pair) == 2:
        joints, fps = read_acclaim(*pair)
    else:
        raise ValueError(f'{file}: motion files are .npz packs, .bvh, or (.asf, .amc) pairs')
    step = max(int(round(fps / 30)), 1)
    joints = joints[::step].astype(np.float32)
    root, count = joints[:, 0], len(joints)
    poses = joints - root[:, None]
    name = Path(pair[-1]).stem
    subject = name.split('_')[0] if '_' in name else 'unknown'  # CMU's files are named subject_clip
    weight = np.array([np.sqrt(count)])
    return MocapClips(poses, root, np.array([0]), np.array([count]), fps / step, weight, [name], [subject], ['unknown'])


def load_mocap(files):
    """All clips of some files, together, about 30 frames a second.

    Args:
        files (sequence): npz packs, BVH files, or (asf, amc) pairs.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: a file of another kind or skeleton.
    """
    packs = [_read_one(file) for file in files]
    offsets = np.cumsum([0] + [len(p.poses) for p in packs[:-1]])
    return MocapClips(
        np.concatenate([p.poses for p in packs]),
        np.concatenate([p.root for p in packs]),
        np.concatenate([p.starts + o for p, o in zip(packs, offsets)]),
        np.concatenate([p.lengths for p in packs]),
        packs[0].fps,
        np.concatenate([p.weights for p in packs]),
        *([text for p in packs for text in getattr(p, key)] for key in ('names', 'subjects', 'actions')),
    )
