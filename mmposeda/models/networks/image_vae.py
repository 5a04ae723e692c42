"""Variational autoencoder of small blurred pictures: what an image looks like, in a few hundred numbers."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional

from mmposeda.registry import MODELS
from mmposeda.structures.kinematics import at_least_float32

from .pose_vae import gaussian_kl

#: Cells a side of the innermost map.
INNER = 4


def encoder_block(inputs: int, outputs: int, slope: float) -> nn.Sequential:
    """Half the size: 3 x 3 convolution of stride 2, batch normalisation, leaky ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1), nn.BatchNorm2d(outputs), nn.LeakyReLU(slope, True))


def decoder_block(inputs: int, outputs: int, slope: float | None) -> nn.Sequential:
    """Twice the size: nearest neighbours and a 3 x 3 convolution over replicated borders.

    Without a slope neither normalisation nor activation follows.
    """
    layers = [nn.Upsample(scale_factor=2), nn.ReplicationPad2d(1), nn.Conv2d(inputs, outputs, 3)]
    if slope is not None:
        layers += [nn.BatchNorm2d(outputs), nn.LeakyReLU(slope, True)]
    return nn.Sequential(*layers)


@MODELS.register_module()
class ImageVAE(BaseModule):
    """Encoder and decoder of whole pictures; its latent stands for the nuisance of a picture.

    Source: supplement of Zhang et al., "Learning Causal Representation for Training Cross-Domain Pose Estimator via
    Generative Interventions", ICCV 2021, table 1: six convolutions of stride 2 with 8 to 256 channels down to 4 x 4
    cells, two linear layers to the mean and the spread, and their mirror image with nearest-neighbour upsampling and
    replicated borders. Our choice where it is silent: slope 0.2, log variances rather than variances, squared error.

    Its pictures are blurred, as they should be: the latent is to hold the look, not the limbs. Smaller pictures have
    fewer layers, the widest left out.

    Legend: B pictures, Z latent numbers.

    Args:
        input_size (int): Side of the pictures, pixels: 256 in the paper; 4 times a power of 2. Others are resized.
        latent (int): Z.
        base_channels (int): Channels of the outermost layer; each further one has twice as many.
        kl_weight (float): Factor of the Kullback-Leibler term beside the squared error summed over a picture's values.
        negative_slope (float): Of the leaky ReLUs.
        init_cfg (dict, optional): Initialisation of MMEngine's.

    Raises:
        ValueError: A size that halving does not bring to 4.
    """

    def __init__(
        self,
        input_size: int = 256,
        latent: int = 256,
        base_channels: int = 8,
        kl_weight: float = 1.0,
        negative_slope: float = 0.2,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        steps = (input_size // INNER).bit_length() - 1
        if steps < 1 or input_size != INNER << steps:
            raise ValueError(f'input_size must be 4 times a power of 2, from 8 on, got {input_size}')
        self.input_size, self.latent, self.kl_weight = input_size, latent, kl_weight
        widths = [base_channels << step for step in range(steps)]
        slope, flat = negative_slope, widths[-1] * INNER**2
        self.encoder = nn.Sequential(*(encoder_block(i, o, slope) for i, o in zip([3, *widths], widths)), nn.Flatten())
        self.mean, self.logvar = nn.Linear(flat, latent), nn.Linear(flat, latent)
        inner = widths[::-1]
        self.decoder = nn.Sequential(
            nn.Linear(latent, flat),
            nn.Unflatten(1, (widths[-1], INNER, INNER)),
            *(decoder_block(i, o, slope) for i, o in zip(inner, inner[1:])),
            decoder_block(inner[-1], 3, None),
        )

    def resize(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, h, w) at the network's size, averaged where they are larger."""
        size = (self.input_size, self.input_size)
        if tuple(images.shape[2:]) == size:
            return images
        return functional.interpolate(images, size, mode='bilinear', align_corners=False, antialias=True)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance (B, Z), at least float32, of pictures (B, 3, h, w) in [0, 1]."""
        features = self.encoder(self.resize(images))
        return at_least_float32(self.mean(features)), at_least_float32(self.logvar(features))

    @staticmethod
    def reparameterize(mean: Tensor, logvar: Tensor, noise: Tensor | None = None) -> Tensor:
        """``mean + exp(logvar / 2) noise``; the gradient reaches both (Kingma and Welling, ICLR 2014).

        The noise is drawn from the unit normal if none is given.
        """
        return mean + (0.5 * logvar).exp() * (torch.randn_like(mean) if noise is None else noise)

    def decode(self, latent: Tensor) -> Tensor:
        """Pictures (B, 3, s, s) of latents (B, Z), about [0, 1]."""
        return self.decoder(latent)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstructions (B, 3, s, s), means and log variances (B, Z) of pictures (B, 3, h, w) in [0, 1]."""
        mean, logvar = self.encode(images)
        return self.decode(self.reparameterize(mean, logvar)), mean, logvar

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """Squared error a value, and the Kullback-Leibler term in its proportion.

        The paper's sum over a picture's values is divided by their number, both terms alike.

        Args:
            images (Tensor): (B, 3, h, w) in [0, 1].

        Returns:
            dict[str, Tensor]: ``loss_rec``, ``loss_kl``, and ``kl``, nats a picture, to be logged.
        """
        images = self.resize(images)
        drawn, mean, logvar = self(images)
        kl = gaussian_kl(mean, logvar).mean()
        error = (drawn.float() - images).square().mean()
        return dict(loss_rec=error, loss_kl=self.kl_weight / images[0].numel() * kl, kl=kl.detach())
