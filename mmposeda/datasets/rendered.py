"""Rendered people and hands that were written to disk."""

from __future__ import annotations

import os.path as osp

import numpy as np

from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import Skeleton, metainfo_path

from .annotations import AnnotationError, labels_ignored, load_json
from .single import SingleInstanceDataset, numbers, one_of

NO_SETTINGS = (
    'write it with tools/render_people.py, or read plain COCO-style files with a data set class of their joints'
)


@DATASETS.register_module()
class RenderedDataset(SingleInstanceDataset):
    """What ``tools/render_people.py`` writes, with the 3D labels and sequences that plain COCO-style readers leave out.

    A sample has what MMPose's do, and ``keypoints_3d_cam`` (1, K, 3) in mm in the camera's axes, ``camera`` with ``f``
    (2,) and ``c`` (2,) in pixels, and, where pictures are frames of a sequence, ``sequence_id`` and ``frame``.
    Where the look has a tie, ``tie`` has ``angle`` in radians, its rank ``value`` and the background's ``hue``.

    Args:
        ann_file (str): Below ``data_root``.
        joints (str): Joint set to give, the name of its meta file; joints on disk are mapped to it by name.
        bbox (str): 'image': the whole picture (it is framed already); 'ann': the figure's box.
        kwargs: of MMPose's ``BaseCocoStyleDataset``.

    Raises:
        FileNotFoundError: The file or the first picture is missing.
        AnnotationError: The file is none of rendered figures, or holds coordinates that are none.
        ValueError: An unknown box or joint set, or a file without pictures.
    """

    HOW_TO_GET = 'Render it first: python tools/render_people.py --out FOLDER'

    def __init__(self, ann_file: str = 'annotations/people.json', joints: str = 'lsp', bbox: str = 'image', **kwargs):
        self.bbox = one_of('RenderedDataset', 'bbox', bbox, ('image', 'ann'))
        defaults = dict(metainfo=dict(from_file=metainfo_path(joints)), data_prefix=dict(img='images/'))
        super().__init__(ann_file=ann_file, **{**defaults, **kwargs})

    def load_data_list(self) -> list[dict]:
        """One entry a picture."""
        content = load_json(self.existing(self.ann_file), lists=('images', 'annotations', 'categories'))
        try:
            native = Skeleton.from_metainfo(content['info']['settings']['joints'])
            names = tuple(content['categories'][0]['keypoints'])
            images = {image['id']: image for image in content['images']}
            paths = [
                osp.join(self.data_prefix['img'], images[a['image_id']]['file_name']) for a in content['annotations']
            ]
        except (LookupError, TypeError, FileNotFoundError, ValueError) as error:
            raise AnnotationError(
                f'{self.ann_file} is no file of rendered figures ({error!r}): {NO_SETTINGS}'
            ) from None
        if names != native.joint_names:
            raise AnnotationError(
                f'{self.ann_file} says it holds the joints of {native.name!r}, but names {len(names)} others: render '
                'it again'
            )
        if not paths:
            raise ValueError(f'{self.ann_file} names no picture')
        self.check_pictures(paths)
        joint_map = native.map_to(Skeleton.from_metainfo(self._metainfo))
        flat, space = self._labels(content['annotations'], len(names))
        points, visible = joint_map.apply(flat[..., :2], flat[..., 2] > 0)
        space = joint_map.apply(space)
        return [
            self.info(
                entry['image_id'],
                path,
                points[n],
                visible[n].astype(np.float32),
                None if self.bbox == 'image' else self._box(entry),
                keypoints_3d_cam=space[n : n + 1],
                camera=self._camera(entry),
                **{key: entry[key] for key in ('sequence_id', 'frame') if key in entry},
                **self._tie(entry),
            )
            for n, (entry, path) in enumerate(zip(content['annotations'], paths))
        ]

    def _labels(self, entries: list[dict], joints: int) -> tuple[np.ndarray, np.ndarray]:
        """Pixels and visibility (N, K, 3) and millimetres (N, K, 3)."""
        flat, space = (np.zeros((len(entries), joints, 3), np.float32) for _ in range(2))
        if labels_ignored():
            return flat, space
        for n, entry in enumerate(entries):
            what = f'annotation {entry.get("id")}'
            flat[n] = numbers(self.ann_file, f'keypoints of {what}', entry.get('keypoints'), (3 * joints,)).reshape(
                -1, 3
            )
            space[n] = numbers(self.ann_file, f'joints_3d of {what}', entry.get('joints_3d'), (joints, 3))
        return flat, space

    def _tie(self, entry: dict) -> dict[str, dict]:
        if 'tie' not in entry or labels_ignored():
            return {}
        what, tie = f'tie of annotation {entry.get("id")}', entry['tie']
        if not isinstance(tie, dict):
            raise AnnotationError(f'{what} of {self.ann_file} is {tie!r}, not a dict: render it again')
        tie = {
            key: float(numbers(self.ann_file, f'{key} of {what}', tie.get(key), ()))
            for key in ('angle', 'value', 'hue')
        }
        return dict(tie=tie)

    def _camera(self, entry: dict) -> dict[str, np.ndarray]:
        what = f'camera of annotation {entry.get("id")}'
        camera = entry.get('camera')
        if not isinstance(camera, dict):
            raise AnnotationError(f'{what} of {self.ann_file} is missing: {NO_SETTINGS}')
        return {key: numbers(self.ann_file, f'{key} of {what}', camera.get(key), (2,)) for key in 'fc'}

    def _box(self, entry: dict) -> np.ndarray:
        x, y, width, height = numbers(self.ann_file, f'bbox of annotation {entry.get("id")}', entry.get('bbox'), (4,))
        return np.array([x, y, x + width, y + height], np.float32)
