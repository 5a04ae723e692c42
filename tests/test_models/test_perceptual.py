"""The pyramid loss against a plain network, closed forms and broken weight files."""

import pytest
import torch
from torch import nn

from mmposeda.compat.safe_loading import UnsafeFileError
from mmposeda.models.losses import PyramidPerceptualLoss
from mmposeda.models.losses.perceptual import VGG19Features
from mmposeda.registry import MODELS
from mmposeda.structures.low_pass import gaussian_subsample


def vgg19():
    """The layers of VGG-19 by its paper, with random weights: no other part of the tests knows their indices."""
    layers, inputs = [], 3
    for outputs in (64, 64, 'M', 128, 128, 'M', *[256] * 4, 'M', *[512] * 4, 'M', *[512] * 4, 'M'):
        if outputs == 'M':
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
            inputs = outputs
    return nn.Sequential(*layers)


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return vgg19()


@pytest.fixture(scope='module')
def weight_file(network, tmp_path_factory):
    path = tmp_path_factory.mktemp('vgg') / 'vgg19.pth'
    state = {f'features.{key}': value.half() for key, value in network[:29].state_dict().items()}
    torch.save({**state, 'classifier.0.bias': torch.zeros(4)}, path)
    network[:29].load_state_dict({key: value.half().float() for key, value in network[:29].state_dict().items()})
    return path


@pytest.fixture(scope='module')
def perceptual(weight_file):
    return PyramidPerceptualLoss(str(weight_file), factors=(1, 2))


@pytest.fixture(params=['vgg19', 'pyramid_l1'])
def loss(request):
    if request.param == 'vgg19':
        return request.getfixturevalue('perceptual')
    return PyramidPerceptualLoss(features='pyramid_l1')


def pictures(batch=2, size=(32, 48), seed=0):
    return torch.rand(2, batch, 3, *size, generator=torch.Generator().manual_seed(seed))


def test_features_are_the_first_relu_of_every_stage(network, weight_file):
    x, _ = pictures()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    y, wanted = (x - mean.view(3, 1, 1)) / std.view(3, 1, 1), []
    with torch.no_grad():
        for i, layer in enumerate(network):
            y = layer(y)
            if i == 1 or (isinstance(layer, nn.ReLU) and isinstance(network[i - 2], nn.MaxPool2d)):
                wanted.append(y)
    found = VGG19Features(str(weight_file))(x)
    assert [tuple(f.shape[1:]) for f in found] == [
        (64, 32, 48), (128, 16, 24), (256, 8, 12), (512, 4, 6), (512, 2, 3)
    ]  # fmt: skip
    for a, b in zip(found, wanted):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_equals_the_sum_over_sizes_and_layers(perceptual):
    drawn, real = pictures()
    by_hand = 0.0
    for factor in (1, 2):
        made, wanted = (perceptual.features(gaussian_subsample(x, factor)) for x in (drawn, real))
        by_hand += sum(10 * (m - w).abs().mean() for m, w in zip(made, wanted))
    torch.testing.assert_close(perceptual(drawn, real), by_hand)


def test_fallback_of_flat_pictures_is_their_difference_at_every_size():
    loss = PyramidPerceptualLoss(features='pyramid_l1', factors=(1, 2, 4), loss_weight=1.0)
    drawn, real = torch.full((2, 3, 16, 16), 0.7), torch.full((2, 3, 16, 16), 0.4)
    torch.testing.assert_close(loss(drawn, real), torch.tensor(3 * 0.3))


def test_fallback_counts_edges():
    loss = PyramidPerceptualLoss(features='pyramid_l1', factors=(1,), loss_weight=1.0)
    ramp = torch.arange(8.0).expand(1, 3, 8, 8) / 8
    torch.testing.assert_close(loss(ramp, torch.zeros_like(ramp)), torch.tensor(3.5 / 8 + 1 / 8))
    torch.testing.assert_close(loss(ramp.mT, torch.zeros_like(ramp)), torch.tensor(3.5 / 8 + 1 / 8))


def test_same_pictures_cost_nothing_and_the_order_does_not_matter(loss):
    drawn, real = pictures(3)
    assert loss(drawn, drawn.clone()) == 0
    order = [2, 0, 1]
    torch.testing.assert_close(loss(drawn[order], real[order]), loss(drawn, real))


def test_only_the_drawn_picture_gets_a_gradient(loss):
    drawn, real = (x.requires_grad_() for x in pictures())
    loss(drawn, real).backward()
    assert real.grad is None and drawn.grad.abs().max() > 0


