"""Hooks against what the optimiser and the run's progress really do."""

import math
import types

import pytest
import torch
from half_precision import Float16Wrapper
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from torch import nn

from mmposeda.engine.hooks import AdaptationVisualizationHook, MeanTeacherHook, ScheduleHook


class Model(nn.Module):
    """Counts what the hooks ask of it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.ratio, self.updates, self.starts = 0.5, 0, 0

    def update_teacher(self):
        self.updates += 1

    def start_teacher(self):
        self.starts += 1


def make_runner(wrapper=OptimWrapper, **kwargs):
    model = Model()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    hub = MessageHub.get_instance(f'test{id(model)}')
    return types.SimpleNamespace(
        model=model, optim_wrapper=wrapper(optimizer=optimizer, **kwargs), iter=0, max_iters=100, message_hub=hub
    )


def train(runner, hook, iterations, loss_of=lambda model: model.layer.weight.sum()):
    hook.before_train(runner)
    for i in range(iterations):
        runner.optim_wrapper.update_params(loss_of(runner.model))
        hook.after_train_iter(runner, i)
        runner.iter += 1


def test_teacher_follows_every_step():
    runner = make_runner()
    train(runner, MeanTeacherHook(), 5)
    assert runner.model.updates == 5 and runner.model.starts == 1


def test_teacher_waits_for_accumulated_gradients():
    runner = make_runner(accumulative_counts=4)
    runner.optim_wrapper.initialize_count_status(runner.model, 0, 8)
    train(runner, MeanTeacherHook(), 8)
    assert runner.model.updates == 2


def test_teacher_ignores_steps_that_the_scaler_skips():
    runner = make_runner()
    hook = MeanTeacherHook()
    hook.before_train(runner)
    scaler = torch.amp.GradScaler('cpu')
    for loss in (runner.model.layer.weight.sum(), runner.model.layer.weight.sum() * float('inf')):
        runner.optim_wrapper.optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(runner.optim_wrapper.optimizer)
        scaler.update()
        hook.after_train_iter(runner, 0)
    assert runner.model.updates == 1


def test_resumed_run_keeps_its_teacher():
    runner = make_runner()
    runner.iter = 10
    MeanTeacherHook().before_train(runner)
    assert runner.model.starts == 0


@pytest.mark.parametrize('hook', [MeanTeacherHook(), AdaptationVisualizationHook()])
def test_models_without_the_needed_part_are_refused(hook):
    runner = make_runner()
    runner.model = nn.Linear(1, 1)
    with pytest.raises(TypeError, match='Linear'):
        hook.before_train(runner)


@pytest.mark.parametrize('curve, middle', [('linear', 1.0), ('cosine', 1.0), ('step', 0.0)])
def test_schedule_moves_from_start_to_end(curve, middle):
    runner = make_runner()
    hook = ScheduleHook([dict(attribute='ratio', start=0.0, end=2.0, curve=curve, begin=20, finish=60)])
    hook.before_train(runner)
    for iteration, wanted in ((0, 0.0), (20, 0.0), (40, middle), (60, 2.0), (99, 2.0)):
        runner.iter = iteration
        hook.before_train_iter(runner, iteration)
        assert runner.model.ratio == pytest.approx(wanted)
        assert runner.message_hub.get_scalar('schedule/ratio').current() == pytest.approx(wanted)


@pytest.mark.parametrize('alpha, low, high', [(10.0, 0.0, 1.0), (15.0, 0.0, 0.1), (2.0, 1.0, -3.0)])
def test_sigmoid_is_the_ramp_of_gradient_reversal(alpha, low, high):
    runner = make_runner()
    hook = ScheduleHook([dict(attribute='ratio', start=low, end=high, curve='sigmoid', alpha=alpha)])
    for iteration in (0, 1, 30, 50, 99):
        runner.iter = iteration
        hook.before_train_iter(runner, iteration)
        ramp = 2 * (high - low) / (1 + math.exp(-alpha * iteration / 100)) - (high - low) + low
        assert runner.model.ratio == pytest.approx(ramp, abs=1e-12)


def test_schedule_by_epoch_stands_still_within_one():
    runner = make_runner()
    runner.max_epochs = 50
    hook = ScheduleHook([dict(attribute='ratio', start=3.0, end=5.0, begin=-1, finish=9)], by_epoch=True)
    seen = []
    for runner.epoch, runner.iter in ((0, 0), (0, 7), (4, 90), (9, 99)):
        hook.before_train_iter(runner, 0)
        seen.append(runner.model.ratio)
    assert seen == pytest.approx([3.2, 3.2, 4.0, 5.0])


def test_sigmoid_has_the_values_of_regda_and_dann():
    runner = make_runner()
    runner.max_iters = 15000
    hook = ScheduleHook([dict(attribute='ratio', start=0.0, end=0.1, curve='sigmoid', alpha=15)])
    for iteration, wanted in ((0, 0.0), (1000, 0.0462), (15000, 0.1)):
        runner.iter = iteration
        hook.before_train_iter(runner, iteration)
        assert runner.model.ratio == pytest.approx(wanted, abs=1e-4)
    hook = ScheduleHook([dict(attribute='ratio', start=0.0, end=1.0, curve='sigmoid')])
    hook.before_train_iter(runner, 0)
    assert 0.9999 < runner.model.ratio < 1, "DANN's alpha of 10 unless told"


@pytest.mark.parametrize('curve, middle', [('linear', 0.5), ('sigmoid', math.tanh(2.5))])
def test_schedule_depends_on_the_iteration_alone(curve, middle):
    values = []
    for iterations in (range(0, 51), (50,)):
        runner = make_runner()
        hook = ScheduleHook([dict(attribute='ratio', start=0.0, end=1.0, curve=curve)])
        for runner.iter in iterations:
            hook.before_train_iter(runner, 0)
        values.append(runner.model.ratio)
    assert values[0] == values[1] == pytest.approx(middle)


@pytest.mark.parametrize(
    'entry, match',
    [
        (dict(attribute='ratio', start=0), 'end'),
        (dict(attribute='ratio', start=0, end=1, curve='square'), 'square'),
        (dict(attribute='ratio', start=0, end=1, begin=5, finish=5), 'empty'),
        (dict(attribute='ratio', start=0, end=1, alpha=2), "curve 'linear' takes"),
        (dict(attribute='ratio', start=0, end=1, curve='sigmoid', alpha=0), 'alpha'),
    ],
)
def test_bad_schedules_are_refused(entry, match):
    with pytest.raises(ValueError, match=match):
        ScheduleHook([entry])


def test_unknown_attribute_is_refused_before_training():
    with pytest.raises(AttributeError, match=r'view\.ratio'):
        ScheduleHook([dict(attribute='view.ratio', start=0, end=1)]).before_train(make_runner())


def test_half_precision_is_accepted():
    MeanTeacherHook().before_train(make_runner(Float16Wrapper))
