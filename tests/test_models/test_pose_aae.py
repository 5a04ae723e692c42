"""The pose auto-encoder: what its latents and poses are held to, and each of its layers against a slow reference."""

import copy

import pytest
import torch
import torch.nn.functional as F

from mmposeda.models.networks import PoseAAE
from mmposeda.models.networks.pose_aae import SLOPE, part_groups
from mmposeda.registry import MODELS
from mmposeda.structures.skeleton import Skeleton

SETS = ('nlrd17', 'nlrd15')


def make(skeleton='nlrd17', **kwargs):
    torch.manual_seed(0)
    return PoseAAE(skeleton, **kwargs)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def poses(aae, *batch, seed=0):
    return draw(*batch, aae.kinematics.num_joints, 3, seed=seed)


def activated(x):
    return F.leaky_relu(x, SLOPE)


class TestGroups:
    def test_are_trunk_and_limbs_by_name(self):
        skeleton = Skeleton.from_metainfo('nlrd17')
        names = {part: [skeleton.joint_names[j] for j in joints] for part, joints in part_groups(skeleton).items()}
        assert list(names) == ['trunk', 'right_arm', 'left_arm', 'right_leg', 'left_leg']
        assert names['trunk'] == ['neck', 'head_top']
        assert names['left_arm'] == ['neck', 'left_shoulder', 'left_elbow', 'left_wrist']
        assert names['right_leg'] == ['right_hip', 'right_knee', 'right_ankle', 'right_foot']

    def test_do_without_feet(self):
        skeleton = Skeleton.from_metainfo('nlrd15')
        names = [skeleton.joint_names[j] for j in part_groups(skeleton)['right_leg']]
        assert names == ['right_hip', 'right_knee', 'right_ankle']

    def test_refuse_joints_of_no_part(self):
        spine = Skeleton.from_metainfo('nlrd15')
        other = Skeleton(
            'tailed', (*spine.joint_names, 'tail'), (*spine.parents, 0), (*spine.flip_indices, 15), groups={}
        )
        with pytest.raises(ValueError, match='tail belong to no part .* nlrd17 or nlrd15'):
            part_groups(other)


class TestLatents:
    @pytest.mark.parametrize('scale', [1.0, 10.0])
    def test_are_strictly_in_range(self, scale):
        aae = make(scale=scale)
        z = aae.encode(poses(aae, 200))
        assert z.shape == (200, 32) and z.abs().max() < scale
        assert z.abs().max() > 0.3, 'and not all in the middle'

    def test_large_ones_reach_the_ends(self):
        aae = make(scale=10.0)
        with torch.no_grad():
            aae.encoder.body[-1].weight.mul_(1000)
        z = aae.encode(poses(aae, 50)).abs()
        assert z.max() <= 10 and z.median() > 9

    def test_are_those_of_local_vectors_alone(self):
        """Place and size do not matter."""
        aae = make()
        pose = poses(aae, 20)
        torch.testing.assert_close(aae.encode(1000 * pose + draw(1, 1, 3, seed=1)), aae.encode(pose))

    def test_see_every_joint_but_the_root(self):
        aae = make()
        local = aae.kinematics.local(poses(aae, 4)).requires_grad_()
        aae.encoder(local).square().sum().backward()
        moved = local.grad.abs().sum((0, 2)) > 0
        assert moved.tolist() == [joint != aae.kinematics.root for joint in range(17)]

    def test_batches_of_any_shape(self):
        aae = make('nlrd15', latent=7)
        pose = poses(aae, 2, 5)
        z = aae.encode(pose)
        assert z.shape == (2, 5, 7) and aae.decode(z).shape == (2, 5, 15, 3) == aae.pose(z).shape
        torch.testing.assert_close(z[1, 3], aae.encode(pose[1, 3]))
        torch.testing.assert_close(aae.pose(z)[1, 3], aae.pose(z[1, 3]), rtol=1e-4, atol=1e-4)
        assert aae.encode(pose[:0]).shape == (0, 5, 7) and aae.pose(z[:0]).shape == (0, 5, 15, 3)


