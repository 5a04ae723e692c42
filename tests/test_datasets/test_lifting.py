import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from lifting_samples import CAMERAS, People, lifting_poses, people
from mmengine.dataset import pseudo_collate
from mmengine.registry import FUNCTIONS
from mmengine.runner import Runner
from mmpose.datasets.transforms import PackPoseInputs  # noqa: F401
from torch.utils.data import DataLoader

from mmposeda.datasets.annotations import AnnotationError
from mmposeda.datasets.lifting import take_batch
from mmposeda.datasets.lifting_cameras import camera_row, from_camera_param, project, to_camera_param
from mmposeda.structures.skeleton import Skeleton


def pixels(pose, row):
    """Projection of one joint in plain numbers: the form of VideoPose3D's code."""
    fx, fy, cx, cy, k1, k2, k3, p1, p2 = (float(v) for v in row[:9])
    x, y = (max(-1.0, min(1.0, float(v) / float(pose[2]))) for v in pose[:2])
    r = x * x + y * y
    factor = 1 + k1 * r + k2 * r * r + k3 * r * r * r + p1 * x + p2 * y
    return fx * (x * factor + p1 * r) + cx, fy * (y * factor + p2 * r) + cy


class TestBatches:
    def test_a_batch_holds_the_samples_in_screen_units(self):
        dataset = People(joints='h36m')
        picked = [33, 2, 2, 19]
        batch = dataset.__getitems__(picked)
        inputs, samples = batch['inputs'], batch['data_samples']
        assert {k: tuple(v.shape) for k, v in inputs.items()} == dict(
            keypoints=(4, 17, 2), pose=(4, 17, 3), camera=(4, 9), aspect=(4,)
        )
        assert all(value.dtype == torch.float32 for value in inputs.values())
        raw = lifting_poses()
        for n, index in enumerate(picked):
            width, height = CAMERAS[raw.camera[index], 9:]
            np.testing.assert_array_equal(inputs['pose'][n], raw.poses[index])
            screen = 2 * raw.keypoints[index] / width - np.array([1, height / width])
            np.testing.assert_allclose(inputs['keypoints'][n], screen, atol=1e-6)
            fx, fy, cx, cy, *distortion = CAMERAS[raw.camera[index], :9]
            wanted = [2 * fx / width, 2 * fy / width, 2 * cx / width - 1, (2 * cy - height) / width, *distortion]
            np.testing.assert_allclose(inputs['camera'][n], wanted, rtol=1e-6, atol=1e-7)
            assert inputs['aspect'][n] == pytest.approx(height / width)
        assert samples['index'].tolist() == picked and samples['index'].dtype == torch.int64
        assert samples['action'].tolist() == [i % 3 for i in picked] and samples['action'].dtype == torch.int64
        assert samples['visible'].shape == (4, 17) and samples['visible'].all()

    def test_one_sample_is_a_batch_of_one(self):
        dataset = People()
        one, batch = dataset[5], dataset.__getitems__([5])
        assert torch.equal(one['inputs']['pose'], batch['inputs']['pose']) and len(one['inputs']['pose']) == 1
        assert dataset[-1]['data_samples']['index'].tolist() == [39]
        with pytest.raises(IndexError):
            dataset[40]
        with pytest.raises(IndexError):
            dataset.__getitems__([3, 40])

    def test_batches_are_copies(self):
        dataset = People()
        before = dataset.poses.copy()
        batch = dataset.__getitems__([0, 1])
        batch['inputs']['pose'].zero_()
        batch['data_samples']['visible'][0] = False
        np.testing.assert_array_equal(dataset.poses, before)
        assert dataset.__getitems__([0, 1])['data_samples']['visible'].all()

    @pytest.mark.parametrize('workers', [0, 1])
    def test_loaders_hand_whole_batches_through(self, workers):
        assert FUNCTIONS.get('take_batch') is take_batch
        loader = DataLoader(People(), batch_size=16, num_workers=workers, collate_fn=take_batch)
        sizes = [len(batch['inputs']['pose']) for batch in loader]
        assert sizes == [16, 16, 8]

    def test_a_runner_builds_the_loader_from_a_config(self):
        sampler = dict(type='DefaultSampler', shuffle=False)
        cfg = dict(batch_size=8, num_workers=0, sampler=sampler, collate_fn=dict(type='take_batch'), dataset=People())
        loader = Runner.build_dataloader(cfg, seed=0)
        assert [tuple(batch['inputs']['keypoints'].shape) for batch in loader] == [(8, 16, 2)] * 5

    def test_a_batch_of_1024_takes_little_time(self):
        dataset = People(lifting_poses(4000))
        indices = torch.randperm(4000)[:1024].tolist()
        dataset.__getitems__(indices)
        start = time.perf_counter()
        for _ in range(10):
            dataset.__getitems__(indices)
        assert (time.perf_counter() - start) / 10 < 0.02  # 0.6 ms on one core

    def test_poses_are_held_once(self):
        dataset = People()
        assert dataset._tensors['pose'].data_ptr() == dataset.poses.ctypes.data
        assert dataset._tensors['keypoints'].data_ptr() == dataset.keypoints.ctypes.data


