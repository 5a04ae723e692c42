"""Changes of colour that leave the pose as it is."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_LUMA = (0.299, 0.587, 0.114)
#: RGB to a grey axis (luma) and two colour axes; turning the latter two turns the hue (YIQ).
_YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
CHANGES = ('hue', 'saturation', 'value', 'brightness')


class PhotometricChange(nn.Module):
    """One of hue, saturation, value and brightness of each picture, changed at random on the pictures' device.

    Each is linear in the colours, so that a picture's change is one 3 x 3 matrix and one shift: hue turns the colours
    about grey (in YIQ, not in HSV's hexagon), saturation pulls them to grey or away, value is added, brightness
    multiplied. Which of the four is drawn for every picture anew. Source: authors' code of non-local relation
    distillation for the four and the range of brightness; the other ranges are our choice.

    Args:
        hue (float): Largest turn, degrees.
        saturation (tuple[float, float]): Factors of the distance from grey.
        value (float): Largest shift, of the range of colours.
        brightness (tuple[float, float]): Factors.

    Raises:
        ValueError: Ranges of the wrong order or sign.
    """

    def __init__(
        self,
        hue: float = 40.0,
        saturation: tuple[float, float] = (0.5, 1.5),
        value: float = 0.2,
        brightness: tuple[float, float] = (0.5, 1.5),
    ) -> None:
        super().__init__()
        if hue < 0 or value < 0:
            raise ValueError(f'hue and value are the largest magnitudes and must be >= 0, got {hue} and {value}')
        for name, (low, high) in dict(saturation=saturation, brightness=brightness).items():
            if not 0 <= low <= high:
                raise ValueError(f'{name} must be (low, high) with 0 <= low <= high, got {(low, high)}')
        self.hue, self.saturation, self.value, self.brightness = hue, tuple(saturation), value, tuple(brightness)
        to_yiq = torch.tensor(_YIQ, dtype=torch.float64)
        grey = torch.tensor(_LUMA, dtype=torch.float64).expand(3, 3)
        # x -> grey part + cos(turn) colour part + sin(turn) colour part turned by 90 degrees
        quarter = torch.tensor([[0.0, 0, 0], [0, 0, -1], [0, 1, 0]], dtype=torch.float64)
        turned = torch.linalg.inv(to_yiq) @ quarter @ to_yiq
        for name, matrix in dict(_grey=grey, _colour=torch.eye(3) - grey, _turned=turned).items():
            self.register_buffer(name, matrix.float(), persistent=False)

    def forward(self, images: Tensor, probability: float = 1.0) -> Tensor:
        """Change pictures (B, 3, h, w), RGB in [0, 1], each with the given probability; the result is in [0, 1] too."""
        with torch.autocast(images.device.type, enabled=False):  # half precision would round colours
            matrix, shift = self._drawn(len(images), probability, images.device)
            mixed = torch.einsum('bij,bjhw->bihw', matrix.to(images.dtype), images)
            return (mixed + shift.to(images.dtype)[:, None, None, None]).clamp(0, 1)

    def _drawn(self, count: int, probability: float, device) -> tuple[Tensor, Tensor]:
        """Matrices (B, 3, 3) and shifts (B,)."""
        which = torch.randint(len(CHANGES), (count, 1, 1), device=device)
        which = torch.where(torch.rand(count, 1, 1, device=device) < probability, which, -1)
        amount = torch.rand(count, 1, 1, device=device)
        turn = (2 * amount - 1) * math.radians(self.hue)
        hue = self._grey + turn.cos() * self._colour + turn.sin() * self._turned
        saturation = self._grey + self._between(self.saturation, amount) * self._colour
        identity = torch.eye(3, device=device).expand(count, 3, 3)
        matrix = torch.where(which == 0, hue, identity)
        matrix = torch.where(which == 1, saturation, matrix)
        matrix = torch.where(which == 3, self._between(self.brightness, amount) * identity, matrix)
        shift = torch.where(which == 2, (2 * amount - 1) * self.value, 0.0)
        return matrix, shift.flatten()

    @staticmethod
    def _between(limits: tuple[float, float], share: Tensor) -> Tensor:
        return limits[0] + (limits[1] - limits[0]) * share

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return ', '.join(f'{name}={getattr(self, name)}' for name in CHANGES)
