"""Joints in two and a half dimensions against closed forms, views that turn them, and heads of estimators."""

import pytest
import torch
from mmengine.registry import init_default_scope

from mmposeda.models.heatmap_estimator import predict_heatmaps
from mmposeda.models.networks import DecoderTap, DepthBranch, joint_distance, transform_joints
from mmposeda.registry import MODELS
from mmposeda.structures.heatmap import gaussian_heatmaps
from mmposeda.structures.skeleton import Skeleton
from mmposeda.structures.warp import AffineRange, invert, sample_affine

HAND = dict(skeleton='hand21', root='middle_finger1', reference=('wrist', 'middle_finger1'), in_channels=8)
BODY = dict(skeleton='mpii', root='pelvis', reference=('pelvis', 'thorax'), in_channels=8)


def poses(joints=21, batch=3, seed=0):
    return torch.randn(batch, joints, 3, generator=torch.Generator().manual_seed(seed)) * 30 + 100


class TestReading:
    def test_joints_are_read_where_their_heatmaps_peak(self):
        branch = DepthBranch(**HAND, temperature=0.01)  # a single cell
        x = torch.randint(32, (2, 21), generator=torch.Generator().manual_seed(0))
        y = torch.randint(24, (2, 21), generator=torch.Generator().manual_seed(1))
        features = torch.randn(2, 8, 24, 32)
        joints = branch(features, gaussian_heatmaps(torch.stack([x, y], -1).float(), (32, 24), 1.0))
        # half the width of 128 pixels is the unit of the maps
        depth = 64 * branch.depth(features).flatten(2).gather(2, (y * 32 + x)[..., None])
        torch.testing.assert_close(joints, torch.cat([4 * x[..., None], 4 * y[..., None], depth], -1))

    def test_follows_the_scale_of_the_heatmaps(self):
        cells = torch.tensor([[10.0, 5.0]]).expand(1, 21, 2)
        branch = DepthBranch(**HAND, scale_factor=(2.0, 3.0))
        joints = branch(torch.zeros(1, 8, 16, 24), gaussian_heatmaps(cells, (24, 16), 2.0))
        torch.testing.assert_close(joints[0, 0, :2], torch.tensor([20.0, 15.0]), atol=1e-2, rtol=0)

    def test_gradients_reach_features_and_heatmaps(self):
        branch = DepthBranch(**BODY)
        features, heatmaps = torch.randn(2, 8, 12, 12, requires_grad=True), torch.rand(2, 16, 12, 12)
        heatmaps.requires_grad_()
        branch(features, heatmaps)[..., 2].sum().backward()
        assert features.grad.abs().max() > 0 and heatmaps.grad.abs().max() > 0
        assert branch.depth.weight.grad.abs().max() > 0

    def test_starts_small(self):
        branch = DepthBranch(**HAND)
        branch.init_weights()
        assert 0 < branch.depth.weight.abs().max() < 0.01 and branch.depth.bias.abs().max() == 0

    def test_stays_in_float32_under_mixed_precision(self):
        heatmaps = gaussian_heatmaps(torch.full((1, 21, 2), 9.0), (16, 16), 2.0)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            joints = DepthBranch(**HAND)(torch.randn(1, 8, 16, 16), heatmaps)
        assert joints.dtype == torch.float32
        torch.testing.assert_close(joints[..., :2], torch.full((1, 21, 2), 36.0), atol=1e-2, rtol=0)


class TestRelativePoses:
    @pytest.mark.parametrize('config, joints', [(HAND, 21), (BODY, 16)])
    def test_start_at_the_root_and_have_the_reference_for_unit(self, config, joints):
        branch = DepthBranch(**config)
        relative = branch.relative(poses(joints))
        skeleton = Skeleton.from_metainfo(config['skeleton'])
        start, end = (skeleton.index(name) for name in config['reference'])
        assert relative[:, skeleton.index(config['root'])].abs().max() < 1e-5
        torch.testing.assert_close((relative[:, start] - relative[:, end]).norm(dim=-1), torch.ones(3))

    def test_do_not_change_with_place_and_size(self):
        branch, pose = DepthBranch(**HAND), poses()
        moved = branch.relative(pose * 3 + torch.tensor([5.0, -7.0, 900.0]))
        torch.testing.assert_close(moved, branch.relative(pose), atol=1e-4, rtol=1e-4)

    def test_middles_of_joints_serve_where_a_joint_set_has_no_pelvis(self):
        hips, shoulders = (tuple(f'{side}_{joint}' for side in ('right', 'left')) for joint in ('hip', 'shoulder'))
        branch = DepthBranch('lsp', hips, (hips, shoulders), in_channels=8)
        relative, skeleton = branch.relative(poses(14)), Skeleton.from_metainfo('lsp')
        middles = [relative[:, [skeleton.index(name) for name in names]].mean(1) for names in (hips, shoulders)]
        assert middles[0].abs().max() < 1e-5
        torch.testing.assert_close(middles[1].norm(dim=-1), torch.ones(3))

    def test_a_pose_folded_to_a_point_stays_finite(self):
        branch, pose = DepthBranch(**HAND, min_reference=2.0), torch.full((1, 21, 3), 50.0)
        pose[0, 20, 0] += 6.0
        pose.requires_grad_()
        relative = branch.relative(pose)
        assert relative[0, 20, 0] == 3.0
        relative.sum().backward()
        assert pose.grad.isfinite().all()


