import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmposeda.registry import PARAM_SCHEDULERS


def build(rates=(0.01, 0.1), **kwargs):
    groups = [dict(params=[nn.Parameter(torch.ones(1))], lr=lr) for lr in rates]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    cfg = dict(type='PolyInvLR', by_epoch=False, optimizer=OptimWrapper(optimizer), **kwargs)
    return optimizer, PARAM_SCHEDULERS.build(cfg)


def rates(optimizer):
    return [group['lr'] for group in optimizer.param_groups]


def run(optimizer, scheduler, steps):
    for _ in range(steps):
        optimizer.step()
        scheduler.step()


def test_is_the_closed_form_in_every_group():
    optimizer, scheduler = build()
    for i in range(15001):
        if i % 2500 == 0:
            factor = (1 + 1e-4 * i) ** -0.75
            assert rates(optimizer) == pytest.approx([0.01 * factor, 0.1 * factor], rel=1e-9)
        run(optimizer, scheduler, 1)


def test_counts_from_its_beginning_and_stays_after_its_end():
    optimizer, scheduler = build(rates=(1.0,), gamma=0.5, power=2.0, begin=3, end=6)
    seen = []
    for _ in range(9):
        seen += rates(optimizer)
        run(optimizer, scheduler, 1)
    assert seen == pytest.approx([1, 1, 1, 1, 1.5**-2, 2.0**-2, 2.0**-2, 2.0**-2, 2.0**-2])


def test_goes_on_after_a_resume():
    whole, scheduler = build()
    run(whole, scheduler, 100)
    first, saved = build()
    run(first, saved, 60)
    second, resumed = build()
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(saved.state_dict())
    run(second, resumed, 40)
    assert rates(second) == rates(whole)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match='must not be negative, got -1 and 0.75'):
        build(gamma=-1)
