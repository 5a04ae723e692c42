"""Feature maps as vectors: where each number comes from, their range, and what does not fit."""

import pytest
import torch

from mmposeda.models.networks.feature_neck import FeatureNeck, cell_channels
from mmposeda.registry import MODELS


def build(**kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(type='FeatureNeck', **{**dict(in_channels=6), **kwargs}))


def maps(channels=6, size=(8, 8), count=5, seed=0):
    return torch.randn(count, channels, *size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize('mode', ['spatial', 'pooled'])
@pytest.mark.parametrize('dim', [128, 256, 512, 1024])
def test_gives_one_vector_a_picture_in_the_open_range(mode, dim):
    (vector,) = build(mode=mode, dim=dim)((100 * maps(),))
    assert vector.shape == (5, dim) and vector.abs().max() <= 1
    assert build(mode=mode, dim=dim).dim == dim


def test_spatial_vectors_are_the_map_laid_out():
    """Flattened channel by channel, so that reshaping gives the cells back."""
    neck, x = build(dim=256), maps()
    (vector,) = neck((x,))
    convolution, norm = neck.layers[:2]
    assert (convolution.weight.shape, convolution.bias.shape) == ((4, 6, 1, 1), (4,))
    wanted = torch.tanh(norm(convolution(x)))
    assert torch.equal(vector.reshape(5, 4, 8, 8), wanted)
    assert torch.equal(vector.reshape(5, 4, 8, 8).flatten(1), vector)
    # a change of one cell reaches that cell alone
    neck.eval()
    changed = x.clone()
    changed[:, :, 2, 5] += 1
    apart = (neck((x,))[0] != neck((changed,))[0]).reshape(5, 4, 8, 8).any(0).any(0)
    assert apart.nonzero().tolist() == [[2, 5]]


def test_pooled_vectors_do_not_heed_where():
    neck, x = build(mode='pooled', dim=10).eval(), maps(size=(4, 7))
    shuffled = x.flatten(2)[..., torch.randperm(28)].view_as(x)
    torch.testing.assert_close(neck((x,))[0], neck((shuffled,))[0])
    assert neck((maps(size=(3, 3)),))[0].shape == (5, 10)
    layer = neck.layers[2]
    assert layer.weight.shape == (10, 6) and layer.bias.shape == (10,)


@pytest.mark.parametrize('mode', ['spatial', 'pooled'])
def test_the_last_map_is_taken(mode):
    neck, x = build(mode=mode), maps()
    assert torch.equal(neck((maps(3, (16, 16)), x))[0], neck((x,))[0])


@pytest.mark.parametrize('mode', ['spatial', 'pooled'])
def test_branches_of_several_sizes_are_pooled_to_the_last(mode):
    neck = build(in_channels=(2, 4), mode=mode)
    large, small = maps(2, (16, 16), seed=1), maps(4, (8, 8))
    joined = torch.cat([torch.nn.functional.avg_pool2d(large, 2), small], 1)
    whole = build(in_channels=6, mode=mode)
    whole.load_state_dict(neck.state_dict())
    torch.testing.assert_close(neck((maps(9), large, small))[0], whole((joined,))[0])


def test_odd_grids():
    (vector,) = build(dim=2 * 3 * 5, grid=(3, 5))((maps(size=(3, 5)),))
    assert vector.shape == (5, 30)


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(dim=100), r'100 features cannot be laid out over 8 x 8 = 64 cells: take a multiple of 64'),
        (dict(mode='flat'), r"mode must be one of \('spatial', 'pooled'\), got 'flat'"),
    ],
)
def test_bad_settings_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(**kwargs)


def test_pooled_vectors_may_have_any_length():
    assert FeatureNeck(6, dim=100, mode='pooled').dim == 100
    assert cell_channels(256, (8, 8)) == 4


@pytest.mark.parametrize(
    'kwargs, feats, message',
    [
        ({}, (maps(5),), r'maps of \(6,\) channels, the backbone gives \(5,\)'),
        (dict(in_channels=(2, 4)), (maps(4),), r'maps of \(2, 4\) channels, the backbone gives \(4,\)'),
        ({}, (maps(size=(4, 6)),), 'has 4 x 6 cells, the neck was built for 8 x 8: set grid of neck and head'),
    ],
)
def test_maps_that_do_not_fit_are_named(kwargs, feats, message):
    with pytest.raises(ValueError, match=message):
        build(**kwargs)(feats)
