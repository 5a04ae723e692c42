"""Layers that only change gradients."""

import pytest
import torch

from mmposeda.models.gradient import GradientReverse, GradientScale


@pytest.mark.parametrize('coefficient', [0.0, 0.5, 1.0])
@pytest.mark.parametrize('layer, sign', [(GradientScale, 1), (GradientReverse, -1)])
def test_values_stay_and_gradients_are_multiplied(layer, sign, coefficient):
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(3, 4, dtype=torch.float64)
    out = layer(coefficient)(x)
    assert torch.equal(out, x)
    (out.sin() * weights).sum().backward()
    torch.testing.assert_close(x.grad, sign * coefficient * weights * x.detach().cos())


def test_moving_the_coefficient_moves_later_gradients_only():
    layer, x = GradientReverse(1.0), torch.ones(2, requires_grad=True)
    first = layer(x)
    layer.coefficient = 0.25
    layer(x).sum().backward()
    assert (x.grad == -0.25).all()
    x.grad = None
    first.sum().backward()
    assert (x.grad == -1).all()


def test_keeps_no_state_and_says_its_coefficient():
    assert GradientReverse(0.5).state_dict() == {}
    assert 'coefficient=0.5' in repr(GradientReverse(0.5))
