"""Target data without labels: a wrapper that removes them, and plain picture folders that never had any."""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset, ConcatDataset, force_full_init
from mmengine.structures import InstanceData
from mmpose.datasets import CombinedDataset
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from torch.utils.data import Dataset

from mmposeda.registry import DATASETS

from .annotations import LIMIT, AnnotationError, check_paths, ignoring_labels, load_json
from .images import image_size, list_images, naming_sample

# all that a pipeline may know of a picture
IMAGE_KEYS = ('img', 'img_path', 'img_id', 'img_shape', 'ori_shape', 'bbox', 'bbox_score')
# what MMPose's data sets add to every sample from the joint set alone
JOINT_SET_KEYS = (
    'dataset_name',
    'upper_body_ids',
    'lower_body_ids',
    'flip_pairs',
    'dataset_keypoint_weights',
    'flip_indices',
    'skeleton_links',
)
# of a packed sample's gt_instances: the box, not the joints
INSTANCE_KEYS = ('bboxes', 'bbox_scores', 'bbox_scales')


def without_labels(data_info: Mapping, metainfo: Mapping) -> dict:
    """Data info with the picture, its box and neutral joints only.

    MMPose's transforms differ in what they do without ``keypoints`` (``RandomHalfBody`` and ``KeypointConverter`` fail,
    ``TopdownAffine`` makes up a visible joint). All of them run with K joints at (0, 0) that are invisible, and no
    random number is drawn for those.
    """
    info = {k: data_info[k] for k in IMAGE_KEYS if k in data_info}
    info.update({k: deepcopy(metainfo[k]) for k in JOINT_SET_KEYS if k in metainfo})
    people, joints = len(info.get('bbox', (0,))), metainfo['num_keypoints']
    info['keypoints'] = np.zeros((people, joints, 2), np.float32)
    info['keypoints_visible'] = np.zeros((people, joints), np.float32)
    return info


def strip(packed: dict, domain: str = 'target') -> dict:
    """Remove everything but the boxes from a packed sample and set its ``domain`` in its metainfo."""
    sample = packed['data_samples']
    kept = {k: sample.gt_instances[k] for k in INSTANCE_KEYS if k in sample.gt_instances}
    sample.gt_instances = InstanceData(**kept)
    sample.gt_instance_labels = InstanceData()
    if 'gt_fields' in sample:
        del sample.gt_fields
    sample.set_metainfo(dict(domain=domain))
    return dict(inputs=packed['inputs'], data_samples=sample)


class _LabelFree:
    """What data sets without labels share: fetch, run the pipeline on label-free infos, strip.

    Attributes:
        DOMAIN (str): What samples say they are of.
    """

    DOMAIN = 'target'

    def prepare_data(self, idx: int) -> Any:
        """Label-free packed sample ``idx``, or None if a transform gave up on it.

        Its metainfo holds ``idx`` as ``sample_index``.

        Raises:
            SampleError: a transform failed, for instance on an unreadable picture; names the file.
            TypeError: the pipeline does not end in ``PackPoseInputs``.
        """
        return self.pack(idx, self.get_data_info(idx))

    def pack(self, idx: int, info: dict) -> Any:
        """Data info ``info`` of sample ``idx`` through the pipeline, without labels; see :meth:`prepare_data`."""
        info['dataset'] = self  # mixing transforms then get label-free samples too
        with naming_sample(self, idx, info.get('img_path')):
            packed = self.pipeline(info)
        if packed is None:
            return None
        if 'data_samples' not in packed:
            raise TypeError(
                f'the pipeline of {type(self).__name__} must end in PackPoseInputs, got keys {list(packed)}'
            )
        sample = strip(packed, self.DOMAIN)
        sample['data_samples'].set_metainfo(dict(sample_index=idx))  # where pseudo-labels are kept, by place in the set
        return sample


