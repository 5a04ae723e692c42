"""How far a drawn picture is from a real one, at several sizes, in features of a VGG network or in pixels."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmposeda.compat.safe_loading import UnsafeFileError, load_tensors
from mmposeda.registry import MODELS
from mmposeda.structures.kinematics import at_least_float32
from mmposeda.structures.low_pass import gaussian_subsample

FEATURES = ('vgg19', 'pyramid_l1')
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HELP = (
    'It must hold the weights of VGG-19 on ImageNet under the keys of torchvision, features.0.weight to '
    'features.28.bias: the file vgg19-dcbb9e9d.pth of its VGG19_Weights.IMAGENET1K_V1 (548 MB; the convolutions up to '
    'features.28 suffice). Give its path as weights=..., or use features="pyramid_l1", which needs none.'
)


def _vgg19_layers() -> list[tuple[int, int, int, bool, bool]]:
    """Convolutions up to relu5_1: index in torchvision's ``features``, inputs, outputs, pooled before, tapped after."""
    layers, index, inputs = [], 0, 3
    for stage, (outputs, count) in enumerate(((64, 2), (128, 2), (256, 4), (512, 4), (512, 1))):
        for n in range(count):
            layers.append((index, inputs, outputs, stage > 0 and n == 0, n == 0))
            index, inputs = index + 2, outputs
        index += 1  # the pooling layer
    return layers


