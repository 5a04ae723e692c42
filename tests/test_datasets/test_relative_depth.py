"""Depths from the root: from a sample through MMPose's pipeline to the labels of a volume, whatever moves the crop."""

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose

from mmposeda.datasets.transforms import RelativeDepth
from mmposeda.registry import TRANSFORMS
from mmposeda.structures.skeleton import Skeleton
from mmposeda.structures.volume import body_size, metric_pose

LSP = Skeleton.from_metainfo('lsp')
ROOT = ('left_hip', 'right_hip')
HIPS = list(LSP.index_all(ROOT))
FLIPS = list(LSP.flip_indices)
FOCAL, CENTRE = np.array([600.0, 600.0]), np.array([160.0, 120.0])
CODEC = dict(type='VolumePose3D', input_size=(64, 64), volume_size=(16, 16, 16))
STILL = dict(rotation=0, shear=0, translation=0, scale=(1, 1), crop_area=(1, 1))


def sample(seed=0, far=4000.0):
    """A person whose joints are bright dots."""
    rng = np.random.default_rng(seed)
    pose = rng.uniform([-400, -400, -300], [400, 400, 300], (1, 14, 3)) + [0, 0, far]
    points = pose[..., :2] / pose[..., 2:] * FOCAL * far / 4000 + CENTRE
    image = np.zeros((240, 320, 3), np.uint8)
    for x, y in points[0]:
        cv2.circle(image, (int(round(x * 16)), int(round(y * 16))), 48, (255, 255, 255), -1, shift=4)
    return dict(
        img=image,
        img_path='one.jpg',
        img_shape=(240, 320),
        bbox=np.array([[60, 20, 260, 220]], np.float32),
        bbox_score=np.ones(1, np.float32),
        keypoints=points.astype(np.float32),
        keypoints_visible=np.ones((1, 14), np.float32),
        keypoints_3d_cam=pose.astype(np.float32),
        dataset_keypoint_weights=np.ones(14, np.float32),
        flip_indices=FLIPS,
    )


def prepared(info, *steps, crop=None):
    crop = crop or dict(type='TopdownAffine', input_size=(64, 64))
    depth = dict(type='RelativeDepth', skeleton='lsp', root=ROOT)
    start = [dict(type='GetBBoxCenterScale', padding=1.0), *steps, crop, depth]
    pipeline = [*start, dict(type='GenerateTarget', encoder=CODEC), dict(type='PackPoseInputs', pack_transformed=True)]
    return Compose([TRANSFORMS.build(step) for step in pipeline])(info)


def labels(info, *steps, crop=None):
    return prepared(info, *steps, crop=crop)['data_samples'].gt_instance_labels


def affine(**ranges):
    return dict(type='TopdownRandomAffine', input_size=(64, 64), **{**STILL, **ranges})


def test_depth_and_size_are_those_of_the_camera():
    info = sample()
    pose = info['keypoints_3d_cam'].astype(np.float64)
    results = RelativeDepth('lsp', ROOT)(dict(info))
    wanted = [z - (pose[0, HIPS[0], 2] + pose[0, HIPS[1], 2]) / 2 for z in pose[0, :, 2]]
    np.testing.assert_allclose(results['relative_depth'][0], wanted, atol=1e-3)
    lengths = [np.linalg.norm(pose[0, a] - pose[0, b]) for a, b in LSP.bones]
    assert results['body_size'] == pytest.approx([np.sqrt(np.square(lengths).sum())])
    assert results['body_size'] == pytest.approx(body_size(torch.tensor(pose), LSP.bones).numpy())
    assert results['relative_depth'].dtype == results['body_size'].dtype == np.float32
    for key, value in info.items():
        np.testing.assert_array_equal(results[key], value, err_msg='what was there stays')


@pytest.mark.parametrize('root', ['head_top', ['right_hip']])
def test_one_joint_may_be_the_root(root):
    results = RelativeDepth('lsp', root)(sample())
    assert results['relative_depth'][0, LSP.index(root if isinstance(root, str) else root[0])] == 0


def test_labels_are_packed_and_the_pose_for_the_metric_too():
    info = sample()
    packed = prepared(dict(info))['data_samples']
    found = packed.gt_instance_labels
    assert found.volume_pose.shape == (1, 14, 3) and found.volume_weights.tolist() == [[1] * 14]
    assert found.body_size.shape == (1,) and found.volume_pose.dtype == torch.float32
    np.testing.assert_array_equal(packed.gt_instances.keypoints_3d_cam, info['keypoints_3d_cam'])
    places = ((info['keypoints'] - [60, 20]) * 64 / 200 + 0.5) / 64
    np.testing.assert_allclose(found.volume_pose[..., :2], places, atol=1e-5)
    depth = info['keypoints_3d_cam'][..., 2] - info['keypoints_3d_cam'][:, HIPS, 2].mean()
    np.testing.assert_allclose(found.volume_pose[..., 2], 0.5 + depth / 2000, atol=1e-5)


def test_a_test_pipeline_packs_the_pose_alone():
    steps = [dict(type='GetBBoxCenterScale'), dict(type='TopdownAffine', input_size=(64, 64))]
    steps += [dict(type='RelativeDepth', skeleton='lsp', root=ROOT), dict(type='PackPoseInputs')]
    packed = Compose([TRANSFORMS.build(step) for step in steps])(sample())['data_samples']
    assert 'keypoints_3d_cam' in packed.gt_instances and 'keypoints' in packed.gt_instances
    assert 'volume_pose' not in packed.gt_instance_labels


