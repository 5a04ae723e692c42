"""The Stereo Hand Pose Tracking Benchmark as its authors publish it."""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np
from mmengine.fileio import get_local_path

from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import METAINFO_DIR, Skeleton

from .annotations import AnnotationError
from .hands import finite, hand_boxes, hand_labels, project
from .single import SingleInstanceDataset, one_of

PICTURE = (640, 480)
#: Beginning of the pictures' names: suffix of the labels, focal lengths and principal point in pixels (authors' readme)
VIEWS = {
    'SK_color': ('SK', (607.92271, 607.88192), (314.78337, 236.42484)),
    'BB_left': ('BB', (822.79041, 822.79041), (318.47345, 250.31296)),
    'BB_right': ('BB', (822.79041, 822.79041), (318.47345, 250.31296)),
}
#: mm between the two cameras of the stereo pair
BASELINE = 120.054
#: Rotation vector and translation in mm that take the colour camera's axes to those of the depth camera
COLOR_TO_DEPTH = ((0.00531, -0.01196, 0.00301), (-24.0381, -0.4563, -1.2326))
SEQUENCES = tuple(f'B{background}{kind}' for background in range(1, 7) for kind in ('Counting', 'Random'))


@DATASETS.register_module()
class STBDataset(SingleInstanceDataset):
    """The left hand of STB (Zhang et al., ICIP 2017), every frame of every chosen camera a sample with 21 joints.

    Layout: ``images/B1Counting`` to ``images/B6Random`` with ``SK_color_%d.png``, ``BB_left_%d.png``,
    ``BB_right_%d.png``, 640 x 480 pixels, and ``labels/B1Counting_SK.mat``, ``labels/B1Counting_BB.mat`` and so on,
    whose ``handPara`` (3, 21, frames) is in mm. Each of the 12 sequences has 1500 frames, two for each of six
    backgrounds.

    Labels of ``SK`` are in the axes of the depth camera and moved to those of the colour camera with the published
    extrinsics; labels of ``BB`` are in those of the left camera, and the right one is a baseline to its right. 2D
    joints are projections. The box is the square crop of ``crop`` times the hull of the labelled joints; a hand whose
    middle is outside the picture is left out (our choice; some are for ``BB_right``).

    A sample has ``keypoints_3d_cam`` (1, K, 3) in mm in its camera's axes, ``camera`` with ``f`` (2,) and ``c`` (2,)
    in pixels, ``hand_side``, ``sequence_id`` (sequence and camera) and ``frame``.

    Args:
        split (str): ``train``, backgrounds 2 to 6 (15000 frames); ``test``, background 1 (3000); ``all``.
        views (sequence[str]): Cameras, of ``SK_color``, ``BB_left`` and ``BB_right``. Published numbers are on either:
            ``BB_left`` with ``BB_right`` (Zimmermann and Brox, ICCV 2017) or ``SK_color`` (Ge et al., CVPR 2019).
        wrist (str): Joint 0 of STB is the centre of the palm. ``derived`` makes a wrist on its far side from the root
            of the middle finger, for joint sets that ask for one; ``none`` leaves it without a label. The joint sets
            ``stb`` and ``stb_wrist`` keep the palm.
        sequences (sequence[str], optional): Of the split, which to take; all by default.
        crop (float): Side of the crop over that of the hull of the joints.
        kwargs: of MMPose's ``BaseCocoStyleDataset``; a ``metainfo`` of other joints is mapped to by name.

    Raises:
        FileNotFoundError: a label file or the first picture of a sequence is missing; says where the data is had.
        AnnotationError: a label file is of another kind, or holds joints that are no numbers or behind the camera.
        ValueError: unknown split, camera, sequence or wrist, or no hand left.
    """

    METAINFO: dict = dict(from_file=str(METAINFO_DIR / 'hand21.py'))
    HOW_TO_GET = (
        'STB is free for research: https://github.com/zhjwustc/icip17_stereo_hand_pose_dataset links to the data. '
        'Unpack it so that data_root holds images/ (B1Counting to B6Random) and labels/.'
    )

    def __init__(
        self,
        split: str = 'train',
        views: Sequence[str] = ('SK_color',),
        wrist: str = 'derived',
        sequences: Sequence[str] | None = None,
        crop: float = 1.5,
        **kwargs,
    ):
        self.split = one_of('STBDataset', 'split', split, ('train', 'test', 'all'))
        self.NATIVE = dict(derived='stb_wrist', none='stb')[one_of('STBDataset', 'wrist', wrist, ('derived', 'none'))]
        self.views, self.crop = tuple(views), crop
        if not self.views or not set(self.views) <= set(VIEWS):
            raise ValueError(f'STBDataset got views={list(views)}, expected some of {", ".join(VIEWS)}')
        parts = dict(train=SEQUENCES[2:], test=SEQUENCES[:2], all=SEQUENCES)[split]
        self.sequences = parts if sequences is None else tuple(sequences)
        if not self.sequences or not set(self.sequences) <= set(parts):
            raise ValueError(f'STBDataset got sequences={sequences}, expected some of {", ".join(parts)} for {split!r}')
        super().__init__(**{'ann_file': 'labels', 'data_prefix': dict(img='images'), **kwargs})

    def load_data_list(self) -> list[dict]:
        """Frames in order: sequence by sequence, camera by camera."""
        infos = []
        for sequence in self.sequences:
            for view in self.views:
                infos += self._frames(sequence, view, len(infos))
        if not infos:
            raise ValueError(f'no hand in {self.ann_file} is inside the picture for views={list(self.views)}')
        return infos

    def _frames(self, sequence: str, view: str, first: int) -> list[dict]:
        suffix, f, c = VIEWS[view]
        path = self.existing(osp.join(self.ann_file, f'{sequence}_{suffix}.mat'), 'label file')
        space = self._in_camera(self._joints(path), view)
        if not (space[..., 2] > 0).all():
            frame = int(np.argmin((space[..., 2] > 0).all(1)))
            raise AnnotationError(f'frame {frame} of {path} has a joint behind the camera: STB is in mm, z forward')
        to_pixels = partial(project, f=np.array(f), c=np.array(c))
        boxes, _, counts = hand_boxes(to_pixels(space), PICTURE, self.crop)
        frames = np.flatnonzero(counts)
        paths = [osp.join(self.data_prefix['img'], sequence, f'{view}_{frame}.png') for frame in frames]
        if paths:
            self.check_pictures(paths, path)
        points, visible, space = hand_labels(self, space[frames], to_pixels, PICTURE)
        camera = dict(f=np.float32(f), c=np.float32(c))
        return [
            self.info(
                first + n,
                picture,
                points[n],
                visible[n],
                boxes[frame],
                hand_side='left',
                keypoints_3d_cam=space[n : n + 1],
                camera=camera,
                sequence_id=f'{sequence}/{view}',
                frame=int(frame),
            )
            for n, (picture, frame) in enumerate(zip(paths, frames))
        ]

    @staticmethod
    def _joints(path: str) -> np.ndarray:
        """(frames, 21, 3) in mm, in the axes of the labels."""
        from scipy.io import loadmat

        try:
            with get_local_path(path) as local:
                joints = loadmat(local, variable_names=['handPara'])['handPara']
        except Exception as error:  # scipy has a dozen ways to say it
            what = f'it has no {error}' if isinstance(error, KeyError) else error
            raise AnnotationError(f'{path} is no label file of STB: {what}') from None
        if getattr(joints, 'shape', ())[:2] != (3, Skeleton.from_metainfo('stb').num_joints) or joints.ndim != 3:
            raise AnnotationError(f'handPara of {path} has shape {joints.shape}, but STB has (3, 21, frames)')
        return finite(path, 'handPara', joints.transpose(2, 1, 0), (None, joints.shape[1], 3))

    @staticmethod
    def _in_camera(joints: np.ndarray, view: str) -> np.ndarray:
        """Joints (N, 21, 3) in mm from the axes of the labels to those of the camera."""
        if view == 'SK_color':
            rotation, translation = cv2.Rodrigues(np.array(COLOR_TO_DEPTH[0]))[0], np.array(COLOR_TO_DEPTH[1])
            return (joints - translation) @ rotation  # depth = R color + t, rows
        return joints - np.array([BASELINE if view == 'BB_right' else 0, 0, 0])
