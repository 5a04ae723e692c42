import logging
import pickle
from copy import deepcopy

import numpy as np
import pytest
import torch
from lifting_samples import CAMERAS
from pose_augment_samples import ARRAYS, BODY16, H36M, LEARNED, RANDOM, STILL, build, run, sample

from mmposeda.datasets.lifting_cameras import from_camera_param, project
from mmposeda.datasets.transforms import pose_augment as module
from mmposeda.structures.kinematics import KinematicTree


@pytest.fixture(params=['random', 'learned', 'random16', 'learned16'])
def augmentor(request, trained):
    """Arguments of both kinds, of the data's joints and of 16."""
    skeleton = 'body16_3d' if request.param.endswith('16') else 'h36m'
    if request.param.startswith('random'):
        return dict(augmentor=dict(RANDOM, skeleton=skeleton))
    return dict(augmentor=dict(LEARNED, skeleton=skeleton), checkpoint=trained(skeleton)[0])


class TestSample:
    @pytest.mark.parametrize(('frames', 'targets'), [(1, 1), (9, 9), (9, 1)])
    def test_points_are_the_projected_pose_bit_for_bit(self, augmentor, frames, targets):
        info, transform = sample(frames, targets), build(**augmentor)
        for seed in range(5):
            out = run(transform, info, seed)
            row = from_camera_param(out['camera_param'])
            expected = project(out['keypoints_3d'], np.zeros(frames, int), row[None])
            np.testing.assert_array_equal(out['keypoints'], expected)
            np.testing.assert_array_equal(out['lifting_target'], out['keypoints_3d'][-targets:])
            assert all(out[key].dtype == np.float32 and out[key].shape == info[key].shape for key in ARRAYS)
            assert np.abs(out['keypoints'] - info['keypoints']).max() > 10
            assert (out['keypoints'] >= 0).all() and (out['keypoints'] <= CAMERAS[1, 9:]).all()
            assert (out['keypoints_3d'][..., 2] > 0.1).all()

    def test_all_else_stays(self):
        info = sample(9, 1)
        given = deepcopy(info)
        torch.manual_seed(0)
        out = build()(info)
        np.testing.assert_array_equal(out['factor'], np.zeros(9))
        assert set(out) == set(info)
        for key in set(info) - {*ARRAYS, 'factor'}:
            np.testing.assert_equal(out[key], info[key])
        for key in given:  # nor is the data set's own touched
            np.testing.assert_equal(info[key], given[key])
        out['lifting_target'][:] = 0
        assert out['keypoints_3d'].any(2).all()

    def test_results_do_not_keep_the_other_tries(self):
        out = run(build(tries=8), sample(9))
        for key in ARRAYS:
            owner = out[key]
            while isinstance(owner, np.ndarray) and owner.base is not None:
                owner = owner.base
            owned = owner.untyped_storage().nbytes() if isinstance(owner, torch.Tensor) else owner.nbytes
            assert owned == out[key].nbytes

    def test_the_same_seed_gives_the_same_sample(self, augmentor):
        transform, info = build(**augmentor), sample(5)
        first, again, other = (run(transform, info, seed) for seed in (1, 1, 2))
        for key in ARRAYS:
            np.testing.assert_array_equal(first[key], again[key])
            assert np.abs(first[key] - other[key]).max() > 0.01
        copied = run(pickle.loads(pickle.dumps(transform)), info, 1)  # as a spawned worker has it
        np.testing.assert_array_equal(first['keypoints'], copied['keypoints'])

    def test_threads_do_not_matter_and_stay_as_they_are(self, trained):
        transform, info, before = build(LEARNED, checkpoint=trained()[0]), sample(), torch.get_num_threads()
        try:
            outs = []
            for threads in (1, 2):
                torch.set_num_threads(threads)
                outs.append(run(transform, info)['keypoints'])
                assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(before)
        np.testing.assert_array_equal(*outs)

    def test_without_probability_nothing_changes(self):
        info = sample()
        assert all(build(prob=0.0)(info) is info for _ in range(20))

    def test_the_probability_is_the_share(self):
        info = sample()
        torch.manual_seed(0)
        transform = build(prob=0.3, augmentor=dict(RANDOM, depth=(5, 6)))
        share = np.mean([transform(info) is not info for _ in range(300)])
        assert 0.22 < share < 0.38


