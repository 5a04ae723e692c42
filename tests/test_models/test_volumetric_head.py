"""The volumetric head: its layers, its loss, and predictions of poses that are known."""

import copy

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from torch import nn
from volume_samples import CODEC, DIM, GRID, JOINTS, LSP, ROOT, SIZE, VOLUME, batch, estimator

from mmposeda.registry import MODELS
from mmposeda.structures.volume import body_size

HIPS = list(LSP.index_all(ROOT))
PAPER = dict(type='VolumePose3D', input_size=(256, 256))


def build(**kwargs):
    torch.manual_seed(0)
    settings = dict(skeleton='lsp', root=ROOT, decoder=CODEC, dim=DIM, grid=GRID, deconv_channels=(8,))
    return MODELS.build(dict(type='VolumetricIntegralHead', **{**settings, **kwargs}))


def features(count=4, dim=DIM, seed=0):
    return (torch.rand(count, dim, generator=torch.Generator().manual_seed(seed)) * 2 - 1,)


def whole(flip_test=False, **kwargs):
    """An estimator around a head that has seen bodies of 1500 mm, in evaluation mode."""
    torch.manual_seed(0)
    model = MODELS.build(dict(estimator(**kwargs), test_cfg=dict(flip_test=flip_test))).eval()
    nn.init.normal_(model.head.final_layer.weight, std=8.0)
    model.head.square_size.fill_(1500.0**2)
    model.head.bodies.fill_(1)
    return model


def samples(count):
    return batch(count, 0)['data_samples']


class TestLayers:
    def test_are_the_papers(self):
        head = build(decoder=PAPER, dim=256, grid=(8, 8), deconv_channels=(256, 256, 256), skeleton='h36m', root='root')
        deconvolutions = head.deconv_layers[::3]
        assert [type(m) for m in head.deconv_layers] == 3 * [nn.ConvTranspose2d, nn.BatchNorm2d, nn.ReLU]
        assert [m.in_channels for m in deconvolutions] == [4, 256, 256]
        for layer in deconvolutions:
            assert (layer.out_channels, layer.kernel_size, layer.stride, layer.padding) == (256, (4, 4), (2, 2), (1, 1))
        assert head.final_layer.weight.shape == (17 * 64, 256, 1, 1) and head.final_layer.bias is not None
        with torch.no_grad():
            assert head.deconv_layers(head.unfold(features(1, 256)[0])).shape == (1, 256, 64, 64)
            assert head(features(1, 256)).shape == (1, 17, 3)

    def test_spatial_vectors_are_maps_again(self):
        """What the neck flattens, the head lays out."""
        cells = torch.arange(2.0 * DIM).view(2, 1, *GRID)
        assert torch.equal(build().unfold(cells.flatten(1)), cells)
        assert torch.equal(build(dim=2 * DIM).unfold(torch.arange(192.0)[None]).flatten(1), torch.arange(192.0)[None])

    def test_pooled_vectors_pass_a_linear_layer(self):
        head = build(mode='pooled', dim=10)
        assert [type(m) for m in head.unfold] == [nn.Linear, nn.ReLU, nn.Unflatten]
        assert head.unfold(features(4, 10)[0]).shape == (4, 8, *GRID) and head(features(4, 10)).shape == (4, JOINTS, 3)

    def test_without_deconvolutions_the_map_is_the_volume(self):
        head = build(deconv_channels=(), decoder=dict(CODEC, volume_size=(12, 8, 4)))
        assert head(features()).shape == (4, JOINTS, 3)
        head = build(deconv_channels=(), decoder=dict(CODEC, volume_size=(12, 8, 4)), mode='pooled', dim=5)
        assert head(features(4, 5)).shape == (4, JOINTS, 3)

    @pytest.mark.parametrize('mode', ['spatial', 'pooled'])
    def test_fits_the_neck(self, mode):
        model = MODELS.build(estimator(mode))
        pictures = torch.randn(2, 3, *SIZE[::-1])
        assert model(pictures, None, mode='tensor').shape == (2, JOINTS, 3)

    def test_the_last_features_are_taken_and_every_weight_learns(self):
        head = build()
        nn.init.normal_(head.final_layer.weight, std=0.2)
        assert torch.equal(head((torch.zeros(4, DIM), *features())), head(features()))
        head(features())[..., 0].square().sum().backward()
        assert all((p.grad != 0).any() for p in head.parameters() if p.ndim > 1)

    def test_begins_in_the_middle_of_the_volume(self):
        head = build()
        head.init_weights()
        assert (head(features()) - 0.5).abs().max() < 0.05

    @pytest.mark.parametrize(
        'kwargs, message',
        [
            (dict(mode='flat'), r"mode must be one of \('spatial', 'pooled'\), got 'flat'"),
            (dict(dim=100), r'100 features cannot be laid out over 8 x 12 = 96 cells: take a multiple of 96'),
            (dict(deconv_channels=(8, 8)), r'2 deconvolutions make 8 x 12 cells 32 x 48, .*\(24, 16, 8\)'),
            (dict(grid=(12, 8)), r'make 12 x 8 cells 24 x 16'),
        ],
    )
    def test_sizes_that_do_not_fit_are_refused(self, kwargs, message):
        with pytest.raises(ValueError, match=message):
            build(**kwargs)

    def test_a_root_that_the_joint_set_lacks_is_refused(self):
        with pytest.raises(KeyError, match="no joint 'pelvis'"):
            build(root='pelvis')


