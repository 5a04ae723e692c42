"""An exported estimator by latents carries its pose decoder, nothing else of the adaptation, and needs MMPose alone."""

import numpy as np
import pytest
import torch
from exported import asked, exported_weights, save
from mmengine.config import Config

from mmposeda.engine.export import _with_bases, export_plain
from mmposeda.registry import MODELS
from mmposeda.structures.skeleton import METAINFO_DIR


def pretrained(part, **kwargs):
    return dict(kwargs, init_cfg=dict(type='Pretrained', checkpoint=f'not/there/{part}.pth', prefix=f'{part}.'))


def make_config(skeleton, backbone):
    channels, kind = backbone
    pose = pretrained('pose', type='PoseAAE', skeleton=skeleton, latent=8)
    estimator = dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor', mean=[127.0] * 3, std=[128.0] * 3, bgr_to_rgb=True),
        backbone=kind,
        head=dict(
            type='LatentPoseHead', in_channels=channels, grid=(4, 4), conv_channels=(8,), fc_channels=(16,), pose=pose
        ),
    )
    pipeline = [
        dict(type='LoadImage'),
        dict(type='GetBBoxCenterScale', padding=1.0),
        dict(type='TopdownAffine', input_size=(64, 64)),
        dict(type='RootRelativePose', skeleton=skeleton),
        dict(type='PackPoseInputs'),
    ]
    model = dict(
        type='RelationDistillation',
        estimator=estimator,
        motion=pretrained('motion', type='MotionAutoEncoder', latent=8, dim=6, hidden=5),
        relations=pretrained('relations', relations=['flip', 'slow_backward'], hidden=(16,)),
        frames=4,
        size=64,
    )
    data = dict(dataset=dict(type='RenderedDataset', data_root='not/there', pipeline=pipeline))
    return Config(dict(default_scope='mmposeda', model=model, test_dataloader=data))


BACKBONES = dict(
    effnet=(112, dict(type='EfficientNetLite', out_indices=(3,), pretrained=True)),
    resnet=(
        32,
        dict(
            type='ResNet',
            depth=18,
            stem_channels=8,
            base_channels=8,
            num_stages=3,
            strides=(1, 2, 2),
            dilations=(1, 1, 1),
            out_indices=(2,),
        ),
    ),
)


@pytest.fixture(params=[('nlrd15', 'effnet'), ('nlrd17', 'resnet')], ids=['effnet', 'resnet'])
def trained(request, tmp_path):
    skeleton, backbone = request.param
    config = make_config(skeleton, BACKBONES[backbone])
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    head = model.student.head
    torch.nn.init.normal_(head.rest[-1].weight, std=0.5)
    head.bone_length.copy_(100 * head.pose.kinematics.lengths)
    head.bones.fill_(1)
    joints = head.pose.kinematics.num_joints
    return config, model.eval(), save(model, skeleton, joints, tmp_path)


def test_mmpose_predicts_the_same_pose_without_mmposeda(trained, tmp_path):
    config, model, checkpoint = trained
    pixels, result = asked(config, checkpoint, tmp_path)
    pose = model.student.head.pose.pose(model.latents(pixels)).detach().numpy() / 10  # 100 mm a unit, in metres
    np.testing.assert_allclose(result['keypoints_3d'], pose, atol=1e-4)
    assert np.abs(pose).max() > 0.1
    height = np.ptp(result['keypoints'][0], 0).max()
    assert height == pytest.approx(0.8 * 64, abs=1e-2), 'drawn into the middle of the crop'


def test_the_pose_decoder_travels_along_and_nothing_else(trained, tmp_path):
    config, model, checkpoint = trained
    _, saved, written = exported_weights(config, checkpoint, tmp_path, model.student)
    assert {'head.bone_length', 'head.pose.decoder.body.0.weight'} <= saved.keys()
    for word in ('MotionAutoEncoder', 'RelationNetwork', 'PhotometricChange', 'info_nce', 'RootRelativePose'):
        assert f"type='{word}'" not in written and f'class {word}' not in written and f'def {word}' not in written


def test_files_of_earlier_stages_are_not_asked_for(trained, tmp_path):
    """The decoder's weights are in the checkpoint."""
    config, _, checkpoint = trained
    path, _ = export_plain(config, str(checkpoint), str(tmp_path / 'out'))
    assert 'not/there' not in path.read_text()


def test_bases_of_joint_sets_travel_along_but_mmposes_own():
    names = [[file.stem for file in _with_bases(METAINFO_DIR / f'{name}.py')] for name in ('nlrd15', 'nlrd17', 'coco')]
    assert names == [['nlrd15', 'nlrd17'], ['nlrd17'], ['coco']]
    for file in METAINFO_DIR.glob('[a-z0-9]*.py'):
        assert all(base.is_file() for base in _with_bases(file))
