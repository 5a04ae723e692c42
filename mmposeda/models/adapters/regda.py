"""RegDA: regressive domain adaptation for keypoint detection (Jiang et al., CVPR 2021)."""

from __future__ import annotations

from copy import deepcopy

import torch
from mmengine.dist import get_world_size
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmposeda.registry import MODELS
from mmposeda.structures.heatmap import gaussian_heatmaps, heatmap_argmax

from ..gradient import GradientScale
from ..heatmap_estimator import heatmap_layout
from ..losses.heatmap_kl import heatmap_kl
from .base import DomainAdapter, prefixed

EPS = 1e-7  # makes an empty false map uniform: a skeleton of one joint
PARTS = ('deconv_layers', 'conv_layers', 'final_layer')


@torch.no_grad()
def pseudo_maps(logits: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """The "ground truth" and "ground false" maps of a prediction (paper, section 4.3; square support as in the code).

    Args:
        logits (Tensor): (B, K, H, W).
        sigma (float): Deviation of the Gaussians, cells.

    Returns:
        tuple[Tensor, Tensor]: (B, K, H, W) each, in [0, 1]: a Gaussian at the joint's largest cell, and the sum of all
        other joints', cut at 1.
    """
    height, width = logits.shape[2:]
    truth = gaussian_heatmaps(heatmap_argmax(logits.float())[0], (width, height), sigma)
    return truth, (truth.sum(1, keepdim=True) - truth).clamp(0, 1)


@MODELS.register_module()
class RegDA(DomainAdapter):
    """An adversarial second head, drawn to the places of other joints on the target, and features that bring it back.

    Three updates an iteration, each seeing what the one before has changed:

    A. source: the estimator's own loss, and ``margin`` times the divergence of the adversarial head from the head;
    B. target: the adversarial head alone moves towards the other joints' places ("ground false");
    C. target: backbone, neck and deconvolutions move so that it finds the head's places ("ground truth"), with their
       gradient scaled by ``scale.coefficient``. At a coefficient of 0 the step is left out.

    B and C share one pass of the target, of unchanged weights. The features are those after the head's deconvolutions;
    the adversarial head is a freshly drawn copy of the layers behind them. The one optimiser of the run serves all
    three updates: what has no gradient in an update is not touched by it, momentum and decay included. Let a
    ``ScheduleHook`` raise ``scale.coefficient`` from 0 to 0.1 along its 'sigmoid'; larger values put the joints onto
    each other.

    The domains pass through the networks separately, as in the reference. Unlike there the target's joints all count
    in B and C: their visibility is a label.

    Args:
        estimator (dict): MMPose estimator with a ``HeatmapHead``, best with ``conv_out_channels`` (the paper's heads
            have one convolution before the last) and ``loss=dict(type='HeatmapKLLoss')``.
        margin (float): Factor of the source's disparity (4).
        trade_off (float): Factor of both target losses (1).
        coefficient (float): First ``scale.coefficient`` (0.1).
        kwargs: See :class:`DomainAdapter`.

    Raises:
        TypeError: The head gives no heatmaps or lacks the layers to copy.
        RuntimeError: Several processes: MMEngine's DDP wrapper makes one forward pass and one update a step, and
            splitting ours among wrappers is not built.
        ValueError: A negative factor; in training, accumulated gradients or a batch without target.
    """

    def __init__(
        self, estimator: dict, margin: float = 4.0, trade_off: float = 1.0, coefficient: float = 0.1, **kwargs
    ) -> None:
        super().__init__(estimator, **kwargs)
        for name, value in dict(margin=margin, trade_off=trade_off, coefficient=coefficient).items():
            if value < 0:
                raise ValueError(f'{name} must not be negative, got {value}')
        if get_world_size() > 1:
            raise RuntimeError(
                f'RegDA makes three updates an iteration, which the DDP wrapper of {get_world_size()} processes would '
                'leave out: train it in one process, without --launcher.'
            )
        self.layout = heatmap_layout(self.student, needed_by='RegDA')
        head = self.student.head
        if not all(hasattr(head, part) for part in PARTS) or isinstance(head.final_layer, nn.Identity):
            raise TypeError(
                f'RegDA copies the layers behind the deconvolutions and needs {PARTS} in the head, the last not empty; '
                f'got {type(head).__name__}. Give the estimator a HeatmapHead with a final_layer.'
            )
        self.margin, self.trade_off = margin, trade_off
        self.scale = GradientScale(coefficient)
        self.adversarial_head = deepcopy(nn.Sequential(head.conv_layers, head.final_layer))
        for module in self.adversarial_head.modules():
            if isinstance(module, _BatchNorm):
                module.reset_parameters()
            elif isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.001)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def train_step(self, data: dict, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """Make the three updates on one batch.

        Args:
            data (dict): As the loader gives it.
            optim_wrapper (OptimWrapper): One optimiser of all parameters.

        Returns:
            dict[str, Tensor]: Losses to log.
        """
        if isinstance(optim_wrapper, OptimWrapperDict) or optim_wrapper._accumulative_counts != 1:
            raise ValueError(
                'RegDA makes three updates of one optimiser an iteration: set optim_wrapper to a single one, with '
                'accumulative_counts=1; use a larger batch instead.'
            )
        with optim_wrapper.optim_context(self):
            data = self.data_preprocessor(data, True)
            inputs, samples = data['inputs'], data['data_samples']
            for domain in ('source', 'target'):
                if domain not in inputs:
                    raise ValueError(f'RegDA wants {domain} samples in every batch: check the DomainSampler quotas.')
            losses = self.source_losses(inputs['source'], samples['source'])
        logged = self._update(losses, optim_wrapper)
        with optim_wrapper.optim_context(self):
            features, truth, false = self.look_at_target(inputs['target'])
            losses = dict(unsup_loss_false=self.trade_off * self.disparity(features.detach(), false))
        logged.update(self._update(losses, optim_wrapper))
        if self.scale.coefficient:
            self.adversarial_head.requires_grad_(False)
            try:
                with optim_wrapper.optim_context(self):
                    losses = dict(unsup_loss_truth=self.trade_off * self.disparity(self.scale(features), truth))
                logged.update(self._update(losses, optim_wrapper))
            finally:
                self.adversarial_head.requires_grad_(True)
        return logged

    def source_losses(self, images: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Losses of step A.

        Args:
            images (Tensor): Normalised source pictures (B, 3, h, w).
            data_samples (list): Their samples.
        """
        head, kept = self.student.head, {}
        handles = [
            module.register_forward_hook(lambda module, args, out, name=name: kept.update({name: out}))
            for name, module in (('features', head.deconv_layers), ('logits', head.final_layer))
        ]
        try:
            losses = prefixed('sup', self.student.loss(images, data_samples))
        finally:
            for handle in handles:
                handle.remove()
        weights = torch.cat([sample.gt_instance_labels.keypoint_weights for sample in data_samples])
        # the head's own places, not the labels: the adversarial head is tied to the head
        truth = pseudo_maps(kept['logits'], self.layout.sigma)[0]
        losses['sup_loss_disparity'] = self.margin * self.disparity(self.scale(kept['features']), truth, weights)
        return losses

    def look_at_target(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One pass of the target: features with their graph, and the pseudo-maps of the head in training mode.

        Args:
            images (Tensor): Normalised target pictures (B, 3, h, w).

        Returns:
            tuple[Tensor, Tensor, Tensor]: Features (B, D, H, W), "ground truth" and "ground false" (B, K, H, W).
        """
        head = self.student.head
        features = head.deconv_layers(self.student.extract_feat(images)[-1])
        with torch.no_grad():
            logits = head.final_layer(head.conv_layers(features.detach()))
        return features, *pseudo_maps(logits, self.layout.sigma)

    def disparity(self, features: Tensor, heatmaps: Tensor, weights: Tensor | None = None) -> Tensor:
        """Divergence of the adversarial head on features (B, D, H, W) from heatmaps (B, K, H, W); weights (B, K)."""
        return heatmap_kl(self.adversarial_head(features), heatmaps, weights, EPS).mean()

    def loss(self, inputs: dict[str, Tensor], data_samples: dict[str, list]) -> dict[str, Tensor]:
        """Refuse: no single loss says what an iteration does.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError('RegDA makes three updates an iteration and has no single loss: call train_step.')

    def _update(self, losses: dict[str, Tensor], optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """One update; returns the terms to log, without their sum, which would be another in each update."""
        total, logged = self.parse_losses(losses)
        optim_wrapper.update_params(total)
        return {key: value for key, value in logged.items() if key != 'loss'}