class TestViews:
    def test_turned_and_stretched_hands_keep_their_shape(self):
        branch, pose = DepthBranch(**HAND), poses(batch=8)
        matrix = sample_affine(8, (256, 256), AffineRange(rotation=180, translation=0.1, scale=(0.6, 1.3)))
        view = transform_joints(pose - pose[:, :1], matrix)
        lengths, before = (torch.cdist(branch.relative(p), branch.relative(p)) for p in (view, pose))
        torch.testing.assert_close(lengths, before, atol=1e-3, rtol=1e-3)
        back = transform_joints(branch.relative(view), invert(matrix))
        torch.testing.assert_close(branch.relative(back * 100), branch.relative(pose), atol=1e-3, rtol=1e-3)

    def test_the_plane_follows_the_picture_under_shear_too(self):
        matrix = sample_affine(4, (64, 64), AffineRange(rotation=60, shear=30, scale=(0.6, 1.3)))
        pose = poses(batch=4) - 100
        linear = matrix.clone()
        linear[:, :2, 2] = 0
        expected = torch.einsum('bij,bkj->bki', linear[:, :2, :2], pose[..., :2])
        torch.testing.assert_close(transform_joints(pose, matrix)[..., :2], expected, atol=1e-3, rtol=1e-4)


class TestDistance:
    def test_is_the_weighted_sum_over_all_joints(self):
        joints, target = poses(seed=1), poses(seed=2)
        weights = torch.rand(3, 21)
        by_hand = sum(
            float(w * (a - b).abs().sum()) for w, a, b in zip(weights.flatten(), joints.view(-1, 3), target.view(-1, 3))
        )
        torch.testing.assert_close(joint_distance(joints, target, weights), torch.tensor(by_hand / 63))

    def test_unlabelled_joints_and_an_empty_batch_of_labels_cost_nothing(self):
        joints, target = poses().requires_grad_(), poses(seed=2)
        target[:, 3] = torch.nan
        weights = torch.ones(3, 21, dtype=torch.bool)
        weights[:, 3] = False
        joint_distance(joints, target, weights).backward()
        assert joints.grad.isfinite().all() and joints.grad[:, 3].abs().max() == 0
        assert joint_distance(joints, target, torch.zeros(3, 21)) == 0

    def test_target_gets_no_gradient(self):
        target = poses(seed=2).requires_grad_()
        joint_distance(poses().requires_grad_(), target, torch.ones(3, 21)).backward()
        assert target.grad is None

    def test_wrong_shapes_are_named(self):
        with pytest.raises(ValueError, match=r'\(3, 21, 3\), \(3, 16, 3\)'):
            joint_distance(poses(), poses(16), torch.ones(3, 21))


class TestTap:
    def test_keeps_what_the_last_layer_sees_in_the_pass_of_the_losses(self, estimator, make_batch):
        init_default_scope('mmposeda')
        model = MODELS.build(estimator).eval()
        batch = make_batch(source=2, target=0)
        images = torch.stack(batch['inputs']).float() / 60
        with DecoderTap(model) as tap:
            losses = model.loss(images, batch['data_samples'])
        assert tap.channels == 8 and tap.features.shape == (2, 8, 8, 12)
        torch.testing.assert_close(tap.passes[-1][1], predict_heatmaps(model, images))
        torch.testing.assert_close(tap.passes[-1][1], model.head.final_layer(tap.features))
        kept = tap.features
        predict_heatmaps(model, images)
        assert tap.features is kept
        dots = Skeleton('dots', ('a', 'b', 'c'), (-1, 0, 1), (0, 1, 2), {})
        branch = DepthBranch(dots, 'a', ('a', 'b'), tap.channels)
        (losses['loss_kpt'] + branch.relative(branch(*tap.passes[-1])).sum()).backward()
        assert model.backbone.layers[0].weight.grad.abs().max() > 0

    def test_lets_go_after_an_error(self, estimator):
        model = MODELS.build(estimator)
        with pytest.raises(RuntimeError), DecoderTap(model):
            model.head((torch.zeros(1, 5, 4, 4),))
        assert not model.head.final_layer._forward_hooks

    def test_heads_without_a_last_layer_are_refused(self, estimator):
        model = MODELS.build(estimator)
        model.head.final_layer = torch.nn.Identity()
        with pytest.raises(TypeError, match='head.final_layer; got HeatmapHead with Identity'):
            DecoderTap(model)
        with pytest.raises(TypeError, match='got NoneType with NoneType'):
            DecoderTap(torch.nn.Linear(2, 2))


@pytest.mark.parametrize(
    'change, error, message',
    [
        (dict(root='tail'), KeyError, "hand21 has no joint 'tail'"),
        (dict(reference=('wrist', 'wrist')), ValueError, 'one place'),
        (dict(reference='wrist'), ValueError, "two joints, got 'wrist'"),
        (dict(min_reference=0), ValueError, 'must be positive'),
    ],
)
def test_wrong_arguments_are_named(change, error, message):
    with pytest.raises(error, match=message):
        DepthBranch(**{**HAND, **change})


def test_heatmaps_of_another_joint_set_are_refused():
    with pytest.raises(ValueError, match="16 heatmaps for the 21 joints of 'hand21'"):
        DepthBranch(**HAND)(torch.rand(1, 8, 4, 4), torch.rand(1, 16, 4, 4))


def test_is_in_the_registry():
    assert MODELS.build(dict(type='DepthBranch', **BODY)).num_joints == 16
