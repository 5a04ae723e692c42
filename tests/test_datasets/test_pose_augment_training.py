"""Samples that PoseAugment has changed, in loaders and in MMPose's own training configs."""

import math
import pickle
from pathlib import Path

import mmpose
import numpy as np
import pytest
import torch
from lifting_samples import People, lifting_poses
from mmengine.config import Config
from mmengine.dataset import DefaultSampler, pseudo_collate
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from pose_augment_samples import ARRAYS, LEARNED, RANDOM, build
from torch.utils.data import DataLoader

from mmposeda.datasets.cmu_mocap import CMUMocapDataset
from mmposeda.datasets.lifting_cameras import project, to_camera_param
from mmposeda.datasets.transforms import PoseAugment
from mmposeda.engine.resumable_loader import ResumableLoader
from mmposeda.registry import DATASETS, MODELS
from mmposeda.structures.skeleton import metainfo_path

PACKED = Path(mmpose.__file__).parent / '.mim' / 'configs'
CONFIGS = (PACKED if PACKED.is_dir() else PACKED.parents[2] / 'configs') / 'body_3d_keypoint'
SIMPLE = 'image_pose_lift/h36m/image-pose-lift_tcn_8xb64-200e_h36m.py'
VIDEO = 'video_pose_lift/h36m/video-pose-lift_tcn-27frm-supv_8xb128-160e_h36m.py'
MOTIONBERT = 'motionbert/h36m/motionbert_dstformer-243frm_8xb32-240e_h36m.py'
FRAMES, STILLS = 27, 4
#: of their networks, which are large
SMALL = {
    SIMPLE: dict(backbone=dict(stem_channels=32), head=dict(in_channels=32)),
    VIDEO: dict(backbone=dict(stem_channels=32), head=dict(in_channels=32)),
    MOTIONBERT: dict(
        backbone=dict(feat_size=16, depth=1, num_heads=2, seq_len=FRAMES), head=dict(in_channels=16, embedding_size=16)
    ),
}
UPRIGHT = dict(RANDOM, rotation=(0.1, math.pi, 0.1))
CAMERA = dict(azimuth=30, elevation=10, distance=5, focal=1.1)


class TestLoading:
    def dataset(self, **kwargs):
        step = dict(type='PoseAugment', augmentor=UPRIGHT, **{'joints': 'h36m', 'prob': 0.7, **kwargs})
        return People(lifting_poses(keypoints=None), joints='h36m', pipeline=[step])

    def batches(self, workers, start):
        dataset = self.dataset()
        sampler = DefaultSampler(dataset, shuffle=True, seed=5)
        plain = DataLoader(dataset, batch_size=4, sampler=sampler, num_workers=workers, collate_fn=list)
        loader = ResumableLoader(plain, seed=7, endless=True)
        loader.begin(start)
        it = iter(loader)
        return [[{key: info[key] for key in ARRAYS} for info in next(it)] for _ in range(4 - start)]

    def test_a_run_resumes_exactly_with_any_number_of_workers(self):
        whole = self.batches(0, 0)
        for workers, start in ((0, 2), (1, 1), (2, 2)):
            np.testing.assert_equal(self.batches(workers, start), whole[start:])

    def test_joints_are_by_default_those_of_the_augmentor(self):
        dataset = People(pipeline=[dict(type='PoseAugment', augmentor=RANDOM, prob=1.0)])
        torch.manual_seed(0)
        info = dataset[3]
        assert info['keypoints'].shape == (1, 16, 2) and not np.array_equal(info['lifting_target'][0], dataset.poses[3])

    def test_it_builds_in_configs_of_mmpose(self):
        config = dict(type='mmposeda.PoseAugment', augmentor=dict(RANDOM, type='mmposeda.RandomPoseAugmentor'))
        with DefaultScope.overwrite_default_scope('mmpose'):
            from mmpose.registry import TRANSFORMS as MMPOSE

            assert isinstance(MMPOSE.build(config), PoseAugment)

    def test_it_says_what_it_is(self, trained):
        text = repr(build(LEARNED, checkpoint=trained()[0]))
        assert 'PoseAugmentor' in text and "joints='h36m'" in text and 'prob=1.0' in text


