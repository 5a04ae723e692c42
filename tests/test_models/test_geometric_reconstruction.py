"""The adapter's step against UDAPE's, its own equations, and the flow of its gradients."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmposeda.models.adapters.geometric_reconstruction import GRADIENTS
from mmposeda.models.heatmap_estimator import predict_heatmaps
from mmposeda.registry import MODELS
from mmposeda.structures.keypoint_grid import grid_to_pixels
from mmposeda.structures.skeleton import Skeleton

DOTS = Skeleton('dots', ('a', 'b', 'c'), (-1, 0, 1), (0, 2, 1), {})
PARTS = dict(
    depth=dict(skeleton=DOTS, root='a', reference=('a', 'b')),
    reconstruction=dict(
        warp_estimator=dict(width=4, num_blocks=2),
        generator=dict(width=4, num_residual=1),
        perceptual=dict(features='pyramid_l1', factors=(1, 2)),
        displacement=(0, 1),
    ),
)
VIEW = dict(rotation=20, shear=5, translation=0.02, scale=(0.9, 1.1))


def build(estimator, kind='GeometricReconstruction', **kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(type=kind, estimator=copy.deepcopy(estimator), view=VIEW, **kwargs))


@pytest.fixture
def batch(make_batch):
    """Return a function that makes a batch with 3D labels, and pairs of so many pictures."""

    def make(source=4, target=4, pairs=4, views=2, seed=0):
        data, extra = make_batch(source, target, seed), make_batch(0, 2 * pairs, seed + 100)
        generator = torch.Generator().manual_seed(seed)
        for sample in data['data_samples'][:source]:
            pose = torch.rand(1, 3, 4, generator=generator) * torch.tensor([40.0, 30.0, 20.0, 0.0])
            pose[..., 3] = 1
            sample.gt_instance_labels.screen_pose = pose
        for first in range(0, 2 * pairs, 2):
            data['inputs'].append(torch.cat(extra['inputs'][first : first + views]))
            extra['data_samples'][first].set_metainfo(dict(domain='pair'))
            data['data_samples'].append(extra['data_samples'][first])
        return data

    return make


def losses_of(model, data, seed=0):
    torch.manual_seed(seed)
    return model(**model.data_preprocessor(data, True), mode='loss')


def total(losses):
    return sum(value for key, value in losses.items() if 'loss' in key)


def steps(model, batches, lr=1e-2):
    wrapper = OptimWrapper(torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr))
    model.train()
    for seed, data in enumerate(batches):
        torch.manual_seed(seed)
        model.train_step(data, wrapper)
        model.update_teacher()


class TestStep:
    @pytest.mark.parametrize('num_teacher_views', [1, 2])
    def test_without_its_own_losses_it_is_udape(self, estimator, batch, num_teacher_views):
        common = dict(num_teacher_views=num_teacher_views)
        plain = build(estimator, 'UDAPE', **common)
        ours = build(estimator, **PARTS, weight_3d=0, reconstruction_weight=0, depth_weight=0.0, **common)
        ours.student.load_state_dict(plain.student.state_dict())
        for model in (plain, ours):
            model.start_teacher()
            steps(model, [batch(pairs=0, seed=seed) for seed in range(3)])
        for name in ('student', 'teacher'):
            mine = getattr(ours, name).state_dict()
            for key, value in getattr(plain, name).state_dict().items():
                assert torch.equal(value, mine[key]), (name, key)

    def test_the_student_sees_labels_pseudo_labels_and_pairs(self, estimator, batch):
        model = build(estimator, **PARTS).train()
        losses = losses_of(model, batch())
        weighed = {key for key, value in losses.items() if 'loss' in key and value > 0}
        assert weighed == {
            'sup_loss_kpt',
            'sup_loss_3d',
            'unsup_loss_consistency',
            'unsup_loss_3d',
            'unsup_loss_reconstruction',
        }
        for name in ('3d', 'reconstruction'):
            product = losses[f'weight_{name}'] * losses[f'raw_{name}']
            torch.testing.assert_close(losses[f'unsup_loss_{name}'], product)

    def test_predicts_and_exports_as_the_estimator(self, estimator, make_batch):
        model = build(estimator, **PARTS).eval()
        pictures = torch.rand(2, 3, 32, 48)
        plain = MODELS.build(copy.deepcopy(estimator)).eval()
        plain.load_state_dict(model.plain_state_dict())
        torch.testing.assert_close(model(pictures, None), plain(pictures, None), rtol=0, atol=0)

    def test_teacher_and_depth_follow_by_their_share(self, estimator, batch):
        model = build(estimator, **PARTS, keep_rate=0.75)
        with torch.no_grad():
            model.depth.depth.weight.fill_(4.0)
            model.teacher_depth.depth.weight.fill_(0.0)
        model.update_teacher()
        assert torch.equal(model.teacher_depth.depth.weight, torch.ones_like(model.depth.depth.weight))
        model.start_teacher()
        assert torch.equal(model.teacher_depth.depth.weight, model.depth.depth.weight)


class TestPoses:
    def test_of_a_view_return_to_the_base_frame(self, estimator):
        """A similarity of the picture turns a pose in the picture's plane; the way back gives it unturned."""
        model = build(estimator, **PARTS).eval()
        features, heatmaps = torch.rand(2, 8, 8, 12), torch.rand(2, 3, 8, 12)
        turned = torch.tensor([[0.0, -1, 5], [1, 0, 3], [0, 0, 1]]).expand(2, 3, 3)
        plain = model.depth.relative(model.depth(features, heatmaps))
        back = model._base_pose(model.depth, (features, heatmaps), turned)
        want = torch.stack([plain[..., 1], -plain[..., 0], plain[..., 2]], -1)
        torch.testing.assert_close(back, want)

    def test_views_of_the_teacher_are_all_asked(self, estimator, batch):
        model = build(estimator, **PARTS, num_teacher_views=3).train()
        data = model.data_preprocessor(batch(), True)
        pictures = data['inputs']
        views = model.make_views(pictures['target'], data['data_samples']['target'])
        pseudo = model.pseudo_label(views, pictures['source'])
        assert pseudo.poses.shape == (3, 4, 3, 3)
        assert not torch.equal(pseudo.poses[0], pseudo.poses[1])
        model.flip_test = True  # poses are those of the views, not of their mirror images
        assert torch.equal(model.pseudo_label(views, pictures['source']).poses, pseudo.poses)

    def test_the_union_trains_both_once_merged(self, estimator, batch):
        model = build(estimator, **PARTS, mask_ratio=0.5).train()
        before = losses_of(copy.deepcopy(model), batch(), seed=3)
        model.combiner.merged.fill_(True)
        after = losses_of(model, batch(), seed=3)
        assert before['unsup_overlap'] == after['unsup_overlap'] < 1
        assert after['unsup_kept'] > before['unsup_kept']

    def test_a_source_without_3d_labels_is_refused(self, estimator, make_batch):
        model = build(estimator, phase='pose', **PARTS)
        with pytest.raises(ValueError, match=r"put dict\(type='ScreenPose'\)"):
            losses_of(model, make_batch())

    def test_3d_labels_that_count_for_nothing_may_hold_nan(self, estimator, batch):
        model = build(estimator, phase='pose', **PARTS)
        data = batch(pairs=0)
        labels = [sample.gt_instance_labels for sample in data['data_samples'][:4]]
        for label in labels:
            label.screen_pose[0, 2] = torch.nan
        labels[0].screen_pose[0, 1] = torch.nan  # without it the pose has no reference
        loss = losses_of(model, data)['sup_loss_3d']
        labels[0].screen_pose[..., 3] = 0
        torch.testing.assert_close(loss, losses_of(model, data)['sup_loss_3d'])
        assert loss > 0