def test_a_flip_exchanges_the_sides_and_mirrors_the_plane():
    """About the middle of the picture; the box is mirrored with it."""
    plain, flipped = (labels(sample(), *steps) for steps in ((), (dict(type='RandomFlip', prob=1.0),)))
    wanted = plain.volume_pose[:, FLIPS].clone()
    wanted[..., 0] = 1 - wanted[..., 0]
    # the pixel that the middle of the box falls onto is rounded to another side
    torch.testing.assert_close(flipped.volume_pose, wanted, atol=1.2 / 64, rtol=0)
    torch.testing.assert_close(flipped.volume_pose[..., 1:], wanted[..., 1:], atol=1e-4, rtol=0)
    assert flipped.body_size == plain.body_size


@pytest.mark.parametrize(
    'ranges', [dict(rotation=40), dict(scale=(0.6, 0.9)), dict(translation=0.1, rotation=180)], ids=str
)
def test_places_move_with_the_picture_and_depth_stays(ranges):
    torch.manual_seed(1)
    plain = labels(sample())
    packed = prepared(sample(), crop=affine(**ranges))
    moved = packed['data_samples'].gt_instance_labels
    assert (moved.volume_pose[..., :2] - plain.volume_pose[..., :2]).abs().max() > 0.02
    seen = moved.volume_weights[0] > 0
    assert seen.sum() >= 8
    torch.testing.assert_close(moved.volume_pose[0, seen, 2], plain.volume_pose[0, seen, 2])
    assert moved.body_size == plain.body_size
    image = packed['inputs'].float().mean(0)
    for x, y in (64 * moved.volume_pose[0, seen, :2] - 0.5).round().int().tolist():
        assert image[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].max() > 60, 'there is the dot'


def test_a_turn_about_the_axis_of_view_turns_the_metric_pose():
    """A crop that turns is a camera that rolls: the pose by its labels turns, and neither grows nor leans."""
    info = sample(far=400000.0)
    plain = labels(dict(info))
    torch.manual_seed(1)
    turned = labels(dict(info), crop=affine(rotation=30))
    assert (turned.volume_pose - plain.volume_pose).abs().max() > 0.02
    poses = [
        metric_pose(x.volume_pose[..., :2], 2000 * x.volume_pose[..., 2], x.body_size, LSP.bones, HIPS)[0]
        for x in (plain, turned)
    ]
    true = torch.tensor(info['keypoints_3d_cam'][0] - info['keypoints_3d_cam'][0, HIPS].mean(0))
    torch.testing.assert_close(poses[0], true, atol=2, rtol=2e-2)
    u, _, v = torch.linalg.svd(poses[0][:, :2].T @ poses[1][:, :2])
    torch.testing.assert_close(poses[0][:, :2] @ (u @ v), poses[1][:, :2], atol=2, rtol=2e-2)
    torch.testing.assert_close(poses[0][:, 2], poses[1][:, 2], atol=0.5, rtol=0)


@pytest.mark.parametrize('lacking', [0.0, np.nan])
def test_joints_that_the_labels_lack_have_no_depth_and_leave_the_size_open(lacking):
    info = sample()
    info['keypoints_3d_cam'][0, LSP.index('head_top')] = lacking
    results = RelativeDepth('lsp', ROOT)(dict(info))
    assert np.isnan(results['relative_depth'][0]).tolist() == [name == 'head_top' for name in LSP.joint_names]
    assert np.isnan(results['body_size']).all()
    found = labels(info)
    assert found.volume_weights.sum() == 13 and found.volume_pose.isfinite().all()
    whole = labels(sample())
    assert torch.equal(found.volume_pose[found.volume_weights > 0], whole.volume_pose[found.volume_weights > 0])


@pytest.mark.parametrize(
    'change, error, message',
    [
        (lambda s: s.pop('keypoints_3d_cam'), KeyError, "RelativeDepth needs 'keypoints_3d_cam': take a data set with"),
        (lambda s: s.update(keypoints_3d_cam=np.ones((1, 13, 3))), ValueError, r'must be \(1, 14, 3\)'),
        (
            lambda s: s.update(keypoints_3d_cam=np.ones((1, 16, 3)), keypoints=np.ones((1, 16, 2))),
            ValueError,
            "for the 14 joints of 'lsp', the sample has 16: name the joint set of the data",
        ),
        (
            lambda s: s['keypoints_3d_cam'].__setitem__((0, HIPS[0]), 0),
            ValueError,
            r'labels of one.jpg lack the root \(left_hip, right_hip\): name another root',
        ),
        (lambda s: s['keypoints_3d_cam'].__setitem__((0, HIPS[1], 2), np.nan), ValueError, 'lack the root'),
    ],
)
def test_bad_samples_are_named(change, error, message):
    info = sample()
    change(info)
    with pytest.raises(error, match=message):
        RelativeDepth('lsp', ROOT)(info)


def test_a_root_that_the_joint_set_lacks_is_refused_when_built():
    with pytest.raises(KeyError, match="has no joint 'pelvis'; it has right_ankle"):
        RelativeDepth('lsp', 'pelvis')