class TestLayers:
    def test_encoder_is_that_of_the_paper(self):
        aae = make()
        encoder, local = aae.encoder, aae.kinematics.local(poses(aae, 6))
        part = {
            name: activated(encoder.parts[name](local[:, list(group)].flatten(1)))
            for name, group in part_groups(aae.kinematics.skeleton).items()
        }
        limbs = [
            activated(
                F.linear(torch.cat([part['trunk'], part[name]], 1), encoder.limbs.weight[i], encoder.limbs.bias[i])
            )
            for i, name in enumerate(('right_arm', 'left_arm', 'right_leg', 'left_leg'))
        ]
        halves = [
            activated(F.linear(torch.cat(pair, 1), encoder.halves.weight[i], encoder.halves.bias[i]))
            for i, pair in enumerate((limbs[:2], limbs[2:]))
        ]
        first, _, last = encoder.body
        z = last(activated(first(torch.cat(halves, 1)))).tanh()
        torch.testing.assert_close(encoder(local), z)
        widths = [layer.in_features for layer in encoder.parts.values()]
        assert widths == [6, 12, 12, 12, 12] and first.weight.shape == (512, 256)

    def test_decoder_is_that_of_the_paper_and_sums_copies(self):
        aae = make()
        decoder, z = aae.decoder, draw(6, 32).tanh()
        first, _, second, _, third = decoder.body
        body = third(activated(second(activated(first(z)))))
        limbs, trunks = [], []
        for half in range(2):
            x = activated(body[:, 128 * half : 128 * half + 128])
            x = activated(F.linear(x, decoder.halves.weight[half], decoder.halves.bias[half]))
            for i in range(2):
                limb = 2 * half + i
                out = F.linear(x[:, 64 * i : 64 * i + 64], decoder.limbs.weight[limb], decoder.limbs.bias[limb])
                trunks.append(out[:, :32])
                limbs.append(activated(out[:, 32:]))
        nodes = [activated(sum(trunks)), *limbs]
        wanted = torch.zeros(6, 17, 3)
        for (part, group), node in zip(part_groups(aae.kinematics.skeleton).items(), nodes):
            for joint, vector in zip(group, decoder.parts[part](node).view(6, -1, 3).unbind(1)):
                wanted[:, joint] += vector
        torch.testing.assert_close(aae.decode(z), F.normalize(wanted, dim=-1))

    def test_every_weight_learns(self):
        aae = make()
        z, pose = aae(poses(aae, 64))
        (pose.square().mean() + pose.flatten().sin().mean()).backward()
        assert all((p.grad != 0).any() for p in aae.parameters())
        assert sum(p.numel() for p in aae.encoder.parameters()) == 199_552
        assert sum(p.numel() for p in aae.decoder.parameters()) == 462_326