class TestJoints:
    def test_joints_are_mapped_by_name(self):
        source, target = Skeleton.from_metainfo('h36m'), Skeleton.from_metainfo('body16_3d')
        dataset, raw = People(), lifting_poses()
        for number, name in enumerate(target.joint_names):
            np.testing.assert_array_equal(dataset.poses[:, number], raw.poses[:, source.index(name)])
            np.testing.assert_array_equal(dataset.keypoints[:, number], raw.keypoints[:, source.index(name)])
        assert Skeleton.from_metainfo(dataset.metainfo).same_joints(target)
        assert dataset.metainfo['action_names'] == ('walk', 'run', 'sit')

    def test_none_keeps_those_of_the_file(self):
        dataset = People(joints=None)
        assert dataset.skeleton.name == dataset.metainfo['dataset_name'] == 'h36m'
        np.testing.assert_array_equal(dataset.poses, people())

    def test_middles_are_made_in_2d_and_3d(self):
        raw = replace(lifting_poses(), joints='smpl24', poses=people(40, 24), keypoints=None)
        dataset = People(raw, joints='h36m')
        smpl, h36m = Skeleton.from_metainfo('smpl24'), dataset.skeleton
        middle = (raw.poses[:, smpl.index('neck')] + raw.poses[:, smpl.index('head')]) / 2
        np.testing.assert_allclose(dataset.poses[:, h36m.index('neck_base')], middle, atol=1e-6)

    def test_visibility_follows_the_joints(self):
        visible = np.random.default_rng(3).random((40, 17)) < 0.7
        dataset = People(lifting_poses(visible=visible))
        number = dataset.skeleton.index('head')
        np.testing.assert_array_equal(dataset.visible[:, number], visible[:, 10])
        batch = dataset.__getitems__([3, 30])
        np.testing.assert_array_equal(batch['data_samples']['visible'], dataset.visible[[3, 30]])

    def test_joints_that_are_missing_are_named(self):
        raw = replace(lifting_poses(), joints='body16_3d', poses=people(40, 16), keypoints=None)
        with pytest.raises(ValueError, match="'body16_3d', which do not give neck_base of 'h36m'.*`joints`"):
            People(raw, joints='h36m')


