"""Runs the authors' UDAPE step, from a clone of their repository, on our networks and tensors."""

from __future__ import annotations

import itertools
import math
import sys
from argparse import Namespace
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import torch
import torch.nn.functional as F
from step_clone import StandIns, load_script, old_stack
from torch import nn

REPOSITORY = 'VisionLearningGroup/UDA_PoseEstimation'


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


# Of torchvision the step uses this function alone
TORCHVISION = StandIns(
    'torchvision',
    submodules=('models', 'transforms', 'functional', 'utils'),
    given={'torchvision.transforms.functional': dict(affine=_affine)},
)
# Of the reference's own data loading, it uses nothing; its networks are ours
UNUSED = StandIns('lib.datasets', 'lib.transforms', 'lib.models.resnet', 'tqdm', 'webcolors')


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
        self.device = device
        self.note = self._import_torchvision()
        finders = [UNUSED] if 'torchvision' in sys.modules else [TORCHVISION, UNUSED]
        with old_stack(device):
            self.module = load_script(
                path, 'train_human.py', REPOSITORY, *finders,
                forget=('torchvision', 'lib', 'utils', 'tqdm', 'webcolors'),
            )  # fmt: skip
        self.module.device = torch.device(device)
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
        with old_stack(self.device), redirect_stdout(StringIO()):
            self.module.train(
                self.source, self.target, self.student, self.teacher, self.style, self.module.JointsMSELoss(),
                self.module.ConsLoss(), self.optimizer, self.ema, 0, None, self.args,
            )  # fmt: skip

    @staticmethod
    def _import_torchvision() -> str:
        try:
            import torchvision.transforms.functional  # noqa: F401
        except Exception:  # a build for another torch fails in many ways
            for name in [name for name in sys.modules if name.partition('.')[0] == 'torchvision']:
                del sys.modules[name]
            return 'reference: torchvision is not here; its functional.affine is replaced by its own formula in torch'
        return 'reference: as cloned'

    def _style(self, model: nn.Module):
        if not hasattr(model.style, 'encoder'):
            return None
        return self.module.Style_net.Net(model.style.encoder, model.style.decoder).to(self.device)
