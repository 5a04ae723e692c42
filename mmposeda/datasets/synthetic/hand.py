"""The hand and forearm: Anny's right arm as arrays, with joints and skinning of our own.

Needs the extra ``synth`` (packages ``anny`` and ``warp-lang``). Anny's hand model itself ends at the wrist; real crops
show the forearm too, so the arm is cut from the whole body's mesh above the elbow.

The joints of anny's rig serve animation: its fingers bend at the web and right under the skin of their backs, and its
thumb begins in the middle of the palm. Here the knuckles lie where the proximal phalanges begin, of the lengths that
radiographs show, finger joints near the middle of the finger, and the thumb begins near the wrist. Skinning weights
follow from the moved bones by bone heat.
"""

from __future__ import annotations

import logging
from functools import lru_cache

import numpy as np

from .body import PHENOTYPES, require_synth
from .bone_heat import bone_heat, closest
from .hand_rig import ANNY_BONES, BONE, BONES, FINGERS, PART_OF_BONE
from .renderer import vertex_normals
from .rotations import unit
from .shapes import AnnyShapes

#: Anny's local changes of arm and hand that vary, each in [-1, 1] of what it offers.
CHANGES = {
    'fingers_length': 'r-hand-fingers-length-incr',
    'fingers_diameter': 'r-hand-fingers-diameter-incr',
    'fingers_distance': 'r-hand-fingers-distance-incr',
    'hand_size': 'r-hand-scale-incr',
    'forearm_fat': 'r-lowerarm-fat-incr',
    'forearm_muscle': 'r-lowerarm-muscle-incr',
    'wrist': 'measure-wrist-circ-incr',
}
#: Lengths of proximal and middle phalanges, mm (Buryanov and Kotiuk, Proportions of hand segments, Int. J. Morphol.
#: 28(3), 2010, radiographs of 66 adults).
_PHALANGES = {
    'forefinger': (39.78, 22.38),
    'middle_finger': (44.63, 26.33),
    'ring_finger': (41.37, 25.65),
    'pinky_finger': (32.74, 18.11),
}
_RING = 0.005  # metres along a finger to either side of a joint, of the skin whose middle is looked for
_INWARDS = 0.8  # share of the way from anny's joints to that middle: joints lie nearer to the back of a finger
_TIP, _CAP = 0.002, 0.008  # metres from a finger's end to the joint of its tip, and to where its end begins
_PALM = ('metacarpal1.R', 'metacarpal2.R')  # of anny's bones those that move with our ``palm``
_MOST = 6  # bones that move one vertex
logger = logging.getLogger('mmposeda')


