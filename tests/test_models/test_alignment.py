"""DDC, DAN and DANN: what their gradients reach, and what they must not look at."""

import copy
import math

import pytest
import torch
import volume_samples
from mmengine.optim import OptimWrapper
from torch.nn import functional

from mmposeda.models.losses import MultiKernelMMD
from mmposeda.registry import MODELS

METHODS = ['DDC', 'DAN', 'DANN']


@pytest.fixture
def estimator(estimator):
    """With a layer between backbone and final layer, which alignment is to reach."""
    estimator['head'].update(conv_out_channels=(6,), conv_kernel_sizes=(3,))
    return estimator


def build(kind, estimator, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(type=kind, estimator=copy.deepcopy(estimator), **kwargs))


def prepared(model, batch):
    return model.data_preprocessor(batch, True)


def aligned(model, batch):
    """The alignment's own loss."""
    losses = model(**prepared(model, batch), mode='loss')
    return sum(value for key, value in losses.items() if key.startswith('align_loss'))


def pooled(model, images):
    """Features as the equations have them, in one function without hooks."""
    x = model.student.extract_feat(images)[-1]
    if model.feat == 'head':
        x = model.student.head.conv_layers(model.student.head.deconv_layers(x))
    return torch.relu(functional.linear(x.mean((2, 3)), model.bottleneck[0].weight, model.bottleneck[0].bias))


def train(model, batches):
    wrapper = OptimWrapper(torch.optim.Adam(model.parameters(), 1e-2))
    model.train()
    return [model.train_step(batch, wrapper) for batch in batches]


@pytest.mark.parametrize('method', METHODS)
def test_with_weight_zero_a_step_is_source_only_bit_for_bit(method, estimator, make_batch):
    estimator['backbone']['dropout'] = 0.3
    ours, plain = build(method, estimator, alignment_weight=0), build('SourceOnly', estimator)
    plain.student.load_state_dict(ours.student.state_dict())
    for model in (ours, plain):
        torch.manual_seed(1)
        train(model, [make_batch(seed=seed) for seed in range(3)])
    assert all(torch.equal(v, ours.student.state_dict()[k]) for k, v in plain.student.state_dict().items())
    sum(ours(**prepared(ours, make_batch()), mode='loss').values()).backward()
    assert all(p.grad is not None for p in ours.parameters()), 'or DDP would wait for them'


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('feat', ['head', 'backbone'])
@pytest.mark.parametrize('target', [4, 5])
def test_loss_follows_the_equations(method, feat, target, estimator, make_batch):
    model = build(method, estimator, feat=feat, alignment_weight=0.7)
    data = prepared(model, make_batch(target=target))
    losses = model(**data, mode='loss')
    z = [pooled(model, data['inputs'][domain]) for domain in ('source', 'target')]
    if method == 'DDC':
        wanted = (z[0].mean(0) - z[1].mean(0)).square().sum()
    elif method == 'DAN':
        wanted = MultiKernelMMD()(*z)
    else:
        logits = model.discriminator(torch.cat(z))[:, 0]
        bce = functional.binary_cross_entropy_with_logits
        wanted = (bce(logits[:4], torch.ones(4)) + bce(logits[4:], torch.zeros(target))) / 2
        right = ((logits[:4] > 0).float().mean() + (logits[4:] <= 0).float().mean()) / 2
        torch.testing.assert_close(losses['align_domain_accuracy'], right)
    key = 'align_loss_domain' if method == 'DANN' else 'align_loss_discrepancy'
    torch.testing.assert_close(losses[key], 0.7 * wanted)


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('feat', ['head', 'backbone'])
def test_alignment_reaches_all_layers_but_the_final_one(method, feat, estimator, make_batch):
    model = build(method, estimator, feat=feat)
    aligned(model, make_batch()).backward()
    head = model.student.head
    assert all((p.grad != 0).any() for p in model.student.backbone.layers[0].parameters())
    assert (model.bottleneck[0].weight.grad != 0).any()
    assert all(p.grad is None for p in head.final_layer.parameters())
    assert all((p.grad is None) == (feat == 'backbone') for p in head.conv_layers.parameters())


