"""An epoch of PoseAug: augmentor and discriminators, the lifter on the fakes, the lifter on real pairs.

What is timed is all that a training run does in an epoch, with its loader, loop and hooks but without validation and
checkpoints. The bare time is that of the networks: forward and backward passes of the augmentor through both
discriminators and, for the fakes, the lifter; of the lifter on the source, without gradient; of each discriminator on
twice a batch, in every second step; and of the lifter in training on two batches. No optimiser, no losses, no pools.
"""

from __future__ import annotations

import tempfile
from argparse import Namespace
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from poseaug_costs import host_waits, memory
from poseaug_data import DrawnPoses, start_before_camera
from step_common import Contest
from torch import nn

from mmposeda.engine.loops import EpochBasedTrainLoop
from mmposeda.engine.pose_aug_loop import PoseAugEpochLoop
from mmposeda.engine.stages import stage_config
from mmposeda.models.lifting_head import lift
from mmposeda.registry import LOOPS

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'poseaug' / 'h36m2cross'
PARTS = 'student', 'augmentor', 'disc3d', 'disc2d'
PHASES = 'augmentor and discriminators', 'lifter on fakes', 'lifter on real'
ORDERS = dict(epoch='phase after phase', joint='all updates in each step')
MEMORY_SIZES = 16384, 65536


class HeldLoop:
    """A loop that :meth:`Runner.train` makes ready, and whose epochs are run from outside."""

    def run(self) -> torch.nn.Module:
        """Do what comes before the first epoch."""
        self.dataloader.plan(self._max_epochs * len(self.dataloader))
        self.runner.call_hook('before_train')
        return self.runner.model


@LOOPS.register_module()
class HeldEpochLoop(HeldLoop, PoseAugEpochLoop):
    """Phase after phase."""


@LOOPS.register_module()
class HeldJointLoop(HeldLoop, EpochBasedTrainLoop):
    """All updates in each step."""


class PhaseClock(Hook):
    """Adds up time, steps and poses of every phase.

    Args:
        clock (Callable): Seconds, once the device has done what it was given.
    """

    priority = 'LOWEST'

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.seconds, self.steps, self.poses = Counter(), Counter(), Counter()

    def before_train_epoch(self, runner) -> None:
        """The first phase includes what its loader needs to start."""
        self._phase, self._start = None, self.clock()

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """See whose batch it is."""
        samples = data_batch['data_samples']
        phase = PHASES[0] if 'pairs' in samples else PHASES[1] if 'fake' in samples else PHASES[2]
        if self._phase not in (None, phase):
            self._end()
        self._phase = phase
        self.steps[phase] += 1
        self.poses[phase] += len(samples.get('pairs', samples.get('fake', samples))['index'])

    def after_train_epoch(self, runner, metrics=None) -> None:
        """The last phase ends."""
        self._end()

    def _end(self) -> None:
        now = self.clock()
        self.seconds[self._phase] += now - self._start
        self._start = now


def settings(args: Namespace) -> Config:
    """The config with which we train on Human3.6M, beyond the warm-up, on drawn poses."""
    lifter = 'vpose' if args.lifter == 'small' else args.lifter
    config = stage_config(Config.fromfile(str(CONFIGS / f'poseaug_{lifter}_1xb1024-50e_h36m-gt2cross.py')), 'poseaug')
    loader = config.train_dataloader
    loader.batch_size, loader.sampler.quotas = 3 * args.batch, [args.batch] * 3
    loader.sampler.epoch_length = args.poses // args.batch
    loader.dataset.dataset = dict(type='DrawnPoses', number=args.poses)
    if args.lifter == 'small':
        config.model.estimator.backbone.update(num_blocks=1, channels=8)
        for part in ('augmentor', 'disc3d', 'disc2d'):
            config.model[part].hidden = 8
    for part in ('val_dataloader', 'val_evaluator', 'val_cfg', 'test_dataloader', 'test_evaluator', 'test_cfg'):
        config[part] = None
    config.default_hooks.checkpoint = config.load_from = None
    config.custom_hooks = [hook for hook in config.custom_hooks if hook.type != 'ScheduleHook']  # no warm-up
    config.train_cfg = dict(type=f'Held{args.order.title()}Loop', max_epochs=10**6)
    config.log_level = 'ERROR'
    return config


