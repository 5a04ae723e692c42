"""RegDA's pseudo-maps and its three updates against plain loops."""

import copy
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, OptimWrapperDict

from mmposeda.engine.export import export_plain
from mmposeda.models.adapters import RegDA, regda
from mmposeda.models.adapters.regda import EPS, pseudo_maps
from mmposeda.models.losses import heatmap_kl
from mmposeda.registry import MODELS


@pytest.fixture
def estimator(estimator):
    estimator['head'].update(
        deconv_out_channels=(6,), deconv_kernel_sizes=(4,), conv_out_channels=(5,), conv_kernel_sizes=(3,),
        loss=dict(type='HeatmapKLLoss'),
    )  # fmt: skip
    estimator['head']['decoder']['heatmap_size'] = (24, 16)
    return estimator


@pytest.fixture
def make_batch(make_batch):
    """Batches with heatmaps of the head's size."""

    def make(**kwargs):
        batch = make_batch(**kwargs)
        for sample in batch['data_samples']:
            if 'gt_fields' in sample:
                maps = sample.gt_fields.heatmaps
                sample.gt_fields.set_field(torch.nn.functional.interpolate(maps[None], (16, 24))[0], 'heatmaps_')
                del sample.gt_fields.heatmaps
                sample.gt_fields.heatmaps = sample.gt_fields.pop('heatmaps_')
        return batch

    return make


def build(estimator, **kwargs):
    torch.manual_seed(0)
    model = RegDA(copy.deepcopy(estimator), **kwargs)
    for parameter in model.parameters():  # the small first weights would hide what moves
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    return model.train()


def sgd(model, momentum=0.0):
    return OptimWrapper(torch.optim.SGD(model.parameters(), 0.1, momentum=momentum))


def part(name):
    """Which of RegDA's three parts a parameter belongs to."""
    if name.startswith('adversarial_head.'):
        return 'adversarial'
    return 'head' if name.startswith(('student.head.conv_layers', 'student.head.final_layer')) else 'feature'


