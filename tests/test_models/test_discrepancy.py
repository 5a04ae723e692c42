"""Discrepancies against loops over pairs, closed forms and their statistics."""

import math

import pytest
import torch

from mmposeda.models.losses import MultiKernelMMD, linear_mmd

ALPHAS = [2.0**p for p in range(-3, 2)]


def draw(*shape, seed=0, shift=0.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def brute_force(source, target, linear=False):
    """Loops over pairs, straight from the equations."""
    both = [*source, *target]
    bandwidth = sum(float((u - v).square().sum()) for u in both for v in both) / len(both) ** 2

    def kernel(u, v):
        return sum(math.exp(-float((u - v).square().sum()) / (2 * a * bandwidth)) for a in ALPHAS)

    n, m = len(source), len(target)
    if linear:
        total = 0.0
        for i in range(n):
            j = (i + 1) % n
            total += kernel(source[i], source[j]) + kernel(target[i], target[j])
            total -= kernel(source[i], target[j]) + kernel(target[i], source[j])
        return total / n
    value = sum(kernel(source[i], source[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    value += sum(kernel(target[i], target[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return value - 2 * sum(kernel(u, v) for u in source for v in target) / (n * m)


@pytest.mark.parametrize('linear', [False, True])
@pytest.mark.parametrize('shift', [0.0, 2.0])
def test_equals_loops_over_pairs(linear, shift):
    source, target = draw(7, 5), draw(7, 5, seed=1, shift=shift)
    ours = MultiKernelMMD(linear=linear)
    assert ours(source, target).item() == pytest.approx(brute_force(source, target, linear), rel=1e-9)
    far = ours(source.float() + 100, target.float() + 100)  # large features keep their digits
    assert far.item() == pytest.approx(ours(source, target).item(), abs=1e-3)


def test_numbers_may_differ_in_the_quadratic_form():
    source, target = draw(6, 3), draw(4, 3, seed=1, shift=1.0)
    assert MultiKernelMMD()(source, target).item() == pytest.approx(brute_force(source, target), rel=1e-9)


def test_two_pairs_by_hand():
    """Points 0, 2 and 1, 3: of the 16 squared distances 4 are 0, 6 are 1, 4 are 4 and 2 are 9."""
    source, target = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [3.0]])
    assert linear_mmd(source, target) == 1
    bandwidth = (6 * 1 + 4 * 4 + 2 * 9) / 16
    k1, k4, k9 = (math.exp(-d / (2 * bandwidth)) for d in (1, 4, 9))
    quadratic = 2 * k4 - 2 * (3 * k1 + k9) / 4
    assert MultiKernelMMD(alphas=[1.0])(source, target).item() == pytest.approx(quadratic, rel=1e-6)
    # i = 0, 1: k(s0, t1) and k(t0, s1), then k(s1, t0) and k(t1, s0)
    linear = 2 * k4 - (k9 + k1)
    assert MultiKernelMMD(alphas=[1.0], linear=True)(source, target).item() == pytest.approx(linear, rel=1e-6)


@pytest.mark.parametrize('linear', [False, True])
def test_offset_is_a_constant(linear):
    source, target = draw(9, 4), draw(9, 4, seed=1)
    with_offset, without = MultiKernelMMD(linear=linear, offset=True), MultiKernelMMD(linear=linear)
    assert (with_offset(source, target) - without(source, target)).item() == pytest.approx(2 / 8)
    equal = MultiKernelMMD(linear=True, offset=True)(source, source)
    assert equal.item() == pytest.approx(2 / 8), 'the linear form of one sample and itself is the bare offset'


@pytest.mark.parametrize('linear', [False, True])
def test_expectation_is_zero_for_one_distribution_and_grows_with_the_shift(linear):
    mmd = MultiKernelMMD(linear=linear)
    values = {}
    for shift in (0.0, 0.5, 1.0):
        draws = [mmd(draw(12, 4, seed=2 * s), draw(12, 4, seed=2 * s + 1, shift=shift)) for s in range(200)]
        values[shift] = torch.stack(draws)
    none = values[0.0]
    assert none.mean().abs() < 3 * none.std() / math.sqrt(len(none))
    assert values[1.0].mean() > values[0.5].mean() > none.mean()
    assert values[0.5].mean() > 3 * values[0.5].std() / math.sqrt(len(none))


def test_quadratic_form_varies_less_than_the_linear_one():
    pairs = [(draw(12, 4, seed=2 * s), draw(12, 4, seed=2 * s + 1)) for s in range(100)]
    spread = [torch.stack([MultiKernelMMD(linear=form)(*pair) for pair in pairs]).std() for form in (False, True)]
    assert spread[0] < spread[1]


@pytest.mark.parametrize('form', [linear_mmd, MultiKernelMMD(), MultiKernelMMD(linear=True)], ids=['ddc', 'dan', 'lin'])
def test_symmetric_and_blind_to_a_common_shift(form):
    source, target = draw(8, 3), draw(8, 3, seed=1, shift=1.0)
    torch.testing.assert_close(form(source, target), form(target, source))
    torch.testing.assert_close(form(source + 5, target + 5), form(source, target))


def test_linear_mmd_is_the_squared_shift_of_the_mean():
    source, shift = draw(8, 3), torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    torch.testing.assert_close(linear_mmd(source, source + shift), shift.square().sum())
    assert linear_mmd(source, source.flip(0)).item() == pytest.approx(0, abs=1e-30)


def test_gradient_holds_the_bandwidth_fixed():
    """With the bandwidth of the point fixed, the numerical gradient is ours."""
    source, target = draw(4, 2).requires_grad_(), draw(5, 2, seed=1, shift=1.0)
    both = torch.cat([source.detach(), target])
    bandwidth = torch.cdist(both, both).square().mean()

    def fixed(x):
        z = torch.cat([x, target])
        kernel = sum(torch.exp(-(z[:, None] - z).square().sum(-1) / (2 * a * bandwidth)) for a in ALPHAS)
        ss, tt = kernel[:4, :4], kernel[4:, 4:]
        own = (ss.sum() - ss.trace()) / 12 + (tt.sum() - tt.trace()) / 20
        return own - 2 * kernel[:4, 4:].mean()

    ours = torch.autograd.grad(MultiKernelMMD()(source, target), source)[0]
    torch.testing.assert_close(ours, torch.autograd.grad(fixed(source), source)[0])


def test_equal_features_give_zero_and_finite_gradients():
    source = torch.ones(4, 3, requires_grad=True)
    value = MultiKernelMMD()(source, torch.ones(4, 3))
    value.backward()
    assert value == 0 and source.grad.isfinite().all()


def test_bad_settings_and_batches_are_refused():
    for alphas in ((), (1.0, 0.0)):
        with pytest.raises(ValueError, match='alphas'):
            MultiKernelMMD(alphas)
    with pytest.raises(ValueError, match='quotas'):
        MultiKernelMMD()(draw(1, 2), draw(4, 2))
    for options in (dict(linear=True), dict(offset=True)):
        with pytest.raises(ValueError, match='3 source and 4 target'):
            MultiKernelMMD(**options)(draw(3, 2), draw(4, 2))
