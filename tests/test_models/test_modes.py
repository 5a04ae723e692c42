"""Passes that leave no trace: modes come back, and running statistics stay."""

import pytest
import torch
from torch import nn

from mmposeda.models.modes import evaluating, untracked_statistics


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.BatchNorm1d(4 * 25))


def pictures(seed=0):
    return torch.randn(6, 3, 5, 5, generator=torch.Generator().manual_seed(seed)) + 1


def state(module):
    return {key: value.clone() for key, value in module.state_dict().items()}


def same(module, before):
    return all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('fails', [True, False])
def test_the_mode_comes_back_even_after_an_error(training, fails):
    module = network().train(training)
    try:
        with evaluating(module):
            assert not any(m.training for m in module.modules())
            if fails:
                raise RuntimeError
    except RuntimeError:
        assert fails
    assert all(m.training == training for m in module.modules())


def test_batches_are_normalised_by_themselves_and_nothing_is_kept():
    module = network()
    module[2].p = 0.0
    wanted = network()
    wanted[2].p = 0.0
    before = state(module)
    with untracked_statistics(module):
        got = module(pictures())
    assert same(module, before)
    assert torch.equal(got, wanted(pictures()))
    assert not same(wanted, before), 'else that would be no wonder'
    module(pictures())
    assert not same(module, before), 'statistics are kept again'


def test_evaluated_layers_go_on_using_their_running_statistics():
    module = network()
    module(pictures(1))
    module[1].eval()
    before, batch = state(module), pictures()
    norm, plain = module[1], module[0](batch)
    wanted = nn.functional.batch_norm(plain, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
    with untracked_statistics(module):
        torch.testing.assert_close(module[:2](batch), wanted)
        module(batch)
    assert same(module, before) and module[1].track_running_stats


def test_statistics_are_kept_again_after_an_error():
    module = network()
    with pytest.raises(RuntimeError), untracked_statistics(module):
        raise RuntimeError
    assert module[1].track_running_stats and module[4].track_running_stats


def test_layers_that_keep_none_are_left_as_they_are():
    norm = nn.BatchNorm1d(3, track_running_stats=False)
    with untracked_statistics(norm):
        norm(torch.randn(4, 3))
    assert norm.track_running_stats is False and norm.running_mean is None


def test_several_modules_or_none():
    first, second = network(), network()
    before = state(first)
    with untracked_statistics(first, second):
        first(pictures()), second(pictures())
    assert same(first, before) and same(second, before)
    with untracked_statistics():
        first(pictures())
    assert not same(first, before)
