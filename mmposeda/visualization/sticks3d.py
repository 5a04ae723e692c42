"""Stick figures of single poses, in 3D and in their frame.

Poses are in metres in the camera's frame (x right, y down, z forward), screen coordinates ``2 u / W - (1, H / W)`` of
pixels u. Links are pairs of joints (L, 2) with colours (L, 3) in 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Polygon, Rectangle
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmposeda.structures.skeleton import Skeleton, metainfo_path

_GHOST, _SHADOW, _FLOOR = '#BDBDBD', '#DADADA', '#F4F4F4'
#: Azimuth and elevation of the eye that looks at 3D poses, degrees: the camera's are (0, 0), from the side (90, 0).
EYE = (30.0, 14.0)


def parsed_metainfo(metainfo: str | Mapping) -> Mapping:
    """Meta info as a data set has it, from that, from what is in a meta file, or from a joint set's name."""
    if isinstance(metainfo, str):
        return parse_pose_metainfo(dict(from_file=metainfo_path(metainfo)))
    return metainfo if 'skeleton_links' in metainfo else parse_pose_metainfo(dict(metainfo))


def colored_links(info: Mapping) -> tuple[np.ndarray, np.ndarray]:
    """Joints (L, 2) and colours (L, 3) of the links of a parsed meta info, dark enough for white paper.

    Raises:
        ValueError: There are none.
    """
    links = np.array(info['skeleton_links'], int).reshape(-1, 2)
    if not len(links):
        raise ValueError(f'joint set {info["dataset_name"]!r} has no `skeleton_info`: no links to draw')
    colors = np.asarray(info['skeleton_link_colors'], float) / 255
    luminance = (colors**2.2) @ [0.2126, 0.7152, 0.0722]
    return links, colors * np.minimum(1, (0.3 / np.maximum(luminance, 1e-6)) ** (1 / 2.2))[:, None]


def side_colors(skeleton: Skeleton, links: np.ndarray, colors: np.ndarray) -> dict[str, np.ndarray]:
    """'right' and 'left' -> colour (3,) of the first link whose joints both bear it in their names."""
    found = {}
    for side in ('right', 'left'):
        of_side = [all(side in skeleton.joint_names[joint] for joint in link) for link in links]
        if any(of_side):
            found[side] = colors[of_side.index(True)]
    return found


def reach_of(*poses: np.ndarray, eye: tuple[float, float] = EYE) -> float:
    """Half side of the square that has room for each of some poses (J, 3), in metres; 0.1 at least."""
    extents = [np.abs(_seen(_finite(pose) - _middle(pose), eye)[:, :2]).max(initial=0) for pose in poses]
    return max(0.1, 1.15 * float(max(extents)))


def _finite(points: np.ndarray) -> np.ndarray:
    """Those of (J, D) that are."""
    return points[np.isfinite(points).all(-1)]


def _middle(pose: np.ndarray) -> np.ndarray:
    """Centre of the box around a pose (J, 3)."""
    pose = _finite(pose)
    return (pose.min(0) + pose.max(0)) / 2 if len(pose) else np.zeros(3)


def _seen(points: np.ndarray, eye: tuple[float, float]) -> np.ndarray:
    """Points (..., 3) as the eye sees them: right, up, and away from it."""
    azimuth, elevation = np.radians(eye)
    x, y, z = np.moveaxis(points, -1, 0)
    x, z = x * np.cos(azimuth) + z * np.sin(azimuth), z * np.cos(azimuth) - x * np.sin(azimuth)
    up, away = z * np.sin(elevation) - y * np.cos(elevation), z * np.cos(elevation) + y * np.sin(elevation)
    return np.stack([x, up, away], -1)