@DATASETS.register_module()
class UnlabeledDataset(_LabelFree, Dataset):
    """A labelled data set as unlabelled target: its labels reach neither its pipeline nor the packed sample.

    Kept are the picture, its id and the box with its score. So nothing downstream has to be trusted not to look: with
    NaN or shuffled annotations every sample is bitwise the same. The box is passed on as it is: where it was made from
    the joints it tells something of them, so prefer the whole picture or a detector's box.

    Nor do joints decide who is in the set: MMPose's classes leave people without labelled joints out, here everybody
    with a box counts who is no crowd. The data set is loaded at once, whatever its ``lazy_init``.

    Args:
        dataset (dict | Dataset): config of a data set with its own pipeline ending in ``PackPoseInputs``. One that is
            built and loaded already has looked at its joints.

    Raises:
        TypeError: the data set joins several (wrap each of them), or has no pipeline.
    """

    def __init__(self, dataset: dict | Dataset):
        with ignoring_labels():
            self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
            if hasattr(self.dataset, 'full_init'):
                self.dataset.full_init()
        if isinstance(self.dataset, (CombinedDataset, ConcatDataset)):
            raise TypeError(
                f'{type(self).__name__} cannot wrap {type(self.dataset).__name__}; wrap each of its data sets'
            )
        if not getattr(getattr(self.dataset, 'pipeline', None), 'transforms', True):
            raise TypeError(
                f'{type(self.dataset).__name__} under {type(self).__name__} has an empty pipeline; give it the whole '
                'target pipeline, ending in PackPoseInputs'
            )

    @property
    def metainfo(self) -> dict:
        """Joint set of the wrapped data set."""
        return self.dataset.metainfo

    @property
    def pipeline(self) -> Any:
        """Pipeline of the wrapped data set."""
        return self.dataset.pipeline

    def full_init(self) -> None:
        """Load the wrapped data set's list."""
        self.dataset.full_init()

    def __len__(self) -> int:
        return len(self.dataset)

    def get_data_info(self, idx: int) -> dict:
        """Data info without labels, see :func:`without_labels`."""
        return without_labels(self.dataset.get_data_info(idx), self.metainfo)

    def __getitem__(self, idx: int) -> dict:
        for _ in range(getattr(self.dataset, 'max_refetch', 0) + 1):
            sample = self.prepare_data(idx)
            if sample is not None:
                return sample
            idx = (idx + 1) % len(self)
        raise RuntimeError(f'no valid sample found in {type(self.dataset).__name__}; check its pipeline')


