"""What every adapter must bear, or refuse with the reason: mixed precision and accumulated gradients."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper

from mmposeda.registry import MODELS

# A new adapter is added here.
ADAPTERS = dict(
    SourceOnly={}, UDAPE=dict(style=dict(type='StatisticsStyleTransfer')), DDC={}, DAN={}, DANN={}, RegDA={}, CCSSL={}
)


class Bfloat16Wrapper(OptimWrapper):
    """What MMEngine's AmpOptimWrapper does, which takes no CPU."""

    def optim_context(self, model):
        return torch.autocast('cpu', torch.bfloat16)


def start(name, estimator, wrapper=OptimWrapper, **options):
    torch.manual_seed(0)
    model = MODELS.build(dict(type=name, estimator=copy.deepcopy(estimator), **ADAPTERS[name])).train()
    if name == 'CCSSL':
        model.table.fill(torch.full((8, 3, 2), 16.0), torch.ones(8, 3), torch.ones(8, 3), 1)
    parameters = [p for p in model.parameters() if p.requires_grad]
    return model, wrapper(torch.optim.SGD(parameters, 0.1), **options)


def snapshot(model):
    return [p.detach().clone() for p in model.student.parameters()]


@pytest.mark.parametrize('name', ADAPTERS)
def test_mixed_precision(name, estimator, make_batch):
    model, wrapper = start(name, estimator, Bfloat16Wrapper)
    before = snapshot(model)
    logged = model.train_step(make_batch(), wrapper)
    assert all(torch.isfinite(torch.as_tensor(value)).all() for value in logged.values())
    assert all(p.dtype == torch.float32 and torch.isfinite(p).all() for p in model.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, model.student.parameters()))
    plain, wrapper = start(name, estimator)
    exact = plain.train_step(make_batch(), wrapper)
    key = next(key for key in exact if key.startswith('sup_loss'))
    assert float(logged[key]) == pytest.approx(float(exact[key]), rel=0.05)


@pytest.mark.parametrize('name', ADAPTERS)
def test_accumulated_gradients(name, estimator, make_batch):
    model, wrapper = start(name, estimator, accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 4)
    before = snapshot(model)
    if name == 'RegDA':
        with pytest.raises(ValueError, match='three updates.*use a larger batch'):
            model.train_step(make_batch(), wrapper)
        return
    model.train_step(make_batch(seed=0), wrapper)
    assert all(torch.equal(a, b) for a, b in zip(before, model.student.parameters()))
    model.train_step(make_batch(seed=1), wrapper)
    assert any(not torch.equal(a, b) for a, b in zip(before, model.student.parameters()))
