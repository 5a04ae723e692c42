"""Which files of motion capture a data set reads, and which of their clips."""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .lifting_poses import known
from .mocap import JOINT_NAMES, TOES, MocapClips

HOW_TO_GET = (
    "CMU's motion capture is free: http://mocap.cs.cmu.edu has ASF and AMC files (subjects/NN/NN.asf, NN_MM.amc), "
    'and there are BVH conversions; set data_root and `files` to them.'
)


def motion_files(files: str | Sequence, data_root: str = '') -> list:
    """Paths of motion files, as :func:`~mmposeda.datasets.mocap.load_mocap` takes them.

    Args:
        files (str | Sequence): Below ``data_root``: npz packs, BVH files, (asf, amc) pairs, or folders of them.
        data_root (str): Folder.

    Raises:
        FileNotFoundError: a file is missing; says where the data is had.
        ValueError: a folder without motion files, or nothing is named.
    """
    found = []
    for entry in [files] if isinstance(files, (str, Path)) else files:
        paths = [osp.join(data_root, path) for path in ([entry] if isinstance(entry, (str, Path)) else entry)]
        for path in paths:
            if not osp.exists(path):
                raise FileNotFoundError(f'motion file {path} does not exist. {HOW_TO_GET}')
        if len(paths) == 1 and osp.isdir(paths[0]):
            found += find_motion(paths[0])
        else:
            found.append(paths[0] if len(paths) == 1 else tuple(paths))
    if not found:
        raise ValueError(f'files={files!r} names no motion file. {HOW_TO_GET}')
    return found


def write_pack(path: str | Path, clips: MocapClips) -> None:
    """Write clips as an npz pack, which is read in a moment where thousands of text files take minutes.

    Args:
        path (str | Path): File to write.
        clips (MocapClips): As of :func:`~mmposeda.datasets.mocap.load_mocap`, with or without toes.
    """
    with open(path, 'wb') as file:  # savez would add an ending
        np.savez_compressed(
            file,
            poses=clips.poses.astype(np.float32),
            root=clips.root.astype(np.float32),
            clip_start=clips.starts,
            clip_len=clips.lengths,
            clip_id=np.array(clips.names),
            subject=np.array(clips.subjects),
            action=np.array(clips.actions),
            fps=clips.fps,
            joint_names=np.array((JOINT_NAMES + TOES)[: clips.poses.shape[1]]),
        )


def chosen_clips(
    owner: str,
    motion: MocapClips,
    clips: Sequence[str] | None = None,
    subjects: Sequence[str] | None = None,
    actions: Sequence[str] | None = None,
) -> list[int]:
    """Numbers of the clips with one of the names, subjects and actions that are asked for; None asks for all.

    Raises:
        ValueError: an unknown name, which lists those that are there, or no clip is left.
    """
    keep = np.ones(len(motion.names), bool)
    for what, names, wanted in (
        ('clips', motion.names, clips),
        ('subjects', motion.subjects, subjects),
        ('actions', motion.actions, actions),
    ):
        if wanted is not None:
            keep &= np.isin(names, known(owner, what, wanted, sorted(set(names))))
    if not keep.any():
        raise ValueError(f'{owner} has no clip of clips={clips}, subjects={subjects} and actions={actions} together')
    return np.flatnonzero(keep).tolist()


def find_motion(folder: str | Path) -> list:
    """Motion files of a folder and those below it, sorted: npz packs, BVH files, and (asf, amc) pairs.

    An AMC file's skeleton is the ASF file beside it that begins its name, as ``02.asf`` of ``02_01.amc``, or the only
    one there.

    Raises:
        ValueError: there is none, or an AMC file without a skeleton.
    """
    found = []
    for path in sorted(Path(folder).rglob('*')):
        kind = path.suffix.lower()
        if kind in ('.npz', '.bvh'):
            found.append(path)
        elif kind == '.amc':
            beside = sorted(p for p in path.parent.iterdir() if p.suffix.lower() == '.asf')
            named = [asf for asf in beside if path.stem.split('_')[0] == asf.stem] or beside
            if len(named) != 1:
                raise ValueError(f'{path}: no ASF file {path.stem.split("_")[0]}.asf beside it')
            found.append((named[0], path))
    if not found:
        raise ValueError(f'{folder}: no .npz, .bvh or .amc file in it')
    return found
