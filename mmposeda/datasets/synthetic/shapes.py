"""Anny's shape model as arrays: shape values in, vertices and bone ends at rest out."""

from __future__ import annotations

import numpy as np


class AnnyShapes:
    """Blend shapes of some vertices and bones of an ``anny.Anny``.

    Args:
        model (anny.Anny): In float32, of a rig that keeps the ends of its bones.
        vertices (np.ndarray): (V,) which vertices; all by default.
        bones (np.ndarray): (N,) which bones; all by default.

    Attributes:
        template (np.ndarray): (V, 3) vertices before any blend shape, metres.
        heads, tails (np.ndarray): (N, 3) bone ends of the template, metres.
    """

    def __init__(self, model, vertices=None, bones=None):
        self._anny = model
        array = {k: v.numpy() for k, v in model.named_buffers()}
        vertices = slice(None) if vertices is None else vertices
        bones = slice(None) if bones is None else bones
        self.template = array['template_vertices'][vertices]
        self.heads, self.tails = array['template_bone_heads'][bones], array['template_bone_tails'][bones]
        count = len(array['blendshapes'])
        parts = (
            array['blendshapes'][:, vertices],
            array['bone_heads_blendshapes'][:, bones],
            array['bone_tails_blendshapes'][:, bones],
        )
        self._basis = np.concatenate([part.reshape(count, -1) for part in parts], axis=1).astype(np.float32)
        self._mean = np.concatenate([self.template.ravel(), self.heads.ravel(), self.tails.ravel()])

    def coefficients(self, phenotypes, changes=None):
        """Blend-shape coefficients (B, A).

        Args:
            phenotypes (np.ndarray): (B, 6) in [0, 1], in the order of ``body.PHENOTYPES``.
            changes (np.ndarray): (B, C) local changes in the order of the model's ``local_change_labels``; none: zero.
        """
        import torch

        model = self._anny
        values = torch.from_numpy(np.asarray(phenotypes, np.float32))
        local = torch.zeros(len(values), len(model.local_change_labels))
        if changes is not None:
            local = torch.from_numpy(np.asarray(changes, np.float32))
        faces = torch.zeros(1, len(model.facial_action_labels))
        # one at a time: a picture must not depend on what else is in its batch
        rows = [model._get_phenotype_blendshape_coefficients(v[None], c[None], faces) for v, c in zip(values, local)]
        return torch.cat(rows).numpy()

    def rest(self, phenotypes, changes=None):
        """Shapes at rest.

        Args:
            phenotypes, changes (np.ndarray): See :meth:`coefficients`.

        Returns:
            tuple: vertices (B, V, 3), bone heads (B, N, 3), bone tails (B, N, 3), metres.
        """
        flat = np.stack([self._mean + row @ self._basis for row in self.coefficients(phenotypes, changes)])
        split = self.template.size, self.template.size + self.heads.size
        return tuple(x.reshape(len(flat), -1, 3) for x in np.split(flat, split, axis=1))
