"""GANerated Hands as its authors publish it."""

from __future__ import annotations

import math
import os
import os.path as osp
from typing import Any

import numpy as np
from mmengine.dataset import force_full_init

from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import METAINFO_DIR, Skeleton

from .annotations import AnnotationError, labels_ignored
from .hands import finite, inside
from .single import SingleInstanceDataset, one_of

PICTURE = (256, 256)
#: Focal length and principal point in pixels of the pictures of 640 x 480 that these were cut from (authors' readme)
FOCAL, CENTRE = 617.173, (315.453, 242.259)
ENDING = '_color_composed.png'
FOLDERS = dict(without=('noObject',), all=('noObject', 'withObject'))
FOLDERS['with'] = ('withObject',)


@DATASETS.register_module()
class GANeratedDataset(SingleInstanceDataset):
    """Rendered left hands of GANerated Hands (Mueller et al., CVPR 2018), made to look real, with 21 joints.

    Layout: ``data_root/data/{noObject,withObject}/%04d/`` (folders below these are searched too) with, for each frame,
    ``%04d_color_composed.png``, 256 x 256 pixels, ``%04d_joint2D.txt`` (42 numbers, pixels of it),
    ``%04d_joint_pos_global.txt`` (63, mm in the axes of the camera before cropping) and ``%04d_crop_params.txt`` (the
    crop's first pixel and its magnification). 143449 frames without and 188050 with an object.

    Labels are read with their sample, not when the data set is built: they are a million small files. A sample has
    ``keypoints_3d_cam`` (1, K, 3) in mm, ``hand_side`` and ``camera`` with ``f`` (2,) and ``c`` (2,), those of the
    crop, in pixels. The box is the whole picture, which is cut around the hand already. Joints are visible inside the
    picture, hidden ones too.

    Args:
        split (str): ``all``; ``train`` and ``test`` keep folders apart. There is no official split.
        objects (str): ``without``, bare hands; ``with``, hands that hold something; ``all``.
        test_share (float): Share of the folders of each kind, the last ones, that are the split ``test`` (our choice).
        kwargs: of MMPose's ``BaseCocoStyleDataset``; a ``metainfo`` of other joints is mapped to by name.

    Raises:
        FileNotFoundError: a folder or a sample's label file is missing; says where the data is had.
        AnnotationError: a sample's label file holds other or no numbers.
        ValueError: unknown split or objects, or no folder left.
    """

    METAINFO: dict = dict(from_file=str(METAINFO_DIR / 'hand21.py'))
    NATIVE = 'hand21'
    HOW_TO_GET = (
        'GANerated Hands is free for research: download it from '
        'https://handtracker.mpi-inf.mpg.de/projects/GANeratedHands/GANeratedDataset.htm and unpack it so that '
        'data_root is GANeratedHands_Release, with data/noObject/ and data/withObject/.'
    )

    def __init__(self, split: str = 'all', objects: str = 'all', test_share: float = 0.1, **kwargs):
        self.split = one_of('GANeratedDataset', 'split', split, ('all', 'train', 'test'))
        self.objects = one_of('GANeratedDataset', 'objects', objects, ('without', 'with', 'all'))
        if not 0 < test_share < 1:
            raise ValueError(f'GANeratedDataset got test_share={test_share}, expected a share between 0 and 1')
        self.test_share = test_share
        super().__init__(**{'data_prefix': dict(img='data'), **kwargs})

    def load_data_list(self) -> list[dict]:
        """Frames, folder by folder."""
        self._without_labels = labels_ignored()
        self._joint_map = Skeleton.from_metainfo(self.NATIVE).map_to(Skeleton.from_metainfo(self._metainfo))
        folders = [folder for kind in FOLDERS[self.objects] for folder in self._part(kind)]
        names = []
        for folder in folders:
            pictures = sorted(name for name in os.listdir(folder) if name.endswith(ENDING))
            names += [osp.join(folder, name) for name in pictures]
        if not names:
            raise ValueError(f'no folder of {self.data_prefix["img"]} is left for split={self.split!r}')
        unknown = np.zeros((1, 0), np.float32)  # until the sample is read
        return [dict(img_id=n, id=n, img_path=path, keypoints_visible=unknown) for n, path in enumerate(names)]

    def _part(self, kind: str) -> list[str]:
        """Folders of one kind that hold pictures and belong to the split."""
        root = osp.join(self.data_prefix['img'], kind)
        found = []
        for folder, folders, files in os.walk(root, followlinks=True):
            folders.sort()
            if any(name.endswith(ENDING) for name in files):
                found.append(folder)
        if not found:
            raise FileNotFoundError(f'no *{ENDING} below {root}. {self.HOW_TO_GET}')
        start = len(found) - math.ceil(self.test_share * len(found))
        return dict(all=found, train=found[:start], test=found[start:])[self.split]

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """Data info with the labels of its files.

        Raises:
            FileNotFoundError: one of them is missing.
            AnnotationError: it holds other or no numbers.
        """
        info = super().get_data_info(idx)
        info['hand_side'] = 'left'
        info.update(self._labels(info['img_path'][: -len(ENDING)]))
        info['num_keypoints'] = int((info['keypoints_visible'] > 0).sum())
        return info

    def _labels(self, stem: str) -> dict[str, Any]:
        joints = Skeleton.from_metainfo(self.NATIVE).num_joints
        points, space, crop = np.zeros((joints, 2)), np.zeros((joints, 3)), np.array([0.0, 0, 1])
        if not self._without_labels:
            points = self._numbers(f'{stem}_joint2D.txt', points.shape)
            space = self._numbers(f'{stem}_joint_pos_global.txt', space.shape)
            crop = self._numbers(f'{stem}_crop_params.txt', crop.shape)
            if not (space[:, 2] > 0).all() or crop[2] <= 0:
                raise AnnotationError(f'{stem}_* has a joint behind the camera, or a crop without magnification')
        visible = inside(points, PICTURE) & (not self._without_labels)
        keypoints, visible = self._joint_map.apply(points[None], visible[None])
        labels = dict(
            keypoints=keypoints, keypoints_visible=visible, keypoints_3d_cam=self._joint_map.apply(space[None])
        )
        centre = crop[2] * (np.array(CENTRE) - crop[:2])
        camera = dict(f=np.float32([crop[2] * FOCAL] * 2), c=centre.astype(np.float32))
        return dict({key: value.astype(np.float32) for key, value in labels.items()}, camera=camera)

    def _numbers(self, path: str, shape: tuple[int, ...]) -> np.ndarray:
        with open(self.existing(path, 'label file'), encoding='utf-8', errors='replace') as file:
            values = [value for value in file.read().replace('\n', ',').split(',') if value.strip()]
        count = int(np.prod(shape))
        if len(values) != count:
            raise AnnotationError(f'{path} holds {len(values)} values, but GANerated has {count} with commas between')
        return finite(path, 'content', values, (count,)).reshape(shape)
