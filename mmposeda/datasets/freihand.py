"""FreiHAND as its authors publish it."""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence

import numpy as np

from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import METAINFO_DIR, Skeleton

from .annotations import AnnotationError, labels_ignored, load_json
from .hands import finite, hand_boxes, hand_labels, project
from .single import SingleInstanceDataset, one_of

PICTURE = (224, 224)
#: Pictures of another background are so many numbers further on, in this order (authors' toolkit)
UNIQUE = 32560
VERSIONS = ('gs', 'hom', 'sample', 'auto')
COUNTS = dict(training=UNIQUE, evaluation=3960)


@DATASETS.register_module()
class FreiHANDDataset(SingleInstanceDataset):
    """Right hands of FreiHAND (Zimmermann et al., ICCV 2019), one a picture, with 21 joints.

    Layout: ``data_root/{training,evaluation}/rgb/%08d.jpg``, 224 x 224 pixels, ``{training,evaluation}_K.json``, a list
    of (3, 3), and ``{training,evaluation}_xyz.json``, a list of (21, 3) in metres in the camera's axes. The 32560 hands
    of the training part are there four times: before a green screen (``gs``), and with other backgrounds, harmonised
    (``hom``) or coloured anew (``sample``, ``auto``); picture ``index + 32560 * version`` shows hand ``index``.

    MMPose's ``FreiHandDataset`` reads a file of its own without 3D labels.

    2D joints are projections; a sample has ``keypoints_3d_cam`` (1, K, 3) in mm, ``camera`` with ``f`` (2,) and ``c``
    (2,) in pixels, ``hand_side`` and ``hand_id``, equal for the four pictures of a hand. Joints are visible inside the
    picture.

    Args:
        split (str): ``train`` (the part ``training``) or ``test`` (``evaluation``: 3960 pictures, some out of doors).
        versions (sequence[str]): Backgrounds of the split ``train``.
        crop (float, optional): Side of the square box over that of the hull of the joints, 1.5 in RegDA's code. By
            default the box is the whole picture, which is cut around the hand already, and tells nothing of the joints.
        kwargs: of MMPose's ``BaseCocoStyleDataset``; a ``metainfo`` of other joints is mapped to by name.

    Raises:
        FileNotFoundError: an annotation file or the first picture is missing; says where the data is had.
        AnnotationError: a file is of another kind, or holds joints that are no numbers or behind the camera.
        ValueError: unknown split or version.
    """

    METAINFO: dict = dict(from_file=str(METAINFO_DIR / 'hand21.py'))
    NATIVE = 'hand21'
    HOW_TO_GET = (
        'FreiHAND is free for research: https://lmb.informatik.uni-freiburg.de/resources/datasets/FreihandDataset.en.html.'
        ' Unpack FreiHAND_pub_v2.zip, and for the split `test` also FreiHAND_pub_v2_eval.zip, which has the labels of '
        'the evaluation part, so that data_root holds training/, evaluation/ and the json files.'
    )

    def __init__(
        self,
        split: str = 'train',
        versions: Sequence[str] = VERSIONS,
        crop: float | None = None,
        **kwargs,
    ):
        self.part = dict(train='training', test='evaluation')[
            one_of('FreiHANDDataset', 'split', split, ('train', 'test'))
        ]
        self.versions, self.crop = tuple(versions), crop
        if not self.versions or not set(self.versions) <= set(VERSIONS):
            raise ValueError(f'FreiHANDDataset got versions={list(versions)}, expected some of {", ".join(VERSIONS)}')
        defaults = dict(ann_file=f'{self.part}_xyz.json', data_prefix=dict(img=f'{self.part}/rgb'))
        super().__init__(**{**defaults, **kwargs})

    def load_data_list(self) -> list[dict]:
        """Hands in the order of the files, background by background."""
        cameras = self._list(osp.join(self.data_root or '', f'{self.part}_K.json'), (3, 3))
        f, c = cameras[:, None, [0, 1], [0, 1]], cameras[:, None, :2, 2]
        space = np.zeros((len(cameras), Skeleton.from_metainfo(self.NATIVE).num_joints, 3))
        if not labels_ignored() or self.crop is not None:
            space = 1000 * self._list(self.existing(self.ann_file), space.shape[1:])
            if len(space) != len(cameras):
                raise AnnotationError(f'{self.ann_file} has {len(space)} hands, but there are {len(cameras)} cameras')
            ahead = (space[..., 2] > 0).all(1)
            if not ahead.all():
                place = int(np.argmin(ahead))
                raise AnnotationError(f'entry {place} of {self.ann_file} has a joint behind the camera')
        boxes = np.tile([0, 0, *PICTURE], (len(space), 1))
        if self.crop is not None:
            boxes, _, _ = hand_boxes(project(space, f, c), PICTURE, self.crop)
        points, visible, space = hand_labels(self, space, lambda joints: project(joints, f, c), PICTURE)
        f, c = f[:, 0].astype(np.float32), c[:, 0].astype(np.float32)
        versions = [VERSIONS.index(v) for v in self.versions] if self.part == 'training' else [0]
        infos = []
        for version in versions:
            for n, box in enumerate(boxes):
                number = n + UNIQUE * version
                infos.append(
                    self.info(
                        number,
                        osp.join(self.data_prefix['img'], f'{number:08d}.jpg'),
                        points[n],
                        visible[n],
                        box,
                        hand_side='right',
                        hand_id=n,
                        keypoints_3d_cam=space[n : n + 1],
                        camera=dict(f=f[n], c=c[n]),
                    )
                )
        self.check_pictures([info['img_path'] for info in infos])
        return infos

    def _list(self, path: str, shape: tuple[int, int]) -> np.ndarray:
        """(N, *shape) of one of the json files, a list with an entry a hand."""
        content = load_json(self.existing(path))
        if not isinstance(content, list) or not 0 < len(content) <= COUNTS[self.part]:
            got = f'a list of {len(content)}' if isinstance(content, list) else type(content).__name__
            wanted = f'a list of {COUNTS[self.part]} entries {shape}'
            raise AnnotationError(f'{path} is no file of FreiHAND: expected {wanted}, got {got}')
        return finite(path, 'content', content, (None, *shape))
