"""How far relations move poses, motions and predictions in latent spaces."""

import math

import numpy as np
import pytest
import torch

from mmposeda.engine.relations import NonLocalness, latent_spread, non_localness, predicted_non_localness
from mmposeda.models.networks import MotionAutoEncoder, PoseAAE
from mmposeda.structures.relations import Relation, centre_crop

FRAMES = 8
INVOLUTIONS = ['flip', 'flip_inplane(50)', 'backward', 'flip_backward', 'flip_inplane_backward(-20)']
EVERY = [*INVOLUTIONS, 'inplane(30)', 'inplane_backward(30)', 'slow_backward']


@pytest.fixture(scope='module')
def spaces():
    torch.manual_seed(0)
    return PoseAAE('nlrd15', latent=8).eval(), MotionAutoEncoder(latent=8, dim=12, hidden=10).eval()


@pytest.fixture(scope='module')
def clips():
    """Clips of bodies that move a little from frame to frame, mm."""
    steps = torch.randn(7, 2 * FRAMES, 15, 3, generator=torch.Generator().manual_seed(1))
    return 100 * steps.cumsum(1)


def measure(spaces, name, clips, **kwargs):
    return non_localness(*spaces, Relation.parse(name), clips, **{'frames': FRAMES, **kwargs})


@pytest.mark.parametrize('name', EVERY)
def test_distances_are_those_of_a_loop(name, spaces, clips):
    pose, motion = spaces
    relation, flips = Relation.parse(name), pose.kinematics.skeleton.flip_indices
    rows = []
    for clip in clips:
        if relation.level == 'pose':
            rows += [(pose.encode(y), pose.encode(relation.joints(y, flips))) for y in clip]
            continue
        window = clip[: relation.window(FRAMES)]
        anchor, positive = window, window.flip(0)
        if name == 'slow_backward':
            anchor, positive = window[::2], window[FRAMES // 2 : 3 * FRAMES // 2].flip(0)
        pair = (pose.encode(y)[None] for y in (anchor, relation.joints(positive, flips)))
        rows.append([motion.encode(z)[0] for z in pair])
    want = np.mean([float((a - b).norm()) for a, b in rows])
    found = measure(spaces, name, clips)
    assert found.distance == pytest.approx(want, rel=1e-4) and want > 0.01
    assert found.relative == found.distance / found.random
    for size in (1, 3):
        assert measure(spaces, name, clips, batch_size=size) == pytest.approx(found, rel=1e-4)


def test_the_identity_moves_nothing(spaces, clips):
    found = measure(spaces, 'identity', clips)
    assert found.distance == found.relative == 0 and found.random > 0


@pytest.mark.parametrize('name', INVOLUTIONS)
def test_involutions_are_as_far_from_either_side(name, spaces, clips):
    relation, flips = Relation.parse(name), spaces[0].kinematics.skeleton.flip_indices
    clips = clips[:, :FRAMES]
    related = relation.joints(relation.positive(clips), flips)
    there, back = (measure(spaces, name, x).distance for x in (clips, related))
    assert there == pytest.approx(back, rel=1e-4)


def test_a_turn_back_is_as_far_as_the_turn(spaces, clips):
    turned = Relation.parse('inplane(30)').joints(clips, range(15))
    there, back = measure(spaces, 'inplane(30)', clips), measure(spaces, 'inplane(-30)', turned)
    assert there.distance == pytest.approx(back.distance, rel=1e-4)


def test_random_pairs_are_never_a_latent_and_itself(spaces, clips):
    two = clips[:2, 0]
    want = float((spaces[0].encode(two[0]) - spaces[0].encode(two[1])).norm())
    assert measure(spaces, 'flip', two).random == pytest.approx(want, rel=1e-5)
    poses = clips.flatten(0, 1)
    z = spaces[0].encode(poses)
    every = torch.cdist(z, z).sum() / (len(z) * (len(z) - 1))
    for seed in range(3):
        assert measure(spaces, 'flip', poses, seed=seed).random == pytest.approx(float(every), rel=0.1)
    assert measure(spaces, 'flip', poses, seed=1) != measure(spaces, 'flip', poses, seed=2)


def test_neither_unit_nor_place_of_poses_matters(spaces, clips):
    moved = clips / 1000 + torch.tensor([1.0, 2.0, 3.0])
    assert measure(spaces, 'flip_backward', moved) == pytest.approx(measure(spaces, 'flip_backward', clips), rel=1e-3)


def test_no_gradients_are_kept_and_no_randomness_is_drawn(spaces, clips):
    before = torch.get_rng_state()
    measure(spaces, 'flip_backward', clips)
    assert torch.equal(before, torch.get_rng_state())
    assert all(parameter.grad is None for space in spaces for parameter in space.parameters())


class TestPredicted:
    @pytest.fixture
    def video(self):
        return torch.randn(5, 2 * FRAMES, 3, 12, 10, generator=torch.Generator().manual_seed(2))

    @staticmethod
    def network(pictures):
        """Latents (B, 8) of pictures: sums over their quarters."""
        top, bottom = (half.chunk(2, -1) for half in pictures.chunk(2, -2))
        return torch.stack([part.mean((1, 2, 3)) for part in (*top, *bottom)], 1).repeat(1, 2)

    @pytest.mark.parametrize('size', [None, 8])
    def test_pictures_are_mirrored_and_cut(self, size, spaces, video):
        relation = Relation.parse('flip')
        found = predicted_non_localness(self.network, None, relation, video, size, batch_size=2)
        seen = centre_crop(video.flatten(0, 1), size)
        want = (self.network(seen) - self.network(seen.flip(-1))).norm(dim=1).mean()
        assert found.distance == pytest.approx(float(want), rel=1e-5)

    @pytest.mark.parametrize('name', ['flip_inplane_backward(50)', 'slow_backward'])
    def test_clips_are_replayed(self, name, spaces, video):
        relation, (_, motion) = Relation.parse(name), spaces
        found = predicted_non_localness(self.network, motion, relation, video, 8, FRAMES)
        window = video[:, : relation.window(FRAMES)]
        embedded = []
        for clip, one in ((relation.anchor(window), Relation.parse('identity')), (relation.positive(window), relation)):
            pictures = torch.stack([one.pixels(clip[:, t], 8) for t in range(FRAMES)], 1)
            embedded.append(motion.encode(torch.stack([self.network(pictures[:, t]) for t in range(FRAMES)], 1)))
        assert found.distance == pytest.approx(float((embedded[0] - embedded[1]).norm(dim=1).mean()), rel=1e-4)

    def test_a_constant_network_moves_nothing_anywhere(self, spaces, video):
        found = predicted_non_localness(lambda x: x.new_ones(len(x), 8), None, Relation.parse('inplane(50)'), video)
        assert found == NonLocalness(0.0, 0.0) and math.isnan(found.relative)


def test_spread_is_zero_of_a_constant_and_goes_with_the_distance_of_pairs():
    assert latent_spread(torch.ones(6, 4)) == 0
    latents = torch.randn(4000, 16, generator=torch.Generator().manual_seed(0))
    assert float(latent_spread(latents)) == pytest.approx(4, rel=0.02)
    assert float(latent_spread(3 * latents + 2)) == pytest.approx(12, rel=0.02)
    pairs = (latents[1:] - latents[:-1]).norm(dim=1).mean()
    assert float(pairs) == pytest.approx(math.sqrt(2) * float(latent_spread(latents)), rel=0.03)


def test_what_cannot_be_measured_is_named(spaces, clips):
    with pytest.raises(ValueError, match=r'slow_backward of 8 frames needs clips of 16 frames, got \(7, 15, 15, 3\)'):
        measure(spaces, 'slow_backward', clips[:, 1:])
    with pytest.raises(TypeError, match='backward relates motions: give the MotionAutoEncoder'):
        measure((spaces[0], None), 'backward', clips)
    for few in (clips[:1, 0], clips[:0]):
        with pytest.raises(ValueError, match='flip: distances need two latents at least'):
            measure(spaces, 'flip', few)
    with pytest.raises(ValueError, match='backward: distances need two latents at least'):
        measure(spaces, 'backward', clips[:1])
    with pytest.raises(ValueError, match=r'takes joints \(..., 15, 3\), got \(7, 16, 14, 3\)'):
        measure(spaces, 'identity', clips[:, :, 1:])
    with pytest.raises(ValueError, match='flip: latents are not finite. Are the clips'):
        measure(spaces, 'flip', clips * torch.nan)
