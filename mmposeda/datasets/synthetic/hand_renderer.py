"""Draws hands: skin with creases and nails, sleeves, gloves, rings."""

from __future__ import annotations

from .hand import hand_model
from .hand_rig import BONE, PARENTS, joint_table
from .renderer import MeshRenderer


class HandRenderer(MeshRenderer):
    """Renderer for one order of the joints.

    Args:
        joints (str): ``hand21`` or ``rhd2d``.
        device (str): ``cpu``, ``cuda`` or another device of Warp's.
        supersample (float): Drawn at this many times the size and area-averaged.
    """

    shadow_size, shadow_pad = 256, 0.04
    shadow_bones = slice(BONE['forearm'], None)

    def __init__(self, joints='hand21', device='cpu', supersample=1.5):
        self.hand = hand_model()
        super().__init__(self.hand, PARENTS, joint_table(joints), device, supersample)
        from . import hand_kernels

        self._kernels = hand_kernels
        self.hand_dtype = hand_kernels.Hand.numpy_dtype()
        self._a['coordinates'] = self._fixed(self.hand.coordinates, self._wp.vec3)
        depth = self.hand.radii[self._joint_weights.argmax(1) % len(PARENTS)]
        # the skin about a joint does not hide it, but that of the rest of its bones where one looks along them
        self.margin, self.reach = depth + 0.004, 2 * depth + 0.004

    def _figures(self, records):
        return self._wp.array(records, dtype=self._kernels.Hand, device=self.device)

    def _skin(self, rest, turn, shift, figures, out):
        a = self._a
        self._launch(
            self._kernels.skin_hands, out.shape, rest, a['canonical'], a['normals'], a['coordinates'], a['weights'],
            a['bones'], turn, shift, figures, out,
        )  # fmt: skip

    def _shade(self, points, normals, buffer, shadow, lenses, lights, figures, image, part):
        a = self._a
        self._launch(
            self._kernels.shade_hands, image.shape, points, normals, a['faces'], a['canonical'], a['coordinates'],
            a['kind'], a['part'], buffer, shadow, lenses, lights, figures, image, part,
        )  # fmt: skip
