"""The step of the causal intervention: preprocessing, nuisances, losses, three backward passes and three updates.

The bare time is the passes of the networks that a step takes: the estimator forward and backward on the source, its
features of the target, the head forward and backward on a generated feature and once more back to that feature, the
autoencoder's encoder on all pictures, generator and discriminator; no losses beside means, no updates.
"""

from __future__ import annotations

from argparse import Namespace
from copy import deepcopy

import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from step_common import Contest, ratio

from mmposeda.registry import MODELS

JOINTS = 17


def build(args: Namespace) -> torch.nn.Module:
    """The adapter with the paper's feature and head; the volume is a quarter of the picture a side."""
    cells, bins = args.size // 32, args.size // 4
    channels = 512 if args.depth < 50 else 2048
    codec = dict(type='VolumePose3D', input_size=(args.size,) * 2, volume_size=(bins,) * 3)
    estimator = dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3),
        backbone=dict(type='ResNet', depth=args.depth),
        neck=dict(type='FeatureNeck', in_channels=channels, grid=(cells,) * 2),
        head=dict(type='VolumetricIntegralHead', skeleton='h36m', root='root', decoder=codec, grid=(cells,) * 2),
    )
    vae = dict(type='ImageVAE', input_size=args.size)
    return MODELS.build(dict(type='CausalIntervention', estimator=estimator, vae=vae)).to(args.device).train()


def make_batch(args: Namespace) -> dict:
    """Random pictures and poses as the loader gives them, on the device."""
    samples = []
    for _ in range(args.batch):
        sample = PoseDataSample(metainfo=dict(domain='source'))
        sample.gt_instance_labels = InstanceData(
            volume_pose=torch.rand(1, JOINTS, 3, device=args.device),
            volume_weights=torch.ones(1, JOINTS, device=args.device),
            body_size=torch.full((1,), 1500.0, device=args.device),
        )
        samples.append(sample)
    target = PoseDataSample(metainfo=dict(domain='target'))
    size = (2 * args.batch, 3, args.size, args.size)
    pictures = torch.randint(0, 256, size, dtype=torch.uint8, device=args.device)
    return dict(inputs=list(pictures), data_samples=[*samples, *[target] * args.batch])


def contest(args: Namespace) -> Contest:
    """Get everything ready."""
    model, batch = build(args), make_batch(args)
    parts = ('student', 'generator', 'discriminator')
    wrappers = OptimWrapperDict(
        **{name: OptimWrapper(torch.optim.Adam(getattr(model, name).parameters(), lr=1e-4)) for name in parts}
    )
    ready, alone = model.data_preprocessor(batch, True), deepcopy(model)
    source, target = ready['inputs']['source'], ready['inputs']['target']
    grey = torch.rand_like(torch.cat([source, target]))
    pose, latent = torch.rand(args.batch, 3 * JOINTS), torch.randn(args.batch, alone.vae.latent)
    pose, latent = pose.to(args.device), latent.to(args.device)
    plain = deepcopy(model.student)
    labels = ready['data_samples']['source']

    def step():
        model.train_step(batch, wrappers)

    def bare():
        student, head = alone.student, alone.student.head
        features = alone.features(source)
        with torch.no_grad():
            alone.features(target)
            alone.vae.encode(grey)
            fake = alone.generator(latent, pose)
        alone.discriminator(torch.cat([features.detach(), features.detach(), fake])).mean().backward()
        made = alone.generator(latent, pose)
        alone.generator(latent, pose).mean().backward()
        (alone.discriminator(made).mean() + head((made,)).mean()).backward(inputs=list(alone.generator.parameters()))
        (head((features,)).mean() + head((fake,)).mean()).backward(inputs=list(student.parameters()))
        alone.zero_grad()

    def source_only():
        sum(plain.loss(source, labels).values()).backward()
        plain.zero_grad()

    def predicted(network):
        with torch.no_grad():
            network(source, None, mode='tensor')

    def details():
        lines = [ratio(args, 'step / supervised step on the source', step, source_only)]
        model.eval(), plain.eval()
        lines += [ratio(args, 'prediction, adapter / estimator', lambda: predicted(model), lambda: predicted(plain))]
        return '\n'.join(lines)

    return Contest(step, bare, details=details)
