"""Generator and discriminator of features: the paper's sizes, their modes, and their losses by hand."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from mmposeda.models.losses.feature_gan import discriminator_loss, generator_loss
from mmposeda.models.networks import FeatureDiscriminator, FeatureGenerator
from mmposeda.registry import MODELS


def weights(module):
    return sum(p.numel() for p in module.parameters())


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class TestGenerator:
    @pytest.mark.parametrize('joints, count', [(17, 1_632_000), (14, 1_622_784), (21, 1_644_288)])
    def test_has_the_papers_parameters(self, joints, count):
        assert weights(FeatureGenerator(3 * joints)) == count

    def test_layers_are_those_of_the_table(self):
        layers = FeatureGenerator(51, dim=512).layers
        kinds = [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Dropout]
        assert [type(layer) for layer in layers] == [*kinds, *kinds, nn.Linear, nn.BatchNorm1d, nn.Tanh]
        assert [layer.out_features for layer in layers[::4]] == [1024, 1024, 512]
        assert layers[0].in_features == 256 + 51 and layers[3].p == layers[7].p == 0.5

    def test_features_are_in_range(self):
        generator = FeatureGenerator(6, 8, 10, hidden=(16, 16))
        out = generator(100 * draw(32, 8), draw(32, 6))
        assert out.shape == (32, 10) and out.abs().max() <= 1

    def test_training_draws_and_evaluation_repeats(self):
        torch.manual_seed(0)
        generator, given = FeatureGenerator(6, 8, 10), (draw(16, 8), draw(16, 6, seed=1))
        assert not torch.equal(generator(*given), generator(*given))
        generator.eval()
        assert torch.equal(generator(*given), generator(*given))
        # in a batch or alone
        torch.testing.assert_close(generator(*(x[:1] for x in given)), generator(*given)[:1])

    def test_both_inputs_matter(self):
        generator, u, y = FeatureGenerator(6, 8, 10).eval(), draw(4, 8), draw(4, 6)
        out = generator(u, y)
        assert not torch.equal(out, generator(u.flip(0), y)) and not torch.equal(out, generator(u, y.flip(0)))
        torch.testing.assert_close(generator(u.flip(0), y.flip(0)), out.flip(0))

    def test_registered_with_other_widths(self):
        generator = MODELS.build(
            dict(type='FeatureGenerator', pose_dim=6, latent=3, dim=4, hidden=(7, 5, 9), dropout=0)
        )
        assert generator(draw(4, 3), draw(4, 6)).shape == (4, 4)


class TestDiscriminator:
    def test_has_the_papers_parameters(self):
        assert weights(FeatureDiscriminator()) == 264_193
        assert [type(layer) for layer in FeatureDiscriminator().layers] == [nn.Linear, nn.ReLU, nn.Linear]

    def test_gives_a_logit_a_sample(self):
        discriminator = MODELS.build(dict(type='FeatureDiscriminator', dim=10, hidden=16))
        assert discriminator(draw(5, 10)).shape == (5,)
        assert torch.equal(discriminator(draw(5, 10)), discriminator(draw(5, 10), draw(5, 6))), 'the pose is not seen'

    def test_sees_the_pose_where_it_is_to(self):
        discriminator = FeatureDiscriminator(10, 16, pose_dim=6)
        features, pose = draw(5, 10), draw(5, 6)
        assert discriminator(features, pose).shape == (5,)
        assert not torch.equal(discriminator(features, pose), discriminator(features, pose.flip(0)))
        assert weights(discriminator) == 16 * (16 + 1) + 17


class TestLosses:
    def test_who_cannot_tell_pays_the_logarithm_of_two(self):
        none = torch.zeros(6)
        assert discriminator_loss([none], none).item() == pytest.approx(2 * math.log(2))
        assert discriminator_loss([none, torch.zeros(3)], none).item() == pytest.approx(2 * math.log(2))
        assert generator_loss(none).item() == pytest.approx(math.log(2))

    def test_are_cross_entropies(self):
        source, target, fake = 3 * draw(5), 3 * draw(7, seed=1), 3 * draw(6, seed=2)
        real = (bce(source, torch.ones(5)) + bce(target, torch.ones(7))) / 2
        torch.testing.assert_close(discriminator_loss([source, target], fake), real + bce(fake, torch.zeros(6)))
        alone = bce(target, torch.ones(7)) + bce(fake, torch.zeros(6))
        torch.testing.assert_close(discriminator_loss([target], fake), alone)
        torch.testing.assert_close(generator_loss(fake), bce(fake, torch.ones(6)))

    def test_follow_the_sigmoid(self):
        fake = draw(6).double()
        torch.testing.assert_close(generator_loss(fake), -fake.sigmoid().log().mean().float())
        wanted = -fake.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean()
        torch.testing.assert_close(discriminator_loss([fake], fake), wanted.float())

    def test_large_logits_and_half_precision_stay_finite(self):
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            logits = torch.tensor([-6e4, 6e4, 0], dtype=dtype, requires_grad=True)
            loss = discriminator_loss([logits], logits) + generator_loss(logits)
            loss.backward()
            assert loss.dtype == torch.float32 and loss.isfinite() and logits.grad.isfinite().all()

    def test_the_generators_does_not_saturate(self):
        """Where the discriminator is sure that a feature is generated, the gradient is largest."""
        logits = torch.tensor([-20.0, 0.0, 20.0], requires_grad=True)
        (3 * generator_loss(logits)).backward()
        torch.testing.assert_close(logits.grad, torch.tensor([-1.0, -0.5, 0.0]), atol=1e-6, rtol=0)
