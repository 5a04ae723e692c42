"""What the generator does with field and inpainting map, at every extreme of theirs."""

import pytest
import torch

from mmposeda.models.networks import ImageGenerator
from mmposeda.registry import MODELS


def tiny(**kwargs):
    torch.manual_seed(0)
    return ImageGenerator(**{'width': 4, 'num_residual': 1, **kwargs})


def inputs(size=(48, 32), stride=4, batch=2):
    generator = torch.Generator().manual_seed(0)
    base = torch.rand(batch, 3, size[1], size[0], generator=generator)
    shape = (batch, size[1] // stride, size[0] // stride)
    field = torch.rand(*shape, 2, generator=generator) * 0.4 - 0.2
    return base, field, torch.rand(batch, 1, *shape[1:], generator=generator)


@pytest.mark.parametrize('composite', [False, True])
@pytest.mark.parametrize('stride', [2, 4, 8])
def test_gives_a_picture_of_the_same_size_whatever_the_fields(composite, stride):
    base, field, inpainting = inputs(stride=stride)
    out = tiny(composite=composite)(base, field, inpainting)
    assert out.shape == base.shape and out.min() >= 0 and out.max() <= 1


def test_a_trusted_field_of_zeros_leaves_a_composite_as_it_is():
    base, field, inpainting = inputs()
    out = tiny(composite=True)(base, torch.zeros_like(field), torch.ones_like(inpainting))
    torch.testing.assert_close(out, base, atol=2e-5, rtol=0)


def test_a_trusted_shift_moves_a_composite_by_whole_pixels():
    base, field, inpainting = inputs()
    field = torch.tensor([-2 * 6 / 47, 2 * 2 / 31]).expand_as(field)
    out = tiny(composite=True)(base, field, torch.ones_like(inpainting))
    torch.testing.assert_close(out[..., :30, 6:], base[..., 2:, :42], atol=1e-4, rtol=0)


@pytest.mark.parametrize('composite', [False, True])
def test_where_nothing_is_trusted_the_field_does_not_matter(composite):
    net = tiny(composite=composite)
    base, field, inpainting = inputs()
    out = net(base, field, torch.zeros_like(inpainting))
    other = net(base, torch.rand_like(field) * 5, torch.zeros_like(inpainting))
    assert torch.equal(out, other) and out.isfinite().all()
    assert not torch.equal(net(base, field, inpainting), net(base, field + 0.1, inpainting))


@pytest.mark.parametrize('composite', [False, True])
def test_gradients_reach_field_and_map(composite):
    base, field, inpainting = inputs()
    field.requires_grad_()
    inpainting.requires_grad_()
    tiny(composite=composite)(base, field, inpainting).square().sum().backward()
    assert field.grad.abs().max() > 0 and inpainting.grad.abs().max() > 0


def test_samples_do_not_see_each_other_in_evaluation():
    net, order = tiny().eval(), torch.tensor([2, 0, 1])
    given = inputs(batch=3)
    torch.testing.assert_close(net(*(x[order] for x in given)), net(*given)[order])


def test_published_layers():
    with torch.device('meta'):
        net = ImageGenerator()
    convs = [(m.in_channels, m.out_channels, m.kernel_size[0]) for m in net.modules() if hasattr(m, 'kernel_size')
             and hasattr(m, 'in_channels')]  # fmt: skip
    around = [(3, 64, 7), (64, 128, 3), (128, 256, 3)], [(256, 128, 3), (128, 64, 3), (64, 3, 7)]
    assert convs == [*around[0], *[(256, 256, 3)] * 12, *around[1]]
    assert sum(p.numel() for p in net.parameters()) == 7_844_483


def test_wrong_inputs_are_named():
    net = tiny()
    base, field, inpainting = inputs()
    with pytest.raises(ValueError, match='46x32 pixels.*multiples of 4'):
        net(base[..., :46], field, inpainting)
    with pytest.raises(ValueError, match=r'\(2, 8, 12, 2\) and \(2, 1, 8, 11\)'):
        net(base, field, inpainting[..., :11])
    with pytest.raises(ValueError, match='wants an inpainting map'):
        net(base, field.permute(0, 3, 1, 2), inpainting)


def test_is_in_the_registry_and_refuses_bad_sizes():
    assert MODELS.build(dict(type='ImageGenerator', width=2)).composite is False
    with pytest.raises(ValueError, match='width must be 1 or more'):
        ImageGenerator(width=0)
