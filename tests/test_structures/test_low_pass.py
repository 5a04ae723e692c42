"""The blur of two passes against the full kernel, closed forms and the border."""

import pytest
import torch
import torch.nn.functional as F

from mmposeda.structures.low_pass import gaussian_subsample


@pytest.mark.parametrize('factor, width', [(2, 5), (4, 13), (8, 29)])
def test_equals_the_full_kernel_at_the_pixels_that_are_kept(factor, width):
    x = torch.rand(2, 3, 40, 48, dtype=torch.float64)
    offsets = torch.arange(width).double() - width // 2
    row = torch.exp(-(offsets**2) / (2 * ((factor - 1) / 2) ** 2))
    kernel = row[:, None] * row / row.sum() ** 2
    padded = F.pad(x, (width // 2,) * 4, mode='replicate').flatten(0, 1)[:, None]
    full = F.conv2d(padded, kernel[None, None]).view_as(x)
    torch.testing.assert_close(gaussian_subsample(x, factor), full[..., ::factor, ::factor])


@pytest.mark.parametrize('factor', [1, 2, 3, 4, 8])
@pytest.mark.parametrize('size', [(16, 24), (7, 5)])
def test_flat_pictures_stay_flat_to_the_border(factor, size):
    out = gaussian_subsample(torch.full((1, 2, *size), 0.3), factor)
    assert out.shape[2:] == tuple(-(-side // factor) for side in size)
    torch.testing.assert_close(out, torch.full_like(out, 0.3))


def test_stripes_that_the_small_picture_cannot_show_turn_grey():
    stripes = (torch.arange(64) % 2).float().expand(1, 1, 64, 64)
    out = gaussian_subsample(stripes, 4)[..., 2:-2]
    torch.testing.assert_close(out, torch.full_like(out, 0.5), atol=1e-4, rtol=0)


def test_factor_one_is_the_picture_and_others_must_be_whole():
    x = torch.rand(1, 1, 4, 4)
    assert torch.equal(gaussian_subsample(x, 1), x)
    for bad in (0, 1.5, -2):
        with pytest.raises(ValueError, match='whole number'):
            gaussian_subsample(x, bad)


def test_stays_in_float32_under_mixed_precision_and_passes_gradients():
    x = torch.rand(1, 1, 8, 8)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = gaussian_subsample(x, 2)
    assert torch.equal(mixed, gaussian_subsample(x, 2))
    double = torch.rand(1, 1, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda y: gaussian_subsample(y, 2), double)
