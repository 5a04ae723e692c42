"""RegDA's step: preprocessing, pseudo-maps, losses, three backward passes and three updates.

The bare time is a forward and backward pass of the source through backbone, upsampling and both heads, a forward pass
of the target, one backward pass into the adversarial head and one through it into upsampling and backbone.
"""

from __future__ import annotations

from argparse import Namespace
from copy import deepcopy

import torch
from mmengine.optim import OptimWrapper
from mmpose.structures import PoseDataSample
from step_common import Contest, estimator, labelled_samples

from mmposeda.registry import MODELS

# The authors' at the start of the adaptation, heads apart
RATE, HEAD_RATE = 0.01, 0.1
SGD = dict(momentum=0.9, weight_decay=1e-4, nesterov=True)


def build(args: Namespace) -> torch.nn.Module:
    """RegDA with the paper's heads, at the full coefficient: at 0 a step would be left out."""
    network = estimator(args, conv_out_channels=(256,), conv_kernel_sizes=(3,), loss=dict(type='HeatmapKLLoss'))
    return MODELS.build(dict(type='RegDA', estimator=network, coefficient=0.1)).to(args.device).train()


def make_batch(args: Namespace) -> dict:
    """Random pictures and heatmaps as the loader gives them, on the device."""
    target = PoseDataSample(metainfo=dict(domain='target'))
    size = (2 * args.batch, 3, args.size, args.size)
    pictures = torch.randint(0, 256, size, dtype=torch.uint8, device=args.device)
    return dict(inputs=list(pictures), data_samples=[*labelled_samples(args), *[target] * args.batch])


def optimizer(model: torch.nn.Module) -> torch.optim.Optimizer:
    """The authors' rates in one optimiser."""
    head = model.student.head
    feature = [*model.student.backbone.parameters(), *head.deconv_layers.parameters()]
    heads = [p for part in (head.conv_layers, head.final_layer, model.adversarial_head) for p in part.parameters()]
    return torch.optim.SGD([dict(params=feature), dict(params=heads, lr=HEAD_RATE)], lr=RATE, **SGD)


def contest(args: Namespace) -> Contest:
    """Get everything ready."""
    model, batch = build(args), make_batch(args)
    wrapper = OptimWrapper(optimizer(model))
    ready, alone = model.data_preprocessor(batch, True), deepcopy(model)
    source, target = ready['inputs']['source'], ready['inputs']['target']
    student, adversary, head = alone.student, alone.adversarial_head, alone.student.head

    def step():
        model.train_step(batch, wrapper)

    def bare():
        features = head.deconv_layers(student.extract_feat(source)[-1])
        out = head.final_layer(head.conv_layers(features)).square().mean()
        (out + adversary(features).square().mean()).backward()
        features = head.deconv_layers(student.extract_feat(target)[-1])
        with torch.no_grad():
            head.final_layer(head.conv_layers(features))
        adversary(features.detach()).square().mean().backward()
        adversary.requires_grad_(False)
        adversary(features).square().mean().backward()
        adversary.requires_grad_(True)
        alone.zero_grad()

    if not args.reference:
        return Contest(step, bare)
    from regda_reference import ReferenceStep

    theirs = deepcopy(model)
    reference = ReferenceStep(args.reference, theirs, ready, args.device, (RATE, HEAD_RATE), SGD)
    start = [p.detach().clone() for p in model.parameters()]

    def largest(one, other):
        return max(float((p - q).abs().max()) for p, q in zip(one, other))

    def compare():
        moved = largest(model.parameters(), start)
        apart = largest(model.parameters(), theirs.parameters())
        return f'weights after one step: moved by up to {moved:.2e}, from the reference by up to {apart:.2e}'

    return Contest(step, bare, reference, compare=compare)
