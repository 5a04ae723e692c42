"""The divergence of heatmaps against PyTorch's, an explicit sum and closed forms."""

import copy
import math

import pytest
import torch
from torch.nn import functional

from mmposeda.models.heatmap_estimator import predict_heatmaps
from mmposeda.models.losses import HeatmapKLLoss, heatmap_kl
from mmposeda.registry import MODELS
from mmposeda.structures.heatmap import gaussian_heatmaps


@pytest.fixture
def maps():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, 5, 7, generator=generator, dtype=torch.float64)
    cells = torch.rand(3, 4, 2, generator=generator, dtype=torch.float64) * 4
    return logits, gaussian_heatmaps(cells, (7, 5), 1.0)


@pytest.mark.parametrize('eps', [0.0, 1e-3])
def test_equals_torch_and_an_explicit_sum(maps, eps):
    logits, heatmaps = maps
    ours = heatmap_kl(logits, heatmaps, eps=eps)
    for b in range(3):
        for k in range(4):
            p, q = logits[b, k].flatten().softmax(0), (heatmaps[b, k] + eps).flatten()
            q = q / q.sum()
            by_hand = sum(float(y * (y / x).log()) for x, y in zip(p, q) if y > 0)
            assert ours[b, k].item() == pytest.approx(by_hand, rel=1e-9)
            assert ours[b, k].item() == pytest.approx(functional.kl_div(p.log(), q, reduction='sum').item(), rel=1e-9)


def test_gradient_is_the_numerical_one(maps):
    logits, heatmaps = (m[:1, :2] for m in maps)
    weights = torch.tensor([[1.0, 0.5]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: heatmap_kl(x, heatmaps, weights), logits.clone().requires_grad_())


def test_one_cell_against_uniform_logits_is_the_logarithm_of_the_cells():
    heatmaps = torch.zeros(1, 1, 64, 64)
    heatmaps[0, 0, 3, 9] = 1
    assert heatmap_kl(torch.full_like(heatmaps, 5.0), heatmaps).item() == pytest.approx(math.log(4096), abs=1e-5)


def test_equal_distributions_do_not_differ_and_constants_do_not_count(maps):
    logits, heatmaps = maps
    own = heatmap_kl(logits, logits.flatten(2).softmax(-1).view_as(logits) * 3)
    torch.testing.assert_close(own, torch.zeros_like(own), atol=1e-12, rtol=0)
    torch.testing.assert_close(heatmap_kl(logits + 7, heatmaps), heatmap_kl(logits, heatmaps))


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('eps', [0.0, 1e-7])
def test_masked_joints_give_exactly_zero_though_their_target_is_empty(maps, dtype, eps):
    logits, heatmaps = (m.to(dtype) for m in maps)
    logits.requires_grad_()
    weights = torch.ones(3, 4)
    weights[0, 1] = weights[2, 3] = 0
    heatmaps[0, 1] = 0
    out = heatmap_kl(logits, heatmaps, weights, eps)
    out.mean().backward()
    assert (out[weights == 0] == 0).all() and (out[weights > 0] > 0).all()
    assert (logits.grad[weights == 0] == 0).all()
    assert logits.grad.isfinite().all() and (logits.grad[weights > 0] != 0).any()
    alone = heatmap_kl(logits, heatmaps, eps=eps)
    assert torch.equal(alone[weights > 0], out[weights > 0])


def test_mean_counts_masked_joints(maps):
    logits, heatmaps = maps
    weights = torch.zeros(3, 4, dtype=torch.float64)
    weights[1, 2] = 0.5
    wanted = 2.0 * 0.5 * heatmap_kl(logits, heatmaps)[1, 2] / 12
    torch.testing.assert_close(HeatmapKLLoss(loss_weight=2.0)(logits, heatmaps, weights), wanted)


def test_trains_a_head_of_mmpose(estimator, make_batch):
    estimator['head']['loss'] = dict(type='HeatmapKLLoss')
    torch.manual_seed(0)
    model = MODELS.build(dict(type='SourceOnly', estimator=copy.deepcopy(estimator)))
    batch = make_batch()
    batch['data_samples'][0].gt_instance_labels.keypoint_weights[0, 1] = 0
    batch['data_samples'][0].gt_fields.heatmaps[1] = 0
    data = model.data_preprocessor(batch, True)
    losses = model(**data, mode='loss')
    logits = predict_heatmaps(model.student, data['inputs']['source'])
    heatmaps = torch.stack([s.gt_fields.heatmaps for s in data['data_samples']['source']])
    weights = torch.cat([s.gt_instance_labels.keypoint_weights for s in data['data_samples']['source']])
    torch.testing.assert_close(losses['sup_loss_kpt'], heatmap_kl(logits, heatmaps, weights).mean())
    losses['sup_loss_kpt'].backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_bad_settings_and_shapes_are_refused(maps):
    logits, heatmaps = maps
    with pytest.raises(ValueError, match='eps'):
        HeatmapKLLoss(eps=-1e-7)
    with pytest.raises(ValueError, match='heatmap_size'):
        heatmap_kl(logits, heatmaps[:, :1])
    with pytest.raises(ValueError, match='one a joint'):
        heatmap_kl(logits, heatmaps, torch.ones(3, 4, 1))
