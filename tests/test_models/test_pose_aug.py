"""What an iteration of PoseAug moves, by how much, and what it leaves alone."""

import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from pose_streams import CAMERA, people, stream, streams

from mmposeda.models.adapters.pose_aug import WEIGHTS
from mmposeda.registry import MODELS
from mmposeda.structures.lifting_camera import in_view, project_h36m

ESTIMATOR = dict(
    type='PoseLifter',
    backbone=dict(type='MLPLifter', channels=32, num_blocks=1),
    head=dict(type='LiftingHead', decoder=dict(type='ScreenPoseLifting')),
)
PARTS = ('augmentor', 'disc3d', 'disc2d', 'student')
RANDOM = dict(augmentor=dict(type='RandomPoseAugmentor'), disc3d=None, disc2d=None, feedback=None)


def build(**kwargs):
    torch.manual_seed(0)
    full = dict(
        type='PoseAug',
        estimator=copy.deepcopy(ESTIMATOR),
        augmentor=dict(type='PoseAugmentor'),
        disc3d=dict(type='KCSDiscriminator'),
        disc2d=dict(type='PoseDiscriminator2D'),
        pool_size=32,
    )
    model = MODELS.build({**full, **kwargs}).train()
    part = dict(optimizer=dict(type='SGD', lr=1e-3))
    return model, build_optim_wrapper(
        model, dict(constructor='PartOptimWrapperConstructor', **dict.fromkeys(PARTS, part))
    )


def weights(model, name):
    return [p.detach().clone() for p in getattr(model, name).parameters()]


def moved(model, name, before):
    return any(not torch.equal(a, b) for a, b in zip(before, getattr(model, name).parameters()))


class TestUpdates:
    def test_an_iteration_moves_all_parts_and_the_next_no_discriminator(self):
        model, wrappers = build(disc_interval=2)
        for step, discriminators in ((0, True), (1, False), (2, True)):
            before = {name: weights(model, name) for name in PARTS}
            model.train_step(streams(seed=step), wrappers)
            seen = {name: moved(model, name, before[name]) for name in PARTS}
            assert seen == dict(augmentor=True, student=True, disc3d=discriminators, disc2d=discriminators)
            assert all(p.grad is None for p in model.parameters()), 'no gradient is left for another update'

    def test_the_augmentor_gets_the_gradient_of_its_losses_alone(self, monkeypatch):
        model, wrappers = build()
        seen = {}
        monkeypatch.setattr(
            wrappers['augmentor'],
            'step',
            lambda: seen.update(
                {name: [p.grad is not None for p in getattr(model, name).parameters()] for name in PARTS}
            ),
        )
        model.train_step(streams(), wrappers)
        assert all(seen.pop('augmentor'))
        assert not any(flag for flags in seen.values() for flag in flags)

    def test_warm_up_leaves_the_lifter_alone(self):
        model, wrappers = build()
        model.lifter_active = 0.0
        before, buffers = weights(model, 'student'), copy.deepcopy(dict(model.student.named_buffers()))
        logged = model.train_step(streams(), wrappers)
        assert not moved(model, 'student', before)
        assert all(torch.equal(buffers[name], buffer) for name, buffer in model.student.named_buffers())
        assert not any('feedback' in key or 'lift' in key for key in logged)

    @pytest.mark.parametrize('mode', ['eval', 'train'])
    def test_feedback_touches_the_lifters_statistics_in_train_mode_alone(self, mode):
        model, wrappers = build(feedback_mode=mode)
        before = copy.deepcopy(dict(model.student.named_buffers()))
        fakes = model._make(model._prepared(streams())['pairs'])
        model.augmentor_losses(fakes)
        same = all(torch.equal(before[name], buffer) for name, buffer in model.student.named_buffers())
        assert same is (mode == 'eval')
        assert model.student.training

    @pytest.mark.parametrize('feedback', ['band', 'exponential'])
    def test_feedback_reaches_angles_and_place(self, feedback):
        ratio = dict(band=50.0, exponential=2.0)[feedback]
        model, _ = build(feedback=feedback, hard_ratio_ba=ratio, hard_ratio_rt=10 * ratio)
        fakes = model._make(model._prepared(streams())['pairs'])
        fakes = fakes._replace(kept=torch.ones(8) > 0)
        losses = model.augmentor_losses(fakes)
        for key, head in (('ba', model.augmentor.angle_head), ('rt', model.augmentor.translation_head)):
            gradient = torch.autograd.grad(losses[f'aug_loss_feedback_{key}'], head.weight, retain_graph=True)[0]
            assert gradient.isfinite().all() and gradient.abs().max() > 0

    @pytest.mark.parametrize('feedback', ['band', 'exponential'])
    def test_what_lies_outside_the_picture_gets_no_feedback(self, feedback):
        model, _ = build(feedback=feedback)
        fakes = model._make(model._prepared(streams())['pairs'])
        model.eval()
        for rows in ([], [2], [0, 3, 4], list(range(8))):
            kept = torch.zeros(8, dtype=torch.bool)
            kept[rows] = True
            loss = model.augmentor_losses(fakes._replace(kept=kept))['aug_loss_feedback_rt']
            alone = [
                model.augmentor_losses(fakes._replace(kept=torch.arange(8) == row))['aug_loss_feedback_rt']
                for row in rows
            ]
            assert float(loss) == pytest.approx(sum(map(float, alone)) / max(len(rows), 1), rel=1e-4)

    def test_a_random_augmentor_trains_the_lifter_alone(self):
        model, wrappers = build(**RANDOM)
        assert set(wrappers.keys()) == {'student'}
        before = weights(model, 'student')
        logged = model.train_step(streams(), wrappers)
        assert moved(model, 'student', before)
        assert set(logged) == {'aug_change', 'aug_kept', 'lift_loss_both'}
        assert 0.04 <= float(logged['aug_change']) <= 0.37


