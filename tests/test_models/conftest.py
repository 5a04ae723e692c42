"""A tiny heatmap estimator and batches for it."""

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.structures import PoseDataSample
from torch import nn

from mmposeda.registry import MODELS

JOINTS = 3


@MODELS.register_module(force=True)
class TinyBackbone(nn.Module):
    """Three convolutions, stride 4, with batch statistics and dropout."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(dropout), nn.Conv2d(8, 8, 3, 2, 1)
        )

    def init_weights(self) -> None:
        """Keep the default initialisation."""

    def forward(self, x):
        return (self.layers(x),)


def tiny_estimator(**head):
    codec = dict(type='MSRAHeatmap', input_size=(48, 32), heatmap_size=(12, 8), sigma=1.0)
    settings = dict(
        type='HeatmapHead',
        in_channels=8,
        out_channels=JOINTS,
        deconv_out_channels=None,
        loss=dict(type='KeypointMSELoss', use_target_weight=True, loss_weight=0.5),
        decoder=codec,
    )
    return dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=True),
        backbone=dict(type='TinyBackbone'),
        head={**settings, **head},
    )


def sample(domain, generator, index=0):
    data = PoseDataSample()
    if domain == 'target':
        data.set_metainfo(dict(domain='target', sample_index=index))
    else:
        data.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, JOINTS))
        data.gt_fields = PixelData(heatmaps=torch.rand(JOINTS, 8, 12, generator=generator))
    centre, scale = np.array([24.0, 16.0]), np.array([48.0, 32.0])
    data.set_metainfo(dict(input_size=(48, 32), input_center=centre, input_scale=scale, flip_indices=[0, 2, 1]))
    data.gt_instances = InstanceData(bboxes=torch.zeros(1, 4).numpy(), bbox_scores=torch.ones(1).numpy())
    return data


def domain_batch(source=4, target=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    total = source + target
    pictures = torch.randint(0, 256, (total, 3, 32, 48), dtype=torch.uint8, generator=generator)
    samples = [sample('source' if i < source else 'target', generator, i - source) for i in range(total)]
    return dict(inputs=list(pictures), data_samples=samples)


@pytest.fixture
def estimator():
    return tiny_estimator()


@pytest.fixture
def make_batch():
    return domain_batch
