import pytest
import torch
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import MODEL_WRAPPERS
from torch import nn

from mmposeda.models.parallel import PartParallel, update_part


def test_an_update_reaches_its_part_alone():
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    before = [p.detach().clone() for p in (*first.parameters(), *second.parameters())]
    wrapper = OptimWrapper(torch.optim.SGD(first.parameters(), 0.1))
    x = torch.ones(3, 2)
    update_part(wrapper, second(first(x)).square().sum())
    assert all(p.grad is None for p in second.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before[2:], second.parameters()))
    assert not any(torch.equal(a, b) for a, b in zip(before[:2], first.parameters()))


def test_frozen_weights_of_a_part_stay():
    """As those of a backbone's first stages, which the optimiser holds all the same."""
    part = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    part[0].requires_grad_(False)
    before = [p.detach().clone() for p in part.parameters()]
    wrapper = OptimWrapper(torch.optim.SGD(part.parameters(), 0.1, weight_decay=0.1))
    update_part(wrapper, part(torch.ones(3, 2)).square().sum())
    assert [torch.equal(a, b) for a, b in zip(before, part.parameters())] == [True, True, False, False]


def test_an_update_equals_that_of_a_plain_wrapper():
    one, two = nn.Linear(2, 2), nn.Linear(2, 2)
    two.load_state_dict(one.state_dict())
    for layer, update in ((one, update_part), (two, lambda wrapper, loss: wrapper.update_params(loss))):
        wrapper = OptimWrapper(torch.optim.SGD(layer.parameters(), 0.1, momentum=0.9))
        for _ in range(3):
            update(wrapper, layer(torch.ones(3, 2)).square().sum())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters()))


PARTS = dict(constructor='PartOptimWrapperConstructor', weight=dict(optimizer=dict(type='SGD', lr=0.1)))


def test_the_wrapper_is_found_by_mmengine_and_leaves_the_model_as_it_is():
    # Runner.wrap_model looks its name up so
    assert MODEL_WRAPPERS.get('PartParallel') is PartParallel
    model = nn.ModuleDict(dict(weight=nn.Linear(2, 2)))
    before = [p.detach().clone() for p in model.parameters()]
    wrapped = PartParallel(model)
    assert is_model_wrapper(wrapped) and wrapped.module is model
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters()))


def test_other_wrappers_are_refused_with_the_way_out():
    model = nn.Module()
    model.weight = nn.Linear(2, 2)
    assert list(build_optim_wrapper(PartParallel(model), PARTS).keys()) == ['weight']
    with pytest.raises(ValueError, match=r"DataParallel makes one update.*dict\(type='PartParallel'\)"):
        build_optim_wrapper(nn.DataParallel(model), PARTS)