class TestLosses:
    def test_are_weighted_as_the_config_says(self):
        model, _ = build()
        fakes = model._make(model._prepared(streams())['pairs'])
        model.eval()
        plain = {key: float(value) for key, value in model.augmentor_losses(fakes).items()}
        assert set(plain) == {f'aug_loss_{key}' for key in WEIGHTS}
        model.weights = dict.fromkeys(WEIGHTS, 1.0)
        for key, value in model.augmentor_losses(fakes).items():
            assert plain[key] == pytest.approx(WEIGHTS[key[len('aug_loss_') :]] * float(value), rel=1e-5)

    def test_adversarial_ones_are_half_the_squared_distance_from_real(self):
        model, _ = build()
        fakes = model._make(model._prepared(streams())['pairs'])
        losses = model.augmentor_losses(fakes)
        wanted = 6 * 0.5 * (model.disc3d(fakes.pose.ba) - 1).square().mean()
        assert float(losses['aug_loss_adv3d']) == pytest.approx(float(wanted), rel=1e-5)
        wanted = 0.5 * (model.disc2d(fakes.points_rt) - 1).square().mean()
        assert float(losses['aug_loss_adv2d']) == pytest.approx(float(wanted), rel=1e-5)

    def test_the_lifters_is_the_mean_square_over_seen_joints(self):
        model, _ = build()
        model.eval()
        inputs, _ = stream(4)
        seen = torch.rand(4, 16) < 0.6
        error = (model.lift(inputs['keypoints']) - model.relative(inputs['pose'])).square()
        loss = model.lifter_loss(inputs['keypoints'], inputs['pose'], seen)
        assert float(loss) == pytest.approx(float(error[seen].mean()), rel=1e-5)
        assert float(model.lifter_loss(inputs['keypoints'], inputs['pose'])) == pytest.approx(float(error.mean()))
        assert float(model.lifter_loss(inputs['keypoints'], inputs['pose'], torch.zeros(4, 16))) == 0


