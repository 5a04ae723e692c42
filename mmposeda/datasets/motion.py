"""Motion capture without pictures: single poses and windows of motion for networks that learn what people do.

Legend: F frames of all clips, T frames of a window, J joints, N windows, B windows of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from mmengine.logging import print_log
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from torch.utils.data import Dataset

from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import JointMap, Skeleton, metainfo_path

from .annotations import AnnotationError
from .lifting_poses import SPAN
from .mocap import JOINT_NAMES, TOES, MocapClips, load_mocap
from .mocap_files import chosen_clips, motion_files

#: From the capture's axes (y up, a person at rest faces +z) to those of a camera in front: x right, y down, z ahead
FRONT = (1, -1, -1)


@DATASETS.register_module()
class MocapMotionDataset(Dataset):
    """Windows of motion capture, in memory once, given batch by batch.

    A window is ``frames`` consecutive frames of one clip. A batch is ``dict(inputs=dict(motion=(B, T, J, 3) float32),
    data_samples=dict(index=(B,) int64))``, in mm, each frame relative to the middle of its hips, in the axes of a level
    camera on the capture's +z side. Its loader has ``collate_fn=dict(type='take_batch')`` and needs no workers. Other
    views, mirroring and turning are made by the model.

    Args:
        files (str | Sequence): As of :class:`~mmposeda.datasets.cmu_mocap.CMUMocapDataset`.
        data_root (str): Folder of the files.
        skeleton (str): Joint set that the joints are mapped to by name. With toes (``nlrd17``) the files must have
            some: BVH files and (asf, amc) pairs do, most packs do not.
        frames (int): T; 1 for single poses.
        stride (int): Frames between the starts of windows of a clip.
        fps (float): Frames a second; files of others are brought to it, see :func:`~mmposeda.datasets.mocap.at_rate`.
        clips, subjects, actions (Sequence[str], optional): Names to keep; all by default.

    Attributes:
        metainfo (dict): Of the joints.
        skeleton (Skeleton): The joints.
        poses (Tensor): (F, J, 3) float32, of all clips that are long enough, one after another.
        starts (Tensor): (N,) int64, first frame of each window.
        clip (np.ndarray): (N,) int32, row of ``clip_names``.
        clip_names (list[str]): Names of the clips that are long enough.

    Raises:
        FileNotFoundError: a file is missing; says where the data is had.
        AnnotationError: places that are not finite, or people who do not span metres.
        ValueError: unknown names, joints that the files cannot give, no clip that is long enough, or wrong arguments.
    """

    def __init__(
        self,
        files: str | Sequence = ('cmu_h36m17_30fps.npz',),
        data_root: str = '',
        skeleton: str = 'nlrd15',
        frames: int = 1,
        stride: int = 1,
        fps: float = 30,
        clips: Sequence[str] | None = None,
        subjects: Sequence[str] | None = None,
        actions: Sequence[str] | None = None,
    ):
        for name, value in (('frames', frames), ('stride', stride)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f'MocapMotionDataset got {name}={value!r}, expected a whole number of at least 1')
        if not fps > 0:
            raise ValueError(f'MocapMotionDataset got fps={fps!r}, expected frames a second above 0')
        self.skeleton = Skeleton.from_metainfo(skeleton)
        self._metainfo = parse_pose_metainfo(dict(from_file=metainfo_path(skeleton)))
        self.frames, self.stride, self.fps = frames, stride, fps
        toes = any(self.skeleton.aliases.get(name, name) in TOES for name in self.skeleton.joint_names)
        joint_map = _map(toes, self.skeleton)
        motion = load_mocap(motion_files(files, data_root), toes, fps)
        chosen = chosen_clips('MocapMotionDataset', motion, clips, subjects, actions)
        self._cut(motion, chosen, joint_map)

    @property
    def metainfo(self) -> dict:
        """Copy of the meta information."""
        return deepcopy(self._metainfo)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitems__(self, indices: Sequence[int]) -> dict:
        index = torch.as_tensor(indices, dtype=torch.int64)
        frames = self.starts.index_select(0, index)[:, None] + torch.arange(self.frames)
        motion = self.poses.index_select(0, frames.flatten()).unflatten(0, frames.shape)  # (B, T, J, 3)
        return dict(inputs=dict(motion=motion), data_samples=dict(index=index))

    def __getitem__(self, index: int) -> dict:
        return self.__getitems__([range(len(self))[index]])  # IndexError beyond the end ends loops over it

    def _cut(self, motion: MocapClips, chosen: list[int], joint_map: JointMap) -> None:
        lengths = motion.lengths[chosen]
        kept = [clip for clip in chosen if motion.lengths[clip] >= self.frames]
        if not kept:
            raise ValueError(
                f'MocapMotionDataset: the longest of {len(chosen)} clips has {lengths.max()} frames at {self.fps:g} a '
                f'second, fewer than the frames={self.frames} of a window; add longer clips or take fewer frames'
            )
        if len(kept) < len(chosen):
            print_log(
                f'MocapMotionDataset: {len(chosen) - len(kept)} of {len(chosen)} clips are left out, as they are '
                f'shorter than a window of {self.frames} frames',
                logger='current',
            )
        parts, starts, count = [], [], 0
        for clip in kept:
            first, length = int(motion.starts[clip]), int(motion.lengths[clip])
            part = joint_map.apply(motion.poses[first : first + length].astype(np.float32)) * np.float32(FRONT)
            if not np.isfinite(part).all():
                raise AnnotationError(f'MocapMotionDataset: clip {motion.names[clip]} has joints that are no numbers')
            parts.append(part)
            starts.append(count + np.arange(0, length - self.frames + 1, self.stride))
            count += length
        poses = np.concatenate(parts)
        span = float(np.median((poses.max(1) - poses.min(1)).max(1)))
        if not SPAN[0] <= span / 1000 <= SPAN[1]:
            raise AnnotationError(
                f'MocapMotionDataset: people span {span:.4g} where millimetres are expected; are the files in another '
                'unit?'
            )
        self.poses, self.starts = torch.from_numpy(poses), torch.from_numpy(np.concatenate(starts))
        self.clip = np.repeat(np.arange(len(kept), dtype=np.int32), [len(s) for s in starts])
        self.clip_names = [motion.names[clip] for clip in kept]


def _map(toes: bool, skeleton: Skeleton) -> JointMap:
    """How the joints of a set are made from those of motion capture."""
    own = Skeleton.from_metainfo('h36m')
    assert own.joint_names == JOINT_NAMES
    if toes:
        places = [len(JOINT_NAMES) + n for n in range(len(TOES))]
        own = replace(
            own,
            joint_names=JOINT_NAMES + TOES,
            parents=(*own.parents, *own.index_all(toe.replace('toe', 'foot') for toe in TOES)),
            flip_indices=(*own.flip_indices, *reversed(places)),
            sigmas=(),
        )
    joint_map = own.map_to(skeleton)
    if not joint_map.mask.all():
        missing = [name for name, there in zip(skeleton.joint_names, joint_map.mask) if not there]
        raise ValueError(
            f'MocapMotionDataset: motion capture does not give {", ".join(missing)} of {skeleton.name!r}; choose '
            "another joint set with `skeleton`, such as 'nlrd15'"
        )
    return joint_map
