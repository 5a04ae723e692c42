"""The head of latents: its layers, its loss by hand, the lengths it counts, and what it predicts."""

import copy

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from torch import nn

from mmposeda.models import LatentPoseHead
from mmposeda.models.networks import PoseAAE
from mmposeda.registry import MODELS
from mmposeda.structures.skeleton import Skeleton

SETS = ('nlrd15', 'nlrd17')
#: the backbone of conftest.py, stride 4, on pictures of 48 x 32
SIZE, GRID, CHANNELS = (48, 32), (8, 12), 8


def settings(skeleton='nlrd15', pose=None, **kwargs):
    small = dict(in_channels=CHANNELS, grid=GRID, conv_channels=(6, 5), fc_channels=(16, 12))
    pose = dict(type='PoseAAE', skeleton=skeleton, **(pose or {}))
    return dict(type='LatentPoseHead', pose=pose, **{**small, **kwargs})


def build(*args, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(settings(*args, **kwargs))


def counted(*args, **kwargs):
    """A head that knows bones 100 times the canonical ones, in evaluation."""
    head = build(*args, **kwargs).eval()
    head.bone_length.copy_(100 * head.pose.kinematics.lengths)
    head.bones.fill_(1)
    return head


def maps(count=4, seed=0):
    return (torch.randn(count, CHANNELS, *GRID, generator=torch.Generator().manual_seed(seed)),)


def sample(pose=None, weights=None):
    data = PoseDataSample(metainfo=dict(input_size=SIZE))
    data.set_metainfo(dict(input_center=np.array([24.0, 16.0]), input_scale=np.array([48.0, 32.0])))
    data.gt_instances = InstanceData(bboxes=np.zeros((1, 4)), bbox_scores=np.ones(1))
    if pose is not None:
        data.gt_instance_labels = InstanceData(root_pose=pose[None], root_pose_weights=weights[None])
    return data


def labels(skeleton='nlrd15', count=4, seed=0, unknown=()):
    """Samples of random poses, mm; unknown joints are zero without weight."""
    skeleton = Skeleton.from_metainfo(skeleton)
    generator = torch.Generator().manual_seed(seed)
    pose = 300 * torch.randn(count, skeleton.num_joints, 3, generator=generator)
    pose -= pose[:, [skeleton.index('pelvis')]].clone()
    weights = torch.ones(count, skeleton.num_joints)
    for joint in unknown:
        pose[:, skeleton.index(joint)] = 0
        weights[:, skeleton.index(joint)] = 0
    return [sample(*x) for x in zip(pose, weights)]


def estimator(flip_test=False, **kwargs):
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='TopdownPoseEstimator',
            data_preprocessor=dict(type='PoseDataPreprocessor'),
            backbone=dict(type='TinyBackbone'),
            head=settings(**kwargs),
            test_cfg=dict(flip_test=flip_test),
        )
    ).eval()
    model.head.bone_length.copy_(100 * model.head.pose.kinematics.lengths)
    model.head.bones.fill_(1)
    return model


class TestLayers:
    def test_are_the_papers(self):
        head = MODELS.build(dict(type='LatentPoseHead', in_channels=1024, pose=dict(type='PoseAAE')))
        convs = head.convs[:-1:2]
        assert [(c.in_channels, c.out_channels) for c in convs] == [(1024, 512), (512, 256), (256, 128)]
        assert [c.stride[0] for c in convs] == [2, 1, 1] and {c.kernel_size for c in convs} == {(3, 3)}
        widths = [layer.out_features for layer in (*head.first, *head.rest) if isinstance(layer, nn.Linear)]
        assert widths == [1024, 1024, 512, 512, 256, 256, 128, 128, 32] and head.first[0].in_features == 6272
        with torch.no_grad():
            first, z = head.features((torch.randn(2, 1024, 14, 14),))
        assert first.shape == (2, 1024) and z.shape == (2, 32)

    def test_a_fourth_convolution(self):
        head = build(conv_channels=(8, 8, 8, 4))
        assert [c.stride[0] for c in head.convs[:-1:2]] == [2, 1, 1, 1]
        assert head(maps()).shape == (4, 32)

    def test_odd_maps(self):
        assert build(grid=(7, 5))((torch.randn(2, CHANNELS, 7, 5),)).shape == (2, 32)

    @pytest.mark.parametrize('scale', [1.0, 10.0])
    def test_latents_are_strictly_in_range(self, scale):
        head = build(pose=dict(scale=scale))
        assert 0.05 < head(maps(64)).abs().max() < 0.7, 'begins in the middle'
        nn.init.normal_(head.rest[-1].weight, std=0.5 * scale)
        assert 0.5 * scale < head(maps(64)).abs().max() < scale

    def test_the_last_map_is_taken(self):
        head = build()
        assert torch.equal(head((torch.zeros(1), *maps())), head(maps()))
        assert torch.equal(head.features(maps())[1], head(maps()))
        assert (head.features(maps())[0] >= 0).all()

    @pytest.mark.parametrize('shape', [(CHANNELS, 12, 8), (3, *GRID)])
    def test_other_maps_are_refused(self, shape):
        with pytest.raises(ValueError, match=r'maps of 8 channels and grid=\(8, 12\), got .* set in_channels and grid'):
            build()((torch.zeros(2, *shape),))

    @pytest.mark.parametrize('kwargs', [dict(conv_channels=()), dict(fc_channels=()), dict(in_channels=0)])
    def test_nothing_is_refused(self, kwargs):
        with pytest.raises(ValueError, match='must be from 1 on, of one layer at least'):
            build(**kwargs)

    def test_another_network_is_refused(self):
        with pytest.raises(TypeError, match='pose must be a PoseAAE, got RelationNetwork'):
            MODELS.build(dict(settings(), pose=dict(type='RelationNetwork', dim=3)))