class HandModel:
    """A right hand and arm on the 21 bones of ``hand_rig``.

    Attributes:
        faces (np.ndarray): (F, 3) int32; the cut end of the arm is closed.
        canonical (np.ndarray): (V, 3) template position in hand axes, metres, the same for all shapes.
        coordinates (np.ndarray): (V, 3) where on the hand a vertex is: across the finger (in radii of it, towards the
            little finger's side positive), along it (-2 to -1 upper arm, -1 to 0 forearm, 0 wrist, 1 to 4 the joints of
            its finger), and how much it looks to the back of the hand (-1 palm to 1 back).
        weights, bones (np.ndarray): (V, 6) skinning weights and bone indices.
        face_part (np.ndarray): (F,) part number, see ``hand_rig.PARTS``.
        face_kind (np.ndarray): (F,) 0 arm and palm, 1 to 5 the fingers from the thumb.
        nails (np.ndarray): (5, 3) direction into which each nail looks at rest.
        radii (np.ndarray): (bones,) mean distance of the skin from the bone, metres; of the palm on its inner side.
    """

    def __init__(self):
        anny, _ = require_synth()
        import torch

        logger.info('loading the hand model (building it for the first time takes one to three minutes)')
        # the 'blender' orientation keeps the ends of the bones
        model = anny.Anny(rig='anny-blender', local_changes=list(CHANGES.values())).to(dtype=torch.float32)
        labels = list(model.bone_labels)
        if not set(ANNY_BONES) <= set(labels) or tuple(model.phenotype_labels) != PHENOTYPES:
            raise RuntimeError(f'anny {anny.__version__} has other bones or shape values than expected')
        self._order = [model.local_change_labels.index(label) for label in CHANGES.values()]
        bones = np.array([labels.index(name) for name in ANNY_BONES])
        arm = torch.tensor([labels.index(name) for name in (*ANNY_BONES, *_PALM)])
        share = (model.vertex_bone_weights * torch.isin(model.vertex_bone_indices, arm)).sum(1)
        faces = model.faces.numpy()
        shoulder, elbow = model.template_bone_heads[bones[:2]].numpy()
        upper = (model.template_vertices.numpy() - shoulder) @ (elbow - shoulder) / ((elbow - shoulder) ** 2).sum()
        faces = faces[((share > 0.5).numpy() & (upper > 0.3))[faces].all(1)]
        used, faces = np.unique(faces, return_inverse=True)
        faces = faces.reshape(-1, 3)
        self._shapes = AnnyShapes(model, used, bones)
        self._rim = _rim(faces)
        following = np.roll(self._rim, -1)
        cap = np.stack([following, self._rim, np.full(len(self._rim), len(used))], 1)
        self.faces = np.concatenate([faces, cap]).astype(np.int32)
        self._set_joints(model, used)
        vertices, heads, tails = self._to_hand(self._shapes.template, self._shapes.heads, self._shapes.tails)
        self.canonical = vertices.astype(np.float32)
        self._set_weights(vertices, heads, tails)
        self._measure(vertices, heads, tails)

    def _set_joints(self, model, used):
        """How far behind anny's the knuckles lie, in shares of the phalanx that begins there; skin about joints."""
        heads, template = self._shapes.heads, self._shapes.template

        def length(finger, k):
            return np.linalg.norm(heads[BONE[f'{finger}{k + 1}']] - heads[BONE[f'{finger}{k}']])

        scale = sum(length(finger, 2) for finger in _PHALANGES) / sum(middle for _, middle in _PHALANGES.values())
        self._back = {f: first * scale / length(f, 1) - 1 for f, (first, _) in _PHALANGES.items()}
        weights, indices = model.vertex_bone_weights.numpy()[used], model.vertex_bone_indices.numpy()[used]
        self._rings, self._ends = {}, {}
        for n, finger in enumerate(FINGERS, 1):
            own = [i for i, label in enumerate(model.bone_labels) if label in {f'finger{n}-{k}.R' for k in (1, 2, 3)}]
            member = (weights * np.isin(indices, own)).sum(1) > 0.5
            for k in (2, 3):
                bone = BONE[f'{finger}{k}']
                along = (template - heads[bone]) @ unit(self._shapes.tails[bone] - heads[bone])
                if (finger, k) != ('thumb', 2):  # the thumb's second joint lies in the middle of its thickness
                    self._rings[f'{finger}{k}'] = np.flatnonzero(member & (np.abs(along) < _RING))
            along = np.where(member, along, -1)
            self._ends[finger] = along.argmax(), np.flatnonzero(along > along.max() - _CAP)

    def _to_hand(self, vertices, heads, tails):
        """Anny's vertices and bone ends (..., 3) to hand axes, with our joints and the arm's end closed."""
        heads, tails = heads.copy(), tails.copy()
        for finger, share in self._back.items():
            first, second = (heads[..., BONE[f'{finger}{k}'], :] for k in (1, 2))
            heads[..., BONE[f'{finger}1'], :] = first + share * (first - second)
        for joint, ring in self._rings.items():
            bone = BONE[joint]
            along, inwards = unit(tails[..., bone, :] - heads[..., bone, :]), vertices[..., ring, :].mean(-2)
            inwards = _INWARDS * _across(inwards - heads[..., bone, :], along)
            heads[..., bone, :] += inwards
            if joint[-1] == '2':
                heads[..., bone - 1, :] += 1.2 * inwards  # the hand is thicker at the knuckle
            else:
                end, cap = self._ends[joint[:-1]]
                depth = ((vertices[..., end, :] - heads[..., bone, :]) * along).sum(-1, keepdims=True) - _TIP
                aside = _across(vertices[..., cap, :].mean(-2) - heads[..., bone, :], along)
                tails[..., bone, :] = heads[..., bone, :] + depth * along + aside
        wrist = heads[..., BONE['palm'], :]
        # half way to the wrist, where the first metacarpal gets 1.45 times the length of the phalanx beyond it, as in
        # the table (46.2 and 31.6 mm)
        heads[..., BONE['thumb1'], :] = (heads[..., BONE['thumb1'], :] + wrist) / 2
        for bone, end in _ENDS.items():
            tails[..., BONE[bone], :] = heads[..., BONE[end], :]
        middle = vertices[..., self._rim, :].mean(-2, keepdims=True)
        vertices = np.concatenate([vertices, middle], axis=-2)
        y = unit(heads[..., BONE['middle_finger1'], :] - wrist)
        x = heads[..., BONE['pinky_finger1'], :] - heads[..., BONE['forefinger1'], :]
        x = unit(x - y * (x * y).sum(-1, keepdims=True))
        axes = np.stack([x, y, np.cross(x, y)], axis=-1)
        return tuple((x - wrist[..., None, :]) @ axes for x in (vertices, heads, tails))

    def _set_weights(self, vertices, heads, tails):
        segments = [[(heads[b], tails[b])] for b in range(len(BONES))]
        segments[BONE['palm']].append((heads[BONE['palm']], heads[BONE['forefinger1']]))
        dense = bone_heat(vertices, self.faces, segments)
        order = np.argsort(-dense, axis=1, kind='stable')[:, :_MOST]
        weights = np.take_along_axis(dense, order, 1)
        weights[weights < 0.01] = 0
        self.weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
        self.bones = order.astype(np.int32)
        self._dense = dense

    def _measure(self, vertices, heads, tails):
        """Coordinates on the hand, nails, radii, parts."""
        v, dense = vertices, self._dense
        normal = vertex_normals(v, self.faces).astype(np.float64)
        main = dense.argmax(1)
        back = np.tile([0.0, 0, 1], (len(BONES), 1))
        self.nails = np.stack([self._nail(f, v, normal, main, heads, tails) for f in FINGERS])
        inner = (normal[:, 2] < -0.5) | ~np.isin(main, [BONE[b] for b in BONES if b.endswith('palm')])
        self._inner = np.flatnonzero(inner), main[inner]
        self.radii = self.thickness(v, heads, tails)
        finger_of = np.zeros(len(BONES), int)
        for n, finger in enumerate(FINGERS, 1):
            for k in (1, 2, 3):
                bone = BONE[f'{finger}{k}']
                along = unit(tails[bone] - heads[bone])
                back[bone] = unit(self.nails[n - 1] - along * (self.nails[n - 1] @ along))
                finger_of[bone] = n
        local = unit(dense @ back)
        across, place = np.zeros(len(v)), np.zeros(len(v))
        self.face_kind = self._fingers(finger_of, main)
        chains = [['palm', *(f'{finger}{k}' for k in (1, 2, 3))] for finger in FINGERS]
        for n, chain in enumerate([['upper_arm', 'forearm'], *chains]):
            marks = [heads[BONE[b]] for b in chain] + [tails[BONE[chain[-1]]] if n else heads[BONE['palm']]]
            best = np.full(len(v), np.inf)
            for k in range(len(marks) - 1):
                near, share = closest(v, marks[k], marks[k + 1])
                gap = np.linalg.norm(v - near, axis=1)
                chosen = self._member(n, dense, v, heads) & (gap < best)
                best = np.where(chosen, gap, best)
                side = np.cross(unit(marks[k + 1] - marks[k]), local)
                radius = self.radii[BONE[chain[min(k, len(chain) - 1)]]]
                across = np.where(chosen, ((v - near) * side).sum(1) / radius, across)
                place = np.where(chosen, k + share - (0 if n else 2), place)
        self.coordinates = np.stack([across, place, (normal * local).sum(1)], 1).astype(np.float32)
        part = PART_OF_BONE[main][self.faces]
        self.face_part = np.where(part[:, 1] == part[:, 2], part[:, 1], part[:, 0]).astype(np.int32)

    def thickness(self, vertices, heads, tails):
        """Mean distances (bones,) of the skin from the bones of a shaped hand at rest, metres; see ``radii``."""
        skin, bone = self._inner
        start, axis = heads[bone], tails[bone] - heads[bone]
        away = vertices[skin] - start
        share = np.clip((away * axis).sum(-1) / (axis * axis).sum(-1), 0, 1)
        gap = np.linalg.norm(away - share[:, None] * axis, axis=-1)
        return np.bincount(bone, gap, len(BONES)) / np.bincount(bone, minlength=len(BONES))

    def _fingers(self, finger_of, main):
        kind = finger_of[main][self.faces]
        return np.where(kind[:, 1] == kind[:, 2], kind[:, 1], kind[:, 0]).astype(np.int32)

    @staticmethod
    def _member(chain, dense, v, heads):
        """Which vertices are measured along a chain: 0 the arm's, n the finger's and the piece of palm behind it."""
        arm = dense[:, [BONE[b] for b in ('upper_arm', 'forearm', 'forearm_end')]].sum(1) > 0.5
        if not chain:
            return arm
        own = np.stack([dense[:, [BONE[f'{f}{k}'] for k in (1, 2, 3)]].sum(1) for f in FINGERS], 1)
        lines = [(heads[BONE['palm']], heads[BONE[f'{f}1']]) for f in FINGERS]
        gap = np.stack([np.linalg.norm(v - closest(v, *line)[0], axis=1) for line in lines], 1)
        gap[:, 0] += 0.01  # the palm's skin belongs to the other fingers
        nearest = np.where(own.sum(1) > 0.3, own.argmax(1), gap.argmin(1))
        return ~arm & (nearest == chain - 1)

    @staticmethod
    def _nail(finger, v, normal, main, heads, tails):
        """Direction into which a nail looks: the mean normal on the last phalanx, about a first guess."""
        bone = BONE[f'{finger}3']
        axis = tails[bone] - heads[bone]
        place, along = (v - heads[bone]) @ axis / (axis @ axis), unit(axis)
        guess = np.array([0.0, 0, 1])
        if finger == 'thumb':  # it is bent a little at rest, in the plane in which the nail looks
            before = unit(heads[bone] - heads[BONE['thumb2']])
            guess = np.cross(np.cross(before, along), along) * -1
        guess = unit(guess - along * (guess @ along))
        for _ in range(4):
            near = (main == bone) & (place > 0.35) & (place < 0.95) & (normal @ guess > np.cos(np.radians(40)))
            guess = normal[near].mean(0)
            guess = unit(guess - along * (guess @ along))
        return guess

    def rest(self, phenotypes, changes):
        """Shaped right hands in the rest pose, hand axes.

        Args:
            phenotypes (np.ndarray): (B, 6) in [0, 1], see ``body.PHENOTYPES``.
            changes (np.ndarray): (B, 7) in [-1, 1], in the order of ``CHANGES``.

        Returns:
            tuple: vertices (B, V, 3), bone heads (B, 21, 3), bone tails (B, 21, 3), metres.
        """
        local = np.zeros((len(changes), len(CHANGES)), np.float32)
        local[:, self._order] = changes
        return self._to_hand(*self._shapes.rest(phenotypes, local))


def _across(v, along):
    """The part of vectors (..., 3) at right angles to unit vectors."""
    return v - along * (v * along).sum(-1, keepdims=True)


#: bones that end where another begins
_ENDS = {
    'upper_arm': 'forearm', 'forearm': 'forearm_end', 'forearm_end': 'palm', 'palm': 'middle_finger1',
    'ring_palm': 'ring_finger1', 'pinky_palm': 'pinky_finger1',
    **{f'{finger}{k}': f'{finger}{k + 1}' for finger in FINGERS for k in (1, 2)},
}  # fmt: skip


def _rim(faces):
    """Vertices around the one open end of a mesh, in the direction of its edges."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    known = {(a, b) for a, b in edges.tolist()}
    following = {a: b for a, b in known if (b, a) not in known}
    rim = [next(iter(following))]
    while following[rim[-1]] != rim[0]:
        rim.append(following[rim[-1]])
    if len(rim) != len(following):
        raise RuntimeError(f"the arm of anny's mesh has more than one open end: {len(rim)} of {len(following)} edges")
    return np.array(rim)


@lru_cache(maxsize=1)
def hand_model():
    """The hand model, built once a process."""
    return HandModel()