@DATASETS.register_module()
class UnlabeledImageDataset(_LabelFree, BaseDataset):
    """A folder of pictures as unlabelled target, or for prediction; folders below it are searched too.

    Args:
        metainfo (dict): joint set to predict, e.g. ``dict(from_file='.../lsp.py')``.
        ann_file (str): optional; which pictures, and boxes of the people on them. A text file with a path a line, or
            ``path x y w h``; or a json ``{path: [[x, y, w, h(, score)], ...]}``; or a COCO-style json, of which file
            names, boxes and, if given, who it is (``track_id``) are read. Paths are relative to
            ``data_prefix['img']``. Boxes are in pixels; without boxes the whole picture is taken.
        kwargs: of MMEngine's ``BaseDataset`` (``data_root``, ``data_prefix``, ``pipeline``, ...).

    Raises:
        FileNotFoundError: folder missing or without pictures, list missing, or a listed picture missing.
        ValueError: no joint set.
        AnnotationError: a line, box or file that cannot be understood, or a picture outside the folder.
    """

    def __init__(self, metainfo: dict, ann_file: str = '', data_prefix: dict | None = None, **kwargs):
        if not metainfo:
            raise ValueError('UnlabeledImageDataset needs the joint set to predict: metainfo=dict(from_file=...)')
        prefix = dict(img='') if data_prefix is None else data_prefix
        super().__init__(ann_file=ann_file, metainfo=metainfo, data_prefix=prefix, **kwargs)

    @classmethod
    def _load_metainfo(cls, metainfo: Mapping | None = None) -> dict:
        return parse_pose_metainfo(dict(metainfo or {}))

    def load_data_list(self) -> list[dict]:
        """One entry a person where boxes are given, else one a picture."""
        folder = self.data_prefix['img']
        if not self.ann_file:
            entries = [(name, None) for name in list_images(folder)]
        else:
            if not osp.isfile(self.ann_file):
                raise FileNotFoundError(f'list of pictures {self.ann_file} does not exist')
            entries = self._from_json() if self.ann_file.endswith('.json') else self._from_text()
            if not entries:
                raise ValueError(f'{self.ann_file} names no picture')
        infos = []
        check_paths((osp.join(folder, entry[0]) for entry in entries), [self.data_root, folder], self.ann_file)
        for i, (name, box, *track) in enumerate(entries):
            path = osp.join(folder, name)
            if self.ann_file and not osp.isfile(path):
                raise FileNotFoundError(f'picture {path}, named in {self.ann_file}, does not exist')
            info = dict(img_id=i, img_path=path)
            if box is not None:
                info.update(self._box(name, box))
            if track:
                info['track_id'] = track[0]
            infos.append(info)
        return infos

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """Data info with neutral joints; the box is the whole picture (0, 0, W, H) where none is given."""
        info = super().get_data_info(idx)
        if 'bbox' not in info:
            width, height = image_size(info['img_path'])
            info['bbox'] = np.array([[0, 0, width, height]], np.float32)
            info['bbox_score'] = np.ones(1, np.float32)
        return without_labels(info, self._metainfo)

    def _box(self, name: str, box: list) -> dict:
        try:
            values = np.array(box, np.float32)
        except (TypeError, ValueError):
            values = np.empty(0)
        if values.shape not in ((4,), (5,)) or not (np.abs(values) <= LIMIT).all() or (values[2:4] <= 0).any():
            raise AnnotationError(
                f'box {box!r:.80} of {name} in {self.ann_file}: expected x, y, w, h (and a score) with w, h > 0'
            )
        x, y, w, h = values[:4]
        score = values[4:5] if len(values) == 5 else np.ones(1, np.float32)
        return dict(bbox=np.array([[x, y, x + w, y + h]], np.float32), bbox_score=score)

    def _from_text(self) -> list[tuple]:
        entries = []
        try:
            lines = Path(self.ann_file).read_text().splitlines()
        except UnicodeDecodeError as error:
            raise AnnotationError(f'{self.ann_file} is no text file: {error}') from None
        for number, line in enumerate(lines, 1):
            words = line.split()
            if not words:
                continue
            try:
                box = [float(w) for w in words[-4:]] if len(words) >= 5 else None
                name = line.rsplit(maxsplit=4)[0].strip() if box else line.strip()
            except ValueError:
                box, name = None, line.strip()  # a path with blanks
            if not name:
                raise AnnotationError(
                    f'line {number} of {self.ann_file}: expected `path` or `path x y w h`, got {line!r}'
                )
            entries.append((name, box))
        return entries

    def _from_json(self) -> list[tuple]:
        raw = load_json(self.ann_file)
        try:
            if 'images' in raw:
                names = {i['id']: i['file_name'] for i in raw['images']}
                boxes = [
                    (names[a['image_id']], a['bbox'], *([a['track_id']] if 'track_id' in a else []))
                    for a in raw.get('annotations', ())
                    if 'bbox' in a
                ]
                entries = boxes or [(name, None) for name in names.values()]
            else:
                entries = [(name, box) for name, boxes in raw.items() for box in boxes]
            if all(isinstance(entry[0], str) for entry in entries):
                return entries
        except (LookupError, TypeError, AttributeError):
            pass
        raise AnnotationError(
            f'{self.ann_file}: expected {{path: [[x, y, w, h], ...]}} or a COCO-style dict, got a {type(raw).__name__} '
            'of another layout'
        )
