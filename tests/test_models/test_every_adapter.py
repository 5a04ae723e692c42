"""What every adapter must bear, or refuse with the reason: mixed precision and accumulated gradients."""

import copy

import pytest
import relation_samples
import torch
import volume_samples
from half_precision import Bfloat16Wrapper, Float16Wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict

from mmposeda.registry import MODELS
from mmposeda.structures.skeleton import Skeleton

DOTS = Skeleton('dots', ('a', 'b', 'c'), (-1, 0, 1), (0, 2, 1), {})
# A new adapter is added here.
ADAPTERS = dict(
    SourceOnly={},
    UDAPE=dict(style=dict(type='StatisticsStyleTransfer')),
    DDC={},
    DAN={},
    DANN={},
    RegDA={},
    CCSSL={},
    GeometricReconstruction=dict(
        depth=dict(skeleton=DOTS, root='a', reference=('a', 'b')),
        reconstruction=dict(
            warp_estimator=dict(width=2, num_blocks=1),
            generator=dict(width=2, num_residual=1),
            perceptual=dict(features='pyramid_l1', factors=(1, 2)),
            displacement=(0, 1),
        ),
    ),
    CausalIntervention=dict(vae=volume_samples.VAE, generator=dict(hidden=(16,)), discriminator=dict(hidden=16)),
    RelationDistillation={},
    **dict.fromkeys(relation_samples.STAGES, {}),
)
# Those of several optimisers, one a part.
PARTS = dict(
    CausalIntervention=('generator', 'discriminator', 'student'), PoseEmbeddingTraining=('pose', 'discriminator')
)


@pytest.fixture
def batch_for(make_batch):
    """Return a function that makes a batch of what an adapter trains on."""

    def make(name, seed=0):
        if name == 'CausalIntervention':
            return volume_samples.batch(seed=seed)
        if name == 'RelationDistillation':
            return relation_samples.clips('flip_inplane(50)', seed=seed)
        if name in relation_samples.STAGES:
            return relation_samples.motion(seed=seed)
        data = make_batch(seed=seed)
        if name != 'GeometricReconstruction':
            return data
        generator = torch.Generator().manual_seed(seed)
        for sample in data['data_samples'][:4]:
            pose = torch.cat([20 * torch.rand(1, 3, 3, generator=generator), torch.ones(1, 3, 1)], -1)
            sample.gt_instance_labels.screen_pose = pose
        stills = make_batch(0, 2, seed + 100)
        for picture, sample in zip(stills['inputs'], stills['data_samples']):
            sample.set_metainfo(dict(domain='pair'))
            data['inputs'].append(picture)
            data['data_samples'].append(sample)
        return data

    return make


def build(name, estimator):
    if name == 'RelationDistillation':
        return relation_samples.build()
    if name in relation_samples.STAGES:
        return relation_samples.stage(name)
    torch.manual_seed(0)
    estimator = volume_samples.estimator() if name == 'CausalIntervention' else estimator
    return MODELS.build(dict(type=name, estimator=copy.deepcopy(estimator), **ADAPTERS[name])).train()


def start(name, estimator, wrapper=OptimWrapper, **options):
    model = build(name, estimator)
    if name == 'CCSSL':
        model.table.fill(torch.full((8, 3, 2), 16.0), torch.ones(8, 3), torch.ones(8, 3), 1)
    groups = {part: getattr(model, part).parameters() for part in PARTS.get(name, ())}
    if name == 'RelationDistillation':
        groups = {loss: model.trained_by(loss) for loss in model.losses}
    if groups and not options:
        return model, OptimWrapperDict(**{part: wrapper(torch.optim.SGD(p, 0.1)) for part, p in groups.items()})
    return model, wrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1), **options)


def learning(model):
    return [p for p in getattr(model, 'student', model).parameters() if p.requires_grad]


def snapshot(model):
    return [p.detach().clone() for p in learning(model)]


@pytest.mark.parametrize('precision', [Bfloat16Wrapper, Float16Wrapper])
@pytest.mark.parametrize('name', ADAPTERS)
def test_mixed_precision(name, precision, estimator, batch_for):
    model, wrapper = start(name, estimator, precision)
    before = snapshot(model)
    logged = model.train_step(batch_for(name), wrapper)
    assert all(torch.isfinite(torch.as_tensor(value)).all() for value in logged.values())
    assert all(p.dtype == torch.float32 and torch.isfinite(p).all() for p in model.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, learning(model)))
    plain, wrapper = start(name, estimator)
    exact = plain.train_step(batch_for(name), wrapper)
    key = next(key for start in ('sup_loss', '') for key in exact if key.startswith(start) and 'loss' in key)
    assert float(logged[key]) == pytest.approx(float(exact[key]), rel=0.05)


@pytest.mark.parametrize('name', ADAPTERS)
def test_accumulated_gradients(name, estimator, batch_for):
    model, wrapper = start(name, estimator, accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 4)
    before = snapshot(model)
    refused = dict.fromkeys(PARTS, 'PartOptimWrapperConstructor')
    refused.update(RegDA='three updates.*use a larger batch', RelationDistillation='LossOptimWrapperConstructor')
    if name in refused:
        with pytest.raises(ValueError, match=refused[name]):
            model.train_step(batch_for(name), wrapper)
        return
    model.train_step(batch_for(name, seed=0), wrapper)
    assert all(torch.equal(a, b) for a, b in zip(before, learning(model)))
    model.train_step(batch_for(name, seed=1), wrapper)
    assert any(not torch.equal(a, b) for a, b in zip(before, learning(model)))
