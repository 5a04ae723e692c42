"""The body: Anny's phenotype model as arrays, with what clothing needs to know about every vertex.

Needs the extra ``synth`` (packages ``anny`` and ``warp-lang``).
"""

from __future__ import annotations

import logging
from functools import lru_cache

import numpy as np

from .accessories import ACCESSORY_BONE, accessory_mesh
from .rig import BONE, BONES, PARENTS, PART_OF_BONE
from .shapes import AnnyShapes

PHENOTYPES = ('gender', 'age', 'muscle', 'weight', 'height', 'proportions')
logger = logging.getLogger('mmposeda')


def require_synth():
    """Import anny and warp or say what to install.

    Raises:
        ImportError: one of the two is missing.
    """
    try:
        import warp

        # warp greets in every worker and reports every cached kernel
        if hasattr(warp, 'LOG_ERROR'):
            warp.config.log_level = warp.LOG_ERROR
        else:
            warp.config.quiet = True
        import anny
    except ImportError as error:
        raise ImportError(
            f'rendered people need the packages anny and warp-lang ({error}); install them with: '
            'pip install mmposeda[synth]'
        ) from error
    return anny, warp


class BodyModel:
    """Anny on the 31-bone ``cmu_mb`` rig, plus a few accessory meshes (hair, cap) on the head.

    Attributes:
        faces (np.ndarray): (F, 3) int32, body first, then accessories.
        canonical (np.ndarray): (V, 3) template position of every vertex in metres, the same for all shapes. Accessories
            carry their unit-sphere position.
        along_arm, along_leg (np.ndarray): (V,) 0 at shoulder / hip, 1 at elbow / knee, 2 at wrist / ankle; below 0 on
            the trunk.
        weights, bones (np.ndarray): (V, 7) skinning weights and bone indices.
        face_part (np.ndarray): (F,) part number, see ``rig.PARTS``.
        num_body (int): vertices of the body proper; the accessories' follow.
    """

    def __init__(self):
        anny, _ = require_synth()
        import torch

        logger.info('loading the body model (building it for the first time takes one to two minutes)')
        model = anny.Anny(rig='cmu_mb').to(dtype=torch.float32)
        if list(model.bone_labels) != list(BONES) or tuple(model.bone_parents) != PARENTS:
            raise RuntimeError(f'anny {anny.__version__} has other bones than expected: {model.bone_labels}')
        if tuple(model.phenotype_labels) != PHENOTYPES:
            raise RuntimeError(f'anny {anny.__version__} has other shape values: {model.phenotype_labels}')
        self._anny = model
        self._shapes = AnnyShapes(model)
        self.template, self.heads, self.tails = self._shapes.template, self._shapes.heads, self._shapes.tails
        self.num_body = len(self.template)
        weights, bones = model.vertex_bone_weights.numpy(), model.vertex_bone_indices.numpy()
        unit, extra_faces, self.accessory_slices = accessory_mesh()
        head = np.zeros((len(unit), weights.shape[1]), np.float32)
        head[:, 0] = 1
        self.weights = np.concatenate([weights, head]).astype(np.float32)
        self.bones = np.concatenate([bones, np.full(head.shape, BONE[ACCESSORY_BONE])]).astype(np.int32)
        self.canonical = np.concatenate([self.template, unit]).astype(np.float32)
        self.unit = unit
        faces = self._drop_hidden(model.faces.numpy())
        self.faces = np.concatenate([faces, extra_faces + self.num_body]).astype(np.int32)
        self._measure()
        main = self.bones[np.arange(len(self.bones)), self.weights.argmax(1)]
        part = PART_OF_BONE[main][self.faces]
        self.face_part = np.where(part[:, 1] == part[:, 2], part[:, 1], part[:, 0]).astype(np.int32)
        self.face_kind = np.zeros(len(self.faces), np.int32)  # 0 body, 1 + n accessory n, -1 eyeball
        for n, (_, (start, stop)) in enumerate(self.accessory_slices.items()):
            lo, hi = start + self.num_body, stop + self.num_body
            self.face_kind[(self.faces[:, 0] >= lo) & (self.faces[:, 0] < hi)] = 1 + n
        self.face_kind[self._eyeballs[self.faces[:, 0]]] = -1

    def _drop_hidden(self, faces):
        """Leave out the tongue and teeth, which are separate pieces inside the mouth; remember the eyeballs."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        edges = coo_matrix((np.ones(faces.size), (faces.ravel(), np.roll(faces, 1, 1).ravel())), (self.num_body,) * 2)
        count, label = connected_components(edges, directed=False)
        self._eyeballs = np.zeros(len(self.canonical), bool)
        keep = np.ones(len(faces), bool)
        for piece in range(count):
            member = label == piece
            middle = self.template[member].mean(0)
            if member.sum() > self.num_body // 2:
                continue
            if abs(middle[0]) > 0.01:
                self._eyeballs[: self.num_body] |= member
            else:
                keep &= ~member[faces[:, 0]]
        return faces[keep]

    def _measure(self):
        """How far along arm and leg each vertex lies, from the template."""
        v, h = self.template, self.heads
        sums = np.zeros((self.num_body, len(BONES)), np.float32)
        np.add.at(sums, (np.arange(self.num_body)[:, None], self.bones[: self.num_body]), self.weights[: self.num_body])
        self.along_arm = np.full(len(self.canonical), -1, np.float32)
        self.along_leg = np.full(len(self.canonical), -1, np.float32)
        self.radial = np.zeros((len(self.canonical), 2), np.float32)

        def chain(side, names, out):
            member = sums[:, [BONE[n.replace('#', side).replace('@', side[0])] for n in names['bones'].split()]].sum(1)
            marks = [h[BONE[n.replace('#', side)]] for n in names['marks'].split()]
            marks.append(self.tails[BONE[names['end'].replace('#', side)]])
            best = np.full(self.num_body, np.inf)
            value = np.zeros(self.num_body, np.float32)
            for k in range(len(marks) - 1):
                axis = marks[k + 1] - marks[k]
                t = (v - marks[k]) @ axis / (axis @ axis)
                low = -1.0 if k == 0 else 0.0
                tc = np.clip(t, low, 1.0)
                gap = np.linalg.norm(v - marks[k] - tc[:, None] * axis, axis=1)
                closer = gap < best
                best = np.where(closer, gap, best)
                value = np.where(closer, k + tc, value)
            value = np.where(member > 0.5, value, np.minimum(value, 0) - (0.5 - member) * 0.4)
            sel = (v[:, 0] > 0) == (side == 'Left')
            out[: self.num_body] = np.where(sel, value, out[: self.num_body])

        arm = dict(
            bones='#Arm #ForeArm #Hand @Thumb #FingerBase #HandFinger1', marks='#Arm #ForeArm #Hand', end='#HandFinger1'
        )
        leg = dict(bones='#UpLeg #Leg #Foot #ToeBase', marks='#UpLeg #Leg #Foot', end='#ToeBase')
        for side in ('Left', 'Right'):
            chain(side, arm, self.along_arm)
            chain(side, leg, self.along_leg)

    def rest(self, phenotypes):
        """Shaped bodies in the rest pose.

        Args:
            phenotypes (np.ndarray): (B, 6) in [0, 1].

        Returns:
            tuple: vertices (B, num_body, 3), bone heads (B, 31, 3), bone tails (B, 31, 3), metres.
        """
        return self._shapes.rest(phenotypes)


@lru_cache(maxsize=1)
def body_model():
    """The body model, built once a process."""
    return BodyModel()


def forward_kinematics(rotations, heads, tails, parents=PARENTS):
    """Posed bone ends.

    Args:
        rotations (np.ndarray): (B, bones, 3, 3) rotation of every bone from rest to posed, world axes.
        heads, tails (np.ndarray): (B, bones, 3) at rest.
        parents (sequence[int]): Parent of each bone, -1 for the root, parents first; by default the body's 31 bones.

    Returns:
        tuple: posed heads, posed tails (B, bones, 3); the head of the root stays where it was.
    """
    posed = heads.copy()
    for bone in range(1, len(parents)):
        parent = parents[bone]
        step = (rotations[:, parent] * (heads[:, bone] - heads[:, parent])[:, None]).sum(-1)
        posed[:, bone] = posed[:, parent] + step
    ends = posed + (rotations * (tails - heads)[:, :, None]).sum(-1)
    return posed, ends