class TestPlaces:
    def put(self, head, bins):
        """Make each joint's volume high in one bin (column, row, layer), whatever the features."""
        volume = torch.full((JOINTS, VOLUME[2], VOLUME[1], VOLUME[0]), -100.0)
        for joint, (x, y, z) in enumerate(bins):
            volume[joint, z, y, x] = 100.0
        head.deconv_layers = nn.Identity()
        head.final_layer = type('Constant', (nn.Module,), dict(forward=lambda self, x: volume.flatten(0, 1)[None]))()
        return head

    def test_channels_are_joints_and_layers_of_depth(self):
        bins = [(k, k + 1, k % 8) for k in range(JOINTS)]
        places = self.put(build(), bins)(features(1))[0]
        wanted = (torch.tensor(bins) + 0.5) / torch.tensor(VOLUME)
        torch.testing.assert_close(places, wanted)

    def test_become_pixels_and_a_pose_of_the_bodies_seen(self):
        rng = np.random.default_rng(0)
        bins = np.stack([rng.integers(0, n, JOINTS) for n in VOLUME], -1)
        head = self.put(build(), bins.tolist())
        head.square_size.fill_(3000.0**2)
        head.bodies.fill_(1)
        (found,) = head.predict(features(1), None)
        pixels = 2 * bins[:, :2] + 0.5  # a bin is of two pixels
        np.testing.assert_allclose(found.keypoints[0], pixels, atol=1e-4)
        assert found.keypoint_scores.tolist() == [[1] * JOINTS]
        depth = 2000 * (bins[:, 2] + 0.5) / 8
        pose = 1000 * found.keypoints_3d[0]
        np.testing.assert_allclose(pose[:, 2], depth - depth[HIPS].mean(), atol=1e-2)
        across = pose[:, :2] / (pixels - pixels[HIPS].mean(0) + 1e-9)
        np.testing.assert_allclose(across, across[0, 0], rtol=1e-3)
        size = float(body_size(torch.tensor(pose), LSP.bones))
        along = float(body_size(torch.tensor(pose[:, 2:]), LSP.bones))
        assert size == pytest.approx(3000, rel=1e-4) or along**2 > 0.9 * 3000**2

    def test_a_known_person_is_found_again(self):
        """Labels of a person far away, given back by a perfect head, are the person."""
        rng = np.random.default_rng(1)
        true = rng.uniform([-300, -250, -400], [300, 250, 400], (JOINTS, 3))
        true -= true[HIPS].mean(0)
        pixels = 0.04 * true[:, :2] + [20, 15]
        codec = build().decoder
        size = float(body_size(torch.tensor(true), LSP.bones))
        label = codec.encode(pixels[None], relative_depth=true[None, :, 2], body_size=np.float32([size]))
        assert (label['volume_weights'] == 1).all()
        head = build()
        head.forward = lambda feats: torch.tensor(label['volume_pose'])
        head.square_size.fill_(size**2)
        head.bodies.fill_(1)
        (found,) = head.predict(features(1), None)
        np.testing.assert_allclose(1000 * found.keypoints_3d[0], true, atol=0.1)
        np.testing.assert_allclose(found.keypoints[0], pixels, atol=1e-3)


