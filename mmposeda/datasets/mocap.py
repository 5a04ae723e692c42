"""Motion capture as 17 joint positions: npz packs, BVH files of the CMU skeleton, and ASF + AMC pairs.

BVH is read by ``pybvh`` (extra ``synth``), which agrees with the packs to 0.01 mm on files of both naming habits. BVH
and ASF + AMC have toes as well, which are given on request.

Everything is millimetres in the capture's world, y up; a person at rest looks along +z with the left side at +x. One
unit of CMU's files is 25.4 / 0.45 mm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .acclaim import acclaim_nodes
from .npz import open_npz

JOINT_NAMES = (
    'root',
    *(f'right_{j}' for j in ('hip', 'knee', 'foot')),
    *(f'left_{j}' for j in ('hip', 'knee', 'foot')),
    *('spine', 'thorax', 'neck_base', 'head'),
    *(f'left_{j}' for j in ('shoulder', 'elbow', 'wrist')),
    *(f'right_{j}' for j in ('shoulder', 'elbow', 'wrist')),
)
#: Joints 17 and 18 where toes are asked for: the ball of the foot, where the toes begin. The tip is no joint here, as
#: MotionBuilder's conversions of CMU's files have toes of length zero.
TOES = ('right_toe', 'left_toe')
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
    'toe': ('{Side}ToeBase', '{Side}Toe', '{s}toes'),
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
        poses (np.ndarray): (F, 17, 3) joint positions relative to the root, mm; with toes (F, 19, 3).
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


def read_pack(path, toes=False):
    """An npz pack of the keys ``poses, clip_start, clip_len, fps, joint_names``.

    ``root``, ``clip_id``, ``subject`` and ``action`` are used if they are there. Joints are the 17 of
    :data:`JOINT_NAMES`, or these and :data:`TOES`.

    Args:
        path (str | Path): The file.
        toes (bool): Whether to give the toes too.

    Raises:
        ValueError: the file is damaged or too large, keys or joints are not those of a pack, or it has no toes.
    """
    with open_npz(path) as data:
        missing = {'poses', 'clip_start', 'clip_len', 'fps', 'joint_names'} - set(data.files)
        if missing:
            raise ValueError(f'{path}: not a motion pack, missing {sorted(missing)}; it has {sorted(data.files)}')
        names = tuple(str(n) for n in data['joint_names'])
        if names not in (JOINT_NAMES, JOINT_NAMES + TOES):
            raise ValueError(f'{path}: joints {names}, expected {JOINT_NAMES}, which {TOES} may follow')
        if toes and names == JOINT_NAMES:
            raise ValueError(
                f'{path}: this pack has no toes. BVH files and (.asf, .amc) pairs have them; or take a joint set '
                "without feet, such as skeleton='nlrd15'"
            )
        clips = len(data['clip_len'])
        name, subject, action = (
            [str(text) for text in data[key]] if key in data.files else ['unknown'] * clips
            for key in ('clip_id', 'subject', 'action')
        )
        root = data['root'] if 'root' in data.files else np.zeros((len(data['poses']), 3), np.float32)
        # rare actions count for more than their frames: an action's chance goes with the square root of its length
        poses, start, length = data['poses'], data['clip_start'], data['clip_len']
        if poses.shape[1:] != (len(names), 3) or root.shape != (len(poses), 3):
            raise ValueError(
                f'{path}: poses {poses.shape} and root {root.shape}, expected (F, {len(names)}, 3) and (F, 3)'
            )
        if any(len(texts) != clips for texts in (start, name, subject, action)):
            raise ValueError(f'{path}: clip_start, clip_id, subject or action are not of its {clips} clips')
        if (start < 0).any() or (length < 1).any() or (start + length > len(poses)).any():
            raise ValueError(f'{path}: clips reach beyond its {len(poses)} poses')
        if not (np.isfinite(poses).all() and np.isfinite(root).all() and np.isfinite(data['fps'])):
            raise ValueError(f'{path}: poses, root or fps are not finite')
        count = {a: length[[a == other for other in action]].sum() for a in set(action)}
        weights = np.array([frames / np.sqrt(count[a]) for a, frames in zip(action, length)])
        poses = poses if toes else poses[:, : len(JOINT_NAMES)]
        return MocapClips(poses, root, start, length, float(data['fps']), weights, name, subject, action)


def _joints(positions, names, path, toes=False):
    """Joints (F, 17 or 19, 3) from node positions (F, N, 3), in the order of ``JOINT_NAMES`` and ``TOES``."""

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

    wanted = JOINT_NAMES + TOES if toes else JOINT_NAMES
    out = {j: find(j) for j in wanted if j != 'root'}
    out['root'] = (out['left_hip'] + out['right_hip']) / 2
    return np.stack([out[j] for j in wanted], axis=1)


def read_bvh(path, unit=CMU_UNIT, mend=True, toes=False):
    """A BVH file of the CMU skeleton, MotionBuilder or 3dsMax names.

    Args:
        path (str | Path): The file.
        unit (float): Millimetres a unit of the file.
        mend (bool): Give the thorax bone and the end of the head a length where the file has zero, as the public
            conversions of CMU's files do.
        toes (bool): Whether to give :data:`TOES` too.

    Returns:
        tuple: joints (F, 17, 3), with toes (F, 19, 3), in mm, and frames a second.

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
    return _joints(motion.node_positions() * unit, [n.name for n in motion.nodes], path, toes), float(motion.fps)