class TestProjection:
    def test_it_is_that_of_the_cameras_numbers(self):
        raw = lifting_poses()
        points = project(raw.poses, raw.camera, raw.cameras)
        for index in (0, 7, 21, 39):
            wanted = [pixels(joint, CAMERAS[raw.camera[index]]) for joint in raw.poses[index]]
            np.testing.assert_allclose(points[index], wanted, atol=2e-3)

    def test_poses_are_projected_where_the_file_has_none_or_on_demand(self):
        raw = lifting_poses()
        wanted = project(raw.poses, raw.camera, raw.cameras)
        np.testing.assert_array_equal(People(lifting_poses(keypoints=False), joints='h36m').keypoints, wanted)
        np.testing.assert_array_equal(People(joints='h36m', keypoints='projected').keypoints, wanted)
        np.testing.assert_array_equal(People(joints='h36m').keypoints, raw.keypoints)

    def test_batch_and_camera_agree(self):
        from mmposeda.structures.lifting_camera import project_h36m

        batch = People(keypoints='projected').__getitems__(range(40))['inputs']
        again = project_h36m(batch['pose'], batch['camera'])
        torch.testing.assert_close(again, batch['keypoints'], atol=1e-5, rtol=0)

    @pytest.mark.parametrize('change', [dict(absolute=False), dict(cameras=np.full((2, 11), np.nan))])
    def test_without_camera_or_place_it_is_refused(self, change):
        raw = lifting_poses(**change)
        assert not People(raw).projectable
        with pytest.raises(ValueError, match='cannot project the poses'):
            People(raw, keypoints='projected')

    def test_chunks_join_up(self, monkeypatch):
        raw = lifting_poses()
        whole = project(raw.poses, raw.camera, raw.cameras)
        monkeypatch.setattr('mmposeda.datasets.lifting_cameras.CHUNK', 7)
        np.testing.assert_allclose(project(raw.poses, raw.camera, raw.cameras), whole, atol=1e-3)


class TestChoice:
    def test_subjects_and_actions_are_chosen_by_name(self):
        dataset = People(subjects=['B'], actions=['sit', 'walk'])
        rows = [i for i in range(40) if i % 2 == 1 and i % 3 != 1]
        np.testing.assert_array_equal(dataset.poses, People().poses[rows])
        assert dataset.metainfo['subject_names'] == ('B',) and dataset.metainfo['action_names'] == ('walk', 'sit')
        assert [dataset.metainfo['action_names'][a] for a in dataset.action] == [
            ('walk', '', 'sit')[i % 3] for i in rows
        ]

    def test_stride_counts_in_each_sequence(self):
        dataset = People(stride=3)
        assert dataset.frame.tolist() == [*range(0, 20, 3)] * 2

    @pytest.mark.parametrize(
        'kwargs, message',
        [
            (dict(actions=['walk', 'fly']), 'actions=.*a list of walk, run, sit; unknown: fly'),
            (dict(subjects='A'), "subjects='A': expected a list of A, B"),
            (dict(subjects=[]), 'no pose of subjects=..'),
            (dict(stride=0), 'stride=0'),
            (dict(keypoints='detected'), "keypoints='detected', expected one of file, projected"),
            (dict(domain='real'), "domain='real', expected one of source, target"),
            (dict(joints='nobody'), "no meta file 'nobody'"),
        ],
    )
    def test_unknown_choices_are_named(self, kwargs, message):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            People(**kwargs)


class TestBadData:
    @pytest.mark.parametrize(
        'change, message',
        [
            (dict(poses=people()[:, :16]), r'poses have shape \(40, 16, 3\), expected \(40, 17, 3\)'),
            (dict(camera=np.zeros(39, int)), r'camera have shape \(39,\)'),
            (dict(cameras=CAMERAS[:, :9]), r'cameras have shape \(2, 9\), expected \(2, 11\)'),
            (dict(poses=1000 * people()), 'people span .* metres are expected'),
            (dict(poses=people()[:0]), 'no pose'),
        ],
    )
    def test_it_is_named(self, change, message):
        with pytest.raises(AnnotationError, match=message):
            People(replace(lifting_poses(), **change))

    @pytest.mark.parametrize('key', ['poses', 'keypoints'])
    def test_numbers_that_are_none_are_found(self, key):
        raw = lifting_poses()
        getattr(raw, key)[23, 4, 1] = np.nan
        with pytest.raises(AnnotationError, match=f'{key} of 1 samples are NaN.*B_run.2_000003.jpg'):
            People(raw)


