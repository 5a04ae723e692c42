"""Depth maps beside an estimator's heatmaps, and poses in two and a half dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmposeda.registry import MODELS
from mmposeda.structures.keypoint_grid import expected_cells, soft_argmax_weights
from mmposeda.structures.kinematics import at_least_float32
from mmposeda.structures.skeleton import Skeleton

#: A joint by its name, or several whose middle it is.
Joint = Union[str, Sequence[str]]


class DecoderTap:
    """Keeps what goes into and comes out of the last layer of an estimator's head, while it is entered.

    The head of any MMPose estimator that makes heatmaps by a ``final_layer`` serves. With it one pass gives the
    estimator's own losses and the decoder's features::

        with DecoderTap(estimator) as tap:
            losses = estimator.loss(images, data_samples)
        joints = depth_branch(*tap.passes[-1])

    Args:
        estimator (nn.Module): With a ``head``.

    Attributes:
        passes (list): Of each pass features (B, D, H, W), with their graph, and heatmaps (B, K, H, W).
        channels (int): D.

    Raises:
        TypeError: The head has no final convolution.
    """

    def __init__(self, estimator: nn.Module) -> None:
        head = getattr(estimator, 'head', None)
        self.layer = getattr(head, 'final_layer', None)
        self.channels = getattr(self.layer, 'in_channels', None)
        if self.channels is None:
            raise TypeError(
                'depth is read off the features before the last convolution of a heatmap head, head.final_layer; '
                f'got {type(head).__name__} with {type(self.layer).__name__} there. Give the estimator a HeatmapHead '
                'with a final_layer, or leave out what needs depth.'
            )
        self.passes: list[tuple[Tensor, Tensor]] = []
        self._handle = None

    @property
    def features(self) -> Tensor:
        """Features of the last pass."""
        return self.passes[-1][0]

    def __enter__(self) -> DecoderTap:
        self._handle = self.layer.register_forward_hook(self._keep)
        return self

    def __exit__(self, *args) -> None:
        self._handle.remove()

    def _keep(self, layer: nn.Module, inputs: tuple, output: Tensor) -> None:
        self.passes.append((inputs[0], output))


@MODELS.register_module()
class DepthBranch(BaseModule):
    """A 1x1 convolution to a depth map a joint, read where the heatmap says that the joint is.

    The geometric reconstruction (Lin et al., NeurIPS 2023) has a 3D branch of which no details are known; all here is
    our choice. A joint is (u, v, z): u and v from the soft argmax of its heatmap, z the mean of its depth map under the
    same weights, all in pixels of the network's input, so that no camera is needed. Depth maps hold depths as a share
    of half the input's width.

    Legend: B pictures, K joints, D channels, heatmaps of (W, H) cells.

    Args:
        skeleton (str | Skeleton): Joint set, or the name of its meta file.
        root (str | Sequence[str]): The joint that relative poses start from, or several whose middle does:
            'middle_finger1' for hands, 'pelvis' for bodies.
        reference (tuple): Two joints, each as ``root``, whose distance relative poses have for their unit:
            ('wrist', 'middle_finger1') for hands, ('pelvis', 'thorax') for bodies.
        in_channels (int): D, of the features before the head's last layer (:attr:`DecoderTap.channels`).
        scale_factor (tuple[float, float]): Input pixels a heatmap cell, along x and y.
        temperature (float): Of :func:`~mmposeda.structures.keypoint_grid.soft_argmax`, as is the next.
        radius (float, optional): Cells.
        min_reference (float): Smallest distance that relative poses are divided by, pixels: a pose folded to a point
            must not become infinite.

    Raises:
        KeyError: A joint that the joint set lacks.
        ValueError: A reference of one place, or a size that is not positive.
    """

    def __init__(
        self,
        skeleton: str | Skeleton,
        root: Joint,
        reference: tuple[Joint, Joint],
        in_channels: int = 256,
        scale_factor: tuple[float, float] = (4.0, 4.0),
        temperature: float = 0.05,
        radius: float | None = None,
        min_reference: float = 4.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or dict(type='Normal', layer='Conv2d', std=0.001))
        if not isinstance(skeleton, Skeleton):
            skeleton = Skeleton.from_metainfo(skeleton)
        if isinstance(reference, str) or len(reference) != 2:
            raise ValueError(f'reference must be two joints, got {reference!r}')
        if min(temperature, min_reference, *scale_factor) <= 0:
            raise ValueError(
                'temperature, min_reference and scale_factor must be positive, got '
                f'{temperature}, {min_reference} and {tuple(scale_factor)}'
            )
        self.skeleton, self.num_joints = skeleton, skeleton.num_joints
        start, end = (_mean_of(skeleton, joint) for joint in reference)
        if torch.equal(start, end):
            raise ValueError(f'reference {tuple(reference)} is one place of {skeleton.name!r} and has no length')
        self.temperature, self.radius, self.min_reference = temperature, radius, min_reference
        self.register_buffer('_root', _mean_of(skeleton, root), persistent=False)
        self.register_buffer('_reference', end - start, persistent=False)
        self.register_buffer('_scale', torch.tensor([float(s) for s in scale_factor]), persistent=False)
        self.depth = nn.Conv2d(in_channels, self.num_joints, 1)

    def forward(self, features: Tensor, heatmaps: Tensor) -> Tensor:
        """Joints (u, v, z), pixels of the network's input, (B, K, 3); the origin of depth has no meaning.

        Args:
            features (Tensor): (B, D, H, W).
            heatmaps (Tensor): (B, K, H, W).

        Raises:
            ValueError: Heatmaps of another joint set.
        """
        if heatmaps.shape[1] != self.num_joints:
            raise ValueError(
                f'{heatmaps.shape[1]} heatmaps for the {self.num_joints} joints of {self.skeleton.name!r}: '
                "name the estimator's own joint set as skeleton"
            )
        weights = soft_argmax_weights(heatmaps, self.temperature, self.radius)
        half_width = heatmaps.shape[3] * self._scale[:1] / 2
        depth = (weights * self.depth(features)).sum((-2, -1))[..., None] * half_width
        return torch.cat([expected_cells(weights) * self._scale, depth], -1)

    def anchored(self, known: Tensor) -> Tensor:
        """Whether poses whose joints are known, boolean (B, K), have a root and a reference: (B, 1)."""
        anchors = (self._root != 0) | (self._reference != 0)
        return (known | ~anchors).all(1, keepdim=True)

    def relative(self, joints: Tensor) -> Tensor:
        """Poses from the root, in lengths of the reference.

        Args:
            joints (Tensor): (B, K, 3), pixels of the network's input along all axes. Labels in camera space come to
                them by ``depth * focal_length / root_depth``.

        Returns:
            Tensor: (B, K, 3).
        """
        joints = at_least_float32(joints)
        centred = joints - (self._root[:, None] * joints).sum(1, keepdim=True)
        length = torch.linalg.vector_norm((self._reference[:, None] * joints).sum(1), dim=-1)
        return centred / length.clamp_min(self.min_reference)[:, None, None]


def transform_joints(joints: Tensor, matrix: Tensor) -> Tensor:
    """Turn and stretch poses (u, v, z) with their picture.

    The picture's plane moves by the linear part of the matrix, and depth by the square root of its area factor, so that
    for a similarity the pose keeps its shape. A shear is undone in the plane alone.

    Args:
        joints (Tensor): (B, K, 3), relative to a root.
        matrix (Tensor): (B, 3, 3), see :mod:`~mmposeda.structures.warp`.

    Returns:
        Tensor: (B, K, 3).
    """
    joints, linear = at_least_float32(joints), at_least_float32(matrix)[:, None, :2, :2]
    plane = (linear * joints[..., None, :2]).sum(-1)
    area = linear[..., 0, 0] * linear[..., 1, 1] - linear[..., 0, 1] * linear[..., 1, 0]
    return torch.cat([plane, joints[..., 2:] * area.abs().sqrt()[..., None]], -1)


def joint_distance(joints: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """``sum of weight * |joint - target|_1 / (B K)``, a scalar.

    Args:
        joints (Tensor): (B, K, 3).
        target (Tensor): (B, K, 3); it gets no gradient, and where it has no weight it may hold anything.
        weights (Tensor): (B, K), not negative, or boolean.

    Raises:
        ValueError: The shapes do not fit.
    """
    if joints.shape != target.shape or weights.shape != joints.shape[:2]:
        raise ValueError(
            f'joints and target must be of one shape (B, K, 3) and weights (B, K), got {tuple(joints.shape)}, '
            f'{tuple(target.shape)} and {tuple(weights.shape)}'
        )
    counts = weights > 0
    target = torch.where(counts[..., None], target.detach(), joints.detach())
    distance = (at_least_float32(joints) - target).abs().sum(-1)
    return torch.where(counts, distance * weights, torch.zeros_like(distance)).mean()


def _mean_of(skeleton: Skeleton, joint: Joint) -> Tensor:
    """Weights (K,) that take the mean of the named joints."""
    names = [joint] if isinstance(joint, str) else list(joint)
    weights = torch.zeros(skeleton.num_joints)
    for name in names:
        weights[skeleton.index(name)] += 1 / len(names)
    return weights
