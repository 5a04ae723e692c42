"""Style transfer by adaptive instance normalisation (Huang and Belongie, ICCV 2017), as UDAPE uses it."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmposeda.compat.safe_loading import load_tensors
from mmposeda.registry import MODELS

_HELP = (
    'The encoder is the "normalised VGG-19" of the AdaIN repositories (vgg_normalised.pth, '
    'naoto0804/pytorch-AdaIN, release v0.0.0, 80,102,481 bytes). Put the file somewhere and give its path as '
    "style=dict(type='AdaINStyleNet', encoder_weights='path/to/vgg_normalised.pth'), or use "
    "style=dict(type='StatisticsStyleTransfer'), which needs no weights."
)


def mean_std(x: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over space, (B, C, 1, 1); unbiased variance plus eps."""
    flat = x.float().flatten(2)
    return flat.mean(-1)[..., None, None], (flat.var(-1) + eps).sqrt()[..., None, None]


def adain(content: Tensor, style: Tensor) -> Tensor:
    """Give each channel of the content features (B, C, h, w) the mean and deviation of the style's."""
    mean_c, std_c = mean_std(content)
    mean_s, std_s = mean_std(style)
    return (std_s * (content - mean_c) / std_c + mean_s).to(content.dtype)


def gram(x: Tensor) -> Tensor:
    """Gram matrix F F^T / (C h w) of features (B, C, h, w): (B, C, C)."""
    flat = x.flatten(2)
    return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


def _conv(inputs: int, outputs: int, relu: bool = True) -> list[nn.Module]:
    layers = [nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 3)]
    return layers + [nn.ReLU()] if relu else layers


def _pool() -> nn.Module:
    return nn.MaxPool2d(2, ceil_mode=True)


def _encoder() -> nn.Sequential:
    """VGG-19 up to relu4_1: the first 31 modules, so that the published weight files load by their own keys."""
    layers = [nn.Conv2d(3, 3, 1), *_conv(3, 64), *_conv(64, 64), _pool(), *_conv(64, 128), *_conv(128, 128), _pool()]
    layers += [*_conv(128, 256), *_conv(256, 256), *_conv(256, 256), *_conv(256, 256), _pool(), *_conv(256, 512)]
    return nn.Sequential(*layers)


def _decoder() -> nn.Sequential:
    up = nn.Upsample(scale_factor=2, mode='nearest')
    layers = [
        *_conv(512, 256),
        up,
        *_conv(256, 256),
        *_conv(256, 256),
        *_conv(256, 256),
        *_conv(256, 128),
        up,
    ]
    layers += [*_conv(128, 128), *_conv(128, 64), up, *_conv(64, 64), *_conv(64, 3, relu=False)]
    return nn.Sequential(*layers)


@MODELS.register_module()
class AdaINStyleNet(BaseModule):
    """Frozen VGG-19 encoder, AdaIN and a learnt mirror decoder (spec of UDAPE's style network).

    The published code feeds ImageNet-normalised pictures to an encoder made for [0, 1] RGB and trains the decoder in
    that same space; ``input_space='imagenet'`` keeps this, ``'unit'`` converts at both ends and wants a decoder of its
    own.

    Args:
        encoder_weights (str): File of the normalised VGG-19. Nothing in it is executed.
        decoder_weights (str, optional): File of the decoder: a checkpoint of stage ``style`` or a bare state dict.
        input_space (str): 'imagenet' or 'unit'.
        style_weight (float): Weight of the Gram loss in :meth:`loss` (the release uses 0.1).

    Raises:
        FileNotFoundError: A weight file is missing; the message says where to get it.
        ValueError: Unknown ``input_space``.
    """

    taps = (3, 10, 17, 30)  # relu1_1, relu2_1, relu3_1, relu4_1

    def __init__(
        self,
        encoder_weights: str,
        decoder_weights: str | None = None,
        input_space: str = 'imagenet',
        style_weight: float = 0.1,
    ) -> None:
        super().__init__()
        if input_space not in ('imagenet', 'unit'):
            raise ValueError(f"input_space must be 'imagenet' or 'unit', got {input_space!r}")
        self.input_space, self.style_weight = input_space, style_weight
        self.encoder, self.decoder = _encoder(), _decoder()
        self.encoder.load_state_dict(_read(encoder_weights, keep=len(self.encoder)))
        self.encoder.requires_grad_(False)
        if decoder_weights:
            self.decoder.load_state_dict(_read(decoder_weights, prefix='decoder.'))

    def train(self, mode: bool = True) -> AdaINStyleNet:
        """Set the decoder's mode; the encoder has none."""
        return super().train(mode)

    def encode(self, x: Tensor) -> list[Tensor]:
        """Features of relu1_1, relu2_1, relu3_1 and relu4_1: 64, 128, 256, 512 channels at strides 1, 2, 4, 8."""
        features = []
        for i, layer in enumerate(self.encoder):
            x = layer(x)
            if i in self.taps:
                features.append(x)
        return features

    def stylize(self, content: Tensor, style: Tensor, alpha: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """Redraw ``content`` in the style of ``style``.

        Args:
            content (Tensor): Normalised pictures (B, 3, h, w); h and w multiples of 8.
            style (Tensor): Normalised pictures, as many.
            alpha (Tensor): Strength in [0, 1], a scalar; 0 only passes through encoder and decoder.
            mean (Tensor): Normalisation of the pictures, (1, 3, 1, 1), on the scale 0..255.
            std (Tensor): Likewise.

        Returns:
            Tensor: (B, 3, h, w), clamped to what a picture in [0, 255] gives after normalisation.
        """
        to, back = self._spaces(mean, std)
        features = self.encode(to(torch.cat([content, style])))[-1]
        own, other = features.chunk(2)
        mixed = alpha * adain(own, other) + (1 - alpha) * own
        out = back(self.decoder(mixed))[..., : content.shape[-2], : content.shape[-1]]
        return torch.maximum(torch.minimum(out, (255 - mean) / std), -mean / std)

    def loss(self, content: Tensor, style: Tensor, mean: Tensor, std: Tensor) -> dict[str, Tensor]:
        """Content and Gram losses that train the decoder (stage 0), at full strength."""
        to, _ = self._spaces(mean, std)
        with torch.no_grad():
            styles = self.encode(to(style))
            wanted = [gram(f) for f in styles]
            target = adain(self.encode(to(content))[-1], styles[-1])
        made = self.encode(self.decoder(target))
        style_loss = sum(F.mse_loss(gram(f), w) for f, w in zip(made, wanted))
        return dict(loss_content=F.mse_loss(made[-1], target), loss_style=self.style_weight * style_loss)

    def _spaces(self, mean: Tensor, std: Tensor):
        if self.input_space == 'imagenet':
            return (lambda x: x), (lambda x: x)
        return (lambda x: (x * std + mean) / 255), (lambda x: (x * 255 - mean) / std)


def _read(path: str, prefix: str = '', keep: int | None = None) -> dict[str, Tensor]:
    if not Path(path).is_file():
        raise FileNotFoundError(f'No such weight file: {path}. {_HELP}')
    state = load_tensors(path, 'cpu')
    state = state.get('state_dict', state)
    if prefix:
        marked = {k.split(prefix, 1)[1]: v for k, v in state.items() if prefix in k}
        state = marked or state
    return {k: v for k, v in state.items() if keep is None or int(k.split('.')[0]) < keep}
