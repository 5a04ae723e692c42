import copy

import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.structures import PoseDataSample

from mmposeda.models.heatmap_estimator import predict_heatmaps, predict_mirrored
from mmposeda.registry import MODELS
from projects.flip_consistency.flip_consistency import FlipConsistency  # noqa: F401  (registers it)

CODEC = dict(type='MSRAHeatmap', input_size=(64, 32), heatmap_size=(16, 8), sigma=1.0)
ESTIMATOR = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3),
    backbone=dict(type='MobileNetV2', widen_factor=0.25, out_indices=(1,), frozen_stages=-1),
    head=dict(
        type='HeatmapHead',
        in_channels=8,
        out_channels=3,
        deconv_out_channels=None,
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=CODEC,
    ),
)
PAIRS = [(1, 2)]


def build(**kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(type='FlipConsistency', estimator=copy.deepcopy(ESTIMATOR), **kwargs))


def batch(source=2, target=2):
    generator = torch.Generator().manual_seed(0)
    samples = []
    for domain in ['source'] * source + ['target'] * target:
        sample = PoseDataSample(metainfo=dict(domain=domain, input_size=(64, 32), flip_indices=[0, 2, 1]))
        if domain == 'source':
            sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, 3))
            sample.gt_fields = PixelData(heatmaps=torch.rand(3, 8, 16, generator=generator))
        samples.append(sample)
    pictures = torch.randint(0, 256, (len(samples), 3, 32, 64), dtype=torch.uint8, generator=generator)
    return dict(inputs=list(pictures), data_samples=samples)


def test_the_loss_is_a_quarter_of_the_squared_distance_to_the_mirror_image():
    model, pictures = build().eval(), torch.rand(2, 3, 32, 64)
    maps = predict_heatmaps(model.student, pictures)
    expected = (maps - predict_mirrored(model.student, pictures, model.layout, PAIRS)).square().mean() / 4
    torch.testing.assert_close(model.consistency(pictures, PAIRS)['loss_flip'], expected)


def test_targets_teach_and_their_weight_counts():
    losses = {}
    for weight in (0.0, 1.0, 2.0):
        model = build(weight=weight)
        losses[weight] = model(**model.data_preprocessor(batch(), True), mode='loss')
    assert losses[0.0]['unsup_loss_flip'] == 0 < losses[1.0]['unsup_loss_flip']
    torch.testing.assert_close(losses[2.0]['unsup_loss_flip'], 2 * losses[1.0]['unsup_loss_flip'])
    torch.testing.assert_close(losses[2.0]['sup_loss_kpt'], losses[0.0]['sup_loss_kpt'])
    losses[1.0]['unsup_loss_flip'].backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match='weight must not be negative, got -1'):
        build(weight=-1)
    model = build()
    with pytest.raises(ValueError, match='without a target sample'):
        model(**model.data_preprocessor(batch(target=0), True), mode='loss')