def draw_3d(
    axes: Axes,
    pose: np.ndarray,
    links: np.ndarray,
    colors: np.ndarray,
    reach: float,
    before: np.ndarray | None = None,
    eye: tuple[float, float] = EYE,
) -> None:
    """Draw a pose (J, 3) from above and aside, with its shadow on a floor at its lowest joint.

    Args:
        axes (Axes): Where to; they show ``reach`` metres to each side at least.
        before (np.ndarray, optional): (J, 3), drawn grey behind it, about the same centre.
        eye (tuple[float, float]): Azimuth and elevation, degrees.
    """
    middle = _middle(pose)
    pose = pose - middle
    floor = max(_finite(pose)[:, 1], default=0.0)
    corners = 0.6 * reach * np.array([[-1, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1]]) + [0, floor, 0]
    axes.add_patch(Polygon(_seen(corners, eye)[:, :2], color=_FLOOR, linewidth=0))
    shadow = _seen(np.stack([pose[:, 0], np.full(len(pose), floor), pose[:, 2]], 1), eye)
    axes.add_collection(LineCollection(shadow[links][..., :2], colors=_SHADOW, linewidths=1.6, capstyle='round'))
    if before is not None:
        lines = _seen(before - middle, eye)[links][..., :2]
        axes.add_collection(LineCollection(lines, colors=_GHOST, linewidths=1.3, capstyle='round'))
    seen = _seen(pose, eye)
    _limbs(axes, seen[..., :2], links, colors, seen[links][..., 2].mean(1))
    _show(axes, reach, -1.3 * reach, 0.94 * reach)


def draw_2d(axes: Axes, points: np.ndarray, aspect: float, links: np.ndarray, colors: np.ndarray) -> None:
    """Draw points (J, 2) in screen coordinates and the frame, whose ``aspect`` is H / W; those beyond it as well."""
    axes.add_patch(Rectangle((-1, -aspect), 2, 2 * aspect, facecolor='#F7F7F7', edgecolor='#777777', linewidth=0.8))
    side = 1.18 * max(1, aspect)
    extent = np.ptp(_finite(points), 0).max() / side if len(_finite(points)) else 0.0
    _limbs(axes, points, links, colors, np.zeros(len(links)), width=float(np.clip(3 * extent, 0.9, 2)))
    _show(axes, side, 1.16 * side, -side)


def draw_over(axes: Axes, picture: np.ndarray, points: np.ndarray, links: np.ndarray, colors: np.ndarray) -> None:
    """Draw points (J, 2), pixels, over an RGB picture (h, w, 3), cut at its edge."""
    axes.imshow(picture, interpolation='bilinear')
    _limbs(axes, points, links, colors, np.zeros(len(links)), width=1.5)
    height, width = picture.shape[:2]
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    axes.axis('off')


def note(axes: Axes, text: str) -> None:
    """Write a line at the bottom."""
    axes.text(0.5, 0.01, text, transform=axes.transAxes, fontsize=8, color='#555555', ha='center', va='bottom')


def _show(axes: Axes, side: float, bottom: float, top: float) -> None:
    """Limits of one scale that hold -side to side and bottom to top, and nothing but what is drawn."""
    box = axes.get_window_extent()
    unit = max(2 * side / box.width, abs(top - bottom) / box.height) / 2
    half, up = unit * box.width, unit * box.height * np.sign(top - bottom)
    axes.set(xlim=(-half, half), ylim=((bottom + top) / 2 - up, (bottom + top) / 2 + up))
    axes.axis('off')


def _limbs(
    axes: Axes, points: np.ndarray, links: np.ndarray, colors: np.ndarray, away: np.ndarray, width: float = 2.0
) -> None:
    """Links from far to near, each with a white rim, short of its ends, that parts it from what lies behind."""
    order = np.argsort(-away, kind='stable')
    lines = points[links[order]].repeat(2, 0)
    lines[::2] = 0.75 * lines[::2] + 0.25 * lines[::2].mean(1, keepdims=True)
    shades = colors[order].repeat(2, 0)
    shades[::2] = 1
    widths = np.tile([1.9 * width, width], len(order))
    axes.add_collection(LineCollection(lines, colors=shades, linewidths=widths, capstyle='round', zorder=3))