def test_alignment_reaches_a_neck(estimator, make_batch):
    estimator['backbone'] = dict(type='EfficientNetLite', out_indices=(1, 2))
    estimator['neck'] = dict(type='SkipNeck', in_channels=[24, 40], out_channels=8)
    model = build('DDC', estimator)
    aligned(model, make_batch()).backward()
    for part in (model.student.neck, model.student.backbone):
        assert any(p.grad is not None and (p.grad != 0).any() for p in part.parameters())


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('mode', ['spatial', 'pooled'])
def test_alignment_of_the_necks_vectors_reaches_all_but_the_head(method, mode, make_batch):
    """As the baselines of the causal intervention have it: the features themselves, without a bottleneck."""
    model = build(method, volume_samples.estimator(mode), feat='neck', width=None)
    assert model.width == volume_samples.DIM and not list(model.bottleneck.parameters())
    data = prepared(model, volume_samples.batch(target=5))
    z = [model.student.extract_feat(data['inputs'][domain])[-1] for domain in ('source', 'target')]
    losses = model(**data, mode='loss')
    if method != 'DANN':
        wanted = (z[0].mean(0) - z[1].mean(0)).square().sum() if method == 'DDC' else MultiKernelMMD()(*z)
        torch.testing.assert_close(losses['align_loss_discrepancy'], model.alignment_weight * wanted)
    sum(value for key, value in losses.items() if key.startswith('align_loss')).backward()
    student = model.student
    assert all((p.grad != 0).any() for p in (*student.neck.parameters(), *student.backbone.parameters()) if p.ndim > 1)
    assert all(p.grad is None for p in student.head.parameters())


def test_maps_of_a_neck_are_averaged(estimator, make_batch):
    estimator['backbone'] = dict(type='EfficientNetLite', out_indices=(1, 2))
    estimator['neck'] = dict(type='SkipNeck', in_channels=[24, 40], out_channels=8)
    model = build('DDC', estimator, feat='neck', width=None).eval()
    assert model.width == 8
    data = prepared(model, make_batch())
    z = [model.student.extract_feat(data['inputs'][domain])[-1].mean((2, 3)).mean(0) for domain in ('source', 'target')]
    wanted = model.alignment_weight * (z[0] - z[1]).square().sum()
    torch.testing.assert_close(aligned(model, make_batch()), wanted)


@pytest.mark.parametrize('method', METHODS)
def test_the_target_may_be_kept_out_of_the_running_statistics(method, estimator, make_batch):
    states = []
    for seed, tracked in ((0, False), (1, False), (1, True)):
        batch = make_batch()
        batch['inputs'][4:] = make_batch(seed=seed)['inputs'][4:]
        model = build(method, estimator, target_statistics=tracked).train()
        aligned(model, batch)
        states.append({key: value for key, value in model.student.state_dict().items() if 'running' in key})
    source_only = build('SourceOnly', estimator).train()
    source_only(**prepared(source_only, make_batch()), mode='loss')
    for key, value in states[0].items():
        assert torch.equal(value, source_only.student.state_dict()[key]), 'as without the target'
        assert torch.equal(value, states[1][key]) and not torch.equal(value, states[2][key])
    assert states[0]


@pytest.mark.parametrize('method', METHODS)
def test_target_samples_change_nothing(method, estimator, make_batch):
    """Neither labels nor their absence: the pictures are all that is read."""
    states = []
    for label in (None, 0.0, float('nan')):
        batches = [make_batch(seed=seed) for seed in range(2)]
        for sample in (s for batch in batches for s in batch['data_samples'][4:]):
            if label is not None:
                source = copy.deepcopy(batches[0]['data_samples'][0])
                source.gt_fields.heatmaps.fill_(label)
                sample.gt_fields, sample.gt_instance_labels = source.gt_fields, source.gt_instance_labels
        model = build(method, estimator)
        train(model, batches)
        states.append(model.state_dict())
    for other in states[1:]:
        assert all(torch.equal(value, other[key]) for key, value in states[0].items())


