"""The causal intervention: what each update reaches, its objectives by hand, and what is refused."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn
from volume_samples import CODEC, DIM, JOINTS, VAE, batch, build, estimator, moved, optimizers, prepared, state, step

from mmposeda.engine.optimizers import PartOptimWrapperConstructor
from mmposeda.models.adapters.causal_intervention import WEIGHTS
from mmposeda.registry import MODELS

SGD = dict(type='SGD', lr=0.1)


def gradients(model, monkeypatch):
    """Parts of the model that hold a gradient when each optimiser steps, in the order of the updates."""
    found, original = [], OptimWrapper.step

    def watch(self, **kwargs):
        found.append({name.split('.')[0] for name, p in model.named_parameters() if p.grad is not None})
        original(self, **kwargs)

    monkeypatch.setattr(OptimWrapper, 'step', watch)
    return found


class TestNetworks:
    def test_sizes_come_from_neck_head_and_autoencoder(self):
        model = build(cond_pose=True, real_pool='source')
        assert (model.generator.pose_dim, model.generator.latent, model.generator.dim) == (3 * JOINTS, 6, DIM)
        assert (model.discriminator.pose_dim, model.discriminator.dim) == (3 * JOINTS, DIM)
        assert build().discriminator.pose_dim == 0

    def test_the_papers_are_the_default(self):
        """All 14 joints; parameters as the tables have them."""
        codec = dict(CODEC, input_size=(256, 256), volume_size=(64, 64, 64))
        plain = estimator(decoder=codec, grid=(8, 8), dim=256, deconv_channels=(256, 256, 256))
        plain['neck'].update(grid=(8, 8), dim=256)
        model = MODELS.build(dict(type='CausalIntervention', estimator=plain, vae=dict(type='ImageVAE')))
        parts = ('vae', 'generator', 'discriminator')
        counts = {name: sum(p.numel() for p in getattr(model, name).parameters()) for name in parts}
        assert counts == dict(vae=2_492_224 + 1_446_467, generator=1_622_784, discriminator=264_193)
        assert model.weights == WEIGHTS == dict(counterfactual=1.0, distance=0.1, pose=1.0, consistency=1.0)

    def test_the_autoencoder_stands_still_in_every_mode(self):
        model = build()
        for mode in (True, False, True):
            model.train(mode)
            assert not any(m.training for m in model.vae.modules())
            assert all(m.training == mode for m in model.student.modules())
        assert not any(p.requires_grad for p in model.vae.parameters())

    def test_the_autoencoder_sees_the_pictures_as_it_was_trained(self):
        model, data = build(), batch()
        inputs, _ = prepared(model, batch())
        pictures = torch.stack(data['inputs'][4:]).flip(1) / 255
        torch.testing.assert_close(model.data_preprocessor.unit(inputs['target']), pictures)
        for got, wanted in zip(model.nuisance(inputs['target']), model.vae.encode(pictures)):
            torch.testing.assert_close(got, wanted)


class TestUpdates:
    def test_each_reaches_its_part_alone_and_in_order(self, monkeypatch):
        model = build()
        found = gradients(model, monkeypatch)
        step(model)
        assert found == [{'discriminator'}, {'generator'}, {'student'}]
        assert all(p.grad is None for p in model.parameters())

    @pytest.mark.parametrize(
        'options, learns',
        [
            (dict(phase='warm_up'), {'generator', 'discriminator'}),
            (dict(), {'generator', 'discriminator', 'student'}),
            (dict(refresh_generator=False), {'student'}),
        ],
        ids=['warm_up', 'causal', 'sequential'],
    )
    def test_what_learns_in_a_phase(self, options, learns):
        """Buffers too: neither the autoencoder nor what stands still counts batches."""
        model = build(**options)
        before = state(model)
        wrappers = optimizers(model)
        assert set(wrappers.keys()) == learns
        for seed in range(3):
            step(model, batch(seed=seed), wrappers=wrappers)
        assert moved(model, before) == learns
        assert all(p.grad is None for p in model.vae.parameters())

    @pytest.mark.parametrize('part', ['_update_discriminator', '_update_generator', '_update_student'])
    def test_each_moves_its_part_alone(self, part, monkeypatch):
        model = build()
        for name in ('_update_discriminator', '_update_generator', '_update_student'):
            if name != part:
                monkeypatch.setattr(model, name, lambda *args: {})
        before = state(model)
        step(model)
        alone = part.rpartition('_')[2]
        changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
        seen = {key for key in changed if not key.startswith(alone)}
        assert any(key.startswith(alone) for key in changed)
        # the features that all are made of move their running statistics
        assert all(key.startswith(('student.backbone', 'student.neck')) for key in seen)
        assert all(key.endswith(('running_mean', 'running_var', 'num_batches_tracked')) for key in seen)

    def test_the_discriminator_is_told_of_the_features_and_the_generator_not(self):
        """The first two updates are made of detached features."""
        model = build()
        inputs, samples = prepared(model, batch())
        features, pose = model._real_features(inputs), model.pose_of(samples['source'])
        own, drawn = model._nuisances(inputs, 4)
        assert features[0].requires_grad and not features[1].requires_grad
        model._update_discriminator(features, drawn, pose, optimizers(model)['discriminator'])
        model._update_generator(features[0], own, drawn, pose, samples, optimizers(model)['generator'])
        features[0].sum().backward()  # the graph is whole

    def test_without_its_terms_a_step_is_source_only_bit_for_bit(self):
        """Updates of the other parts leave the estimator's gradients alone; dropout is drawn as ever."""
        ours = build(dropout=0.3, weights=dict(counterfactual=0, distance=0))
        plain = MODELS.build(dict(type='SourceOnly', estimator=estimator(dropout=0.3))).train()
        plain.student.load_state_dict(ours.student.state_dict())
        step(ours, wrappers=optimizers(ours, SGD))
        torch.manual_seed(1)
        plain.train_step(batch(), OptimWrapper(torch.optim.SGD(plain.parameters(), 0.1)))
        for key, value in plain.student.state_dict().items():
            assert torch.equal(value, ours.student.state_dict()[key]), key
        assert moved(plain, state(build())) == {'student'}

    def test_the_distance_moves_the_features_and_not_the_head(self):
        self.check_terms(dict(counterfactual=0.0, distance=1.0), ('backbone', 'neck'))

    def test_the_counterfactual_moves_the_head_and_not_the_features(self):
        self.check_terms(dict(counterfactual=1.0, distance=0.0), ('head',))

    def check_terms(self, weights, wanted):
        """Parts of the estimator that a term alone would move."""
        with_term, without = build(weights=weights), build(weights=dict(counterfactual=0.0, distance=0.0))
        for model in (with_term, without):
            step(model, wrappers=optimizers(model, SGD))
        trained = dict(with_term.student.named_parameters())
        other = dict(without.student.named_parameters())
        assert {name.split('.')[0] for name in other if not torch.equal(trained[name], other[name])} == set(wanted)

    def test_objectives_follow_the_equations(self, monkeypatch):
        """Of the estimator and of the generator, from the same draws and with other weights."""
        factors = dict(counterfactual=0.7, distance=0.3, pose=0.6, consistency=0.4)
        model = build(weights=factors, generator=dict(hidden=(16,), dropout=0.0), refresh_generator=True)
        inputs, samples = prepared(model, batch())
        features, pose = model._real_features(inputs), model.pose_of(samples['source'])
        own, drawn = model._nuisances(inputs, 4)
        twin = copy.deepcopy(model)
        logged = model._update_generator(features[0], own, drawn, pose, samples, optimizers(model)['generator'])
        fake, mine = (twin.generator(u, pose) for u in (drawn, own))
        label = twin.student.head.labels(samples['source'])
        evaluated = twin.student.head.eval()((fake,))
        twin.student.head.train()
        wanted = dict(
            gen_loss_adv=-twin.discriminator(fake).sigmoid().log().mean(),
            gen_loss_kpt=0.6 * twin.student.head.error(evaluated, *label),
            gen_loss_consistency=0.4 * (mine - features[0]).abs().mean(),
        )
        assert logged.keys() == wanted.keys()
        for key, value in wanted.items():
            torch.testing.assert_close(logged[key], value)
        twin = copy.deepcopy(model)
        logged = model._update_student(features[0], drawn, pose, samples, optimizers(model)['student'])
        head, fake = twin.student.head, twin.generator.eval()(drawn, pose)
        wanted = dict(
            sup_loss_kpt=head.error(head((features[0],)), *label),
            causal_loss_kpt=0.7 * head.error(head((fake,)), *label),
            causal_loss_distance=0.3 * (features[0] - fake).abs().mean(),
            causal_spread=fake.std(0).mean(),
            causal_saturated=(features[0].abs() > 0.99).float().mean(),
        )
        assert logged.keys() == wanted.keys()
        for key, value in wanted.items():
            torch.testing.assert_close(logged[key], value)

    def test_a_discriminator_that_cannot_tell(self):
        model = build()
        nn.init.zeros_(model.discriminator.layers[-1].weight)
        nn.init.zeros_(model.discriminator.layers[-1].bias)
        still = optimizers(model)
        for group in still['discriminator'].optimizer.param_groups:
            group['lr'] = 0.0
        logged = step(model, wrappers=still)
        log2 = 0.6931472
        assert float(logged['disc_loss_adv']) == pytest.approx(2 * log2)
        assert float(logged['gen_loss_adv']) == pytest.approx(log2) and logged['disc_accuracy'] == 0.5

    def test_terms_without_weight_are_not_computed(self):
        logged = step(build(weights=dict.fromkeys(WEIGHTS, 0.0)))
        assert {key for key in logged if 'loss' in key} == {'disc_loss_adv', 'gen_loss_adv', 'sup_loss_kpt'}

    @pytest.mark.parametrize('pool', ['both', 'source', 'unlabelled'])
    def test_the_discriminator_takes_the_pool_for_real(self, pool, monkeypatch):
        model = build(real_pool=pool)
        seen = []
        monkeypatch.setattr(model, '_judge', lambda features, pose: seen.append(features) or features.mean(1))
        inputs, samples = prepared(model, batch())
        real, pose = model._real_features(inputs), model.pose_of(samples['source'])
        with pytest.raises(RuntimeError):  # nothing of it is the discriminator's
            model._update_discriminator(real, torch.randn(4, 6), pose, optimizers(model)['discriminator'])
        wanted = dict(both=[0, 1], source=[0], unlabelled=[1])[pool]
        assert len(seen) == len(wanted) + 1
        assert all(torch.equal(seen[i], real[k]) for i, k in enumerate(wanted))

    def test_a_discriminator_that_sees_the_pose(self):
        model = build(cond_pose=True, real_pool='source')
        before = state(model)
        step(model)
        assert moved(model, before) == {'generator', 'discriminator', 'student'}

    @pytest.mark.parametrize('tracked', [False, True])
    def test_whose_pictures_move_the_running_statistics(self, tracked):
        states = []
        for seed in (0, 1):
            data, model = batch(), build(target_statistics=tracked, weights=dict(counterfactual=0, distance=0))
            data['inputs'][4:] = batch(seed=seed)['inputs'][4:]
            step(model, data, wrappers=optimizers(model, SGD))
            states.append(model.student.state_dict())
        same = {key for key, value in states[0].items() if torch.equal(value, states[1][key])}
        apart = set(states[0]) - same
        assert all('running' in key for key in apart) and bool(apart) == tracked


