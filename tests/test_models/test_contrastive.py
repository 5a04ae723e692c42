"""The contrastive loss against its formula, and what it does and does not depend on."""

import math

import pytest
import torch

from mmposeda.models.losses import info_nce


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


@pytest.mark.parametrize('temperature', [0.07, 1.0])
def test_is_the_formula(temperature):
    q, k = unit(draw(6, 5)), unit(draw(6, 5, seed=1))
    total = 0.0
    for i in range(6):
        alike = math.exp(float(q[i] @ k[i]) / temperature)
        others = sum(math.exp(float(q[i] @ q[j]) / temperature) for j in range(6) if j != i)
        total -= math.log(alike / (alike + others))
    assert float(info_nce(q, k, temperature)) == pytest.approx(total / 6)


@pytest.mark.parametrize('number', [2, 5, 8])
def test_identical_features_give_the_log_of_their_number(number):
    x = draw(1, 7).expand(number, -1)
    assert float(info_nce(x, x)) == pytest.approx(math.log(1 + (number - 1)))


def test_tends_to_zero_where_the_positive_is_the_most_alike():
    q = unit(draw(8, 16))
    k = unit(q + 0.01 * draw(8, 16, seed=1))
    losses = [float(info_nce(q, k, temperature)) for temperature in (1.0, 0.1, 0.01, 0.001)]
    assert losses == sorted(losses, reverse=True) and losses[-1] < 1e-9


def test_grows_where_a_negative_is_more_alike():
    q = unit(draw(4, 16))
    q[1] = q[0]
    k = unit(draw(4, 16, seed=1))
    assert float(info_nce(q, k, 0.001)) > 100


def test_size_of_features_does_not_matter():
    q, k = draw(6, 5), draw(6, 5, seed=1)
    scaled = q * torch.rand(6, 1).double().add(0.1), 1000 * k
    assert float(info_nce(*scaled)) == pytest.approx(float(info_nce(q, k)))


def test_order_of_items_does_not_matter():
    q, k = draw(6, 5), draw(6, 5, seed=1)
    assert float(info_nce(q.flip(0), k.flip(0))) == pytest.approx(float(info_nce(q, k)))


def test_gradient_is_the_numerical_one_for_both():
    q, k = draw(4, 3).requires_grad_(), draw(4, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda q, k: info_nce(q, k, 0.5), (q, k))


def test_a_step_draws_views_together():
    q, k = draw(4, 3).requires_grad_(), draw(4, 3, seed=1).requires_grad_()
    info_nce(q, k).backward()
    with torch.no_grad():
        moved = info_nce(q - 0.01 * q.grad, k - 0.01 * k.grad)
    assert moved < info_nce(q, k)


def test_half_precision_is_computed_in_float32():
    q, k = (draw(8, 16, seed=seed).float() for seed in (0, 1))
    with torch.autocast('cpu', torch.bfloat16):
        half = info_nce(q, k)
    assert half.dtype == torch.float32 and torch.equal(half, info_nce(q, k))
    assert info_nce(q.bfloat16(), k.bfloat16()).dtype == torch.float32


def test_zero_features_have_finite_gradients():
    q = torch.zeros(3, 4, requires_grad=True)
    loss = info_nce(q, torch.zeros(3, 4))
    loss.backward()
    assert float(loss) == pytest.approx(math.log(3)) and q.grad.isfinite().all()


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match='needs 2 items at least.*got 1. Take larger batches'):
        info_nce(draw(1, 4), draw(1, 4))
    with pytest.raises(ValueError, match=r'one shape \(N, D\), got \(3, 4\) and \(3, 5\)'):
        info_nce(draw(3, 4), draw(3, 5))
    with pytest.raises(ValueError, match=r'one shape \(N, D\), got \(2, 3, 4\)'):
        info_nce(draw(2, 3, 4), draw(2, 3, 4))
    with pytest.raises(ValueError, match='temperature must be above 0, got 0'):
        info_nce(draw(3, 4), draw(3, 4), 0)
