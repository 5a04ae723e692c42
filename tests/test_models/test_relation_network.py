"""Relation networks and projection heads: sizes, ranges, and that they learn."""

import pytest
import torch
from torch import nn

from mmposeda.models.networks import ProjectionHead, RelationNetwork
from mmposeda.models.networks.mlp import bounded, he_init, mlp
from mmposeda.models.networks.stacked import StackedLinear
from mmposeda.registry import MODELS


def count(module):
    return sum(p.numel() for p in module.parameters())


def draw(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


class TestRelationNetwork:
    @pytest.mark.parametrize('dim, weights', [(32, 698_144), (128, 821_120)])
    def test_sizes_are_the_papers(self, dim, weights):
        network = RelationNetwork(dim)
        assert count(network) == weights and network(draw(2, 30, dim)).shape == (2, 30, dim)
        assert [type(layer) for layer in network.layers] == 3 * [nn.Linear, nn.ReLU] + [nn.Linear]

    @pytest.mark.parametrize('scale', [1.0, 10.0])
    def test_latents_are_strictly_in_range(self, scale):
        z = RelationNetwork(8, scale)(scale * draw(200, 8))
        assert 0.3 * scale < z.abs().max() < scale

    def test_learns_a_relation(self):
        network, z = RelationNetwork(6, hidden=(64, 32)), draw(64, 6)
        optimizer, errors = torch.optim.Adam(network.parameters(), 3e-3), []
        for _ in range(100):
            optimizer.zero_grad()
            error = (network(z) + z.flip(-1) / 2).square().mean()
            error.backward()
            optimizer.step()
            errors.append(float(error))
        assert errors[-1] < 0.1 * errors[0]

    def test_half_precision_ends_in_float32(self):
        network, z = RelationNetwork(8), draw(4, 8)
        with torch.autocast('cpu', torch.bfloat16):
            half = network(z)
        assert half.dtype == torch.float32
        torch.testing.assert_close(half, network(z), atol=0.05, rtol=0.1)

    def test_a_gradient_passes_a_frozen_one(self):
        network, z = RelationNetwork(8).requires_grad_(False).eval(), draw(4, 8).requires_grad_()
        network(z).square().sum().backward()
        assert (z.grad != 0).any(1).all() and all(p.grad is None for p in network.parameters())

    def test_latents_of_another_width_are_refused(self):
        with pytest.raises(ValueError, match=r'expected latents \(\.\.\., 8\), got \(4, 7\)'):
            RelationNetwork(8)(draw(4, 7))
        with pytest.raises(ValueError, match='scale must be above 0'):
            RelationNetwork(8, 0.0)
        with pytest.raises(ValueError, match=r'two at least, from 1 on, got \(0, 1024, 512, 256, 0\)'):
            RelationNetwork(0)


class TestProjectionHead:
    def test_gives_unit_vectors(self):
        out = ProjectionHead(20)(draw(50, 20))
        assert out.shape == (50, 128)
        torch.testing.assert_close(out.norm(dim=-1), torch.ones(50))

    def test_no_number_is_held_above_zero(self):
        out = ProjectionHead(20)(draw(200, 20))
        assert 0.3 < float((out < 0).float().mean()) < 0.7

    def test_sizes(self):
        assert count(ProjectionHead(1024)) == 1024 * 512 + 512 + 512 * 256 + 256 + 256 * 128 + 128
        head = MODELS.build(dict(type='ProjectionHead', in_channels=9, hidden=(), dim=4))
        assert count(head) == 40 and head(draw(2, 3, 9)).shape == (2, 3, 4)

    def test_nothing_becomes_a_finite_vector(self):
        head = ProjectionHead(5)
        x = torch.zeros(2, 5, requires_grad=True)
        head(x).sum().backward()
        assert x.grad.isfinite().all()

    def test_half_precision_ends_in_float32(self):
        with torch.autocast('cpu', torch.bfloat16):
            out = ProjectionHead(20)(draw(5, 20))
        assert out.dtype == torch.float32
        torch.testing.assert_close(out.norm(dim=-1), torch.ones(5))

    def test_features_of_another_width_are_refused(self):
        with pytest.raises(ValueError, match=r'expected features \(\.\.\., 20\), got \(4, 7\)'):
            ProjectionHead(20)(draw(4, 7))


class TestLayers:
    def test_activations_keep_their_size_in_depth(self):
        for slope in (0.0, 0.2):
            x = torch.randn(500, 128, generator=torch.Generator().manual_seed(1))
            assert 0.5 < float(mlp([128] * 12, slope)(x).std()) < 2

    def test_stacked_layers_are_drawn_as_plain_ones(self):
        stacked, plain = he_init(StackedLinear(3, 400, 300), 0.2), he_init(nn.Linear(400, 300), 0.2)
        assert float(stacked.weight.std()) == pytest.approx(float(plain.weight.std()), rel=0.02)
        assert (stacked.bias == 0).all()

    def test_bounds_are_the_identity_near_zero(self):
        x = 1e-3 * draw(10)
        for scale in (1.0, 10.0):
            torch.testing.assert_close(bounded(x, scale), x, rtol=1e-5, atol=1e-8)
            assert bounded(torch.tensor([1e4, -1e4]), scale).tolist() == [scale, -scale]