class TestMixedPrecision:
    def test_losses_are_finite_and_in_float32(self, monkeypatch):
        exact = step(build())
        monkeypatch.setattr(OptimWrapper, 'optim_context', lambda self, model: torch.autocast('cpu', torch.bfloat16))
        model = build()
        before = state(model)
        logged = step(model)
        assert moved(model, before) == {'student', 'generator', 'discriminator'}
        assert all(p.isfinite().all() for p in model.parameters())
        for key, value in logged.items():
            assert value.isfinite() and ('loss' not in key or value.dtype == torch.float32), key
            spread = 0.3 if 'accuracy' in key else 0.02
            assert float(value) == pytest.approx(float(exact[key]), rel=0.1, abs=spread), key

    def test_every_weight_gets_its_gradient(self, monkeypatch):
        """Weights that were cast without a graph, in the same context, would get none."""
        monkeypatch.setattr(OptimWrapper, 'optim_context', lambda self, model: torch.autocast('cpu', torch.bfloat16))
        model, missing = build(), []
        original = OptimWrapper.step

        def watch(self, **kwargs):
            missing.extend(p for group in self.optimizer.param_groups for p in group['params'] if p.grad is None)
            original(self, **kwargs)

        monkeypatch.setattr(OptimWrapper, 'step', watch)
        step(model)
        assert not missing


