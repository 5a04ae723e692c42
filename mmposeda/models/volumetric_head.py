"""Head that turns a feature vector into volumetric heatmaps and these into a pose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.structures import InstanceData
from mmpose.models.heads.base_head import BaseHead
from torch import Tensor, nn

from mmposeda.registry import KEYPOINT_CODECS, MODELS
from mmposeda.structures.skeleton import Skeleton
from mmposeda.structures.volume import metric_pose, soft_argmax_3d

from .networks.feature_neck import MODES, cell_channels


@MODELS.register_module()
class VolumetricIntegralHead(BaseHead):
    """Deconvolutions to a volume a joint, and the expected place in it (integral regression).

    It takes the vector of :class:`~mmposeda.models.networks.FeatureNeck`, 'spatial' ones as a map of ``grid`` cells,
    'pooled' ones through a linear layer to such a map. Each deconvolution (4 x 4, stride 2, batch normalisation, ReLU)
    doubles the map; a 1x1 convolution gives ``K D`` channels.

    Sources: Zhang et al., ICCV 2021 (three deconvolutions of 256 channels, volumetric heatmaps); Sun et al., ECCV 2018
    (expectation, l1 loss on it).

    Predictions are the joints in the picture, as of any MMPose estimator, and ``keypoints_3d``: metres from the root in
    the camera's axes. They come without a camera, by the mean size of the bodies in training
    (:func:`~mmposeda.structures.volume.metric_pose`), which the head keeps as a buffer. That is our choice: with a
    camera and the true depth of the root errors would be smaller, but a new picture has neither.

    Legend: B pictures, d features, K joints, volumes of (W, H, D) bins.

    Args:
        dim (int): d.
        skeleton (str): Joint set, the name of its meta file.
        root (str | Sequence[str]): The root of 3D poses, or joints whose middle it is: as in ``RelativeDepth``.
        decoder (dict): A ``VolumePose3D``.
        grid (tuple[int, int]): Cells (h, w) of the map.
        mode (str): The neck's.
        deconv_channels (Sequence[int]): Outputs of the deconvolutions.
        loss_weight (float): Factor of the loss.
        init_cfg (dict, optional): Initialisation of MMEngine's.

    Raises:
        ValueError: An unknown mode, features that do not fit the grid, or a volume that is not what the deconvolutions
            make of it.
    """

    def __init__(
        self,
        skeleton: str,
        root: str | Sequence[str],
        decoder: dict,
        dim: int = 256,
        grid: tuple[int, int] = (8, 8),
        mode: str = 'spatial',
        deconv_channels: Sequence[int] = (256, 256, 256),
        loss_weight: float = 1.0,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(self.default_init_cfg if init_cfg is None else init_cfg)
        if mode not in MODES:
            raise ValueError(f'mode must be one of {MODES}, got {mode!r}')
        self.decoder, self.loss_weight = KEYPOINT_CODECS.build(decoder), loss_weight
        self.skeleton = Skeleton.from_metainfo(skeleton)
        self.root, self.grid, self.dim = self.skeleton.index_all(root), tuple(grid), dim
        width, height, self.depth = self.decoder.volume_size
        factor = 2 ** len(deconv_channels)
        if (height, width) != tuple(factor * n for n in self.grid):
            raise ValueError(
                f'{len(deconv_channels)} deconvolutions make {self.grid[0]} x {self.grid[1]} cells '
                f'{factor * self.grid[0]} x {factor * self.grid[1]}, but volume_size of the decoder is (W, H, D) = '
                f'{self.decoder.volume_size}'
            )
        if mode == 'spatial':
            channels = cell_channels(dim, self.grid)
            self.unfold = nn.Unflatten(1, (channels, *self.grid))
        else:
            channels = deconv_channels[0] if deconv_channels else dim
            self.unfold = nn.Sequential(
                nn.Linear(dim, channels * grid[0] * grid[1]), nn.ReLU(), nn.Unflatten(1, (channels, *self.grid))
            )
        layers = []
        for out in deconv_channels:
            layers += [nn.ConvTranspose2d(channels, out, 4, 2, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
            channels = out
        self.deconv_layers = nn.Sequential(*layers)
        self.final_layer = nn.Conv2d(channels, self.skeleton.num_joints * self.depth, 1)
        # mean of the squared size over the labels seen, mm^2, and how many they were
        self.register_buffer('square_size', torch.zeros(()))
        self.register_buffer('bodies', torch.zeros(()))

    @property
    def default_init_cfg(self) -> list:
        """MMPose's for heatmap heads."""
        return [
            dict(type='Normal', layer=['Conv2d', 'ConvTranspose2d'], std=0.001),
            dict(type='Constant', layer='BatchNorm2d', val=1),
        ]

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Places in the volume (B, K, 3) of the feature vector (B, d), the last entry of ``feats``."""
        volumes = self.final_layer(self.deconv_layers(self.unfold(feats[-1])))
        return soft_argmax_3d(volumes.unflatten(1, (self.skeleton.num_joints, self.depth)))

    def labels(self, data_samples: list) -> tuple[Tensor, Tensor]:
        """Places in the volume (B, K, 3) and weights (B, K) of labelled samples."""
        labels = [sample.gt_instance_labels for sample in data_samples]
        pose, weights = (torch.cat([x[key] for x in labels]) for key in ('volume_pose', 'volume_weights'))
        if pose.shape[1] != self.skeleton.num_joints:
            raise ValueError(
                f'labels of {pose.shape[1]} joints for a head of the {self.skeleton.num_joints} of '
                f'{self.skeleton.name!r}: give the data sets its joint set'
            )
        return pose, weights

    def loss(self, feats: Sequence[Tensor], batch_data_samples: list, train_cfg: dict | None = None) -> dict:
        """Mean absolute error of the places over the coordinates of weighted joints, ``loss_kpt``."""
        pose, weights = self.labels(batch_data_samples)
        if self.training:
            self._count(torch.cat([x.gt_instance_labels.body_size for x in batch_data_samples]))
        return dict(loss_kpt=self.loss_weight * self.error(self(feats), pose, weights))

    @staticmethod
    def error(predicted: Tensor, pose: Tensor, weights: Tensor) -> Tensor:
        """``sum w |predicted - pose|_1 / (3 sum w)``, 0 without weights."""
        error = (predicted - pose).abs().mean(-1) * weights
        return error.sum() / weights.sum().clamp_min(1.0)

    @torch.no_grad()
    def _count(self, sizes: Tensor) -> None:
        known = sizes.isfinite()
        self.bodies += known.sum()
        off = torch.where(known, sizes.square() - self.square_size, 0)
        self.square_size += off.sum() / self.bodies.clamp_min(1)

    def metres(self, places: Tensor, size: Tensor | float | None = None) -> Tensor:
        """Poses from the root (B, K, 3), metres, of places in the volume.

        Args:
            places (Tensor): (B, K, 3).
            size (Tensor | float, optional): Of a body, mm; by default the mean of those in training.
        """
        joints = places * places.new_tensor([*self.decoder.input_size, 2 * self.decoder.depth_range])
        size = self.square_size.sqrt() if size is None else size
        return metric_pose(joints[..., :2], joints[..., 2], size, self.skeleton.bones, self.root) / 1000

    @torch.no_grad()
    def predict(self, feats: Sequence, batch_data_samples: list, test_cfg: dict | None = None) -> list:
        """Joints (1, K, 2) in pixels of the input, scores of 1, and ``keypoints_3d`` (1, K, 3), metres.

        With ``flip_test`` in ``test_cfg`` ``feats`` are a pair, of the picture and its mirror image.

        Raises:
            ValueError: The head has seen no labels of whole bodies, and so does not know how large these are.
        """
        if not float(self.bodies):
            raise ValueError(
                'the head has trained on no labels of whole bodies: poses in metres need the size of a body. Load a '
                f'trained checkpoint; train on 3D labels of all joints of {self.skeleton.name!r}'
            )
        if (test_cfg or {}).get('flip_test'):
            places, mirrored = (self(x) for x in feats)
            mirrored = mirrored[:, list(self.skeleton.flip_indices)]
            places = (places + torch.cat([1 - mirrored[..., :1], mirrored[..., 1:]], -1)) / 2
        else:
            places = self(feats)
        poses = self.metres(places).cpu().numpy()[:, None]
        decoded, scores = self.decoder.decode(places.float().cpu().numpy()[:, None])
        return [
            InstanceData(keypoints=points, keypoint_scores=score, keypoints_3d=pose.astype(np.float32))
            for points, score, pose in zip(decoded[..., :2], scores, poses)
        ]
