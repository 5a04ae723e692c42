"""The driving picture, drawn from the base picture and a displacement field."""

from __future__ import annotations

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmposeda.registry import MODELS
from mmposeda.structures.keypoint_grid import resize_map, warp_by_field

#: Both halvings of the way down.
DIVISOR = 4


def _block(inputs: int, outputs: int, kernel: int = 3) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


class _Residual(nn.Module):
    """Normalisation and ReLU before each of two convolutions, and the input added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True), nn.Conv2d(channels, channels, 3, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


@MODELS.register_module()
class ImageGenerator(BaseModule):
    """Moves features of the base picture by a field, and draws anew what the field cannot bring.

    The generation module of the geometric reconstruction (Lin et al., NeurIPS 2023): the architecture of Johnson et al.
    (ECCV 2016), two blocks down, six residual blocks and two blocks up. The supplementary also speaks of a U-Net with
    five blocks, which we take for that of :class:`~mmposeda.models.networks.WarpEstimator`. Average pooling and the
    places of warp and inpainting map, at the coarsest features, follow the code of the first-order motion model.

    With ``width=64`` there are 7.8 million parameters.

    Args:
        width (int): Channels at the picture's size; twice and four times as many below.
        num_residual (int): Residual blocks.
        composite (bool): Where the inpainting map trusts the warp, give the warped picture itself instead of what the
            network draws (our option, after the same authors' later code): an unmoved picture comes out exact, and the
            gradient of a misplaced keypoint is sharper.

    Raises:
        ValueError: A width below 1 or a negative number of blocks.
    """

    def __init__(
        self, width: int = 64, num_residual: int = 6, composite: bool = False, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        if width < 1 or num_residual < 0:
            raise ValueError(f'width must be 1 or more and num_residual 0 or more, got {width} and {num_residual}')
        self.composite = composite
        pool = nn.AvgPool2d(2)
        down = [*_block(width, 2 * width), pool, *_block(2 * width, 4 * width), pool]
        self.encoder = nn.Sequential(*_block(3, width, 7), *down)
        self.residual = nn.Sequential(*(_Residual(4 * width) for _ in range(num_residual)))
        grow = nn.Upsample(scale_factor=2, mode='nearest')
        up = [grow, *_block(4 * width, 2 * width), grow, *_block(2 * width, width)]
        self.decoder = nn.Sequential(*up, nn.Conv2d(width, 3, 7, padding=3), nn.Sigmoid())

    def forward(self, base: Tensor, field: Tensor, inpainting: Tensor) -> Tensor:
        """Draw the driving picture.

        Args:
            base (Tensor): Base pictures, RGB in [0, 1], (B, 3, h, w), sides divisible by 4.
            field (Tensor): Displacements (B, h', w', 2) in corner-aligned grid units, of any size: they are resized.
            inpainting (Tensor): (B, 1, h', w') in [0, 1], 1 where the warp is trusted.

        Returns:
            Tensor: RGB in [0, 1], (B, 3, h, w).

        Raises:
            ValueError: Sides that are not divisible by 4, or a field and a map of different sizes.
        """
        height, width = base.shape[-2:]
        if height % DIVISOR or width % DIVISOR:
            raise ValueError(f'pictures of {width}x{height} pixels cannot be halved twice: take multiples of {DIVISOR}')
        if field.shape[:3] != inpainting[:, 0].shape or inpainting.shape[1] != 1 or field.shape[3:] != (2,):
            raise ValueError(
                'a field (B, h, w, 2) wants an inpainting map (B, 1, h, w), '
                f'got {tuple(field.shape)} and {tuple(inpainting.shape)}'
            )
        features = self.encoder(base)
        features = warp_by_field(features, field) * resize_map(inpainting, (width // DIVISOR, height // DIVISOR))
        drawn = self.decoder(self.residual(features))
        if not self.composite:
            return drawn
        trust = resize_map(inpainting, (width, height))
        return trust * warp_by_field(base, field) + (1 - trust) * drawn
