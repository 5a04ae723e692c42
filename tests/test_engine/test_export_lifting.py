"""An exported lifter is a PoseLifter of MMPose that answers as the adapter does."""

import subprocess
import sys

import numpy as np
import torch
from mmengine.config import Config

from mmposeda.engine.export import export_plain
from mmposeda.registry import MODELS

RUN = """
import sys
import mmposeda.compat
for name in ('mmposeda.models', 'mmposeda.registry', 'mmposeda.structures', 'mmposeda.codecs', 'mmposeda.engine'):
    sys.modules[name] = None  # as if it were not installed
import numpy as np
from mmengine.structures import InstanceData
from mmpose.apis import inference_pose_lifter_model, init_model
from mmpose.structures import PoseDataSample
for folder in sys.argv[1:]:
    model = init_model(folder + '/model.py', folder + '/model.pth', device='cpu')
    assert type(model).__name__ == 'PoseLifter'
    results = []
    for points in np.load(folder + '/points.npy'):
        found = InstanceData(keypoints=points[None], bboxes=np.zeros((1, 4)))
        sample = PoseDataSample(gt_instances=InstanceData(), pred_instances=found, track_id=0)
        (found,) = inference_pose_lifter_model(model, [[sample]], image_size=(1920, 1080))
        results.append(found.pred_instances.keypoints.reshape(16, 3))
    np.save(folder + '/poses.npy', np.stack(results))
"""
OURS = dict(type='LiftingHead', decoder=dict(type='ScreenPoseLifting'))
SIZE = dict(type='VideoPoseLifting', num_keypoints=16, zero_center=True, root_index=0, remove_root=True)
LIFTERS = dict(
    MLPLifter=dict(backbone=dict(type='MLPLifter', channels=16), head=OURS),
    VideoPoseLifter=dict(backbone=dict(type='mmposeda.VideoPoseLifter', channels=16), head=OURS),
    SemGCNLifter=dict(backbone=dict(type='SemGCNLifter', channels=16), head=OURS),
    STGCNLifter=dict(backbone=dict(type='STGCNLifter', channels=(16, 16, 32), part_channels=32), head=OURS),
    TCN=dict(
        backbone=dict(
            type='TCN',
            in_channels=32,
            stem_channels=16,
            num_blocks=1,
            kernel_sizes=(1, 1),
            use_stride_conv=True,
        ),
        head=dict(
            type='TemporalRegressionHead',
            in_channels=16,
            num_joints=15,
            loss=dict(type='MPJPELoss'),
            decoder=SIZE,
        ),
    ),
)


PIXELS = np.random.default_rng(0).uniform([300, 100], [1600, 900], (3, 16, 2)).astype('f4')


def export(name, folder):
    """Export an adapter with random weights; return its poses of PIXELS."""
    adapter = dict(type='SupervisedLifter', estimator=dict(type='PoseLifter', **LIFTERS[name]))
    test_loader = dict(dataset=dict(type='CMUMocapDataset', data_root='nowhere/'))
    config = Config(dict(default_scope='mmposeda', model=adapter, test_dataloader=test_loader))
    torch.manual_seed(0)
    model = MODELS.build(config.model).eval()
    folder.mkdir()
    meta = dict(dataset_meta=dict(dataset_name='body16_3d', num_keypoints=16, flip_indices=list(range(16))))
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, folder / 'adapter.pth')
    export_plain(config, str(folder / 'adapter.pth'), str(folder))
    np.save(folder / 'points.npy', PIXELS)
    with torch.no_grad():
        return model.lift(torch.from_numpy(PIXELS) * 2 / 1920 - torch.tensor([1, 1080 / 1920])).numpy()


def test_mmpose_lifts_as_the_adapter_without_mmposeda(tmp_path):
    wanted = {name: export(name, tmp_path / name) for name in LIFTERS}
    subprocess.run([sys.executable, '-c', RUN, *(str(tmp_path / name) for name in LIFTERS)], check=True)
    for name, poses in wanted.items():
        found = np.load(tmp_path / name / 'poses.npy')
        assert np.abs(poses).max() > 1e-3
        np.testing.assert_allclose(found, poses, atol=1e-5, err_msg=name)
    for file in tmp_path.rglob('*.py'):
        code = [line for line in file.read_text().splitlines() if not line.startswith('#')]
        assert not any('mmposeda' in line for line in code if 'import' in line or '=' in line), file
    assert not list((tmp_path / 'TCN').rglob('exported*')), "what is MMPose's own needs no file"
