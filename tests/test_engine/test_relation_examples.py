"""What is drawn of relations, latent spaces and predictions."""

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from torch import nn

from mmposeda.engine.relation_examples import latent_walks, predictions, relation_pairs
from mmposeda.models.networks import MotionAutoEncoder, PoseAAE, RelationNetworks
from mmposeda.structures.relations import Relation, centre_crop

FRAMES, LATENT, SIDE = 6, 8, 8
NAMES = ['flip', 'flip_inplane_backward(50)', 'slow_backward']


class Model(nn.Module):
    """What the figures ask of an adapter; latents are grey levels of the quarters of a picture."""

    def __init__(self):
        super().__init__()
        self.pose = PoseAAE('nlrd15', latent=LATENT)
        self.motion = MotionAutoEncoder(latent=LATENT, dim=5, hidden=4)
        self.relations = RelationNetworks(NAMES, LATENT, 5, hidden=(9,))
        self.relation_list, self.frames = self.relations.relations, FRAMES
        self.data_preprocessor = nn.Module()
        self.data_preprocessor.mean, self.data_preprocessor.std = (torch.full((1, 3, 1, 1), x) for x in (100.0, 50.0))

    def latents(self, images):
        assert images.shape[1:] == (3, SIDE, SIDE)
        rows = images[..., : SIDE // 2, :].mean((1, 2)), images[..., SIDE // 2 :, :].mean((1, 2))
        return torch.cat(rows, 1).tanh()[:, ::2]

    def seen(self, images, relation=None):
        return relation.pixels(images, SIDE) if relation is not None else centre_crop(images, SIDE)


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return Model().eval()


@pytest.fixture(scope='module')
def clips():
    return torch.randn(4, 2 * FRAMES, 3, 12, 12, generator=torch.Generator().manual_seed(1))


def host(x):
    return x.detach().numpy()


class TestPairs:
    def test_of_poses_are_middle_frames(self, model, clips):
        found, heads = relation_pairs(model, Relation.parse('flip'), clips, 2)
        seen = centre_crop(clips[::2, FRAMES], SIDE)
        assert heads == [] and found.pictures.shape == (2, SIDE, SIDE, 3) and found.pictures.dtype == np.uint8
        grey = host((seen * 50 + 100).round().clamp(0, 255).permute(0, 2, 3, 1))
        assert (found.pictures == grey).all() and (found.related == grey[:, :, ::-1]).all()
        z = model.latents(seen)
        told, there = model.relations.after(model.relation_list[0], z), model.latents(seen.flip(-1))
        for got, latent in ((found.poses, z), (found.by_network, told), (found.by_pixels, there)):
            assert got == pytest.approx(host(model.pose.pose(latent)), abs=1e-5)

    @pytest.mark.parametrize('name', NAMES[1:])
    def test_of_motions_are_frames_of_what_their_latents_stand_for(self, name, model, clips):
        relation = Relation.parse(name)
        found, heads = relation_pairs(model, relation, clips, 3)
        assert heads == ['frame 1', 'frame 3', 'frame 5']
        window = clips[0, : relation.window(FRAMES)]
        anchor, positive = window, window.flip(0)
        if name == 'slow_backward':
            anchor, positive = window[::2], window[FRAMES // 2 : 3 * FRAMES // 2].flip(0)
        seen, related = centre_crop(anchor, SIDE), relation.pixels(positive, SIDE)
        for got, images in ((found.pictures, seen), (found.related, related)):
            grey = host((images[::2] * 50 + 100).round().clamp(0, 255).permute(0, 2, 3, 1))
            assert (got == grey).all()
        v, there = (model.motion.encode(model.latents(x)[None]) for x in (seen, related))
        told = model.relations.after(relation, v)
        for got, latent in ((found.poses, v), (found.by_network, told), (found.by_pixels, there)):
            assert got == pytest.approx(host(model.pose.pose(model.motion.decode(latent, FRAMES)[0, ::2])), abs=1e-5)

    def test_clips_that_are_too_short_are_refused(self, model, clips):
        with pytest.raises(ValueError, match=r'slow_backward needs clips of 12 frames, got \(4, 11, 3, 12, 12\)'):
            relation_pairs(model, Relation.parse('slow_backward'), clips[:, 1:], 3)


class TestWalks:
    @pytest.fixture(scope='class')
    def motions(self):
        return 300 * torch.randn(3, FRAMES, 15, 3, generator=torch.Generator().manual_seed(3)).cumsum(1)

    def test_lines_start_and_end_at_what_they_join(self, model, motions):
        found = latent_walks(model.pose, model.motion, motions, 2, 5)
        between, across, of_motions = found.walks.values()
        z = model.pose.encode(motions[:, 0])
        for i, walk in enumerate(between.values()):
            assert walk[[0, -1]] == pytest.approx(host(model.pose.pose(z[[i, i + 1]])), abs=1e-5)
            assert walk[2] == pytest.approx(host(model.pose.pose((z[i] + z[i + 1]) / 2)), abs=1e-5)
        assert list(between) == ['poses 1, 2', 'poses 2, 3'] and len(across) == 2
        middle = host(model.pose.pose(torch.zeros(LATENT)))
        assert all(walk[2] == pytest.approx(middle, abs=1e-5) for walk in across.values())
        rows = list(of_motions.values())
        v = model.motion.encode(model.pose.encode(motions[:2]))
        for row, one in ((rows[0], v[:1]), (rows[-1], v[1:])):
            want = host(model.pose.pose(model.motion.decode(one, FRAMES)[0]))
            assert row == pytest.approx(want[[0, 1, 2, 3, 4]], abs=1e-4)
        assert list(of_motions) == [f'{x} of the way' for x in ('0.00', '0.33', '0.67', '1.00')]
        assert list(found.heads.values())[:2] == [
            ['0.00', '0.25', '0.50', '0.75', '1.00'],
            ['-1.00', '-0.50', '0.00', '0.50', '1.00'],
        ]

    def test_random_lines_are_those_of_the_seed(self, model, motions):
        first, again, other = (
            latent_walks(model.pose, None, motions, seed=seed).walks['along random lines from side to side']['line 1']
            for seed in (0, 0, 1)
        )
        assert (first == again).all() and (first != other).any()

    def test_walks_need_two_ends(self, model, motions):
        with pytest.raises(ValueError, match=r'need two clips at least, got \(1, 6, 15, 3\)'):
            latent_walks(model.pose, None, motions[:1])


class TestPredictions:
    @staticmethod
    def sample(**labels):
        sample = PoseDataSample(
            metainfo=dict(input_size=(SIDE, SIDE), input_center=np.array([20.0, 30]), input_scale=np.array([16.0, 16]))
        )
        sample.gt_instances = InstanceData(bboxes=np.zeros((1, 4)), **labels)
        return sample

    def test_truth_is_as_large_as_canonical_bodies(self, model):
        kinematics = model.pose.kinematics
        body = kinematics.canonical(torch.randn(15, 3, generator=torch.Generator().manual_seed(0))).numpy()
        given = 87.0 * body + (0, 0, 3000)
        points = np.random.default_rng(0).uniform(12, 28, (1, 15, 2))
        visible = np.ones((1, 15))
        visible[0, 3] = 0
        lacking = given.copy()
        lacking[4] = 0
        samples = [
            self.sample(keypoints_3d_cam=given[None], keypoints=points, keypoints_visible=visible),
            self.sample(keypoints_3d_cam=lacking[None]),
            self.sample(keypoints_3d_cam=given[None, 1:], keypoints=points[:, 1:], keypoints_visible=visible[:, 1:]),
        ]
        images = torch.randn(3, 3, SIDE, SIDE)
        found = predictions(model, images, samples)
        assert found.poses == pytest.approx(host(model.pose.pose(model.latents(images))), abs=1e-5)
        assert found.truth[0] == pytest.approx(body, abs=1e-4)
        known = [joint for joint in range(15) if joint != 4]
        assert found.truth[1][known] == pytest.approx(body[known], abs=1e-4) and np.isnan(found.truth[1][4]).all()
        seen = visible[0] > 0
        # a crop of 16 pixels about (20, 30), drawn with 8
        assert found.points[0][seen] == pytest.approx((points[0, seen] - (12, 22)) / 2)
        assert np.isnan(found.points[0][3]).all() and np.isnan(found.points[1:]).all()
        assert np.isnan(found.truth[2]).all()

    def test_pictures_without_samples_have_no_truth(self, model):
        found = predictions(model, torch.randn(2, 3, SIDE, SIDE))
        assert np.isnan(found.truth).all() and np.isnan(found.points).all() and found.pictures.dtype == np.uint8