class TestPicture:
    def test_what_is_never_in_the_picture_stays_as_it_is(self):
        info = sample()
        assert build(dict(RANDOM, depth=(0.3, 0.31)))(info) is info

    def test_more_tries_find_more(self):
        info, far = sample(), dict(RANDOM, lateral=(3, 1.5), depth=(3, 5))
        torch.manual_seed(0)
        shares = [
            np.mean([transform(info) is not info for _ in range(60)]) for transform in (build(far, tries=1), build(far))
        ]
        assert shares[0] < 0.5 and shares[1] > shares[0] + 0.3

    @pytest.mark.parametrize('kind', ['random', 'learned'])
    @pytest.mark.parametrize('frames', [1, 9])
    def test_the_root_can_stay(self, kind, frames, trained):
        kwargs = dict(augmentor=RANDOM) if kind == 'random' else dict(augmentor=LEARNED, checkpoint=trained()[0])
        info = sample(frames)
        out = run(build(keep_root=True, **kwargs), info)
        middle = frames // 2
        np.testing.assert_allclose(out['keypoints_3d'][middle, 0], info['keypoints_3d'][middle, 0], atol=1e-6)
        assert np.abs(out['keypoints_3d'] - info['keypoints_3d']).max() > 0.05

    @pytest.mark.parametrize('value', [np.nan, -1.0, 0.05])
    def test_sources_behind_the_camera_or_unknown_stay_as_they_are(self, value):
        info = sample(3)
        info['lifting_target'][1, 7, 2] = value
        assert build()(info) is info

    def test_cameras_that_see_little_are_warned_of_once(self, monkeypatch):
        lines = []
        monkeypatch.setattr(module, 'print_log', lambda text, **kwargs: lines.append((text, kwargs['level'])))
        transform, info = build(dict(RANDOM, depth=(0.3, 0.31)), tries=1), sample()
        for _ in range(2 * module.LOOKED_AT):
            transform(info)
        assert len(lines) == 1 and lines[0][1] == logging.WARNING
        assert 'of 200 poses only 0 could be placed' in lines[0][0] and 'keep_root' in lines[0][0]
        transform = build()
        for _ in range(module.LOOKED_AT):
            transform(info)
        assert len(lines) == 1