class TestFrozenDecoder:
    def test_gradients_pass_it_and_leave_it(self):
        head = build().train()
        head.loss(maps(), labels())['loss_pose'].backward()
        for name, weight in head.named_parameters():
            if name.startswith('pose.'):
                assert weight.grad is None and not weight.requires_grad
            else:
                assert (weight.grad != 0).any()

    def test_stays_in_evaluation(self):
        model = estimator()
        model.train()
        assert model.head.training and not any(module.training for module in model.head.pose.modules())

    def test_is_loaded_from_the_stage_before(self, tmp_path):
        torch.manual_seed(7)
        trained = PoseAAE('nlrd15')
        torch.save(dict(state_dict={f'aae.{k}': v for k, v in trained.state_dict().items()}), tmp_path / 'a.pth')
        init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth'), prefix='aae.')
        head = build(pose=dict(init_cfg=init_cfg), init_cfg=dict(type='Normal', layer='Linear', std=0.1))
        head.init_weights()
        got = head.pose.state_dict()
        assert all(torch.equal(got[key], value) for key, value in trained.state_dict().items())
        assert float(head.first[0].weight.std()) == pytest.approx(0.1, rel=0.1)
        assert not any(p.requires_grad for p in head.pose.parameters())


class TestLoss:
    @pytest.mark.parametrize('skeleton', SETS)
    def test_is_the_mean_over_coordinates_of_reached_joints(self, skeleton):
        head, data = build(skeleton, loss_weight=0.7), labels(skeleton, unknown=('left_elbow', 'head_top'))
        poses, kinematics = head.pose.pose(head(maps())), head.pose.kinematics
        lacking = [head.pose.kinematics.skeleton.index(n) for n in ('left_elbow', 'left_wrist', 'head_top')]
        total = number = 0
        for pose, x in zip(poses, data):
            wanted = kinematics.canonical(x.gt_instance_labels.root_pose[0])
            for joint in range(kinematics.num_joints):
                if joint not in lacking:
                    total += float((pose[joint] - wanted[joint]).abs().sum())
                    number += 3
        loss = head.loss(maps(), data)
        assert loss.keys() == {'loss_pose'} and float(loss['loss_pose']) == pytest.approx(0.7 * total / number, 1e-5)

    def test_is_zero_at_the_truth_of_any_size(self):
        head = build()
        pose = head.pose.pose(head(maps())).detach()
        for lengths in (1.0, 80.0):
            data = [sample(lengths * x, torch.ones(len(x))) for x in pose]
            assert float(head.loss(maps(), data)['loss_pose']) < 1e-4

    def test_unknown_joints_may_be_anything(self):
        head, data = build('nlrd17'), labels('nlrd17', unknown=('left_foot', 'right_shoulder'))
        before = head.loss(maps(), data)['loss_pose']
        before_length = head.bone_length.clone()
        other = build('nlrd17')
        for x in data:
            weights = x.gt_instance_labels.root_pose_weights
            x.gt_instance_labels.root_pose[weights == 0] = float('nan')
        assert torch.equal(other.loss(maps(), data)['loss_pose'], before)
        assert torch.equal(other.bone_length, before_length)

    def test_is_zero_without_any_label(self):
        head, data = build(), labels()
        for x in data:
            x.gt_instance_labels.root_pose_weights.zero_()
        loss = head.loss(maps(), data)['loss_pose']
        loss.backward()
        assert loss == 0 and head.bones.sum() == 0
        assert all(p.grad.isfinite().all() for p in head.parameters() if p.requires_grad)

    def test_latents_may_be_drawn_to_those_of_true_poses(self):
        """Of pictures whose joints are all known; the other loss stays."""
        head, samples = build(latent_weight=0.5), labels(count=4)
        samples[1].gt_instance_labels.root_pose_weights[0, 3] = 0
        poses = torch.cat([x.gt_instance_labels.root_pose for x in samples])
        losses = head.loss(maps(), samples)
        off = (head(maps()) - head.pose.encode(poses)).abs().mean(1)[[0, 2, 3]].mean()
        torch.testing.assert_close(losses['loss_latent'], 0.5 * off)
        plain = build().loss(maps(), samples)
        assert plain.keys() == {'loss_pose'}
        torch.testing.assert_close(losses['loss_pose'], plain['loss_pose'])
        assert float(head.loss(maps(), labels(count=4, unknown=['left_knee']))['loss_latent']) == 0

    def test_half_precision_ends_in_float32(self):
        head = build()
        exact = head.loss(maps(), labels())['loss_pose']
        with torch.autocast('cpu', torch.bfloat16):
            half = head.loss(maps(), labels())['loss_pose']
        assert half.dtype == torch.float32 and float(half) == pytest.approx(float(exact), rel=0.05)

    def test_labels_of_another_joint_set_are_named(self):
        with pytest.raises(ValueError, match="labels of 17 joints for a head of the 15 of 'nlrd15'"):
            build().loss(maps(), labels('nlrd17'))

    def test_learns_a_few_poses(self):
        head = build(fc_channels=(64, 64))
        data = [sample(100 * x, torch.ones(15)) for x in head.pose.pose(torch.rand(4, 32) * 2 - 1)]
        optimizer = torch.optim.Adam([p for p in head.parameters() if p.requires_grad], 1e-3)
        errors = []
        for _ in range(100):
            optimizer.zero_grad()
            loss = head.loss(maps(), data)['loss_pose']
            loss.backward()
            optimizer.step()
            errors.append(float(loss))
        assert errors[-1] < 0.3 * errors[0]


