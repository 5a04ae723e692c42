from types import SimpleNamespace

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper

from mmposeda.engine.hooks import NonFiniteHook
from mmposeda.engine.hooks.non_finite_hook import NonFiniteError


class Line(BaseModel):
    """Loss w * x, and a value that is only logged."""

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.ones(()))

    def forward(self, inputs, data_samples=None, mode='loss'):
        return dict(loss_line=self.w * inputs, share=inputs.detach() * 0 + 0.5)


@pytest.fixture
def setup(tmp_path, request):
    model = Line()
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, **getattr(request, 'param', {})))
    hub = SimpleNamespace(runtime_info={})
    runner = SimpleNamespace(model=model, optim_wrapper=wrapper, iter=0, rank=0, log_dir=str(tmp_path), message_hub=hub)
    hook = NonFiniteHook()
    hook.before_train(runner)

    def step(x):
        hook.before_train_iter(runner, 0, dict(inputs=torch.tensor(x)))
        logged = model.train_step(dict(inputs=torch.tensor(x)), wrapper)
        hook.after_train_iter(runner, 0)
        runner.iter += 1
        return logged

    return SimpleNamespace(model=model, optimizer=wrapper.optimizer, step=step, hook=hook, runner=runner)


def test_logged_values_come_back_as_numbers_of_the_host(setup):
    logged = setup.step(2.0)
    assert logged == dict(loss_line=2.0, share=0.5, loss=2.0)
    assert all(isinstance(value, float) for value in logged.values())


def test_a_value_that_is_only_logged_may_be_anything(setup):
    setup.model.forward = lambda inputs, data_samples=None, mode='loss': dict(
        loss_line=setup.model.w * inputs, share=torch.tensor(float('nan'))
    )
    setup.step(1.0)
    assert setup.model.w < 1


def test_infinity_in_a_loss_stops_before_the_step(setup):
    setup.step(1.0)
    before = setup.model.w.clone()
    with pytest.raises(NonFiniteError, match='Iteration 2: loss_line is inf'):
        setup.step(float('inf'))
    assert torch.equal(setup.model.w, before)


def test_updates_made_before_in_the_same_iteration_are_said(setup):
    update = setup.model.train_step
    setup.model.train_step = lambda data, wrapper: (
        update(dict(inputs=torch.tensor(1.0)), wrapper),
        update(data, wrapper),
    )
    with pytest.raises(NonFiniteError, match='averages are those of the updates before it in this iteration'):
        setup.step(float('nan'))


@pytest.mark.parametrize('setup', [dict(fused=True)], indirect=True)
def test_gradients_that_a_fused_optimiser_unscales_are_left_to_it(setup):
    setup.model.w.register_hook(lambda gradient: gradient * float('inf'))
    # what torch's scaler sets for such an optimiser
    setup.optimizer.grad_scale, setup.optimizer.found_inf = torch.ones(()), torch.ones(())
    setup.step(1.0)
    assert setup.model.w == 1
    setup.optimizer.grad_scale = setup.optimizer.found_inf = None
    with pytest.raises(NonFiniteError, match='the gradient of w is not finite'):
        setup.step(1.0)


def test_the_model_gets_its_method_back(setup):
    setup.hook.after_train(setup.runner)
    assert 'parse_losses' not in vars(setup.model)


@pytest.mark.parametrize('settings', [dict(policy='go on'), dict(max_skips=0)])
def test_settings_are_checked(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        NonFiniteHook(**settings)
