"""Poses in a volume over the crop: two axes of the picture and depth from the root."""

from __future__ import annotations

import numpy as np
from mmpose.codecs.base import BaseKeypointCodec

from mmposeda.registry import KEYPOINT_CODECS


@KEYPOINT_CODECS.register_module()
class VolumePose3D(BaseKeypointCodec):
    """What a volumetric integral head says: places in [0, 1] along the crop's width, its height and depth.

    The left edge of the crop's first pixel is 0 and the right edge of its last is 1, so pixel u of w is
    ``(u + 0.5) / w``. Depth is that from the root joint, ``0.5 + depth / (2 depth_range)``. Labels come by
    ``GenerateTarget`` and want the transform ``RelativeDepth`` before it.

    Source: Sun et al., "Integral Human Pose Regression", ECCV 2018. The range is our choice.

    Legend: N instances (1 in top-down pipelines), K joints.

    Args:
        input_size (tuple[int, int]): Width and height of the crop, pixels.
        volume_size (tuple[int, int, int]): Bins along width, height and depth.
        depth_range (float): Depth from the root at the volume's ends, mm: 1000 for bodies, 200 for hands.

    Raises:
        ValueError: A size or range that is not positive.
    """

    auxiliary_encode_keys = {'relative_depth', 'body_size'}
    label_mapping_table = dict(volume_pose='volume_pose', volume_weights='volume_weights', body_size='body_size')

    def __init__(
        self,
        input_size: tuple[int, int],
        volume_size: tuple[int, int, int] = (64, 64, 64),
        depth_range: float = 1000.0,
    ) -> None:
        super().__init__()
        self.input_size, self.volume_size = tuple(input_size), tuple(volume_size)
        self.depth_range = float(depth_range)
        if len(self.input_size) != 2 or len(self.volume_size) != 3:
            raise ValueError(f'input_size is (w, h) and volume_size (W, H, D), got {input_size} and {volume_size}')
        if min(*self.input_size, *self.volume_size, self.depth_range) <= 0:
            raise ValueError(
                f'sizes and depth_range must be positive, got {self.input_size}, {self.volume_size}, {depth_range}'
            )

    def encode(
        self,
        keypoints: np.ndarray,
        keypoints_visible: np.ndarray | None = None,
        relative_depth: np.ndarray | None = None,
        body_size: np.ndarray | None = None,
    ) -> dict:
        """Labels of one sample.

        Args:
            keypoints (np.ndarray): (N, K, 2), pixels of the crop.
            keypoints_visible (np.ndarray, optional): (N, K).
            relative_depth (np.ndarray): (N, K), mm from the root; NaN where it is not known.
            body_size (np.ndarray): (N,), mm, NaN where it is not known; see
                :func:`mmposeda.structures.volume.body_size`.

        Returns:
            dict: ``volume_pose`` (N, K, 3) float32, ``volume_weights`` (N, K) float32, 0 for joints that are not
            visible or lie outside of the volume, and ``body_size`` (N,) float32.

        Raises:
            ValueError: No depth.
        """
        if relative_depth is None or body_size is None:
            raise ValueError('VolumePose3D needs 3D labels: put the transform RelativeDepth before GenerateTarget')
        keypoints = np.asarray(keypoints, np.float64)[..., :2]
        plane = (keypoints + 0.5) / self.input_size
        depth = 0.5 + np.asarray(relative_depth, np.float64) / (2 * self.depth_range)
        pose = np.concatenate([plane, depth[..., None]], -1)
        with np.errstate(invalid='ignore'):
            weights = ((pose >= 0) & (pose <= 1)).all(-1)
        if keypoints_visible is not None:
            weights &= np.asarray(keypoints_visible) > 0
        return dict(
            volume_pose=np.where(weights[..., None], pose, 0.5).astype(np.float32),
            volume_weights=weights.astype(np.float32),
            body_size=np.asarray(body_size, np.float32),
        )

    def decode(self, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Joints of places in the volume.

        Args:
            encoded (np.ndarray): (N, K, 3).

        Returns:
            tuple: Joints (N, K, 3), pixels of the crop and mm from the root, and scores (N, K), which are 1.
        """
        encoded = np.asarray(encoded)
        plane = encoded[..., :2] * np.asarray(self.input_size, encoded.dtype) - 0.5
        depth = (encoded[..., 2:] - 0.5) * (2 * self.depth_range)
        return np.concatenate([plane, depth], -1), np.ones(encoded.shape[:-1], np.float32)
