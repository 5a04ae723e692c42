"""The motion auto-encoder: the paper's sizes, ranges and states, and gradients through a frozen one."""

import copy

import pytest
import torch
from torch import nn

from mmposeda.models.networks import MotionAutoEncoder
from mmposeda.registry import MODELS


def make(**kwargs):
    torch.manual_seed(0)
    return MotionAutoEncoder(**kwargs)


def small(**kwargs):
    return make(**{**dict(latent=5, dim=6, hidden=7), **kwargs})


def draw(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def count(module):
    return sum(p.numel() for p in module.parameters())


class TestSizes:
    def test_are_the_papers(self):
        model = make()
        assert count(model.encoder) == 594_048 and count(model.decoder) == 667_680
        v, z = model(draw(3, 30, 32))
        assert v.shape == (3, 128) and z.shape == (3, 30, 32)

    def test_every_weight_learns(self):
        model = small()
        v, z = model(draw(4, 9, 5))
        z.square().sum().backward()
        assert all((p.grad != 0).any() for p in model.parameters())

    @pytest.mark.parametrize('decoder_input', ['repeat', 'zeros'])
    def test_any_number_of_frames(self, decoder_input):
        model = small(decoder_input=decoder_input)
        for frames in (1, 4, 50):
            v = model.encode(draw(2, frames, 5))
            assert v.shape == (2, 6) and model.decode(v, frames).shape == (2, frames, 5)
        assert model.encode(draw(0, 4, 5)).shape == (0, 6)

    @pytest.mark.parametrize('scale', [1.0, 10.0])
    def test_ranges(self, scale):
        model = small(scale=scale)
        with torch.no_grad():
            model.encoder.out.weight.mul_(20)
            model.decoder.out.weight.mul_(20)
        v, z = model(scale * draw(20, 8, 5))
        for x in (v, z):
            assert 0.5 * scale < x.abs().max() <= scale


class TestStates:
    def test_the_last_of_both_directions_are_read(self):
        model, z = small(), draw(3, 8, 5)
        out, _ = model.encoder.lstm(z)
        ends = torch.cat([out[:, -1, :7], out[:, 0, 7:]], 1)  # forwards ends at the last frame, backwards at the first
        torch.testing.assert_close(model.encode(z), model.encoder.out(ends).tanh())

    def test_all_begin_as_the_motion_latent(self):
        model, v = small(decoder_input='zeros'), draw(3, 6)
        state = torch.stack([v] * 4)
        out, _ = model.decoder.lstm(torch.zeros(3, 8, 1), (state, state))
        torch.testing.assert_close(model.decode(v, 8), model.decoder.out(out).tanh())

    def test_repeat_reads_it_at_each_frame_too(self):
        model, v = small(), draw(3, 6)
        state = torch.stack([v] * 4)
        out, _ = model.decoder.lstm(torch.stack([v] * 8, 1), (state, state))
        torch.testing.assert_close(model.decode(v, 8), model.decoder.out(out).tanh())

    def test_order_of_frames_matters_and_that_of_sequences_does_not(self):
        model, z = small(), draw(3, 8, 5)
        v = model.encode(z)
        assert not torch.allclose(v, model.encode(z.flip(1)), atol=1e-3)
        torch.testing.assert_close(v.flip(0), model.encode(z.flip(0)))


class TestFrozen:
    @pytest.mark.parametrize('decoder_input', ['repeat', 'zeros'])
    def test_a_gradient_passes_in_evaluation_mode(self, decoder_input):
        model = small(decoder_input=decoder_input).requires_grad_(False).eval()
        z = draw(3, 8, 5).requires_grad_()
        model(z)[1].square().sum().backward()
        assert (z.grad != 0).any(-1).all() and all(p.grad is None for p in model.parameters())

    def test_lstms_stay_in_training_mode(self):
        """Whoever asks: the model, a wrapper around it, or a hook that goes through its modules."""
        for freeze in (
            lambda model: model.eval(),
            lambda model: nn.Sequential(model).eval(),
            lambda model: [module.eval() for module in model.modules()],
        ):
            model = small()
            freeze(model)
            assert not model.training and model.encoder.lstm.training and model.decoder.lstm.training

    def test_modes_give_the_same_values(self):
        model, z = small(), draw(3, 8, 5)
        assert all(torch.equal(a, b) for a, b in zip(model.train()(z), model.eval()(z)))

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
    def test_a_gradient_passes_cudnn(self):
        model = small().cuda().requires_grad_(False).eval()
        z = draw(3, 8, 5).cuda().requires_grad_()
        model(z)[1].square().sum().backward()
        assert (z.grad != 0).any(-1).all()


def test_a_few_motions_are_learnt():
    model = small(dim=32, hidden=16)
    z = 0.8 * torch.sin(torch.linspace(0, 4, 10)[None, :, None] + 3 * draw(4, 1, 5))
    optimizer, errors = torch.optim.Adam(model.parameters(), 1e-2), []
    for _ in range(80):
        optimizer.zero_grad()
        error = (model(z)[1] - z).square().mean()
        error.backward()
        optimizer.step()
        errors.append(float(error))
    assert errors[-1] < 0.2 * errors[0]


def test_half_precision_changes_nothing():
    model, z = small(), draw(3, 8, 5)
    with torch.autocast('cpu', torch.bfloat16):
        half = model(z)
    assert all(torch.equal(a, b) for a, b in zip(half, model(z)))
    assert model.encode(z.bfloat16()).dtype == torch.float32


def test_registered_and_copied():
    model = MODELS.build(dict(type='MotionAutoEncoder', latent=5, dim=6, hidden=7, decoder_input='zeros', scale=10.0))
    z = draw(2, 8, 5)
    twin = copy.deepcopy(model)
    twin.load_state_dict(model.state_dict())
    assert torch.equal(model(z)[1], twin(z)[1])


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(decoder_input='last'), r"decoder_input must be one of \('repeat', 'zeros'\), got 'last'"),
        (dict(hidden=0), 'must be 1 at least, got 32, 128, 0'),
        (dict(scale=-1.0), 'scale must be above 0'),
    ],
)
def test_what_cannot_be_built_is_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        MotionAutoEncoder(**kwargs)


def test_sequences_and_latents_that_do_not_fit_are_refused():
    model = small()
    for shape in ((3, 8, 4), (8, 5), (3, 0, 5)):
        with pytest.raises(ValueError, match=r'sequences of pose latents \(.*5\), got'):
            model.encode(torch.zeros(shape))
    with pytest.raises(ValueError, match=r'motion latents \(\.\.\., 6\), got \(3, 5\)'):
        model.decode(torch.zeros(3, 5), 4)
    with pytest.raises(ValueError, match=r'1 frame at least, got \(3, 6\), 0'):
        model.decode(torch.zeros(3, 6), 0)