class TestLoss:
    def test_is_the_mean_over_the_coordinates_of_weighted_joints(self):
        head, data = build(loss_weight=0.7), samples(4)
        places, total, number = head(features()), 0.0, 0
        for i, sample in enumerate(data):
            label = sample.gt_instance_labels
            for k in range(JOINTS):
                if label.volume_weights[0, k]:
                    total += float((places[i, k] - label.volume_pose[0, k]).abs().sum())
                    number += 3
        loss = head.loss(features(), data)
        assert loss.keys() == {'loss_kpt'} and float(loss['loss_kpt']) == pytest.approx(0.7 * total / number, rel=1e-5)

    def test_labels_without_weight_do_not_count(self):
        head, data = build(), samples(4)
        before = head.loss(features(), data)['loss_kpt']
        for sample in data:
            label = sample.gt_instance_labels
            label.volume_pose[label.volume_weights == 0] += 5
        assert torch.equal(head.loss(features(), data)['loss_kpt'], before)

    def test_is_zero_without_any_label_or_at_the_truth(self):
        head, data = build(), samples(4)
        truth, weights = head.labels(data)
        assert head.error(truth, truth, weights) == 0
        for sample in data:
            sample.gt_instance_labels.volume_weights.zero_()
        loss = head.loss(features(), data)['loss_kpt']
        loss.backward()
        assert loss == 0 and all(p.grad.isfinite().all() for p in head.parameters())

    def test_gradient_is_the_numerical_one(self):
        pose = torch.rand(3, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        weights = torch.tensor([[1.0, 0, 1, 1, 0]], dtype=torch.float64).expand(3, -1)
        predicted = torch.rand(3, 5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        assert torch.autograd.gradcheck(lambda x: build().error(x, pose, weights), predicted.requires_grad_())

    def test_half_precision_ends_in_float32(self):
        exact, head = build().loss(features(), samples(4)), build()
        with torch.autocast('cpu', torch.bfloat16):
            places, loss = head(features()), head.loss(features(), samples(4))['loss_kpt']
        assert places.dtype == loss.dtype == torch.float32
        assert float(loss) == pytest.approx(float(exact['loss_kpt']), rel=0.05)

    def test_labels_of_another_joint_set_are_named(self):
        data = samples(2)
        for sample in data:
            sample.gt_instance_labels = InstanceData(
                volume_pose=torch.rand(1, 17, 3), volume_weights=torch.ones(1, 17), body_size=torch.ones(1)
            )
        with pytest.raises(ValueError, match="labels of 17 joints for a head of the 14 of 'lsp'"):
            build().loss(features(2), data)


class TestSizes:
    def test_are_averaged_over_all_labels_seen_in_training(self):
        head, sizes = build(), []
        for seed, count in enumerate((3, 5, 1)):
            data = batch(count, 0, seed)['data_samples']
            head.train().loss(features(count, seed=seed), data)
            sizes += [float(sample.gt_instance_labels.body_size) for sample in data]
        assert head.bodies == 9
        assert float(head.square_size) == pytest.approx(np.mean(np.square(sizes)), rel=1e-5)
        before = head.square_size.clone()
        head.eval().loss(features(3), batch(3, 0, 7)['data_samples'])
        assert head.bodies == 9 and torch.equal(head.square_size, before), 'not in evaluation'

    def test_unknown_ones_are_left_out(self):
        head, data = build().train(), samples(4)
        for i in (0, 2):
            data[i].gt_instance_labels.body_size.fill_(float('nan'))
        head.loss(features(), data)
        known = [float(data[i].gt_instance_labels.body_size) for i in (1, 3)]
        assert head.bodies == 2 and float(head.square_size) == pytest.approx(np.mean(np.square(known)), rel=1e-5)
        other = build().train()
        for sample in data:
            sample.gt_instance_labels.body_size.fill_(float('nan'))
        other.loss(features(), data)
        assert other.bodies == 0 and other.square_size == 0

    def test_are_saved_with_the_weights(self):
        assert {'square_size', 'bodies'} <= build().state_dict().keys()

    def test_predictions_without_any_are_refused(self):
        with pytest.raises(ValueError, match='trained on no labels of whole bodies.*Load a trained checkpoint'):
            build().predict(features(), samples(4))


class TestPredictions:
    def predict(self, model, count=3, seed=0):
        generator = torch.Generator().manual_seed(seed)
        pictures = torch.randn(count, 3, *SIZE[::-1], generator=generator)
        return pictures, model(pictures, samples(count), mode='predict')

    def test_are_mmposes_samples_with_the_pose_beside(self):
        model = whole()
        pictures, found = self.predict(model)
        places = model(pictures, None, mode='tensor').detach()
        assert all(isinstance(sample, PoseDataSample) for sample in found)
        for sample, place in zip(found, places):
            got = sample.pred_instances
            assert got.keypoints.shape == (1, JOINTS, 2) and got.keypoint_scores.shape == (1, JOINTS)
            assert got.keypoints_3d.shape == (1, JOINTS, 3) and got.keypoints_3d.dtype == np.float32
            # the picture's crop is the whole picture here
            np.testing.assert_allclose(got.keypoints[0], place[:, :2].numpy() * SIZE - 0.5, atol=1e-4)
            np.testing.assert_allclose(got.keypoints_3d[0, HIPS].mean(0), 0, atol=1e-4)

    def test_joints_are_in_the_pixels_of_the_picture(self):
        model, pictures = whole(), torch.randn(1, 3, *SIZE[::-1])
        (plain,), (other,) = (model(pictures, samples(1), mode='predict') for _ in range(2))
        moved = samples(1)
        moved[0].set_metainfo(dict(input_center=np.array([100.0, 200.0]), input_scale=np.array([96.0, 64.0])))
        (far,) = model(pictures, moved, mode='predict')
        np.testing.assert_array_equal(plain.pred_instances.keypoints, other.pred_instances.keypoints)
        wanted = 2 * plain.pred_instances.keypoints + [100 - 48, 200 - 32]
        np.testing.assert_allclose(far.pred_instances.keypoints, wanted, atol=1e-4)
        np.testing.assert_array_equal(far.pred_instances.keypoints_3d, plain.pred_instances.keypoints_3d)

    def test_a_larger_mean_body_makes_larger_poses(self):
        model = whole()
        small = self.predict(model)[1]
        model.head.square_size.mul_(4)
        large = self.predict(model)[1]
        for a, b in zip(small, large):
            a, b = a.pred_instances.keypoints_3d[0], b.pred_instances.keypoints_3d[0]
            np.testing.assert_array_equal(a[:, 2], b[:, 2])
            assert np.linalg.norm(b[:, :2]) > 2 * np.linalg.norm(a[:, :2]) - 1e-4

    def test_a_flip_test_averages_picture_and_mirror_image(self):
        model, flipping = whole(), whole(flip_test=True)
        pictures = torch.randn(2, 3, *SIZE[::-1])
        places, mirrored = (model(x, None, mode='tensor').detach() for x in (pictures, pictures.flip(-1)))
        mirrored = mirrored[:, list(LSP.flip_indices)] * torch.tensor([-1.0, 1, 1]) + torch.tensor([1.0, 0, 0])
        joints = ((places + mirrored) / 2)[..., :2].numpy() * SIZE - 0.5
        found = flipping(pictures, samples(2), mode='predict')
        np.testing.assert_allclose(np.concatenate([x.pred_instances.keypoints for x in found]), joints, atol=1e-4)

    def test_with_a_flip_test_the_mirror_image_has_the_mirrored_pose(self):
        model = whole(flip_test=True)
        pictures = torch.randn(2, 3, *SIZE[::-1])
        for given, mirror in zip(
            model(pictures, samples(2), mode='predict'), model(pictures.flip(-1), samples(2), mode='predict')
        ):
            given, mirror = given.pred_instances, mirror.pred_instances
            order = list(LSP.flip_indices)
            np.testing.assert_allclose(mirror.keypoints_3d[:, order] * [-1, 1, 1], given.keypoints_3d, atol=1e-4)
            x, y = np.moveaxis(mirror.keypoints[:, order], -1, 0)
            np.testing.assert_allclose(np.stack([SIZE[0] - 1 - x, y], -1), given.keypoints, atol=1e-4)

    def test_a_flip_test_changes_nothing_for_a_symmetric_answer(self):
        """Where the mirror image already gets the mirrored answer, averaging leaves it."""
        model, flipping = whole(), whole(flip_test=True)
        answer = torch.rand(2, JOINTS, 3)
        mirrored = answer[:, list(LSP.flip_indices)] * torch.tensor([-1.0, 1, 1]) + torch.tensor([1.0, 0, 0])
        given = (torch.zeros(2, DIM),), (torch.ones(2, DIM),)
        for head in (model.head, flipping.head):
            head.forward = lambda feats: mirrored if feats[-1].any() else answer
        plain = model.head.predict(given[0], samples(2))
        twice = flipping.head.predict(given, samples(2), dict(flip_test=True))
        for a, b in zip(plain, twice):
            np.testing.assert_allclose(a.keypoints_3d, b.keypoints_3d, atol=1e-5)

    def test_collapsed_answers_are_finite(self):
        model = whole()
        model.head.forward = lambda feats: torch.full((1, JOINTS, 3), 0.5)
        (found,) = model.head.predict(None, samples(1))
        assert (found.keypoints_3d == 0).all() and np.isfinite(found.keypoints).all()

    def test_half_precision(self):
        model, pictures = whole(), torch.randn(1, 3, *SIZE[::-1])
        (plain,) = model(pictures, samples(1), mode='predict')
        with torch.autocast('cpu', torch.bfloat16):
            (half,) = model(pictures, samples(1), mode='predict')
        assert half.pred_instances.keypoints_3d.dtype == np.float32
        np.testing.assert_allclose(half.pred_instances.keypoints, plain.pred_instances.keypoints, atol=0.5)

    def test_the_model_can_be_copied(self):
        copy.deepcopy(whole())