class TestPose:
    def test_a_trained_augmentor_gives_what_the_network_gives(self, trained):
        path, network = trained()
        transform, info = build(LEARNED, checkpoint=path, tries=1), sample()
        out = run(transform, info, 3)
        torch.manual_seed(3)
        torch.rand(())  # whether the sample is changed
        noise = torch.randn(network.num_trunks, network.num_noise, 1).permute(2, 0, 1)
        with torch.no_grad():
            made = network(torch.from_numpy(info['lifting_target']), noise)
        np.testing.assert_array_equal(out['lifting_target'], made.rt.numpy())

    @pytest.mark.parametrize('frames', [1, 9])
    def test_fewer_joints_and_clips_follow_the_network(self, trained, frames):
        """The middle frame and the joints it knows are what the network makes of them."""
        path, network = trained('body16_3d')
        transform, info = build(dict(LEARNED, skeleton='body16_3d'), checkpoint=path, tries=1), sample(frames)
        out = run(transform, info, 3)
        torch.manual_seed(3)
        torch.rand(())
        picks = H36M.map_to(BODY16).indices
        with torch.no_grad():
            made = network(torch.from_numpy(info['keypoints_3d'][frames // 2, picks][None]))
        np.testing.assert_allclose(out['keypoints_3d'][frames // 2, picks], made.rt[0], atol=2e-5)

    def test_the_neck_moves_with_the_head(self):
        info = sample()
        out = run(build(dict(RANDOM, skeleton='body16_3d')), info)
        thorax, neck, head = (H36M.index(name) for name in ('thorax', 'neck_base', 'head'))
        gaps = [[np.linalg.norm(p[0, a] - p[0, b]) for a, b in ((thorax, neck), (neck, head), (thorax, head))]
                for p in (info['lifting_target'], out['lifting_target'])]  # fmt: skip
        ratio = np.divide(gaps[1], gaps[0])
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)

    @pytest.mark.parametrize('frames', [1, 9])
    def test_lengths_change_within_the_limit_alike_left_and_right_and_over_time(self, augmentor, frames):
        info = sample(frames)
        limit = 0.1 if augmentor['augmentor']['type'] == RANDOM['type'] else 0.2
        out = run(build(**augmentor), info)
        tree = KinematicTree(H36M)
        old, new = (tree.bones(torch.from_numpy(p)).norm(dim=-1) for p in (info['keypoints_3d'], out['keypoints_3d']))
        ratio = new / old
        assert (ratio - 1).abs().max() < limit + 1e-4 and (ratio - 1).abs().max() > 0.01
        torch.testing.assert_close(ratio, ratio[:, list(tree.twins)], rtol=0, atol=2e-4)
        torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio), rtol=0, atol=2e-4)
        assert (ratio[:, tree.bone_of('thorax')] - 1).abs().max() < 1e-4

    def test_a_clip_without_edits_moves_as_one_rigid_body(self):
        info = sample(9)
        out = run(build(dict(RANDOM, **STILL), tries=40), info)
        gaps = [
            np.linalg.norm(p.reshape(-1, 1, 3) - p.reshape(1, -1, 3), axis=-1)
            for p in (info['keypoints_3d'], out['keypoints_3d'])
        ]
        np.testing.assert_allclose(*gaps, atol=1e-4)
        assert np.abs(out['keypoints_3d'] - info['keypoints_3d']).max() > 0.1

    def test_edits_are_those_of_the_body_and_not_of_the_camera(self):
        """Frames that show one pose from other sides show one edited pose from other sides."""
        info, turns = sample(1), np.linalg.qr(np.random.default_rng(0).normal(0, 1, (5, 3, 3)))[0]
        turns *= np.linalg.det(turns)[:, None, None]
        pose = info['lifting_target'][0]
        clip = (np.einsum('tij,kj->tki', turns, pose - pose[0]) + pose[0]).astype('f4')
        points = np.zeros((5, 17, 2))
        info = sample(5, keypoints=points, keypoints_3d=clip, lifting_target=clip.copy())
        out = run(build(tries=40), info)['keypoints_3d']
        gaps = np.linalg.norm(out[:, :, None] - out[:, None], axis=-1)
        np.testing.assert_allclose(gaps, np.broadcast_to(gaps[2], gaps.shape), atol=1e-4)
        assert np.abs(gaps[0] - np.linalg.norm(pose[:, None] - pose[None], axis=-1)).max() > 0.05

    def test_motion_stays_as_smooth_as_it_was(self):
        frames = 31
        info = sample(frames)
        rng = np.random.default_rng(0)
        swing = rng.normal(0, 0.1, (17, 3)) * np.sin(np.linspace(0, 3, frames))[:, None, None]
        time = np.linspace(-0.5, 0.5, frames)[:, None, None]
        clip = (rng.normal(0, 0.3, (17, 3)) + swing + time * [0.5, 0, 0] + [0, 0, 4.5]).astype('f4')
        info.update(keypoints_3d=clip, lifting_target=clip.copy())
        steps = [
            np.linalg.norm(np.diff(c, axis=0), axis=-1).max()
            for c in (clip, run(build(tries=40), info)['keypoints_3d'])
        ]
        assert steps[1] < 2 * steps[0]


class TestErrors:
    @pytest.mark.parametrize(
        ('kwargs', 'message'),
        [
            (dict(prob=1.5), 'prob=1.5 is a probability'),
            (dict(tries=0), 'tries=0 must be a whole number'),
            (dict(min_depth=0), 'min_depth=0 is in metres'),
            (dict(augmentor=LEARNED), 'PoseAugmentor has to be trained: give `checkpoint`'),
            (dict(joints='body16_3d', augmentor=dict(RANDOM, skeleton='h36m')), 'do not hold neck_base'),
            (dict(joints='nothing'), 'no meta file'),
        ],
    )
    def test_bad_settings(self, kwargs, message):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            build(**kwargs)

    def test_other_joint_sets(self):
        with pytest.raises(
            ValueError, match=r"lifting_target \(1 or T, 16, 3\) of joint set 'body16_3d', got \(1, 17, 2\)"
        ):
            build(joints=None)(sample())
        with pytest.raises(ValueError, match='joints of this sample mirror as'):
            build()(sample(flip_indices=list(range(17))))

    def test_poses_relative_to_the_root(self):
        info = sample()
        info['lifting_target'] -= info['lifting_target'][:, :1]
        with pytest.raises(ValueError, match='relative to the root, which lies at the origin.*project them anew'):
            build()(info)

    def test_millimetres(self):
        info = sample()
        info['lifting_target'] *= 1000
        with pytest.raises(ValueError, match='spans .* where metres are expected'):
            build()(info)

    def test_clips_whose_other_frames_are_not_known(self):
        info = sample(9, 1)
        del info['keypoints_3d']
        with pytest.raises(ValueError, match=r'3D poses of all 9 frames: keypoints_3d \(9, 17, 3\), got \(0,\)'):
            build()(info)

    def test_cameras(self):
        info = sample()
        for param, message in (
            (None, 'camera_param_file'),
            ([info['camera_param']] * 2, "got list: set data_mode='top"),
        ):
            with pytest.raises(ValueError, match=message):
                build()(dict(info, camera_param=param))
        with pytest.raises(ValueError, match="no 'f' but .'h', 'w'.: give the data set a camera file"):
            build()(dict(info, camera_param=dict(w=1000, h=1000)))

    def test_distortion_may_be_missing(self):
        param = {key: value for key, value in sample()['camera_param'].items() if key not in 'kp'}
        out = run(build(), sample(camera_param=param))
        x = out['lifting_target'][0] / out['lifting_target'][0, :, 2:]
        expected = x[:, :2] * CAMERAS[1, :2] + CAMERAS[1, 2:4]
        np.testing.assert_allclose(out['keypoints'][0], expected, atol=1e-2)
