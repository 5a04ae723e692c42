"""The autoencoder of pictures layer by layer, its losses by hand, and its training."""

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn
from torch.distributions import Normal, kl_divergence
from volume_samples import batch

from mmposeda.models.networks import ImageVAE
from mmposeda.models.networks.image_vae import decoder_block
from mmposeda.models.networks.pose_vae import gaussian_kl
from mmposeda.registry import MODELS

BASE = dict(type='PoseDataPreprocessor', mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0], bgr_to_rgb=True)
SMALL = dict(type='ImageVAE', input_size=16, latent=5)


def build(seed=0, **kwargs):
    torch.manual_seed(seed)
    return MODELS.build({**SMALL, **kwargs})


def pictures(count=6, size=(16, 16), seed=0):
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def weights(*modules):
    return sum(p.numel() for module in modules for p in module.parameters())


class TestPaper:
    """Table 1 of the supplement."""

    def test_parameters(self):
        vae = ImageVAE()
        assert weights(vae.encoder, vae.mean, vae.logvar) == 2_492_224
        assert weights(vae.decoder) == 1_446_467

    def test_shapes_of_all_rows(self):
        vae, x, shapes = ImageVAE().eval(), torch.zeros(1, 3, 256, 256), []
        with torch.no_grad():
            for block in vae.encoder[:-1]:
                x = block(x)
                shapes.append(tuple(x.shape[1:]))
            assert shapes == [(8 << i, 128 >> i, 128 >> i) for i in range(6)]
            x = vae.encoder[-1](x)
            assert x.shape == (1, 4096) and vae.mean(x).shape == vae.logvar(x).shape == (1, 256)
            x, shapes = vae.decoder[1](vae.decoder[0](vae.mean(x))), []
            assert x.shape == (1, 256, 4, 4)
            for block in vae.decoder[2:]:
                x = block(x)
                shapes.append(tuple(x.shape[1:]))
        assert shapes == [*((128 >> i, 8 << i, 8 << i) for i in range(5)), (3, 256, 256)]

    def test_kinds_of_layers(self):
        vae = ImageVAE()
        for i, block in enumerate(vae.encoder[:-1]):
            convolution, norm, slope = block
            assert convolution.kernel_size == (3, 3) and convolution.stride == (2, 2) and convolution.padding == (1, 1)
            assert convolution.bias is not None and norm.affine and slope.negative_slope == 0.2, i
        assert not any(isinstance(m, nn.MaxPool2d) for m in vae.modules())
        for block in vae.decoder[2:]:
            upsample, pad, convolution = block[:3]
            assert (upsample.scale_factor, upsample.mode) == (2, 'nearest')
            assert (
                isinstance(pad, nn.ReplicationPad2d) and convolution.padding == (0, 0) and convolution.stride == (1, 1)
            )
        assert len(vae.decoder[-1]) == 3, 'neither normalisation nor activation at the end'


def test_borders_are_replicated():
    """Equal weights on a constant map give a constant map: zeros around it would show at the border."""
    for slope in (0.2, None):
        block = decoder_block(4, 2, slope).eval()
        nn.init.constant_(block[2].weight, 0.1)
        out = block(torch.full((1, 4, 5, 7), 3.0))
        assert out.shape == (1, 2, 10, 14)
        torch.testing.assert_close(out, out[..., :1, :1].expand_as(out))


