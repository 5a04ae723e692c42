"""Hands of people in the CMU Panoptic Studio, seen by its HD cameras."""

from __future__ import annotations

import os
import os.path as osp
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import METAINFO_DIR, Skeleton

from .annotations import AnnotationError, load_json
from .hands import finite, hand_boxes, hand_labels, project
from .single import SingleInstanceDataset, one_of

SIDES = ('left', 'right')
MM = 10.0  # a centimetre, the unit of the studio


@DATASETS.register_module()
class PanopticHand3DDataset(SingleInstanceDataset):
    """Both hands of everybody in Panoptic Studio sequences (Joo et al., TPAMI 2017; Simon et al., CVPR 2017).

    Layout, as the authors' toolbox downloads and extracts it: a folder for each sequence, with
    ``calibration_<sequence>.json``, ``hdHand3d/handRecon3D_hd%08d.json`` (21 joints a hand, cm, in the studio's axes,
    with scores) and ``hdImgs/00_00/00_00_%08d.jpg`` to ``hdImgs/00_30/`` (or png; 1920 x 1080 pixels, 29.97 a second).
    Frames whose picture was not extracted are left out.

    2D joints are the projections, lens distortion included, and so where the picture shows them. A sample has
    ``keypoints_3d_cam`` (1, K, 3) in mm in the camera's axes; ``camera`` with ``f`` (2,) and ``c`` (2,) in pixels and
    ``distortion`` (5,), OpenCV's k1, k2, p1, p2, k3; ``hand_side``, ``sequence_id`` (sequence, camera, person, side)
    and ``frame``. Joints are visible inside the picture; what hides them from this one camera the files do not say. The
    box is the square crop of ``crop`` times the hand; a hand whose middle is outside the picture, or whose crop is too
    small, is left out.

    MMPose's ``PanopticHand2DDataset`` reads the 2D labels of other pictures.

    Args:
        split (str): ``train``, all sequences but those of the test; ``test``; ``all``.
        test_sequences (sequence[str]): Folders of the split ``test``; ``171204_pose3`` as in published work.
        sequences (sequence[str], optional): Folders to take; all below ``data_root`` that have an ``hdHand3d``.
        views (sequence[str], optional): HD cameras to take, ``00_00`` to ``00_30``; all that have pictures by default.
        every (int): Takes every so manieth frame of the labels: neighbours are nearly equal (our choice).
        min_score (float): A joint whose mean detection score is not above it counts as not reconstructed (0.1 is the
            toolbox's bound for bodies). Such joints are invisible and lie in the middle of the others.
        min_joints (int): Hands with fewer reconstructed joints are left out (our choice).
        crop (float): Side of the crop over that of the hull of the joints.
        min_side (int): Pixels, of the crop.
        kwargs: of MMPose's ``BaseCocoStyleDataset``; a ``metainfo`` of other joints is mapped to by name.

    Raises:
        FileNotFoundError: no sequence, its calibration or its pictures are missing; says where the data is had.
        AnnotationError: a file is of another kind, lacks a camera, or holds joints that are no numbers.
        ValueError: unknown split, sequence or view, or no hand left.
    """

    METAINFO: dict = dict(from_file=str(METAINFO_DIR / 'hand21.py'))
    NATIVE = 'hand21'
    HOW_TO_GET = (
        'Panoptic Studio is free for research: https://github.com/CMU-Perceptual-Computing-Lab/panoptic-toolbox. Run '
        'its scripts/getData.sh SEQUENCE 0 31 and scripts/extractAll.sh SEQUENCE in data_root for each sequence with '
        'hands (171204_pose1 to 171204_pose6, 171026_pose1 to 171026_pose3 and others): hdHand3d/ and hdImgs/ are read.'
    )

    def __init__(
        self,
        split: str = 'train',
        test_sequences: Sequence[str] = ('171204_pose3',),
        sequences: Sequence[str] | None = None,
        views: Sequence[str] | None = None,
        every: int = 10,
        min_score: float = 0.1,
        min_joints: int = 21,
        crop: float = 1.5,
        min_side: int = 64,
        **kwargs,
    ):
        self.split = one_of('PanopticHand3DDataset', 'split', split, ('train', 'test', 'all'))
        self.test_sequences, self.sequences, self.views = tuple(test_sequences), sequences, views
        joints = Skeleton.from_metainfo(self.NATIVE).num_joints
        if every < 1 or not 1 <= min_joints <= joints:
            raise ValueError(
                f'PanopticHand3DDataset got every={every}, min_joints={min_joints}, expected at least 1, and {joints} '
                'joints at most'
            )
        self.every, self.min_score, self.min_joints = every, min_score, min_joints
        self.crop, self.min_side = crop, min_side
        super().__init__(**{'data_prefix': dict(img=''), **kwargs})

    def load_data_list(self) -> list[dict]:
        """Hands that count: sequence by sequence, camera by camera, frame by frame."""
        infos = []
        for sequence in self._chosen():
            folder = osp.join(self.data_prefix['img'], sequence)
            hands = self._hands(folder)
            for view, camera in self._cameras(folder, sequence).items():
                infos += self._seen(sequence, view, camera, hands, len(infos))
        if not infos:
            where = self.data_prefix['img'] or self.data_root
            raise ValueError(f'no hand in {where} is reconstructed, inside a picture and large enough to count')
        return infos

    def _chosen(self) -> list[str]:
        root = self.data_prefix['img'] or self.data_root or '.'
        found = sorted(path.parent.name for path in Path(root).glob('*/hdHand3d'))
        if not found:
            raise FileNotFoundError(f'no folder in {root} holds an hdHand3d. {self.HOW_TO_GET}')
        wanted = found if self.sequences is None else list(self.sequences)
        for name in (*wanted, *(self.test_sequences if self.split == 'test' else ())):
            if name not in found:
                raise ValueError(f'no sequence {name} with hdHand3d in {root}; sequences are {", ".join(found)}')
        if self.split != 'all':
            wanted = [name for name in wanted if (name in self.test_sequences) == (self.split == 'test')]
        if not wanted:
            raise ValueError(f'no sequence is left for split={self.split!r}; sequences are {", ".join(found)}')
        return wanted

    def _hands(self, folder: str) -> dict[str, np.ndarray]:
        """Of all hands that are reconstructed: frame, person, side (H,), cm (H, 21, 3) in the studio, and which joints
        are good (H, 21).
        """
        names = sorted(
            n for n in os.listdir(osp.join(folder, 'hdHand3d')) if re.fullmatch(r'handRecon3D_hd\d+\.json', n)
        )
        if not names:
            raise FileNotFoundError(f'no handRecon3D_hd*.json in {folder}/hdHand3d. {self.HOW_TO_GET}')
        rows = []
        for name in names[:: self.every]:
            path = osp.join(folder, 'hdHand3d', name)
            content = load_json(path)
            people = content.get('people') if isinstance(content, dict) else None
            if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
                raise AnnotationError(
                    f'{path} is no hand file of Panoptic Studio: expected a dict with a list `people`'
                )
            for person in people:
                number = person.get('id')
                if not isinstance(number, int):
                    raise AnnotationError(f'{path} has a person with id={number!r}, expected a whole number')
                for side, key in enumerate(('left_hand', 'right_hand')):
                    if number >= 0 and person.get(key):  # -1 is nobody
                        space, good = self._hand(path, key, person[key])
                        if good.sum() >= self.min_joints:
                            rows.append((int(re.search(r'\d+(?=\.json)', name)[0]), number, side, space, good))
        columns = zip(*rows) if rows else ([], [], [], np.zeros((0, 21, 3)), np.zeros((0, 21), bool))
        return dict(zip(('frame', 'person', 'side', 'space', 'good'), map(np.array, columns)))

    def _hand(self, path: str, key: str, hand: Any) -> tuple[np.ndarray, np.ndarray]:
        if not isinstance(hand, dict):
            raise AnnotationError(f'{key} of {path} is no hand of Panoptic Studio: expected a dict with `landmarks`')
        joints = Skeleton.from_metainfo(self.NATIVE).num_joints
        space = finite(path, f'landmarks of a {key}', hand.get('landmarks'), (3 * joints,)).reshape(joints, 3)
        good = np.ones(joints, bool)
        if 'averageScore' in hand:
            good = finite(path, f'averageScore of a {key}', hand['averageScore'], (joints,)) > self.min_score
        if good.any():
            space = np.where(good[:, None], space, space[good].mean(0))
        return space, good

    def _cameras(self, folder: str, sequence: str) -> dict[str, dict]:
        """Calibration of the chosen HD cameras, by name, those that have pictures."""
        path = self.existing(osp.join(folder, f'calibration_{sequence}.json'), 'calibration')
        content = load_json(path, lists=['cameras'])
        try:
            known = {camera['name']: camera for camera in content['cameras'] if camera['type'] == 'hd'}
        except (TypeError, KeyError) as error:
            raise AnnotationError(f'{path} is no calibration of Panoptic Studio: cameras lack {error}') from None
        pictures = osp.join(folder, 'hdImgs')
        found = sorted(os.listdir(pictures)) if osp.isdir(pictures) else []
        views = [view for view in found if view in known] if self.views is None else list(self.views)
        for view in views:
            if view not in known:
                raise ValueError(f'no HD camera {view} in {path}; cameras are {", ".join(sorted(known))}')
        if not views or not set(views) <= set(found):
            missing = ', '.join(sorted(set(views) - set(found))) or '00_00 or another camera'
            raise FileNotFoundError(f'no folder {missing} in {pictures}. {self.HOW_TO_GET}')
        return {view: self._camera(path, known[view]) for view in views}

    @staticmethod
    def _camera(path: str, raw: dict) -> dict:
        shapes = dict(K=(3, 3), R=(3, 3), t=(3, 1), distCoef=(5,), resolution=(2,))
        camera = {key: finite(path, f'{key} of camera {raw["name"]}', raw.get(key), shapes[key]) for key in shapes}
        camera['size'] = tuple(int(n) for n in camera['resolution'])
        camera['f'], camera['c'] = camera['K'][[0, 1], [0, 1]], camera['K'][:2, 2]
        return camera

    def _seen(self, sequence: str, view: str, camera: dict, hands: dict, first: int) -> list[dict]:
        """Samples of one camera."""
        folder = osp.join(self.data_prefix['img'], sequence, 'hdImgs', view)
        pictures = {}
        for name in os.listdir(folder):
            match = re.fullmatch(rf'{view}_(\d+)\.(jpg|png)', name)
            if match:
                pictures[int(match[1])] = osp.join(folder, name)
        if not len(hands['frame']) or not pictures:
            return []
        space = MM * (hands['space'] @ camera['R'].T + camera['t'][:, 0])
        # far outside of the picture the distortion's polynomial comes back into it
        straight = project(space, camera['f'], camera['c'])
        near = (np.abs(straight / camera['size'] - 0.5) <= 1).all((1, 2)) & (space[..., 2] > 0).all(1)
        near &= np.isin(hands['frame'], list(pictures))
        kept = np.flatnonzero(near)
        if not len(kept):
            return []
        to_pixels = partial(_distorted, camera=camera)
        boxes, sides, middle = hand_boxes(to_pixels(space[kept]), camera['size'], self.crop, hands['good'][kept])
        counts = middle & (sides >= self.min_side)
        kept, boxes = kept[counts], boxes[counts]
        points, visible, space = hand_labels(self, space[kept], to_pixels, camera['size'], hands['good'][kept])
        lens = dict(f=camera['f'], c=camera['c'], distortion=camera['distCoef'])
        lens = {key: value.astype(np.float32) for key, value in lens.items()}
        infos = []
        for n, hand in enumerate(kept):
            frame, side = int(hands['frame'][hand]), SIDES[hands['side'][hand]]
            infos.append(
                self.info(
                    first + n,
                    pictures[frame],
                    points[n],
                    visible[n],
                    boxes[n],
                    hand_side=side,
                    keypoints_3d_cam=space[n : n + 1],
                    camera=lens,
                    sequence_id=f'{sequence}/{view}/{hands["person"][hand]}/{side}',
                    frame=frame,
                )
            )
        return infos


def _distorted(space: np.ndarray, camera: dict) -> np.ndarray:
    """Pixels (N, K, 2) of points (N, K, 3) in the camera's axes, as OpenCV's model has them."""
    if not space.size:
        return space[..., :2]
    flat = np.ascontiguousarray(space.reshape(-1, 1, 3), np.float64)
    points, _ = cv2.projectPoints(flat, np.zeros(3), np.zeros(3), camera['K'], camera['distCoef'])
    return points.reshape(*space.shape[:2], 2)
