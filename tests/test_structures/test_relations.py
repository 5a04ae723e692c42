"""Relations of poses and motions, on joints and on pictures."""

import pytest
import torch

from mmposeda.structures.local_pose import LocalPose
from mmposeda.structures.relations import Relation, centre_crop
from mmposeda.structures.skeleton import Skeleton

SKELETON = Skeleton.from_metainfo('nlrd17')
FLIPS = SKELETON.flip_indices


def apply(name, clip):
    """The positive of a window (B, T, J, 3) as the joints' side has it."""
    relation = Relation.parse(name)
    return relation.joints(relation.positive(clip), FLIPS)


@pytest.fixture
def clip():
    generator = torch.Generator().manual_seed(0)
    pose = torch.randn(3, 8, 17, 3, generator=generator, dtype=torch.float64)
    return pose - pose[:, :, :1]


@pytest.mark.parametrize('name', ['flip', 'flip_inplane(50)', 'flip_backward', 'flip_inplane_backward(50)', 'backward'])
def test_involutions(clip, name):
    torch.testing.assert_close(apply(name, apply(name, clip)), clip, atol=1e-12, rtol=0)


def test_flipping_twice_is_exact(clip):
    assert torch.equal(apply('flip', apply('flip', clip)), clip)


def test_turning_back_and_flipping_on_the_other_side(clip):
    torch.testing.assert_close(apply('inplane(-35)', apply('inplane(35)', clip)), clip, atol=1e-12, rtol=0)
    torch.testing.assert_close(
        apply('flip', apply('inplane(35)', clip)), apply('inplane(-35)', apply('flip', clip)), atol=1e-12, rtol=0
    )
    torch.testing.assert_close(
        apply('flip', apply('inplane(35)', clip)), apply('flip_inplane(35)', clip), atol=1e-12, rtol=0
    )


def test_the_turn_is_clockwise_on_the_screen():
    right = torch.zeros(1, 17, 3)
    right[..., 0] = 1
    down = Relation.parse('inplane(90)').joints(right, FLIPS)
    torch.testing.assert_close(down[0, 0], torch.tensor([0.0, 1, 0]), atol=1e-6, rtol=0)


def test_the_slow_replay_is_the_middle_of_the_window_in_reverse():
    frames = torch.arange(60)[None]
    slow = Relation.parse('slow_backward')
    anchor, positive = slow.anchor(frames)[0], slow.positive(frames)[0]
    assert anchor.tolist() == list(range(0, 60, 2))
    assert positive.tolist() == list(range(44, 14, -1))
    assert all(positive[2 * j] == anchor[22 - j] for j in range(15))
    assert slow.window(30) == 60
    assert not torch.equal(slow.positive(torch.cat([frames] * 2, 1))[0, :30], anchor)


@pytest.mark.parametrize('name', ['flip', 'inplane(30)', 'identity'])
def test_relations_of_poses_leave_time_as_it_is(name):
    frames, relation = torch.arange(30)[None], Relation.parse(name)
    assert relation.level == 'pose'
    assert relation.window(30) == 30
    assert torch.equal(relation.anchor(frames), frames)
    assert torch.equal(relation.positive(frames), frames)


def test_flipping_and_re_posing_commute(clip):
    kinematics = LocalPose(SKELETON).double()
    for name in ('flip', 'inplane(70)', 'flip_inplane(50)'):
        torch.testing.assert_close(
            apply(name, kinematics.canonical(clip)), kinematics.canonical(apply(name, clip)), atol=1e-9, rtol=0
        )


def blobs(points, size):
    """Pictures (K, 1, size, size) of one Gaussian dot a point (K, 2), index coordinates."""
    grid = torch.arange(size).float()
    x, y = (torch.exp(-((grid - p[:, None]) ** 2) / 8) for p in points.unbind(-1))
    return (y[:, :, None] * x[:, None, :])[:, None]


def centres(pictures):
    """Centre of mass (K, 2)."""
    mass = pictures[:, 0] / pictures[:, 0].sum((-2, -1), keepdim=True)
    grid = torch.arange(pictures.shape[-1]).float()
    return torch.stack([(mass.sum(-2) * grid).sum(-1), (mass.sum(-1) * grid).sum(-1)], -1)


@pytest.mark.parametrize('name', ['flip', 'inplane(50)', 'inplane(-20)', 'flip_inplane(50)', 'identity'])
@pytest.mark.parametrize('cut', [None, 64])
def test_pictures_show_what_happens_to_the_joints(name, cut):
    """Orthographic pictures of the related pose are the related pictures of the pose."""
    size, relation = 96, Relation.parse(name)
    pose = torch.randn(17, 3, generator=torch.Generator().manual_seed(1)).clamp(-1.5, 1.5) * 12
    pose[0] = 0
    # each joint alone in a picture; the mirrored joint is where its twin's picture says
    shown = relation.pixels(blobs(pose[:, :2] + (size - 1) / 2, size), cut)
    side = cut or size
    assert shown.shape[-2:] == (side, side)
    related = relation.joints(pose, FLIPS)[..., :2] + (side - 1) / 2
    order = list(FLIPS) if relation.flip else list(range(17))
    torch.testing.assert_close(centres(shown)[order], related, atol=0.05, rtol=0)


def test_corners_of_turned_pictures_go_on_with_the_edge():
    picture = torch.full((1, 3, 32, 32), 0.7)
    torch.testing.assert_close(Relation.parse('inplane(45)').pixels(picture), picture)


def test_a_margin_fills_the_corners():
    picture = torch.rand(1, 3, 64, 64)
    turned = Relation.parse('inplane(90)').pixels(picture, 32)
    torch.testing.assert_close(turned, centre_crop(picture, 32).rot90(-1, (-2, -1)), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    'name', ['', 'flop', 'inplane', 'inplane(x)', 'flipbackward', 'flip_', '_backward', 'backward_flip']
)
def test_unknown_names(name):
    with pytest.raises(ValueError, match='is none of flip, inplane'):
        Relation.parse(name)


def test_windows_that_have_no_middle_half():
    slow = Relation.parse('slow_backward')
    with pytest.raises(ValueError, match='even length, got 15'):
        slow.window(15)
    with pytest.raises(ValueError, match='multiple of 4 frames, got 30'):
        slow.anchor(torch.zeros(1, 30))
    with pytest.raises(ValueError, match='no square of 40 pixels'):
        centre_crop(torch.zeros(1, 3, 32, 32), 40)
