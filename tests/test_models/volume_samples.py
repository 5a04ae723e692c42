"""A tiny estimator of poses in a volume, batches for it, and the causal intervention around it."""

import copy

import numpy as np
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mmposeda.engine.optimizers import PartOptimWrapperConstructor
from mmposeda.registry import MODELS
from mmposeda.structures.skeleton import Skeleton

LSP = Skeleton.from_metainfo('lsp')
ROOT = ('left_hip', 'right_hip')
JOINTS = LSP.num_joints
#: the backbone of conftest.py, stride 4: 8 x 12 cells
SIZE, GRID, VOLUME, DIM = (48, 32), (8, 12), (24, 16, 8), 96
CODEC = dict(type='VolumePose3D', input_size=SIZE, volume_size=VOLUME)
VAE = dict(type='ImageVAE', input_size=16, latent=6)
ADAM = dict(type='Adam', lr=1e-3)


def estimator(mode='spatial', dropout=0.0, **head):
    settings = dict(skeleton='lsp', root=ROOT, decoder=CODEC, dim=DIM, grid=GRID, mode=mode, deconv_channels=(8,))
    return dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=True),
        backbone=dict(type='TinyBackbone', dropout=dropout),
        neck=dict(type='FeatureNeck', in_channels=8, dim=DIM, grid=GRID, mode=mode),
        head=dict(type='VolumetricIntegralHead', **{**settings, **head}),
    )


def sample(domain, generator, index=0):
    data = PoseDataSample(metainfo=dict(domain=domain, input_size=SIZE, flip_indices=list(LSP.flip_indices)))
    data.set_metainfo(dict(input_center=np.array([24.0, 16.0]), input_scale=np.array([48.0, 32.0])))
    data.gt_instances = InstanceData(bboxes=np.zeros((1, 4)), bbox_scores=np.ones(1))
    if domain == 'target':
        data.set_metainfo(dict(sample_index=index))
    else:
        pose = 0.2 + 0.6 * torch.rand(1, JOINTS, 3, generator=generator)
        weights = (torch.rand(1, JOINTS, generator=generator) > 0.2).float()
        size = 1400 + 200 * torch.rand(1, generator=generator)
        data.gt_instance_labels = InstanceData(volume_pose=pose, volume_weights=weights, body_size=size)
    return data


def batch(source=4, target=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.randint(0, 256, (source + target, 3, *SIZE[::-1]), dtype=torch.uint8, generator=generator)
    domains = ['source'] * source + ['target'] * target
    return dict(inputs=list(pictures), data_samples=[sample(d, generator, i - source) for i, d in enumerate(domains)])


def build(mode='spatial', dropout=0.0, seed=0, **kwargs):
    """The adapter in training mode; its estimator answers to pictures, whose features differ."""
    torch.manual_seed(seed)
    kwargs = {'vae': VAE, 'generator': dict(hidden=(16,)), 'discriminator': dict(hidden=16), **kwargs}
    model = MODELS.build(dict(type='CausalIntervention', estimator=estimator(mode, dropout), **copy.deepcopy(kwargs)))
    for layer in (model.student.head.final_layer, model.student.head.deconv_layers[0]):
        torch.nn.init.normal_(layer.weight, std=0.2)
    return model.train()


def optimizers(model, optimizer=ADAM, **more):
    parts = dict.fromkeys(('generator', 'discriminator', 'student'), dict(optimizer=optimizer, **more))
    return PartOptimWrapperConstructor(parts)(model)


def prepared(model, data):
    """Pictures and samples by domain."""
    data = model.data_preprocessor(data, True)
    return data['inputs'], data['data_samples']


def step(model, data=None, seed=1, wrappers=None):
    """One iteration from a seed; what it logs."""
    torch.manual_seed(seed)
    return model.train_step(data or batch(), wrappers or optimizers(model))


def state(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def moved(model, before):
    """Parts of the model whose weights or buffers are not what they were."""
    return {key.split('.')[0] for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
