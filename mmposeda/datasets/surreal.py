"""SURREAL in the re-packed form of the published adaptation tasks."""

from __future__ import annotations

import os.path as osp
import random

import numpy as np

from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import METAINFO_DIR, Skeleton, metainfo_path

from .annotations import LIMIT, AnnotationError, labels_ignored, load_json
from .single import SingleInstanceDataset, one_of

RUNS = (0, 1, 2)


def _numbers(path: str, entry: dict, key: str, shape: tuple[int, ...]) -> np.ndarray:
    try:
        values = np.array(entry[key], np.float32)
    except (KeyError, TypeError, ValueError):
        raise AnnotationError(f'the entry of {path} has no numbers in {key}') from None
    if values.shape != shape:
        raise AnnotationError(f'{path} has {key} of shape {values.shape}, but SURREAL has 24 joints, {shape}')
    if not (np.abs(values) <= LIMIT).all():
        raise AnnotationError(f'{path} has {key} with NaN, infinite or absurd numbers; correct or remove its entry')
    return values


@DATASETS.register_module()
class SURREALDataset(SingleInstanceDataset):
    """Rendered people of SURREAL, cropped to 1.5 times the person's box, with MPII's 16 joints.

    Layout: ``data_root/{train,val,test}/run{0,1,2}.json``, lists of ``name``, ``keypoint2d`` (24, 2) in pixels of the
    crop, ``keypoint3d`` (24, 3) in metres and camera axes, ``intrinsic_matrix`` (3, 3); pictures in the folder
    ``run{0,1,2}/`` beside each. All joints count as visible, as in the published tasks. The box is the whole picture.

    Args:
        split (str): ``train``, ``val`` or ``test``, whole folders; ``reference`` is what the published tasks train on,
            the train folder shuffled with seed 42 less the first ``min(20 %, 3200)``; ``reference_test`` is these first
            of the test folder, shuffled likewise.
        shoulder (str): ``collar`` takes SMPL's collars for the shoulders, as the published numbers do; ``shoulder``
            takes its shoulder joints, the better label. See the meta files ``surreal`` and ``surreal_shoulder``.
        joints (str): Joint set to give, the name of its meta file (``lsp``, ``h36m``, or ``surreal`` for its own 24);
            joints are mapped to it by name.
        kwargs: of MMPose's ``BaseCocoStyleDataset``; a ``metainfo`` takes the place of ``joints``.

    Raises:
        FileNotFoundError: an annotation file or the first picture is missing; says where the data is had.
        AnnotationError: an annotation file of another kind, a picture outside the data folder, or joints that are no
            numbers of pixels.
        ValueError: unknown split or shoulder, an entry without 24 joints, or no joint in common with ``metainfo``.
    """

    METAINFO: dict = dict(from_file=str(METAINFO_DIR / 'mpii.py'))
    HOW_TO_GET = (
        'SURREAL is free for research after registration at https://www.di.ens.fr/willow/research/surreal/data/. This '
        'class reads crops: cut them out of the official clips by tools/dataset_converters/surreal.py, or unpack those '
        'of the Transfer-Learning-Library (tllib, keypoint detection, data set SURREAL) so that data_root holds '
        'train/run0.json and train/run0/, and so on for run1, run2, val and test.'
    )

    def __init__(self, split: str = 'reference', shoulder: str = 'collar', joints: str = 'mpii', **kwargs):
        splits = ('train', 'val', 'test', 'reference', 'reference_test')
        self.split = one_of('SURREALDataset', 'split', split, splits)
        self.shoulder = one_of('SURREALDataset', 'shoulder', shoulder, ('collar', 'shoulder'))
        defaults = dict(data_prefix=dict(img=''), metainfo=dict(from_file=metainfo_path(joints)))
        super().__init__(**{**defaults, **kwargs})

    def load_data_list(self) -> list[dict]:
        """Entries of the three runs, one person each."""
        folder = {'reference': 'train', 'reference_test': 'test'}.get(self.split, self.split)
        root = osp.join(self.data_prefix['img'], folder)
        native = Skeleton.from_metainfo('surreal' if self.shoulder == 'collar' else 'surreal_shoulder')
        self._joint_map = native.map_to(Skeleton.from_metainfo(self._metainfo))
        entries = []
        for run in RUNS:
            path = self.existing(osp.join(root, f'run{run}.json'))
            part = load_json(path)
            named = isinstance(part, list) and [isinstance(e, dict) and isinstance(e.get('name'), str) for e in part]
            if named is False or not all(named):
                raise AnnotationError(f'{path} is no file of SURREAL: expected a list of dicts with a `name`')
            entries += [(f'run{run}/{entry["name"]}', entry) for entry in part]
        if self.split.startswith('reference'):
            random.Random(42).shuffle(entries)
            held_out = min(int(len(entries) * 0.2), 3200)
            entries = entries[held_out:] if self.split == 'reference' else entries[:held_out]
        if not entries:
            raise ValueError(f'no person in {root} for split={self.split!r}')
        self.check_pictures([osp.join(root, name) for name, _ in entries], named_in=root)
        return [self._info(i, osp.join(root, name), entry) for i, (name, entry) in enumerate(entries)]

    def _info(self, number: int, path: str, entry: dict) -> dict:
        points, space, camera = np.zeros((24, 2)), np.zeros((24, 3)), np.zeros((3, 3))
        if not labels_ignored():
            points = _numbers(path, entry, 'keypoint2d', (24, 2))
            space = _numbers(path, entry, 'keypoint3d', (24, 3))
            camera = _numbers(path, entry, 'intrinsic_matrix', (3, 3))
        visible = np.ones((1, 24), bool)
        keypoints, visible = self._joint_map.apply(points[None], visible)
        in_camera = self._joint_map.apply(1000 * space[None])
        return self.info(
            number,
            path,
            keypoints[0].astype(np.float32),
            visible[0].astype(np.float32),
            keypoints_3d_cam=in_camera.astype(np.float32),  # (1, K, 3) mm
            intrinsic_matrix=camera.astype(np.float32),
            camera=dict(f=camera[[0, 1], [0, 1]].astype(np.float32), c=camera[:2, 2].astype(np.float32)),
        )
