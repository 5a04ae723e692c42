"""Random views of motions."""

import pytest
import torch

from mmposeda.models.motion_views import MotionViews
from mmposeda.structures.local_pose import LocalPose
from mmposeda.structures.relations import Relation
from mmposeda.structures.skeleton import Skeleton

SKELETON = Skeleton.from_metainfo('nlrd15')
STILL = dict(azimuth=0.0, elevation=0.0, tilt=0.0, flip=0.0)


def clips(count=50, frames=4):
    pose = torch.randn(count, frames, 15, 3, generator=torch.Generator().manual_seed(0))
    return pose - pose[:, :, :1]


def test_without_ranges_nothing_changes():
    torch.testing.assert_close(MotionViews(SKELETON, **STILL)(clips()), clips())


def test_a_clip_has_one_view():
    """The same turn in all frames: inner products between frames stay."""
    torch.manual_seed(0)
    before = clips()
    after = MotionViews(SKELETON, elevation=30.0, flip=0.0)(before)

    def products(x):
        return torch.einsum('btjc,buic->btjui', x, x)

    torch.testing.assert_close(products(after), products(before), atol=1e-4, rtol=0)
    assert (after - before).abs().amax((1, 2, 3)).min() > 1e-2


def test_the_vertical_stays_under_an_azimuth():
    torch.manual_seed(0)
    after = MotionViews(SKELETON, **{**STILL, 'azimuth': 180.0})(clips())
    torch.testing.assert_close(after[..., 1], clips()[..., 1])


def test_the_optical_axis_stays_under_a_tilt_within_its_range():
    torch.manual_seed(0)
    up = torch.zeros(500, 15, 3)
    up[..., 1] = -1.0
    after = MotionViews(SKELETON, **{**STILL, 'tilt': 20.0})(up)
    torch.testing.assert_close(after[..., 2], up[..., 2])
    angles = torch.rad2deg(torch.atan2(after[:, 1, 0], -after[:, 1, 1]))
    assert 18 < angles.max() <= 20.01
    assert -20.01 <= angles.min() < -18


def test_the_elevation_comes_after_the_azimuth():
    torch.manual_seed(0)
    up = torch.zeros(100, 15, 3)
    up[..., 1] = -1.0
    after = MotionViews(SKELETON, **{**STILL, 'azimuth': 180.0, 'elevation': 30.0})(up)
    torch.testing.assert_close(after[..., 0], torch.zeros(100, 15), atol=1e-6, rtol=0)
    assert after[..., 2].abs().max() > 0.4


def test_mirrored_ones_are_the_relation_s():
    before = clips()
    after = MotionViews(SKELETON, **{**STILL, 'flip': 1.0})(before)
    torch.testing.assert_close(after, Relation.parse('flip').joints(before, SKELETON.flip_indices))
    torch.manual_seed(0)
    half = MotionViews(SKELETON, **{**STILL, 'flip': 0.5})(clips(1000))
    assert 0.4 < (half != clips(1000)).flatten(1).any(1).float().mean() < 0.6


def test_views_change_the_torso_s_local_vectors_alone():
    kinematics = LocalPose(SKELETON)
    torch.manual_seed(0)
    before, after = clips(), MotionViews(SKELETON, elevation=20.0, flip=0.0)(clips())
    limbs = SKELETON.index_all(['left_wrist', 'right_knee', 'head_top', 'left_shoulder'])
    difference = (kinematics.local(after) - kinematics.local(before))[..., limbs, :]
    assert difference.abs().flatten().quantile(0.99) < 1e-3


def test_poses_without_time():
    assert MotionViews(SKELETON)(clips()[:, 0]).shape == (50, 15, 3)


@pytest.mark.parametrize('bad', [dict(tilt=-1.0), dict(flip=1.5)])
def test_ranges_that_are_none(bad):
    with pytest.raises(ValueError, match='must not be negative'):
        MotionViews(SKELETON, **bad)