def read_acclaim(asf, amc, unit=None, fps=120.0, toes=False):
    """A skeleton (ASF) and a motion on it (AMC).

    Args:
        asf, amc (str | Path): The files.
        unit (float): Millimetres a unit; by default 25.4 over the ASF's ``length`` unit.
        fps (float): Frames a second; AMC files do not say.
        toes (bool): Whether to give :data:`TOES` too.

    Returns:
        tuple: joints (F, 17, 3), with toes (F, 19, 3), in mm, and frames a second.

    Raises:
        ValueError: not an ASF or AMC file, or bones that do not match.
    """
    names, positions, length = acclaim_nodes(asf, amc)
    return _joints(positions * (unit or 25.4 / length), names, asf, toes), fps


def _read_one(file, toes, fps):
    """One file, or an (asf, amc) pair, as a pack of clips."""
    pair = (file,) if isinstance(file, (str, Path)) else tuple(file)
    for part in pair:
        if not Path(part).exists():
            raise FileNotFoundError(f'motion file {part} is not there')
    kind = Path(pair[0]).suffix.lower()
    if kind == '.npz':
        pack = read_pack(pair[0], toes)
        return pack if fps is None else at_rate(pack, fps)
    if kind == '.bvh':
        joints, rate = read_bvh(pair[0], toes=toes)
    elif kind == '.asf' and len(pair) == 2:
        joints, rate = read_acclaim(*pair, toes=toes)
    else:
        raise ValueError(f'{file}: motion files are .npz packs, .bvh, or (.asf, .amc) pairs')
    step = max(int(round(rate / 30)), 1) if fps is None else 1
    joints = joints[::step].astype(np.float32)
    root, count = joints[:, 0], len(joints)
    poses = joints - root[:, None]
    name = Path(pair[-1]).stem
    subject = name.split('_')[0] if '_' in name else 'unknown'  # CMU's files are named subject_clip
    pack = MocapClips(
        poses, root, np.array([0]), np.array([count]), rate / step, np.ones(1), [name], [subject], ['unknown']
    )
    pack = pack if fps is None else at_rate(pack, fps)
    pack.weights = np.sqrt(pack.lengths)
    return pack


def at_rate(clips, fps):
    """The clips at another number of frames a second.

    Where the old number is a multiple of the new one (to 0.1 %), frames are left out; else places are interpolated
    linearly in time, which leaves speeds even where the nearest frames would stutter.

    Args:
        clips (MocapClips): The clips.
        fps (float): Frames a second.
    """
    step = clips.fps / fps
    if abs(step / max(round(step), 1) - 1) < 1e-3:
        step = max(round(step), 1)
    counts = np.floor((clips.lengths - 1) / step + 1e-9).astype(int) + 1
    ends = np.cumsum(counts)
    inside = np.arange(ends[-1]) - np.repeat(ends - counts, counts)
    below = np.floor(inside * step + 1e-9).astype(int)
    share = np.maximum(inside * step - below, 0).astype(np.float32)
    first = np.repeat(clips.starts, counts)
    low, high = first + below, first + np.minimum(below + 1, np.repeat(clips.lengths, counts) - 1)

    def between(places):
        if not share.any():
            return places[low]
        weight = share.reshape(-1, *[1] * (places.ndim - 1))
        return places[low] * (1 - weight) + places[high] * weight

    return replace(
        clips,
        poses=between(clips.poses),
        root=between(clips.root),
        starts=ends - counts,
        lengths=counts,
        fps=float(fps),
    )


def load_mocap(files, toes=False, fps=None):
    """All clips of some files, together.

    Args:
        files (sequence): npz packs, BVH files, or (asf, amc) pairs.
        toes (bool): Whether to give :data:`TOES` too.
        fps (float, optional): Frames a second, see :func:`at_rate`. None takes packs as they are, and of other files
            every so many frames that there are about 30.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: a file of another kind or skeleton, or a pack without the toes that are asked for.
    """
    packs = [_read_one(file, toes, fps) for file in files]
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