class TestLatent:
    def test_kl_is_that_of_torch_and_never_negative(self):
        generator = torch.Generator().manual_seed(0)
        mean, logvar = 2 * torch.randn(2, 50, 8, generator=generator, dtype=torch.float64)
        assert gaussian_kl(torch.zeros(3, 8), torch.zeros(3, 8)).tolist() == [0, 0, 0]
        torch.testing.assert_close(gaussian_kl(mean, torch.zeros_like(mean)), mean.square().sum(1) / 2)
        assert (gaussian_kl(mean, logvar) >= 0).all()
        wanted = kl_divergence(Normal(mean, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(1)
        torch.testing.assert_close(gaussian_kl(mean, logvar), wanted.double(), rtol=1e-6, atol=1e-6)

    def test_samples_without_spread_are_the_mean(self):
        mean = torch.randn(4, 5)
        torch.testing.assert_close(ImageVAE.reparameterize(mean, torch.full((4, 5), -200.0)), mean)

    def test_samples_have_the_mean_and_spread(self):
        torch.manual_seed(0)
        mean, logvar = torch.tensor([[1.0, -2.0]]).expand(100_000, 2), torch.tensor([[0.0, -2.0]]).expand(100_000, 2)
        drawn = ImageVAE.reparameterize(mean, logvar)
        torch.testing.assert_close(drawn.mean(0), mean[0], atol=0.02, rtol=0)
        torch.testing.assert_close(drawn.std(0), (logvar[0] / 2).exp(), atol=0.02, rtol=0)

    def test_gradients_reach_mean_and_spread(self):
        mean, logvar = torch.randn(4, 5, requires_grad=True), torch.randn(4, 5, requires_grad=True)
        ImageVAE.reparameterize(mean, logvar).square().sum().backward()
        assert (mean.grad != 0).all() and (logvar.grad != 0).all()


class TestLosses:
    def test_follow_the_equations(self, monkeypatch):
        vae, x = build(kl_weight=0.5).eval(), pictures()
        mean, logvar = vae.encode(x)
        noise = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
        monkeypatch.setattr(torch, 'randn_like', lambda like: noise)
        losses = vae.loss(x)
        drawn = vae.decode(mean + (logvar / 2).exp() * noise)
        rec = sum(float((drawn[i] - x[i]).square().sum()) for i in range(6)) / 6
        kl = sum(0.5 * float((mean[i] ** 2 + logvar[i].exp() - 1 - logvar[i]).sum()) for i in range(6)) / 6
        # the paper's sum over a picture's 768 values, divided by their number
        assert float(losses['loss_rec'] + losses['loss_kl']) == pytest.approx((rec + 0.5 * kl) / 768, rel=1e-5)
        assert float(losses['loss_rec']) == pytest.approx(rec / 768, rel=1e-5)
        assert float(losses['kl']) == pytest.approx(kl, rel=1e-5) and not losses['kl'].requires_grad

    def test_every_weight_learns(self):
        vae = build()
        losses = vae.loss(pictures())
        (losses['loss_rec'] + losses['loss_kl']).backward()
        # a bias before batch normalisation has no gradient but for rounding
        assert all(p.grad is not None and p.grad.isfinite().all() for p in vae.parameters())
        assert all((p.grad != 0).any() for p in vae.parameters() if p.ndim > 1)

    def test_learns_the_colour_of_pictures(self):
        vae, shade = build(), torch.rand(16, 3, 1, 1, generator=torch.Generator().manual_seed(0))
        x, losses = shade.expand(16, 3, 16, 16), []
        optimizer = torch.optim.Adam(vae.parameters(), 1e-2)
        for _ in range(25):
            optimizer.zero_grad()
            parts = vae.loss(x)
            (parts['loss_rec'] + parts['loss_kl']).backward()
            optimizer.step()
            losses.append(float(parts['loss_rec'].detach()))
        assert losses[-1] < 0.5 * x.var() < losses[0]

    def test_half_precision_ends_in_float32(self):
        vae = build()
        with torch.autocast('cpu', torch.bfloat16):
            losses = vae.loss(pictures())
            assert all(x.dtype == torch.float32 for x in vae.encode(pictures()))
        assert all(x.dtype == torch.float32 and x.isfinite() for x in losses.values())
        torch.manual_seed(0)
        exact = build().loss(pictures())
        assert float(losses['kl']) == pytest.approx(float(exact['kl']), rel=0.1)


class TestSizes:
    @pytest.mark.parametrize('size', [8, 32, 64])
    def test_smaller_pictures_leave_out_the_widest_layers(self, size):
        vae = build(input_size=size).eval()
        drawn, mean, logvar = vae(pictures(2, (size, size)))
        assert drawn.shape == (2, 3, size, size) and mean.shape == logvar.shape == (2, 5)
        assert [block[0].out_channels for block in vae.encoder[:-1]] == [8 << i for i in range(len(vae.encoder) - 1)]
        assert vae.encoder[-2][0].out_channels == size

    @pytest.mark.parametrize('size', [(16, 16), (32, 32), (48, 20), (8, 8)])
    def test_others_are_resized(self, size):
        vae, x = build().eval(), pictures(2, size)
        assert vae.resize(x).shape == (2, 3, 16, 16) and vae.encode(x)[0].shape == (2, 5)
        assert torch.equal(vae.encode(x)[0], vae.encode(vae.resize(x))[0])
        assert (vae.resize(x) is x) == (size == (16, 16))
        flat = torch.full((1, 3, *size), 0.25)
        torch.testing.assert_close(vae.resize(flat), torch.full((1, 3, 16, 16), 0.25))

    def test_large_pictures_are_averaged(self):
        x = pictures(1, (256, 256))
        assert build().resize(x).std() < 0.5 * x.std(), 'else noise would be picked out of single pixels'

    @pytest.mark.parametrize('size', [0, 4, 12, 100, 255])
    def test_sizes_that_halving_does_not_bring_to_four_are_refused(self, size):
        with pytest.raises(ValueError, match=f'4 times a power of 2, from 8 on, got {size}'):
            ImageVAE(size)


class TestTraining:
    def build(self):
        torch.manual_seed(0)
        return MODELS.build(dict(type='ImageVAETraining', vae=SMALL, data_preprocessor=BASE))

    def train(self, data):
        model = self.build().train()
        torch.manual_seed(1)
        logged = model.train_step(data, OptimWrapper(torch.optim.Adam(model.parameters(), 1e-3)))
        return model, logged

    def test_grey_levels_are_the_pictures(self):
        model, data = self.build(), batch()
        normalised = model.data_preprocessor(batch(), True)['inputs']
        wanted = torch.stack(data['inputs']).flip(1).float() / 255
        got = torch.cat([model.data_preprocessor.unit(x) for x in normalised.values()])
        torch.testing.assert_close(got, wanted, atol=1e-6, rtol=0)

    def test_learns_from_the_pictures_of_both_domains(self):
        model, logged = self.train(batch())
        assert {'loss_rec', 'loss_kl', 'kl'} <= logged.keys()
        for place in (0, 5):
            data = batch()
            data['inputs'][place] = 255 - data['inputs'][place]
            other, _ = self.train(data)
            assert not torch.equal(model.vae.mean.weight, other.vae.mean.weight)

    def test_labels_are_not_read(self):
        model, _ = self.train(batch())
        data = batch()
        for sample in data['data_samples'][:4]:
            sample.gt_instance_labels.volume_pose.fill_(float('nan'))
        del data['data_samples'][1].gt_instance_labels
        other, _ = self.train(data)
        assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values()))

    def test_one_domain_will_do(self):
        for counts in ((4, 0), (4, 1)):
            model, _ = self.train(batch(*counts))
            assert all(p.isfinite().all() for p in model.parameters())

    def test_predicts_nothing(self):
        with pytest.raises(ValueError, match="only trains; got mode='predict'. Leave val_cfg and test_cfg out"):
            self.build()({}, mode='predict')
