"""Hand-3D-Studio in the cropped form of the published adaptation task."""

from __future__ import annotations

import os.path as osp
import random
from collections.abc import Sequence

import numpy as np

from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import METAINFO_DIR

from .annotations import AnnotationError, labels_ignored, load_json
from .single import SingleInstanceDataset, numbers, one_of


@DATASETS.register_module()
class Hand3DStudioDataset(SingleInstanceDataset):
    """Real hands of Hand-3D-Studio (Zhao et al., CVPR 2020), cropped to 1.5 times the hand, with 21 joints.

    Layout: ``data_root/annotation.json``, a list of ``name`` (``part1/...`` to ``part5/...``, paths of the pictures
    below ``data_root``), ``keypoint2d`` (21, 2) in pixels of the crop, ``without_object`` (1 for a bare hand). Joints
    come from the wrist to the tips, and all count as visible, as in the published task. The box is the whole picture.
    Hands are left as they are, right or left.

    Args:
        split (str): ``reference`` and ``reference_test`` are the published parts: the chosen hands shuffled with
            seed 42, the first ``min(20 %, 3200)`` for the test. Views and neighbouring frames of one moment then lie on
            both sides. ``train`` and ``test`` split by folder instead: the file does not say whose hand it is, and the
            folder is all that groups its pictures. ``all`` is all.
        objects (str): ``without``, bare hands as in the published task; ``with``, hands that hold something; ``all``.
        test_parts (sequence[str]): Folders, relative to ``data_root``, of the split ``test``.
        kwargs: of MMPose's ``BaseCocoStyleDataset``; a ``metainfo`` of other joints is mapped to by name.

    Raises:
        FileNotFoundError: the annotation file or the first picture is missing; says where the data is had.
        AnnotationError: the file is of another kind, has other joints, or names pictures outside the data folder.
        ValueError: unknown split or objects, a folder without pictures, or nothing left.
    """

    METAINFO: dict = dict(from_file=str(METAINFO_DIR / 'hand21.py'))
    NATIVE = 'hand21'
    HOW_TO_GET = (
        'This class reads the crops of the Transfer-Learning-Library (tllib, keypoint detection, data set '
        'Hand3DStudio): unpack H3D_crop.tar so that data_root holds annotation.json and part1/ to part5/. The original '
        'is had from its authors at https://www.yangangwang.com/papers/ZHAO-H3S-2020-02.html.'
    )

    def __init__(
        self,
        split: str = 'reference',
        objects: str = 'without',
        test_parts: Sequence[str] = ('part5',),
        **kwargs,
    ):
        splits = ('train', 'test', 'reference', 'reference_test', 'all')
        self.split = one_of('Hand3DStudioDataset', 'split', split, splits)
        self.objects = one_of('Hand3DStudioDataset', 'objects', objects, ('without', 'with', 'all'))
        self.test_parts = [osp.join(part, '') for part in test_parts]
        super().__init__(**{'ann_file': 'annotation.json', 'data_prefix': dict(img=''), **kwargs})

    def load_data_list(self) -> list[dict]:
        """Entries of the split, one hand each."""
        entries = load_json(self.existing(self.ann_file))
        known = isinstance(entries, list) and all(
            isinstance(e, dict) and isinstance(e.get('name'), str) and e.get('without_object') in (0, 1, '0', '1')
            for e in entries
        )
        if not known:
            raise AnnotationError(
                f'{self.ann_file} is no file of Hand-3D-Studio: expected a list of dicts with a `name` and '
                '`without_object`, 0 or 1'
            )
        entries = self._part(list(enumerate(entries)))
        if not entries:
            raise ValueError(f'no hand in {self.ann_file} for split={self.split!r}, objects={self.objects!r}')
        paths = [osp.join(self.data_prefix['img'], entry['name']) for _, entry in entries]
        self.check_pictures(paths)
        points = np.zeros((len(entries), 21, 2), np.float32)
        if not labels_ignored():
            for n, (_, entry) in enumerate(entries):
                what = f'keypoint2d of {entry["name"]}'
                points[n] = numbers(self.ann_file, what, entry.get('keypoint2d'), (21, 2))
        points, visible = self.map_joints(points, np.ones(points.shape[:2]))
        return [self.info(entries[n][0], path, points[n], visible[n]) for n, path in enumerate(paths)]

    def _part(self, entries: list[tuple[int, dict]]) -> list[tuple[int, dict]]:
        """Entries of the split, with their places in the file."""
        if self.objects != 'all':
            entries = [e for e in entries if int(e[1]['without_object']) == (self.objects == 'without')]
        if self.split.startswith('reference'):
            random.Random(42).shuffle(entries)
            held_out = min(int(len(entries) * 0.2), 3200)
            return entries[held_out:] if self.split == 'reference' else entries[:held_out]
        if self.split == 'all':
            return entries
        names = [osp.normpath(entry['name']) for _, entry in entries]
        for part in self.test_parts:
            if not any(name.startswith(part) for name in names):
                folders = sorted({osp.dirname(name) for name in names})
                raise ValueError(f'no picture of {self.ann_file} is in the test part {part}; folders are {folders[:9]}')
        wanted = self.split == 'test'
        return [e for e, name in zip(entries, names) if name.startswith(tuple(self.test_parts)) == wanted]
