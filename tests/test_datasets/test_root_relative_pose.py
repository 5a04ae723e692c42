"""Poses from their root, as the crop shows them."""

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose

from mmposeda.datasets.transforms import RootRelativePose
from mmposeda.structures.relations import Relation
from mmposeda.structures.skeleton import Skeleton

SKELETON = Skeleton.from_metainfo('nlrd15')
FLIPS = list(SKELETON.flip_indices)


def sample(seed=0, missing=()):
    """A person far away, so that the picture is nearly orthographic, 100 px a metre."""
    rng = np.random.default_rng(seed)
    pose = rng.normal(size=(1, 15, 3)) * 300
    pose[:, 0] = 0
    pose += [0.0, 0.0, 1e7]
    points = pose[..., :2] / 10 + 80
    for joint in missing:
        pose[:, joint] = 0
    return dict(
        img=np.zeros((160, 160, 3), np.uint8),
        img_path='person.jpg',
        img_shape=(160, 160),
        keypoints=points.astype(np.float32),
        keypoints_visible=np.ones((1, 15), np.float32),
        keypoints_3d_cam=pose,
        bbox=np.array([[0, 0, 160, 160]], np.float32),
        flip_indices=FLIPS,
    )


def crop(*before, **affine):
    return Compose(
        [
            *before,
            dict(type='GetBBoxCenterScale', padding=1.0),
            dict(type='TopdownRandomAffine', input_size=(128, 128), **affine),
            dict(type='RootRelativePose', skeleton='nlrd15'),
        ]
    )


@pytest.mark.parametrize('flip', [0.0, 1.0])
@pytest.mark.parametrize('seed', range(4))
def test_labels_are_what_the_crop_shows(flip, seed):
    """The orthographic picture of the labels is that of the crop's joints, up to scale."""
    torch.manual_seed(seed)
    pipeline = crop(dict(type='RandomFlip', prob=flip), rotation=80, scale=(0.7, 1.2), translation=0.1)
    results = pipeline(sample(seed))
    pose, points = results['root_pose'][0, :, :2], results['transformed_keypoints'][0]
    points = points - points[0]
    scale = np.linalg.norm(points) / np.linalg.norm(pose)
    np.testing.assert_allclose(pose * scale, points, atol=0.05)
    assert (results['root_pose_weights'] == 1).all()


def test_a_flip_and_the_turn_are_the_relations():
    """The same pose before the still crop, mirrored and turned by the relation."""
    still = crop()(sample())['root_pose']
    mirrored = crop(dict(type='RandomFlip', prob=1.0))(sample())['root_pose']
    wanted = Relation.parse('flip').joints(torch.from_numpy(still), FLIPS)
    np.testing.assert_allclose(mirrored, wanted, atol=0.5)


def test_still_crops_keep_the_pose():
    before = sample()
    results = crop()(dict(before))
    wanted = before['keypoints_3d_cam'] - before['keypoints_3d_cam'][:, :1]
    np.testing.assert_allclose(results['root_pose'], wanted, atol=1e-2)
    np.testing.assert_allclose(results['keypoints_3d_cam'], before['keypoints_3d_cam'], atol=1)


def test_joints_that_are_lacking():
    results = crop(rotation=40)(sample(missing=[4, 7]))
    assert results['root_pose_weights'][0].tolist() == [float(j not in (4, 7)) for j in range(15)]
    assert (results['root_pose'][0, [4, 7]] == 0).all()
    assert (results['keypoints_3d_cam'][0, [4, 7]] == 0).all()


def test_packed_for_loss_and_metric():
    pipeline = Compose([crop(), dict(type='PackPoseInputs')])
    packed = pipeline(sample())['data_samples']
    assert packed.gt_instance_labels.root_pose.shape == (1, 15, 3)
    assert packed.gt_instance_labels.root_pose_weights.shape == (1, 15)
    assert packed.gt_instances.keypoints_3d_cam.shape == (1, 15, 3)


def test_what_is_refused():
    transform = RootRelativePose('nlrd15')
    with pytest.raises(KeyError, match='keypoints_3d_cam'):
        transform(dict(keypoints=np.zeros((1, 15, 2))))
    with pytest.raises(KeyError, match='behind the crop'):
        transform(sample())
    with pytest.raises(ValueError, match='lack the root, pelvis'):
        crop()(sample(missing=[0]))
    with pytest.raises(ValueError, match="17 joints of 'nlrd17', the sample has 15"):
        RootRelativePose('nlrd17')(sample())
