import cv2
import numpy as np
import pytest
import torch

from mmposeda.registry import TRANSFORMS


def blurred(img, sigma):
    return TRANSFORMS.build(dict(type='GaussianBlur', sigma=sigma))(dict(img=img))['img']


def test_zero_changes_nothing():
    img = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert blurred(img, (0, 0)) is img


def test_a_point_becomes_a_gaussian_of_that_width():
    img = np.zeros((31, 31, 1), np.float32)
    img[15, 15] = 1
    out = blurred(img, (2.0, 2.0)).reshape(31, 31)
    ys, xs = np.mgrid[:31, :31] - 15
    np.testing.assert_allclose([out.sum(), (out * xs**2).sum(), (out * ys**2).sum()], [1, 4, 4], rtol=0.02)


def test_widths_are_uniform_and_follow_torch_seed(monkeypatch):
    seen = []
    monkeypatch.setattr(cv2, 'GaussianBlur', lambda img, size, sigma: seen.append(sigma))
    for seed in (0, 0, *range(1, 200)):
        torch.manual_seed(seed)
        blurred(np.zeros((2, 2, 3), np.uint8), (0.0, 0.8))
    assert seen[0] == seen[1]
    assert 0 < min(seen) < 0.03 and 0.77 < max(seen) < 0.8 and np.mean(seen) == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize('sigma', [(1, 0), (-1, 1), (1,)])
def test_range_is_checked(sigma):
    with pytest.raises(ValueError, match=r'sigma must be a range'):
        TRANSFORMS.build(dict(type='GaussianBlur', sigma=sigma))
