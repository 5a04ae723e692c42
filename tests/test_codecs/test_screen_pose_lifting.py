"""Screen units and root-relative targets against their formulas, there and back, and MMPose's codec."""

import numpy as np
import pytest
import torch
from mmpose.codecs import VideoPoseLifting

from mmposeda.codecs import ScreenPoseLifting
from mmposeda.registry import KEYPOINT_CODECS

CAMERA = dict(w=1000, h=1002)


def sample(joints=16, frames=1, seed=0):
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform(0, 1000, (frames, joints, 2)).astype(np.float32)
    return keypoints, np.ones((frames, joints), np.float32), rng.normal(0, 1, (1, joints, 3)).astype(np.float32)


def encode(codec, camera=CAMERA, **kwargs):
    keypoints, visible, target = sample(codec.num_keypoints)
    seen = np.ones(target.shape[:2], np.float32)
    given = dict(keypoints=keypoints, keypoints_visible=visible, lifting_target=target, lifting_target_visible=seen)
    return codec.encode(**{**given, 'camera_param': camera, **kwargs})


def test_corners_of_the_picture_are_the_ends_of_the_screen():
    codec = ScreenPoseLifting()
    corners = np.zeros((1, 16, 2), np.float32)
    corners[0, 1], corners[0, 2], corners[0, 3] = (1000, 1002), (500, 501), (250, 0)
    labels = encode(codec, keypoints=corners)['keypoint_labels'].reshape(16, 2)
    wanted = [[-1, -1.002], [1, 1.002], [0, 0], [-0.5, -1.002]]
    np.testing.assert_allclose(labels[:4], wanted, atol=1e-6)


def test_pixels_come_back_from_the_packed_labels():
    keypoints, _, _ = sample(frames=5)
    labels = encode(ScreenPoseLifting(), keypoints=keypoints, keypoints_visible=np.ones((5, 16)))['keypoint_labels']
    assert labels.shape == (32, 5) and labels.dtype == np.float32
    back = (labels.reshape(16, 2, 5).transpose(2, 0, 1) + (1, 1.002)) * 500
    np.testing.assert_allclose(back, keypoints, atol=1e-3)


@pytest.mark.parametrize('joints', ['body16_3d', 'h36m', 'mpi_inf_3dhp'])
@pytest.mark.parametrize('remove_root', [False, True])
def test_target_comes_back_where_its_root_is_given(joints, remove_root):
    codec = ScreenPoseLifting(joints, remove_root)
    encoded = encode(codec)
    label, root = encoded['lifting_target_label'], codec.skeleton.parents.index(-1)
    _, _, target = sample(codec.num_keypoints)
    assert label.shape == encoded['lifting_target_weight'].shape + (3,)
    assert label.shape[1] == codec.num_keypoints - remove_root
    relative, scores = codec.decode(label)
    np.testing.assert_allclose(relative, target - target[:, root : root + 1], atol=1e-6)
    np.testing.assert_allclose(codec.decode(label, encoded['target_root'])[0], target, atol=1e-6)
    assert scores.shape == (1, codec.num_keypoints) and (scores == 1).all()


@pytest.mark.parametrize('remove_root', [False, True])
def test_batches_decode_as_samples_do(remove_root):
    codec = ScreenPoseLifting('h36m', remove_root)
    poses, roots = torch.randn(5, 17 - remove_root, 3), torch.randn(5, 1, 3)
    for given in ((poses,), (poses, roots), (poses, torch.empty(5, 0))):
        together, scores = codec.batch_decode(*given)
        assert len(together) == len(scores) == 5
        for i in range(5):
            alone = codec.decode(*(part[i : i + 1].numpy() for part in given))
            np.testing.assert_array_equal(together[i], alone[0])
            assert scores[i].shape == (1, 17)


def test_labels_are_those_of_mmpose():
    ours, theirs = encode(ScreenPoseLifting('h36m')), encode(VideoPoseLifting(17, root_index=0))
    for key in ('keypoint_labels', 'lifting_target_label', 'lifting_target_weight', 'target_root'):
        np.testing.assert_array_equal(ours[key], theirs[key])


def test_what_is_given_stays_as_it_was():
    keypoints, _, target = sample()
    before = keypoints.copy(), target.copy()
    encode(ScreenPoseLifting(remove_root=True), keypoints=keypoints, lifting_target=target)
    assert np.array_equal(keypoints, before[0]) and np.array_equal(target, before[1])


def test_visibility_may_have_an_axis_more_or_be_missing():
    seen = np.ones((1, 16, 1))
    seen[0, 3] = 0
    weight = encode(ScreenPoseLifting(), lifting_target_visible=seen)['lifting_target_weight']
    assert weight.shape == (1, 16) and weight.sum() == 15 and weight[0, 3] == 0
    assert encode(ScreenPoseLifting(), lifting_target_visible=None)['lifting_target_weight'].sum() == 16


def test_half_size_pictures_give_the_same_labels():
    codec = ScreenPoseLifting()
    keypoints = sample()[0]
    labels = encode(codec)['keypoint_labels']
    half = encode(codec, camera=dict(w=500, h=501), keypoints=keypoints / 2)['keypoint_labels']
    np.testing.assert_allclose(half, labels, atol=1e-6)


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(keypoints=np.zeros((1, 17, 2))), r'16 joints of body16_3d .* got \(1, 17, 2\)'),
        (dict(keypoints=np.zeros((16, 2))), r'got \(16, 2\)'),
        (dict(lifting_target=None), 'without lifting_target'),
        (dict(lifting_target=np.zeros((1, 17, 3))), r'lifting_target must be .* got \(1, 17, 3\)'),
        (dict(camera_param=None), 'camera_param, w and h'),
        (dict(camera_param=dict(w=1000)), r'got \[1000, None\]'),
        (dict(camera_param=dict(w=1000, h=0)), r'got \[1000, 0\]'),
    ],
)
def test_bad_samples_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        encode(ScreenPoseLifting(), **kwargs)


def test_is_found_by_name():
    assert KEYPOINT_CODECS.build(dict(type='ScreenPoseLifting', skeleton='h36m')).num_keypoints == 17
