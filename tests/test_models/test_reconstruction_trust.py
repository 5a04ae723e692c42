"""What the geometric reconstruction does beside learning: processes, files, NaN, and parts that rest."""

import copy

import pytest
import torch
from test_geometric_reconstruction import PARTS, batch, build, losses_of  # noqa: F401  (batch is a fixture)
from torch import nn

from mmposeda.models import pseudo_labels, pseudo_labels_3d, reconstruction
from mmposeda.models.reconstruction import PairReconstruction
from mmposeda.registry import MODELS


class TestSeveralProcesses:
    def test_loss_of_pairs_is_that_of_all_that_count(self, monkeypatch):
        """Two processes, of whose pairs one and three count, against one with all pairs."""
        torch.manual_seed(0)
        part = PairReconstruction(3, **{**PARTS['reconstruction'], 'displacement': (0.1, 0.9)}).eval()
        base, driving = torch.rand(2, 6, 3, 32, 48)
        points = torch.rand(6, 3, 2) * 20
        moved = points + torch.tensor([0.0, 9, 0, 9, 9, 9])[:, None, None]
        whole = part(base, driving, points, moved)
        assert whole.used.tolist() == [False, True, False, True, True, True]
        monkeypatch.setattr(reconstruction, 'get_world_size', lambda: 2)
        monkeypatch.setattr(reconstruction, 'all_reduce', lambda x, op: x.fill_(2.0))
        halves = [part(*(x[half] for x in (base, driving, points, moved))).loss for half in (slice(3), slice(3, 6))]
        torch.testing.assert_close(sum(halves) / 2, whole.loss)

    def test_looks_from_outside_ask_no_other_process(self, estimator, batch, monkeypatch):  # noqa: F811
        """A hook may draw in the first process alone: the others would be waited for in vain."""
        model = build(estimator, **PARTS).eval()
        inputs = model.data_preprocessor(batch(), True)

        def refuse(*args):
            raise AssertionError('asks other processes')

        for module, name in (
            (pseudo_labels, 'all_gather'),
            (pseudo_labels_3d, 'all_reduce'),
            (reconstruction, 'all_reduce'),
        ):
            monkeypatch.setattr(module, 'get_world_size', lambda: 2)
            monkeypatch.setattr(module, name, refuse)
        with torch.no_grad():
            model.preview(**inputs)
            model.preview_pair(inputs['inputs'])
            model.judge(inputs['inputs']['target'])
            with pytest.raises(AssertionError, match='asks other processes'):
                model.loss(**inputs)

    @pytest.mark.parametrize('phase', ['pose', 'generator', 'adapt'])
    @pytest.mark.parametrize(
        'options',
        [{}, dict(reconstruction_weight=0), dict(weight_3d=0), dict(freeze_generator=True, kp_grad='both')],
        ids=['all', 'no reconstruction', 'no 3D', 'frozen'],
    )
    def test_every_weight_that_is_trained_gets_a_gradient(self, phase, options, estimator, batch):  # noqa: F811
        """DistributedDataParallel waits for each of them."""
        model = build(estimator, phase=phase, **PARTS, **options).train()
        losses = losses_of(model, batch())
        sum(value for key, value in losses.items() if 'loss' in key).backward()
        without = [name for name, p in model.named_parameters() if p.requires_grad != (p.grad is not None)]
        assert without == []

    def test_synchronised_statistics_rest_where_the_others_do(self, estimator):
        model = build(estimator, phase='generator', **PARTS)
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model).train()
        modes = {
            name: {m.training for m in getattr(model, name).modules() if isinstance(m, nn.SyncBatchNorm)}
            for name in ('student', 'reconstruction')
        }
        assert modes == dict(student={False}, reconstruction={True})


class TestFiles:
    def test_of_plain_estimators_load_into_student_and_teacher(self, estimator):
        plain = MODELS.build(copy.deepcopy(estimator))
        nn.init.normal_(plain.head.final_layer.weight)
        model = build(estimator, **PARTS)
        left = model.load_state_dict(plain.state_dict(), strict=False)
        assert not left.unexpected_keys
        assert {key.split('.')[0] for key in left.missing_keys}.isdisjoint({'student', 'teacher'})
        for copied in (model.student, model.teacher):
            assert all(torch.equal(value, copied.state_dict()[key]) for key, value in plain.state_dict().items())

    def test_of_udape_load_and_leave_what_is_new(self, estimator):
        older = build(estimator, 'UDAPE')
        nn.init.normal_(older.teacher.head.final_layer.weight)
        model = build(estimator, **PARTS)
        left = model.load_state_dict(older.state_dict(), strict=False)
        assert not left.unexpected_keys
        new = {'depth', 'teacher_depth', 'reconstruction', 'balance', 'combiner', 'scorer'}
        assert {key.split('.')[0] for key in left.missing_keys} == new
        assert torch.equal(model.teacher.head.final_layer.weight, older.teacher.head.final_layer.weight)


class TestNaN:
    @pytest.mark.parametrize('phase, term', [('generator', 'rec_loss'), ('adapt', 'unsup_loss_reconstruction')])
    def test_in_joints_shows_in_the_loss(self, phase, term, estimator, batch, monkeypatch):  # noqa: F811
        model = build(estimator, phase=phase, **PARTS).train()
        if phase == 'adapt':
            model.weights['reconstruction'] = 1.0
        nowhere = torch.full((2,), torch.nan)
        monkeypatch.setattr(model, '_points', lambda heatmaps: heatmaps.mean((2, 3))[..., None] * nowhere)
        assert losses_of(model, batch())[term].isnan()


def test_a_consistency_that_is_not_there_yet_measures_nothing(estimator, batch):  # noqa: F811
    """ScheduleHook may begin with a weight of 0."""
    model = build(estimator, **PARTS, weight_3d=0).train()
    model.consistency_weight = 0.0
    losses = losses_of(model, batch())
    assert losses['weight_reconstruction'] == 0 and model.balance.measured == 0
    model.consistency_weight = 1.0
    assert losses_of(model, batch())['weight_reconstruction'] > 0
