"""A tiny adaptation: the toy task's pictures as source and, redrawn, as unlabelled target; a network with dropout."""

import textwrap

from toy import write_toy

NETWORK = '''
import os

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmpose.registry import MODELS, TRANSFORMS
from torch import nn


@TRANSFORMS.register_module(force=True)
class ToyDepth(BaseTransform):
    """A 3D label, the deeper the farther to the right and below."""

    def transform(self, results):
        points = results['keypoints']
        depth = 1000 + 10 * points[..., :1] + 5 * points[..., 1:]
        results.update(keypoints_3d_cam=np.concatenate([points, depth], -1), camera=dict(f=[100.0, 100.0]))
        return results


@MODELS.register_module(force=True)
class ToyBackbone(nn.Module):
    """Two convolutions, stride 4; batch statistics, dropout, NaN in chosen calls and a large file where asked for."""

    def __init__(self, dropout=0.0, norm=True, nan_at=(), nan_gradient_at=(), nan_rank=0, ballast=0):
        super().__init__()
        norm_layer = nn.BatchNorm2d(8) if norm else nn.Identity()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), norm_layer, nn.ReLU(), nn.Dropout(dropout), nn.Conv2d(8, 8, 3, 2, 1)
        )
        here = int(os.environ.get('RANK', 0)) == nan_rank
        self.nan_at, self.nan_gradient_at, self.calls = nan_at if here else (), nan_gradient_at if here else (), 0
        self.register_buffer('ballast', torch.zeros(ballast))

    def init_weights(self):
        pass

    def forward(self, x):
        self.calls += self.training
        if self.training and self.calls in self.nan_at:
            x = x * float('nan')
        x = self.layers(x)
        if self.training and self.calls in self.nan_gradient_at:
            x.register_hook(lambda gradient: gradient * float('nan'))
        return (x,)
'''

CONFIG = """
import sys
sys.path.insert(0, '{folder}')
custom_imports = dict(imports=['toy_network'], allow_failed_imports=False)
estimator = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[127.0] * 3, std=[64.0] * 3),
    backbone=dict(type='ToyBackbone', dropout=0.2),
    head=dict(
        type='HeatmapHead',
        in_channels=8,
        out_channels=2,
        deconv_out_channels=None,
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=codec,
    ),
)
model = dict(_delete_=True, type='SourceOnly', estimator=estimator)
augmented = [pipeline[0], pipeline[1], dict(type='RandomFlip'), dict(type='RandomBBoxTransform'), *pipeline[2:]]
train_dataloader = dict(
    _delete_=True,
    batch_size=4,
    num_workers={workers},
    sampler=dict(type='DomainSampler', quotas=[2, 2]),
    dataset=dict(
        type='CombinedDataset',
        metainfo=dict(from_file='{folder}/metainfo.py'),
        datasets=[
            dict(pipeline=augmented, **dataset),
            dict(type='UnlabeledDataset', dataset=dict(
                pipeline=[*augmented[:5], augmented[-1]], **{**dataset, 'data_root': '{folder}/target'})),
        ],
    ),
)
optim_wrapper = dict(optimizer=dict(type='Adam', lr=0.01))
"""

UDAPE = """
model = dict(type='UDAPE', style=dict(type='StatisticsStyleTransfer'), keep_rate=0.9, teacher_bn='ema',
             occlusion_threshold=0.0)
custom_hooks = [dict(type='MeanTeacherHook')]
default_hooks = dict(
    schedule=dict(type='ScheduleHook', schedules=[dict(attribute='consistency_weight', start=0.5, end=1.5)]))
"""

DDC = "model = dict(type='DDC')\n"
DAN = "model = dict(type='DAN')\n"
DANN = """
model = dict(type='DANN', hidden=16)
default_hooks = dict(schedule=dict(
    type='ScheduleHook', schedules=[dict(attribute='reverse.coefficient', start=0.0, end=1.0, curve='sigmoid')]))
"""

REGDA = """
model = dict(type='RegDA', estimator=dict(head=dict(loss=dict(_delete_=True, type='HeatmapKLLoss'))))
default_hooks = dict(schedule=dict(
    type='ScheduleHook', schedules=[dict(attribute='scale.coefficient', start=0.0, end=0.1, curve='sigmoid')]))
"""

