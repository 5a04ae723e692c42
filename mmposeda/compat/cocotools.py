"""The ``xtcocotools`` API (1.14) on top of pycocotools, as far as MMPose uses it.

xtcocotools extends COCO's toolbox to other sets of keypoints. The same is had here by showing pycocotools each
annotation with the wanted part's keypoints, score and area in the places it knows.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections import defaultdict

import numpy as np
from pycocotools import coco as _coco
from pycocotools import cocoeval as _cocoeval

AREA_PER_BBOX = 0.53  # share of its box that a person covers, where no area is annotated (xtcocotools)

PARTS = {
    'keypoints': ('keypoints',),
    'keypoints_body': ('keypoints',),
    'keypoints_crowd': ('keypoints',),
    'keypoints_foot': ('foot_kpts',),
    'keypoints_face': ('face_kpts',),
    'keypoints_lefthand': ('lefthand_kpts',),
    'keypoints_righthand': ('righthand_kpts',),
    'keypoints_wholebody': ('keypoints', 'foot_kpts', 'face_kpts', 'lefthand_kpts', 'righthand_kpts'),
}
"""``iouType`` -> the annotation fields whose keypoints (x, y, v triplets) are put one after another."""


class COCO(_coco.COCO):
    """pycocotools' COCO, with xtcocotools' two additional arguments.

    Args:
        annotation_file: Path of a JSON file, or None.
        test_index: Indices of the keypoints to keep in every annotation, or None for all.
        ann_data: The content of an annotation file, in place of ``annotation_file``.
    """

    def __init__(self, annotation_file=None, test_index=None, ann_data=None):
        super().__init__(annotation_file if ann_data is None else None)
        self.anno_file = [annotation_file]
        self.test_index = test_index
        if ann_data is not None:
            self.dataset = ann_data
        for ann in self.dataset.get('annotations', []):
            ann.setdefault('iscrowd', False)
            if test_index is not None:
                triplets = np.array(ann['keypoints']).reshape(-1, 3)
                ann['keypoints'] = triplets[test_index].reshape(-1).tolist()
        if self.dataset:
            self.createIndex()

    def loadRes(self, resFile):
        """Load results (a path, or a list of dicts) as a COCO object; an empty list is allowed."""
        if isinstance(resFile, list) and not resFile:
            results = type(self)()
            results.dataset = {
                'images': self.dataset['images'],
                'categories': self.dataset['categories'],
                'annotations': [],
            }
            results.createIndex()
            return results
        return super().loadRes(resFile)


class COCOeval(_cocoeval.COCOeval):
    """pycocotools' COCOeval with keypoint sets other than COCO's 17.

    Args:
        cocoGt: Ground truth.
        cocoDt: Results, from ``cocoGt.loadRes``.
        iouType: One of :data:`PARTS`, or pycocotools' 'segm' and 'bbox'.
        sigmas: (K,) keypoint constants of OKS. Defaults to COCO's 17.
        use_area: If False (data without an ``area``), the area is 0.53 times that of the bounding box.

    Raises:
        ValueError: If ``iouType`` is unknown.
    """

    def __init__(self, cocoGt=None, cocoDt=None, iouType='keypoints', sigmas=None, use_area=True):
        if iouType not in PARTS and iouType not in ('segm', 'bbox'):
            raise ValueError(f'iouType is {iouType!r}, expected one of {[*PARTS, "segm", "bbox"]}')
        super().__init__(cocoGt, cocoDt, 'keypoints' if iouType in PARTS else iouType)
        self.keypoint_type = iouType if iouType in PARTS else None
        self.use_area = use_area
        if sigmas is not None:
            self.params.kpt_oks_sigmas = np.asarray(sigmas)
        self.sigmas = getattr(self.params, 'kpt_oks_sigmas', None)

    def _prepare(self):
        if self.keypoint_type is None:
            super()._prepare()
            return
        params = self.params
        query = dict(imgIds=params.imgIds)
        if params.useCats:
            query['catIds'] = params.catIds
        gts = self.cocoGt.loadAnns(self.cocoGt.getAnnIds(**query))
        dts = self.cocoDt.loadAnns(self.cocoDt.getAnnIds(**query))
        # pycocotools reads a match with id 0 as no match
        shift = max(0, 1 - min((gt['id'] for gt in gts), default=1))

        self._gts, self._dts = defaultdict(list), defaultdict(list)
        for gt in gts:
            self._gts[gt['image_id'], gt['category_id']].append(self._view_gt(gt, shift))
        for dt in map(self._view_dt, dts):
            if np.any(np.asarray(dt['keypoints'])[2::3] > 0):
                self._dts[dt['image_id'], dt['category_id']].append(dt)
        self.evalImgs = defaultdict(list)
        self.eval = {}

    def _keypoints(self, ann: dict) -> list:
        return [value for field in PARTS[self.keypoint_type] for value in ann[field]]

    def _view_gt(self, gt: dict, shift: int) -> dict:
        keypoints = self._keypoints(gt)
        if self.keypoint_type == 'keypoints_crowd':
            num_keypoints = gt['num_keypoints']  # CrowdPose counts the visible ones only
        else:
            num_keypoints = np.count_nonzero(np.asarray(keypoints)[2::3] > 0)
        iscrowd = gt.get('iscrowd', 0)
        area = gt.get('area') if self.use_area else None
        if area is None:
            area = gt['bbox'][2] * gt['bbox'][3] * AREA_PER_BBOX
        return dict(
            gt,
            id=gt['id'] + shift,
            keypoints=keypoints,
            area=area,
            iscrowd=iscrowd,
            ignore=bool(iscrowd) or num_keypoints == 0,
        )

    def _view_dt(self, dt: dict) -> dict:
        part = self.keypoint_type.partition('_')[2]
        score = dt['score']
        if part in ('foot', 'face', 'lefthand', 'righthand', 'wholebody'):
            if f'{part}_score' in dt:
                score = dt[f'{part}_score']
            else:
                warnings.warn(f"'{part}_score' not found, use 'score' instead.", stacklevel=2)
        return dict(dt, keypoints=self._keypoints(dt), score=score)

    def summarize(self):
        """Print and store the usual statistics; for CrowdPose its nine (AP, AP50, AP75, AR…, easy, medium, hard)."""
        if self.keypoint_type != 'keypoints_crowd':
            super().summarize()
            return
        if not self.eval:
            raise RuntimeError('Please run accumulate() first')
        thresholds = self.params.iouThrs
        stats = []
        for measure in ('precision', 'recall'):
            values = self.eval[measure][..., 0, -1]  # all areas, the largest maxDets
            for threshold in (None, 0.5, 0.75):
                chosen = values if threshold is None else values[np.isclose(thresholds, threshold)]
                chosen = chosen[chosen > -1]
                stats.append(chosen.mean() if chosen.size else -1.0)
        stats.extend(self._crowd_levels())
        names = ('AP', 'AP .5', 'AP .75', 'AR', 'AR .5', 'AR .75', 'AP(E)', 'AP(M)', 'AP(H)')
        for name, value in zip(names, stats):
            print(f' {name:<6} = {value:0.3f}')
        self.stats = np.array(stats)

    def _crowd_levels(self) -> list[float]:
        """AP on images with a crowd index below 0.2, up to 0.8, and above."""
        levels = ([], [], [])
        for image in self.cocoGt.dataset['images']:
            levels[np.searchsorted((0.2, 0.8), image['crowdIndex'], side='right')].append(image['id'])
        kept = self.params.imgIds, self.eval, self.evalImgs
        scores = []
        with contextlib.redirect_stdout(io.StringIO()):
            for self.params.imgIds in levels:
                self.evaluate()
                self.accumulate()
                scores.append(round(float(np.mean(self.eval['precision'][:, :, :, 0, :])), 4))
        self.params.imgIds, self.eval, self.evalImgs = kept
        return scores
