"""All hands on one side."""

from __future__ import annotations

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.structures.bbox import flip_bbox

from mmposeda.registry import TRANSFORMS


@TRANSFORMS.register_module()
class MirrorHands(BaseTransform):
    """Mirrors the picture of a hand of the other side, so that a network sees hands of one side only.

    The published tasks make all hands of RHD left ones (RegDA code). Put it right behind ``LoadImage``. A sample that
    does not tell its side is left as it is.

    Required keys: img (H, W, 3); hand_side, ``left`` or ``right``, if known. Modified keys where it mirrors: img, bbox
    (N, 4), keypoints (N, K, D), of which x becomes W - 1 - x, and hand_side; where they are known, keypoints_3d_cam
    (N, K, 3), of which x becomes -x, and the camera's principal point ``c``.

    Args:
        side (str): The side that is kept.

    Raises:
        ValueError: Another side; in a pipeline, a box that is turned into centre and scale already.
    """

    def __init__(self, side: str = 'left') -> None:
        if side not in ('left', 'right'):
            raise ValueError(f"side must be 'left' or 'right', got {side!r}")
        self.side = side

    def transform(self, results: dict) -> dict:
        """Mirror the picture and its labels, if it shows the other side."""
        if results.get('hand_side', self.side) == self.side:
            return results
        if 'bbox_center' in results:
            raise ValueError('MirrorHands comes too late: put it right behind LoadImage, before GetBBoxCenterScale')
        height, width = results['img'].shape[:2]
        results['img'] = mmcv.imflip(results['img'])
        results['bbox'] = flip_bbox(results['bbox'], (width, height), bbox_format='xyxy')
        if results.get('keypoints') is not None:
            results['keypoints'] = results['keypoints'].copy()
            results['keypoints'][..., 0] = width - 1 - results['keypoints'][..., 0]
        if results.get('keypoints_3d_cam') is not None:
            results['keypoints_3d_cam'] = results['keypoints_3d_cam'] * np.float32([-1, 1, 1])
        if 'camera' in results:
            x, y = results['camera']['c']
            results['camera'] = dict(results['camera'], c=np.float32([width - 1 - x, y]))
        results['hand_side'] = self.side
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(side={self.side!r})'
