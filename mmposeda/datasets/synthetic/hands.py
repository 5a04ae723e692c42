"""Rendered hands by index: the picture and labels of index i depend on (seed, i) alone."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from .body import PHENOTYPES
from .camera import ViewDistribution, orient, place_camera
from .figures import RenderedFigures
from .hand import CHANGES
from .hand_appearance import sample_hand
from .hand_poses import HandPoseSource
from .hand_renderer import HandRenderer
from .hand_rig import joint_table
from .looks import LOOKS, build_look

#: Hand axes to a camera that sees a right hand's palm, fingers up.
PALM = np.diag([-1.0, -1.0, 1.0])
SIDES = ('left', 'right')
_NEAREST = 0.15  # metres between camera and hand
_MIRROR = np.array([-1.0, 1, 1])


def _hand_look(name):
    """A look of people, with the cameras that hands have: from all round, most of them near."""
    rough = name in ('sport', 'shifted')
    turned, roll = (0.6, 40.0) if rough else (0.3, 25.0)
    views = ViewDistribution(
        frontal_share=0.35, frontal_spread=35.0, turned_share=turned, turned_tilt=30.0, elevation=(5.0, 25.0),
        roll=roll, distance=(0.3, 1.5), fill=(0.5, 0.8), truncated_share=0.06 if rough else 0.0,
    )  # fmt: skip
    return replace(LOOKS[name](), views=views, ground_shadow=0.0, letterbox_share=0.0)


#: The looks of ``looks.LOOKS``. The azimuth of a view is 0 before the palm and turns
#: about the hand's length.
HAND_LOOKS = {name: lambda name=name: _hand_look(name) for name in LOOKS}


class RenderedHands(RenderedFigures):
    """Samples and draws hands.

    Args:
        size (int): Side of the square pictures, pixels.
        joints (str): ``hand21`` (fingers from palm to tip) or ``rhd2d`` (from tip to palm).
        seed (int): Seed of the set.
        look (str | dict): Name in ``HAND_LOOKS``, or ``dict(name=..., **changes)`` for ``looks.build_look``.
        poses (dict): Arguments of :class:`HandPoseSource`.
        side (str): ``left``, ``right``, or ``both``, half of the hands each. A left hand is a right one mirrored: the
            labels of a picture of the other side are its mirror image.
        backgrounds, sequence, device: See :class:`RenderedFigures`.

    Raises:
        ValueError: size too small, unknown look, joint set, side or gesture.
        FileNotFoundError: background folder without pictures.
    """

    angles = ('forefinger', 'thumb', 'middle_finger', 'ring_finger', 'pinky_finger')

    def __init__(
        self,
        size=128,
        joints='hand21',
        seed=0,
        look='sport',
        poses=None,
        side='both',
        backgrounds=None,
        sequence=0,
        device='cpu',
    ):
        look = build_look(**({'name': look} if isinstance(look, str) else dict(look)), looks=HAND_LOOKS)
        super().__init__(size, seed, look, backgrounds, sequence, device)
        if side not in (*SIDES, 'both'):
            raise ValueError(f"side must be 'left', 'right' or 'both', got {side!r}")
        self.joints, self.side = joints, side
        self.repertoire = dict(poses or {})
        self.poses = HandPoseSource(**self.repertoire)
        self.joint_names = joint_table(joints)[0]

    @cached_property
    def renderer(self):
        """Built when first needed, in every process for itself."""
        return HandRenderer(self.joints, self.device)

    def _figure(self, streams):
        renderer, rng = self.renderer, streams['person']
        drawn = SIDES[int(rng.random() < 0.5)]
        side = drawn if self.side == 'both' else self.side
        record, shape, changes = sample_hand(rng, renderer.hand_dtype, texture=self.look.texture)
        record['side'] = 1 if side == 'right' else -1
        rest, heads, tails = (x[0] for x in renderer.hand.rest(shape[None], changes[None]))
        nails, radii = renderer.hand.nails, renderer.hand.thickness(rest, heads, tails)
        rotations, path, angles, source = self.poses.sample(streams['pose'], heads, tails, nails, radii, self.sequence)
        numbers = dict(zip((*PHENOTYPES, *CHANGES), np.concatenate([shape, changes]).tolist()))
        label = dict(subject=dict(numbers, side=side), pose_source=source)
        return dict(
            record=record,
            rest=rest,
            heads=heads,
            tails=tails,
            rotations=rotations,
            path=path,
            angles=angles,
            label=label,
        )

    def _camera(self, figure, view, joints):
        turn = orient(view, PALM, np.array([0, 1.0, 0]))
        translation, focal, centre = place_camera(view, turn, joints, self.size, _NEAREST)
        if figure['label']['subject']['side'] == 'left':
            turn, translation = _MIRROR[:, None] * turn, _MIRROR * translation
            centre = np.array([self.size - 1 - centre[0], centre[1]])
        return turn, translation, focal, centre

    def _repertoire(self, num):
        hand, rng = self.renderer.hand, np.random.default_rng(0)
        rest = hand.rest(np.full((1, len(PHENOTYPES)), 0.5), np.zeros((1, len(CHANGES))))
        rest, heads, tails = (x[0] for x in rest)
        rig = heads, tails, hand.nails, hand.thickness(rest, heads, tails)
        return np.stack([self.poses.sample(rng, *rig)[0][0] for _ in range(num)]), heads, tails