class TestFakes:
    def test_points_are_the_projection_of_the_placed_pose(self):
        model, _ = build()
        pairs = model._prepared(streams())['pairs']
        fakes = model._make(pairs)
        assert torch.equal(fakes.points_rt, project_h36m(fakes.pose.rt, pairs['camera']))
        assert torch.equal(fakes.points_ba, project_h36m(fakes.pose.ba, pairs['camera']))

    def test_lengths_are_those_of_poses_of_the_batch_and_directions_ones_own(self):
        model, _ = build()
        pose = people(6)
        swapped = model._swapped(pose)
        bones, new = model.tree.bones(pose), model.tree.bones(swapped)
        assert torch.allclose(new / new.norm(dim=-1, keepdim=True), bones / bones.norm(dim=-1, keepdim=True), atol=1e-5)
        assert torch.equal(swapped[:, 0], pose[:, 0])
        lengths, given = new.norm(dim=-1), bones.norm(dim=-1)
        owner = torch.cdist(lengths, given).argmin(1)
        assert torch.allclose(lengths, given[owner], atol=1e-6)
        assert sorted(owner.tolist()) == list(range(6)), 'every body is used once'
        assert torch.equal(build(swap_lengths=False)[0]._swapped(pose), pose)

    def test_those_outside_the_picture_are_replaced_by_those_inside(self):
        model, _ = build()
        pairs = model._prepared(streams())['pairs']
        fakes = model._make(pairs)
        rt = people(8, seed=5)
        rt[[0, 3, 6]] += torch.tensor([4.0, 0, 0])  # beyond the right edge
        rt[4] *= float('nan')
        points_rt = project_h36m(rt, CAMERA.expand(8, -1))
        kept = in_view(rt, points_rt, pairs['aspect'])
        fakes = fakes._replace(pose=fakes.pose._replace(rt=rt), points_rt=points_rt, kept=kept)
        points, pose, share = model._in_picture(fakes)
        assert float(share) == 0.5
        inside = [1, 2, 5, 7]
        assert torch.equal(pose, rt[inside + inside])
        assert torch.equal(points, fakes.points_rt[inside + inside])

    def test_where_none_is_inside_the_source_takes_their_place(self):
        model, wrappers = build()
        pairs = model._prepared(streams())['pairs']
        fakes = model._make(pairs)
        rt = torch.full_like(fakes.pose.rt, float('nan'))
        fakes = fakes._replace(pose=fakes.pose._replace(rt=rt), points_rt=rt[..., :2], kept=torch.zeros(8) > 0)
        points, pose, share = model._in_picture(fakes)
        assert float(share) == 0
        assert torch.equal(points, fakes.points) and torch.equal(pose, fakes.source)

    def test_target_points_without_poses_serve_as_real_ones(self):
        model, wrappers = build()
        batch = streams()
        for key in ('pose', 'camera'):
            del batch['inputs']['real_2d'][key]
        before = weights(model, 'disc2d')
        model.train_step(batch, wrappers)
        assert moved(model, 'disc2d', before)

    def test_examples_are_of_the_last_iteration(self):
        model, wrappers = build()
        assert model.augmented_examples(3) is None
        model.train_step(streams(), wrappers)
        shown = model.augmented_examples(3)
        assert {key: len(value) for key, value in shown.items()} == dict.fromkeys(shown, 3)
        again = project_h36m(shown['rt'], CAMERA.expand(3, -1))
        assert torch.allclose(shown['projected'], again, atol=1e-6)