class TestBadInput:
    @pytest.mark.parametrize(
        'options, message',
        [
            (dict(phase='vae'), r"phase must be one of \('warm_up', 'causal'\), got 'vae'"),
            (dict(u_source='noise'), r"u_source must be one of .*'prior', 'mixed'\), got 'noise'"),
            (dict(real_pool='target'), r"real_pool must be one of .*'unlabelled'\), got 'target'"),
            (dict(weights=dict(lambda1=1)), 'weights are of counterfactual, distance, pose, consistency, got lambda1'),
            (dict(weights=dict(distance=-1)), r"weights must not be negative, got {'distance': -1}"),
            (dict(cond_pose=True), "cond_pose=True wants real_pool='source'"),
        ],
    )
    def test_bad_settings_are_refused(self, options, message):
        with pytest.raises(ValueError, match=message):
            build(**options)

    @pytest.mark.parametrize('part', ['neck', 'head'])
    def test_estimators_without_feature_vectors_are_refused(self, part):
        plain = estimator()
        if part == 'neck':
            plain['neck'] = dict(type='GlobalAveragePooling')
        else:
            codec = dict(type='MSRAHeatmap', input_size=(48, 32), heatmap_size=(12, 8), sigma=1)
            plain['head'] = dict(type='HeatmapHead', in_channels=8, out_channels=3, decoder=codec)
        with pytest.raises(TypeError, match='needs a FeatureNeck and a head .* such as VolumetricIntegralHead; got'):
            MODELS.build(dict(type='CausalIntervention', estimator=plain, vae=VAE))

    def test_vectors_of_two_sizes_are_refused(self):
        plain = estimator()
        plain['neck']['dim'] = 2 * DIM
        with pytest.raises(ValueError, match=f'the neck gives {2 * DIM} features and the head takes {DIM}'):
            MODELS.build(dict(type='CausalIntervention', estimator=plain, vae=VAE))

    @pytest.mark.parametrize('counts, domain', [((4, 0), 'target'), ((0, 4), 'source')])
    def test_batches_of_one_domain_are_refused(self, counts, domain):
        with pytest.raises(ValueError, match=f'without a {domain} sample: check the quotas'):
            step(build(), batch(*counts))

    def test_a_single_optimiser_is_refused(self):
        model = build()
        with pytest.raises(ValueError, match='updates its parts one after another.*PartOptimWrapperConstructor'):
            model.train_step(batch(), OptimWrapper(torch.optim.SGD(model.parameters(), 0.1)))

    def test_a_part_without_an_optimiser_is_refused(self):
        with pytest.raises(ValueError, match='no part updates discriminator'):
            PartOptimWrapperConstructor(dict(student=dict(optimizer=SGD), generator=dict(optimizer=SGD)))(build())

    def test_there_is_no_single_loss(self):
        model = build()
        data = model.data_preprocessor(batch(), True)
        with pytest.raises(RuntimeError, match=r"model_wrapper_cfg=dict\(type='PartParallel'\)"):
            model(**data, mode='loss')

    def test_labels_of_another_joint_set_are_refused(self):
        data = batch()
        for sample in data['data_samples'][:4]:
            label = sample.gt_instance_labels
            label.set_field(torch.rand(1, 17, 3), 'volume_pose')
            label.set_field(torch.ones(1, 17), 'volume_weights')
        with pytest.raises(ValueError, match='labels of 17 joints for a head of the 14'):
            step(build(), data)