class TestLengths:
    def test_are_averaged_over_all_labels_and_both_sides(self):
        head, seen = build().train(), []
        for seed, number in enumerate((3, 5, 1)):
            data = labels(count=number, seed=seed)
            head.loss(maps(number), data)
            seen += [x.gt_instance_labels.root_pose[0] for x in data]
        skeleton, template = head.pose.kinematics.skeleton, head.template()
        for joint, parent in enumerate(skeleton.parents):
            if parent == -1:
                assert template[joint] == 0
                continue
            twin = skeleton.flip_indices[joint]
            pairs = [(joint, parent), (twin, skeleton.parents[twin])]
            lengths = [float((pose[a] - pose[b]).norm()) for pose in seen for a, b in pairs]
            assert float(template[joint]) == pytest.approx(np.mean(lengths), rel=1e-5)
        before = head.bone_length.clone()
        head.eval().loss(maps(), labels(seed=9))
        assert torch.equal(head.bone_length, before), 'not in evaluation'

    def test_one_side_alone_serves_both(self):
        head = build().train()
        head.loss(maps(), labels(unknown=('left_knee',)))
        left, right = head.pose.kinematics.skeleton.index_all(('left_knee', 'right_knee'))
        assert head.bones[left] == 0 and head.template()[left] == head.template()[right] == head.bone_length[right]

    def test_unknown_bones_are_canonical_at_the_scale_of_the_others(self):
        head = build('nlrd17').train()
        pose = 90 * head.pose.pose(torch.rand(4, 32)).detach()
        weights = torch.ones(4, 17)
        weights[:, list(head.pose.kinematics.skeleton.index_all(('left_foot', 'right_foot')))] = 0
        head.loss(maps(), [sample(*x) for x in zip(pose, weights)])
        torch.testing.assert_close(head.template(), 90 * head.pose.kinematics.lengths, rtol=1e-4, atol=1e-3)

    def test_are_saved_with_the_weights(self):
        assert {'bone_length', 'bones'} <= build().state_dict().keys()

    def test_predictions_without_any_are_refused(self):
        with pytest.raises(ValueError, match="trained on no 3D labels.*Load a trained checkpoint.*'nlrd15'"):
            build().predict(maps(), labels())


