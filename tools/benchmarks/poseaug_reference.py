"""Runs the epochs of the authors' PoseAug, from a clone of their code, on poses in memory."""

from __future__ import annotations

import os
import sys
import types
import warnings
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO

import numpy as np
import torch
from poseaug_data import start_before_camera
from step_clone import StandIns, load_script, old_stack
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from mmposeda.structures.skeleton import Skeleton

REPOSITORY = 'jfzhang95/PoseAug'
SCRIPT = 'run_poseaug.py'
PACKAGES = ('common', 'function_baseline', 'function_poseaug', 'models_baseline', 'models_poseaug', 'progress', 'utils')
# As in the commands of their README: the rest of the settings are their defaults.
LIFTERS = dict(
    vpose=('--posenet_name', 'videopose'),
    mlp=('--posenet_name', 'mlp', '--stages', '2'),
    gcn=('--posenet_name', 'gcn', '--dropout', '0', '--lr_p', '1e-3'),
    stgcn=('--posenet_name', 'stgcn', '--dropout', '0'),
)
# Behind the warm-up of two: the feedback counts and the lifter learns.
EPOCH = 3


def angle_axis_to_rotation_matrix(turn: Tensor) -> Tensor:
    """Rotations (B, 4, 4) about axes (B, 3) by their norms, in radians: Rodrigues' formula, as torchgeometry has it."""
    angle = turn.norm(dim=1, keepdim=True)
    x, y, z = (turn / (angle + 1e-6)).unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).view(-1, 3, 3)
    sine, cosine = angle.sin()[..., None], angle.cos()[..., None]
    rotation = torch.eye(4, dtype=turn.dtype, device=turn.device).repeat(len(turn), 1, 1)
    rotation[:, :3, :3] += sine * cross + (1 - cosine) * cross @ cross
    return rotation


class _Bar:
    """A progress bar that shows nothing."""

    elapsed_td = eta_td = 0

    def __init__(self, *args, **kwargs) -> None:
        pass

    def next(self) -> None:
        pass

    finish = next


# What their epoch needs of other libraries, and what it does without: figures, evaluation, files of Human3.6M
GIVEN = {
    'torchgeometry': dict(angle_axis_to_rotation_matrix=angle_axis_to_rotation_matrix),
    'progress.bar': dict(Bar=_Bar),
    'function_poseaug.poseaug_viz': dict(plot_poseaug=lambda *args: None),
}
UNUSED = StandIns(
    'progress',
    'tensorboardX',
    'utils.log',
    'function_poseaug.data_preparation',
    'function_poseaug.model_pos_eval',
    *GIVEN,
    submodules=('bar',),
    given=GIVEN,
)


class _Torch(types.ModuleType):
    """torch, whose every device is one device: their files name 'cuda'."""

    def __init__(self, device: str) -> None:
        super().__init__('torch')
        self.device = lambda *_: torch.device(device)

    def __getattr__(self, name: str):
        return getattr(torch, name)


