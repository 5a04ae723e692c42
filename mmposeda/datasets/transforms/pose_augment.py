"""PoseAug's augmentation in the data pipeline of any lifter."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from functools import lru_cache

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log
from torch import Tensor

from mmposeda.registry import TRANSFORMS
from mmposeda.structures.bone_transfer import BoneTransfer
from mmposeda.structures.kinematics import axis_angle_to_matrix, rotate
from mmposeda.structures.lifting_camera import MIN_DEPTH, from_screen, in_view, project_h36m
from mmposeda.structures.skeleton import Skeleton

from ..lifting_cameras import from_camera_param, screen_cameras
from ..lifting_poses import SPAN
from .trained_augmentor import build_augmentor

#: Poses after which a share in the picture below ``FEW`` is warned of.
LOOKED_AT, FEW = 200, 0.1


@TRANSFORMS.register_module()
class PoseAugment(BaseTransform):
    """Edits the 3D pose of a sample as PoseAug does, and projects it anew with the sample's camera.

    A trained :class:`~mmposeda.models.networks.PoseAugmentor`, or a random one, turns and stretches bones, turns the
    person and places it elsewhere. Only a pose that lies in the picture with all its joints is taken; ``tries`` are
    made at once, and if none does, or the source itself has a joint behind the camera or not finite, the sample stays
    as it is. Put it first in the pipeline, before anything that mirrors or normalises.

    It works on what MMPose's ``BaseMocapDataset`` and our :class:`~mmposeda.datasets.lifting.LiftingDataset` give to a
    pipeline, for networks of one frame and of clips. All frames of a clip get one set of parameters (our choice): the
    augmentor edits the middle frame, and :class:`~mmposeda.structures.bone_transfer.BoneTransfer` carries its turns
    and lengths over to the others; then all are moved by one rigid motion, which puts the middle root where the
    augmentor says. So bones keep their lengths over time, and a motion its speed.

    If the data has joints that the augmentor lacks, as ``neck_base`` of Human3.6M's 17 with an augmentor of 16, they
    move rigidly with the bone that they lie on or hang from.

    What is drawn comes from torch's global generator, by one thread, so that the loaders of mmposeda's training loops
    resume exactly with any number of workers. A trained augmentor runs with its running statistics.

    Legend: T frames, K joints, L target frames (1 or T).

    Required keys: keypoints (T, K, 2), pixels; lifting_target (L, K, 3), metres in the camera's frame with the root
    where it is; camera_param with f, c, w, h and if it distorts k, p; and if L < T keypoints_3d (T, K, 3).

    Modified keys, where the pose is taken: keypoints, lifting_target and if there is one keypoints_3d, all float32;
    factor becomes 0, which has ``MotionBERTLabel`` compute it. Visibilities stay, and so does what describes the
    picture (paths, box).

    Args:
        augmentor (dict): Config of the augmentor, for a trained one as in its run.
        checkpoint (str, optional): Of a run of PoseAug, whose weights ``augmentor.*`` are taken. Nothing in it is run.
        joints (str | dict | Skeleton, optional): Joint set of the data. By default the augmentor's; and the augmentor's
            ``skeleton`` is by default this.
        prob (float): Share of the samples that are to be changed. At 0.5 a lifter sees as many as in PoseAug.
        tries (int): Poses that are made of a sample, of which the first that lies in the picture is taken. Of single
            frames eight take hardly more time than one.
        keep_root (bool): Leave the root where it is instead of placing it, for pictures cut out around people, in which
            other places are out of sight.
        min_depth (float): Metres; nearer to the camera's plane a joint counts as not seen.

    Raises:
        FileNotFoundError: No such checkpoint.
        UnsafeFileError: It holds more than data.
        ValueError: A number out of its range; a checkpoint that is damaged, without an augmentor, or with one of other
            joints or layers; joint sets that do not fit. For a sample: another number or order of joints, no camera, or
            poses that are relative to the root or not in metres.
    """

    def __init__(
        self,
        augmentor: Mapping,
        checkpoint: str | None = None,
        joints: str | Mapping | Skeleton | None = None,
        prob: float = 0.5,
        tries: int = 8,
        keep_root: bool = False,
        min_depth: float = MIN_DEPTH,
    ) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'prob={prob} is a probability and must be in [0, 1]')
        if not isinstance(tries, int) or tries < 1:
            raise ValueError(f'tries={tries!r} must be a whole number of at least 1')
        if not min_depth > 0:
            raise ValueError(f'min_depth={min_depth} is in metres before the camera and must be positive')
        self.prob, self.tries, self.keep_root, self.min_depth = prob, tries, keep_root, min_depth
        self.checkpoint = checkpoint
        if joints is not None and not isinstance(joints, Skeleton):
            joints = Skeleton.from_metainfo(joints)
        self.augmentor = build_augmentor(augmentor, checkpoint, joints)
        own = self.augmentor.tree.skeleton
        self.skeleton = joints or own
        self.transfer = BoneTransfer(own, self.skeleton)
        self._same_joints = own.same_joints(self.skeleton)
        self._tried = self._taken = 0

    @torch.inference_mode()
    def transform(self, results: dict) -> dict:
        """Change the pose, with probability ``prob``; ``results`` itself is left alone.

        Raises:
            ValueError: See the class.
        """
        if torch.rand(()) >= self.prob:
            return results
        poses, frames = self._poses(results)
        camera, size = self._camera(results)
        if not ((poses[..., 2] > self.min_depth).all() and poses.isfinite().all()):
            return results
        with _one_thread():
            edited = self._edited(poses, frames // 2)
            points = project_h36m(edited, camera)
            seen = in_view(edited, points, size[1] / size[0], self.min_depth).all(1)
            taken = int(seen.to(torch.uint8).argmax())
            pixels = from_screen(points[taken, :frames], size)
        self._count(bool(seen[taken]))
        if not seen[taken]:
            return results
        return self._replaced(results, edited[taken].clone().numpy(), pixels.numpy())

    def _edited(self, poses: Tensor, middle: int) -> Tensor:
        """Augmented poses (tries, F, K, 3) of poses (F, K, 3)."""
        source = poses[middle, self.transfer.picks]
        made = self.augmentor(source.expand(self.tries, -1, -1))
        if len(poses) == 1 and self._same_joints:
            edited = made.rt[:, None]
        else:
            moved = self.transfer(poses, middle, source, made.bl)
            root = poses[middle, self.transfer.tree.root]
            turn = axis_angle_to_matrix(made.axis_angle)[:, None]
            edited = rotate(turn, moved - root) + made.translation[:, None]
        if self.keep_root:
            edited = edited + (poses[middle, self.transfer.tree.root] - made.translation[:, None])
        return edited

    def _poses(self, results: Mapping) -> tuple[Tensor, int]:
        """Poses (T, K, 3) of all frames, and after them (T + L, K, 3) the targets where those are others; and T."""
        points, target = np.asarray(results['keypoints']), np.asarray(results['lifting_target'])
        frames, joints = len(points), self.skeleton.num_joints
        if points.shape != (frames, joints, 2) or target.shape[1:] != (joints, 3) or not frames:
            raise ValueError(
                f'PoseAugment takes keypoints (T, {joints}, 2) and lifting_target (1 or T, {joints}, 3) of joint set '
                f'{self.skeleton.name!r}, got {points.shape} and {target.shape}: name the joint set of the data in '
                '`joints`'
            )
        order = results.get('flip_indices')
        if order is not None and tuple(order) != self.skeleton.flip_indices:
            raise ValueError(
                f'the joints of this sample mirror as {tuple(order)}, those of {self.skeleton.name!r} as '
                f'{self.skeleton.flip_indices}: name the joint set of the data in `joints`'
            )
        if len(target) != frames:
            every = np.asarray(results.get('keypoints_3d', ()))
            if every.shape != (frames, joints, 3):
                raise ValueError(
                    f'PoseAugment needs 3D poses of all {frames} frames: keypoints_3d ({frames}, {joints}, 3), got '
                    f'{every.shape}'
                )
            target = np.concatenate([every, target])
        target = np.asarray(target, np.float32)
        if not np.abs(target[:, self.transfer.tree.root]).any():
            raise ValueError(
                'lifting_target is relative to the root, which lies at the origin: where people stand must be known to '
                'project them anew. Give absolute poses, and put PoseAugment before what subtracts the root'
            )
        span = float((target[frames // 2].max(0) - target[frames // 2].min(0)).max())
        if not SPAN[0] <= span <= SPAN[1] and np.isfinite(span):
            raise ValueError(f'the person in lifting_target spans {span:.4g} where metres are expected')
        return torch.tensor(target), frames

    def _camera(self, results: Mapping) -> tuple[Tensor, Tensor]:
        """Intrinsics (9,) in screen units, and size (2,) in pixels."""
        param = results.get('camera_param')
        if param is None:
            raise ValueError('PoseAugment projects poses with camera_param: give the data set its camera_param_file')
        if not isinstance(param, Mapping):  # people and their cameras are joined to one sample
            raise ValueError(
                f'PoseAugment takes one person a sample with a dict as camera_param, got {type(param).__name__}: set '
                "data_mode='topdown'"
            )
        try:
            row = from_camera_param(param)
        except KeyError as error:
            raise ValueError(
                f'PoseAugment projects poses with camera_param, which has no {error} but {sorted(map(str, param))}: '
                'give the data set a camera file with f, c, w and h in pixels'
            ) from None
        return _in_screen_units(row.tobytes())

    def _replaced(self, results: dict, poses: np.ndarray, points: np.ndarray) -> dict:
        results = copy(results)
        frames, targets = len(points), len(results['lifting_target'])
        results.update(keypoints=points, lifting_target=poses[-targets:])
        if 'keypoints_3d' in results:
            results['keypoints_3d'] = poses[:frames].copy()
        if 'factor' in results:
            results['factor'] = np.zeros_like(results['factor'])
        return results

    def _count(self, taken: bool) -> None:
        if self._tried < LOOKED_AT:
            self._tried += 1
            self._taken += taken
            if self._tried == LOOKED_AT and self._taken < FEW * LOOKED_AT:
                print_log(
                    f'PoseAugment: of {LOOKED_AT} poses only {self._taken} could be placed in the picture within '
                    f"{self.tries} tries; the others stay as they are. Fit the augmentor's range of places to the "
                    'cameras, set keep_root, or look whether w and h of camera_param are right',
                    logger='current',
                    level=logging.WARNING,
                )

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(augmentor={type(self.augmentor).__name__}, checkpoint={self.checkpoint!r}, '
            f'joints={self.skeleton.name!r}, prob={self.prob}, tries={self.tries}, keep_root={self.keep_root})'
        )


@lru_cache(maxsize=256)
def _in_screen_units(row: bytes) -> tuple[Tensor, Tensor]:
    camera = np.frombuffer(row)
    return screen_cameras(camera[None])[0], torch.tensor(camera[9:], dtype=torch.float32)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Several threads would round in another order, and small poses gain nothing by them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