class TestState:
    def test_a_copy_with_the_state_goes_on_exactly(self):
        model, wrappers = build()
        for step in range(3):
            model.train_step(streams(seed=step), wrappers)
        twin, other = build()
        twin.load_state_dict(model.state_dict())
        twin.load_rank_state(copy.deepcopy(model.rank_state()))
        for name in PARTS:
            other[name].load_state_dict(copy.deepcopy(wrappers[name].state_dict()))
        for step in range(3, 6):
            for each, wrapper in ((model, wrappers), (twin, other)):
                torch.manual_seed(step)
                each.train_step(streams(seed=step), wrapper)
        for a, b in zip(model.state_dict().values(), twin.state_dict().values()):
            assert torch.equal(a, b)

    def test_a_plain_lifters_checkpoint_loads_and_comes_back(self):
        model, _ = build()
        plain = MODELS.build(copy.deepcopy(ESTIMATOR))
        missing = model.load_state_dict(plain.state_dict(), strict=False).missing_keys
        assert not any(key.startswith('student') for key in missing)
        exported = model.plain_state_dict()
        assert exported.keys() == plain.state_dict().keys()
        assert all(torch.equal(value, plain.state_dict()[key]) for key, value in exported.items())


class TestPrediction:
    def predict(self, model, inputs, samples):
        return model.eval().val_step(dict(inputs=inputs, data_samples=samples))

    @pytest.mark.parametrize('flip_test', [False, True])
    def test_a_batch_gives_one_dict_with_roots_at_the_origin(self, flip_test):
        model, _ = build(flip_test=flip_test)
        inputs, samples = stream(5)
        (result,) = self.predict(model, inputs, samples)
        assert result['pred_poses'].shape == (5, 16, 3)
        assert result['pred_poses'][:, 0].abs().max() == 0 and result['poses'][:, 0].abs().max() == 0
        assert torch.equal(result['index'], samples['index'])

    def test_flip_test_makes_mirrored_poses_of_mirrored_points(self):
        model, _ = build(flip_test=True)
        inputs, samples = stream(5)
        flip = list(model.skeleton.flip_indices)
        mirrored = dict(inputs, keypoints=inputs['keypoints'][:, flip] * torch.tensor([-1.0, 1.0]))
        one, two = (self.predict(model, x, samples)[0]['pred_poses'] for x in (inputs, mirrored))
        assert torch.allclose(two[:, flip] * torch.tensor([-1.0, 1.0, 1.0]), one, atol=1e-6)

    def test_a_single_sample_is_enough(self):
        model, _ = build()
        assert self.predict(model, *stream(1))[0]['pred_poses'].shape == (1, 16, 3)


class TestRefusals:
    @pytest.mark.parametrize(
        'options, message',
        [
            (dict(feedback='no'), "feedback must be one of .*'no'"),
            (dict(feedback_mode='no'), "'eval' or 'train', got 'no'"),
            (dict(weights=dict(adv4d=1)), 'adv4d'),
            (dict(disc_interval=0), 'disc_interval'),
        ],
    )
    def test_bad_options_are_named(self, options, message):
        with pytest.raises(ValueError, match=message):
            build(**options)

    def test_a_batch_without_streams_says_how_to_get_them(self):
        model, wrappers = build()
        inputs, samples = stream(4)
        with pytest.raises(ValueError, match="lacks pairs, real_2d, real_3d.*type='PoseStreams'"):
            model.train_step(dict(inputs=inputs, data_samples=samples), wrappers)

    def test_another_joint_set_is_named(self):
        model, wrappers = build()
        batch = streams()
        batch['inputs']['pairs']['keypoints'] = torch.zeros(8, 17, 2)
        with pytest.raises(ValueError, match="takes 16 joints, got 17: set `joints='body16_3d'`"):
            model.train_step(batch, wrappers)


def test_the_baseline_learns_from_pairs_alone():
    torch.manual_seed(0)
    model = MODELS.build(dict(type='SupervisedLifter', estimator=copy.deepcopy(ESTIMATOR))).train()
    optimizer = dict(type='Adam', lr=1e-2)
    wrapper = build_optim_wrapper(model, dict(optimizer=optimizer))
    inputs, samples = stream(32)
    losses = [
        float(model.train_step(dict(inputs=inputs, data_samples=samples), wrapper)['lift_loss_real']) for _ in range(30)
    ]
    assert losses[-1] < 0.5 * losses[0]
    same = float(model.train_step(streams(32), wrapper)['lift_loss_real'])
    assert same == pytest.approx(losses[-1], rel=0.5), 'the pairs of several streams are taken'