@pytest.fixture(scope='module')
def walking(shared_data):
    """CMU's people who walk, 17 joints."""
    folder = shared_data / 'cmu_mocap'
    if not (folder / 'cmu_h36m17_30fps.npz').is_file():
        pytest.skip(f'no motion packs in {folder}')
    with DefaultScope.overwrite_default_scope('mmposeda'):
        return CMUMocapDataset(data_root=str(folder), joints='h36m', actions=['walk'], cameras=[CAMERA])


@pytest.fixture(scope='module')
def clips(walking, tmp_path_factory):
    """The first frames of three of their clips in the layout of MMPose's Human3.6M."""
    folder, rows, names = tmp_path_factory.mktemp('clips'), [], []
    for number in range(3):
        rows.append(np.flatnonzero(walking.sequence == number)[: FRAMES + 3])
        names += [f'S{number}_Walking.1_{row:06d}.jpg' for row in rows[-1]]
    rows = np.concatenate(rows)
    ones = np.ones((len(rows), 17, 1))
    np.savez(
        folder / 'train.npz',
        imgname=np.array(names),
        part=np.concatenate([walking.keypoints[rows], ones], 2),
        S=np.concatenate([walking.poses[rows], ones], 2),
    )
    first = walking.camera[rows[:: FRAMES + 3]]
    cameras = {(f'S{n}', '1'): to_camera_param(walking.cameras[camera]) for n, camera in enumerate(first)}
    (folder / 'cameras.pkl').write_bytes(pickle.dumps(cameras))
    return dict(data_root=str(folder), ann_file='train.npz')


@pytest.fixture(scope='module')
def frames(shared_data, tmp_path_factory):
    """MMPose's own samples of four videos, a frame each, which is shown four times: its losses want velocities."""
    folder = shared_data / 'mmpose_samples' / 'h36m'
    samples = {key: np.repeat(value, STILLS, 0) for key, value in np.load(folder / 'test_h36m_body3d.npz').items()}
    samples['imgname'] = [f'{name[:-10]}{n:06d}.jpg' for n, name in enumerate(samples['imgname'])]
    path = tmp_path_factory.mktemp('frames') / 'train.npz'
    np.savez(path, **samples)
    return dict(data_root=str(folder), ann_file=str(path))


def mmpose_dataset(config, files, clip, **kwargs):
    """The training set of one of MMPose's configs on other files, with PoseAugment first in its pipeline."""
    dataset = config.train_dataloader.dataset.to_dict()
    dataset.update(files, camera_param_file='cameras.pkl', metainfo=dict(from_file=metainfo_path('h36m')))
    if dataset.get('multiple_target'):
        dataset.update(multiple_target=clip, multiple_target_step=clip)
    step = dict(type='PoseAugment', joints='h36m', **{'augmentor': UPRIGHT, 'prob': 1.0, 'tries': 40, **kwargs})
    return DATASETS.build(dict(dataset, pipeline=[step, *dataset['pipeline']]))


