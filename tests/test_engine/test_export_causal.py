"""An exported estimator of 3D poses is plain MMPose's, without what only training needs, and answers as the adapter."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmposeda.engine.export import export_plain
from mmposeda.registry import MODELS

RUN = """
import sys
import mmposeda.compat
for name in ('mmposeda.models', 'mmposeda.registry', 'mmposeda.structures', 'mmposeda.codecs', 'mmposeda.engine'):
    sys.modules[name] = None  # as if it were not installed
from mmpose.apis import inference_topdown, init_model
import numpy as np
model = init_model(sys.argv[1], sys.argv[2], device='cpu')
assert type(model).__name__ == 'TopdownPoseEstimator' and not hasattr(model, 'vae')
result = inference_topdown(model, sys.argv[3])[0].pred_instances
np.savez(sys.argv[4], keypoints=result.keypoints, keypoints_3d=result.keypoints_3d)
"""
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
    meta = dict(dataset_meta=dict(dataset_name='lsp', flip_indices=list(range(14)), num_keypoints=14))
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, tmp_path / 'adapter.pth')
    return config, model.eval(), tmp_path / 'adapter.pth'


def test_mmpose_predicts_the_same_pose_without_mmposeda(trained, tmp_path):
    config, model, checkpoint = trained
    paths = export_plain(config, str(checkpoint), str(tmp_path / 'out'))
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'picture.png'), picture)
    arguments = [str(p) for p in (*paths, tmp_path / 'picture.png', tmp_path / 'result.npz')]
    subprocess.run([sys.executable, '-c', RUN, *arguments], check=True)
    result = np.load(tmp_path / 'result.npz')
    pixels = (torch.from_numpy(picture[..., ::-1].transpose(2, 0, 1).copy()).float() - 127) / 128
    student = model.student
    (wanted,) = student.head.predict(student.extract_feat(pixels[None]), None)
    np.testing.assert_allclose(result['keypoints'], wanted.keypoints, atol=1e-3)
    np.testing.assert_allclose(result['keypoints_3d'], wanted.keypoints_3d, atol=1e-4)
    assert np.abs(wanted.keypoints_3d).max() > 0.1


def test_nothing_that_only_training_needs_is_exported(trained, tmp_path):
    config, model, checkpoint = trained
    path, weights = export_plain(config, str(checkpoint), str(tmp_path / 'out'))
    saved = torch.load(weights, weights_only=True)['state_dict']
    assert saved.keys() == model.student.state_dict().keys()
    assert all(torch.equal(value, model.student.state_dict()[key]) for key, value in saved.items())
    assert saved['head.bodies'] == 1 and saved['head.square_size'] == 1500.0**2, 'the size of bodies is'
    assert weights.stat().st_size < 0.9 * checkpoint.stat().st_size
    written = ''.join(file.read_text() for file in path.parent.rglob('*.py'))
    for word in ('ImageVAE', 'FeatureGenerator', 'FeatureDiscriminator', 'RelativeDepth'):
        assert f"type='{word}'" not in written and f'class {word}' not in written
