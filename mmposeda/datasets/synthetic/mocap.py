"""Motion capture as 17 joint positions, from npz packs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .rig import JOINT_SETS

JOINT_NAMES = tuple(name for name, _ in JOINT_SETS['h36m'])


@dataclass
class MocapClips:
    """Poses of many clips one after another.

    Attributes:
        poses (np.ndarray): (F, 17, 3) joint positions relative to the root, mm, y up, looking along +z.
        root (np.ndarray): (F, 3) position of the root in the capture's world, mm.
        starts, lengths (np.ndarray): (C,) frames of each clip.
        fps (float): Frames a second.
        weights (np.ndarray): (C,) chance of each clip.
    """

    poses: np.ndarray
    root: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    fps: float
    weights: np.ndarray

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
    """An npz pack (keys ``poses, clip_start, clip_len, fps, joint_names``; see the data folder's README).

    Raises:
        ValueError: keys or joints are not those of a pack.
    """
    with np.load(path) as data:
        missing = {'poses', 'clip_start', 'clip_len', 'fps', 'joint_names'} - set(data.files)
        if missing:
            raise ValueError(f'{path}: not a motion pack, missing {sorted(missing)}; it has {sorted(data.files)}')
        names = tuple(str(n) for n in data['joint_names'])
        if names != JOINT_NAMES:
            raise ValueError(f'{path}: joints {names}, expected {JOINT_NAMES}')
        action = data['action'] if 'action' in data.files else np.full(len(data['clip_len']), 'any')
        # as many poses from a rare action as from a common one, tempered by the square root
        count = {a: data['clip_len'][action == a].sum() for a in set(action)}
        weights = np.array([length / np.sqrt(count[a]) for a, length in zip(action, data['clip_len'])])
        root = data['root'] if 'root' in data.files else np.zeros((len(data['poses']), 3), np.float32)
        return MocapClips(data['poses'], root, data['clip_start'], data['clip_len'], float(data['fps']), weights)


def load_mocap(files):
    """All clips of some files, together.

    Args:
        files (sequence[str | Path]): npz packs.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: a file of another kind.
    """
    packs = []
    for file in files:
        file = Path(file)
        if not file.exists():
            raise FileNotFoundError(f'motion file {file} is not there')
        packs.append(read_pack(file))
    offsets = np.cumsum([0] + [len(p.poses) for p in packs[:-1]])
    return MocapClips(
        np.concatenate([p.poses for p in packs]),
        np.concatenate([p.root for p in packs]),
        np.concatenate([p.starts + o for p, o in zip(packs, offsets)]),
        np.concatenate([p.lengths for p in packs]),
        packs[0].fps,
        np.concatenate([p.weights for p in packs]),
    )
