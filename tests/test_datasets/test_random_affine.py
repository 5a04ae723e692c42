"""The pipeline's random view moves picture and joints together and agrees with MMPose's crop."""

import numpy as np
import pytest
import torch
from mmpose.datasets.transforms import TopdownAffine

from mmposeda.datasets.transforms import TopdownRandomAffine


def sample(points, size=(200, 150)):
    image = np.zeros((size[1], size[0], 3), np.uint8)
    for i, (x, y) in enumerate(points):
        image[y - 2 : y + 3, x - 2 : x + 3, i] = 255
    return dict(
        img=image,
        bbox_center=np.array([[100.0, 75.0]], np.float32),
        bbox_scale=np.array([[120.0, 90.0]], np.float32),
        bbox_rotation=np.zeros(1, np.float32),
        keypoints=np.array([points], np.float32),
        keypoints_visible=np.ones((1, len(points)), np.float32),
    )


def test_without_ranges_it_is_mmpose_topdown_affine():
    points = [(90, 70), (110, 80), (100, 60)]
    ours = TopdownRandomAffine((128, 128)).transform(sample(points))
    theirs = TopdownAffine((128, 128)).transform(sample(points))
    np.testing.assert_allclose(ours['transformed_keypoints'], theirs['transformed_keypoints'], atol=1e-3)
    np.testing.assert_allclose(ours['input_scale'], theirs['input_scale'], atol=1e-3)
    assert np.abs(ours['img'].astype(int) - theirs['img']).mean() < 0.5


def test_joints_follow_painted_pixels():
    torch.manual_seed(0)
    transform = TopdownRandomAffine((160, 128), rotation=60, shear=30, translation=0.05, scale=[0.8, 1.3])
    for _ in range(10):
        out = transform.transform(sample([(90, 70), (110, 80), (100, 60)]))
        for channel, point in enumerate(out['transformed_keypoints'][0]):
            rows, columns = np.nonzero(out['img'][..., channel])
            if not (8 < point[0] < 152 and 8 < point[1] < 120):
                continue
            weights = out['img'][rows, columns, channel].astype(float)
            centre = np.average(columns, weights=weights), np.average(rows, weights=weights)
            assert np.abs(np.array(centre) - point).max() < 0.5


def test_the_same_seed_gives_the_same_view():
    transform = TopdownRandomAffine((64, 64), rotation=60, scale=(0.6, 1.3), crop_area=(0.6, 1.0))
    out = []
    for _ in range(2):
        torch.manual_seed(7)
        out.append(transform.transform(sample([(90, 70)]))['img'])
    assert np.array_equal(*out)


def test_target_samples_without_keypoints_pass():
    target = sample([(90, 70)])
    del target['keypoints']
    assert 'transformed_keypoints' not in TopdownRandomAffine((64, 64)).transform(target)


def test_unknown_range_is_refused():
    with pytest.raises(TypeError, match='rotate'):
        TopdownRandomAffine((64, 64), rotate=30)