# the target's pipeline without what is random
CCSSL_TARGET = """
source, target = _base_.train_dataloader['dataset']['datasets']
random = ('RandomFlip', 'RandomBBoxTransform')
target['dataset']['pipeline'] = [step for step in target['dataset']['pipeline'] if step['type'] not in random]
train_dataloader = dict(dataset=dict(datasets=[source, target]))
"""
CCSSL = f"""
model = dict(type='CCSSL')
{CCSSL_TARGET}
custom_hooks = [dict(type='PseudoRelabelHook', rounds=3)]
"""

# 3D labels in the source, and pairs of the target's pictures. Poses are in lengths of 64 pixels, so that bones differ.
PAIRS = """
source, target = _base_.train_dataloader['dataset']['datasets']
load, *augment, pack = source['pipeline']
source['pipeline'] = [load, dict(type='ToyDepth'), *augment, dict(type='ScreenPose'), pack]
pairs = dict(type='PairSequenceDataset', gap=(1, 3), dataset=dict(target['dataset'], pipeline=_base_.val_pipeline))
train_dataloader = dict(
    batch_size=6, sampler=dict(quotas=[2, 2, 2]), dataset=dict(datasets=[source, target, pairs])
)
metafile = _base_.train_dataloader['dataset']['metainfo']['from_file']
custom_hooks = [dict(type='MeanTeacherHook'), dict(type='MaskCombinerHook', interval=4)]
"""
RECONSTRUCTION = f"""
{PAIRS}
model = dict(
    type='GeometricReconstruction',
    keep_rate=0.9,
    depth=dict(skeleton=metafile, root='left', reference=('left', 'right'), min_reference=64.0),
    reconstruction=dict(
        warp_estimator=dict(width=2, max_width=4, num_blocks=1),
        generator=dict(width=2, num_residual=1),
        perceptual=dict(features='pyramid_l1', factors=(1, 2)),
        displacement=(0.02, 1.0),
    ),
    balance=dict(iterations=5),
    occlusion_threshold=0.0,
)
"""
# the pictures deformed in the model, in place of sequences
SELF_PAIRS = """
train_dataloader['dataset']['datasets'][2] = dict(type='SelfPairDataset', dataset=target['dataset'])
"""

# 3D labels as places in a volume; poses of two joints, so one bone.
CAUSAL = """
source, target = _base_.train_dataloader['dataset']['datasets']
metafile = _base_.train_dataloader['dataset']['metainfo']['from_file']
volume = dict(type='VolumePose3D', input_size=(32, 32), volume_size=(16, 16, 8))
depth = dict(type='RelativeDepth', skeleton=metafile, root='left')
load, *augment, labels, pack = source['pipeline']
source['pipeline'] = [load, dict(type='ToyDepth'), *augment, depth, dict(labels, encoder=volume), pack]
train_dataloader = dict(batch_size=6, sampler=dict(quotas=[3, 3]), dataset=dict(datasets=[source, target]))
head = dict(type='VolumetricIntegralHead', skeleton=metafile, root='left', decoder=volume, dim=64, deconv_channels=(8,))
model = dict(
    type='CausalIntervention',
    estimator=dict(neck=dict(type='FeatureNeck', in_channels=8, dim=64), head=dict(_delete_=True, **head)),
    vae=dict(type='ImageVAE', input_size=16, latent=4),
    generator=dict(hidden=(16,)),
    discriminator=dict(hidden=16),
)
adam = dict(optimizer=dict(type='Adam', lr=0.01))
optim_wrapper = dict(
    _delete_=True, constructor='PartOptimWrapperConstructor', student=adam, generator=adam, discriminator=adam
)
model_wrapper_cfg = dict(type='PartParallel')
"""


def write_adaptation(folder, runtime, more='', workers=0, count=7):
    """Write pictures of both domains, the network and two configs; return the path of the adaptation's."""
    (folder / 'target').mkdir()
    write_toy(folder / 'target', runtime, count=count + 2)
    base = write_toy(folder, runtime, count=count)
    (folder / 'toy_network.py').write_text(NETWORK)
    text = CONFIG.replace('{folder}', str(folder)).replace('{workers}', str(workers))
    adaptation = folder / 'adaptation.py'
    # one file after the other: a child's values are merged over its base's
    task, run = folder / 'task.py', textwrap.dedent(more)
    task.write_text(base.read_text() + text.replace('_delete_=True, ', '').replace('    _delete_=True,\n', ''))
    adaptation.write_text(f"_base_ = ['{task}']\n{run}")
    return adaptation