def test_weights_choose_pictures(loss):
    drawn, real = pictures(3)
    chosen = loss(drawn, real, torch.tensor([1.0, 0.0, 1.0]))
    torch.testing.assert_close(chosen, loss(drawn[[0, 2]], real[[0, 2]]))
    torch.testing.assert_close(loss(drawn, real, torch.ones(3)), loss(drawn, real))
    drawn.requires_grad_()
    none = loss(drawn, real, torch.zeros(3))
    none.backward()
    assert none == 0 and drawn.grad.abs().max() == 0


def test_broken_pictures_of_weight_zero_do_not_matter():
    loss = PyramidPerceptualLoss(features='pyramid_l1')
    drawn, real = pictures(2)
    drawn[1] = torch.nan
    assert loss(drawn, real, torch.tensor([1.0, 0.0])).isfinite()


def test_weights_are_frozen_and_not_in_checkpoints(perceptual):
    assert not list(perceptual.parameters()) and not perceptual.state_dict()
    assert perceptual.to(torch.float64).features.weight0.dtype == torch.float64
    perceptual.float()


def test_stays_in_float32_under_mixed_precision(loss):
    drawn, real = pictures()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = loss(drawn, real)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, loss(drawn, real), atol=0, rtol=0.05)


class TestRefusals:
    def test_missing_file_says_where_it_is_had(self):
        with pytest.raises(FileNotFoundError, match='nowhere/vgg.pth.*vgg19-dcbb9e9d.pth.*pyramid_l1'):
            PyramidPerceptualLoss('nowhere/vgg.pth')
        with pytest.raises(ValueError, match='needs a weight file.*pyramid_l1'):
            PyramidPerceptualLoss()

    def test_cut_off_file(self, weight_file, tmp_path):
        cut = tmp_path / 'cut.pth'
        cut.write_bytes(weight_file.read_bytes()[:100_000])
        with pytest.raises(ValueError, match='cut.pth cannot be read'):
            PyramidPerceptualLoss(str(cut))
        cut.write_bytes(b'')
        with pytest.raises(ValueError, match='cut.pth cannot be read'):
            PyramidPerceptualLoss(str(cut))

    def test_other_weights(self, tmp_path):
        path = tmp_path / 'other.pth'
        torch.save({'features.0.weight': torch.zeros(64, 3, 7, 7)}, path)
        with pytest.raises(ValueError, match=r'features.0.weight must .*\(64, 3, 3, 3\), got \(64, 3, 7, 7\)'):
            PyramidPerceptualLoss(str(path))
        torch.save({'layer.weight': torch.zeros(3)}, path)
        with pytest.raises(ValueError, match='features.0.weight must be .*got none'):
            PyramidPerceptualLoss(str(path))
        torch.save([torch.zeros(3)], path)
        with pytest.raises(ValueError, match='holds no state dict'):
            PyramidPerceptualLoss(str(path))

    def test_weights_that_are_not_finite(self, tmp_path):
        path = tmp_path / 'nan.pth'
        torch.save({'features.0.weight': torch.full((64, 3, 3, 3), torch.nan)}, path)
        with pytest.raises(ValueError, match='features.0.weight holds values that are not finite'):
            PyramidPerceptualLoss(str(path))

    def test_a_file_that_holds_code_is_not_run(self, tmp_path):
        path = tmp_path / 'code.pth'
        torch.save(nn.Conv2d(1, 1, 1), path)
        with pytest.raises(UnsafeFileError, match='code.pth is refused'):
            PyramidPerceptualLoss(str(path))

    @pytest.mark.parametrize(
        'change, message',
        [
            (dict(features='vgg16'), "one of .*got 'vgg16'"),
            (dict(features='pyramid_l1', weights='a.pth'), 'has no weights'),
            (dict(features='pyramid_l1', factors=()), 'one or more whole numbers'),
            (dict(features='pyramid_l1', factors=(1, 0.5)), 'one or more whole numbers'),
        ],
    )
    def test_wrong_arguments(self, change, message):
        with pytest.raises(ValueError, match=message):
            PyramidPerceptualLoss(**change)

    def test_wrong_pictures(self, perceptual):
        drawn, real = pictures()
        with pytest.raises(ValueError, match='of one shape'):
            perceptual(drawn, real[:1])
        with pytest.raises(ValueError, match=r'one a picture, \(2,\), got \(3,\)'):
            perceptual(drawn, real, torch.ones(3))
        with pytest.raises(ValueError, match=r'24x24 pixels made 2 times smaller.*set factors=\(1,\) or take'):
            perceptual(*pictures(size=(24, 24)))


def test_is_in_the_registry():
    built = MODELS.build(dict(type='PyramidPerceptualLoss', features='pyramid_l1'))
    assert built.factors == (1, 2, 4, 8)