class TestMMPose:
    @pytest.mark.parametrize('name', [SIMPLE, VIDEO, MOTIONBERT])
    @pytest.mark.parametrize(('source', 'kind'), [('frames', 'random'), ('clips', 'learned')])
    def test_its_lifters_train_on_changed_samples(self, name, source, kind, trained, request):
        config = Config.fromfile(CONFIGS / name)
        model = Config(dict(model=config.model.to_dict()))
        model.merge_from_dict(dict(model=SMALL[name]))
        torch.manual_seed(0)
        lifter = MODELS.build(model.model)
        kwargs = dict(augmentor=UPRIGHT)
        if kind == 'learned':
            kwargs = dict(augmentor=dict(LEARNED, skeleton='body16_3d'), checkpoint=trained('body16_3d')[0])
        clip = FRAMES if source == 'clips' else STILLS
        files = request.getfixturevalue(source)
        changed, plain = (mmpose_dataset(config, files, clip, prob=prob, **kwargs) for prob in (1.0, 0.0))
        picked = range(0, len(changed), max(len(changed) // 4, 1))
        packed = [[dataset[i] for i in picked] for dataset in (changed, plain)]
        gaps = [(a['inputs'] - b['inputs']).abs().max().item() for a, b in zip(*packed)]
        assert min(gaps) > 0.01 and packed[0][0]['inputs'].shape == packed[1][0]['inputs'].shape
        before = {key: value.clone() for key, value in lifter.state_dict().items()}
        optimizer = OptimWrapper(torch.optim.SGD(lifter.parameters(), lr=1e-3))
        losses = lifter.train().train_step(pseudo_collate(packed[0]), optimizer)
        assert all(torch.as_tensor(value).isfinite().all() for value in losses.values())
        assert any(not torch.equal(value, before[key]) for key, value in lifter.state_dict().items())

    def test_its_codec_makes_the_factor_of_the_new_place(self, clips):
        """Metres at the root's depth for 1000 pixels."""
        dataset = mmpose_dataset(Config.fromfile(CONFIGS / MOTIONBERT), clips, FRAMES)
        torch.manual_seed(0)
        changed = dataset.pipeline.transforms[0](dataset.get_data_info(0))
        torch.manual_seed(0)
        factor = dataset[0]['data_samples'].metainfo['factor']
        depth = changed['lifting_target'][:, :1, 2]
        np.testing.assert_allclose(factor, 1000 * depth / changed['camera_param']['f'][0], rtol=5e-3)
        assert np.abs(depth - dataset.get_data_info(0)['lifting_target'][:, :1, 2]).min() > 0.01


class TestMotionCapture:
    def test_walking_is_seen_from_new_sides(self, walking):
        row = walking.cameras[0]
        transform = build(dict(RANDOM, skeleton='body16_3d'))
        torch.manual_seed(0)
        picked = range(0, len(walking), len(walking) // 60)
        changed = [transform(walking.get_data_info(i)) for i in picked]
        poses = np.concatenate([info['lifting_target'] for info in changed])
        points = np.concatenate([info['keypoints'] for info in changed])
        rows = walking.camera[list(picked)]
        np.testing.assert_array_equal(points, project(poses, rows, walking.cameras))
        assert (points >= 0).all() and (points <= row[9:]).all()
        upright = [p[:, 0, 1] - p[:, 10, 1] for p in (walking.poses[list(picked)], poses)]  # the head above the root
        assert (upright[0] > 0.3).all() and (upright[1] < 0).mean() > 0.2

    def test_a_pipeline_of_ours_trains_a_lifter_of_ours(self, shared_data, walking):
        steps = [
            dict(type='PoseAugment', augmentor=UPRIGHT),
            dict(type='GenerateTarget', encoder=dict(type='ScreenPoseLifting')),
            dict(type='PackPoseInputs', meta_keys=('target_img_path',)),
        ]
        dataset = CMUMocapDataset(
            data_root=str(shared_data / 'cmu_mocap'), actions=['walk'], cameras=[CAMERA], stride=50, pipeline=steps
        )
        head = dict(type='LiftingHead', decoder=dict(type='ScreenPoseLifting'))
        lifter = MODELS.build(dict(type='PoseLifter', backbone=dict(type='MLPLifter', channels=32), head=head))
        optimizer = OptimWrapper(torch.optim.Adam(lifter.parameters()))
        losses = lifter.train_step(pseudo_collate([dataset[i] for i in range(16)]), optimizer)
        assert 0 < losses['loss_pose3d'] < 10