class Epochs:
    """Ours; each call is an epoch of a training run.

    Args:
        args (Namespace): The command line.

    Attributes:
        phases (PhaseClock): What each took.
        dataset (DrawnPoses): All poses.
    """

    def __init__(self, args: Namespace) -> None:
        self._folder = tempfile.TemporaryDirectory()
        config = settings(args)
        # what MMEngine keeps per process is named after the experiment
        config.work_dir, config.experiment_name = self._folder.name, Path(self._folder.name).name
        config.visualizer.update(name=config.experiment_name, vis_backends=[])
        runner = Runner.from_cfg(config)
        self.phases = PhaseClock(settled(args))
        runner.register_hook(self.phases)
        self.model, self.device = runner.model.to(args.device), args.device
        head = self.model.augmentor.translation_head
        start_before_camera(head.weight, head.bias)
        runner.train()
        self.loop = runner.train_loop
        self.dataset: DrawnPoses = self.loop.dataloader.dataset.datasets[0]

    @property
    def seconds(self) -> Counter:
        """Time by phase, over all epochs."""
        return self.phases.seconds

    @property
    def kept(self) -> float:
        """Share of the fakes that the lifter saw."""
        return self.phases.poses[PHASES[1]] / self.phases.poses[PHASES[0]]

    def __call__(self) -> None:
        """Run one."""
        self.loop.run_epoch()

    def networks(self, batch: int) -> Callable[[], None]:
        """Their passes in an epoch alone, on a copy of them."""
        parts = deepcopy(nn.ModuleDict({name: getattr(self.model, name) for name in PARTS}))
        given = self.dataset.__getitems__(range(batch))['inputs']
        pose, points = (given[key].to(self.device) for key in ('pose', 'keypoints'))
        lifter, augmentor, disc3d, disc2d = parts.values()

        def learn(network, *outputs):
            total = sum(output.square().mean() for output in outputs)
            total.backward(inputs=list(network.parameters()))

        def epoch():
            for step in range(len(self.dataset) // batch):
                fake = augmentor(pose)
                flat = fake.rt[..., :2]
                lifter.eval()
                with torch.no_grad():
                    lift(lifter, points)
                lifted = lift(lifter, torch.cat([fake.ba[..., :2], flat]))
                learn(augmentor, disc3d(fake.ba), disc2d(flat), lifted)
                if step % self.model.disc_interval == 0:
                    learn(disc3d, disc3d(torch.cat([pose, fake.ba.detach()])))
                    learn(disc2d, disc2d(torch.cat([points, flat.detach()])))
                lifter.train()
                for _ in range(2):
                    learn(lifter, lift(lifter, points))
                parts.zero_grad()

        return epoch


def settled(args: Namespace) -> Callable[[], float]:
    """The clock, read once the device has done what it was given."""

    def clock():
        if args.device.startswith('cuda'):
            torch.cuda.synchronize()
        return args.now()

    return clock


def build_small(args: Namespace) -> Epochs:
    """Epochs with next to no networks, whose memory is that of the poses."""
    init_default_scope('mmposeda')
    return Epochs(Namespace(**{**vars(args), 'lifter': 'small'}))


def their_epochs(args: Namespace, dataset: DrawnPoses):
    """The authors' on the same poses."""
    from poseaug_reference import ReferenceEpochs

    given = dataset.__getitems__(range(len(dataset)))['inputs']
    arrays = (given[key].numpy() for key in ('pose', 'keypoints', 'camera'))
    return ReferenceEpochs(args.reference, *arrays, args.lifter, args.batch, args.device, args.workers, settled(args))


def build_their_small(args: Namespace):
    """Theirs with next to no lifter."""
    epochs = their_epochs(args, DrawnPoses(number=args.poses))
    epochs.learn_with(nn.Sequential(nn.Flatten(), nn.Linear(32, 48), nn.Unflatten(1, (16, 3))))
    return epochs


def shares(name: str, one) -> str:
    """A line of the time by phase."""
    total = sum(one.seconds.values())
    parts = ', '.join(f'{phase} {100 * seconds / total:.1f} %' for phase, seconds in one.seconds.items())
    return f'{name:10s} {parts}; fakes kept {100 * one.kept:.1f} %'


def contest(args: Namespace) -> Contest:
    """Get everything ready."""
    ours = Epochs(args)
    title = f'{args.lifter}, {args.poses} poses, batch {args.batch}, {ORDERS[args.order]}'
    theirs = their_epochs(args, ours.dataset) if args.reference else None

    def details() -> str:
        lines = [shares('step', ours)] if args.order == 'epoch' else []
        lines += [shares('reference', theirs)] if theirs else []
        if args.profile:
            lines.append(host_waits(ours, ours.phases.steps, args.device))
        if args.memory:
            lines.append('memory of an epoch\n' + memory(build_small, args, MEMORY_SIZES))
        if args.memory and theirs:
            lines.append("memory of the reference's\n" + memory(build_their_small, args, MEMORY_SIZES))
        return '\n'.join(lines)

    return Contest(ours, ours.networks(args.batch), theirs, title=title, poses=args.poses, details=details)
