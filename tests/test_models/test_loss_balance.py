"""Weights of losses by their gradients: closed forms, what does not count, and several processes."""

import copy
import math

import pytest
import torch
from torch import nn

from mmposeda.models import loss_balance
from mmposeda.models.loss_balance import LossBalance


def linear(slope, features):
    """A loss whose gradient at the features has the norm ``slope``."""
    return slope * features.sum() / math.sqrt(features.numel()), features


@pytest.fixture
def features():
    return torch.zeros(2, 3, requires_grad=True)


class TestWeight:
    def test_makes_gradients_a_share_of_the_reference(self, features):
        balance = LossBalance(['depth', 'drawn'], share=0.25)
        balance.measure([linear(2.0, features), linear(0.1, features), linear(500.0, features)])
        assert float(balance.weight('depth')) == pytest.approx(0.25 * 2 / 0.1)
        assert float(balance.weight('drawn')) == pytest.approx(0.25 * 2 / 500)

    def test_is_of_the_mean_norms_and_rests_after_the_last(self, features):
        balance = LossBalance(['drawn'], share=1.0, iterations=2)
        for reference, own in ((1.0, 4.0), (3.0, 6.0), (99.0, 1.0)):
            balance.measure([linear(reference, features), linear(own, features)])
        assert float(balance.weight('drawn')) == pytest.approx(2 / 5)
        assert not balance.measuring and int(balance.measured) == 2

    def test_keeps_a_loss_without_gradient_out(self, features):
        balance = LossBalance(['drawn'])
        assert balance.weight('drawn') == 0
        balance.measure([linear(1.0, features), linear(0.0, features)])
        assert balance.weight('drawn') == 0

    def test_ignores_zero_and_infinite_gradients(self, features):
        balance = LossBalance(['drawn'], share=1.0)
        for slope in (2.0, 0.0, math.nan, math.inf, 4.0):
            balance.measure([linear(6.0, features), linear(slope, features)])
        assert float(balance.weight('drawn')) == pytest.approx(2.0)
        assert balance.counts.tolist() == [5, 2]

    def test_leaves_the_graph_and_the_gradients_alone(self, features):
        weight = nn.Parameter(torch.ones(()))
        balance, inner = LossBalance(['drawn']), weight * torch.ones(2, 3)
        losses = [linear(1.0, inner), linear(2.0, inner)]
        balance.measure(losses)
        assert weight.grad is None
        sum(loss for loss, _ in losses).backward()
        assert float(weight.grad) == pytest.approx(3 * math.sqrt(6))


class TestHalfPrecision:
    """What a network in half precision does to a gradient on its way to the features."""

    @pytest.mark.parametrize('slope', [1e-9, 1e-3, 1e3])
    def test_small_gradients_are_seen_and_large_ones_do_not_stay_infinite(self, slope):
        features, balance = torch.zeros(2, 3, dtype=torch.float16, requires_grad=True), LossBalance(['drawn'], 1.0, 9)
        for _ in range(9):
            passed = (features * 1).float()  # the gradient becomes half here
            balance.measure([linear(1e-4, passed)[:1] + (features,), linear(slope, passed)[:1] + (features,)])
        assert float(balance.weight('drawn')) == pytest.approx(1e-4 / slope, rel=0.05)
        assert balance.counts[1] >= 6


class TestState:
    def test_goes_on_where_it_was_saved(self, features):
        whole = LossBalance(['drawn'], iterations=3)
        whole.measure([linear(1.0, features), linear(2.0, features)])
        again = LossBalance(['drawn'], iterations=3)
        assert again.measuring
        again.load_state_dict(whole.state_dict())
        for slope in (3.0, 5.0, 7.0):
            for balance in (whole, again):
                balance.measure([linear(slope, features), linear(2.0, features)])
        assert all(torch.equal(value, again.state_dict()[key]) for key, value in whole.state_dict().items())
        assert not again.measuring

    def test_of_other_losses_is_not_taken_over(self, features):
        other = LossBalance(['depth', 'drawn'], iterations=1)
        other.measure([linear(1.0, features)] * 3)
        balance = LossBalance(['drawn'], share=1.0, iterations=1)
        balance.load_state_dict(other.state_dict(), strict=False)
        balance.measure([linear(6.0, features), linear(2.0, features)])
        assert float(balance.weight('drawn')) == pytest.approx(3.0)

    def test_a_batch_that_was_left_out_is_measured_anew(self, features):
        """NonFiniteHook puts the buffers back; the number of measurements stays as it was asked for."""
        balance = LossBalance(['drawn'], iterations=3)
        for index in range(6):
            before = copy.deepcopy(balance.state_dict())
            balance.measure([linear(index + 1.0, features), linear(1.0, features)])
            if index == 1:
                for key, value in balance.named_buffers():
                    value.copy_(before[key])
        assert balance.norms[0] == pytest.approx((1 + 3 + 4) / 3) and balance.measured == 3


def test_norms_are_those_of_the_loss_over_all_processes(monkeypatch):
    """Two processes, whose losses are means over two pictures each, against one with the four pictures."""
    pictures = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))

    def losses(batch):
        features = batch.clone().requires_grad_()
        return [(features.square().mean(), features), ((3 * features).tanh().mean(), features)]

    whole = LossBalance(['drawn'])
    whole.measure(losses(pictures))
    squares = []
    monkeypatch.setattr(loss_balance, 'get_world_size', lambda: 2)
    monkeypatch.setattr(loss_balance, 'all_reduce', lambda x: squares.append(x.clone()))
    for half in pictures.chunk(2):
        LossBalance(['drawn']).measure(losses(half))
    monkeypatch.setattr(loss_balance, 'all_reduce', lambda x: x.copy_(sum(squares)))
    shared = LossBalance(['drawn'])
    shared.measure(losses(pictures[:2]))
    torch.testing.assert_close(shared.norms, whole.norms)


@pytest.mark.parametrize('wrong', [dict(share=0.0), dict(share=-1.0), dict(iterations=0)])
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ValueError, match='share and iterations must be positive'):
        LossBalance(['drawn'], **wrong)
