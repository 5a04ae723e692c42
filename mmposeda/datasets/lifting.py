"""Poses in 2D and 3D with their cameras: the base of all data sets for lifting.

Legend: N samples of one person each, J joints, B samples of a batch, C cameras. Poses are in metres in the camera's
frame (x right, y down, z forward), the root where it is. Screen coordinates are ``2 u / W - (1, H / W)`` of pixels u.
"""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.registry import FUNCTIONS
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from torch.utils.data import Dataset

from mmposeda.structures.lifting_camera import to_screen
from mmposeda.structures.skeleton import Skeleton, metainfo_path

from .lifting_cameras import project, screen_cameras, to_camera_param
from .lifting_poses import LiftingPoses
from .single import one_of
from .unlabeled import JOINT_SET_KEYS

__all__ = ['LiftingDataset', 'LiftingPoses', 'take_batch']


@FUNCTIONS.register_module()
def take_batch(batch: Any) -> Any:
    """Collate function for data sets that give whole batches: hands the batch through."""
    return batch


class LiftingDataset(Dataset):
    """2D and 3D poses in memory, one copy, given batch by batch; a subclass gives :meth:`read`.

    Without a pipeline a batch is taken at once (``__getitems__``, which torch's loaders ask for), so its loader has
    ``collate_fn=dict(type='take_batch')`` and needs no workers:
    ``dict(inputs=dict(keypoints, pose, camera, aspect), data_samples=dict(index, action, visible))`` with keypoints
    (B, J, 2) in screen coordinates, pose (B, J, 3) in metres, camera (B, 9) in screen units (see
    :mod:`~mmposeda.structures.lifting_camera`), aspect (B,) = H / W, index and action (B,) int64, visible (B, J) bool.

    With a pipeline a sample is what MMPose's mocap data sets give to theirs (keypoints in pixels, ``lifting_target``,
    ``camera_param``, ...), so that MMPose's codecs, ``PoseLifter`` and metrics work on it.

    Args:
        data_root (str): Folder of the files.
        joints (str, optional): Joint set that the poses are mapped to by name: a meta file of ours or MMPose's, or its
            path. None keeps the joints of the files.
        keypoints (str): 2D poses of the file (``file``; projected where it has none), or the ``projected`` 3D poses.
        stride (int): Take every stride-th frame of a sequence.
        subjects, actions (Sequence[str], optional): Names to keep; all by default.
        domain (str): ``source`` or ``target``, written on the samples of a pipeline.
        pipeline (list, optional): Transforms.
        test_mode (bool): Whether it is for evaluation; kept for MMEngine.

    Attributes:
        metainfo (dict): Of the joints, with ``action_names`` and ``subject_names``.
        skeleton (Skeleton): The joints.
        poses (np.ndarray): (N, J, 3) float32, metres.
        keypoints (np.ndarray): (N, J, 2) float32, pixels.
        visible (np.ndarray | None): (N, J) bool; None is all.
        camera, action, subject, frame (np.ndarray): (N,) int32, see :class:`LiftingPoses`.
        cameras (np.ndarray): (C, 11).
        absolute (bool): Whether the root is where it is; False if it is at the origin.
        projectable (bool): Whether it is, and all cameras are known.

    Raises:
        AnnotationError: the data is empty, not finite, in another unit, or its arrays do not fit together.
        ValueError: unknown names, or joints that the file cannot give; the message lists what is there.
    """

    HOW_TO_GET: str = ''

    def __init__(
        self,
        data_root: str = '',
        joints: str | None = 'body16_3d',
        keypoints: str = 'file',
        stride: int = 1,
        subjects: Sequence[str] | None = None,
        actions: Sequence[str] | None = None,
        domain: str = 'source',
        pipeline: Sequence | None = None,
        test_mode: bool = False,
    ):
        kind = type(self).__name__
        one_of(kind, 'keypoints', keypoints, ('file', 'projected'))
        one_of(kind, 'domain', domain, ('source', 'target'))
        if not isinstance(stride, int) or stride < 1:
            raise ValueError(f'{kind} got stride={stride!r}, expected a whole number of at least 1')
        self.data_root, self.domain, self.test_mode, self.stride = data_root, domain, test_mode, stride
        self.pipeline = Compose(pipeline) if pipeline else None
        self.subjects, self.actions = subjects, actions
        wanted = None if joints is None else Skeleton.from_metainfo(joints)  # an unknown name fails before the reading

        data = self.read()
        data.check(kind)
        self.skeleton = Skeleton.from_metainfo(data.joints) if wanted is None else wanted
        data = data.choose(kind, subjects, actions, stride)
        if keypoints == 'projected':
            data.keypoints = None
        self.projectable = data.absolute and bool(np.isfinite(data.cameras[np.unique(data.camera)]).all())
        if data.keypoints is None and not self.projectable:
            raise ValueError(f"{kind} cannot project the poses: its files lack cameras or the people's positions")
        data.map_joints(kind, self.skeleton)
        if data.keypoints is None:
            data.keypoints = project(data.poses, data.camera, data.cameras)
        self._keep(data)
        self._metainfo = dict(
            parse_pose_metainfo(dict(from_file=metainfo_path(joints or data.joints))),
            action_names=tuple(data.action_names),
            subject_names=tuple(data.subject_names),
        )

    def read(self) -> LiftingPoses:
        """All samples, in the joints of the file."""
        raise NotImplementedError

    @property
    def metainfo(self) -> dict:
        """Copy of the meta information."""
        return deepcopy(self._metainfo)

    def __len__(self) -> int:
        return len(self.poses)

    def __getitems__(self, indices: Sequence[int]) -> Any:
        if self.pipeline is not None:
            return [self[index] for index in indices]
        index = torch.as_tensor(indices, dtype=torch.int64)
        camera = self._tensors['camera'].index_select(0, index).long()
        points, pose, action = (self._tensors[key].index_select(0, index) for key in ('keypoints', 'pose', 'action'))
        size = self._size.index_select(0, camera)
        if self.visible is None:
            visible = torch.ones(points.shape[:2], dtype=torch.bool)
        else:
            visible = self._tensors['visible'].index_select(0, index)
        return dict(
            inputs=dict(
                keypoints=to_screen(points, size),
                pose=pose,
                camera=self._screen.index_select(0, camera),
                aspect=size[:, 1] / size[:, 0],
            ),
            data_samples=dict(index=index, action=action.long(), visible=visible),
        )

    def __getitem__(self, index: int) -> Any:
        index = range(len(self))[index]  # IndexError beyond the end ends loops over it
        if self.pipeline is None:
            return self.__getitems__([index])
        packed = self.pipeline(self.get_data_info(index))
        if isinstance(packed, dict) and hasattr(packed.get('data_samples'), 'set_metainfo'):
            packed['data_samples'].set_metainfo(dict(domain=self.domain))
        return packed

    def picture(self, index: int) -> str:
        """Name of the picture of a sample; where there is none, of the form of Human3.6M's."""
        return self.sequence_names[self.sequence[index]].format(int(self.frame[index]))

    def get_data_info(self, index: int) -> dict:
        """What MMPose's ``BaseMocapDataset`` gives to a pipeline, of one frame."""
        visible = np.ones(self.poses.shape[1]) if self.visible is None else self.visible[index]
        visible = visible.astype(np.float32)[None]
        points, pose = self.keypoints[index][None].copy(), self.poses[index][None].copy()
        low, high = points[0].min(0), points[0].max(0)
        name = self.picture(index)
        info = dict(
            num_keypoints=self.poses.shape[1],
            keypoints=points,
            keypoints_visible=visible,
            keypoints_3d=pose,
            keypoints_3d_visible=visible.copy(),
            lifting_target=pose.copy(),
            lifting_target_visible=visible.copy(),
            # MMPose's boxes: 1.2 times the hull, in units of 200 pixels
            scale=np.float32(1.2 * (high - low).max() / 200),
            center=((low + high) / 2)[None],
            factor=np.zeros(1, np.float32),
            id=index,
            img_ids=[index],
            category_id=1,
            iscrowd=0,
            img_paths=[name],
            target_img_path=np.array([name]),
            camera_param=to_camera_param(self.cameras[self.camera[index]]),
            subject=self._metainfo['subject_names'][self.subject[index]],
            action=self._metainfo['action_names'][self.action[index]],
        )
        return {**info, **{key: deepcopy(self._metainfo[key]) for key in JOINT_SET_KEYS}}

    def existing(self, path: str, what: str = 'file') -> str:
        """``path`` below ``data_root``, if there is such a file or folder.

        Raises:
            FileNotFoundError: there is none; says where the data is had.
        """
        path = osp.join(self.data_root, path)
        if not osp.exists(path):
            raise FileNotFoundError(f'{what} {path} does not exist. {self.HOW_TO_GET}')
        return path

    def _keep(self, data: LiftingPoses) -> None:
        self.poses = np.ascontiguousarray(data.poses, np.float32)
        self.keypoints = np.ascontiguousarray(data.keypoints, np.float32)
        self.visible = None if data.visible is None else np.ascontiguousarray(data.visible, bool)
        self.camera, self.cameras = data.camera.astype(np.int32), np.asarray(data.cameras, np.float32)
        self.action, self.subject = data.action.astype(np.int32), data.subject.astype(np.int32)
        self.frame, self.sequence = data.frame.astype(np.int32), data.sequence.astype(np.int32)
        self.sequence_names, self.absolute = list(data.sequence_names), data.absolute
        named = dict(pose=self.poses, keypoints=self.keypoints, camera=self.camera, action=self.action)
        if self.visible is not None:
            named['visible'] = self.visible
        self._tensors = {key: torch.from_numpy(array) for key, array in named.items()}  # of the same memory
        self._screen = screen_cameras(self.cameras)
        self._size = torch.from_numpy(self.cameras[:, 9:].copy())