class VGG19Features(nn.Module):
    """ReLU outputs relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1 of VGG-19, frozen.

    Unlike the encoder of :class:`~mmposeda.models.networks.AdaINStyleNet`, which pads by reflection and has weights of
    its own, this is the network of ImageNet classification. Its weights are buffers that checkpoints do not hold: they
    come from the file every time.

    Args:
        weights (str): Weight file. Nothing in it is executed.

    Raises:
        FileNotFoundError: No such file; the message says where it is had.
        ValueError: The file cannot be read or holds other weights.
    """

    #: Of relu5_1: a picture must have a pixel for each.
    stride = 16

    def __init__(self, weights: str) -> None:
        super().__init__()
        state = _read(weights)
        self._layers = _vgg19_layers()
        for index, inputs, outputs, _, _ in self._layers:
            for name, shape in (('weight', (outputs, inputs, 3, 3)), ('bias', (outputs,))):
                tensor = _checked(state, f'features.{index}.{name}', shape, weights)
                self.register_buffer(f'{name}{index}', tensor, persistent=False)
        for name, value in (('_mean', _MEAN), ('_std', _STD)):
            self.register_buffer(name, torch.tensor(value).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features of pictures (B, 3, h, w), RGB in [0, 1]: 64, 128, 256, 512, 512 channels at strides 1 to 16."""
        x, features = (x - self._mean) / self._std, []
        for index, _, _, pooled, tapped in self._layers:
            if pooled:
                x = F.max_pool2d(x, 2)
            x = F.conv2d(x, getattr(self, f'weight{index}'), getattr(self, f'bias{index}'), padding=1).relu()
            if tapped:
                features.append(x)
        return features


class _Edges(nn.Module):
    """A picture, and its differences between neighbours in a row and in a column."""

    stride = 2

    def forward(self, x: Tensor) -> list[Tensor]:
        return [x, x.diff(dim=-1), x.diff(dim=-2)]


@MODELS.register_module()
class PyramidPerceptualLoss(nn.Module):
    """``sum over sizes and layers of loss_weight * mean |phi(drawn) - phi(real)|``.

    The reconstruction loss of the first-order motion model's code, without its adversarial term: features of five
    layers of VGG-19 at full, half, quarter and an eighth of the size. No gradient goes to the real picture, and no
    graph is kept for it.

    Args:
        weights (str, optional): File of VGG-19's weights, for ``features='vgg19'`` alone.
        features (str): 'vgg19', or 'pyramid_l1' (our fallback without weights): the pictures themselves and their
            horizontal and vertical differences in place of layers.
        factors (Sequence[int]): How many times smaller the pictures are compared. Three suffice at 128x128 pixels; a
            picture must have 16 pixels a side at the smallest for VGG-19.
        loss_weight (float): Factor of every term (10 in the code).

    Raises:
        FileNotFoundError: No weight file; the message says where it is had.
        ValueError: Unknown features, no path, a file of something else, or no factors.
    """

    def __init__(
        self,
        weights: str | None = None,
        features: str = 'vgg19',
        factors: Sequence[int] = (1, 2, 4, 8),
        loss_weight: float = 10.0,
    ) -> None:
        super().__init__()
        if features not in FEATURES:
            raise ValueError(f'features must be one of {FEATURES}, got {features!r}')
        if not factors or any(int(factor) != factor or factor < 1 for factor in factors):
            raise ValueError(f'factors must be one or more whole numbers from 1 on, got {factors}')
        if features == 'vgg19' and weights is None:
            raise ValueError(f"features='vgg19' needs a weight file. {_HELP}")
        if features != 'vgg19' and weights is not None:
            raise ValueError(f'features={features!r} has no weights, but weights={weights!r} was given: leave it out')
        self.factors, self.loss_weight = tuple(factors), loss_weight
        self.features = VGG19Features(weights) if features == 'vgg19' else _Edges()

    def forward(self, drawn: Tensor, real: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean over the batch, a scalar.

        Args:
            drawn (Tensor): RGB in [0, 1], (B, 3, h, w).
            real (Tensor): Likewise; it gets no gradient.
            weights (Tensor, optional): Of the pictures, (B,), not negative: the weighted mean is taken, and with zeros
                alone the loss is 0.

        Raises:
            ValueError: Pictures that differ in shape, too small ones, or weights that do not fit.
        """
        self._check(drawn, real, weights)
        total = 0.0
        for factor in self.factors:
            with torch.no_grad():
                wanted = self.features(gaussian_subsample(real.detach(), factor))
            made = self.features(gaussian_subsample(drawn, factor))
            # in float32, or a mean over a million features would lose its small terms
            total = total + sum((at_least_float32(m) - w).abs().flatten(1).mean(1) for m, w in zip(made, wanted))
        if weights is None:
            return self.loss_weight * total.mean()
        there = weights.to(total) > 0
        weighted = torch.where(there, total * weights, torch.zeros_like(total)).sum()
        return self.loss_weight * weighted / weights.sum().to(total).clamp_min(torch.finfo(total.dtype).tiny)

    def _check(self, drawn: Tensor, real: Tensor, weights: Tensor | None) -> None:
        if drawn.shape != real.shape or drawn.ndim != 4 or drawn.shape[1] != 3:
            raise ValueError(
                f'pictures must be of one shape (B, 3, h, w), got {tuple(drawn.shape)} and {tuple(real.shape)}'
            )
        if weights is not None and weights.shape != drawn.shape[:1]:
            raise ValueError(f'weights must be one a picture, ({len(drawn)},), got {tuple(weights.shape)}')
        side, least = min(drawn.shape[2:]), self.features.stride
        fitting = tuple(factor for factor in self.factors if -(-side // factor) >= least)
        if fitting != self.factors:
            way_out = f'set factors={fitting} or take' if fitting else 'take'
            raise ValueError(
                f'pictures of {drawn.shape[3]}x{drawn.shape[2]} pixels made {max(self.factors)} times smaller have no '
                f'{least} pixels a side, which the features need: {way_out} larger pictures'
            )


def _read(path: str) -> dict[str, Tensor]:
    if not Path(path).is_file():
        raise FileNotFoundError(f'No such weight file: {path}. {_HELP}')
    try:
        state = load_tensors(path, 'cpu')
    except UnsafeFileError:
        raise
    except (RuntimeError, EOFError, KeyError, OSError, ValueError, pickle.UnpicklingError) as error:
        raise ValueError(f'{path} cannot be read as weights, it may be cut off: {error}. {_HELP}') from error
    state = state.get('state_dict', state) if isinstance(state, dict) else None
    if not isinstance(state, dict):
        raise ValueError(f'{path} holds no state dict. {_HELP}')
    return state


def _checked(state: dict[str, Tensor], key: str, shape: tuple[int, ...], path: str) -> Tensor:
    tensor = state.get(key)
    got = tuple(tensor.shape) if isinstance(tensor, Tensor) else 'none' if tensor is None else type(tensor).__name__
    if got != shape:
        raise ValueError(f'{path} does not hold VGG-19: {key} must be of shape {shape}, got {got}. {_HELP}')
    tensor = tensor.float().clone()
    if not tensor.isfinite().all():
        raise ValueError(f'{path}: {key} holds values that are not finite. {_HELP}')
    return tensor
