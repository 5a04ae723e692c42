"""An exported estimator of 3D poses is plain MMPose's, without what only training needs, and answers as the adapter."""

import numpy as np
import pytest
import torch
from exported import asked, exported_weights, save
from mmengine.config import Config

from mmposeda.registry import MODELS

CODEC = dict(type='VolumePose3D', input_size=(64, 64), volume_size=(8, 8, 8))
ROOT = ['left_hip', 'right_hip']


def make_config():
    estimator = dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor', mean=[127.0] * 3, std=[128.0] * 3, bgr_to_rgb=True),
        backbone=dict(type='EfficientNetLite', out_indices=(3,), pretrained=True),
        neck=dict(type='FeatureNeck', in_channels=112, dim=64, grid=(4, 4)),
        head=dict(
            type='VolumetricIntegralHead',
            skeleton='lsp',
            root=ROOT,
            decoder=CODEC,
            dim=64,
            grid=(4, 4),
            deconv_channels=(8,),
        ),
    )
    pipeline = [
        dict(type='LoadImage'),
        dict(type='GetBBoxCenterScale', padding=1.0),
        dict(type='TopdownAffine', input_size=CODEC['input_size']),
        dict(type='RelativeDepth', skeleton='lsp', root=ROOT),
        dict(type='PackPoseInputs'),
    ]
    init = dict(type='Pretrained', checkpoint='not/there.pth', prefix='vae.')
    vae = dict(type='ImageVAE', input_size=16, latent=4, init_cfg=init)
    model = dict(type='CausalIntervention', estimator=estimator, vae=vae, generator=dict(hidden=(16,)))
    data = dict(dataset=dict(type='RenderedDataset', data_root='not/there', pipeline=pipeline))
    return Config(dict(default_scope='mmposeda', model=model, test_dataloader=data))


@pytest.fixture
def trained(tmp_path):
    config = make_config()
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    torch.nn.init.normal_(model.student.head.final_layer.weight, std=5.0)
    model.student.head.square_size.fill_(1500.0**2)
    model.student.head.bodies.fill_(1)
    return config, model.eval(), save(model, 'lsp', 14, tmp_path)


def test_mmpose_predicts_the_same_pose_without_mmposeda(trained, tmp_path):
    config, model, checkpoint = trained
    pixels, result = asked(config, checkpoint, tmp_path)
    student = model.student
    (wanted,) = student.head.predict(student.extract_feat(pixels), None)
    np.testing.assert_allclose(result['keypoints'], wanted.keypoints, atol=1e-3)
    np.testing.assert_allclose(result['keypoints_3d'], wanted.keypoints_3d, atol=1e-4)
    assert np.abs(wanted.keypoints_3d).max() > 0.1


def test_nothing_that_only_training_needs_is_exported(trained, tmp_path):
    config, model, checkpoint = trained
    weights, saved, written = exported_weights(config, checkpoint, tmp_path, model.student)
    assert saved['head.bodies'] == 1 and saved['head.square_size'] == 1500.0**2, 'the size of bodies is'
    assert weights.stat().st_size < 0.9 * checkpoint.stat().st_size
    for word in ('ImageVAE', 'FeatureGenerator', 'FeatureDiscriminator', 'RelativeDepth'):
        assert f"type='{word}'" not in written and f'class {word}' not in written
