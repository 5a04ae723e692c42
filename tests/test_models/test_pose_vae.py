"""The pose VAE's losses against torch's own and hand sums, and what its score depends on."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from mmposeda.models.networks.pose_vae import PoseVAE, gaussian_kl
from mmposeda.registry import MODELS
from mmposeda.structures.pose2d import normalize_pose2d


def some_poses(count=50, joints=16, seed=0, hidden=0.2):
    generator = torch.Generator().manual_seed(seed)
    y = 200 * torch.rand(count, joints, 2, generator=generator)
    v = (torch.rand(count, joints, generator=generator) >= hidden).float()
    return y, v, torch.tensor([0.0, 0.0, 256.0, 256.0]).expand(count, 4)


@pytest.fixture
def vae():
    torch.manual_seed(0)
    return PoseVAE(16).eval()


def make(**kwargs):
    torch.manual_seed(0)
    return PoseVAE(16, **kwargs).eval()


class TestLosses:
    def test_kl_is_zero_of_the_standard_normal(self):
        assert gaussian_kl(torch.zeros(3, 8), torch.zeros(3, 8)).tolist() == [0, 0, 0]

    def test_kl_is_that_of_torch(self):
        generator = torch.Generator().manual_seed(0)
        mean, logvar = torch.randn(2, 30, 8, generator=generator, dtype=torch.float64) * 2
        wanted = kl_divergence(Normal(mean, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(1)
        torch.testing.assert_close(gaussian_kl(mean, logvar), wanted.double(), rtol=1e-6, atol=1e-6)

    def test_reconstruction_is_a_sum_over_visible_joints(self, vae, monkeypatch):
        y, v, _ = some_poses()
        answer = torch.randn(50, 32, generator=torch.Generator().manual_seed(1))
        monkeypatch.setattr(vae.decoder, 'forward', lambda latent: answer)
        loss = vae(y, v, mode='loss')['loss_rec']
        target, _, _ = normalize_pose2d(y, v)
        total = 0.0
        for i in range(50):
            for k in range(16):
                if v[i, k]:
                    dx, dy = (answer.view(50, 16, 2)[i, k] - target[i, k]).tolist()
                    total += dx**2 + dy**2
        assert loss.item() == pytest.approx(total / 50, rel=1e-5)

    def test_kl_term_has_its_weight_and_the_share_in_force(self, vae):
        y, v, _ = some_poses()
        losses = vae(y, v, mode='loss')
        assert losses['loss_kl'].item() == pytest.approx(1e-3 * losses['kl'].item())
        vae.kl_ratio = 0.25
        assert vae(y, v, mode='loss')['loss_kl'].item() == pytest.approx(0.25e-3 * losses['kl'].item())

    def test_log_variance_is_clamped(self, vae):
        with torch.no_grad():
            vae.logvar_head.bias.copy_(torch.tensor([100.0, -100.0] * 4))
        logvar = vae(*some_poses(), mode='tensor')[2]
        assert logvar.min() == -8 and logvar.max() == 8

    def test_noise_is_of_the_given_generator(self, vae):
        y, v, _ = some_poses()

        def loss(seed):
            return vae(y, v, mode='loss', generator=torch.Generator().manual_seed(seed))['loss_rec'].item()

        before = torch.get_rng_state()
        assert loss(1) == loss(1) != loss(2)
        assert torch.equal(before, torch.get_rng_state())

    def test_every_weight_learns(self):
        vae = make().train()
        losses = vae(*some_poses(), mode='loss')
        (losses['loss_rec'] + losses['loss_kl']).backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in vae.parameters())

    def test_mmengine_can_train_it(self, vae):
        y, v, _ = some_poses()
        total, logged = vae.parse_losses(vae(keypoints=y, visible=v, mode='loss'))
        assert total.item() == pytest.approx((logged['loss_rec'] + logged['loss_kl']).item())


class TestScore:
    @pytest.mark.parametrize('sizes', [{}, dict(hidden=(64,)), dict(hidden=(32, 32, 8), latent=8)])
    def test_is_the_error_of_the_mean_reconstruction(self, sizes):
        vae = make(**sizes)
        y, v, _ = some_poses()
        answer = vae(y, v, mode='tensor')[0]
        target, _, _ = normalize_pose2d(y, v)
        errors = ((answer - target).square().sum(2) * v).sum(1) * 16 / v.sum(1)
        torch.testing.assert_close(vae.score(y, v), errors.detach())

    def test_two_passes_are_identical(self, vae):
        y, v, _ = some_poses()
        assert torch.equal(vae.score(y, v), vae.score(y, v))
        assert torch.equal(vae.score(y, v), vae(y, v, mode='predict'))
        vae.train()
        assert torch.equal(vae.score(y, v), vae.eval().score(y, v))

    def test_other_poses_do_not_matter(self, vae):
        y, v, _ = some_poses(200)
        whole = vae.score(y, v)
        order = torch.randperm(200, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(vae.score(y[order], v[order]), whole[order], rtol=1e-5, atol=1e-6)
        for chunk in (1, 7, 64, 1000):
            torch.testing.assert_close(vae.score(y, v, chunk=chunk), whole, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize('mode, free', [('bbox', True), ('root', True), ('image', False)])
    def test_place_and_size_matter_in_the_picture_alone(self, mode, free):
        vae = make(norm_mode=mode, root=6)
        y, v, boxes = some_poses()
        before, after = vae.score(y, v, boxes), vae.score(1.7 * y - 40, v, boxes)
        assert torch.allclose(before, after, rtol=1e-4) == free

    def test_turned_poses_are_others(self, vae):
        y, v, _ = some_poses()
        turned = torch.stack([-y[..., 1], y[..., 0]], -1)
        assert not torch.allclose(vae.score(y, v), vae.score(turned, v), rtol=1e-2)

    def test_invisible_joints_are_not_read(self, vae):
        y, v, _ = some_poses()
        wild = torch.where(v[..., None] > 0, y, torch.nan)
        assert torch.equal(vae.score(y, v), vae.score(wild, v))

    def test_fewer_than_four_visible_joints_have_no_score(self, vae):
        y, v, _ = some_poses(5)
        for i in range(5):
            v[i] = 0
            v[i, : i + 1] = 1
        assert torch.isnan(vae.score(y, v)).tolist() == [True, True, True, False, False]

    def test_few_visible_joints_weigh_as_many(self, vae, monkeypatch):
        """An answer that is off by the same at every joint scores the same, however many are visible."""
        y, v, _ = some_poses()
        v[:, :4] = 1
        target, _, _ = normalize_pose2d(y, v)
        monkeypatch.setattr(vae, '_reconstruct', lambda *args: (target + 0.1).reshape(50, 32))
        torch.testing.assert_close(vae.score(y, v), torch.full((50,), 16 * 0.02), rtol=1e-4, atol=0)

    def test_stays_in_float32_under_mixed_precision(self, vae):
        y, v, _ = some_poses()
        with torch.autocast('cpu', dtype=torch.bfloat16):
            assert torch.equal(vae.score(y, v), vae.score(y, v).float())
            mixed = vae.score(y, v)
        assert torch.equal(mixed, vae.score(y, v)) and mixed.dtype == torch.float32

    def test_nothing_gives_nothing(self, vae):
        assert vae.score(*some_poses(0)[:2]).shape == (0,)


class TestBuilding:
    def test_latent_size_follows_the_joints(self):
        assert [PoseVAE(k).latent for k in (5, 14, 16, 17, 21)] == [5, 8, 8, 8, 12]
        assert PoseVAE(16, latent=4)(*some_poses(), mode='tensor')[1].shape == (50, 4)

    def test_is_in_the_registry_and_rebuilt_from_its_config(self):
        vae = MODELS.build(dict(type='PoseVAE', num_keypoints=16, hidden=(64, 32), norm_mode='root', root=(2, 3)))
        twin = PoseVAE(**vae.config)
        twin.load_state_dict(vae.state_dict())
        y, v, _ = some_poses()
        assert torch.equal(vae.score(y, v), twin.score(y, v)) and twin.config == vae.config

    @pytest.mark.parametrize(
        'change, message',
        [
            (dict(num_keypoints=3), 'at least 4 joints, got 3'),
            (dict(latent=32), 'latent=32 must be at least 1 and below 32'),
            (dict(latent=0), 'latent=0'),
            (dict(hidden=()), 'hidden'),
            (dict(kl_weight=-1), 'kl_weight=-1'),
            (dict(norm_mode='box'), "'box' is unknown, expected one of bbox, root, image"),
            (dict(norm_mode='root'), 'joints 0 to 15'),
            (dict(norm_mode='root', root=16), 'joints 0 to 15'),
            (dict(joint_names=['a', 'b']), '2 joint_names for 16'),
        ],
    )
    def test_wrong_arguments_are_named(self, change, message):
        with pytest.raises(ValueError, match=message):
            PoseVAE(**{'num_keypoints': 16, **change})

    def test_poses_of_other_joints_are_refused(self, vae):
        for mode in ('loss', 'tensor', 'predict'):
            with pytest.raises(ValueError, match='of 16 joints, got poses of 14'):
                vae(*some_poses(joints=14), mode=mode)

    def test_unknown_mode_is_named(self, vae):
        with pytest.raises(ValueError, match="'train' is unknown"):
            vae(*some_poses(), mode='train')
