import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from mmposeda.engine.optimizers import DeviceOptimWrapper


class Parts(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)
        self.judge = None
        self.random = nn.Identity()


def build(model=None, **parts):
    return build_optim_wrapper(model or Parts(), dict(constructor='PartOptimWrapperConstructor', **parts))


ADAM = dict(optimizer=dict(type='Adam', lr=0.1))


def test_each_part_gets_its_own_optimiser_and_what_has_no_weights_none():
    model = Parts()
    clipped = dict(optimizer=dict(type='SGD', lr=0.2), clip_grad=dict(max_norm=1))
    wrappers = build(model, first=ADAM, second=clipped, judge=ADAM, random=ADAM)
    assert set(wrappers.keys()) == {'first', 'second'}
    assert wrappers['first'].optimizer.param_groups[0]['params'] == list(model.first.parameters())
    assert wrappers['second'].get_lr()['lr'] == [0.2]


def test_every_weight_is_updated_by_exactly_one_part():
    with pytest.raises(ValueError, match=r'no part updates second\.weight, second\.bias'):
        build(first=ADAM)
    model = Parts()
    model.second = model.first
    with pytest.raises(ValueError, match="'second' and 'first' share weights"):
        build(model, first=ADAM, second=ADAM)
    model.first.requires_grad_(False)
    model.second = nn.Linear(1, 1)
    assert set(build(model, first=ADAM, second=ADAM).keys()) == {'second'}, 'a frozen part has no optimiser'


def test_a_part_that_the_model_lacks_is_named():
    with pytest.raises(ValueError, match="names 'third', but Parts has only first, second"):
        build(first=ADAM, second=ADAM, third=ADAM)


def test_accumulated_gradients_are_refused():
    with pytest.raises(ValueError, match='first: several updates an iteration cannot be accumulated'):
        build(first=dict(accumulative_counts=2, **ADAM), second=ADAM)


def test_clipping_bounds_the_norm_as_torch_does():
    layer = nn.Linear(3, 3)
    wrapper = DeviceOptimWrapper(torch.optim.SGD(layer.parameters(), 1.0), clip_grad=dict(max_norm=0.5))
    before = torch.cat([p.detach().flatten() for p in layer.parameters()])
    wrapper.update_params(100 * layer(torch.ones(1, 3)).square().sum())
    after = torch.cat([p.detach().flatten() for p in layer.parameters()])
    assert float((after - before).norm()) == pytest.approx(0.5, rel=1e-4)
