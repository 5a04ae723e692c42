import numpy as np
import pytest

from mmposeda.registry import TRANSFORMS


def jitter(img, **kwargs):
    off = dict(brightness=0.0, contrast=0.0, saturation=0.0)
    return TRANSFORMS.build(dict(type='ColorJitter', **{**off, **kwargs}))(dict(img=img))['img']


@pytest.fixture
def img():
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def test_zero_changes_nothing(img):
    np.testing.assert_array_equal(jitter(img.copy()), img)


def test_factors_stay_in_range(img):
    flat = np.full_like(img, 100)
    values = [int(jitter(flat.copy(), brightness=0.25)[0, 0, 0]) for _ in range(200)]
    assert 75 <= min(values) < 80 and 120 < max(values) <= 125


@pytest.mark.parametrize('kind', ['contrast', 'saturation'])
def test_grey_pictures_keep_their_grey(kind):
    grey = np.full((8, 8, 3), 90, np.uint8)
    assert np.abs(jitter(grey, **{kind: 1.0}).astype(int) - 90).max() <= 1


def test_range_is_checked():
    with pytest.raises(ValueError, match=r'contrast must lie in \[0, 1\], got 1.5'):
        TRANSFORMS.build(dict(type='ColorJitter', contrast=1.5))
