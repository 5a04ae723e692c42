"""Places in the crop's volume: their formula, there and back, and what has no weight."""

import numpy as np
import pytest
from mmpose.datasets.transforms import GenerateTarget

from mmposeda.codecs import VolumePose3D
from mmposeda.registry import KEYPOINT_CODECS

SIZE = (64, 48)


def build(**kwargs):
    return KEYPOINT_CODECS.build(dict(type='VolumePose3D', input_size=SIZE, volume_size=(16, 12, 8), **kwargs))


def labels(joints=14, seed=0, reach=900):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, [SIZE[0] - 1, SIZE[1] - 1], (1, joints, 2)).astype(np.float32)
    return points, rng.uniform(-reach, reach, (1, joints)).astype(np.float32), np.float32([1500])


def encode(codec, points, depth, size=(1500.0,), visible=None):
    visible = np.ones(points.shape[:2], np.float32) if visible is None else visible
    return codec.encode(points, visible, relative_depth=depth, body_size=np.float32(size))


@pytest.mark.parametrize('reach', [1000.0, 200.0])
def test_joints_come_back(reach):
    codec = build(depth_range=reach)
    points, depth, size = labels(reach=0.9 * reach)
    encoded = encode(codec, points, depth, size)
    assert encoded['volume_pose'].dtype == encoded['volume_weights'].dtype == np.float32
    assert (encoded['volume_weights'] == 1).all() and encoded['body_size'].tolist() == [1500]
    joints, scores = codec.decode(encoded['volume_pose'])
    np.testing.assert_allclose(joints, np.concatenate([points, depth[..., None]], -1), atol=1e-3)
    assert scores.shape == (1, 14) and (scores == 1).all()


def test_places_are_shares_of_the_crop_from_edge_to_edge():
    points = np.float32([[[-0.5, -0.5], [63.5, 47.5], [31.5, 23.5], [0, 0]]])
    encoded = encode(build(depth_range=200), points, np.float32([[-200, 200, 0, 50]]))
    wanted = [[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [0.5 / 64, 0.5 / 48, 0.625]]
    np.testing.assert_allclose(encoded['volume_pose'][0], wanted, atol=1e-6)
    assert (encoded['volume_weights'] == 1).all()


def test_bins_are_the_heads():
    """Bin i of n stands for the place that decoding puts into the middle of its share of the crop."""
    codec = build()
    centres = np.stack([np.linspace(0.5, 15.5, 16) / 16, np.full(16, 0.5), np.full(16, 0.5)], -1)
    joints, _ = codec.decode(centres[None])
    np.testing.assert_allclose(joints[0, :, 0], 4 * np.arange(16) + 1.5)  # 4 pixels a bin, the first has 0 to 3


def test_what_lies_outside_or_is_not_known_has_no_weight():
    points, depth, _ = labels(8)
    points[0, 0, 0], points[0, 1, 1], depth[0, 2], depth[0, 3], points[0, 4] = -0.6, 47.6, 1001, -1001, np.nan
    depth[0, 5] = np.nan
    visible = np.ones((1, 8))
    visible[0, 6] = 0
    encoded = encode(build(), points, depth, visible=visible)
    assert encoded['volume_weights'][0].tolist() == [0] * 7 + [1]
    assert (encoded['volume_pose'][0, :7] == 0.5).all() and np.isfinite(encoded['volume_pose']).all()


def test_visibility_may_be_left_out():
    points, depth, size = labels(4)
    assert (build().encode(points, relative_depth=depth, body_size=size)['volume_weights'] == 1).all()


def test_half_precision_predictions_decode():
    joints, _ = build().decode(np.full((2, 14, 3), 0.5, np.float16))
    assert joints.shape == (2, 14, 3) and np.isfinite(joints).all()


def test_targets_are_made_in_mmposes_pipeline():
    points, depth, size = labels()
    results = dict(
        keypoints=points + 100,
        transformed_keypoints=points,
        keypoints_visible=np.ones((1, 14), np.float32),
        relative_depth=depth,
        body_size=size,
        dataset_keypoint_weights=np.ones(14, np.float32),
    )
    codec = dict(type='VolumePose3D', input_size=SIZE)
    got = GenerateTarget(encoder=codec)(results)
    assert got['label_mapping_table'] == VolumePose3D.label_mapping_table
    np.testing.assert_array_equal(got['volume_pose'], encode(build(), points, depth)['volume_pose'])


def test_labels_without_depth_name_the_transform():
    points, depth, size = labels()
    for known in (dict(), dict(relative_depth=depth), dict(body_size=size)):
        with pytest.raises(ValueError, match='RelativeDepth before GenerateTarget'):
            build().encode(points, **known)


@pytest.mark.parametrize(
    'bad, message',
    [
        (dict(input_size=(64, 0)), 'positive'),
        (dict(volume_size=(16, 12, -8)), 'positive'),
        (dict(depth_range=0), 'positive'),
        (dict(volume_size=(16, 12)), r'volume_size \(W, H, D\), got .*\(16, 12\)'),
        (dict(input_size=(64, 64, 64)), r'input_size is \(w, h\)'),
    ],
)
def test_bad_sizes_are_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        VolumePose3D(**{**dict(input_size=SIZE), **bad})
