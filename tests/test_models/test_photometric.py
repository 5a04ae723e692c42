"""Changes of colour."""

import colorsys

import pytest
import torch

from mmposeda.models.photometric import PhotometricChange

NOTHING = dict(hue=0.0, saturation=(1.0, 1.0), value=0.0, brightness=(1.0, 1.0))


def pictures(count=64, seed=0):
    return torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed)) * 0.5 + 0.25


def test_without_ranges_nothing_changes():
    x = pictures()
    torch.testing.assert_close(PhotometricChange(**NOTHING)(x), x, atol=1e-6, rtol=0)


def test_probability_is_the_share_of_changed_pictures():
    torch.manual_seed(0)
    x = pictures(3000)
    change = PhotometricChange()
    changed = ((change(x, 1 / 3) - x).abs().amax((1, 2, 3)) > 1e-6).float().mean()
    assert 0.28 < changed < 0.38
    torch.testing.assert_close(change(x, 0.0), x, atol=1e-6, rtol=0)
    assert ((change(x) - x).abs().amax((1, 2, 3)) > 1e-6).float().mean() > 0.98


def test_the_hue_alone_turns():
    torch.manual_seed(0)
    x = pictures(1)[:, :, :1, :1].expand(400, 3, 1, 1)
    x = torch.lerp(x.new_tensor([0.5, 0.5, 0.5]).view(1, 3, 1, 1).expand_as(x), x, 0.4)
    out = PhotometricChange(**{**NOTHING, 'hue': 30.0})(x)
    luma = x.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    torch.testing.assert_close((out * luma).sum(1), (x * luma).sum(1), atol=1e-3, rtol=0)
    first = colorsys.rgb_to_hls(*x[0].flatten().tolist())[0]
    turns = torch.tensor([(colorsys.rgb_to_hls(*o.flatten().tolist())[0] - first + 0.5) % 1 - 0.5 for o in out]) * 360
    changed = turns[turns.abs() > 1e-3]
    assert 15 < changed.abs().max() < 60  # HSV's degrees are not YIQ's
    assert (changed > 0).float().mean() == pytest.approx(0.5, abs=0.2)


def test_greys_stay_grey_under_hue_and_saturation():
    torch.manual_seed(0)
    x = pictures()[:, :1].expand(-1, 3, -1, -1)
    out = PhotometricChange(**{**NOTHING, 'hue': 180.0, 'saturation': (0.0, 2.0)})(x)
    torch.testing.assert_close(out, x, atol=2e-3, rtol=0)


def test_brightness_multiplies_and_value_adds():
    torch.manual_seed(0)
    x = pictures(300)
    ratio = PhotometricChange(**{**NOTHING, 'brightness': (1.3, 1.3)})(x) / x
    changed = ratio[ratio.amax((1, 2, 3)) > 1.01]
    assert 40 < len(changed) < 120
    torch.testing.assert_close(changed, torch.full_like(changed, 1.3))
    shift = PhotometricChange(**{**NOTHING, 'value': 0.2})(x) - x
    spread = shift.amax((1, 2, 3)) - shift.amin((1, 2, 3))
    assert spread.max() < 1e-5
    assert 0.15 < shift.abs().max() <= 0.2 + 1e-5


def test_results_stay_in_range():
    torch.manual_seed(0)
    out = PhotometricChange(value=1.0, brightness=(0.0, 3.0))(torch.rand(100, 3, 2, 2))
    assert out.min() >= 0
    assert out.max() <= 1


BAD = [dict(hue=-1.0), dict(value=-0.1), dict(brightness=(1.5, 0.5)), dict(saturation=(-1, 1))]


@pytest.mark.parametrize('bad', BAD)
def test_ranges_that_are_none(bad):
    with pytest.raises(ValueError, match='must be'):
        PhotometricChange(**bad)
