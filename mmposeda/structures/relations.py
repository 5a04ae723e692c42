"""Operations on poses and motions that can be made on joints and on pictures alike, without knowing the pose.

Legend: T frames of a clip, J joints. Poses are (..., J, 3) from their root in the camera's axes (x right, y down, z
forward); pictures are square crops around the person.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .kinematics import rotate
from .warp import affine_matrix, compose, warp

_ANGLE = re.compile(r'(?P<words>\w+)\((?P<angle>-?\d+(?:\.\d+)?)\)')
_SPACE = ('flip', 'inplane', 'flip_inplane')
_WORDS = (*_SPACE, 'backward', *(f'{words}_backward' for words in _SPACE))


@dataclass(frozen=True)
class Relation:
    """A relation between a picture or clip (the anchor) and what becomes of it (the positive).

    Of a pose it is a turn about the optical axis, and then a mirroring; of a motion besides a replay in reverse, or a
    reverse replay at half the speed. Source: non-local relation distillation (Kundu et al., NeurIPS 2021).

    Attributes:
        name (str): As :meth:`parse` reads it.
        angle (float): Turn about the optical axis, degrees, clockwise on the screen, from x to y.
        flip (bool): Mirrored after the turn: left and right change sides.
        backward (bool): In reverse; then it relates motions.
        slow (bool): In reverse at half the speed.
    """

    name: str
    angle: float = 0.0
    flip: bool = False
    backward: bool = False
    slow: bool = False

    @classmethod
    def parse(cls, name: str) -> Relation:
        """A relation by its name.

        Args:
            name (str): 'flip', 'inplane(50)', 'flip_inplane(50)' (turn, then mirror); of motions 'backward',
                'flip_backward', 'inplane_backward(50)', 'flip_inplane_backward(50)', 'slow_backward'; or 'identity'.

        Raises:
            ValueError: Another name.
        """
        if name in ('slow_backward', 'identity'):
            return cls(name, backward=name != 'identity', slow=name != 'identity')
        found = _ANGLE.fullmatch(name)
        words = found['words'] if found else name
        if words not in _WORDS or ('inplane' in words) != bool(found):
            raise ValueError(
                f'relation {name!r} is none of flip, inplane(ANGLE), flip_inplane(ANGLE), backward, flip_backward, '
                'inplane_backward(ANGLE), flip_inplane_backward(ANGLE), slow_backward and identity'
            )
        return cls(name, float(found['angle']) if found else 0.0, 'flip' in words, 'backward' in words)

    @property
    def level(self) -> str:
        """'motion' where time is turned round, else 'pose'."""
        return 'motion' if self.backward else 'pose'

    def window(self, frames: int) -> int:
        """Frames of video that a pair of clips of ``frames`` is made of.

        Raises:
            ValueError: An odd number of frames at half the speed.
        """
        if self.slow and frames % 2:
            raise ValueError(f'{self.name} takes the middle half of a window: clips of an even length, got {frames}')
        return 2 * frames if self.slow else frames

    def anchor(self, clip: Tensor, dim: int = 1) -> Tensor:
        """The frames of the anchor in a window along ``dim``: all, or every second one, twice as fast."""
        return clip.index_select(dim, self._steps(clip, dim)[0]) if self.slow else clip

    def positive(self, clip: Tensor, dim: int = 1) -> Tensor:
        """The frames of the positive in a window: all or, at half the anchor's speed, the middle half; in reverse."""
        return clip.index_select(dim, self._steps(clip, dim)[1]) if self.backward else clip

    def joints(self, pose: Tensor, flip_indices: Sequence[int]) -> Tensor:
        """Poses (..., J, 3) after the turn and the mirroring.

        Args:
            pose (Tensor): (..., J, 3).
            flip_indices (Sequence[int]): J places of the mirrored joints.
        """
        if self.angle:
            turn = math.radians(self.angle)
            cos, sin = math.cos(turn), math.sin(turn)
            pose = rotate(pose.new_tensor([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]), pose)
        if self.flip:
            pose = pose[..., list(flip_indices), :] * pose.new_tensor([-1.0, 1.0, 1.0])
        return pose

    def matrix(self, size: tuple[int, int], like: Tensor) -> Tensor:
        """The map (1, 3, 3) of index coordinates of a crop (w, h) that :meth:`joints` is seen as."""
        # the turn of affine_matrix is counter-clockwise on the screen
        none, one = like.new_zeros(1, dtype=torch.float32), like.new_ones(1, dtype=torch.float32)
        matrix = affine_matrix(size, none - math.radians(self.angle), none, none.expand(1, 2), one)
        if not self.flip:
            return matrix
        mirror = matrix.new_tensor([[-1, 0, size[0] - 1], [0, 1, 0], [0, 0, 1]])[None]
        return compose(mirror, matrix)

    def pixels(self, images: Tensor, size: int | None = None) -> Tensor:
        """Pictures after the turn about their centre and the mirroring, in one resampling.

        Args:
            images (Tensor): (B, C, h, w).
            size (int, optional): Side of the square about the centre that is cut out, pixels; the whole picture by
                default. A margin fills the corners of turned pictures; beyond the picture its edge goes on.

        Returns:
            Tensor: (B, C, size, size).
        """
        if not self.angle:
            cut = centre_crop(images, size)
            return cut.flip(-1) if self.flip else cut
        height, width = images.shape[-2:]
        matrix = self.matrix((width, height), images)
        if size is not None:
            shift = torch.eye(3, device=matrix.device)[None].clone()
            shift[0, :2, 2] = -matrix.new_tensor([(width - size) / 2, (height - size) / 2])
            matrix = compose(shift, matrix)
        out = (size, size) if size is not None else (width, height)
        return warp(images, matrix.expand(len(images), 3, 3), out, padding='border')

    def _steps(self, clip: Tensor, dim: int) -> tuple[Tensor, Tensor]:
        count = clip.shape[dim]
        if self.slow and count % 4:
            raise ValueError(f'{self.name} takes windows of a multiple of 4 frames, got {count}')
        steps = torch.arange(count, device=clip.device)
        return steps[::2] if self.slow else steps, (steps[count // 4 : 3 * count // 4] if self.slow else steps).flip(0)


def centre_crop(images: Tensor, size: int | None) -> Tensor:
    """The square of side ``size`` about the centre of pictures (..., h, w); all of it for None.

    Raises:
        ValueError: Larger than the pictures, or not about their centre pixel.
    """
    if size is None:
        return images
    height, width = images.shape[-2:]
    if size > min(height, width) or (height - size) % 2 or (width - size) % 2:
        raise ValueError(
            f'no square of {size} pixels about the centre of pictures of {width} x {height}: it must be at most as '
            'large, and differ by an even number'
        )
    top, left = (height - size) // 2, (width - size) // 2
    return images[..., top : top + size, left : left + size]
