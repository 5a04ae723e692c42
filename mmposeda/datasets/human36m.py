"""Human3.6M as pictures with 2D joints."""

from __future__ import annotations

import os.path as osp
import random

import numpy as np

from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import METAINFO_DIR

from .annotations import LIMIT, AnnotationError, labels_ignored
from .npz import open_npz
from .single import SingleInstanceDataset, one_of, square_boxes

#: 1000 x 1000 or 1000 x 1002 pixels, by camera
PICTURE = (1000, 1000)
#: MMPose's boxes: 1.2 times the longer side of the hull of the joints, over 200
PADDING, UNIT = 1.2, 200
SHAPES = dict(imgname=(), center=(2,), scale=(), part=(17, 3))


@DATASETS.register_module()
class Human36m2DDataset(SingleInstanceDataset):
    """Frames of Human3.6M (Ionescu et al., TPAMI 2014) with MPII's 16 joints, as in the published 2D tasks.

    Layout: what ``tools/dataset_converters/human36m.py`` and MMPose's ``preprocess_h36m.py`` write of every fifth
    frame, which is what the published task takes too: ``data_root/annotation_body3d/fps10/h36m_{train,test}.npz``, of
    which ``imgname``, ``center``, ``scale`` and ``part`` (N, 17, 3) are read, and ``data_root/images/``. The box is the
    square crop of 1.5 times the person; all joints are visible, the thorax is the middle of the shoulders.

    MMPose's ``Human36mDataset`` is for 3D: it opens every picture when it is built, and gives no boxes.

    Args:
        split (str): ``train``, subjects 1, 5, 6, 7 and 8; ``test``, subjects 9 and 11; ``reference_test``, 3200 of
            these frames, drawn with seed 42. The published task draws with replacement, some frames twice; here all
            differ.
        crop (float): Side of the crop over that of the hull of the joints.
        kwargs: of MMPose's ``BaseCocoStyleDataset``; a ``metainfo`` of other joints is mapped to by name.

    Raises:
        FileNotFoundError: the annotation file or the first picture is missing; says how they are made.
        AnnotationError: the file is no npz of that kind, or names pictures outside the data folder.
        ValueError: unknown split.
    """

    METAINFO: dict = dict(from_file=str(METAINFO_DIR / 'mpii.py'))
    NATIVE = 'h36m'
    HOW_TO_GET = (
        'Human3.6M is free for research after registration at http://vision.imar.ro/human3.6m/. Convert it by '
        "tools/dataset_converters/human36m.py, or MMPose's preprocess_h36m.py, and set data_root to what they write, "
        'which holds annotation_body3d/ and images/.'
    )

    def __init__(self, split: str = 'train', crop: float = 1.5, **kwargs):
        self.split = one_of('Human36m2DDataset', 'split', split, ('train', 'test', 'reference_test'))
        self.crop = crop
        name = 'train' if split == 'train' else 'test'
        defaults = dict(ann_file=f'annotation_body3d/fps10/h36m_{name}.npz', data_prefix=dict(img='images'))
        super().__init__(**{**defaults, **kwargs})

    def load_data_list(self) -> list[dict]:
        """Frames of the split, one person each."""
        names, centers, sides, joints = self._read(self.existing(self.ann_file))
        rows = np.arange(len(names))
        if self.split == 'reference_test':
            rows = np.array(sorted(random.Random(42).sample(range(len(names)), min(len(names), 3200))))
        paths = [osp.join(self.data_prefix['img'], str(name)) for name in names[rows]]
        self.check_pictures(paths)
        corners, sides = square_boxes(centers[rows], sides[rows], PICTURE, self.crop)
        boxes = np.concatenate([corners, corners + sides[:, None]], 1)
        points = np.zeros_like(joints[rows]) if labels_ignored() else joints[rows]
        points, visible = self.map_joints(points, np.ones(points.shape[:2]))
        return [
            self.info(int(row), path, points[n], visible[n], boxes[n]) for n, (row, path) in enumerate(zip(rows, paths))
        ]

    @staticmethod
    def _read(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Names (N,), middles (N, 2) and longer sides (N,) of the people, and their joints (N, 17, 2)."""
        try:
            with open_npz(path) as data:
                arrays = {key: data[key] for key in SHAPES}
        except KeyError as error:
            raise AnnotationError(f'{path} is no file of preprocess_h36m.py: it has no {error}') from None
        except ValueError as error:
            raise AnnotationError(str(error)) from None
        count = len(arrays['imgname'])
        for key, array in arrays.items():
            kinds, shape = 'U' if key == 'imgname' else 'fiu', (count, *SHAPES[key])
            if array.shape != shape or array.dtype.kind not in kinds:
                wanted = f'{"text" if kinds == "U" else "numbers"} of shape {shape}'
                raise AnnotationError(f'{path} has {key} of {array.dtype}, {array.shape}, but {wanted} is expected')
        if not count:
            raise AnnotationError(f'{path} holds no frame')
        boxes = np.column_stack([arrays['center'], arrays['scale']])
        bad = ~((np.abs(boxes) <= LIMIT).all(1) & (boxes[:, 2] > 0))
        if not labels_ignored():
            bad |= ~(np.abs(arrays['part'][..., :2]) <= LIMIT).all((1, 2))
        if bad.any():
            row = int(np.argmax(bad))
            raise AnnotationError(
                f'frame {row} of {path}, {arrays["imgname"][row]}, has NaN, infinite or absurd numbers'
            )
        sides = arrays['scale'] * UNIT / PADDING
        return arrays['imgname'], arrays['center'], sides, arrays['part'][..., :2]
