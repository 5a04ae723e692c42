"""Runs the authors' UDAPE step, from a clone of their repository, on our networks and tensors."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import math
import sys
import types
from argparse import Namespace
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def _affine(img, angle, translate, scale, shear):
    """The tensor path of torchvision's ``functional.affine``: a nearest-neighbour grid sample about the centre."""
    turn, (sx, sy) = math.radians(angle), (math.radians(s) for s in shear)
    a, b = math.cos(turn - sy) / math.cos(sy), -math.cos(turn - sy) * math.tan(sx) / math.cos(sy) - math.sin(turn)
    c, d = math.sin(turn - sy) / math.cos(sy), -math.sin(turn - sy) * math.tan(sx) / math.cos(sy) + math.cos(turn)
    height, width = img.shape[-2:]
    inverse = np.array([[d, -b], [-c, a]]) / scale
    offset = -inverse @ np.array(translate, float)
    theta = torch.tensor(
        [
            [inverse[0, 0], inverse[0, 1] * height / width, 2 * offset[0] / width],
            [inverse[1, 0] * width / height, inverse[1, 1], 2 * offset[1] / height],
        ],
        dtype=img.dtype,
        device=img.device,
    )
    grid = F.affine_grid(theta[None], (1, *img.shape), align_corners=False)
    return F.grid_sample(img[None], grid, mode='nearest', align_corners=False)[0]


_SUBMODULES = ('datasets', 'models', 'transforms', 'functional', 'utils', 'resnet', 'keypoint_detection')


class _StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives any module of some packages, with any name in it.

    Of torchvision the step uses ``functional.affine`` alone; of the reference's own data loading, nothing.
    """

    def __init__(self, *packages: str) -> None:
        self.packages = packages

    def find_spec(self, name, path=None, target=None):
        known = any(name == package or name.startswith(f'{package}.') for package in self.packages)
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if known else None

    def create_module(self, spec):
        return types.ModuleType(spec.name)

    def exec_module(self, module):
        def anything(name):
            if name in _SUBMODULES or name.startswith('__'):
                raise AttributeError(name)  # the import system finds it
            return type(name, (nn.Module,), {})

        module.__getattr__ = anything
        if module.__name__ == 'torchvision.transforms.functional':
            module.affine = _affine


@contextmanager
def _patched(device: str):
    """What the reference needs of an older stack: ``np.int``, and ``.cuda()`` where there is no such device."""
    saved = torch.Tensor.cuda
    vars(np)['int'] = int
    if device == 'cpu':
        torch.Tensor.cuda = lambda self, *args, **kwargs: self
    try:
        yield
    finally:
        torch.Tensor.cuda = saved
        del vars(np)['int']


class _Heatmaps(nn.Module):
    """An estimator as a plain network from pictures to heatmaps."""

    def __init__(self, estimator: nn.Module) -> None:
        super().__init__()
        self.estimator = estimator

    def forward(self, x):
        return self.estimator.head(self.estimator.extract_feat(x))


class ReferenceStep:
    """One call is one iteration of ``train_human.train`` on ready batches (their data loading is left out).

    Args:
        path (str): Clone of VisionLearningGroup/UDA_PoseEstimation.
        model (nn.Module): Our UDAPE: its student, teacher and style network are used as they are.
        batch (dict): Our batch; shapes and device are taken from it.
        device (str): 'cpu' or 'cuda'.

    Attributes:
        note (str): What stands in for missing parts.

    Raises:
        FileNotFoundError: The folder is no such clone.
    """

    def __init__(self, path: str, model: nn.Module, batch: dict, device: str) -> None:
        if not (Path(path) / 'train_human.py').is_file():
            raise FileNotFoundError(f'{path} is no clone of VisionLearningGroup/UDA_PoseEstimation (no train_human.py)')
        self.device = device
        self.note = self._import_torchvision()
        self.module = self._load(path)
        source, target = batch['inputs']['source'], batch['inputs']['target']
        number, side = len(source), source.shape[-1] // 4
        maps = torch.stack([s.gt_fields.heatmaps for s in batch['data_samples']['source']])
        weights = torch.ones(*maps.shape[:2], 1, device=device)
        draw = np.random.default_rng(0).uniform
        parameters = [
            torch.tensor(draw(-60, 60, number)),
            [torch.tensor(draw(-0.05, 0.05, number) * target.shape[-1]).round() for _ in range(2)],
            [torch.tensor(draw(-30, 30, number)), torch.zeros(number)],
            torch.tensor(draw(0.6, 1.3, number)),
        ]
        meta = {'aug_param_stu': parameters, 'target_ori': maps, 'target_weight_ori': weights}
        self.source = itertools.repeat((source, maps, weights, {}))
        self.target = (
            (target.clone(), None, None, meta, [target.clone()], None, None, [{'aug_param_tea': parameters}])
            for _ in itertools.count()
        )
        self.student, self.teacher = _Heatmaps(model.student), _Heatmaps(model.teacher)
        self.style = self._style(model)
        self.optimizer = torch.optim.Adam(model.student.parameters(), 1e-4)
        self.ema = self.module.OldWeightEMA(self.teacher, self.student)
        self.args = Namespace(
            iters_per_epoch=1, image_size=target.shape[-1], heatmap_size=side, s2t_freq=1.1, t2s_freq=1.1,
            s2t_alpha=(0, 1), t2s_alpha=(0, 1), k=1, occlude_rate=0.5, occlude_thresh=0.9, occlude_size=10, sigma=2,
            mask_ratio=0.5, lambda_c=1.0, print_freq=10**9,
        )  # fmt: skip

    def __call__(self) -> None:
        """Run one iteration."""
        with _patched(self.device), redirect_stdout(StringIO()):
            self.module.train(
                self.source, self.target, self.student, self.teacher, self.style, self.module.JointsMSELoss(),
                self.module.ConsLoss(), self.optimizer, self.ema, 0, None, self.args,
            )  # fmt: skip

    @staticmethod
    def _import_torchvision() -> str:
        try:
            import torchvision  # noqa: F401
        except Exception:  # a build for another torch fails in many ways
            for name in [name for name in sys.modules if name.startswith('torchvision')]:
                del sys.modules[name]
            sys.meta_path.insert(0, _StandIns('torchvision'))
            return 'reference: torchvision is not here; its functional.affine is replaced by its own formula in torch'
        return 'reference: as cloned'

    def _load(self, path: str):
        # Its top-level modules are called `utils` and `lib`; nothing else of ours has these names.
        sys.path.insert(0, path)
        sys.meta_path.insert(0, _StandIns('lib.datasets', 'lib.transforms', 'tqdm', 'webcolors'))
        try:
            spec = importlib.util.spec_from_file_location('train_human', Path(path) / 'train_human.py')
            module = importlib.util.module_from_spec(spec)
            with _patched(self.device):
                spec.loader.exec_module(module)
        finally:
            sys.path.remove(path)
        module.device = torch.device(self.device)
        return module

    def _style(self, model: nn.Module):
        if not hasattr(model.style, 'encoder'):
            return None
        return self.module.Style_net.Net(model.style.encoder, model.style.decoder).to(self.device)
