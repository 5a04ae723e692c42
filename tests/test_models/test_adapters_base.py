"""What every adapter promises: plain predictions, plain checkpoints, and a teacher that stays a teacher."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper

from mmposeda.models.adapters import MeanTeacherAdapter
from mmposeda.registry import MODELS


class Teaching(MeanTeacherAdapter):
    """The smallest adapter with a teacher."""

    def loss(self, inputs, data_samples):
        return self.student.loss(inputs['source'], data_samples['source'])


def build(kind, estimator, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(type=kind, estimator=estimator, **kwargs))


def test_prediction_equals_the_bare_estimator(estimator, make_batch):
    adapter = build('SourceOnly', estimator)
    plain = MODELS.build(copy.deepcopy(estimator))
    plain.load_state_dict(adapter.plain_state_dict())
    batch = make_batch()
    ours = adapter.eval().val_step(copy.deepcopy(batch))
    theirs = plain.eval().val_step(copy.deepcopy(batch))
    for a, b in zip(ours, theirs):
        assert (a.pred_instances.keypoints == b.pred_instances.keypoints).all()
        assert (a.pred_instances.keypoint_scores == b.pred_instances.keypoint_scores).all()


def test_source_only_step_is_plain_supervised_training_bit_for_bit(estimator, make_batch):
    adapter = build('SourceOnly', estimator)
    plain = MODELS.build(copy.deepcopy(estimator))
    plain.load_state_dict(adapter.plain_state_dict())
    plain.train_cfg['compute_acc'] = False
    for model, targets in ((adapter, 4), (plain, 0)):
        wrapper = OptimWrapper(torch.optim.Adam(model.parameters(), 1e-2))
        model.train()
        for seed in range(3):
            batch = make_batch(seed=seed)
            model.train_step({k: v[: 4 + targets] for k, v in batch.items()}, wrapper)
    for key, value in plain.state_dict().items():
        assert torch.equal(adapter.student.state_dict()[key], value), key


def test_plain_checkpoint_loads_into_student_and_teacher(estimator):
    weights = MODELS.build(copy.deepcopy(estimator)).state_dict()
    adapter = Teaching(estimator)
    adapter.load_state_dict(weights)
    for copy_ in (adapter.student, adapter.teacher):
        for key, value in copy_.state_dict().items():
            assert torch.equal(value, weights[key])


def test_checkpoint_round_trip(estimator):
    first, second = Teaching(estimator), Teaching(estimator)
    second.load_state_dict(first.state_dict())
    assert all(torch.equal(v, second.state_dict()[k]) for k, v in first.state_dict().items())


@pytest.mark.parametrize('prefix', ['', 'student.'])
def test_checkpoint_of_another_skeleton_is_refused(estimator, prefix):
    other = copy.deepcopy(estimator)
    other['head']['out_channels'] = 5
    weights = {prefix + k: v for k, v in MODELS.build(other).state_dict().items()}
    with pytest.raises(ValueError, match='another joint set'):
        Teaching(estimator).load_state_dict(weights)


def test_teacher_stays_in_eval_after_model_train(estimator):
    for policy in ('ema', 'copy'):
        adapter = Teaching(estimator, teacher_bn=policy).train()
        assert not any(m.training for m in adapter.teacher.modules())
        assert all(m.training for m in adapter.student.modules())


def test_own_policy_trains_only_batch_statistics(estimator):
    estimator['backbone']['dropout'] = 0.5
    teacher = Teaching(estimator, teacher_bn='own').train().teacher
    training = {type(m).__name__ for m in teacher.modules() if m.training}
    assert training == {'BatchNorm2d'}
    assert not any(m.training for m in Teaching(estimator, teacher_bn='own').eval().teacher.modules())


def test_own_policy_leaves_frozen_statistics_alone(estimator):
    estimator['backbone'] = dict(type='EfficientNetLite', out_indices=(1,), frozen_stages=0)
    estimator['head'].update(in_channels=24)
    estimator['head']['decoder'].update(heatmap_size=(12, 8))
    adapter = Teaching(estimator, teacher_bn='own').train()
    for teacher, student in zip(adapter.teacher.modules(), adapter.student.modules()):
        if isinstance(teacher, torch.nn.BatchNorm2d):
            assert teacher.training == student.training
    assert not adapter.teacher.backbone._bn0.training


def test_teacher_has_no_gradient_and_no_optimiser_group(estimator):
    adapter = Teaching(estimator)
    assert not any(p.requires_grad for p in adapter.teacher.parameters())
    trained = {id(p) for p in adapter.parameters() if p.requires_grad}
    assert trained == {id(p) for p in adapter.student.parameters()}


@pytest.mark.parametrize('policy', ['own', 'ema', 'copy'])
def test_update_is_the_hand_written_one(estimator, policy):
    torch.manual_seed(1)
    adapter = Teaching(estimator, keep_rate=0.9, teacher_bn=policy)
    for value in adapter.student.state_dict().values():
        value.copy_(torch.rand_like(value.float()) * 5)
    before = copy.deepcopy(adapter.teacher.state_dict())
    adapter.update_teacher()
    names = {name for name, _ in adapter.student.named_parameters()}
    for key, new in adapter.teacher.state_dict().items():
        student, old = adapter.student.state_dict()[key], before[key]
        if key in names or (policy == 'ema' and new.is_floating_point()):
            wanted = 0.9 * old + 0.1 * student
        else:
            wanted = old if policy == 'own' else student
        torch.testing.assert_close(new, wanted.to(new.dtype), atol=1e-6, rtol=0)


@pytest.mark.parametrize('keep', [0.0, 1.0])
def test_extreme_shares_copy_or_leave(estimator, keep):
    adapter = Teaching(estimator, keep_rate=keep)
    before = [p.clone() for p in adapter.teacher.parameters()]
    with torch.no_grad():
        for p in adapter.student.parameters():
            p.add_(1.0)
    adapter.update_teacher()
    wanted = before if keep == 1.0 else list(adapter.student.parameters())
    for new, old in zip(adapter.teacher.parameters(), wanted):
        torch.testing.assert_close(new, old)


def test_repeated_updates_decay_geometrically(estimator):
    adapter = Teaching(estimator, keep_rate=0.8)
    with torch.no_grad():
        for p in adapter.student.parameters():
            p.add_(1.0)
    for _ in range(5):
        adapter.update_teacher()
    for t, s in zip(adapter.teacher.parameters(), adapter.student.parameters()):
        torch.testing.assert_close(s - t, torch.full_like(s, 0.8**5), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    'bad', [dict(keep_rate=1.5), dict(teacher_bn='frozen'), dict(predict_with='ensemble')], ids=lambda d: next(iter(d))
)
def test_bad_settings_are_refused(estimator, bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        Teaching(estimator, **bad)


def test_batch_without_source_is_refused(estimator, make_batch):
    adapter = build('SourceOnly', estimator)
    with pytest.raises(ValueError, match='quotas'):
        adapter(**adapter.data_preprocessor(make_batch(source=0), True), mode='loss')