class TestPredictions:
    @pytest.mark.parametrize('skeleton', SETS)
    def test_are_poses_of_the_templates_lengths(self, skeleton):
        head = counted(skeleton)
        wanted = 0.1 * head.pose.pose(head(maps())).detach().numpy()
        for found, pose in zip(head.predict(maps(), labels(skeleton)), wanted):
            joints = pose.shape[0]
            assert found.keypoints.shape == (1, joints, 2) and found.keypoint_scores.tolist() == [[1] * joints]
            assert found.keypoints_3d.dtype == found.keypoints.dtype == np.float32
            np.testing.assert_allclose(found.keypoints_3d[0], pose, atol=1e-5)

    def test_joints_are_drawn_in_the_middle_of_the_crop(self):
        head = counted()
        for found in head.predict(maps(16), labels(count=16)):
            points, pose = found.keypoints[0], found.keypoints_3d[0, :, :2]
            low, high = points.min(0), points.max(0)
            np.testing.assert_allclose((low + high) / 2, [23.5, 15.5], atol=1e-3)
            assert ((high - low) / SIZE).max() == pytest.approx(0.8, abs=1e-4)
            ratio = np.ptp(points, 0) / np.ptp(pose, 0)
            assert ratio[0] == pytest.approx(ratio[1], rel=1e-4), 'not squeezed'

    def test_joints_are_moved_to_the_picture_by_mmpose(self):
        model, pictures = estimator(), torch.randn(1, 3, *SIZE[::-1])
        far = sample()
        far.set_metainfo(dict(input_center=np.array([100.0, 200.0]), input_scale=np.array([96.0, 64.0])))
        (plain,), (moved,) = (model(pictures, [x], mode='predict') for x in (sample(), far))
        wanted = 2 * plain.pred_instances.keypoints + [100 - 48, 200 - 32]
        np.testing.assert_allclose(moved.pred_instances.keypoints, wanted, atol=1e-3)
        np.testing.assert_array_equal(moved.pred_instances.keypoints_3d, plain.pred_instances.keypoints_3d)

    def test_a_flip_test_averages_directions_of_both(self):
        model, flipping = estimator(), estimator(flip_test=True)
        pictures = torch.randn(2, 3, *SIZE[::-1])
        poses = [model.head.pose.pose(model(x, None, mode='tensor')).detach() for x in (pictures, pictures.flip(-1))]
        flips = list(model.head.pose.kinematics.skeleton.flip_indices)
        mean = (poses[0] + poses[1][:, flips] * torch.tensor([-1.0, 1, 1])) / 2
        wanted = 0.1 * model.head.pose.kinematics.canonical(mean).numpy()
        found = flipping(pictures, [sample(), sample()], mode='predict')
        got = np.concatenate([x.pred_instances.keypoints_3d for x in found])
        np.testing.assert_allclose(got, wanted, atol=1e-5)
        lengths = model.head.pose.kinematics.bone_lengths(torch.tensor(got))
        torch.testing.assert_close(lengths, 0.1 * model.head.pose.kinematics.lengths.expand_as(lengths))

    def test_with_a_flip_test_the_mirror_image_has_the_mirrored_pose(self):
        model, pictures = estimator(flip_test=True), torch.randn(2, 3, *SIZE[::-1])
        flips = list(model.head.pose.kinematics.skeleton.flip_indices)
        answers = (model(x, [sample(), sample()], mode='predict') for x in (pictures, pictures.flip(-1)))
        for given, mirror in zip(*answers):
            given, mirror = given.pred_instances, mirror.pred_instances
            np.testing.assert_allclose(mirror.keypoints_3d[:, flips] * [-1, 1, 1], given.keypoints_3d, atol=1e-4)
            x, y = np.moveaxis(mirror.keypoints[:, flips], -1, 0)
            np.testing.assert_allclose(np.stack([SIZE[0] - 1 - x, y], -1), given.keypoints, atol=1e-2)

    def test_the_model_can_be_copied_and_reloaded(self):
        model = estimator()
        twin = copy.deepcopy(model)
        twin.load_state_dict(model.state_dict())
        pictures = torch.randn(1, 3, *SIZE[::-1])
        assert torch.equal(model(pictures, None, mode='tensor'), twin(pictures, None, mode='tensor'))
        assert isinstance(twin.head, LatentPoseHead)
