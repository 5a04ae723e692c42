import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from mmposeda.engine import optimizers
from mmposeda.engine.optimizers import DeviceOptimWrapper
from mmposeda.models.parallel import PartParallel


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


class Losses(nn.Module):
    """Two losses over the same weights, one of them with a head of its own."""

    losses = ('near', 'far')

    def __init__(self):
        super().__init__()
        self.shared, self.head, self.fixed = (nn.Linear(2, 2) for _ in range(3))
        self.fixed.requires_grad_(False)

    def trained_by(self, loss):
        return [*self.shared.parameters(), *(self.head.parameters() if loss == 'far' else ())]


def build_by_loss(model=None, **losses):
    return build_optim_wrapper(model or Losses(), dict(constructor='LossOptimWrapperConstructor', **losses))


def trained(wrapper):
    (group,) = wrapper.optimizer.param_groups
    return [id(p) for p in group['params']]


class TestByLoss:
    def test_each_loss_has_its_own_optimiser_of_the_weights_that_it_changes(self):
        model = Losses()
        sgd = dict(optimizer=dict(type='SGD', lr=0.2), clip_grad=dict(max_norm=1))
        wrappers = build_by_loss(model, default=ADAM, far=sgd)
        assert list(wrappers.keys()) == ['near', 'far']
        assert {name: type(w.optimizer).__name__ for name, w in wrappers.items()} == dict(near='Adam', far='SGD')
        assert trained(wrappers['near']) == [id(p) for p in model.shared.parameters()]
        assert trained(wrappers['far']) == [id(p) for part in (model.shared, model.head) for p in part.parameters()]
        assert wrappers['far'].clip_grad_kwargs == dict(max_norm=1)
        assert all(isinstance(w, DeviceOptimWrapper) for w in wrappers.values())

    def test_states_of_shared_weights_are_apart_and_are_saved(self):
        model = Losses()
        wrappers = build_by_loss(model, default=ADAM)
        for loss in ('near', 'far', 'far'):
            wrappers[loss].update_params(model.head(model.shared(torch.ones(1, 2))).sum())
        for reloaded in (wrappers, build_by_loss(model, default=ADAM)):
            reloaded.load_state_dict(wrappers.state_dict())
            steps = {name: {int(s['step']) for s in w.optimizer.state.values()} for name, w in reloaded.items()}
            assert steps == dict(near={1}, far={2})

    def test_losses_without_a_config_are_left_out(self):
        assert list(build_by_loss(near=ADAM).keys()) == ['near']
        assert list(build_by_loss(default=ADAM, near=None).keys()) == ['far']

    def test_the_config_serves_again(self):
        cfg = dict(constructor='LossOptimWrapperConstructor', default=dict(optimizer=dict(type='Adam', lr=0.1)))
        for _ in range(2):
            assert set(build_optim_wrapper(Losses(), cfg).keys()) == {'near', 'far'}
        assert cfg['default'] == dict(optimizer=dict(type='Adam', lr=0.1))

    def test_a_loss_that_the_model_lacks_is_named(self):
        with pytest.raises(ValueError, match='optim_wrapper names middle, but losses of Losses are near, far'):
            build_by_loss(default=ADAM, middle=ADAM)

    @pytest.mark.parametrize('name', ['default', 'near'])
    def test_accumulated_gradients_are_refused(self, name):
        with pytest.raises(ValueError, match=f'{name}: several updates an iteration cannot be accumulated'):
            build_by_loss(**{name: dict(accumulative_counts=2, **ADAM)})

    @pytest.mark.parametrize('name', ['default', 'near', None])
    def test_weights_set_apart_are_refused(self, name):
        paramwise = dict(paramwise_cfg=dict(norm_decay_mult=0.0))
        given = {name: dict(ADAM, **paramwise)} if name else dict(default=ADAM, **paramwise)
        with pytest.raises(ValueError, match='has one rate a loss and takes no paramwise_cfg'):
            build_by_loss(**given)

    def test_the_model_inside_a_wrapper_of_processes_is_asked(self):
        model = PartParallel(Losses())
        assert trained(build_by_loss(model, default=ADAM)['near']) == [id(p) for p in model.module.shared.parameters()]

    def test_other_wrappers_are_refused(self, monkeypatch):
        monkeypatch.setattr(optimizers, 'is_model_wrapper', lambda model: True)
        with pytest.raises(ValueError, match="Losses makes one update .* model_wrapper_cfg=dict.type='PartParallel'"):
            build_by_loss(default=ADAM)
