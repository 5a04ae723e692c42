"""Lifters in MMPose: the head of ``PoseLifter``, and any such estimator as a function of points."""

from __future__ import annotations

import torch
from mmpose.codecs import VideoPoseLifting
from mmpose.models.heads.base_head import BaseHead
from torch import Tensor, nn

from mmposeda.registry import KEYPOINT_CODECS, MODELS

from .networks.lifters.base import insert_root

MILLIMETRES = 1000


@MODELS.register_module()
class LiftingHead(BaseHead):
    """Loss and decoding of a lifter that is the ``backbone`` of MMPose's ``PoseLifter``; it has no weights.

    For lifters that end in poses. MMPose's own networks end in features and have heads with weights.

    Args:
        loss (dict, optional): Config of an MMPose loss on (B, J, 3), which gets the weights (B, J, 1) of the joints,
            for ``use_target_weight=True``. None: ``MSELoss`` over all elements, PoseAug's.
        decoder (dict, optional): Config of the codec, ``ScreenPoseLifting``; needed to predict.
        init_cfg (dict, optional): Initialisation of MMEngine's.

    Raises:
        ValueError: A codec that removes the root, which these lifters give.
    """

    def __init__(self, loss: dict | None = None, decoder: dict | None = None, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.loss_module = MODELS.build(loss or dict(type='MSELoss'))
        self.decoder = None if decoder is None else KEYPOINT_CODECS.build(decoder)
        if getattr(self.decoder, 'remove_root', False):
            raise ValueError('LiftingHead takes poses with their root: set remove_root=False in the codec')

    def forward(self, feats: Tensor | tuple[Tensor, ...]) -> Tensor:
        """The lifter's poses (B, J, 3) themselves, metres, relative to the root.

        Raises:
            ValueError: The backbone gives anything else.
        """
        poses = feats[-1] if isinstance(feats, tuple) else feats
        if poses.ndim != 3 or poses.shape[2] != 3:
            raise ValueError(
                f'LiftingHead takes poses (B, J, 3), got {tuple(poses.shape)} of the backbone: take a lifter, such as '
                "dict(type='VideoPoseLifter'), or for features MMPose's TemporalRegressionHead"
            )
        return poses

    def loss(self, feats: Tensor | tuple[Tensor, ...], batch_data_samples: list, train_cfg: dict | None = None) -> dict:
        """Losses of a batch: ``loss_pose3d``, and ``mpjpe``, the mean error of the visible joints in millimetres.

        Args:
            feats (Tensor): Poses (B, J, 3).
            batch_data_samples (list): Samples with ``lifting_target_label`` (1, J, 3) and ``lifting_target_weight``.
            train_cfg (dict, optional): Not used.
        """
        poses, labels = self.forward(feats), [sample.gt_instance_labels for sample in batch_data_samples]
        target = torch.cat([label.lifting_target_label for label in labels])
        weight = torch.cat([label.lifting_target_weight for label in labels]).view(target.shape[:2])
        error = torch.linalg.vector_norm(poses.detach() - target, dim=2)
        error = torch.where(weight > 0, error, 0).sum() / (weight > 0).sum().clamp(min=1)
        return dict(loss_pose3d=self.loss_module(poses, target, weight[..., None]), mpjpe=MILLIMETRES * error)

    def predict(
        self, feats: Tensor | tuple[Tensor, ...], batch_data_samples: list, test_cfg: dict | None = None
    ) -> list:
        """Decoded poses, ``keypoints`` (1, J, 3) in metres with scores (1, J) of 1.

        Args:
            feats (Tensor): Poses (B, J, 3).
            batch_data_samples (list): Samples; where their meta information has ``target_root`` (1, 3), poses are put
                there, else they stay relative to the root.
            test_cfg (dict, optional): Not used.
        """
        poses = self.forward(feats)
        roots = [sample.metainfo.get('target_root') for sample in batch_data_samples]
        if any(root is None for root in roots):
            return self.decode((poses,))
        return self.decode((poses, torch.stack([torch.as_tensor(root).view(1, 3) for root in roots])))


def lift(estimator: nn.Module, points: Tensor) -> Tensor:
    """Poses of points by any ``PoseLifter`` of MMPose that a codec in screen units serves, without samples.

    Args:
        estimator (nn.Module): A ``PoseLifter``: a lifter with :class:`LiftingHead`, or MMPose's ``TCN`` with
            ``TemporalRegressionHead``; see :func:`check_lifter`.
        points (Tensor): (B, J, 2), screen units, on the estimator's device.

    Returns:
        Tensor: (B, J, 3), metres, relative to the root. A head that leaves the root out, as its codec's ``remove_root``
        says, has it put back as 0.
    """
    poses = estimator(points.reshape(len(points), -1, 1), None, mode='tensor')
    if isinstance(poses, tuple):  # with a head for the trajectory
        poses = poses[0]
    codec = getattr(estimator.head, 'decoder', None)
    return insert_root(poses, codec.root_index[0]) if getattr(codec, 'remove_root', False) else poses


@torch.no_grad()
def check_lifter(estimator: nn.Module, num_joints: int, needed_by: str) -> None:
    """Make sure that :func:`lift` serves an estimator, by its codec and one pass of two empty poses.

    Raises:
        TypeError: No ``PoseLifter``, or a codec of other units.
        ValueError: Points or poses of another number of joints or frames.
    """
    head = getattr(estimator, 'head', None)
    if not hasattr(estimator, 'backbone') or head is None:
        raise TypeError(f"{needed_by} lifts with an estimator of MMPose's PoseLifter, got {type(estimator).__name__}")
    codec = getattr(head, 'decoder', None)
    screen = isinstance(codec, VideoPoseLifting) and codec.zero_center
    if codec is not None and not (screen and codec.reshape_keypoints and not codec.concat_vis):
        raise TypeError(
            f'{needed_by} gives points in screen units and takes poses in metres relative to the root, which the codec '
            f'{type(codec).__name__} of the head does not mean: give the head ScreenPoseLifting, or VideoPoseLifting '
            'with zero_center and reshape_keypoints and without concat_vis'
        )
    parameter, was_training = next(estimator.parameters()), estimator.training
    estimator.eval()
    try:
        shape = tuple(lift(estimator, parameter.new_zeros(2, num_joints, 2)).shape)
    except (RuntimeError, ValueError, AssertionError) as error:
        raise ValueError(
            f'{needed_by} has poses of {num_joints} joints in single frames, which the lifter does not take ({error}): '
            f'give it as many joints (in_channels={2 * num_joints}) and kernels of one frame'
        ) from error
    finally:
        estimator.train(was_training)
    if shape != (2, num_joints, 3):
        raise ValueError(
            f'{needed_by} has poses of {num_joints} joints, but the head gives {shape[1:]} for each: set its '
            f'num_joints to {num_joints}, or to {num_joints - 1} with remove_root=True in its codec'
        )
