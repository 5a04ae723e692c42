"""Rendered people by index: the picture and labels of index i depend on (seed, i) alone."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from .appearance import sample_person
from .body import PHENOTYPES
from .camera import place_camera, view_rotation
from .figures import RenderedFigures
from .looks import build_look
from .people_renderer import PeopleRenderer
from .poses import PoseSource
from .rig import joint_table


class RenderedPeople(RenderedFigures):
    """Samples and draws people.

    Args:
        size (int): Side of the square pictures, pixels.
        joints (str): ``lsp``, ``mpii`` or ``h36m``.
        seed (int): Seed of the set.
        look (str | dict): Name of a look, or ``dict(name=..., **changes)`` for ``looks.build_look``.
        poses (dict): Arguments of :class:`PoseSource`.
        backgrounds, sequence, device: See :class:`RenderedFigures`.

    Raises:
        ValueError: size too small, unknown look or joint set.
        FileNotFoundError: background folder without pictures, missing motion file.
    """

    angles = ('left_arm', 'right_arm')

    def __init__(
        self, size=128, joints='lsp', seed=0, look='sport', poses=None, backgrounds=None, sequence=0, device='cpu'
    ):
        look = build_look(**({'name': look} if isinstance(look, str) else dict(look)))
        super().__init__(size, seed, look, backgrounds, sequence, device)
        self.joints = joints
        self.repertoire = dict(poses or {})
        self.poses = PoseSource(**self.repertoire)
        self.joint_names = joint_table(joints)[0]

    @cached_property
    def renderer(self):
        """Built when first needed, in every process for itself."""
        return PeopleRenderer(self.joints, self.device)

    def _figure(self, streams):
        renderer = self.renderer
        record, shape, extras = sample_person(streams['person'], renderer.person_dtype, texture=self.look.texture)
        rest, heads, tails = (x[0] for x in renderer.rest(shape[None], [extras]))
        rotations, path, source = self.poses.sample(streams['pose'], heads, tails, self.sequence)
        label = dict(subject=dict(zip(PHENOTYPES, shape.tolist())), pose_source=source)
        return dict(record=record, rest=rest, heads=heads, tails=tails, rotations=rotations, path=path, label=label)

    def _camera(self, figure, view, joints):
        turn = view_rotation(view, figure['rotations'][0])
        return turn, *place_camera(view, turn, joints, self.size)

    def _repertoire(self, num):
        rng = np.random.default_rng(0)
        _, heads, tails = (x[0] for x in self.renderer.body.rest(np.full((1, len(PHENOTYPES)), 0.5)))
        return np.stack([self.poses.sample(rng, heads, tails)[0][0] for _ in range(num)]), heads, tails