class TestPoses:
    @pytest.mark.parametrize('skeleton', SETS)
    def test_are_of_unit_vectors_and_the_tables_lengths(self, skeleton):
        aae = make(skeleton)
        z = 2 * torch.rand(300, 32, generator=torch.Generator().manual_seed(0)) - 1
        local, pose, root = aae.decode(z), aae.pose(z), aae.kinematics.root
        length = torch.linalg.vector_norm(local, dim=-1)
        assert (local[:, root] == 0).all() and (pose[:, root] == 0).all()
        others = [joint for joint in range(length.shape[1]) if joint != root]
        torch.testing.assert_close(length[:, others], torch.ones(300, len(others)))
        for child, parent in enumerate(aae.kinematics.skeleton.parents):
            if child != root:
                bone = torch.linalg.vector_norm(pose[:, child] - pose[:, parent], dim=-1)
                torch.testing.assert_close(bone, aae.kinematics.lengths[child].expand(300), rtol=1e-4, atol=1e-4)

    def test_a_gradient_passes_a_frozen_decoder(self):
        aae = make().requires_grad_(False).eval()
        z = draw(8, 32).tanh().requires_grad_()
        aae.pose(z).abs().mean().backward()
        assert z.grad.isfinite().all() and (z.grad != 0).any(1).all()
        assert all(p.grad is None for p in aae.parameters())

    def test_gradients_are_finite_where_nothing_is_decoded(self):
        aae = make()
        with torch.no_grad():
            for layer in aae.decoder.parts.values():
                layer.weight.zero_()
        z = draw(4, 32).requires_grad_()
        pose = aae.pose(z)
        pose.sum().backward()
        assert pose.isfinite().all() and z.grad.isfinite().all()

    def test_a_few_poses_are_learnt(self):
        aae = make('nlrd15')
        wanted = aae.kinematics.canonical(poses(aae, 16, seed=3))
        optimizer = torch.optim.Adam(aae.parameters(), 1e-3)
        errors = []
        for _ in range(150):
            optimizer.zero_grad()
            error = (aae(wanted)[1] - wanted).abs().mean()
            error.backward()
            optimizer.step()
            errors.append(float(error))
        assert errors[-1] < 0.2 * errors[0]

    def test_half_precision_ends_in_float32(self):
        aae = make()
        pose = poses(aae, 8)
        exact = aae(pose)
        with torch.autocast('cpu', torch.bfloat16):
            z, decoded = aae(pose)
        assert z.dtype == decoded.dtype == torch.float32
        torch.testing.assert_close(z, exact[0], atol=0.05, rtol=0.1)
        lengths = aae.kinematics.bone_lengths(decoded)
        torch.testing.assert_close(lengths, aae.kinematics.lengths.expand_as(lengths), rtol=1e-4, atol=1e-4)


def test_registered_saved_and_copied():
    aae = MODELS.build(dict(type='PoseAAE', skeleton='nlrd15', latent=8, scale=10.0, torso='shoulders'))
    other = MODELS.build(dict(type='PoseAAE', skeleton='nlrd15', latent=8, scale=10.0, torso='shoulders'))
    pose = poses(aae, 3)
    assert not torch.equal(aae(pose)[1], other(pose)[1])
    other.load_state_dict(aae.state_dict())
    for twin in (other, copy.deepcopy(aae)):
        assert torch.equal(aae(pose)[1], twin(pose)[1])


def test_loads_from_a_checkpoint_of_the_stage_before(tmp_path):
    aae = make('nlrd15')
    torch.save(dict(state_dict={f'pose.{k}': v for k, v in aae.state_dict().items()}), tmp_path / 'a.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth'), prefix='pose.')
    other = PoseAAE('nlrd15', init_cfg=init_cfg)
    other.init_weights()
    pose = poses(aae, 3)
    assert torch.equal(aae(pose)[1], other(pose)[1])


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(skeleton='h36m'), "'h36m' is not the body .* nlrd17"),
        (dict(latent=0), 'latent must be 1 at least, got 0'),
        (dict(scale=0.0), 'scale must be above 0.*got 0.0'),
        (dict(scale=float('nan')), 'scale must be above 0.*got nan'),
        (dict(torso='arms'), "torso must be one of .*got 'arms'"),
    ],
)
def test_what_cannot_be_built_is_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        PoseAAE(**kwargs)


def test_poses_and_latents_that_do_not_fit_are_refused():
    aae = make()
    with pytest.raises(ValueError, match=r'\(\.\.\., 17, 3\), got \(2, 15, 3\)'):
        aae.encode(torch.zeros(2, 15, 3))
    with pytest.raises(ValueError, match=r'expected latents of poses \(\.\.\., 32\), got \(2, 16\)'):
        aae.pose(torch.zeros(2, 16))