def draw_logits(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_pseudo_maps_follow_their_definition():
    logits = draw_logits(3, 4, 9, 11)
    truth, false = pseudo_maps(logits, 2.0)
    for b in range(3):
        for k in range(4):
            row, column = divmod(int(logits[b, k].argmax()), 11)
            assert truth[b, k].max() == truth[b, k, row, column] == 1
            others = sum(truth[b, j] for j in range(4) if j != k).clamp(0, 1)
            torch.testing.assert_close(false[b, k], others)
    assert false.min() >= 0 and false.max() <= 1
    assert torch.equal(pseudo_maps(logits - 100, 2.0)[0], truth), 'maps without a positive cell keep their place'


def test_own_peak_alone_does_not_move_the_false_map():
    logits = draw_logits(1, 3, 9, 9)
    moved = logits.clone()
    moved[0, 1, 0, 0] = 50
    before, after = pseudo_maps(logits, 1.0)[1], pseudo_maps(moved, 1.0)[1]
    torch.testing.assert_close(before[0, 1], after[0, 1])
    assert not torch.equal(before[0, 0], after[0, 0])


def test_coincident_joints_and_a_lone_joint():
    logits = torch.zeros(1, 2, 9, 9)
    logits[0, :, 4, 5] = 1
    assert (pseudo_maps(logits, 1.0)[1][0, :, 4, 5] == 1).all()
    false = pseudo_maps(logits[:, :1], 1.0)[1]
    assert (false == 0).all()
    assert heatmap_kl(draw_logits(1, 1, 9, 9), false, eps=EPS).isfinite().all()


@pytest.mark.parametrize('coefficient', [0.0, 0.5])
def test_each_update_moves_its_own_parts(estimator, make_batch, monkeypatch, coefficient):
    model, moved = build(estimator, coefficient=coefficient), []
    update = RegDA._update

    def watch(self, losses, wrapper):
        before = {name: p.detach().clone() for name, p in self.named_parameters()}
        logged = update(self, losses, wrapper)
        moved.append({part(name) for name, p in self.named_parameters() if not torch.equal(p, before[name])})
        return logged

    monkeypatch.setattr(RegDA, '_update', watch)
    wrapper = sgd(model, momentum=0.9)
    for seed in range(2):
        moved.clear()
        logged = model.train_step(make_batch(seed=seed), wrapper)
        assert moved[:2] == [{'feature', 'head', 'adversarial'}, {'adversarial'}]
        assert moved[2:] == ([{'feature'}] if coefficient else [])
    terms = {'sup_loss_kpt', 'sup_loss_disparity', 'unsup_loss_false'}
    assert set(logged) == terms | ({'unsup_loss_truth'} if coefficient else set())
    assert all(p.requires_grad for p in model.parameters())


def forward(model, images):
    head = model.student.head
    features = head.deconv_layers(model.student.extract_feat(images)[-1])
    return features, head.final_layer(head.conv_layers(features))


def reference_step(model, batch, optimizers, coefficient):
    """The published iteration: three optimisers, the target passed twice, gradients scaled by hand."""
    data = model.data_preprocessor(batch, True)
    source, target = data['inputs']['source'], data['inputs']['target']
    labels = torch.stack([s.gt_fields.heatmaps for s in data['data_samples']['source']]).double()
    weights = torch.cat([s.gt_instance_labels.keypoint_weights for s in data['data_samples']['source']])

    def scaled(features):
        return coefficient * features + (1 - coefficient) * features.detach()

    def update(loss, *names):
        for optimizer in optimizers.values():
            optimizer.zero_grad()
        loss.backward()
        for name in names:
            optimizers[name].step()

    features, logits = forward(model, source)
    truth = pseudo_maps(logits.detach(), 1.0)[0]
    supervised = heatmap_kl(logits, labels, weights).mean()
    disparity = heatmap_kl(model.adversarial_head(scaled(features)), truth, weights, EPS).mean()
    update(supervised + 4 * disparity, 'feature', 'head', 'adversarial')
    for step in 'BC':
        features, logits = forward(model, target)
        maps = pseudo_maps(logits.detach(), 1.0)
        adversarial = model.adversarial_head(scaled(features))
        if step == 'B':
            update(heatmap_kl(adversarial, maps[1], eps=EPS).mean(), 'adversarial')
        else:
            update(heatmap_kl(adversarial, maps[0], eps=EPS).mean(), 'feature')


@pytest.mark.parametrize('momentum', [0.0, 0.9])
def test_five_iterations_equal_the_three_pass_reference(estimator, make_batch, momentum):
    ours = build(estimator, coefficient=0.3).double()
    theirs = copy.deepcopy(ours)
    wrapper = sgd(ours, momentum)
    groups = {
        name: [p for key, p in theirs.named_parameters() if part(key) == name]
        for name in ('feature', 'head', 'adversarial')
    }
    optimizers = {name: torch.optim.SGD(group, 0.1, momentum=momentum) for name, group in groups.items()}
    for model in (ours, theirs):
        model.data_preprocessor.register_forward_hook(
            lambda module, args, out: dict(out, inputs={k: v.double() for k, v in out['inputs'].items()})
        )
    for seed in range(5):
        ours.train_step(make_batch(seed=seed), wrapper)
        reference_step(theirs, make_batch(seed=seed), optimizers, 0.3)
    start = dict(build(estimator).double().named_parameters())
    reference = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter, reference[name], rtol=1e-9, atol=1e-9, msg=name)
        assert parameter.ndim < 2 or not torch.equal(parameter, start[name]), name


def test_target_labels_change_nothing(estimator, make_batch):
    states = []
    for label in (None, float('nan')):
        batch = make_batch()
        for sample in batch['data_samples'][4:]:
            if label is not None:
                source = copy.deepcopy(batch['data_samples'][0])
                source.gt_fields.heatmaps.fill_(label)
                source.gt_instance_labels.keypoint_weights.fill_(label)
                sample.gt_fields, sample.gt_instance_labels = source.gt_fields, source.gt_instance_labels
        model = build(estimator)
        model.train_step(batch, sgd(model))
        states.append(model.state_dict())
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


