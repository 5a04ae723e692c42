"""Draws people: bodies with hair and clothes."""

from __future__ import annotations

import numpy as np

from .accessories import place
from .body import body_model
from .renderer import MeshRenderer
from .rig import BONE, PARENTS, joint_table


class PeopleRenderer(MeshRenderer):
    """Renderer for one joint set.

    Args:
        joints (str): ``lsp``, ``mpii`` or ``h36m``.
        device (str): ``cpu``, ``cuda`` or another device of Warp's.
        supersample (float): Drawn at this many times the size and area-averaged.
    """

    def __init__(self, joints='lsp', device='cpu', supersample=1.5):
        self.body = body_model()
        super().__init__(self.body, PARENTS, joint_table(joints), device, supersample)
        from . import shade_kernels

        self._shading = shade_kernels
        self.person_dtype = self.records.Person.numpy_dtype()
        along = np.stack([self.body.along_arm, self.body.along_leg], -1)
        self._a['along'] = self._fixed(along, self._wp.vec2)

    def rest(self, phenotypes, extras):
        """Rest vertices with accessories (B, V, 3), bone heads and tails (B, 31, 3)."""
        body = self.body
        vertices, heads, tails = body.rest(phenotypes)
        base, top = heads[:, BONE['Head']], tails[:, BONE['Head']]
        more = [
            place(body.unit, body.accessory_slices, extra, b, float(np.linalg.norm(t - b)))
            for extra, b, t in zip(extras, base, top)
        ]
        return np.concatenate([vertices, np.stack(more)], axis=1), heads, tails

    def _figures(self, records):
        return self._wp.array(records, dtype=self.records.Person, device=self.device)

    def _skin(self, rest, turn, shift, figures, out):
        a = self._a
        self._launch(
            self._geometry.skin_vertices, out.shape, rest, a['canonical'], a['normals'], a['along'], a['weights'],
            a['bones'], turn, shift, figures, self.body.num_body, out,
        )  # fmt: skip

    def _shade(self, points, normals, buffer, shadow, lenses, lights, figures, image, part):
        a = self._a
        self._launch(
            self._shading.shade, image.shape, points, normals, a['faces'], a['canonical'], a['along'], a['kind'],
            a['part'], buffer, shadow, lenses, lights, figures, image, part,
        )  # fmt: skip
