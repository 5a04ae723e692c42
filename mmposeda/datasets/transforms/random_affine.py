"""Random affine views of a person's box in a data pipeline, in one resampling."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmposeda.registry import TRANSFORMS
from mmposeda.structures.warp import AffineRange, compose, sample_affine, sample_crop


@TRANSFORMS.register_module()
class TopdownRandomAffine(BaseTransform):
    """Cuts the box out of the picture and augments it by crop, turn, shear, shift and scale with a single warp.

    Takes the place of MMPose's ``RandomBBoxTransform`` and ``TopdownAffine``; the ranges and their order are those of
    the source augmentation of UDAPE and are the views' own (:class:`~mmposeda.structures.warp.AffineRange`).

    Required keys: img, bbox_center, bbox_scale, and keypoints if there are any.
    Added keys: input_size, input_center, input_scale, transformed_keypoints.

    Args:
        input_size (tuple[int, int]): Size (w, h) of the network's input, pixels.
        ranges: Keyword arguments of ``AffineRange``.
    """

    def __init__(self, input_size: tuple[int, int], **ranges) -> None:
        self.input_size = tuple(input_size)
        self.ranges = AffineRange(**{k: tuple(v) if isinstance(v, list) else v for k, v in ranges.items()})

    def transform(self, results: dict) -> dict:
        """Warp the picture and its keypoints (N, K, 2); joints that leave the input keep their labels for the codec."""
        width, height = self.input_size
        centre, scale = results['bbox_center'][0], results['bbox_scale'][0].astype(np.float64)
        scale = np.maximum(scale, scale[::-1] * [width / height, height / width])
        to_input = np.eye(3)
        to_input[[0, 1], [0, 1]] = self.input_size / scale
        to_input[:2, 2] = (0.5 * scale - centre) * self.input_size / scale
        view = compose(sample_affine(1, self.input_size, self.ranges), sample_crop(1, self.input_size, self.ranges))
        matrix = view[0].to(torch.float64).numpy() @ to_input
        results['img'] = cv2.warpAffine(results['img'], matrix[:2], self.input_size, flags=cv2.INTER_LINEAR)
        if results.get('keypoints') is not None:
            keypoints = results['keypoints'][..., :2] @ matrix[:2, :2].T + matrix[:2, 2]
            results['transformed_keypoints'] = keypoints.astype(np.float32)
        results['input_size'] = self.input_size
        results['input_center'] = centre
        results['input_scale'] = scale.astype(np.float32)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(input_size={self.input_size}, ranges={self.ranges})'
