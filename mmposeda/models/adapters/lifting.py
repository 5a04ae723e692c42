"""What adapters of 2D-to-3D lifters share, and the baseline without augmentation."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn
from torch.nn import functional

from mmposeda.registry import MODELS
from mmposeda.structures.skeleton import Skeleton

from ..data_preprocessor import TensorDataPreprocessor
from ..lifting_head import check_lifter, lift
from ..parallel import update_part
from .base import DomainAdapter, without_sum


class LiftingAdapter(DomainAdapter):
    """Wraps MMPose's ``PoseLifter``; batches are whole tensors, not lists of samples.

    What the data sets of :mod:`mmposeda.datasets.lifting` give is trained and predicted without a loop over samples.
    MMPose's own samples still go to the wrapped estimator unchanged.

    Args:
        estimator (dict): A ``PoseLifter`` whose input is screen coordinates and whose output root-relative metres: one
            of our lifters with a ``LiftingHead``, or MMPose's ``TCN`` with a ``TemporalRegressionHead``.
        skeleton (str): Joint set.
        flip_test (bool): Average the predictions of a pose and of its mirror image (the paper does on MPI-INF-3DHP
            alone).
        kwargs: See :class:`DomainAdapter`.

    Raises:
        TypeError: Another estimator, or a codec of other units.
        ValueError: A lifter of another number of joints.
    """

    def __init__(self, estimator: dict, skeleton: str = 'body16_3d', flip_test: bool = False, **kwargs) -> None:
        super().__init__(estimator, **kwargs)
        self.skeleton, self.flip_test = Skeleton.from_metainfo(skeleton), flip_test
        check_lifter(self.student, self.skeleton.num_joints, type(self).__name__)
        self.root = self.skeleton.parents.index(-1)
        self.register_buffer('_flip', torch.tensor(self.skeleton.flip_indices), persistent=False)

    @staticmethod
    def _build_preprocessor(base: dict) -> nn.Module:
        return TensorDataPreprocessor(base)

    def lift(self, points: Tensor) -> Tensor:
        """Root-relative poses (B, J, 3) in metres of points (B, J, 2) in screen coordinates."""
        return lift(self.estimator, points)

    def relative(self, pose: Tensor) -> Tensor:
        """Poses (..., J, 3) with the root at the origin."""
        return pose - pose[..., self.root : self.root + 1, :]

    def forward(self, inputs, data_samples=None, mode: str = 'tensor'):
        """Predictions, or the lifter's output.

        Args:
            inputs (dict[str, Tensor] | Tensor): A batch of :class:`~mmposeda.datasets.lifting.LiftingDataset`, or what
                MMPose's samples are packed to.
            data_samples (dict[str, Tensor] | list, optional): Likewise.
            mode (str): 'predict' or 'tensor'.

        Returns:
            list[dict] | list | Tensor: To 'predict' on a batch of tensors, a list of one dict with ``pred_poses`` and
            ``poses`` (B, J, 3), root-relative metres, and the entries of ``data_samples``.
        """
        if not isinstance(inputs, Mapping):
            return self.estimator(inputs, data_samples, mode=mode)
        if mode == 'loss':
            raise RuntimeError(
                f'{type(self).__name__} makes its updates in train_step and has no single loss. For several processes '
                "set model_wrapper_cfg=dict(type='PartParallel')"
            )
        predicted = self._predict(inputs['keypoints'])
        if mode == 'tensor':
            return predicted
        return [dict(pred_poses=predicted, poses=self.relative(inputs['pose']), **data_samples)]

    def _predict(self, points: Tensor) -> Tensor:
        self._check(points)
        pose = self.relative(self.lift(points))
        if not self.flip_test:
            return pose
        mirror = points.new_tensor([-1.0, 1.0, 1.0])
        mirrored = self.relative(self.lift(points[:, self._flip] * mirror[:2]))
        return (pose + mirrored[:, self._flip] * mirror) / 2

    def _check(self, points: Tensor) -> None:
        if points.shape[1] != self.skeleton.num_joints:
            raise ValueError(
                f'{type(self).__name__} of skeleton {self.skeleton.name!r} takes {self.skeleton.num_joints} joints, '
                f"got {points.shape[1]}: set `joints='{self.skeleton.name}'` in the data set"
            )

    def lifter_loss(self, points: Tensor, pose: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean squared error of the lifted points (metres squared), over all elements (authors' code).

        Args:
            points (Tensor): (B, J, 2), screen coordinates.
            pose (Tensor): (B, J, 3), metres; its root is taken off.
            weights (Tensor, optional): Of each joint (B, J) or pose (B, 1); zero where all are.
        """
        error = functional.mse_loss(self.lift(points).float(), self.relative(pose), reduction='none')
        if weights is None:
            return error.mean()
        weights = weights.to(error).expand(error.shape[:2])
        return (error.mean(-1) * weights).sum() / weights.sum().clamp_min(1.0)

    def update_lifter(
        self,
        name: str,
        batch: tuple[Tensor, Tensor, Tensor | None],
        optim_wrapper: OptimWrapper,
        shares: dict[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """One update of the lifter by points, poses and weights; returns what to log, ``shares`` too."""
        with optim_wrapper.optim_context(self):
            total, logged = self.parse_losses({f'lift_loss_{name}': self.lifter_loss(*batch), **(shares or {})})
        update_part(optim_wrapper, total)
        return without_sum(logged)


def lifter_wrapper(optim_wrapper: OptimWrapper | OptimWrapperDict) -> OptimWrapper:
    """The optimiser of the lifter: the only one, or the one named ``student``."""
    return optim_wrapper['student'] if isinstance(optim_wrapper, OptimWrapperDict) else optim_wrapper


@MODELS.register_module()
class SupervisedLifter(LiftingAdapter):
    """A lifter trained on the source's pairs alone: the baseline of every augmentation.

    Args:
        estimator (dict): See :class:`LiftingAdapter`.
        kwargs: See :class:`LiftingAdapter`.
    """

    def train_step(self, data: dict, optim_wrapper: OptimWrapper | OptimWrapperDict) -> dict[str, Tensor]:
        """One update on one batch of pairs; those of a batch of several streams are its ``pairs``."""
        data = self.data_preprocessor(data, True)
        inputs, samples = (data[key].get('pairs', data[key]) for key in ('inputs', 'data_samples'))
        self._check(inputs['keypoints'])
        batch = inputs['keypoints'], inputs['pose'], samples.get('visible')
        return self.update_lifter('real', batch, lifter_wrapper(optim_wrapper))
