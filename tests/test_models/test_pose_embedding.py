"""The adversarial auto-encoder of poses: its losses by loops, what each moves, its phases, and how it resumes."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper, build_optim_wrapper
from relation_samples import LATENT, POSE, changed, motion, snapshot

from mmposeda.models.adapters import pose_embedding
from mmposeda.models.adapters.pose_embedding import PHASES
from mmposeda.registry import MODELS

STILL = dict(azimuth=0.0, tilt=0.0, flip=0.0)
EVERY_TIME = dict(check_every=1, reconstruction_below=1e9, accuracies=dict(fake=0.0, real=0.0, fooled=0.0))
LOGGED = dict(
    warm_up={'disc_loss_adv', 'disc_real', 'disc_fake', 'pose_loss_rec', 'pose_rec'},
    discriminator={'disc_loss_adv', 'disc_real', 'disc_fake'},
    generator={'pose_loss_rec', 'pose_rec', 'pose_loss_cyc', 'pose_loss_adv', 'pose_fooled'},
)


def build(phase='warm_up', seed=0, **kwargs):
    torch.manual_seed(seed)
    model = MODELS.build(dict(type='PoseEmbeddingTraining', **{'pose': POSE, 'views': STILL, **kwargs})).train()
    model.phase = phase
    return model


def optimisers(model, kind='SGD', lr=1e-3, **parts):
    part = dict(optimizer=dict(type=kind, lr=lr))
    cfg = dict(constructor='PartOptimWrapperConstructor', pose=part, discriminator=part)
    return build_optim_wrapper(model, dict(cfg, **parts))


def step(model, wrappers=None, seed=0, **kwargs):
    """One iteration of given poses and given draws."""
    torch.manual_seed(seed + 100)
    return model.train_step(motion(seed=seed, **kwargs), wrappers or optimisers(model))


def drawn_and_poses(model, seed=0, **kwargs):
    """What :func:`step` uses: poses in canonical units, and the latents that it draws."""
    poses = model.pose.kinematics.canonical(motion(seed=seed, **kwargs)['inputs']['motion']).flatten(0, 1)
    torch.manual_seed(seed + 100)
    for _ in range(3 + 1):  # the views' draws
        torch.rand(len(motion(seed=seed, **kwargs)['inputs']['motion']))
    return (2 * torch.rand(len(poses), LATENT) - 1) * model.pose.scale, poses


class TestLosses:
    @pytest.mark.parametrize('scale', [1.0, 3.0])
    def test_of_the_generator(self, scale):
        model = build('generator', pose=dict(POSE, scale=scale), weights=dict(rec=7.0, adv=2.0))
        drawn, poses = drawn_and_poses(model)
        assert drawn.abs().max() == pytest.approx(scale, rel=0.05)
        with torch.no_grad():
            made = model.pose.pose(drawn)
            logits = model.discriminator(made)
            back = torch.stack([model.pose.pose(model.pose.encode(pose)) for pose in poses])
            cyc = sum(float((a - b).abs().mean()) for a, b in zip(model.pose.encode(made), drawn)) / len(drawn)
        logged = step(model)
        assert logged.keys() == LOGGED['generator'] | {'phase'}
        rec = sum(float((a - b).abs().sum()) for a, b in zip(back, poses)) / poses.numel()
        assert float(logged['pose_rec']) == pytest.approx(rec, rel=1e-4)
        assert float(logged['pose_loss_rec']) == pytest.approx(7 * rec, rel=1e-4)
        assert float(logged['pose_loss_cyc']) == pytest.approx(100 * cyc, rel=1e-4), 'the default is 100'
        adv = sum(float((logits[:, k] - 1).abs().mean()) for k in range(15 + 6))
        assert float(logged['pose_loss_adv']) == pytest.approx(2 * adv, rel=1e-4)
        assert float(logged['pose_fooled']) == pytest.approx(float((logits > 0).float().mean()))

    def test_of_the_discriminator(self):
        model = build('discriminator')
        drawn, poses = drawn_and_poses(model)
        with torch.no_grad():
            real, fake = model.discriminator(poses), model.discriminator(model.pose.pose(drawn))
        logged = step(model)
        assert logged.keys() == LOGGED['discriminator'] | {'phase'} and float(logged['phase']) == 1
        want = sum(float((real[:, k] - 1).abs().mean() + (fake[:, k] + 1).abs().mean()) / 2 for k in range(15 + 6))
        assert float(logged['disc_loss_adv']) == pytest.approx(want, rel=1e-4)
        assert float(logged['disc_real']) == pytest.approx(float((real > 0).float().mean()))
        assert float(logged['disc_fake']) == pytest.approx(float((fake < 0).float().mean()))

    def test_of_the_warm_up(self):
        model = build()
        _, poses = drawn_and_poses(model)
        want = float((model.pose.pose(model.pose.encode(poses)) - poses).abs().mean())
        logged = step(model)
        assert logged.keys() == LOGGED['warm_up'] | {'phase'} and float(logged['phase']) == 0
        assert float(logged['pose_loss_rec']) == pytest.approx(100 * want, rel=1e-4)

    def test_in_the_latent_space_real_is_drawn_and_made_up_is_encoded(self):
        model = build('discriminator', adv_space='latent')
        drawn, poses = drawn_and_poses(model)
        with torch.no_grad():
            real, fake = model.discriminator(drawn), model.discriminator(model.pose.encode(poses))
        assert real.shape == (len(poses), 1)
        want = float((real - 1).abs().mean() + (fake + 1).abs().mean()) / 2
        assert float(step(model)['disc_loss_adv']) == pytest.approx(want, rel=1e-4)
        model = build('generator', adv_space='latent')
        with torch.no_grad():
            judged = model.discriminator(model.pose.encode(poses))
        logged = step(model)
        assert float(logged['pose_loss_adv']) == pytest.approx(5 * float((judged - 1).abs().mean()), rel=1e-4)
        assert float(logged['pose_fooled']) == pytest.approx(float((judged > 0).float().mean()))

    def test_size_and_place_of_bodies_do_not_matter(self):
        first, second = build(), build()
        batch = motion()
        torch.manual_seed(1)
        logged = first.train_step(batch, optimisers(first))
        batch['inputs']['motion'] = 2.5 * batch['inputs']['motion'] + 70.0
        torch.manual_seed(1)
        again = second.train_step(batch, optimisers(second))
        assert float(again['pose_rec']) == pytest.approx(float(logged['pose_rec']), rel=1e-3)


class TestWhatMoves:
    @pytest.mark.parametrize('space', ['pose', 'latent'])
    @pytest.mark.parametrize('phase', PHASES)
    def test_a_phase_moves_its_parts_alone(self, phase, space):
        model = build(phase, adv_space=space)
        before = snapshot(model)
        step(model)
        moved = {name.split('.')[0] for name in changed(model, before)}
        assert (
            moved == dict(warm_up={'pose', 'discriminator'}, discriminator={'discriminator'}, generator={'pose'})[phase]
        )
        assert all(p.grad is None for p in model.parameters()), 'nothing waits for the next update'

    @pytest.mark.parametrize('space, part', [('pose', 'decoder'), ('latent', 'encoder')])
    def test_the_adversary_reaches_one_side(self, space, part):
        model = build('generator', adv_space=space, weights=dict(rec=0.0, cyc=0.0))
        before = snapshot(model)
        step(model)
        moved = changed(model, before)
        assert moved and all(name.startswith(f'pose.{part}.') for name in moved)

    def test_the_reconstruction_moves_all_of_the_pose_space(self):
        model = build('warm_up')
        before = snapshot(model)
        step(model)
        weights = {f'pose.{name}' for name, p in model.pose.named_parameters() if p.ndim > 1}
        assert weights <= changed(model, before)

    def test_poses_come_back_better(self):
        model = build()
        wrappers, errors = optimisers(model, 'Adam'), []
        for _ in range(20):
            errors.append(float(model.train_step(motion(), wrappers)['pose_rec']))
        assert errors[-1] < 0.7 * errors[0]

    def test_an_optimiser_has_one_part_each(self):
        model = build()
        wrappers = optimisers(model)
        assert set(wrappers.keys()) == {'pose', 'discriminator'}
        for name, wrapper in wrappers.items():
            (group,) = wrapper.optimizer.param_groups
            assert [id(p) for p in group['params']] == [id(p) for p in getattr(model, name).parameters()]


def phases(model, count, **kwargs):
    """Phases at the beginning of each of ``count`` iterations."""
    wrappers, seen = optimisers(model), []
    for number in range(count):
        seen.append(model.phase)
        logged = step(model, wrappers, seed=number, **kwargs)
        assert float(logged['phase']) == PHASES.index(seen[-1])
    return seen


class TestPhases:
    def test_take_turns_after_the_warm_up(self):
        w, d, g = PHASES
        assert phases(build(**EVERY_TIME), 6) == [w, d, g, d, g, d]

    def test_are_looked_at_once_in_as_many_iterations(self):
        w, d, g = PHASES
        assert phases(build(**{**EVERY_TIME, 'check_every': 3}), 8) == [w] * 3 + [d] * 3 + [g] * 2

    def test_the_warm_up_lasts_until_poses_come_back(self):
        assert set(phases(build(check_every=1, reconstruction_below=1e-9, patience=2), 6)) == {'warm_up'}

    def test_others_end_after_patience(self):
        w, d, g = PHASES
        never = dict(accuracies=dict(fake=1.1, real=1.1, fooled=1.1))
        assert phases(build(**{**EVERY_TIME, **never, 'patience': 3}), 9) == [w] + [d] * 3 + [g] * 3 + [d] * 2
        looks = {**EVERY_TIME, **never, 'patience': 3, 'check_every': 2}
        assert phases(build(**looks), 12) == [w] * 2 + [d] * 4 + [g] * 4 + [d] * 2, 'at the next look'

    @pytest.mark.parametrize('fake, real, over', [(0.7, 0.9, True), (0.6, 0.9, False), (0.7, 0.7, False)])
    def test_the_discriminator_must_know_both_sides(self, fake, real, over):
        self.check('discriminator', dict(disc_fake=fake, disc_real=real), over)

    @pytest.mark.parametrize('fooled, over', [(0.59, False), (0.61, True)])
    def test_the_generator_must_fool(self, fooled, over):
        self.check('generator', dict(pose_fooled=fooled), over)

    @pytest.mark.parametrize('rec, over', [(0.051, False), (0.049, True)])
    def test_the_warm_up_must_give_back(self, rec, over):
        self.check('warm_up', dict(pose_rec=rec), over)

    @staticmethod
    def check(phase, shares, over):
        """By the mean of the iterations since the last look, which are worse and better by turns."""
        model = build(phase, check_every=4)
        for number in range(4):
            assert model.phase == phase
            off = 0.3 * (-1) ** number
            model._count({name: torch.tensor(share + off) for name, share in shares.items()})
        assert (model.phase != phase) == over

    def test_a_look_begins_anew(self):
        model = build('generator', check_every=2)
        for share in (0.0, 0.0, 1.0, 1.0):
            assert model.phase == 'generator'
            model._count(dict(pose_fooled=torch.tensor(share)))
        assert model.phase == 'discriminator'

    @pytest.mark.parametrize('other, over', [(0.3, False), (0.9, True)])
    def test_processes_judge_by_their_mean(self, other, over, monkeypatch):
        """Or one would update what the other does not."""

        def average(mean, op):
            assert op == 'mean'
            mean.add_(other).div_(2)

        monkeypatch.setattr(pose_embedding, 'all_reduce', average)
        self.check('generator', dict(pose_fooled=0.5), over)

    def test_values_that_a_hook_has_fetched_serve_too(self):
        """NonFiniteHook makes numbers of what is logged."""
        model = build('generator', check_every=2)
        for share in (0.9, torch.tensor(0.5)):
            model._count(dict(pose_fooled=share))
        assert model.phase == 'discriminator'


class TestResume:
    @pytest.mark.parametrize('stop', [2, 5, 7])
    def test_goes_on_in_the_phase_and_in_the_middle_of_a_look(self, stop):
        kwargs = {**EVERY_TIME, 'check_every': 3}

        def going_on(model, wrappers, numbers):
            return [step(model, wrappers, seed=number) for number in numbers]

        whole = build(**kwargs)
        wrappers = optimisers(whole, 'Adam')
        going_on(whole, wrappers, range(stop))
        saved = copy.deepcopy((whole.state_dict(), wrappers.state_dict(), whole.rank_state()))
        want = going_on(whole, wrappers, range(stop, 12))
        late = build(seed=9, **kwargs)
        wrappers = optimisers(late, 'Adam')
        late.load_state_dict(saved[0])
        wrappers.load_state_dict(saved[1])
        late.load_rank_state(saved[2])
        assert going_on(late, wrappers, range(stop, 12)) == want
        assert not changed(late, snapshot(whole)) and late.rank_state() == whole.rank_state()

    def test_state_is_plain(self, tmp_path):
        model = build(check_every=3)
        for _ in range(2):
            step(model)
        torch.save(model.rank_state(), tmp_path / 'state.pth')
        state = torch.load(tmp_path / 'state.pth', weights_only=True)
        assert state['phase'] == 'warm_up' and state['steps'] == 2 and state['sums'].keys() == {'pose_rec'}


class TestRefused:
    def test_a_single_optimiser(self):
        model = build()
        with pytest.raises(ValueError, match='PoseEmbeddingTraining updates its parts .*PartOptimWrapperConstructor'):
            model.train_step(motion(), OptimWrapper(torch.optim.SGD(model.parameters(), 0.1)))

    @pytest.mark.parametrize('mode', ['loss', 'predict', 'tensor'])
    def test_other_ways_to_call_it(self, mode):
        with pytest.raises(RuntimeError, match='only trains. Leave val_cfg and test_cfg out .*PartParallel'):
            build()(motion()['inputs'], mode=mode)

    @pytest.mark.parametrize(
        'kwargs, match',
        [
            (dict(adv_space='joint'), r"adv_space must be one of \('pose', 'latent'\), got 'joint'"),
            (dict(weights=dict(recon=1.0)), 'weights are of rec, cyc, adv, got recon'),
            (dict(weights=dict(cyc=-1.0)), 'weights must not be negative'),
            (dict(accuracies=dict(generator=0.5)), 'accuracies are of fake, real, fooled, got generator'),
            (dict(check_every=0), 'check_every and patience must be from 1 on, got 0 and 1000'),
            (dict(patience=0), 'check_every and patience must be from 1 on, got 20 and 0'),
        ],
    )
    def test_options(self, kwargs, match):
        with pytest.raises(ValueError, match=match):
            build(**kwargs)

    @pytest.mark.parametrize('shape', [(3, 4, 17, 3), (3, 15, 3)])
    def test_clips_of_other_joints_or_shapes(self, shape):
        model = build()
        with pytest.raises(ValueError, match=r"takes clips \(B, W, 15, 3\) of 'nlrd15', got .* set skeleton of Mocap"):
            model.train_step(dict(inputs=dict(motion=torch.zeros(shape))), optimisers(model))
