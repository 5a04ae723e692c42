"""The causal intervention: what is drawn in place of a picture's own nuisance, and what predicts."""

import copy

import pytest
import torch
from torch import nn
from volume_samples import DIM, JOINTS, batch, build, estimator, optimizers, prepared, step

from mmposeda.registry import MODELS


class TestInterventions:
    def draws(self, model, data=None, seed=1, number=4):
        inputs, _ = prepared(model, data or batch())
        torch.manual_seed(seed)
        return model._nuisances(inputs, number)

    def test_are_drawn_from_the_posteriors_of_unlabelled_pictures(self):
        """With almost no spread each draw is the mean of one of them, and each is drawn once."""
        model = build()
        nn.init.constant_(model.vae.logvar.bias, -60)
        nn.init.zeros_(model.vae.logvar.weight)
        inputs, _ = prepared(model, batch())
        mean, _ = model.nuisance(inputs['target'])
        orders = set()
        for seed in range(8):
            own, drawn = self.draws(model, seed=seed)
            torch.testing.assert_close(own, model.nuisance(inputs['source'])[0])
            distance = torch.cdist(drawn, mean)
            order = distance.argmin(1)
            assert distance.min(1).values.max() < 1e-5 and sorted(order.tolist()) == [0, 1, 2, 3]
            orders.add(tuple(order.tolist()))
        assert len(orders) > 3, 'in orders of their own'

    def test_have_the_posteriors_spread(self):
        model = build()
        nn.init.zeros_(model.vae.logvar.weight)
        model.vae.logvar.bias.data = torch.linspace(-3, 1, 6)
        inputs = dict(source=torch.zeros(1000, 3, 16, 16), target=torch.randn(1, 3, 16, 16))
        torch.manual_seed(0)
        _, drawn = model._nuisances(inputs, 1000)
        torch.testing.assert_close(drawn.mean(0), model.nuisance(inputs['target'])[0][0], atol=0.2, rtol=0)
        torch.testing.assert_close(drawn.std(0), torch.linspace(-1.5, 0.5, 6).exp(), rtol=0.1, atol=0)

    @pytest.mark.parametrize('target', [1, 3, 9])
    def test_numbers_of_the_halves_may_differ(self, target):
        own, drawn = self.draws(build(), batch(4, target))
        assert own.shape == drawn.shape == (4, 6)
        logged = step(build(), batch(4, target))
        assert all(torch.as_tensor(value).isfinite().all() for value in logged.values())

    @pytest.mark.parametrize('source', ['prior', 'mixed'])
    def test_may_be_noise(self, source):
        model = build(u_source=source)
        nn.init.zeros_(model.vae.mean.weight)
        nn.init.constant_(model.vae.mean.bias, 100.0)
        torch.manual_seed(0)
        _, drawn = model._nuisances(dict.fromkeys(('source', 'target'), torch.zeros(800, 3, 16, 16)), 800)
        from_prior = drawn.abs().max(1).values < 50
        share = from_prior.float().mean()
        assert share == 1 if source == 'prior' else abs(share - 0.5) < 0.06
        noise = drawn[from_prior]
        assert noise.mean().abs() < 0.1 and abs(noise.std() - 1) < 0.1
        assert torch.equal(from_prior, (drawn.abs() < 50).all(1)), 'whole latents'

    def test_carry_no_graph_and_leave_the_labels(self):
        model = build()
        own, drawn = self.draws(model)
        assert not own.requires_grad and not drawn.requires_grad
        data = batch()
        labels = [copy.deepcopy(s.gt_instance_labels.volume_pose) for s in data['data_samples'][:4]]
        step(model, data)
        assert all(torch.equal(a, s.gt_instance_labels.volume_pose) for a, s in zip(labels, data['data_samples']))

    def test_the_order_of_unlabelled_pictures_changes_them_and_not_the_pose_loss(self):
        """Nor does it change what the generator is told of the pose."""
        logs = []
        for order in ([4, 5, 6, 7], [7, 4, 6, 5]):
            data = batch()
            data['inputs'][4:] = [data['inputs'][i] for i in order]
            logs.append(step(build(), data))
        assert torch.equal(logs[0]['sup_loss_kpt'], logs[1]['sup_loss_kpt'])
        assert not torch.equal(logs[0]['causal_loss_distance'], logs[1]['causal_loss_distance'])

    @pytest.mark.parametrize('label', [None, float('nan')])
    def test_labels_of_unlabelled_pictures_change_nothing(self, label):
        plain, other, data = build(), build(), batch()
        for sample in data['data_samples'][4:]:
            if label is not None:
                sample.gt_instance_labels = copy.deepcopy(data['data_samples'][0].gt_instance_labels)
                sample.gt_instance_labels.volume_pose.fill_(label)
        step(plain), step(other, data)
        assert all(torch.equal(v, other.state_dict()[k]) for k, v in plain.state_dict().items())

    def test_with_its_own_nuisance_a_perfect_generator_costs_nothing(self, monkeypatch):
        """Consistency: the counterfactual under what is the case is what is observed."""

        class LookUp(nn.Module):
            def __init__(self):
                super().__init__()
                self.scale = nn.Parameter(torch.ones(()))

            def forward(self, nuisance, pose):
                same = (torch.cdist(nuisance, self.nuisance) == 0) & (torch.cdist(pose, self.pose) == 0)
                assert (same.sum(1) == 1).all()
                return self.scale * self.features[same.float().argmax(1)]

        model = build(weights=dict(pose=0))
        inputs, samples = prepared(model, batch())
        look_up = model.generator = LookUp()
        look_up.features = model._real_features(inputs)[0].detach()
        look_up.nuisance, look_up.pose = model.nuisance(inputs['source'])[0], model.pose_of(samples['source'])
        draw = model._nuisances
        monkeypatch.setattr(model, '_nuisances', lambda *args: 2 * draw(*args)[:1])
        wrappers = optimizers(model, dict(type='SGD', lr=0.0))
        logged = step(model, wrappers=wrappers)
        assert logged['gen_loss_consistency'] == 0 and logged['causal_loss_distance'] == 0

    def test_training_generators_draw_and_the_estimators_teacher_repeats(self):
        model, modes = build(generator=dict(hidden=(16,))), []
        model.generator.register_forward_hook(
            lambda module, *args: modes.append((module.training, torch.is_grad_enabled()))
        )
        before = int(model.generator.layers[1].num_batches_tracked)
        step(model)
        assert modes == [(True, False), (True, True), (True, True), (False, False)]
        assert model.generator.training
        assert int(model.generator.layers[1].num_batches_tracked) == before + 1, 'of drawn nuisances alone'

    def test_the_head_stands_in_evaluation_mode_while_the_generator_learns(self, monkeypatch):
        model, modes = build(), []
        original = model.student.head.loss
        monkeypatch.setattr(
            model.student.head, 'loss', lambda *args: modes.append(model.student.head.training) or original(*args)
        )
        counts = model.student.head.deconv_layers[1].num_batches_tracked.clone()
        step(model)
        assert modes == [False, True, True] and model.student.head.training
        assert model.student.head.deconv_layers[1].num_batches_tracked == counts + 1, 'of real features alone'