class TestGradients:
    @pytest.mark.parametrize('kp_grad', GRADIENTS)
    def test_of_the_reconstruction_reach_the_student_alone(self, estimator, batch, kp_grad):
        model = build(estimator, **PARTS, kp_grad=kp_grad).train()
        inputs = model.data_preprocessor(batch(), True)['inputs']
        made, _ = model.reconstruct(model.make_pair(inputs['pair']))
        made.loss.backward()
        assert all(p.grad is None for part in (model.teacher, model.teacher_depth) for p in part.parameters())
        moved = [p.grad.abs().max() for p in model.student.parameters() if p.grad is not None]
        assert max(moved) > 0
        assert all(p.grad is not None for p in model.reconstruction.parameters())

    def test_none_passes_the_base_points(self, estimator, batch):
        """With the driving points cut off, nothing is left of the student's gradient."""
        model = build(estimator, **PARTS).train()
        pair = model.make_pair(model.data_preprocessor(batch(), True)['inputs']['pair'])
        seen = {}
        forward = model.reconstruction.forward

        def keep(base, driving, base_points, driving_points):
            seen.update(base=base_points, driving=driving_points)
            return forward(base, driving, base_points, driving_points.detach())

        model.reconstruction.forward = keep
        model.reconstruct(pair)[0].loss.backward()
        assert not seen['base'].requires_grad and seen['driving'].requires_grad
        assert all(p.grad is None for p in model.student.parameters())

    def test_of_the_generator_phase_leave_the_pose_network_alone(self, estimator, batch):
        model = build(estimator, phase='generator', **PARTS).train()
        before = copy.deepcopy(model.state_dict())
        steps(model, [batch(0, 0, 4, seed=seed) for seed in range(3)])
        after = model.state_dict()
        assert all(torch.equal(v, before[k]) for k, v in after.items() if k.startswith(('student', 'depth')))
        assert any(not torch.equal(v, before[k]) for k, v in after.items() if k.startswith('reconstruction.generator'))

    def test_of_a_frozen_generator_are_none_and_its_statistics_rest(self, estimator, batch):
        model = build(estimator, freeze_generator=True, **PARTS).train()
        before = copy.deepcopy(model.reconstruction.state_dict())
        total(losses_of(model, batch())).backward()
        assert all(p.grad is None for p in model.reconstruction.parameters())
        assert all(torch.equal(v, before[k]) for k, v in model.reconstruction.state_dict().items())
        assert any(p.grad.abs().max() > 0 for p in model.student.parameters() if p.grad is not None)

    def test_of_the_pseudo_poses_stop_at_the_teacher(self, estimator, batch):
        model = build(estimator, **PARTS, weight_3d=1.0, reconstruction_weight=0).train()
        losses_of(model, batch(pairs=0))['unsup_loss_3d'].backward()
        assert model.depth.depth.weight.grad.abs().max() > 0
        assert model.teacher_depth.depth.weight.grad is None


