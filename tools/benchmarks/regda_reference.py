"""Runs the authors' RegDA step, from a clone of their library, on our networks and tensors."""

from __future__ import annotations

import itertools
from argparse import Namespace
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import torch
from step_clone import BarePackage, StandIns, load_script, old_numpy
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR

REPOSITORY = 'thuml/Transfer-Learning-Library'
SCRIPT = 'examples/domain_adaptation/keypoint_detection/regda.py'
# The step uses nothing of these: batches are ready, and the networks ours
UNUSED = StandIns(
    'torchvision',
    'tllib.utils.data',
    'tllib.utils.logger',
    'tllib.vision.datasets',
    'tllib.vision.models.resnet',
    'tllib.vision.transforms',
)


class _Last(nn.Module):
    """A backbone that gives one feature map, the last."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, x):
        return self.backbone(x)[-1]


class ReferenceStep:
    """One call is one iteration of ``regda.train`` on ready batches (their data loading is left out).

    Args:
        path (str): Clone of thuml/Transfer-Learning-Library.
        model (nn.Module): Our RegDA: its networks are trained.
        batch (dict): Our preprocessed batch.
        device (str): 'cpu' or 'cuda'.
        rates (tuple[float, float]): First learning rates of backbone and upsampling, and of the heads.
        settings (dict): Others of the three SGD optimisers.

    Raises:
        FileNotFoundError: The folder is no such clone.
    """

    def __init__(
        self, path: str, model: nn.Module, batch: dict, device: str, rates: tuple[float, float], settings: dict
    ) -> None:
        library = BarePackage(Path(path), 'tllib')
        self.module = module = load_script(path, SCRIPT, REPOSITORY, UNUSED, library, forget=('torchvision', 'tllib'))
        module.device = torch.device(device)
        maps = torch.stack([sample.gt_fields.heatmaps for sample in batch['data_samples']['source']])
        joints, side = maps.shape[1], maps.shape[-1]
        # the target's labels serve its accuracy alone, its weights are what ours are, 1
        labels = maps, torch.ones(*maps.shape[:2], 1, device=device), {}
        self.batches = [itertools.repeat((batch['inputs'][domain], *labels)) for domain in ('source', 'target')]
        self.network = self._network(model)
        self.losses = (
            module.JointsKLLoss(),
            module.RegressionDisparity(
                module.PseudoLabelGenerator2d(joints, side, side), module.JointsKLLoss(epsilon=1e-7)
            ),
        )
        feature = [*self.network.backbone.parameters(), *self.network.upsampling.parameters()]
        optimizers = [SGD(feature, rates[0], **settings)]
        optimizers += [
            SGD(head.parameters(), rates[1], **settings) for head in (self.network.head, model.adversarial_head)
        ]
        self.optimizers = [*optimizers, *(LambdaLR(each, lambda i: (1 + 1e-4 * i) ** -0.75) for each in optimizers)]
        # prints once a call all the same
        self.args = Namespace(iters_per_epoch=1, margin=model.margin, trade_off=model.trade_off, print_freq=10**9)

    def __call__(self) -> None:
        """Run one iteration."""
        with old_numpy(), redirect_stdout(StringIO()):
            self.module.train(*self.batches, self.network, *self.losses, *self.optimizers, 0, None, self.args)

    def _network(self, model: nn.Module) -> nn.Module:
        """Their network with our parts, and the gradient layer at one coefficient throughout."""
        head = model.student.head
        network = self.module.RegDAPoseResNet(_Last(model.student.backbone), head.deconv_layers, 1, 1)
        network.head = nn.Sequential(head.conv_layers, head.final_layer)
        network.head_adv = model.adversarial_head
        network.gl_layer.lo = network.gl_layer.hi = model.scale.coefficient
        return network
