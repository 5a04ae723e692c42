"""Motion capture of the CMU Graphics Lab, seen by virtual cameras."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from mmengine.logging import print_log

from mmposeda.registry import DATASETS
from mmposeda.structures.lifting_camera import MIN_DEPTH, in_view, project_h36m

from .lifting import LiftingDataset, LiftingPoses
from .lifting_cameras import camera_row, screen_cameras
from .mocap import load_mocap
from .mocap_files import chosen_clips, motion_files

#: Four cameras around the person, as far away, as high and of such lenses as Human3.6M's
FOUR_CAMERAS = tuple(
    dict(azimuth=azimuth, elevation=12, distance=5, focal=1.145, size=(1000, 1000)) for azimuth in (45, 135, 225, 315)
)
REQUIRED = ('azimuth', 'elevation', 'distance', 'focal')
OPTIONAL = dict(roll=0, size=(1000, 1000))
#: metres in a millimetre
METRE = 1e-3


@DATASETS.register_module()
class CMUMocapDataset(LiftingDataset):
    """Clips of CMU's motion capture (http://mocap.cs.cmu.edu), or others of its skeleton, before virtual cameras.

    Every frame before every camera is a sample, 30 frames a second. Cameras stand still: they are placed around the
    clip's mean root and look at it. Samples with a joint outside of the picture, or too near, are left out; the log
    says how many. Joints are Human3.6M's 17 (see :mod:`~mmposeda.datasets.mocap`), 2D poses are always projected.

    The data is free for any use, also in products, but not to be sold by itself; CMU asks for the line "The data used
    in this project was obtained from mocap.cs.cmu.edu. The database was created with funding from NSF EIA-0196217."

    Args:
        files (str | Sequence): Below ``data_root``: npz packs, BVH files, (asf, amc) pairs, or folders of them. BVH and
            AMC files do not say what they show: their action is ``unknown``.
        cameras (Sequence[dict] | dict): A list of cameras that all clips have, each ``dict(azimuth, elevation,
            distance, focal, size=(1000, 1000), roll=0)``; or one ``dict(num, azimuth, elevation, distance, focal,
            size=(1000, 1000), roll=0, seed=0)``, where all but num, size and seed may be ranges (low, high): then each
            clip has ``num`` cameras of its own, drawn evenly from the ranges, which follow from the seed and the clip's
            name alone.

            Degrees, metres, and the focal length in widths of the picture (pixels). The azimuth turns about the
            capture's vertical: at 0 the camera sees a person who faces the capture's +z from the front, at 90 the
            person's left side. The elevation is the camera's height above the horizon of the root, the roll turns the
            camera clockwise.
        clips (Sequence[str], optional): Names of clips to keep, as ``02_01``; all by default.
        min_depth (float): Metres from the camera's plane.
        kwargs: of :class:`~mmposeda.datasets.lifting.LiftingDataset`.

    Raises:
        FileNotFoundError: a file is missing; says where the data is had.
        ValueError: unknown names, cameras with unknown keys or impossible values, or no sample that is in view.
    """

    def __init__(
        self,
        files: str | Sequence = ('cmu_h36m17_30fps.npz',),
        cameras: Sequence[Mapping] | Mapping = FOUR_CAMERAS,
        clips: Sequence[str] | None = None,
        min_depth: float = MIN_DEPTH,
        **kwargs,
    ):
        self.files = files
        self.clips, self.min_depth, self._rig = clips, min_depth, _Rig(cameras)
        super().__init__(**kwargs)

    def read(self) -> LiftingPoses:
        """All clips before all cameras."""
        motion = load_mocap(motion_files(self.files, self.data_root))
        chosen = chosen_clips('CMUMocapDataset', motion, self.clips, self.subjects, self.actions)
        parts, rows, offset = [], [], 0
        for clip in chosen:
            views = self._rig.of(motion.names[clip])
            span = slice(motion.starts[clip], motion.starts[clip] + motion.lengths[clip])
            root = motion.root[span].astype(np.float64)
            poses = (motion.poses[span] + root[:, None]) * METRE
            target = root.mean(0) * METRE
            for number, view in enumerate(views):
                turn, place = look_at(
                    target, **{key: view[key] for key in ('azimuth', 'elevation', 'distance', 'roll')}
                )
                parts.append(((poses - place) @ turn.T).astype(np.float32))
                rows.append((clip, number, offset + number))
            offset += len(views)
        cameras = np.stack([_row(view) for clip in chosen for view in self._rig.of(motion.names[clip])])
        counts = [len(part) for part in parts]
        clip, number, camera = np.repeat(np.array(rows), counts, axis=0).T
        subjects, actions = sorted(set(motion.subjects)), sorted(set(motion.actions))
        data = LiftingPoses(
            poses=np.concatenate(parts),
            keypoints=None,
            camera=camera,
            cameras=cameras,
            sequence=np.repeat(np.arange(len(counts)), counts),
            sequence_names=[self._name(motion, clip, number) for clip, number, _ in rows],
            frame=np.concatenate([np.arange(count) for count in counts]),
            action=np.array([actions.index(name) for name in motion.actions])[clip],
            action_names=actions,
            subject=np.array([subjects.index(name) for name in motion.subjects])[clip],
            subject_names=subjects,
        )
        return self._in_view(data)

    @staticmethod
    def _name(motion, clip: int, number: int) -> str:
        # MMPose's metrics take the action from names of Human3.6M's form: subject_action.camera_frame
        subject = motion.subjects[clip].replace('_', '-')
        name = f'{subject}_{motion.actions[clip]}.{motion.names[clip]}-{number}'
        return name.replace('{', '{{').replace('}', '}}') + '_{:06d}.jpg'

    def _in_view(self, data: LiftingPoses) -> LiftingPoses:
        screen = screen_cameras(data.cameras)[torch.from_numpy(data.camera)]
        size = torch.from_numpy(data.cameras[data.camera, 9:]).float()
        poses = torch.from_numpy(data.poses)
        kept = in_view(poses, project_h36m(poses, screen), size[:, 1] / size[:, 0], self.min_depth).numpy()
        if not kept.any():
            raise ValueError(
                f'CMUMocapDataset: all {len(kept)} views leave the picture; move the cameras away or shorten their '
                'focal lengths'
            )
        print_log(
            f'CMUMocapDataset: {len(kept) - kept.sum()} of {len(kept)} views are left out, as a joint leaves the '
            f'picture or comes nearer than {self.min_depth:g} m',
            logger='current',
        )
        return data.take(np.flatnonzero(kept))


class _Rig:
    """Cameras of a clip by its name."""

    def __init__(self, cameras: Sequence[Mapping] | Mapping):
        self.ranges = dict(cameras) if isinstance(cameras, Mapping) else None
        self.fixed = None if isinstance(cameras, Mapping) else [_checked(camera) for camera in cameras]
        if self.ranges is not None:
            self.num, self.seed = self.ranges.pop('num', 1), self.ranges.pop('seed', 0)
            if not isinstance(self.num, int) or self.num < 1:
                raise ValueError(f'cameras got num={self.num!r}, expected a whole number of at least 1')
            for end in (0, -1):
                _checked({key: value if key == 'size' else np.ravel(value)[end] for key, value in self.ranges.items()})
        elif not self.fixed:
            raise ValueError('cameras is empty, expected at least one dict of azimuth, elevation, distance and focal')

    def of(self, clip: str) -> list[dict]:
        if self.fixed is not None:
            return self.fixed
        rng = np.random.default_rng([self.seed, zlib.crc32(clip.encode())])
        drawn = [{} for _ in range(self.num)]
        for view in drawn:
            for key in (*REQUIRED, 'roll'):  # in this order, whatever that of the config
                low, *high = np.ravel(self.ranges.get(key, OPTIONAL.get(key)))
                view[key] = rng.uniform(low, high[0] if high else low)
            view['size'] = self.ranges.get('size', OPTIONAL['size'])
        return drawn


def _checked(camera: Mapping) -> dict:
    missing, unknown = set(REQUIRED) - set(camera), set(camera) - {*REQUIRED, *OPTIONAL}
    if missing or unknown:
        raise ValueError(
            f'camera {dict(camera)} lacks {sorted(missing)} and has unknown {sorted(unknown)}; expected '
            f'{", ".join(REQUIRED)} and if wanted {", ".join(OPTIONAL)}'
        )
    camera = {**OPTIONAL, **camera}
    width, height = camera['size']
    # nearer than 45 degrees to its axis alone: further out the projection is cut off and leaving the picture not seen
    least = max(1, height / width) / 2
    if not (camera['distance'] > 0 and camera['focal'] > least and width > 0 and height > 0):
        raise ValueError(
            f'camera {camera}: distance and size must be above 0, and focal above {least:g} widths of the picture '
            '(angles of view below 90 degrees)'
        )
    return camera


def _row(view: Mapping) -> np.ndarray:
    width, height = view['size']
    return camera_row([view['focal'] * width] * 2, (width / 2, height / 2), (width, height))


def look_at(
    target: np.ndarray, azimuth: float, elevation: float, distance: float, roll: float = 0
) -> tuple[np.ndarray, np.ndarray]:
    """A camera that looks at a point of a world whose y axis points up.

    Args:
        target (np.ndarray): (3,), metres.
        azimuth, elevation, roll (float): Degrees: about the vertical, 0 on the target's +z side and 90 on its +x side;
            above the horizon; clockwise about the line of sight.
        distance (float): Metres.

    Returns:
        tuple[np.ndarray, np.ndarray]: Rows of the camera's axes (right, down, forward) in the world (3, 3), and the
        camera's place (3,): a point X has the camera coordinates ``turn @ (X - place)``.
    """
    azimuth, elevation, roll = np.deg2rad([azimuth, elevation, roll])
    back = np.array(
        [np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)]
    )  # from the target to the camera
    right = np.array([np.cos(azimuth), 0, -np.sin(azimuth)])
    down = np.cross(-back, right)
    axes = np.stack([np.cos(roll) * right + np.sin(roll) * down, np.cos(roll) * down - np.sin(roll) * right, -back])
    return axes, np.asarray(target) + distance * back
