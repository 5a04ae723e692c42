"""What RegDA and DANN are for, on coloured blobs whose target differs in contrast and in the texture behind them."""

import copy
import functools

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.structures import InstanceData, PixelData
from mmpose.structures import PoseDataSample
from torch import nn

from mmposeda.models.heatmap_estimator import predict_heatmaps
from mmposeda.registry import MODELS
from mmposeda.structures.heatmap import gaussian_heatmaps, heatmap_argmax

SIZE, CELL, COUNT, BATCH = 64, 4, 256, 8
COLOURS = torch.tensor([[1.0, 0.2, 0.2], [0.2, 1.0, 0.2], [0.2, 0.2, 1.0], [1.0, 1.0, 0.2]])
JOINTS, WIDTH = len(COLOURS), 16
PRETRAINING, ADAPTATION = 100, 120
SEEDS = range(3)
# A hundredth of the paper's iterations: three times its coefficient
COEFFICIENT = 0.3


@MODELS.register_module(force=True)
class ThreeLayers(nn.Module):
    """Three convolutions with batch normalisation, stride 4."""

    def __init__(self) -> None:
        super().__init__()

        def layer(inputs, outputs, kernel, stride):
            convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
            return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]

        self.layers = nn.Sequential(*layer(3, 16, 5, 2), *layer(16, WIDTH, 3, 2), *layer(WIDTH, WIDTH, 5, 1))

    def init_weights(self) -> None:
        """Keep the default initialisation."""

    def forward(self, x):
        return (self.layers(x),)


