"""Baselines that pull the features of the two domains together: DDC, DAN and DANN."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmposeda.registry import MODELS

from ..gradient import GradientReverse
from ..losses.discrepancy import MultiKernelMMD, linear_mmd
from ..modes import evaluating, untracked_statistics
from .base import DomainAdapter, prefixed

FEATURES = ('head', 'neck', 'backbone')


class FeatureAlignment(DomainAdapter):
    """Supervised training on the source, and an alignment of pooled features of both halves on a side branch.

    Feature maps are averaged over their cells and go through a linear bottleneck and ReLU to a subclass's
    ``alignment``. The head's last layer learns from the labels alone; backbone, neck and the head's other layers from
    both. The side branch is the adapter's own: a plain checkpoint has none of it.

    The domains pass through the network one after the other, as in the reference code: batch normalisation then uses
    the statistics of one domain at a time, and its running statistics take from both, the target last. In one joint
    pass, labels would be fitted under mixed statistics that no test batch has.

    In several processes features are compared within each rank's share of the batch, not across ranks, and only the
    gradients are averaged. Discrepancies are no means over samples: two processes with half the batch do not equal
    one with the whole.

    The alignment is computed in float32 under mixed precision too.

    Args:
        estimator (dict): Any MMPose estimator, see :class:`DomainAdapter`.
        alignment_weight (float): Factor of the alignment's loss; with 0 the target is not looked at.
        feat (str): 'head' aligns what the head's ``final_layer`` reads, 'backbone' the backbone's last feature map,
            'neck' the last of what the neck gives, a map or a vector.
        width (int, optional): Features after the bottleneck (256: DDC's adaptation layer, and the reference's
            bottleneck); None aligns the features themselves.
        target_statistics (bool): Whether pictures of the target move the running statistics of batch normalisation.
        kwargs: See :class:`DomainAdapter`.

    Raises:
        ValueError: A negative weight, or an unknown ``feat``.
        TypeError: The estimator has no such feature map, or no codec to tell its input's size.
    """

    def __init__(
        self,
        estimator: dict,
        alignment_weight: float = 1.0,
        feat: str = 'head',
        width: int | None = 256,
        target_statistics: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(estimator, **kwargs)
        if alignment_weight < 0:
            raise ValueError(f'alignment_weight must not be negative, got {alignment_weight}')
        if feat not in FEATURES:
            raise ValueError(f'feat must be one of {FEATURES}, got {feat!r}')
        self.alignment_weight, self.feat = alignment_weight, feat
        self.target_statistics = target_statistics
        channels = self._count_channels()
        self.width = width or channels
        self.bottleneck = nn.Sequential(nn.Linear(channels, width), nn.ReLU()) if width else nn.Identity()

    def loss(self, inputs: dict[str, Tensor], data_samples: dict[str, list]) -> dict[str, Tensor]:
        """The estimator's own losses on the source half, and the alignment's."""
        with self._features() as features:
            losses = prefixed('sup', self.student.loss(inputs['source'], data_samples['source']))
        if not self.alignment_weight:
            # A schedule may start at 0: under DDP every weight must take part in every step.
            idle = sum(p.sum() for module in self.children() if module is not self.student for p in module.parameters())
            return {**losses, 'align_loss_idle': 0 * idle}
        if 'target' not in inputs:
            raise ValueError(
                f'{type(self).__name__} wants target samples in every batch: check the quotas of the DomainSampler.'
            )
        source = features[-1]
        with self._features() as features, untracked_statistics(*([] if self.target_statistics else [self.student])):
            self._pass(inputs['target'])
        with torch.autocast(source.device.type, enabled=False):
            source, target = (self.bottleneck(_pooled(f.float())) for f in (source, features[-1]))
            aligned = self.alignment(source, target)
        for key, value in aligned.items():
            losses[f'align_{key}'] = self.alignment_weight * value if 'loss' in key else value
        return losses

    def alignment(self, source: Tensor, target: Tensor) -> dict[str, Tensor]:
        """What the domains' features differ by.

        Args:
            source (Tensor): (n, width), float32; not negative behind a bottleneck.
            target (Tensor): (m, width).

        Returns:
            dict[str, Tensor]: Scalars; those whose key holds 'loss' are weighted and summed, others only logged.
        """
        raise NotImplementedError(f'{type(self).__name__} must say how it aligns features')

    def _pass(self, images: Tensor) -> None:
        """Run the networks as far as the aligned features."""
        if self.feat == 'backbone':
            self.student.backbone(images)
        elif self.feat == 'neck':
            self.student.extract_feat(images)
        else:
            self.student.head(self.student.extract_feat(images))

    @contextmanager
    def _features(self) -> Iterator[list[Tensor]]:
        """Collect the features (B, D, h, w) or (B, D) of the passes made inside the context."""
        found = []
        if self.feat != 'head':
            handle = getattr(self.student, self.feat).register_forward_hook(
                lambda module, args, out: found.append(out[-1] if isinstance(out, (tuple, list)) else out)
            )
        else:
            handle = self.student.head.final_layer.register_forward_pre_hook(lambda module, args: found.append(args[0]))
        try:
            yield found
        finally:
            handle.remove()

    @torch.no_grad()
    def _count_channels(self) -> int:
        """Check the feature map with one pass of an empty picture."""
        head = getattr(self.student, 'head', None)
        layer = getattr(head, 'final_layer', None)
        if self.feat == 'head' and (layer is None or isinstance(layer, nn.Identity)):
            raise TypeError(
                f"{type(self).__name__} with feat='head' aligns what the head's final_layer reads; "
                f"{type(head).__name__} has none here. Set feat='backbone', or give the head a final_layer."
            )
        if self.feat == 'neck' and not self.student.with_neck:
            raise TypeError(f"{type(self).__name__} with feat='neck' wants an estimator with a neck: set another feat.")
        size = getattr(getattr(head, 'decoder', None), 'input_size', None)
        if size is None:
            raise TypeError(
                f'{type(self).__name__} reads the size of its pictures off the codec in head.decoder, and '
                f'{type(head).__name__} has none: give the head its decoder in the config.'
            )
        with evaluating(self.student), self._features() as features:
            self._pass(next(self.student.parameters()).new_zeros(1, 3, size[1], size[0]))
        if not (isinstance(features[-1], Tensor) and features[-1].ndim in (2, 4)):
            raise TypeError(
                f'{type(self).__name__} aligns a feature map (B, D, h, w) or vectors (B, D); with feat={self.feat!r} '
                f'it finds {getattr(features[-1], "shape", type(features[-1]).__name__)}: set feat to another of '
                f'{FEATURES}.'
            )
        return features[-1].shape[1]


def _pooled(features: Tensor) -> Tensor:
    """Vectors (B, D) of maps (B, D, h, w), or as they are."""
    return features.mean((2, 3)) if features.ndim == 4 else features


@MODELS.register_module()
class DDC(FeatureAlignment):
    """Deep domain confusion (Tzeng et al., arXiv 1412.3474): the distance between the domains' mean features.

    Args:
        estimator (dict): See :class:`FeatureAlignment`.
        alignment_weight (float): 0.25, the paper's.
        kwargs: See :class:`FeatureAlignment`.
    """

    def __init__(self, estimator: dict, alignment_weight: float = 0.25, **kwargs) -> None:
        super().__init__(estimator, alignment_weight, **kwargs)

    def alignment(self, source: Tensor, target: Tensor) -> dict[str, Tensor]:
        """``|mean source - mean target|^2``."""
        return dict(loss_discrepancy=linear_mmd(source, target))


@MODELS.register_module()
class DAN(FeatureAlignment):
    """Deep adaptation network (Long et al., ICML 2015): maximum mean discrepancy with several kernels.

    Args:
        estimator (dict): See :class:`FeatureAlignment`.
        mmd (dict, optional): Arguments of :class:`~mmposeda.models.losses.MultiKernelMMD`.
        kwargs: See :class:`FeatureAlignment`; the weight is 1.
    """

    def __init__(self, estimator: dict, mmd: dict | None = None, **kwargs) -> None:
        super().__init__(estimator, **kwargs)
        self.mmd = MultiKernelMMD(**(mmd or {}))

    def alignment(self, source: Tensor, target: Tensor) -> dict[str, Tensor]:
        """``MMD^2``, which may be negative."""
        return dict(loss_discrepancy=self.mmd(source, target))


@MODELS.register_module()
class DANN(FeatureAlignment):
    """Domain-adversarial training (Ganin and Lempitsky, ICML 2015).

    A discriminator learns to tell the domains apart; its gradient reaches the features reversed. The share that does
    is ``reverse.coefficient``: let a ``ScheduleHook`` raise it from 0 to 1 along its 'sigmoid'. Both domains go through
    the discriminator together (reference code): its batch normalisation, given one domain at a time, would take away
    the very differences it looks for. ``align_domain_accuracy`` in the log is the mean of its accuracies on the two
    domains: 0.5 where it cannot tell.

    Args:
        estimator (dict): See :class:`FeatureAlignment`.
        hidden (int): Width of the discriminator's two hidden layers (1024).
        kwargs: See :class:`FeatureAlignment`; the weight is 1.
    """

    def __init__(self, estimator: dict, hidden: int = 1024, **kwargs) -> None:
        super().__init__(estimator, **kwargs)
        width = self.width
        self.reverse = GradientReverse()
        self.discriminator = nn.Sequential(
            nn.Linear(width, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
        )

    def alignment(self, source: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of the discriminator, source 1 and target 0, both domains of equal weight."""
        logits = self.discriminator(self.reverse(torch.cat([source, target]))).squeeze(1)
        source, target = logits.split([len(source), len(target)])
        # softplus(-x) is the cross-entropy of the logit x with 1, softplus(x) with 0
        loss = (functional.softplus(-source).mean() + functional.softplus(target).mean()) / 2
        accuracy = ((source > 0).float().mean() + (target <= 0).float().mean()) / 2
        return dict(loss_domain=loss, domain_accuracy=accuracy)
