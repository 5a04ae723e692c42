"""Fields and masks against closed forms, and what the estimator refuses."""

import pytest
import torch

from mmposeda.models.networks import WarpEstimator
from mmposeda.registry import MODELS
from mmposeda.structures.keypoint_grid import (
    affine_grids,
    dense_affine_field,
    dense_field,
    displaced_grids,
    identity_grid,
    sample,
    sample_regions,
)
from mmposeda.structures.low_pass import gaussian_subsample
from mmposeda.structures.skeleton import Skeleton

KINDS = [dict(region='joint'), dict(region='bone', skeleton='mpii')]


def tiny(num_keypoints=16, seed=0, **kwargs):
    torch.manual_seed(seed)
    return WarpEstimator(**{'num_keypoints': num_keypoints, 'width': 4, 'max_width': 16, 'num_blocks': 2, **kwargs})


def pair(num_keypoints=16, size=(48, 32), batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(2, batch, num_keypoints, 2, generator=generator) * 1.6 - 0.8
    return torch.rand(batch, 3, size[1], size[0], generator=generator), *points


@pytest.mark.parametrize('kind', KINDS)
def test_masks_are_shares_and_the_field_is_their_mixture(kind):
    net = tiny(**kind)
    base, at_base, at_driving = pair()
    out = net(base, at_base, at_driving)
    regions = 17 if kind['region'] == 'joint' else 16
    assert out.field.shape == (2, 8, 12, 2) and out.mask.shape == (2, regions, 8, 12)
    assert out.inpainting.shape == (2, 1, 8, 12) and out.inpainting.min() > 0 and out.inpainting.max() < 1
    torch.testing.assert_close(out.mask.sum(1), torch.ones(2, 8, 12))
    motion = net.motion(at_base, at_driving, (12, 8))
    mixture = (dense_field if motion.ndim == 3 else dense_affine_field)(out.mask, motion)
    torch.testing.assert_close(out.field, mixture)


def test_masks_begin_from_the_driving_keypoints():
    """Without a word of the network, a place is the nearest joint's by a Gaussian, and else the background's."""
    net = tiny(prior=0.1, prior_variance=0.02)
    torch.nn.init.zeros_(net.mask.weight)
    torch.nn.init.zeros_(net.mask.bias)
    base, at_base, at_driving = pair()
    share = net(base, at_base, at_driving).mask
    places = identity_grid((12, 8), at_driving)
    near = (-(places - at_driving[:, :, None, None]).square().sum(-1) / (2 * 0.02)).exp()
    near = torch.cat([torch.full_like(near[:, :1], 0.1), near], 1)
    torch.testing.assert_close(share, near / near.sum(1, keepdim=True), atol=1e-4, rtol=1e-3)

    torch.nn.init.constant_(net.mask.bias[:1].detach(), 99.0)
    away = net(base, at_base, at_driving).mask
    near[:, :1] *= torch.e
    torch.testing.assert_close(away, near / near.sum(1, keepdim=True), atol=1e-4, rtol=1e-3)

    torch.nn.init.zeros_(net.mask.bias)
    net.prior = None
    torch.testing.assert_close(net(base, at_base, at_driving).mask, torch.full_like(share, 1 / 17))


@pytest.mark.parametrize('kind', KINDS)
def test_same_keypoints_do_not_move_anything(kind):
    base, points, _ = pair()
    field = tiny(**kind)(base, points, points.clone()).field
    torch.testing.assert_close(field, torch.zeros_like(field), atol=0 if kind['region'] == 'joint' else 1e-6, rtol=0)


@pytest.mark.parametrize('kind', KINDS)
def test_background_rests_whatever_moves(kind):
    net = tiny(**kind, prior=None)
    base, at_base, at_driving = pair()
    with torch.no_grad():
        net.mask.weight.zero_()
        net.mask.bias.copy_(torch.tensor([40.0] + [0.0] * (net.num_regions - 1)))
    assert net(base, at_base, at_driving).field.abs().max() < 1e-6


@pytest.mark.parametrize('kind', KINDS)
def test_one_region_takes_the_field_when_its_mask_is_one(kind):
    net = tiny(**kind, prior=None)
    base, at_base, at_driving = pair()
    with torch.no_grad():
        net.mask.weight.zero_()
        net.mask.bias.zero_()[5] = 60.0
    out = net(base, at_base, at_driving)
    motion = net.motion(at_base, at_driving, (12, 8))
    grids = (displaced_grids if motion.ndim == 3 else affine_grids)(motion, (12, 8))
    rest = (displaced_grids if motion.ndim == 3 else affine_grids)(motion[:, :1], (12, 8))
    torch.testing.assert_close(out.field, (grids - rest)[:, 5], atol=1e-5, rtol=1e-4)


def test_exchange_of_the_pictures_turns_displacements_and_maps_around():
    net = tiny()
    _, at_base, at_driving = pair()
    for what in (net.motion, net.map_change):
        torch.testing.assert_close(what(at_base, at_driving, (12, 8)), -what(at_driving, at_base, (12, 8)))


@pytest.mark.parametrize('kind', KINDS)
def test_displacements_do_not_depend_on_where_both_poses_are(kind):
    net = tiny(**kind)
    _, at_base, at_driving = pair()
    shift = torch.tensor([0.1, -0.07])
    before, after = net.motion(at_base, at_driving, (16, 16)), net.motion(at_base + shift, at_driving + shift, (16, 16))
    if kind['region'] == 'joint':
        torch.testing.assert_close(after, before)
    else:  # seen from the shifted origin
        moved = before[..., 2] + shift - (before[..., :2] * shift).sum(-1)
        torch.testing.assert_close(after, torch.cat([before[..., :2], moved[..., None]], -1), atol=1e-5, rtol=1e-5)


def test_bones_of_a_pose_that_moves_as_a_whole_move_with_it():
    net = tiny(**KINDS[1])
    base, points, _ = pair()
    shift = torch.tensor([0.2, 0.1])
    out = net(base, points, points + shift)
    expected = -(1 - out.mask[:, 0])[..., None] * shift
    torch.testing.assert_close(out.field, expected, atol=1e-5, rtol=1e-4)


def test_inputs_are_map_changes_and_the_small_picture_moved_by_each_region():
    net, seen = tiny(num_keypoints=3), []
    net.hourglass.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    base, at_base, at_driving = pair(3)
    net(base, at_base, at_driving)
    x = seen[0].unflatten(1, (4, 4))
    small = gaussian_subsample(base, 4)
    torch.testing.assert_close(x[:, :, 0], net.map_change(at_base, at_driving, (12, 8)))
    assert x[:, 0, 0].abs().max() == 0
    torch.testing.assert_close(x[:, 0, 1:], small, atol=2e-5, rtol=0)
    grids = displaced_grids(at_base - at_driving, (12, 8))
    for k in range(3):
        torch.testing.assert_close(x[:, k + 1, 1:], sample(small, grids[:, k]))
    torch.testing.assert_close(x[:, 1:, 1:], sample_regions(small, grids))


@pytest.mark.parametrize('kind', KINDS)
def test_gradients_reach_both_poses(kind):
    base, at_base, at_driving = pair()
    at_base.requires_grad_()
    at_driving.requires_grad_()
    out = tiny(**kind)(base, at_base, at_driving)
    (out.field.square().sum() + out.inpainting.sum()).backward()
    for points in (at_base, at_driving):
        assert points.grad.isfinite().all() and (points.grad.abs().amax((0, 2)) > 0).all()


def test_samples_do_not_see_each_other_in_evaluation():
    net = tiny().eval()
    base, at_base, at_driving = pair(batch=4)
    order = torch.tensor([2, 0, 3, 1])
    whole = net(base, at_base, at_driving)
    turned = net(base[order], at_base[order], at_driving[order])
    for a, b in zip(whole, turned):
        torch.testing.assert_close(a[order], b, atol=1e-5, rtol=1e-4)


def test_fields_stay_in_float32_under_mixed_precision():
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert tiny()(*pair()).field.dtype == torch.float32


@pytest.mark.parametrize('num_keypoints, parameters', [(21, 37_883_839), (16, 37_805_914)])
def test_published_size(num_keypoints, parameters):
    with torch.device('meta'):
        net = WarpEstimator(num_keypoints)
    assert sum(p.numel() for p in net.parameters()) == parameters
    widths = [(block[0].in_channels, block[0].out_channels) for block in (*net.hourglass.down, *net.hourglass.up)]
    down = [(4 * num_keypoints + 4, 128), (128, 256), (256, 512), (512, 1024), (1024, 1024)]
    assert widths == [*down, (1024, 1024), (2048, 512), (1024, 256), (512, 128), (256, 64)]
    assert net.mask.in_channels == 64 + 4 * num_keypoints + 4


@pytest.mark.parametrize('num_keypoints', [21, 16])
@pytest.mark.parametrize('side, num_blocks', [(64, 3), (128, 5), (256, 5)])
def test_sizes(num_keypoints, side, num_blocks):
    net = tiny(num_keypoints, num_blocks=num_blocks).eval()
    with torch.no_grad():
        out = net(*pair(num_keypoints, (side, side), batch=1))
    assert out.field.shape == (1, side // 4, side // 4, 2)


def test_sizes_that_cannot_be_halved_are_refused_with_a_way_out():
    with pytest.raises(ValueError, match='48x32 pixels cannot be halved 5 times.*num_blocks=2 or fewer.*128'):
        tiny(num_blocks=5)(*pair())
    with pytest.raises(ValueError, match='50x32 .*: take sides that are multiples of 16'):
        tiny()(*pair(size=(50, 32)))


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(region='limb'), "one of .*joint.*bone.*got 'limb'"),
        (dict(region='bone'), 'needs a joint set with parents.*got none'),
        (dict(region='bone', skeleton='lsp'), "16 keypoints, but 'lsp' has 14"),
        (dict(region='bone', skeleton=Skeleton('dots', tuple('abcdefghijklmnop'), (-1,) * 16, tuple(range(16)), {})),
         "'dots', which has no bones"),
        (dict(width=0), '1 or more'),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        tiny(**change)


@pytest.mark.parametrize('which', [1, 2])
def test_keypoints_of_another_joint_set_are_refused(which):
    inputs = list(pair())
    inputs[which] = inputs[which][:, :14]
    name = ('base_points', 'driving_points')[which - 1]
    with pytest.raises(ValueError, match=rf'{name} must be \(2, 16, 2\).*got \(2, 14, 2\)'):
        tiny()(*inputs)


def test_a_prior_that_is_not_positive_is_named():
    for wrong in (dict(prior=0.0), dict(prior_variance=-1.0), dict(bound=0.0)):
        with pytest.raises(ValueError, match='prior, bound and prior_variance must be positive'):
            tiny(**wrong)


def test_is_in_the_registry():
    assert MODELS.build(dict(type='WarpEstimator', num_keypoints=21, width=2, num_blocks=1)).num_regions == 22