@pytest.mark.parametrize('method', METHODS)
def test_target_pictures_do_matter(method, estimator, make_batch):
    states = []
    for seed in (0, 1):
        batch = make_batch()
        batch['inputs'][4:] = make_batch(seed=seed)['inputs'][4:]
        model = build(method, estimator)
        train(model, [batch])
        states.append(model.student.backbone.layers[0].weight)
    assert not torch.equal(*states)


@pytest.mark.parametrize('coefficient', [0.0, 0.3, 1.0])
def test_features_get_the_reversed_gradient_and_the_discriminator_its_own(coefficient, estimator, make_batch):
    gradients = []
    for plain in (False, True):
        model = build('DANN', estimator, hidden=16)
        model.reverse.coefficient = coefficient
        if plain:
            model.reverse = torch.nn.Identity()
        aligned(model, make_batch()).backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    ours, unreversed = gradients
    assert ours.keys() == unreversed.keys()
    for name, gradient in ours.items():
        factor = 1 if name.startswith('discriminator') else -coefficient
        torch.testing.assert_close(gradient, factor * unreversed[name], msg=name)


def test_a_discriminator_that_cannot_tell_costs_the_logarithm_of_two(estimator, make_batch):
    model = build('DANN', estimator)
    torch.nn.init.zeros_(model.discriminator[-1].weight)
    torch.nn.init.zeros_(model.discriminator[-1].bias)
    losses = model(**prepared(model, make_batch(target=6)), mode='loss')
    assert losses['align_loss_domain'].item() == pytest.approx(math.log(2))
    assert losses['align_domain_accuracy'] == 0.5


def test_steps_lower_the_discrepancy_of_shifted_domains(estimator, make_batch):
    batch = make_batch()
    batch['inputs'][4:] = [picture // 4 for picture in batch['inputs'][4:]]
    for method in ('DDC', 'DAN'):
        model = build(method, estimator, alignment_weight=1.0)
        torch.nn.init.normal_(model.student.head.conv_layers[0].weight, std=0.2)
        logs = train(model, [copy.deepcopy(batch) for _ in range(15)])
        values = [float(log['align_loss_discrepancy']) for log in logs]
        assert values[-1] < 0.5 * values[0], (method, values)


def test_each_domain_meets_its_own_batch_statistics(estimator, make_batch):
    """Running statistics take a step towards the source, then one towards the target."""
    model = build('DDC', estimator)
    data = prepared(model, make_batch())
    first, norm = model.student.backbone.layers[0], model.student.backbone.layers[1]
    wanted = torch.zeros(8)
    for domain in ('source', 'target'):
        wanted = 0.9 * wanted + 0.1 * first(data['inputs'][domain]).mean((0, 2, 3))
    model(**data, mode='loss')
    torch.testing.assert_close(norm.running_mean, wanted)


@pytest.mark.parametrize('method', METHODS)
def test_side_branch_is_in_the_adapter_and_not_in_the_plain_checkpoint(method, estimator):
    model, plain = build(method, estimator), MODELS.build(copy.deepcopy(estimator))
    assert model.plain_state_dict().keys() == plain.state_dict().keys()
    side = {key.split('.')[0] for key in model.state_dict()} - {'student', 'data_preprocessor'}
    assert side == {'bottleneck', *(['discriminator'] if method == 'DANN' else [])}
    assert not hasattr(model, 'teacher')


@pytest.mark.parametrize('method', METHODS)
def test_plain_and_source_only_checkpoints_load_and_leave_the_side_branch(method, estimator):
    plain, before = build('SourceOnly', estimator), None
    for value in plain.parameters():
        torch.nn.init.normal_(value)
    for weights in (plain.plain_state_dict(), plain.state_dict()):
        model = build(method, estimator)
        before = {key: value.clone() for key, value in model.bottleneck.state_dict().items()}
        missing, unexpected = model.load_state_dict(weights, strict=False)
        assert unexpected == [] and all(key.startswith(('bottleneck.', 'discriminator.')) for key in missing)
        assert all(torch.equal(v, model.student.state_dict()[k]) for k, v in plain.student.state_dict().items())
        assert all(torch.equal(value, model.bottleneck.state_dict()[key]) for key, value in before.items())


@pytest.mark.parametrize('method', METHODS)
def test_alignment_is_in_float32_under_mixed_precision(method, estimator, make_batch, monkeypatch):
    model = build(method, estimator)
    seen = []
    original = type(model).alignment

    def watch(self, source, target):
        losses = original(self, source, target)
        seen.extend([source.dtype, target.dtype, *(value.dtype for value in losses.values())])
        return losses

    monkeypatch.setattr(type(model), 'alignment', watch)
    with torch.autocast('cpu', torch.bfloat16):
        model(**prepared(model, make_batch()), mode='loss')
    assert set(seen) == {torch.float32}


def test_hooks_do_not_stay_behind(estimator, make_batch):
    model = build('DDC', estimator)
    model(**prepared(model, make_batch()), mode='loss')
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.student.modules())
    copy.deepcopy(model)