class TestPipeline:
    PIPELINE = (
        dict(
            type='GenerateTarget',
            encoder=dict(type='ImagePoseLifting', num_keypoints=16, root_index=0, remove_root=False),
        ),
        dict(type='PackPoseInputs', meta_keys=('id', 'category_id', 'target_img_path', 'target_root', 'camera_param')),
    )

    def test_samples_run_through_mmposes_codec(self):
        dataset = People(pipeline=self.PIPELINE, domain='target')
        sample = dataset[25]
        assert tuple(sample['inputs'].shape) == (32, 1)
        np.testing.assert_allclose(sample['inputs'].reshape(16, 2), dataset.keypoints[25], rtol=1e-6)
        data = sample['data_samples']
        label = data.gt_instance_labels.lifting_target_label
        wanted = dataset.poses[25] - dataset.poses[25, :1]
        np.testing.assert_allclose(label.reshape(16, 3), wanted, atol=1e-6)
        assert data.domain == 'target' and data.target_img_path.tolist() == ['B_run.2_000005.jpg']

    def test_the_codec_of_the_lifters_gives_what_a_batch_holds(self):
        steps = [dict(type='GenerateTarget', encoder=dict(type='ScreenPoseLifting')), self.PIPELINE[1]]
        sample, batch = People(pipeline=steps)[25], People()[25]['inputs']
        np.testing.assert_allclose(sample['inputs'].reshape(16, 2), batch['keypoints'][0], atol=1e-6)
        label = sample['data_samples'].gt_instance_labels.lifting_target_label.reshape(16, 3)
        np.testing.assert_allclose(label, batch['pose'][0] - batch['pose'][0, :1], atol=1e-6)

    def test_infos_have_the_keys_of_mmposes_own(self, shared_data, tmp_path, monkeypatch):
        from mmpose.datasets.datasets import Human36mDataset

        monkeypatch.chdir(tmp_path)  # it would take its joints from a configs/_base_/datasets/h36m.py found here
        theirs = Human36mDataset(
            ann_file='test_h36m_body3d.npz',
            camera_param_file='cameras.pkl',
            data_root=str(shared_data / 'mmpose_samples' / 'h36m'),
            data_prefix=dict(img=''),
        ).get_data_info(0)
        ours = People(joints='h36m').get_data_info(0)
        assert set(theirs) - set(ours) <= {'sample_idx'}
        for key in ('keypoints', 'keypoints_visible', 'lifting_target', 'lifting_target_visible', 'center', 'factor'):
            assert ours[key].shape == theirs[key].shape and ours[key].dtype == theirs[key].dtype, key
        assert ours['flip_indices'] == theirs['flip_indices']
        for key in ('f', 'c', 'k', 'p'):
            assert ours['camera_param'][key].shape == theirs['camera_param'][key].shape

    def test_a_loader_works_with_mmengines_collate_function(self):
        loader = DataLoader(People(pipeline=self.PIPELINE), batch_size=4, collate_fn=pseudo_collate)
        batch = next(iter(loader))
        assert len(batch['inputs']) == len(batch['data_samples']) == 4


class TestCameraParam:
    def test_round_trip(self):
        for row in CAMERAS:
            np.testing.assert_array_equal(from_camera_param(to_camera_param(row)), row)

    def test_tangential_coefficients_swap_places(self):
        param = dict(f=[1, 2], c=[3, 4], k=[5, 6, 7], p=[8, 9], w=10, h=11)
        assert from_camera_param(param).tolist() == [1, 2, 3, 4, 5, 6, 7, 9, 8, 10, 11]
        assert from_camera_param(param, (20, 30)).tolist()[-2:] == [20, 30]

    def test_unknown_intrinsics_are_left_out(self):
        assert to_camera_param(camera_row((np.nan, 1), (0, 0), (640, 480))) == dict(w=640, h=480)

    def test_wrong_counts_are_named(self):
        with pytest.raises(ValueError, match='k of a camera has 2 elements, expected 3'):
            from_camera_param(dict(f=[1, 2], c=[3, 4], k=[5, 6], w=1, h=1))
