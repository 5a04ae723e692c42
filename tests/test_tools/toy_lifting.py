"""A tiny lifting task: a skeleton that wobbles through a pack of motion capture, and networks of a few neurons."""

import textwrap

import numpy as np

from mmposeda.datasets.mocap import JOINT_NAMES

NETWORK = '''
import os

from mmposeda.models.networks.lifters import MLPLifter
from mmposeda.models.networks.pose_augmentor import PoseEditor
from mmposeda.registry import MODELS
from mmposeda.structures.kinematics import split_bones
from torch import nn


@MODELS.register_module(force=True)
class ToyLifter(MLPLifter):
    """Without batch statistics, or with NaN in chosen calls, where asked for."""

    def __init__(self, norm=True, nan_at=(), nan_rank=0, **kwargs):
        super().__init__(**{'channels': 16, 'num_blocks': 1, **kwargs})
        if not norm:
            for layer in (self.expand, *self.blocks[0]):
                layer.norm = nn.Identity()
        here = int(os.environ.get('RANK', 0)) == nan_rank
        self.nan_at, self.calls = nan_at if here else (), -1  # the estimator's own check is call 0

    def lift(self, points):
        self.calls += 1
        return super().lift(points * float('nan') if self.calls in self.nan_at else points)


@MODELS.register_module(force=True)
class ToyAugmentor(PoseEditor):
    """Turns every pose the same way, and leaves so many of a batch in the picture (by process, or None for all)."""

    def __init__(self, skeleton, kept=None):
        super().__init__(skeleton)
        self.kept = kept[int(os.environ.get('RANK', 0))] if isinstance(kept, (list, tuple)) else kept

    def forward(self, pose):
        unit, length = split_bones(self.tree.bones(pose))
        zeros = pose.new_zeros(len(pose), 3)
        place = pose[:, self.tree.root].clone()
        if self.kept is not None:
            place[self.kept :, 0] += 100
        change = pose.new_zeros(len(pose), self.tree.num_length_groups)
        return self.edit(pose, unit, length, unit.roll(1, -1), change, zeros + 0.1, place)
'''

CONFIG = """
import sys
sys.path.insert(0, '{folder}')
_base_ = ['{runtime}']
custom_imports = dict(imports=['toy_lifter'], allow_failed_imports=False)
model = dict(
    type='PoseAug',
    estimator=dict(
        type='PoseLifter',
        backbone=dict(type='ToyLifter'),
        head=dict(type='LiftingHead', decoder=dict(type='ScreenPoseLifting')),
    ),
    augmentor=dict(type='PoseAugmentor', hidden=16),
    disc3d=dict(type='KCSDiscriminator', hidden=16, last_hidden=8),
    disc2d=dict(type='PoseDiscriminator2D', hidden=16),
    pool_size=16,
)
dataset = dict(
    type='CMUMocapDataset',
    data_root='{folder}',
    files='motion.npz',
    cameras=[dict(azimuth=30, elevation=10, distance=5, focal=1.1)],
)
train_dataloader = dict(
    batch_size=24,
    num_workers={workers},
    sampler=dict(type='DomainSampler', quotas=[8, 8, 8]),
    dataset=dict(type='PoseStreams', dataset=dataset),
    collate_fn=dict(type='take_batch'),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(test_mode=True, **dataset),
    collate_fn=dict(type='take_batch'),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='LiftingMetric', modes=['mpjpe', 'pa-mpjpe'])
test_evaluator = val_evaluator
val_cfg = dict()
test_cfg = dict()
part = dict(optimizer=dict(type='Adam', lr=1e-2), clip_grad=dict(max_norm=1))
optim_wrapper = dict(
    constructor='PartOptimWrapperConstructor', augmentor=part, disc3d=part, disc2d=part, student=part)
model_wrapper_cfg = dict(type='PartParallel')
default_hooks = dict(logger=dict(interval=1))
"""

#: an iteration makes all updates
JOINT = """
train_cfg = dict(type='IterBasedTrainLoop', max_iters=4, val_interval=4)
param_scheduler = [dict(type='LinearLR', start_factor=1.0, end_factor=0.1, end=4, by_epoch=False)]
default_hooks = dict(
    checkpoint=dict(interval=2),
    schedule=dict(type='ScheduleHook', schedules=[dict(attribute='hard_ratio_ba', start=3.0, end=5.0)]),
)
"""

#: nothing that is drawn at random, and no statistics of a batch; KEPT of a batch lie in the picture
STILL = """
model = dict(
    estimator=dict(backbone=dict(norm=False, dropout=0.0)),
    augmentor=dict(_delete_=True, type='ToyAugmentor', kept={kept}),
    disc3d=None,
    disc2d=None,
    feedback=None,
    swap_lengths=False,
)
optim_wrapper = dict(student=dict(optimizer=dict(_delete_=True, type='SGD', lr=0.05, momentum=0.9)))
"""

#: an epoch is 5 iterations of augmentation, some on fakes, and 5 on pairs; WARM_UP epochs end after the first of these
LOOP = """
train_cfg = dict(type='PoseAugEpochLoop', max_epochs=2, val_interval=2)
param_scheduler = [dict(type='LinearLR', start_factor=1.0, end_factor=0.1, end=2, by_epoch=True)]
log_processor = dict(by_epoch=True)
default_hooks = dict(
    checkpoint=dict(by_epoch=True, interval=1),
    schedule=dict(
        type='ScheduleHook',
        by_epoch=True,
        schedules=[
            dict(attribute='hard_ratio_ba', start=3.0, end=5.0),
            dict(attribute='lifter_active', start=0.0, end=1.0, curve='step', begin=-1, finish={warm_up}),
        ],
    ),
)
"""


def write_motion(path, frames=40, seed=0):
    """Someone 1.7 m tall whose every joint wanders about, in one clip."""
    rng = np.random.default_rng(seed)
    height = dict(hip=0, knee=-420, foot=-850, shoulder=430, elbow=200, wrist=0)
    aside = dict(hip=100, knee=110, foot=110, shoulder=180, elbow=300, wrist=350)
    middle = dict(root=0, spine=200, thorax=450, neck_base=520, head=700)
    rest = np.zeros((len(JOINT_NAMES), 3))
    for row, name in zip(rest, JOINT_NAMES):
        side, _, joint = name.partition('_')
        row[:2] = (0, middle[name]) if name in middle else ((1 if side == 'left' else -1) * aside[joint], height[joint])
    poses = rest + rng.normal(0, 12, (frames, *rest.shape)).cumsum(0)
    np.savez(
        path,
        poses=(poses - poses[:, :1]).astype('f4'),
        root=np.full((frames, 3), (0, 1000, 0), 'f4'),
        clip_start=np.array([0]),
        clip_len=np.array([frames]),
        clip_id=np.array(['01_01']),
        subject=np.array(['01']),
        action=np.array(['wobble']),
        fps=30,
        joint_names=np.array(JOINT_NAMES),
    )


def write_lifting(folder, runtime, more=JOINT, workers=0, frames=40):
    """Write the motion, the networks and two configs; return the path of that of the run, which ``more`` makes."""
    write_motion(folder / 'motion.npz', frames)
    (folder / 'toy_lifter.py').write_text(NETWORK)
    text = CONFIG.replace('{folder}', str(folder)).replace('{runtime}', str(runtime))
    (folder / 'task.py').write_text(text.replace('{workers}', str(workers)))
    run = folder / 'lifting.py'
    run.write_text(f"_base_ = ['{folder}/task.py']\n{textwrap.dedent(more)}")
    return run
