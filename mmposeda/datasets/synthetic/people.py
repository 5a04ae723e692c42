"""Rendered people by index: the picture and labels of index i depend on (seed, i) alone."""

from __future__ import annotations

import cv2
import numpy as np

from .appearance import sample_person
from .backgrounds import from_folder, list_images, occluder, procedural
from .body import PHENOTYPES
from .camera import place_camera, view_rotation
from .looks import build_look, sample_light
from .photo import letterbox
from .poses import PoseSource
from .renderer import PeopleRenderer

_STREAMS = ('person', 'pose', 'view', 'light', 'scene', 'photo')


class RenderedPeople:
    """Samples and draws people.

    Every picture has separate random streams for person, pose, view, light, scene and photo faults, so that changing the
    distribution of views leaves the people, clothes and backgrounds of a seed as they were.

    Args:
        size (int): Side of the square pictures, pixels.
        joints (str): ``lsp``, ``mpii`` or ``h36m``.
        seed (int): Seed of the set.
        look (str | dict): Name of a look, or ``dict(name=..., **changes)`` for ``looks.build_look``.
        poses (dict): Arguments of :class:`PoseSource`.
        backgrounds (str): Folder of background pictures; ``None``: procedural ones alone.
        device (str): Warp device.

    Raises:
        ValueError: size too small, unknown look or joint set.
        FileNotFoundError: background folder without pictures, missing motion file.
    """

    def __init__(self, size=128, joints='lsp', seed=0, look='sport', poses=None, backgrounds=None, device='cpu'):
        if size < 32:
            raise ValueError(f'size must be at least 32 pixels, got {size}')
        self.size, self.joints, self.seed = size, joints, seed
        self.look = build_look(**({'name': look} if isinstance(look, str) else dict(look)))
        self.poses = PoseSource(**(poses or {}))
        self.backgrounds = str(backgrounds) if backgrounds else None
        if self.backgrounds:
            list_images(self.backgrounds)
        self.renderer = PeopleRenderer(joints, device)
        self.joint_names = self.renderer.joint_names

    def streams(self, index):
        """The random streams of one picture, by name."""
        return {
            name: np.random.Generator(np.random.PCG64(np.random.SeedSequence((self.seed, index, k))))
            for k, name in enumerate(_STREAMS)
        }

    def render(self, indices):
        """Pictures and labels.

        Args:
            indices (sequence[int]): Which pictures; they may be drawn in any grouping.

        Returns:
            list[dict]: ``img`` (H, W, 3) uint8 BGR; ``keypoints`` (K, 2) index pixels; ``visibility`` (K,) 2 seen, 1 hidden by
            the body or something else, 0 outside; ``keypoints_3d_cam`` (K, 3) mm; ``camera`` dict f (2,), c (2,) pixels;
            ``mask`` (H, W) uint8 0/255 of the visible person; ``part`` (H, W) uint8; ``bbox`` (4,) xyxy; ``view``,
            ``subject`` dicts; ``index``.
        """
        indices = [int(i) for i in indices]
        streams = [self.streams(i) for i in indices]
        renderer, size = self.renderer, self.size
        looks = [sample_person(s['person'], renderer.person_dtype, texture=self.look.texture) for s in streams]
        people, shapes, extras = (list(x) for x in zip(*looks))
        rest, heads, tails = renderer.rest(np.stack(shapes), extras)
        drawn = [self.poses.sample(s['pose'], h, t) for s, h, t in zip(streams, heads, tails)]
        rotations = np.stack([g for g, _ in drawn])
        joints, _, _ = renderer.pose_joints(rotations, heads, tails)
        views = [self.look.views.sample(s['view']) for s in streams]
        turn = np.stack([view_rotation(v, g) for v, g in zip(views, rotations)])
        cameras = [place_camera(v, r, j, size) for v, r, j in zip(views, turn, joints)]
        translation, focal, centre = (np.stack(x) for x in zip(*cameras))
        lights = np.stack(
            [
                sample_light(s['light'], self.look, renderer.light_dtype, v['elevation'], v['roll'])
                for s, v in zip(streams, views)
            ]
        )
        drawing = renderer.draw(
            size, rest, heads, tails, rotations, turn, translation, focal, centre, np.stack(people), lights
        )
        out = []
        for k, index in enumerate(indices):
            label = dict(
                index=index,
                view=views[k],
                subject=dict(zip(PHENOTYPES, shapes[k].tolist())),
                pose_source=drawn[k][1],
                camera=dict(f=np.repeat(focal[k], 2), c=centre[k]),
            )
            out.append(self._compose(drawing, k, streams[k], label))
        return out

    def _background(self, rng):
        if self.backgrounds and rng.random() < self.look.folder_share:
            return from_folder(rng, self.backgrounds, self.size)
        return procedural(rng, self.size, self.look.clutter)

    def _compose(self, drawing, k, streams, label):
        """Put one drawn person before a background and spoil the picture."""
        size, rng = self.size, streams['scene']
        image, mask = self._background(rng), drawing.image[k, ..., 3]
        joints = drawing.joints[k]
        points = joints[:, :2] / joints[:, 2:] * label['camera']['f'] + label['camera']['c']
        if rng.random() < self.look.ground_shadow and not label['view']['turned']:
            image = _ground_shadow(rng, image, mask)
        person = drawing.image[k, ..., :3] / np.maximum(mask, 1e-4)[..., None]
        person = np.clip(person, 0, 1) ** np.float32(1 / 2.2)
        image = image * (1 - mask[..., None]) + person * mask[..., None]
        hidden = drawing.hidden[k].copy()
        if rng.random() < self.look.occluder_share:
            color, cover = occluder(rng, size)
            image = image * (1 - cover[..., None]) + color * cover[..., None]
            mask = mask * (1 - cover)
            hidden |= _sample(cover, points) > 0.5
        rng = streams['photo']
        noise = self.look.photo
        out = noise(rng, image) if noise else (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
        low, high = points.min(0), points.max(0)
        frame = (0, 0, size, size)
        if rng.random() < self.look.letterbox_share:
            ys, xs = np.nonzero(mask > 0.5)
            if len(xs):
                frame = letterbox(rng, out, (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1))
        inside = (points >= np.array(frame[:2]) - 0.5).all(1) & (points < np.array(frame[2:]) - 0.5).all(1)
        mask = (mask > 0.5).astype(np.uint8)
        area = np.zeros_like(mask)
        area[frame[1] : frame[3], frame[0] : frame[2]] = 1
        mask *= area
        low, high = np.maximum(low, frame[:2]), np.minimum(high, np.array(frame[2:]) - 1)
        ys, xs = np.nonzero(mask)
        if len(xs):
            low, high = np.minimum(low, (xs.min(), ys.min())), np.maximum(high, (xs.max(), ys.max()))
        label.update(
            img=np.ascontiguousarray(out[..., ::-1]),
            keypoints=points.astype(np.float32),
            visibility=np.where(inside, np.where(hidden, 1, 2), 0).astype(np.int64),
            keypoints_3d_cam=(joints * 1000).astype(np.float32),
            mask=mask * 255,
            part=drawing.part[k] * mask,
            bbox=np.concatenate([low, high]).astype(np.float32),
        )
        return label


def _sample(field, points):
    """Values of a field (H, W) at the pixels nearest to points (K, 2), 0 outside."""
    x, y = np.floor(points + 0.5).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < field.shape[1]) & (y < field.shape[0])
    return np.where(inside, field[y.clip(0, field.shape[0] - 1), x.clip(0, field.shape[1] - 1)], 0)


def _ground_shadow(rng, image, mask):
    """A soft dark patch about the lowest part of the person."""
    ys, xs = np.nonzero(mask > 0.5)
    if not len(xs):
        return image
    size = mask.shape[0]
    low = ys > ys.max() - 0.12 * size
    x, y, width = xs[low].mean(), ys.max() - 0.01 * size, max(np.ptp(xs[low]), 0.1 * size)
    patch = np.zeros((size, size), np.float32)
    axes = (int(width * rng.uniform(0.5, 0.8)), int(size * rng.uniform(0.015, 0.05)) + 1)
    cv2.ellipse(
        patch, (int(x + rng.normal(0, 0.05) * size), int(y)), axes, rng.normal(0, 5), 0, 360, 1.0, -1, cv2.LINE_AA
    )
    patch = cv2.GaussianBlur(patch, (0, 0), 0.02 * size)
    return image * (1 - rng.uniform(0.2, 0.7) * patch[..., None])