def draw(domain, count, generator):
    """Pictures (n, 3, 64, 64), grey levels, and keypoints (n, K, 2), pixels."""
    points = 8 + 48 * torch.rand(count, JOINTS, 2, generator=generator)
    blobs = gaussian_heatmaps(points, (SIZE, SIZE), 3.0, cut=20)
    noise = 8 * torch.randn(count, 3, SIZE, SIZE, generator=generator)
    if domain == 'source':
        level, contrast = 60, 160
    else:
        level, contrast = 110, 64
        texture = torch.randn(count, 3, SIZE // 4, SIZE // 4, generator=generator)
        noise += 20 * nn.functional.interpolate(texture, (SIZE, SIZE), mode='bilinear')
    pictures = level + contrast * torch.einsum('nkhw,kc->nchw', blobs, COLOURS) + noise
    return pictures.clamp(0, 255).to(torch.uint8), points


@functools.lru_cache
def data(seed):
    """Source pictures and samples, target pictures, and a labelled target to test on."""
    generator = torch.Generator().manual_seed(1000 + seed)
    pictures, points = draw('source', COUNT, generator)
    samples = []
    for heatmaps in gaussian_heatmaps((points / CELL).round(), (SIZE // CELL,) * 2, 1.0):
        sample = PoseDataSample(gt_fields=PixelData(heatmaps=heatmaps))
        sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, JOINTS))
        samples.append(sample)
    return pictures, samples, draw('target', COUNT, generator)[0], draw('target', COUNT // 2, generator)


def batches(seed, count):
    """The same for every method: random halves of a source and a target batch."""
    sources, samples, targets, _ = data(seed)
    generator = torch.Generator().manual_seed(seed)
    unlabelled = [PoseDataSample(metainfo=dict(domain='target'))] * BATCH
    for _ in range(count):
        source, target = torch.randint(COUNT, (2, BATCH), generator=generator)
        inputs = [*sources[source], *targets[target]]
        yield dict(inputs=inputs, data_samples=[*(samples[i] for i in source), *unlabelled])


def build(method, **kwargs):
    codec = dict(type='MSRAHeatmap', input_size=(SIZE,) * 2, heatmap_size=(SIZE // CELL,) * 2, sigma=1.0)
    head = dict(
        type='HeatmapHead',
        in_channels=WIDTH,
        out_channels=JOINTS,
        deconv_out_channels=None,
        conv_out_channels=(WIDTH,),
        conv_kernel_sizes=(3,),
        loss=dict(type='HeatmapKLLoss'),
        decoder=codec,
    )
    preprocessor = dict(type='PoseDataPreprocessor', mean=[110.0] * 3, std=[50.0] * 3)
    backbone = dict(type='ThreeLayers')
    estimator = dict(type='TopdownPoseEstimator', data_preprocessor=preprocessor, backbone=backbone, head=head)
    return MODELS.build(dict(type=method, estimator=estimator, **kwargs)).train()


def train(model, seed, count):
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), 0.05, momentum=0.9))
    return [model.train_step(batch, wrapper) for batch in batches(seed, count)]


@functools.lru_cache
def pretrained(seed):
    """Weights that all methods start from."""
    torch.manual_seed(seed)
    model = build('SourceOnly')
    train(model, seed, PRETRAINING)
    return model.plain_state_dict()


def adapt(method, seed, prepare=lambda model: None, count=ADAPTATION, **kwargs):
    """Train on from the pre-trained weights; returns the model and its logs."""
    weights = pretrained(seed)
    torch.manual_seed(seed)
    model = build(method, **kwargs)
    model.load_state_dict(weights, strict=False)
    prepare(model)
    return model, train(model, seed, count)


@torch.no_grad()
def accuracy(model, seed):
    """Share of target joints (%) within a tenth of the picture's side.

    Normalised by the statistics of the test pictures: of the running statistics, RegDA's have seen the target and those
    of source-only have not, which is a gain without any training.
    """
    pictures, points = data(seed)[3]
    images = model.data_preprocessor(dict(inputs=list(pictures), data_samples=[]))['inputs']
    found = heatmap_argmax(predict_heatmaps(copy.deepcopy(model.student).train(), images))[0]
    return 100 * ((CELL * found - points).norm(dim=-1) < 0.1 * SIZE).float().mean().item()


@functools.lru_cache
def source_only(seed):
    return accuracy(adapt('SourceOnly', seed)[0], seed)


@functools.lru_cache
def regda(seed, coefficient=COEFFICIENT, left_out=None):
    """Accuracy after RegDA, without the update whose loss is named."""

    def prepare(model):
        update = model._update
        model.scale.coefficient = coefficient
        model._update = lambda losses, wrapper: {} if left_out in losses else update(losses, wrapper)

    return accuracy(adapt('RegDA', seed, prepare)[0], seed)


@pytest.mark.parametrize('seed', SEEDS)
def test_regda_beats_source_only_on_the_target(seed):
    assert 40 < source_only(seed) < 90, 'a shift that hurts and leaves something to find'
    assert regda(seed) > source_only(seed) + 3


def test_regda_with_a_reversed_gradient_falls_below_source_only():
    assert regda(0, -COEFFICIENT) < source_only(0) - 10


@pytest.mark.slow
@pytest.mark.parametrize('loss', ['unsup_loss_false', 'unsup_loss_truth'])
def test_regda_is_better_for_each_of_its_updates_on_the_target(loss):
    whole, rest = (sum(regda(seed, left_out=name) for seed in SEEDS) / len(SEEDS) for name in (None, loss))
    assert whole > rest + 1.5


def domain_accuracy(seed, coefficient):
    """Mean balanced accuracy of DANN's discriminator in the second half of a training."""

    def prepare(model):
        model.reverse.coefficient = coefficient

    logs = adapt('DANN', seed, prepare, count=80, hidden=64)[1]
    return torch.stack([log['align_domain_accuracy'] for log in logs[40:]]).mean().item()


@pytest.mark.parametrize('seed', SEEDS)
def test_dann_makes_the_domains_hard_to_tell_apart(seed):
    free, opposed = (domain_accuracy(seed, coefficient) for coefficient in (0.0, 1.0))
    assert free > 0.9, 'a discriminator that nobody opposes knows the domains'
    assert abs(opposed - 0.5) < 0.7 * (free - 0.5)