def test_masked_source_joints_do_no_harm(estimator, make_batch):
    batch = make_batch()
    batch['data_samples'][0].gt_instance_labels.keypoint_weights[0, 1] = 0
    batch['data_samples'][0].gt_fields.heatmaps[1] = 0
    model = build(estimator)
    model.train_step(batch, sgd(model))
    assert all(p.isfinite().all() for p in model.parameters())


def test_adversarial_head_is_drawn_anew_and_stays_out_of_the_plain_checkpoint(estimator):
    torch.manual_seed(0)
    model, plain = RegDA(copy.deepcopy(estimator)), MODELS.build(copy.deepcopy(estimator))
    assert model.plain_state_dict().keys() == plain.state_dict().keys()
    convolution = model.adversarial_head[0][0]
    assert convolution.weight.shape == model.student.head.conv_layers[0].weight.shape
    assert convolution.weight.std().item() == pytest.approx(0.001, rel=0.2)
    assert (model.adversarial_head[1].bias == 0).all()
    missing, unexpected = model.load_state_dict(plain.state_dict(), strict=False)
    assert unexpected == [] and all(key.startswith('adversarial_head.') for key in missing)


LOAD = """
import sys
import mmposeda.compat
for name in ('mmposeda.models', 'mmposeda.registry', 'mmposeda.engine'):
    sys.modules[name] = None  # as if it were not installed
from mmpose.apis import init_model
print(type(init_model(sys.argv[1], sys.argv[2], device='cpu').head.loss_module).__name__)
"""


def test_exported_estimator_takes_its_loss_along_and_no_adversary(estimator, tmp_path):
    estimator['backbone'] = dict(type='EfficientNetLite', out_indices=(1,))
    estimator['head'].update(in_channels=24, deconv_out_channels=None)
    estimator['head']['decoder']['heatmap_size'] = (12, 8)
    config = Config(
        dict(model=dict(type='RegDA', estimator=estimator), test_dataloader=dict(dataset=dict(type='x', pipeline=[])))
    )
    model = MODELS.build(config.model)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'adapter.pth')
    paths = export_plain(config, str(tmp_path / 'adapter.pth'), str(tmp_path / 'plain'))
    keys = torch.load(paths[1], weights_only=True)['state_dict'].keys()
    assert keys == model.student.state_dict().keys()
    out = subprocess.run([sys.executable, '-c', LOAD, *map(str, paths)], capture_output=True, text=True)
    assert out.stdout.split()[-1:] == ['HeatmapKLLoss'], out.stderr[-2000:]


def test_several_processes_are_refused_with_the_reason(estimator, monkeypatch):
    monkeypatch.setattr(regda, 'get_world_size', lambda: 2)
    with pytest.raises(RuntimeError, match='one process'):
        build(estimator)


def test_accumulation_several_optimisers_and_single_losses_are_refused(estimator, make_batch):
    model = build(estimator)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for wrapper in (OptimWrapper(optimizer, accumulative_counts=2), OptimWrapperDict(a=OptimWrapper(optimizer))):
        with pytest.raises(ValueError, match='accumulative_counts=1'):
            model.train_step(make_batch(), wrapper)
    with pytest.raises(RuntimeError, match='train_step'):
        model(**model.data_preprocessor(make_batch(), True), mode='loss')


@pytest.mark.parametrize('domain', ['source', 'target'])
def test_batch_of_one_domain_is_refused(domain, estimator, make_batch):
    model = build(estimator)
    with pytest.raises(ValueError, match=f'wants {domain} samples'):
        model.train_step(make_batch(**{domain: 0}), sgd(model))


@pytest.mark.parametrize('name', ['margin', 'trade_off', 'coefficient'])
def test_negative_factors_are_refused(estimator, name):
    with pytest.raises(ValueError, match=name):
        build(estimator, **{name: -1})


def test_head_without_a_final_layer_is_refused(estimator):
    estimator['head'].update(final_layer=None, conv_out_channels=(3,))
    with pytest.raises(TypeError, match='final_layer'):
        build(estimator)
