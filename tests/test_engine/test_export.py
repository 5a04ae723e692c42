"""An exported estimator is plain MMPose's and answers as the adapter does."""

import numpy as np
import pytest
import torch
from exported import asked, save
from mmengine.config import Config

from mmposeda.engine.export import export_plain
from mmposeda.registry import MODELS

CODEC = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1.5)


def make_config(neck=True):
    estimator = dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor', mean=[127.0] * 3, std=[128.0] * 3, bgr_to_rgb=True),
        backbone=dict(type='EfficientNetLite', out_indices=(2, 3), pretrained=True),
        neck=dict(type='mmposeda.SkipNeck', in_channels=[40, 112], out_channels=8),
        head=dict(
            type='HeatmapHead',
            in_channels=8,
            out_channels=14,
            deconv_out_channels=(8,),
            deconv_kernel_sizes=(4,),
            loss=dict(type='KeypointMSELoss'),
            decoder=CODEC,
        ),
    )
    pipeline = [
        dict(type='LoadImage'),
        dict(type='GetBBoxCenterScale', padding=1.0),
        dict(type='TopdownAffine', input_size=CODEC['input_size']),
        dict(type='PackPoseInputs'),
    ]
    style = dict(type='AdaINStyleNet', encoder_weights='not/there.pth')
    return Config(
        dict(
            default_scope='mmposeda',
            model=dict(type='UDAPE', estimator=estimator, style=style),
            test_dataloader=dict(dataset=dict(type='LSPDataset', pipeline=pipeline)),
        )
    )


@pytest.fixture
def trained(tmp_path):
    config = make_config()
    torch.manual_seed(0)
    model = MODELS.build({**config.model, 'style': None})
    for parameter in model.teacher.head.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return config, model.eval(), save(model, 'lsp', 14, tmp_path)


def test_mmpose_runs_the_export_without_mmposeda(trained, tmp_path):
    config, model, checkpoint = trained
    pixels, result = asked(config, checkpoint, tmp_path)
    heatmaps = model(pixels, mode='tensor')
    _, scores = MODELS.build(config.model['estimator']).head.decoder.decode(heatmaps[0].detach().numpy())
    np.testing.assert_allclose(result['keypoint_scores'], scores, atol=1e-4)


def test_exported_weights_are_the_teachers_under_mmpose_keys(trained, tmp_path):
    config, model, checkpoint = trained
    _, weights = export_plain(config, str(checkpoint), str(tmp_path / 'out'))
    saved = torch.load(weights, weights_only=True)['state_dict']
    assert set(saved) == set(model.teacher.state_dict())
    assert all(torch.equal(value, model.teacher.state_dict()[key]) for key, value in saved.items())


def test_export_holds_no_trace_of_the_adapter(trained, tmp_path):
    config, _, checkpoint = trained
    written = export_plain(config, str(checkpoint), str(tmp_path / 'out'))[0].parent
    for file in written.glob('*.py'):
        code = [line for line in file.read_text().splitlines() if not line.startswith('#')]
        assert not any('mmposeda' in line for line in code if 'import' in line or '=' in line), file


def test_networks_of_the_reconstruction_are_neither_needed_nor_exported(trained, tmp_path):
    config, model, _ = trained
    networks = dict(warp_estimator=dict(width=2, num_blocks=1), generator=dict(width=2, num_residual=1))
    depth = dict(skeleton='lsp', root='right_hip', reference=('right_hip', 'neck'))
    config.model.update(type='GeometricReconstruction', depth=depth, reconstruction=networks)
    full = MODELS.build({**config.model, 'style': None})
    full.load_state_dict(model.state_dict(), strict=False)
    torch.save({'state_dict': full.state_dict()}, tmp_path / 'full.pth')
    config.model['reconstruction']['perceptual'] = dict(features='vgg19', weights='not/there.pth')
    _, weights = export_plain(config, str(tmp_path / 'full.pth'), str(tmp_path / 'out'))
    saved = torch.load(weights, weights_only=True)['state_dict']
    assert set(saved) == set(model.teacher.state_dict())
    assert all(torch.equal(value, model.teacher.state_dict()[key]) for key, value in saved.items())


def test_missing_and_foreign_checkpoints_are_refused(trained, tmp_path):
    config, _, _ = trained
    with pytest.raises(FileNotFoundError, match='nothing.pth'):
        export_plain(config, str(tmp_path / 'nothing.pth'), str(tmp_path / 'out'))
    torch.save({'state_dict': {'backbone.other': torch.zeros(1)}}, tmp_path / 'foreign.pth')
    with pytest.raises(ValueError, match='lacks .* weights of the teacher'):
        export_plain(config, str(tmp_path / 'foreign.pth'), str(tmp_path / 'out'))


def test_plain_models_are_refused(trained, tmp_path):
    config, _, checkpoint = trained
    config.model = config.model['estimator']
    with pytest.raises(TypeError, match='takes an adapter'):
        export_plain(config, str(checkpoint), str(tmp_path / 'out'))