class ReferenceEpochs:
    """Each call is one epoch beyond the warm-up.

    Their files run as cloned. Left out are what they write (figures, tensorboard, progress), the evaluation and the
    schedulers.

    Args:
        path (str): Clone of jfzhang95/PoseAug.
        poses (np.ndarray): (N, 16, 3), metres, camera frame.
        points (np.ndarray): (N, 16, 2), screen coordinates.
        cameras (np.ndarray): (N, 9), screen units.
        lifter (str): A key of ``LIFTERS``.
        batch (int): Poses a batch.
        device (str): 'cpu' or 'cuda'.
        workers (int): Processes of each loader; theirs is 2.
        clock (Callable): Seconds, once the device has done what it was given.

    Attributes:
        seconds (Counter): Time by phase, over all epochs.

    Raises:
        FileNotFoundError: The folder is no such clone.
    """

    def __init__(
        self, path: str, poses: np.ndarray, points: np.ndarray, cameras: np.ndarray, lifter: str, batch: int,
        device: str, workers: int, clock: Callable[[], float],
    ) -> None:  # fmt: skip
        self.path, self.device = os.path.abspath(path), torch.device(device)
        with self._at_home():
            self.script = script = load_script(
                self.path, SCRIPT, REPOSITORY, UNUSED, forget=(*PACKAGES, 'torchgeometry', 'tensorboardX')
            )
            for function in (script.train_gan, script.get_poseaug_model):
                function.__globals__['torch'] = _Torch(device)
            flags = [*LIFTERS[lifter], '--batch_size', str(batch), '--num_workers', str(workers)]
            self.args = self._settings(flags)
            skeleton = Skeleton.from_metainfo('body16_3d')
            dataset = Namespace(skeleton=lambda: Namespace(num_joints=lambda: 16, parents=lambda: skeleton.parents))
            self.learn_with(script.model_pos_preparation(self.args, dataset, self.device))
            self.networks = script.get_poseaug_model(self.args, dataset)
            self.data = self._loaders(script.dataloader_update.__globals__['PoseDataSet'], poses, points, cameras)
        last = self.networks['model_G'].RTprocess.w2_T
        start_before_camera(last.weight, last.bias)
        self.criterion = torch.nn.MSELoss()
        self.pools = script.Sample_from_Pool(), script.Sample_from_Pool()
        self.summary = script.Summary('')
        self.summary.epoch = EPOCH
        self.clock, self.seconds = clock, Counter()
        self.writer = Namespace(add_scalar=lambda *args: None)

    def __call__(self) -> None:
        """Run one."""
        script, data = self.script, self.data
        networks = self.networks, data, self.lifter, self.criterion
        with self._at_home():
            self._time('swap of lengths', script.dataloader_update, self.args, data, self.device)
            pools = *self.pools, self.summary, self.writer
            self._time('augmentor and discriminators', script.train_gan, self.args, *networks, *pools)
            for name, pairs in dict(fakes='train_fake2d3d_loader', real='train_det2d3d_loader').items():
                learning = self.lifter, data[pairs], self.optimizer, self.criterion, self.device
                self._time(f'lifter on {name}', script.train_posenet, *learning)

    def learn_with(self, lifter: nn.Module) -> None:
        """Take a lifter, (B, 16, 2) to (B, 16, 3)."""
        self.lifter = lifter
        self.optimizer = torch.optim.Adam(lifter.parameters(), lr=self.args.lr_p)

    @property
    def kept(self) -> float:
        """Share of the fakes that the lifter saw in the last epoch."""
        fake, pairs = (self.data[f'train_{kind}2d3d_loader'].dataset for kind in ('fake', 'det'))
        return len(fake) / len(pairs)

    def _time(self, phase: str, function: Callable, *args) -> None:
        start = self.clock()
        function(*args)
        self.seconds[phase] += self.clock() - start

    def _settings(self, flags: list[str]) -> Namespace:
        command = sys.argv
        sys.argv = [SCRIPT, *flags]
        try:
            return self.script.get_parse_args()
        finally:
            sys.argv = command

    def _loaders(self, dataset: type[Dataset], *arrays: np.ndarray) -> dict[str, DataLoader]:
        poses, points, cameras = arrays
        pairs = dataset([poses], [points], [['none'] * len(poses)], [cameras])
        size, workers = self.args.batch_size, self.args.num_workers
        names = 'train_det2d3d_loader', 'train_gt2d3d_loader'  # their swap makes all others anew
        return {
            name: DataLoader(pairs, batch_size=size, shuffle=True, num_workers=workers, pin_memory=True)
            for name in names
        }

    @contextmanager
    def _at_home(self) -> Iterator[None]:
        """Their working directory, from which they read a file every batch, and an older stack."""
        here = os.getcwd()
        with old_stack(self.device.type), redirect_stdout(StringIO()), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            try:
                if os.path.isdir(self.path):
                    os.chdir(self.path)
                yield
            finally:
                os.chdir(here)