class TestPairs:
    def test_share_view_and_colours(self, estimator, batch):
        model = build(estimator, **PARTS)
        still = model.data_preprocessor(batch(), True)['inputs']['pair'][:, :1]
        pair = model.make_pair(still.repeat(1, 2, 1, 1, 1))
        assert torch.equal(pair.base, pair.driving)

    def test_of_still_pictures_differ_by_a_deformation(self, estimator, batch):
        model = build(estimator, **PARTS)
        inputs = model.data_preprocessor(batch(views=1), True)['inputs']
        assert inputs['pair'].shape[1] == 1
        pair = model.make_pair(inputs['pair'])
        assert pair.base.shape == pair.driving.shape and not torch.equal(pair.base, pair.driving)
        assert losses_of(model.train(), batch(views=1))['unsup_loss_reconstruction'] > 0

    def test_a_batch_without_them_is_refused(self, estimator, batch):
        with pytest.raises(ValueError, match='without a pair sample: check the quotas'):
            losses_of(build(estimator, **PARTS), batch(pairs=0))

    def test_that_move_too_little_or_too_much_do_not_count(self, estimator, batch):
        parts = {**PARTS, 'reconstruction': {**PARTS['reconstruction'], 'displacement': (0.1, 0.5)}}
        model = build(estimator, **parts)
        base = torch.rand(3, 3, 2) * 20
        shift = torch.tensor([0.09, 0.11, 0.51])[:, None] * 48
        driving = base + torch.stack([shift, torch.zeros_like(shift)], -1)
        assert model.reconstruction.used(base, driving, 48).tolist() == [False, True, False]
        pictures = torch.rand(3, 3, 32, 48), torch.rand(3, 3, 32, 48)
        still = model.reconstruction(*pictures, base, base)
        assert still.loss == 0 and not still.used.any()

    def test_points_are_pixels_of_the_picture(self, estimator, batch):
        """The joints that the networks get, on the grid, are cells times the stride."""
        model = build(estimator, **PARTS)
        heatmaps = torch.zeros(1, 3, 8, 12)
        heatmaps[0, 0, 2, 3] = heatmaps[0, 1, 7, 11] = heatmaps[0, 2, 0, 0] = 1
        points = model._points(heatmaps)
        torch.testing.assert_close(points[0], torch.tensor([[12.0, 8], [44, 28], [0, 0]]))
        seen = []
        model.reconstruction.warp_estimator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
        model.reconstruction(torch.rand(1, 3, 32, 48), torch.rand(1, 3, 32, 48), points, points)
        torch.testing.assert_close(grid_to_pixels(seen[0][1], (48, 32)), points)