SIMCC = dict(type='SimCCHead', deconv_out_channels=None)
RTMPOSE = dict(
    type='RTMCCHead',
    gau_cfg=dict(hidden_dims=16, s=8, expansion_factor=2, dropout_rate=0.0, drop_path=0.0, act_fn='SiLU',
                 use_rel_bias=False, pos_enc=False),
)  # fmt: skip


@pytest.mark.parametrize('head', [SIMCC, RTMPOSE], ids=lambda head: head['type'])
def test_heads_of_other_kinds_serve(head, estimator, make_batch):
    estimator['head'] = dict(
        **head,
        in_channels=8,
        out_channels=3,
        input_size=(48, 32),
        in_featuremap_size=(12, 8),
        simcc_split_ratio=2.0,
        loss=dict(type='KLDiscretLoss', use_target_weight=True),
        decoder=dict(type='SimCCLabel', input_size=(48, 32), sigma=2.0, simcc_split_ratio=2.0),
    )
    model = build('DDC', estimator).eval()
    images = prepared(model, make_batch())['inputs']['target']
    with model._features() as features:
        model._pass(images)
    assert torch.equal(features[-1], model.student.extract_feat(images)[-1])
    assert model.bottleneck[0].in_features == 8


def test_head_without_a_final_layer_is_refused_with_the_way_out(estimator):
    codec = dict(type='RegressionLabel', input_size=(48, 32))
    estimator['neck'] = dict(type='GlobalAveragePooling')
    estimator['head'] = dict(type='RegressionHead', in_channels=8, num_joints=3, decoder=codec)
    with pytest.raises(TypeError, match="RegressionHead has none here. Set feat='backbone'"):
        build('DAN', estimator)
    assert build('DAN', estimator, feat='backbone').bottleneck[0].in_features == 8


def test_identity_is_no_final_layer(estimator):
    estimator['head'].update(final_layer=None, conv_out_channels=(3,))
    with pytest.raises(TypeError, match='final_layer'):
        build('DDC', estimator)


def test_an_estimator_without_a_neck_is_refused(estimator):
    with pytest.raises(TypeError, match="feat='neck' wants an estimator with a neck: set another feat"):
        build('DDC', estimator, feat='neck')


def test_head_without_a_codec_is_refused(estimator):
    del estimator['head']['decoder']
    with pytest.raises(TypeError, match='decoder'):
        build('DDC', estimator)


@pytest.mark.parametrize('bad', [dict(alignment_weight=-1), dict(feat='stem')], ids=lambda d: next(iter(d)))
def test_bad_settings_are_refused(estimator, bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        build('DDC', estimator, **bad)


@pytest.mark.parametrize('method', METHODS)
def test_batch_without_target_is_refused(method, estimator, make_batch):
    with pytest.raises(ValueError, match=f'{method} wants target samples'):
        aligned(build(method, estimator), make_batch(target=0))
