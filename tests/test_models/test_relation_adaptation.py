"""Which weights each loss of the relation distillation moves, by which optimiser, and what is refused."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper
from relation_samples import (
    LOSSES,
    RELATIONS,
    RESNET,
    SIZE,
    batch_for,
    build,
    changed,
    clips,
    estimator,
    labelled,
    logged,
    optimisers,
    prepared,
    snapshot,
)

from mmposeda.registry import MODELS

OWN_HEAD = dict(pose_contrast='pose_projection', motion_contrast='motion_projection')
RES3 = 'student.backbone.layer2.'


class TestWhatMoves:
    @pytest.mark.parametrize('loss', [*LOSSES, 'source'])
    def test_all_but_the_adapted_part_and_the_losss_own_head_is_what_it_was(self, loss):
        """Batch statistics too. With weight decay, which moves weights whose gradient is 0."""
        model = build()
        before = snapshot(model)
        wrappers = optimisers(model, dict(type='Adam', lr=1e-3, weight_decay=0.1))
        for seed in range(2):
            model.train_step(batch_for(loss, seed=seed), wrappers)
        moved = changed(model, before)
        own = OWN_HEAD.get(loss, RES3)
        assert all(name.startswith((RES3, own)) for name in moved)
        assert {f'{RES3}{name}' for name, _ in model.student.backbone.layer2.named_parameters()} <= moved
        assert any(name.startswith(own) for name in moved)
        assert not any('running' in name or 'num_batches' in name for name in moved)

    @pytest.mark.parametrize('loss', ['motion_contrast', *RELATIONS])
    def test_gradients_pass_frozen_networks_and_leave_none_there(self, loss):
        model = build()
        total, _ = model.parse_losses(model(**prepared(model, clips(loss)), mode='loss'))
        total.backward()
        for name, weight in model.named_parameters():
            if name.startswith((RES3, OWN_HEAD.get(loss, RES3))):
                assert (weight.grad != 0).any(), name
            elif 'projection' not in name:
                assert weight.grad is None and not weight.requires_grad, name

    @pytest.mark.parametrize('loss', [*LOSSES, 'source'])
    def test_a_loss_falls(self, loss):
        model = build(change=0.0, photometric=dict(hue=0.0, value=0.0))
        wrappers, totals = optimisers(model, dict(type='Adam', lr=3e-3)), []
        for number in range(15):
            torch.manual_seed(number % 3)
            found = model.train_step(batch_for(loss), wrappers)
            totals.append(float(next(value for key, value in found.items() if 'loss' in key)))
        assert min(totals[-3:]) < totals[0]

    def test_nothing_waits_for_the_next_update(self):
        model = build()
        wrappers = optimisers(model)
        for loss in LOSSES:
            model.train_step(clips(loss), wrappers)
            assert all(p.grad is None or not p.grad.any() for p in model.parameters())

    def test_modes_stay_as_they_are(self):
        model = build()
        for mode in (True, False):
            model.train(mode)
            assert model.pose_projection.training == model.motion_projection.training == mode
            for name, module in model.named_modules():
                if name.startswith(('student', 'relations')):
                    assert not module.training, name
        assert not model.motion.training and model.motion.encoder.lstm.training, (
            'cuDNN goes back in training mode alone'
        )


class TestAdaptedParts:
    def learning(self, model):
        return {name for name, p in model.student.named_parameters() if p.requires_grad}

    def test_default_of_a_resnet_is_res_3(self):
        parts = self.learning(build())
        assert parts and all(name.startswith('backbone.layer2.') for name in parts)

    def test_default_of_an_efficientnet_is_the_stage_of_the_same_stride(self):
        model = build(estimator=estimator(dict(type='EfficientNetLite', out_indices=(3,)), 112))
        parts = self.learning(model)
        assert {name.split('.')[2] for name in parts} == {'3', '4'}
        steps = {}
        for number, block in enumerate(model.student.backbone._blocks):
            block.register_forward_hook(lambda _, x, y, number=number: steps.update({number: SIZE // y.shape[-1]}))
        model.latents(torch.zeros(1, 3, SIZE, SIZE))
        assert [steps[n] for n in (2, 3, 4, 5)] == [4, 8, 8, 16]
        before = snapshot(model)
        model.train_step(clips(RELATIONS[0]), optimisers(model))
        moved = changed(model, before)
        assert moved and all(
            name.startswith(('student.backbone._blocks.3', 'student.backbone._blocks.4')) for name in moved
        )

    def test_several_by_name(self):
        model = build(adapt=['backbone.layer2.0', 'head.first'])
        assert {tuple(name.split('.')[:2]) for name in self.learning(model)} == {
            ('backbone', 'layer2'),
            ('head', 'first'),
        }
        assert not any('layer2.1' in name for name in self.learning(model))

    def test_none_named_is_all_but_the_pose_decoder(self):
        model = build(adapt=[])
        everything = {name for name, _ in model.student.named_parameters()}
        assert self.learning(model) == {name for name in everything if not name.startswith('head.pose.')}
        before = snapshot(model)
        model.train_step(clips(RELATIONS[0]), optimisers(model))
        moved = changed(model, before)
        assert {f'student.{name}' for name in self.learning(model)} <= moved
        assert not any('head.pose.' in name or 'running' in name for name in moved)

    def test_a_pose_decoder_stays_frozen_even_if_named(self):
        assert all(not name.startswith('head.pose.') for name in self.learning(build(adapt=['head'])))

    def test_unknown_backbones_have_no_default(self):
        tiny = estimator(dict(type='MobileNetV2', widen_factor=0.25, out_indices=(4,)), 24)
        with pytest.raises(
            TypeError, match='which part of ResNet, EfficientNetLite to adapt, not of MobileNetV2: name it'
        ):
            build(estimator=tiny)
        build(estimator=tiny, adapt=['backbone.layer3'])

    def test_parts_that_the_estimator_lacks_are_named(self):
        match = r"adapt names 'backbone\.layer9', which the estimator lacks; parts of it: .*backbone\.layer2"
        with pytest.raises(ValueError, match=match):
            build(adapt=['backbone.layer9'])

    @pytest.mark.parametrize('adapt', [None, ['backbone.maxpool'], ['head.pose']])
    def test_parts_that_cannot_learn_are_refused(self, adapt):
        frozen = dict(RESNET, frozen_stages=2)
        with pytest.raises(ValueError, match='nothing of the estimator learns.*frozen_stages'):
            build(estimator=estimator(frozen), adapt=adapt)

    def test_each_loss_has_the_adapted_part_and_its_own_head(self):
        model = build()
        shared = [id(p) for p in model.student.backbone.layer2.parameters()]
        for loss in model.losses:
            own = [id(p) for p in getattr(model, OWN_HEAD[loss]).parameters()] if loss in OWN_HEAD else []
            assert [id(p) for p in model.trained_by(loss)] == shared + own
        assert model.losses == (*LOSSES, 'source')
        with pytest.raises(
            ValueError, match=r"has no loss 'flip'; it has pose_contrast, motion_contrast, flip_inplane"
        ):
            model.trained_by('flip')


class TestTurns:
    def test_each_optimiser_counts_its_own_steps(self):
        model = build()
        wrappers, seen = optimisers(model), []
        for number in range(7):
            found = model.train_step(clips(LOSSES[number % 5]), wrappers)
            seen.append(next(key for key in found if key.startswith('rel_loss')).removeprefix('rel_loss_'))
        assert seen == [*LOSSES, *LOSSES[:2]]
        steps = {loss: {int(s['step']) for s in w.optimizer.state.values()} for loss, w in wrappers.items()}
        assert steps == {**dict.fromkeys(LOSSES, {1}), **dict.fromkeys(LOSSES[:2], {2}), 'source': set()}

    def test_a_step_leaves_the_moments_of_other_losses_alone(self):
        model, losses = build(change=0.0), (RELATIONS[0], 'source')
        wrappers = optimisers(model)
        model.train_step(clips(losses[0]), wrappers)
        first = copy.deepcopy(wrappers[losses[0]].optimizer.state_dict()['state'])
        model.train_step(labelled(), wrappers)
        for key, state in wrappers[losses[0]].optimizer.state_dict()['state'].items():
            assert all(torch.equal(torch.as_tensor(state[name]), torch.as_tensor(first[key][name])) for name in state)

    def test_logs_hold_no_sum(self):
        """It would be of another loss in every iteration."""
        found = build().train_step(clips(RELATIONS[0]), optimisers(build()))
        assert 'loss' not in found


class TestRefused:
    def test_losses_mixed_in_a_batch(self):
        first, second = clips('pose_contrast', count=2), clips(RELATIONS[0], count=2)
        mixed = {key: [*first[key], *second[key]] for key in first}
        with pytest.raises(ValueError, match='clips for .* in a batch .* expected one of .* and a TurnSampler'):
            logged(build(), mixed)

    @pytest.mark.parametrize('task', ['flip', 'source', None])
    def test_losses_that_the_model_lacks(self, task):
        with pytest.raises(
            ValueError, match=f'clips for {task} in a batch .*one of pose_contrast, motion.* set task in'
        ):
            logged(build(), clips(task))

    @pytest.mark.parametrize(
        'task, frames', [('motion_contrast', 4), ('flip_inplane_backward(50)', 4), ('slow_backward', 8)]
    )
    def test_too_few_frames(self, task, frames):
        match = f'need {frames} frames, got {frames - 1}: set frames={frames} in the UnlabeledVideoDataset of this task'
        with pytest.raises(ValueError, match=match):
            logged(build(), clips(task, frames=frames - 1))

    def test_a_single_optimiser(self):
        model = build()
        with pytest.raises(
            ValueError, match="no optimiser for the loss 'slow_backward': .*LossOptimWrapperConstructor"
        ):
            model.train_step(clips('slow_backward'), OptimWrapper(torch.optim.SGD(model.parameters(), 0.1)))

    @pytest.mark.parametrize('loss', ['slow_backward', 'source'])
    def test_a_loss_without_an_optimiser(self, loss):
        model = build()
        with pytest.raises(ValueError, match=f"no optimiser for the loss '{loss}'"):
            model.train_step(batch_for(loss), optimisers(model, **{loss: None}))

    @pytest.mark.parametrize('domains', [('clip', 'source'), ('source', 'target'), ('target',)])
    def test_batches_of_other_domains(self, domains):
        model, batch = build(), dict(inputs=[], data_samples=[])
        for domain in domains:
            more = clips(RELATIONS[0]) if domain == 'clip' else labelled()
            for data in more['data_samples']:
                data.set_metainfo(dict(domain=domain))
            batch = {key: [*batch[key], *more[key]] for key in batch}
        for run in (lambda: logged(model, batch), lambda: model.train_step(batch, optimisers(model))):
            with pytest.raises(ValueError, match='takes batches of clips or of labelled pictures, got .*TurnSampler'):
                run()

    @pytest.mark.parametrize(
        'kwargs, error, match',
        [
            (dict(stop_positive=('poses',)), ValueError, "stop_positive holds 'pose', 'motion' or both, got"),
            (dict(change=1.5), ValueError, r'change is a share and must lie in \[0, 1\], got 1\.5'),
            (dict(temperature=0.0), ValueError, 'temperature must be above 0, got 0'),
            (dict(frames=5), ValueError, 'slow_backward takes the middle half .* clips of an even length, got 5'),
            (dict(frames=0, relations=['flip']), ValueError, 'frames must be from 1 on, got 0'),
            (dict(relations=['upwards']), ValueError, "relation 'upwards' is none of"),
        ],
    )
    def test_options(self, kwargs, error, match):
        with pytest.raises(error, match=match):
            build(**kwargs)

    def test_estimators_without_latents(self, estimator):
        cfg = dict(type='RelationDistillation', estimator=estimator, motion=dict(type='MotionAutoEncoder'))
        with pytest.raises(TypeError, match='works on latents: it needs a LatentPoseHead, got HeatmapHead'):
            MODELS.build(cfg)