class TestWeights:
    def test_are_a_share_of_the_consistency_gradient(self, estimator, batch):
        model = build(estimator, **PARTS, balance=dict(share=0.25, iterations=3)).train()
        seen = []
        weigh = model._weigh

        def keep(terms):
            seen.append({name: torch.autograd.grad(*term, retain_graph=True)[0].norm() for name, term in terms.items()})
            return weigh(terms)

        model._weigh = keep
        weights = [losses_of(model, batch(seed=seed), seed)['weight_reconstruction'] for seed in range(5)]
        mean = {name: sum(step[name] for step in seen[:3]) / 3 for name in seen[0]}
        torch.testing.assert_close(weights[3], 0.25 * mean['consistency'] / mean['reconstruction'])
        torch.testing.assert_close(weights[0], 0.25 * seen[0]['consistency'] / seen[0]['reconstruction'])
        assert weights[3] == weights[4] and weights[1] != weights[2]

    def test_survive_a_checkpoint(self, estimator, batch):
        kwargs = dict(**PARTS, balance=dict(iterations=3))
        model, again = build(estimator, **kwargs).train(), build(estimator, **kwargs).train()
        for seed in range(2):
            losses_of(model, batch(seed=seed), seed)
        assert again.balance.measuring
        again.load_state_dict(model.state_dict())
        for seed in range(2, 5):
            first, second = (losses_of(m, batch(seed=seed), seed) for m in (model, again))
            assert first.keys() == second.keys()
            assert all(torch.equal(first[key], second[key]) for key in first)
        assert not again.balance.measuring

    def test_measured_against_nothing_are_refused(self, estimator):
        with pytest.raises(ValueError, match='consistency_weight=0 leaves out: give a number'):
            build(estimator, **PARTS, consistency_weight=0)


def test_judges_as_the_masks_of_training_do(estimator, batch):
    model = build(estimator, **PARTS).eval()
    pictures = torch.randn(6, 3, 32, 48)
    judged = model.judge(pictures)
    assert torch.equal(judged['kept'], judged['kept_2d'] | judged['kept_3d'])
    heatmaps = predict_heatmaps(model.teacher, pictures)
    flat = heatmaps.flatten(2).argmax(-1)
    torch.testing.assert_close(judged['points'], torch.stack([flat % 12, flat // 12], -1).float() * 4)
    assert model.combiner.counts.sum() == 0


@pytest.mark.parametrize(
    'wrong, message',
    [
        (dict(phase='late'), 'phase must be one of'),
        (dict(kp_grad='base'), 'kp_grad must be one of'),
        (dict(weight_3d=-1.0), "weight of '3d' must be 'auto' or not negative"),
        (dict(reconstruction={**PARTS['reconstruction'], 'displacement': (0.2, 0.1)}), 'two increasing shares'),
        (dict(depth={**PARTS['depth'], 'skeleton': 'mpii', 'root': 'pelvis', 'reference': ('pelvis', 'thorax')}), '16'),
    ],
)
def test_wrong_settings_are_named(estimator, wrong, message):
    with pytest.raises(ValueError, match=message):
        build(estimator, **{**PARTS, **wrong})


def test_modes_follow_the_phase(estimator):
    def training(module):
        return {m.training for m in module.modules() if isinstance(m, nn.BatchNorm2d)}

    phases = ('pose', 'generator', 'adapt')
    pose, generator, adapt = (build(estimator, phase=phase, **PARTS).train() for phase in phases)
    assert training(pose.student) == {True} and training(pose.reconstruction) == {False}
    assert training(generator.student) == {False} and training(generator.reconstruction) == {True}
    assert training(adapt.student) == training(adapt.reconstruction) == {True}
    assert not any(p.requires_grad for part in (generator.student, pose.reconstruction) for p in part.parameters())
