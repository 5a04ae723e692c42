import numpy as np
import pytest
from mmcv.transforms import Compose
from mmengine.registry import init_default_scope

from mmposeda.datasets.transforms.screen_pose import camera_pose, stretch
from mmposeda.registry import TRANSFORMS

FOCAL, CENTRE, K = np.array([600.0, 600.0]), np.array([160.0, 120.0]), 6
CODEC = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmposeda')


def sample(seed=0):
    rng = np.random.default_rng(seed)
    pose = rng.uniform(-400, 400, (1, K, 3)) + [0, 0, 4000]
    points = pose[..., :2] / pose[..., 2:] * FOCAL + CENTRE
    return dict(
        img=np.zeros((240, 320, 3), np.uint8),
        img_shape=(240, 320),
        bbox=np.array([[60, 20, 260, 220]], np.float32),
        bbox_score=np.ones(1, np.float32),
        keypoints=points.astype(np.float32),
        keypoints_visible=np.ones((1, K), np.float32),
        keypoints_3d_cam=pose.astype(np.float32),
        camera=dict(f=FOCAL, c=CENTRE),
        flip_indices=[1, 0, 3, 2, 4, 5],
    )


def packed(info, *steps, crop=None):
    crop = crop or dict(type='TopdownAffine', input_size=(64, 64))
    steps = [dict(type='GetBBoxCenterScale', padding=1.0), *steps, crop, dict(type='GenerateTarget', encoder=CODEC)]
    pipeline = [*steps, dict(type='ScreenPose'), dict(type='PackPoseInputs')]
    return Compose([TRANSFORMS.build(step) for step in pipeline])(info)['data_samples'].gt_instance_labels


def test_depth_is_in_pixels_of_the_input():
    """Seen from far, a pose of known size is as deep in pixels as a pose of that size across is wide."""
    info = sample()
    info['keypoints_3d_cam'] += np.float32([0, 0, 1e6])
    middle = info['keypoints_3d_cam'][..., 2].mean()
    labels = packed(dict(info)).screen_pose.numpy()
    across = info['keypoints_3d_cam'][..., 2] - middle  # mm
    np.testing.assert_allclose(labels[..., 2], across * 600 / middle * 64 / 200, rtol=1e-4, atol=1e-6)


def test_places_are_those_of_the_crop_and_the_heatmap_labels_stay():
    labels = packed(sample())
    assert labels.screen_pose.shape == (1, K, 4) and labels.keypoint_weights.shape == (1, K)
    points = (sample()['keypoints'] - [60, 20]) * 64 / 200
    np.testing.assert_allclose(labels.screen_pose[..., :2], points, atol=0.2)


def test_a_flip_exchanges_the_sides():
    plain = packed(sample()).screen_pose
    flipped = packed(sample(), dict(type='RandomFlip', prob=1.0)).screen_pose
    order = sample()['flip_indices']
    np.testing.assert_allclose(flipped[..., 2], plain[:, order, 2], rtol=1e-5)
    np.testing.assert_allclose(flipped[..., 1], plain[:, order, 1], atol=1e-3)


@pytest.mark.parametrize('rotation', [0, 90])
def test_depth_grows_with_the_crop_whatever_its_angle(rotation):
    def ranges(scale):
        given = dict(rotation=0, shear=0, translation=0, crop_area=(1, 1), scale=(scale, scale))
        return dict(type='TopdownRandomAffine', input_size=(64, 64), **given)

    turn = dict(type='RandomBBoxTransform', shift_prob=0, scale_factor=(1, 1), rotate_factor=rotation, rotate_prob=1.0)
    plain, turned = packed(sample()).screen_pose, packed(sample(), turn).screen_pose
    grown = packed(sample(), crop=ranges(1.5)).screen_pose
    np.testing.assert_allclose(turned[..., 2], plain[..., 2], rtol=2e-3)
    np.testing.assert_allclose(grown[..., 2], 1.5 * plain[..., 2], rtol=2e-2)


def test_joints_outside_or_unseen_do_not_count():
    info = sample()
    info['keypoints'][0, 0] = [5, 5]
    info['keypoints_visible'][0, 1] = 0
    assert packed(info).screen_pose[0, :, 3].tolist() == [0, 0, 1, 1, 1, 1]


def test_3d_labels_follow_a_flip_for_every_transform():
    info = sample()
    pose = info['keypoints_3d_cam']
    np.testing.assert_array_equal(camera_pose(info, 'any'), pose)
    np.testing.assert_array_equal(camera_pose(dict(info, flip=False), 'any'), pose)
    np.testing.assert_array_equal(camera_pose(dict(info, flip=True), 'any'), pose[:, info['flip_indices']])
    assert camera_pose(info, 'any').dtype == np.float64
    with pytest.raises(KeyError, match="SomeTransform needs 'keypoints_3d_cam'"):
        camera_pose(dict(keypoints=info['keypoints']), 'SomeTransform')


def test_stretch_is_the_root_of_the_area_factor():
    rng = np.random.default_rng(0)
    points, linear = rng.normal(size=(5, 9, 2)), rng.normal(size=(5, 2, 2))
    moved = np.einsum('nij,nkj->nki', linear, points) + 3
    np.testing.assert_allclose(stretch(points, moved), np.sqrt(np.abs(np.linalg.det(linear))))
    line = np.linspace(0, 1, 9)[:, None] * np.array([3.0, 4.0])
    np.testing.assert_allclose(stretch(line[None], 2.5 * line[None] + 1), 2.5)
    assert stretch(np.zeros((1, 4, 2)), np.ones((1, 4, 2))) == 1


@pytest.mark.parametrize(
    'change, error, message',
    [
        (lambda s: s.pop('camera'), KeyError, "needs 'camera': take a data set with 3D labels"),
        (lambda s: s.pop('keypoints_3d_cam'), KeyError, "needs 'keypoints_3d_cam'"),
        (lambda s: s.update(keypoints_3d_cam=np.ones((1, 4, 3))), ValueError, r'must be \(1, 6, 3\)'),
        (lambda s: s['keypoints_3d_cam'].__imul__(-1), ValueError, 'not before the camera'),
    ],
)
def test_bad_samples_are_named(change, error, message):
    info = sample()
    change(info)
    with pytest.raises(error, match=message):
        packed(info)
