"""Pictures of how one picture is redrawn from another: rows of pairs under named columns."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import torch.nn.functional as F
from torch import Tensor

from mmposeda.structures.keypoint_grid import resize_field, resize_map
from mmposeda.structures.skeleton import Skeleton

from .panels import draw_skeleton, grid

#: Cells are enlarged by a whole number to at least so many pixels a side.
_CELL = 160
#: Pixels of a cell between two arrows.
_STEP = 20
_BLACK = (0, 0, 0)


def reconstruction_panel(preview: Mapping[str, Tensor], metainfo: Mapping, samples: int | None = None) -> np.ndarray:
    """Show what the geometric reconstruction makes of pairs.

    Columns: the base and the driving picture with the joints as the network sees them; the base picture bent so that
    its joints go to the driving ones, and what the generator makes of it; the regions on the driving picture, each in
    its joint's colour; how far what is seen there has moved from the base picture, in colour (the hue is the direction,
    white stands still) and by arrows; and the inpainting map, white where the warp is trusted and black where the
    generator invents.

    Args:
        preview (Mapping): As of :meth:`~mmposeda.models.adapters.GeometricReconstruction.preview_pair`.
        metainfo (Mapping): Of a data set of the joint set; its keypoint colours tell fingers or sides apart, and
            joints of one colour are the brighter the farther they are from the root.
        samples (int, optional): Most rows; all by default.

    Returns:
        np.ndarray: RGB, uint8.

    Raises:
        ValueError: Another number of joints, or of regions, than the joint set has joints or bones.
    """
    shown = {key: value[:samples].detach().float().cpu() for key, value in preview.items()}
    skeleton = Skeleton.from_metainfo(metainfo)
    colors, size = joint_colors(metainfo, skeleton), tuple(shown['base'].shape[:1:-1])
    of_regions = _region_colors(colors, skeleton, shown['base points'].shape[1], shown['mask'].shape[1])
    links = [tuple(link) for link in metainfo.get('skeleton_links', [])]
    scale = -(-_CELL // min(size))
    pictures = {key: _uint8(_enlarged(shown[key], scale)) for key in ('base', 'driving', 'warped', 'drawn')}
    columns = {
        name: np.stack(
            [
                draw_skeleton(picture, (points + 0.5) * scale - 0.5, links, colors=colors)
                for picture, points in zip(pictures[name], shown[f'{name} points'].numpy())
            ]
        )
        for name in ('base', 'driving')
    }
    columns.update(warped=pictures['warped'], redrawn=pictures['drawn'])
    masks = _enlarged(resize_map(shown['mask'], size), scale)
    columns['regions'] = np.stack([_regions(*row, of_regions) for row in zip(masks, pictures['driving'])])
    motion = -resize_field(shown['field'], size) * shown['field'].new_tensor([(side - 1) / 2 for side in size])
    reach = max(1.0, float(motion.norm(dim=-1).max()))
    moved = _enlarged(motion.permute(0, 3, 1, 2), scale)
    columns[f'motion (to {reach:.0f} px)'] = np.stack([_motion(m, reach, scale) for m in moved])
    trust = _uint8(_enlarged(resize_map(shown['inpainting'], size), scale))
    columns['trust in warp'] = np.repeat(trust, 3, -1)
    return grid(columns)


def joint_colors(metainfo: Mapping, skeleton: Skeleton) -> np.ndarray:
    """A colour of its own for every joint, RGB (K, 3), uint8.

    The hue is that of the meta info; joints that share it are the brighter the farther they are from the root.
    """
    given = np.asarray(metainfo['keypoint_colors'], np.float64).reshape(-1, 3)
    depth = np.zeros(len(given))
    for joint in range(len(given)):
        parent = skeleton.parents[joint]
        while parent >= 0:
            depth[joint], parent = depth[joint] + 1, skeleton.parents[parent]
    colors = np.empty_like(given)
    for color in np.unique(given, axis=0):
        joints = np.flatnonzero((given == color).all(1))
        order = joints[np.argsort(depth[joints], kind='stable')]
        shade = np.linspace(-0.45, 0.45, len(order)) if len(order) > 1 else np.zeros(1)
        toward = np.where(shade[:, None] > 0, 255.0, 0.0)
        colors[order] = color + np.abs(shade[:, None]) * (toward - color)
    return colors.round().astype(np.uint8)


def _region_colors(colors: np.ndarray, skeleton: Skeleton, joints: int, regions: int) -> np.ndarray:
    """Colours (R - 1, 3) of the regions but the background, in their order: joints, or the joints that bones end in."""
    ends = [child for child, parent in enumerate(skeleton.parents) if parent != -1]
    if joints != skeleton.num_joints or regions - 1 not in (joints, len(ends)):
        raise ValueError(
            f'got {joints} joints and {regions} regions, but joint set {skeleton.name!r} has {skeleton.num_joints} '
            f'joints and {len(ends)} bones: give the meta info of the joint set that the model was built for'
        )
    return colors if regions - 1 == joints else colors[ends]


def _enlarged(maps: Tensor, scale: int) -> np.ndarray:
    """(B, C, h, w) as (B, h scale, w scale, C)."""
    large = F.interpolate(maps, scale_factor=scale, mode='bilinear', align_corners=False)
    return large.permute(0, 2, 3, 1).numpy()


def _uint8(pictures: np.ndarray) -> np.ndarray:
    return (pictures * 255).round().clip(0, 255).astype(np.uint8)


def _regions(masks: np.ndarray, picture: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Regions (h, w, R) in colours over a dark grey picture (h, w, 3)."""
    behind = picture.mean(-1, keepdims=True) * 0.5
    return (masks[..., :1] * behind + masks[..., 1:] @ colors.astype(np.float64)).round().clip(0, 255).astype(np.uint8)


def _motion(motion: np.ndarray, reach: float, scale: int) -> np.ndarray:
    """Motion (h, w, 2), pixels before the enlargement: hue for direction, saturation for length, arrows."""
    length = np.linalg.norm(motion, axis=-1)
    hue = np.degrees(np.arctan2(motion[..., 1], motion[..., 0])) % 360
    hsv = np.stack([hue, np.minimum(length / reach, 1), np.ones_like(hue)], -1).astype(np.float32)
    picture = np.ascontiguousarray((cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255).round().astype(np.uint8))
    height, width = picture.shape[:2]
    for y in range(_STEP // 2, height, _STEP):
        for x in range(_STEP // 2, width, _STEP):
            if length[y, x] >= 0.5:
                start = (np.array([x, y]) - motion[y, x] * scale).round().astype(int)
                cv2.arrowedLine(picture, start.tolist(), (x, y), _BLACK, 1, cv2.LINE_AA, tipLength=0.3)
    return picture
