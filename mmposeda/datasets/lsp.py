"""Leeds Sports Pose, LSP-extended and COCO-style subsets of them."""

from __future__ import annotations

import copy
import os.path as osp
from typing import Any

import numpy as np
from mmengine.dataset import force_full_init
from mmengine.fileio import exists, get_local_path
from mmpose.datasets.datasets import BaseCocoStyleDataset

from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import METAINFO_DIR, Skeleton

from .annotations import LIMIT, AnnotationError, labels_ignored, load_json
from .images import image_size, naming_sample

HOW_TO_GET = (
    'Get LSP and LSP-extended from http://sam.johnson.io/research/lsp.html (or a mirror) and unpack them so that '
    '`joints.mat` and `images/` lie side by side in data_root; for a COCO-style subset put or link its folder '
    '(`annotations/`, `images/`) there.'
)


@DATASETS.register_module()
class LSPDataset(BaseCocoStyleDataset):
    """LSP (``joints.mat`` of (3, 14, 2000)), LSP-extended ((14, 3, 10000)) or a COCO-style json with LSP's 14 joints.

    The layout is told from the annotation file. The third row of ``joints`` means opposite things: in LSP 1 = occluded
    (such joints have coordinates, but do not count unless ``use_occluded``), in LSP-extended 1 = labelled.

    Data: http://sam.johnson.io/research/lsp.html, free for research with citation.

    Args:
        ann_file (str): ``joints.mat`` or a json, relative to ``data_root``.
        part (str): ``all`` of the file, or for LSP ``train`` (im0001 to im1000), ``test`` (im1001 to im2000) or
            ``reference`` (all 2000 as train and test at once, the published transductive setting); for LSP-extended and
            json files ``train`` and ``val``, split at ``val_start``.
        val_start (int): first image id of ``val``. Neighbouring file numbers show the same event, so the split is at
            a boundary of the subset's blocks of 100; the default gives the last 294 of the 2000 training pictures.
        bbox (str): ``image``, the whole picture (0, 0, W, H), needs no label; ``ann``, the json's box or 1.2 times the
            hull of the labelled joints, which is a label and so is nothing for an unlabelled target.
        one_based (bool): coordinates of ``joints.mat`` count from 1 (MATLAB) and are moved by one pixel. The reference
            implementations do not.
        use_occluded (bool): count joints of LSP that are flagged occluded as visible.
        metainfo (dict, optional): another joint set to give, e.g. MPII's 16 joints for the published tasks; LSP's
            joints are mapped to it by name, those it lacks are invisible.
        kwargs: of MMPose's ``BaseCocoStyleDataset``.

    Raises:
        FileNotFoundError: annotation file or a picture is missing; the message says where to get the data.
        AnnotationError: the annotation file is of another kind, names pictures outside the data folder, or has sizes,
            boxes or visible joints that are no numbers of pixels.
        ValueError: unknown part or box, joint array of another shape, a joint count other than 14, or a joint set in
            ``metainfo`` that shares nothing with LSP.
    """

    METAINFO: dict = dict(from_file=str(METAINFO_DIR / 'lsp.py'))

    def __init__(
        self,
        ann_file: str,
        part: str = 'all',
        val_start: int = 8601,
        bbox: str = 'image',
        one_based: bool = True,
        use_occluded: bool = False,
        **kwargs,
    ):
        for name, value, choices in (
            ('part', part, ('all', 'train', 'val', 'test', 'reference')),
            ('bbox', bbox, ('image', 'ann')),
        ):
            if value not in choices:
                raise ValueError(f'LSPDataset got {name}={value!r}, expected one of {", ".join(choices)}')
        self.part, self.val_start, self.bbox = part, val_start, bbox
        self.one_based, self.use_occluded = one_based, use_occluded
        super().__init__(ann_file=ann_file, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the annotation file into MMPose's top-down data infos, one a person."""
        if not exists(self.ann_file):
            raise FileNotFoundError(f'annotation file {self.ann_file} does not exist. {HOW_TO_GET}')
        if self.bbox_file:
            return super().load_data_list()
        native, wanted = Skeleton.from_metainfo('lsp'), Skeleton.from_metainfo(self._metainfo)
        self._joint_map = None if native.same_joints(wanted) else native.map_to(wanted)
        pairs = self._from_mat() if self.ann_file.endswith('.mat') else self._from_json()
        infos = [self._info(image, ann) for image, ann in pairs]
        infos = [i for i in infos if self._is_valid_instance(i)]
        if not infos:
            raise ValueError(f'no person in {self.ann_file} for part={self.part!r}')
        return infos

    @staticmethod
    def _is_valid_instance(data_info: dict) -> bool:
        """Whether the box has an area. Labels do not decide what is in the set: it may serve as unlabelled target."""
        width, height = data_info['bbox'][0, 2:] - data_info['bbox'][0, :2]
        return bool(width > 0 and height > 0)

    def _info(self, image: dict, ann: dict) -> dict:
        try:
            return self.parse_data_info(dict(raw_ann_info=ann, raw_img_info=image))
        except AnnotationError:
            raise
        except (LookupError, TypeError, ValueError, OverflowError) as error:
            what = f'no {error}' if isinstance(error, KeyError) else error
            raise AnnotationError(
                f'annotation {ann.get("id")} of {self.ann_file} or the entry of its picture cannot be used: {what}'
            ) from None

    def parse_data_info(self, raw_data_info: dict) -> dict:
        """One annotation to MMPose's data info, with the box chosen by ``bbox``."""
        ann, img = raw_data_info['raw_ann_info'], raw_data_info['raw_img_info']
        if labels_ignored():
            ann = {**ann, 'keypoints': [0.0] * 42}
        elif len(ann['keypoints']) != 3 * 14:
            raise AnnotationError(
                f'annotation {ann["id"]} of {self.ann_file} has {len(ann["keypoints"]) / 3:g} joints, but LSP has 14; '
                'for data of other joints take a data set class of theirs, such as CocoDataset'
            )
        points = np.array(ann['keypoints'], np.float32).reshape(1, 14, 3)
        labelled = points[..., 2] > 0
        good = np.where(labelled, (np.abs(points) <= LIMIT).all(-1), points[..., 2] <= 0)
        if not good.all():
            worst = int(np.argmin(good))
            raise AnnotationError(
                f'annotation {ann["id"]} of {self.ann_file} has joint {worst} at {points[0, worst].tolist()}: expected '
                f'finite pixels up to {LIMIT:.0e} where the visibility is not 0. Correct it, or give unknown joints '
                'visibility 0'
            )
        points = np.where(labelled[..., None], points[..., :2], 0).astype(np.float32)
        if self._joint_map is not None:
            points, labelled = self._joint_map.apply(points, labelled)
        if not (0 < img['width'] <= LIMIT and 0 < img['height'] <= LIMIT):
            raise AnnotationError(
                f'picture {img["id"]} of {self.ann_file} is {img["width"]} x {img["height"]} pixels large: expected '
                f'numbers from 1 to {LIMIT:.0e}'
            )
        box = np.array([[0, 0, img['width'], img['height']]], np.float32)
        if self.bbox == 'ann':
            box = np.array([ann['bbox']], np.float32).reshape(1, 4)
            if not (np.abs(box) <= LIMIT).all() or (box[:, 2:] < 0).any():
                raise AnnotationError(
                    f'annotation {ann["id"]} of {self.ann_file} has the box {ann["bbox"]}: expected x, y, width, '
                    f"height in pixels up to {LIMIT:.0e}. Correct it, or take bbox='image'"
                )
            box[:, 2:] += box[:, :2]
        info = dict(
            img_id=img['id'],
            img_path=osp.join(self.data_prefix['img'], img['file_name']),
            bbox=box,
            bbox_score=np.ones(1, np.float32),
            keypoints=points,
            keypoints_visible=labelled.astype(np.float32),
            num_keypoints=int(labelled.sum()),
            area=np.array(ann.get('area', (box[0, 2:] - box[0, :2]).prod()), np.float32),
            iscrowd=0,
            id=ann['id'],
            category_id=np.array(ann.get('category_id', 1)),
            raw_ann_info=copy.deepcopy(ann),
        )
        if 'head_size' in ann:
            info['head_size'] = np.array([ann['head_size']], np.float32)
        return info

    @force_full_init
    def prepare_data(self, idx: int) -> Any:
        """Sample ``idx`` through the pipeline.

        Raises:
            SampleError: a transform failed, for instance on an unreadable picture; names the file.
        """
        data_info = self.get_data_info(idx)
        data_info['dataset'] = self  # MMPose's mixing transforms take further samples from it
        with naming_sample(self, idx, data_info.get('img_path')):
            return self.pipeline(data_info)

    def _from_json(self) -> list[tuple[dict, dict]]:
        if self.part in ('test', 'reference'):
            raise ValueError(
                f"part={self.part!r} is for LSP's own joints.mat; for {self.ann_file} use all, train or val and "
                'give the test file as ann_file'
            )
        raw = load_json(self.ann_file, lists=('images', 'annotations'))
        for key, needed in (('images', 'id'), ('annotations', 'image_id')):
            bad = next((e for e in raw[key] if not isinstance(e, dict) or not isinstance(e.get(needed), int)), None)
            if bad is not None:
                raise AnnotationError(f'an entry of {key!r} in {self.ann_file} has no number {needed!r}: {bad!r:.80}')
        images = {i['id']: i for i in raw['images'] if self._in_part(i['id'])}
        return [(images[a['image_id']], a) for a in raw['annotations'] if a['image_id'] in images]

    def _in_part(self, number: int) -> bool:
        return self.part == 'all' or (number >= self.val_start) == (self.part == 'val')

    def _from_mat(self) -> list[tuple[dict, dict]]:
        from scipy.io import loadmat

        try:
            with get_local_path(self.ann_file) as path:
                joints = loadmat(path, variable_names=['joints'])['joints']
        except Exception as error:  # scipy has a dozen ways to say it
            what = f'it has no {error}' if isinstance(error, KeyError) else error
            raise AnnotationError(f'{self.ann_file} is no joints.mat of LSP: {what}. {HOW_TO_GET}') from None
        if joints.dtype.kind not in 'fiu':
            raise AnnotationError(f'`joints` in {self.ann_file} holds no numbers but {joints.dtype}. {HOW_TO_GET}')
        if joints.ndim == 3 and joints.shape[:2] == (3, 14):
            points, extended = joints.transpose(2, 1, 0), False
            visible = np.ones_like(points[..., 2]) if self.use_occluded else 1 - points[..., 2]
        elif joints.ndim == 3 and joints.shape[:2] == (14, 3):
            points, extended = joints.transpose(2, 0, 1), True
            visible = points[..., 2]
        else:
            raise ValueError(
                f'`joints` in {self.ann_file} has shape {joints.shape}, expected (3, 14, N) of LSP or (14, 3, N) of '
                'LSP-extended'
            )
        allowed = ('all', 'train', 'val') if extended else ('all', 'train', 'test', 'reference')
        if self.part not in allowed:
            raise ValueError(f'part={self.part!r} does not exist in {self.ann_file}, expected {", ".join(allowed)}')
        pairs = []
        for number, (xy, seen) in enumerate(zip(points[..., :2] - float(self.one_based), visible), 1):
            if extended or self.part in ('all', 'reference'):
                wanted = not extended or self._in_part(number)
            else:
                wanted = (number <= 1000) == (self.part == 'train')
            if wanted:
                pairs.append(self._pair(number, xy, seen > 0, 'im%05d.jpg' if extended else 'im%04d.jpg'))
        return pairs

    def _pair(self, number: int, xy: np.ndarray, seen: np.ndarray, pattern: str) -> tuple[dict, dict]:
        name = pattern % number
        try:
            width, height = image_size(osp.join(self.data_prefix['img'], name))
        except FileNotFoundError as error:
            raise FileNotFoundError(f'{error}. {HOW_TO_GET}') from None
        hull = xy[seen] if seen.any() else np.array([[0, 0], [width, height]])
        low, high = hull.min(0), hull.max(0)
        grow = 0.1 * (high - low)
        keypoints = np.concatenate([xy, 2.0 * seen[:, None]], 1) * seen[:, None]
        ann = dict(
            id=number,
            image_id=number,
            category_id=1,
            iscrowd=0,
            bbox=[float(v) for v in (*(low - grow), *(high - low + 2 * grow))],
            keypoints=[float(v) for v in keypoints.ravel()],
            num_keypoints=int(seen.sum()),
        )
        return dict(id=number, file_name=name, width=width, height=height), ann
