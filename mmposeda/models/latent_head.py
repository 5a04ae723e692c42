"""Head that turns a feature map into a latent of a learnt space of poses, and this into a pose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.structures import InstanceData
from mmpose.models.heads.base_head import BaseHead
from torch import Tensor, nn

from mmposeda.registry import MODELS

from .networks.mlp import bounded, he_init, mlp
from .networks.pose_aae import PoseAAE

#: Share of a crop that the picture of a pose fills.
_FILLED = 0.8
#: Size of the last layer's first weights, as a share of those that keep the size of activations (our choice).
_START = 0.1


@MODELS.register_module()
class LatentPoseHead(BaseHead):
    """Convolutions and linear layers from a backbone's last map to a latent, which a frozen :class:`PoseAAE` decodes.

    Three 3x3 convolutions, the first of stride 2, and four blocks of two linear layers, with ReLUs; one more linear
    layer and ``s tanh(a / s)`` give the latent. Every latent is a body with canonical bone lengths; gradients pass the
    decoder, whose weights never change.

    Source: non-local relation distillation (Kundu et al., NeurIPS 2021) with the widths of the authors' code, which has
    a fourth convolution to 64 channels. There the backbone is a ResNet-50 up to its third stage: 1024 channels and
    14 x 14 cells of a picture of 224 x 224 pixels.

    Predictions are ``keypoints_3d``: metres from the root in the camera's axes, with the mean bone lengths of the
    labels in training, which the head keeps as buffers, both sides alike (our choice: the authors' code takes each
    person's own, which a new picture does not tell). A bone that no label has, such as that of the toes, has its
    canonical length at the mean scale of the others. ``keypoints`` are for drawing alone: without a camera the pose has
    no place in the picture, so that its view along the optical axis is put into the middle of the crop, filling 0.8 of
    it. They are no estimate of where joints are, and no 2D metric says anything about them.

    Legend: B pictures, J joints, L latent numbers.

    Args:
        in_channels (int): Channels of the backbone's last map.
        pose (dict): A :class:`~mmposeda.models.networks.PoseAAE`, with ``init_cfg=dict(type='Pretrained', ...)`` to
            load what an earlier stage has trained.
        grid (tuple[int, int]): Cells (h, w) of that map.
        conv_channels (Sequence[int]): Outputs of the convolutions.
        fc_channels (Sequence[int]): Widths of the blocks.
        loss_weight (float): Factor of ``loss_pose``.
        latent_weight (float): Factor of ``loss_latent``, the mean absolute distance of a latent and that of the true
            pose, ``|G(x) - E_p(y)|``. The paper has none: there a space trained for long has one latent a pose. In one
            trained for minutes many latents decode to nearly the same pose, and without this term pictures land where
            no pose of motion capture is, and no relation network has been.
        init_cfg (dict, optional): Initialisation of MMEngine's.

    Raises:
        TypeError: ``pose`` is no PoseAAE.
        ValueError: No convolution or no block, or widths below 1.
    """

    def __init__(
        self,
        in_channels: int,
        pose: dict,
        grid: tuple[int, int] = (14, 14),
        conv_channels: Sequence[int] = (512, 256, 128),
        fc_channels: Sequence[int] = (1024, 512, 256, 128),
        loss_weight: float = 1.0,
        latent_weight: float = 0.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not conv_channels or not fc_channels or min(in_channels, *conv_channels, *fc_channels, *grid) < 1:
            raise ValueError(
                'in_channels, grid, conv_channels and fc_channels must be from 1 on, of one layer at least, got '
                f'{in_channels}, {grid}, {conv_channels}, {fc_channels}'
            )
        self.pose = MODELS.build(pose)
        if not isinstance(self.pose, PoseAAE):
            raise TypeError(f'pose must be a PoseAAE, got {type(self.pose).__name__}')
        self.pose.requires_grad_(False).eval()
        self.in_channels, self.grid = in_channels, tuple(grid)
        self.loss_weight, self.latent_weight = loss_weight, latent_weight
        self.decoder = None  # MMPose's name for a codec: labels are poses, and need none
        layers: list[nn.Module] = []
        for number, (inputs, outputs) in enumerate(zip((in_channels, *conv_channels), conv_channels)):
            layers += [he_init(nn.Conv2d(inputs, outputs, 3, 1 if number else 2, 1), 0.0), nn.ReLU()]
        self.convs = nn.Sequential(*layers, nn.Flatten())
        height, width = ((n + 1) // 2 for n in self.grid)
        blocks = [channels for channels in fc_channels for _ in range(2)]
        linear = mlp((conv_channels[-1] * height * width, *blocks, self.pose.latent))
        self.first, self.rest = linear[:2], nn.Sequential(*linear[2:])
        self.rest[-1].weight.data *= _START  # in the middle of the latents, however large a backbone's features are
        skeleton = self.pose.kinematics.skeleton
        parents = [joint if parent == -1 else parent for joint, parent in enumerate(skeleton.parents)]
        self.register_buffer('_parents', torch.tensor(parents), persistent=False)
        self.register_buffer('_flips', torch.tensor(skeleton.flip_indices), persistent=False)
        self.register_buffer('_ways', _ways(skeleton.parents), persistent=False)
        # mean length of each bone over the labels seen, mm, by the joint that it ends in, and how many they were
        self.register_buffer('bone_length', torch.zeros(skeleton.num_joints))
        self.register_buffer('bones', torch.zeros(skeleton.num_joints))

    def train(self, mode: bool = True) -> LatentPoseHead:
        """Training or evaluation; the pose auto-encoder stays in evaluation."""
        super().train(mode)
        self.pose.eval()
        return self

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Latents (B, L) in [-s, s] of the map (B, C, h, w), the last entry of ``feats``."""
        return self.features(feats)[1]

    def features(self, feats: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """What the first linear layer and its ReLU give (B, 1024), for contrastive heads, and latents (B, L).

        Raises:
            ValueError: A map of other channels or cells.
        """
        x = feats[-1]
        if x.shape[1:] != (self.in_channels, *self.grid):
            raise ValueError(
                f'this head takes maps of {self.in_channels} channels and grid={self.grid}, got {tuple(x.shape[1:])}: '
                'set in_channels and grid to what the backbone gives of pictures of this size'
            )
        first = self.first(self.convs(x))
        return first, bounded(self.rest(first), self.pose.scale)

    def labels(self, data_samples: list) -> tuple[Tensor, Tensor]:
        """Poses (B, J, 3), mm from the root and 0 where not known, and which joints are known (B, J) as bool.

        Raises:
            ValueError: Labels of another joint set.
        """
        labels = [sample.gt_instance_labels for sample in data_samples]
        pose, weights = (torch.cat([x[key] for x in labels]) for key in ('root_pose', 'root_pose_weights'))
        skeleton = self.pose.kinematics.skeleton
        if pose.shape[1] != skeleton.num_joints:
            raise ValueError(
                f'labels of {pose.shape[1]} joints for a head of the {skeleton.num_joints} of {skeleton.name!r}: give '
                'the data sets its joint set'
            )
        known = weights > 0
        return torch.where(known[..., None], pose, 0), known

    def loss(self, feats: Sequence[Tensor], batch_data_samples: list, train_cfg: dict | None = None) -> dict:
        """``loss_pose``: mean absolute error in canonical units, over the coordinates of joints that are known.

        The labels are given canonical bone lengths, or differences of size would be a floor. A joint then lies at the
        end of all bones from the root, so it counts where all of these are known. With a ``latent_weight`` also
        ``loss_latent``, over pictures whose joints are all known.
        """
        pose, known = self.labels(batch_data_samples)
        kinematics = self.pose.kinematics
        if self.training:
            self._count(kinematics.bone_lengths(pose), known)
        z = self(feats)
        error = (self.pose.pose(z) - kinematics.canonical(pose)).abs().mean(-1)
        reached = ~(~known[:, None] & self._ways).any(-1)
        losses = dict(loss_pose=self.loss_weight * (error * reached).sum() / reached.sum().clamp_min(1))
        if self.latent_weight:
            whole = known.all(1)
            off = (z - self.pose.encode(pose)).abs().mean(-1)
            losses['loss_latent'] = self.latent_weight * (off * whole).sum() / whole.sum().clamp_min(1)
        return losses

    @torch.no_grad()
    def _count(self, lengths: Tensor, known: Tensor) -> None:
        both = known & known[:, self._parents]
        self.bones += both.sum(0)
        off = torch.where(both, lengths - self.bone_length, 0).sum(0)
        self.bone_length += off / self.bones.clamp_min(1)

    def template(self) -> Tensor:
        """Bone lengths of predictions (J,), mm, by the joint that they end in, 0 at the root.

        Raises:
            ValueError: The head has seen no labels, and so does not know how long bones are.
        """
        canonical, number = self.pose.kinematics.lengths, self.bones + self.bones[self._flips]
        seen = (number > 0) & (canonical > 0)
        if not bool(seen.any()):
            raise ValueError(
                'the head has trained on no 3D labels: poses in metres need the lengths of bones. Load a trained '
                f'checkpoint; train on 3D labels of {self.pose.kinematics.skeleton.name!r}'
            )
        total = self.bone_length * self.bones
        mean = (total + total[self._flips]) / number.clamp_min(1)
        scale = mean[seen].sum() / canonical[seen].sum()
        return torch.where(seen, mean, scale * canonical)

    @torch.no_grad()
    def predict(self, feats: Sequence, batch_data_samples: list, test_cfg: dict | None = None) -> list:
        """``keypoints_3d`` (1, J, 3), metres; ``keypoints`` (1, J, 2), pixels of the input, to draw; scores of 1.

        With ``flip_test`` in ``test_cfg`` ``feats`` are a pair, of the picture and its mirror image; the mean pose gets
        the template's bone lengths.

        Raises:
            ValueError: The head has seen no labels.
        """
        template = self.template()
        if (test_cfg or {}).get('flip_test'):
            poses, mirrored = (self.pose.pose(self(x)) for x in feats)
            poses = (poses + mirrored[:, self._flips] * poses.new_tensor([-1.0, 1, 1])) / 2
        else:
            poses = self.pose.pose(self(feats))
        poses = self.pose.kinematics.canonical(poses, template) / 1000
        sizes = np.array([sample.metainfo['input_size'] for sample in batch_data_samples], np.float32)
        poses = poses.float().cpu().numpy()
        points = _middle_of_crop(poses[..., :2], sizes)
        return [
            InstanceData(keypoints=xy[None], keypoint_scores=np.ones((1, len(xy)), np.float32), keypoints_3d=pose[None])
            for xy, pose in zip(points, poses)
        ]


def _ways(parents: Sequence[int]) -> Tensor:
    """(J, J) bool, True where the second joint is on the way from the root to the first, both included."""
    ways = torch.eye(len(parents), dtype=torch.bool)
    for joint, parent in enumerate(parents):
        while parent != -1:
            ways[joint, parent] = True
            parent = parents[parent]
    return ways


def _middle_of_crop(points: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Points (B, J, 2) in any unit put into the middle of crops of ``sizes`` (B, 2) pixels (w, h), in pixels."""
    low, high = points.min(1), points.max(1)
    scale = (_FILLED * sizes / np.maximum(high - low, np.finfo(np.float32).eps)).min(1)
    return (points - (low + high)[:, None] / 2) * scale[:, None, None] + (sizes[:, None] - 1) / 2
