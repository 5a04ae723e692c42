"""Discriminators of the pose auto-encoder: their layers by a slow reference, what they see, and that they learn."""

import pytest
import torch

from mmposeda.models.networks import LatentDiscriminator, PosePartDiscriminator
from mmposeda.models.networks.pose_aae import part_groups
from mmposeda.registry import MODELS
from mmposeda.structures.skeleton import Skeleton


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rooted(count, joints=17, seed=0):
    pose = draw(count, joints, 3, seed=seed)
    return pose - pose[:, :1]


class TestPosePartDiscriminator:
    @pytest.mark.parametrize('skeleton, joints', [('nlrd17', 17), ('nlrd15', 15)])
    def test_scores_joints_parts_and_the_whole(self, skeleton, joints):
        net = MODELS.build(dict(type='PosePartDiscriminator', skeleton=skeleton))
        assert net.num_logits == joints + 6 and net(rooted(4, joints)).shape == (4, joints + 6)

    def test_is_a_layer_for_each_joint_and_part(self):
        net, pose = PosePartDiscriminator(), rooted(5)
        wanted, features = [], []
        for joint in range(17):
            x = net.joint(pose[:, joint])
            wanted.append(x @ net.joint_logits.weight[joint].t() + net.joint_logits.bias[joint])
        for part, (name, group) in enumerate(part_groups(Skeleton.from_metainfo('nlrd17')).items()):
            x = net.parts[name](torch.cat([net.joint(pose[:, joint]) for joint in group], 1)).relu()
            wanted.append(x @ net.part_logits.weight[part].t() + net.part_logits.bias[part])
            features.append(x)
        wanted.append(net.whole(torch.cat(features, 1)))
        torch.testing.assert_close(net(pose), torch.cat(wanted, 1), rtol=1e-4, atol=1e-5)

    def test_sizes(self):
        net = PosePartDiscriminator()
        joint, parts = 3 * 32 + 32 + 32 * 32 + 32 + 17 * 33, 200 * (64 + 4 * 128 + 5) + 5 * 201
        whole = 1000 * 1024 + 1024 + 1024 * 1024 + 1024 + 1024 + 1
        assert sum(p.numel() for p in net.parameters()) == joint + parts + whole

    def test_logits_see_what_they_judge(self):
        net, pose = PosePartDiscriminator(), rooted(1)
        skeleton = Skeleton.from_metainfo('nlrd17')
        wrist, groups = skeleton.index('left_wrist'), list(part_groups(skeleton))
        other = pose.clone()
        other[:, wrist] += 1
        changed = (net(pose) != net(other))[0].nonzero().flatten().tolist()
        assert changed == [wrist, 17 + groups.index('left_arm'), 22]

    def test_every_weight_learns_to_tell_poses_apart(self):
        net = PosePartDiscriminator('nlrd15')
        real, fake = rooted(64, 15), rooted(64, 15, seed=1) + torch.tensor([2.0, 0, 0])
        optimizer, losses = torch.optim.Adam(net.parameters(), 1e-3), []
        for _ in range(30):
            optimizer.zero_grad()
            loss = (net(real) - 1).abs().mean() + (net(fake) + 1).abs().mean()
            loss.backward()
            optimizer.step()
            losses.append(float(loss))
        assert losses[-1] < 0.7 * losses[0]
        assert all((p.grad != 0).any() for p in net.parameters())
        assert net(real)[:, -1].mean() > 0.5 and net(fake)[:, -1].mean() < -0.5, 'the whole one goes below 0 too'

    def test_a_gradient_reaches_the_pose(self):
        net, pose = PosePartDiscriminator().requires_grad_(False), rooted(4).requires_grad_()
        net(pose).sum().backward()
        assert (pose.grad[:, 1:] != 0).all(-1).all()

    def test_poses_and_joint_sets_that_do_not_fit_are_refused(self):
        with pytest.raises(ValueError, match=r'expected poses \(B, 17, 3\), got \(4, 15, 3\)'):
            PosePartDiscriminator()(rooted(4, 15))
        with pytest.raises(KeyError, match="skeleton coco has no joint 'neck'"):
            PosePartDiscriminator('coco')
        with pytest.raises(ValueError, match='spine1, .* belong to no part of the body'):
            PosePartDiscriminator('surreal')


class TestLatentDiscriminator:
    def test_layers(self):
        net = LatentDiscriminator(32)
        assert [layer.out_features for layer in net.layers[::2]] == [32, 32, 16, 16, 8, 4, 1]
        assert net(draw(7, 32)).shape == (7, 1) and net(draw(2, 7, 32)).shape == (2, 7, 1)

    def test_learns_to_tell_latents_apart(self):
        net = MODELS.build(dict(type='LatentDiscriminator', latent=4))
        real, fake = torch.rand(256, 4) * 2 - 1, draw(256, 4) * 0.2
        optimizer, losses = torch.optim.Adam(net.parameters(), 1e-2), []
        for _ in range(60):
            optimizer.zero_grad()
            loss = (net(real) - 1).square().mean() + (net(fake) + 1).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(float(loss))
        assert losses[-1] < 0.5 * losses[0]

    def test_latents_of_another_width_are_refused(self):
        with pytest.raises(ValueError, match=r'latents of poses \(\.\.\., 32\), got \(2, 16\)'):
            LatentDiscriminator()(torch.zeros(2, 16))
