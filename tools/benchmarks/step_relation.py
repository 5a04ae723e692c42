"""The step of relation distillation on a relation of motions: two views of all frames, two encodings, one update.

The bare time is the passes of the networks that it takes: the estimator and the motion encoder on all frames of both
views, forward, and backward from the anchors' latents to the adapted stage; no views beside, no update. Beside it, the
same step with all of the estimator adapting, and a supervised step on as many pictures.
"""

from __future__ import annotations

from argparse import Namespace
from copy import deepcopy

import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from step_common import Contest, ratio

from mmposeda.engine.optimizers import LossOptimWrapperConstructor
from mmposeda.registry import MODELS

FRAMES, RELATION = 30, 'flip_inplane_backward(50)'
JOINTS = 17


def build(args: Namespace, **kwargs) -> torch.nn.Module:
    """The adapter at the paper's widths."""
    cells = args.size // 16
    estimator = dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3),
        backbone=dict(
            type='ResNet',
            depth=args.depth,
            num_stages=3,
            strides=(1, 2, 2),
            dilations=(1, 1, 1),
            out_indices=(2,),
        ),
        head=dict(
            type='LatentPoseHead',
            in_channels=256 if args.depth < 50 else 1024,
            grid=(cells, cells),
            pose=dict(type='PoseAAE'),
        ),
    )
    motion = dict(type='MotionAutoEncoder')
    config = dict(type='RelationDistillation', estimator=estimator, motion=motion, relations=RELATION, **kwargs)
    return MODELS.build(config).to(args.device).train()


def make_batch(args: Namespace) -> dict:
    """Random clips as the loader gives them, on the device."""
    size = (args.batch, 3 * FRAMES, args.size, args.size)
    clips = torch.randint(0, 256, size, dtype=torch.uint8, device=args.device)
    sample = PoseDataSample(metainfo=dict(domain='clip', task=RELATION))
    return dict(inputs=list(clips), data_samples=[sample] * args.batch)


def labelled(args: Namespace) -> list:
    """As many labelled samples as a batch has frames."""
    labels = InstanceData(
        root_pose=torch.randn(1, JOINTS, 3, device=args.device) * 300,
        root_pose_weights=torch.ones(1, JOINTS, device=args.device),
    )
    sample = PoseDataSample()
    sample.gt_instance_labels = labels
    return [sample] * (args.batch * FRAMES)


def contest(args: Namespace) -> Contest:
    """Get everything ready."""
    model, batch = build(args), make_batch(args)
    whole = build(args, adapt=[])
    wrappers, all_wrappers = (
        LossOptimWrapperConstructor(dict(default=dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-5))))(m)
        for m in (model, whole)
    )
    alone, plain = deepcopy(model), deepcopy(whole.student).train()
    shown = torch.randn(args.batch * FRAMES, 3, args.size, args.size, device=args.device)
    labels = labelled(args)

    def encoded():
        return alone.motion.encode(alone.latents(shown).unflatten(0, (args.batch, FRAMES)))

    def bare():
        with torch.no_grad():
            encoded()
        alone.relations.after(alone.relation_list[0], encoded()).mean().backward()
        alone.zero_grad()

    def supervised():
        sum(plain.loss(shown, labels).values()).backward()
        plain.zero_grad()

    def step():
        model.train_step(batch, wrappers)

    def adapt_all():
        whole.train_step(batch, all_wrappers)

    def details():
        return '\n'.join(
            [
                ratio(
                    args,
                    'all of the estimator adapting / this step',
                    lambda: whole.train_step(batch, all_wrappers),
                    step,
                ),
                ratio(args, 'step / supervised step on as many pictures', step, supervised),
            ]
        )

    return Contest(step, bare, note=f'{args.batch} clips of {FRAMES} frames, {RELATION}', details=details)