class TestPoses:
    def test_are_places_stretched_to_one_and_the_middle_where_unknown(self):
        model = build()
        _, samples = prepared(model, batch())
        pose = model.pose_of(samples['source']).view(4, JOINTS, 3)
        for sample, got in zip(samples['source'], pose):
            label = sample.gt_instance_labels
            for k in range(JOINTS):
                wanted = 2 * label.volume_pose[0, k] - 1 if label.volume_weights[0, k] else torch.zeros(3)
                torch.testing.assert_close(got[k], wanted)
        assert pose.abs().max() <= 1

    def test_counterfactuals_are_of_every_pose_under_every_nuisance(self):
        model = build()
        nuisances, pose = torch.randn(3, 6), torch.rand(2, 3 * JOINTS)
        got = model.counterfactuals(nuisances, pose)
        assert got.shape == (2, 3, DIM) and not got.requires_grad and model.generator.training
        assert torch.equal(got, model.counterfactuals(nuisances, pose)), 'no dropout'
        model.generator.eval()
        for i in range(2):
            for k in range(3):
                torch.testing.assert_close(got[i, k], model.generator(nuisances[k : k + 1], pose[i : i + 1])[0])


class TestPredictions:
    def trained(self, **options):
        model = build(**options)
        step(model)
        return model.eval()

    def predict(self, model):
        data = model.data_preprocessor(batch(3, 0), False)
        found = model(**data, mode='predict')
        return torch.stack([torch.as_tensor(sample.pred_instances.keypoints_3d) for sample in found])

    @pytest.mark.parametrize('mode', ['spatial', 'pooled'])
    def test_do_not_ask_the_networks_of_training(self, mode):
        model = self.trained(mode=mode)
        before = self.predict(model)
        for part in (model.vae, model.generator, model.discriminator):
            for value in part.state_dict().values():
                value.copy_(torch.randint_like(value, 9) if not value.is_floating_point() else torch.randn_like(value))
        assert torch.equal(self.predict(model), before)
        for part in ('vae', 'generator', 'discriminator'):
            setattr(model, part, None)
        assert torch.equal(self.predict(model), before)

    def test_are_the_plain_estimators(self):
        model = self.trained()
        plain = MODELS.build(estimator()).eval()
        weights = model.plain_state_dict()
        assert weights.keys() == plain.state_dict().keys()
        plain.load_state_dict(weights)
        data = plain.data_preprocessor(batch(3, 0), False)
        found = plain(**data, mode='predict')
        got = torch.stack([torch.as_tensor(sample.pred_instances.keypoints_3d) for sample in found])
        assert torch.equal(got, self.predict(model))

    def test_cost_as_many_operations_as_the_plain_estimators(self):
        """Calls of modules: the adapter adds none."""
        model, calls = self.trained(), []
        data = model.data_preprocessor(batch(3, 0), False)
        for module in model.modules():
            if not list(module.children()):
                module.register_forward_hook(lambda *args: calls.append(1))
        numbers = []
        for answering in (model, model.student):
            answering(**data, mode='predict')
            numbers.append(len(calls))
            calls.clear()
        assert numbers[0] == numbers[1] > 0

    def test_the_next_stage_takes_up_a_plain_checkpoint(self):
        source = MODELS.build(dict(type='SourceOnly', estimator=estimator()))
        for weights in (source.state_dict(), source.plain_state_dict()):
            model = build(seed=5)
            missing, unexpected = model.load_state_dict(weights, strict=False)
            assert unexpected == [] and {key.split('.')[0] for key in missing} == {'vae', 'generator', 'discriminator'}
            assert all(torch.equal(v, model.student.state_dict()[k]) for k, v in source.student.state_dict().items())
