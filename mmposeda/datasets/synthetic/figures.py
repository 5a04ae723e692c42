"""What sets of rendered figures (people, hands) share: streams of chance, clips, backgrounds, composing, labels."""

from __future__ import annotations

import json
from functools import cached_property

import numpy as np

from .backgrounds import from_folder, list_images, occluder, procedural, wall
from .body import require_synth
from .layers import at_points, beside, ground_shadow, straight
from .looks import sample_light
from .photo import letterbox
from .tie import measure, rank

_OTHERS = 1 << 40  # numbers of the figures in the background lie beyond all pictures
_STREAMS = ('person', 'pose', 'view', 'light', 'scene', 'photo', 'tie')  # new ones go last: the others stay as they are
_KNOWN = {}  # angles by repertoire, once a process: they take two seconds


class RenderedFigures:
    """Samples and draws figures by index; a subclass says what a figure is and from where it is seen.

    Every picture has separate random streams for person, pose, view, light, scene, photo faults and tie, so that
    changing the distribution of views leaves the figures and backgrounds of a seed as they were. In a clip all pictures
    have the streams of the clip: one figure, scene and camera, and the same faults of the picture; the hue of a look
    with a tie goes with the pose of the first frame.

    Args:
        size (int): Side of the square pictures, pixels.
        seed (int): Seed of the set.
        look (Look): See ``looks``.
        backgrounds (str): Folder of background pictures; ``None``: procedural ones alone.
        sequence (int): Frames of a clip: pictures ``c * sequence`` to ``(c + 1) * sequence - 1`` show one figure, scene
            and camera over time. 0: every picture is its own.
        device (str): Warp device.

    Raises:
        ValueError: size too small, no frames, or a tie to an angle that these figures do not have.
        FileNotFoundError: background folder without pictures.
    """

    joints: str
    joint_names: list
    angles: tuple  #: of ``tie.ANGLES`` those that a look can be tied to, the usual one first

    def __init__(self, size, seed, look, backgrounds=None, sequence=0, device='cpu'):
        if size < 32:
            raise ValueError(f'size must be at least 32 pixels, got {size}')
        if sequence < 0:
            raise ValueError(f'sequence must be 0 (single pictures) or the frames of a clip, got {sequence}')
        self.size, self.seed, self.look, self.device = size, seed, look, device
        self.sequence, self._scenes = int(sequence), {}
        if look.tie and look.tie.angle not in (None, *self.angles):
            raise ValueError(f'{type(self).__name__} has no angle {look.tie.angle!r}; choose one of {self.angles}')
        self.backgrounds = str(backgrounds) if backgrounds else None
        if self.backgrounds:
            list_images(self.backgrounds)
        require_synth()

    @property
    def renderer(self):
        """The ``MeshRenderer``, built when first needed, in every process for itself."""
        raise NotImplementedError

    def _figure(self, streams):
        """Figure and motion of a picture or clip of T frames: a dict.

        ``record`` (look), ``rest`` (V, 3), ``heads`` and ``tails`` (bones, 3), ``rotations`` (T, bones, 3, 3), ``path``
        (T, 3) in metres, and ``label``, a dict of what is added to the labels.
        """
        raise NotImplementedError

    def _camera(self, figure, view, joints):
        """Rotation (3, 3), translation (3,), focal length and principal point for joints (T * K, 3) of all frames."""
        raise NotImplementedError

    def _repertoire(self, num):
        """Poses of an average figure, the same for all seeds: rotations (N, bones, 3, 3), heads and tails at rest."""
        raise NotImplementedError

    def __getstate__(self):
        state = {k: v for k, v in self.__dict__.items() if k not in ('renderer', '_others')}
        return dict(state, _scenes={})

    def streams(self, number):
        """The random streams of one picture (of one clip, in sequences), by name."""
        return {
            name: np.random.Generator(np.random.PCG64(np.random.SeedSequence((self.seed, number, k))))
            for k, name in enumerate(_STREAMS)
        }

    def place(self, index):
        """Clip and frame of a picture, as (index, 0) where every picture is its own."""
        return divmod(index, self.sequence) if self.sequence else (index, 0)

    def _scene(self, number):
        """Figure, motion, camera and light of a picture or clip; T frames, 1 for single pictures."""
        if number in self._scenes:
            return self._scenes[number]
        streams, renderer = self.streams(number), self.renderer
        figure = self._figure(streams)
        view = self.look.views.sample(streams['view'])
        rotations, path = figure['rotations'], figure['path']
        ends = (np.stack([figure[name]] * len(rotations)) for name in ('heads', 'tails'))
        joints = (renderer.pose_joints(rotations, *ends)[0] + path[:, None]).reshape(-1, 3)
        turn, translation, focal, centre = self._camera(figure, view, joints)
        light = sample_light(streams['light'], self.look, renderer.light_dtype, view['elevation'], view['roll'])
        if self.look.tie:
            tie = self._tie(joints[: len(self.joint_names)], streams['tie'])
            self.look.tie.tint(light, tie['hue'])
            figure['label']['tie'] = tie
        seen = joints @ turn.T + translation
        seen = seen[:, :2] / seen[:, 2:] * focal + centre
        scene = dict(
            figure,
            hull=(*seen.min(0), *seen.max(0)),
            turn=turn,
            translation=translation + path @ turn.T,
            focal=focal,
            centre=centre,
            light=light,
            view=view,
        )
        if self.sequence:
            if len(self._scenes) > 3:
                self._scenes.clear()
            self._scenes[number] = scene
        return scene

    def tie(self, index):
        """What ties the look of a picture to its pose, without drawing it.

        Returns:
            dict: ``angle`` (radians) of the look's tie, its rank ``value`` in [0, 1] and ``hue``; ``None`` for a look
            without a tie.
        """
        return self._scene(self.place(int(index))[0])['label'].get('tie')

    def _tie(self, joints, rng):
        angle = float(measure(self.look.tie.angle or self.angles[0], joints, self.joint_names))
        value = rank(angle, self._known)
        return dict(angle=angle, value=value, hue=self.look.tie.hue(rng, value))

    @cached_property
    def _known(self):
        """Sorted angles (N,) of single poses, among which that of a picture or of a clip's first frame has its rank."""
        angle = self.look.tie.angle or self.angles[0]
        key = (type(self), angle, json.dumps(self.repertoire, sort_keys=True, default=str))
        if key not in _KNOWN:
            rotations, *ends = self._repertoire(1000)
            joints = self.renderer.pose_joints(rotations, *(np.stack([x] * len(rotations)) for x in ends))[0]
            _KNOWN[key] = np.sort(measure(angle, joints, self.joint_names))
        return _KNOWN[key]

    def _draw(self, numbers, frames):
        scenes = [self._scene(n) for n in numbers]

        def stack(key):
            return np.stack([s[key] for s in scenes])

        def at(key):
            return np.stack([s[key][t] for s, t in zip(scenes, frames)])

        drawing = self.renderer.draw(
            self.size,
            stack('rest'),
            stack('heads'),
            stack('tails'),
            at('rotations'),
            stack('turn'),
            at('translation'),
            stack('focal'),
            stack('centre'),
            stack('record'),
            stack('light'),
        )
        return scenes, drawing

    def render(self, indices):
        """Pictures and labels.

        Args:
            indices (sequence[int]): Which pictures; they may be drawn in any grouping.

        Returns:
            list[dict]: ``img`` (H, W, 3) uint8 BGR; ``keypoints`` (K, 2) index pixels; ``visibility`` (K,) 2 seen, 1
            hidden by the figure or something else, 0 outside; ``keypoints_3d_cam`` (K, 3) mm; ``camera`` dict f (2,), c
            (2,) pixels; ``mask`` (H, W) uint8 0/255 of the visible figure; ``part`` (H, W) uint8; ``bbox`` (4,) xyxy;
            ``view``, ``subject`` dicts; ``pose_source``; ``index``, ``clip``, ``frame``; of looks with a tie ``tie``,
            see :meth:`tie`.
        """
        indices = [int(i) for i in indices]
        numbers, frames = zip(*map(self.place, indices))
        scenes, drawing = self._draw(numbers, frames)
        out = []
        for k, (index, scene) in enumerate(zip(indices, scenes)):
            label = dict(
                scene['label'],
                index=index,
                clip=numbers[k],
                frame=frames[k],
                view=scene['view'],
                camera=dict(f=np.repeat(scene['focal'], 2), c=scene['centre']),
            )
            out.append(self._compose(drawing, k, self.streams(numbers[k]), scene, label))
        return out

    @cached_property
    def _others(self):
        """Colour and coverage of a few more figures of this seed, to stand about in the pictures."""
        scenes = self._scenes
        self._scenes = {}
        numbers = [_OTHERS + k for k in range(24)]
        pictures = [straight(x) for x in self._draw(numbers, [0] * len(numbers))[1].image]
        self._scenes = scenes
        return pictures

    def _free_box(self, mask, hull):
        """What black strips leave free: the figure; in clips the joints of all frames, so that strips stay still."""
        if self.sequence:
            pad = 0.06 * self.size
            low, high = np.floor(np.array(hull[:2]) - pad), np.ceil(np.array(hull[2:]) + pad)
            return tuple(np.clip([*low, *high], 0, self.size))
        ys, xs = np.nonzero(mask > 0.5)
        return (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) if len(xs) else None

    def _background(self, rng, tie):
        if self.backgrounds and rng.random() < self.look.folder_share:
            image = from_folder(rng, self.backgrounds, self.size)
        else:
            image = procedural(rng, self.size, self.look.clutter)
            if self.look.wall:
                image = wall(rng, image, self.look.wall)
        return self.look.tie.paint(image, tie['hue']) if tie else image

    def _compose(self, drawing, k, streams, scene, label):
        """Put one drawn figure before a background and spoil the picture."""
        size, rng = self.size, streams['scene']
        image, mask = self._background(rng, label.get('tie')), drawing.image[k, ..., 3]
        joints = drawing.joints[k]
        points = joints[:, :2] / joints[:, 2:] * label['camera']['f'] + label['camera']['c']
        if rng.random() < self.look.ground_shadow and not label['view'].get('turned'):
            image = ground_shadow(rng, image, mask)
        figure, _ = straight(drawing.image[k])
        layers = [(figure, mask)]
        hidden = drawing.hidden[k].copy()
        if rng.random() < self.look.other_share:
            color, cover = beside(rng, *self._others[rng.integers(len(self._others))])
            if rng.random() < 0.75:
                layers.insert(0, (color, cover))
            else:
                layers.append((color, cover))
                mask = mask * (1 - cover)
                hidden |= at_points(cover, points) > 0.5
        for color, cover in layers:
            image = image * (1 - cover[..., None]) + color * cover[..., None]
        if rng.random() < self.look.occluder_share:
            color, cover = occluder(rng, size)
            image = image * (1 - cover[..., None]) + color * cover[..., None]
            mask = mask * (1 - cover)
            hidden |= at_points(cover, points) > 0.5
        rng = streams['photo']
        noise = self.look.photo
        out = noise(rng, image) if noise else (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
        low, high = points.min(0), points.max(0)
        frame = (0, 0, size, size)
        if rng.random() < self.look.letterbox_share:
            free = self._free_box(mask, scene['hull'])
            if free is not None:
                frame = letterbox(rng, out, free)
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
