"""Figures of generated features: how they lie by pose, what the autoencoder keeps, what the nuisance changes.

Poses are in metres in the camera's axes (x right, y down, z forward). Legend: n poses under m nuisances, K joints, d
features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mmposeda.evaluation import cluster_numbers, interventional_distances

from .plane import in_plane
from .sticks3d import colored_links, parsed_metainfo
from .style import COLORS, new_figure, tidy

#: Side of a skeleton beside its cluster, as a share of the map's side, and how far from it one may be put.
_SIDE, _FAR = 0.15, 1.2
_GREY = '#8C8C8C'


def feature_map(
    features: np.ndarray,
    poses: np.ndarray,
    metainfo: str | Mapping,
    visible: np.ndarray | None = None,
    perplexity: float = 30.0,
    seed: int = 0,
    title: str = '',
) -> Figure:
    """Generated features in the plane (t-SNE), a colour a pose, each pose as a skeleton beside its features.

    As figure 1 of the supplement of Zhang et al., ICCV 2021: features of one pose should lie together whatever the
    nuisance, and features of different poses apart. Under the map is the silhouette, of the features and not of the
    map.

    Args:
        features (np.ndarray): (n, m, d), 2 to 8 poses.
        poses (np.ndarray): (n, K, 3), metres, drawn as the camera sees them.
        metainfo (str | Mapping): Of the joint set: its name, or a data set's ``metainfo``.
        visible (np.ndarray, optional): (n, K), joints to draw; all by default.
        perplexity (float): Of t-SNE; at most a third of the points.
        seed (int): Of t-SNE.
        title (str): Above the figure.

    Raises:
        ValueError: Shapes that do not fit, or numbers that are not finite.
    """
    features, poses = np.asarray(features, np.float64), np.asarray(poses, np.float64)
    numbers = cluster_numbers(features)
    links = _checked_links(poses, metainfo, len(features))
    n, m = features.shape[:2]
    if n > len(COLORS):
        raise ValueError(f'expected 2 to {len(COLORS)} poses, which have a colour each, got {n}')
    plane = in_plane(features.reshape(n * m, -1), 'tsne', perplexity, seed).reshape(n, m, 2)

    figure = new_figure(7.4, 7.6 + 0.3 * bool(title))
    axes = figure.subplots()
    size = 22 if n * m <= 400 else 10
    # a nuisance after the other: no pose lies on top of the others
    shades = np.tile(np.array(COLORS[:n]), m)
    axes.scatter(*plane.swapaxes(0, 1).reshape(-1, 2).T, s=size, c=shades, alpha=0.75, linewidths=0)
    corners = _free_places(plane)
    for i, (corner, color) in enumerate(zip(corners, COLORS)):
        # the densest place, as a pose may have several heaps
        centre = plane[i][np.argmin(np.linalg.norm(plane[i][:, None] - plane[i], axis=-1).mean(1))]
        near = np.clip(centre, corner, corner + _SIDE)
        axes.plot(*np.stack([near, centre]).T, color=color, linewidth=0.8, alpha=0.8, zorder=2.5)
        axes.add_patch(Rectangle(corner, _SIDE, _SIDE, facecolor='white', edgecolor=color, linewidth=1.2, zorder=3))
        _skeleton(axes, poses[i], links, color, corner, visible[i] if visible is not None else None)
    low, high = np.minimum(corners.min(0), 0) - 0.02, np.maximum(corners.max(0) + _SIDE, 1) + 0.02
    side = (high - low).max()
    middle = (low + high) / 2
    axes.set(xlim=middle[0] + np.array([-0.5, 0.5]) * side, ylim=middle[1] + np.array([-0.5, 0.5]) * side)
    axes.set(xticks=[], yticks=[], aspect='equal')
    axes.set_xlabel(
        f'{n} poses under {m} nuisances; silhouette by pose {numbers["silhouette"]:.2f}, '
        f'distance within {numbers["within"]:.2f}, between {numbers["between"]:.2f}',
        fontsize=9,
    )
    axes.spines[:].set_color('#CCCCCC')
    if title:
        figure.suptitle(title, fontsize=12)
    return figure


def reconstruction_rows(
    domains: Mapping[str, tuple[np.ndarray, np.ndarray]], count: int | None = None, title: str = ''
) -> Figure:
    """Pictures of every domain, and below them what the autoencoder keeps of each.

    Args:
        domains (Mapping): Name -> pictures and reconstructions, both RGB (b, s, s, 3), uint8.
        count (int, optional): Most pictures of a domain; all by default.
        title (str): Above the figure.

    Raises:
        ValueError: No domain, none with a picture, or another number of reconstructions than of pictures.
    """
    shown = {name: [np.asarray(x)[:count] for x in pair] for name, pair in domains.items()}
    columns = max((len(pair[0]) for pair in shown.values()), default=0)
    if not columns or any(a.shape != b.shape or a.ndim != 4 for a, b in shown.values()):
        raise ValueError(
            'expected pictures and as many reconstructions (b, s, s, 3) of every domain, got '
            f'{ {name: tuple(x.shape for x in pair) for name, pair in shown.items()} }'
        )
    cell, side, gap, head = 0.95, 1.1, 0.12, 0.4 if title else 0.08  # inches
    width, height = side + columns * cell + 0.05, len(shown) * (2 * cell + gap) + head
    figure = new_figure(width, height, layout=None)
    top = height - head
    for name, pair in shown.items():
        for what, pictures in zip(('picture', 'reconstruction'), pair):
            box = side / width, (top - cell) / height, len(pictures) * cell / width, cell / height
            axes = figure.add_axes(box)
            axes.imshow(np.concatenate(list(pictures), 1), interpolation='bilinear', aspect='auto')
            axes.axis('off')
            where = dict(ha='right', va='center', fontsize=8)
            figure.text((side - 0.08) / width, (top - cell / 2) / height, what, color=_GREY, **where)
            top -= cell
        figure.text(0.06 / width, (top + cell) / height, name, rotation=90, va='center', ha='left', fontsize=9)
        top -= gap
    if title:
        figure.suptitle(title, fontsize=12, y=1 - 0.08 / height, va='top')
    return figure


def sensitivity_figure(
    predicted: np.ndarray,
    poses: np.ndarray,
    metainfo: str | Mapping,
    visible: np.ndarray | None = None,
    title: str = '',
) -> Figure:
    """What the nuisance alone changes in predicted poses: skeletons over one another, and distances by joint.

    Above, a column a pose: its predictions under all nuisances, thin and in the joint set's colours, over the true pose
    in black; from the front, and below from the side. Under a column is its interventional error. The bars are the same
    error by joint, a dot each pose.

    Args:
        predicted (np.ndarray): (n, m, K, 3), metres from the root.
        poses (np.ndarray): (n, K, 3), true ones, likewise.
        metainfo (str | Mapping): Of the joint set: its name, or a data set's ``metainfo``.
        visible (np.ndarray, optional): (n, K), joints that count; all by default.
        title (str): Above the figure.

    Raises:
        ValueError: Shapes that do not fit, or numbers that are not finite.
    """
    predicted, poses = np.asarray(predicted, np.float64), np.asarray(poses, np.float64)
    distances = interventional_distances(predicted)
    info = parsed_metainfo(metainfo)
    _checked_links(poses, info, len(predicted))
    links, colors = colored_links(info)
    if predicted.shape[2:] != poses.shape[1:]:
        raise ValueError(f'predicted poses are {predicted.shape} and true ones {poses.shape}: other joints')
    seen = np.ones(distances.shape, bool) if visible is None else np.asarray(visible) > 0
    distances = np.where(seen, distances, np.nan)
    n, m = predicted.shape[:2]
    width = max(1.5 * n, 0.42 * distances.shape[1] + 1.2, 6.0)
    above = 2 * min((width - 0.4) / n, 2.2) + 0.8 + 0.2 * bool(title)
    figure = new_figure(width, above + 2.4)
    upper, lower = figure.subfigures(2, 1, height_ratios=(above, 2.4))
    grid = upper.subplots(2, n, squeeze=False)
    reach = 1.08 * max(np.abs(x - x.mean(-2, keepdims=True)).max() for x in (predicted, poses))
    for row, (plane, name) in enumerate((((0, 1), 'front'), ((2, 1), 'side'))):
        for i, axes in enumerate(grid[row]):
            middle = poses[i][:, plane].mean(0)
            usable = links[seen[i][links].all(1)]
            shades = colors[seen[i][links].all(1)]
            lines = (predicted[i][..., plane] - middle)[:, usable].reshape(-1, 2, 2)
            shade = float(np.clip(6 / m, 0.06, 0.6))
            axes.add_collection(
                LineCollection(lines, colors=np.tile(shades, (m, 1)), linewidths=1.1, alpha=shade, capstyle='round')
            )
            truth = (poses[i][:, plane] - middle)[usable]
            axes.add_collection(LineCollection(truth, colors='black', linewidths=1.4, capstyle='round', zorder=3))
            axes.set(xlim=(-reach, reach), ylim=(reach, -reach), aspect='equal', xticks=[], yticks=[])
            axes.spines[:].set_color('#DDDDDD')
            if not row:
                axes.set_title(f'{_mean(distances[i]):.0f} mm', fontsize=9)
        grid[row, 0].set_ylabel(name, fontsize=9)
    _joint_bars(lower.subplots(), distances, info)
    total = float(np.nanmean(distances)) if seen.any() else float('nan')
    text = f'{n} poses, each under {m} nuisances; black: true. Mean distance of two predictions: {total:.1f} mm'
    figure.suptitle(f'{title}\n{text}' if title else text, fontsize=10)
    return figure


def _joint_bars(axes: Axes, distances: np.ndarray, info: Mapping) -> None:
    """Bars of distances (n, K) by joint."""
    names = [info['keypoint_id2name'][i].replace('_', ' ') for i in range(distances.shape[1])]
    places = np.arange(len(names))
    axes.bar(places, [_mean(column) for column in distances.T], 0.7, color=COLORS[0])
    axes.scatter(np.tile(places, len(distances)), distances.ravel(), s=7, color='#333333', zorder=3, linewidths=0)
    axes.set_xticks(places, names, rotation=35, ha='right', rotation_mode='anchor')
    axes.set(xlim=(-0.6, len(names) - 0.4), ylabel='mm')
    axes.yaxis.grid(True, color='#DDDDDD', linewidth=0.6)
    axes.set_axisbelow(True)
    tidy(axes)


def _mean(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float('nan')


def _checked_links(poses: np.ndarray, metainfo: str | Mapping, number: int) -> np.ndarray:
    info = parsed_metainfo(metainfo)
    shape = (number, info['num_keypoints'], 3)
    if poses.shape != shape or not np.isfinite(poses).all():
        raise ValueError(
            f'true poses are {poses.shape}, expected finite {shape} for joint set {info["dataset_name"]!r}'
        )
    return colored_links(info)[0]


def _free_places(plane: np.ndarray) -> np.ndarray:
    """Lower left corners (n, 2) of boxes near their points (n, m, 2), over no point and no other box."""
    corners: list[np.ndarray] = []
    points, margin = plane.reshape(-1, 2), 0.25 * _SIDE
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    rays = np.stack([np.cos(angles), np.sin(angles)], 1)
    for own in plane:
        centre = np.median(own, 0)
        found = None
        for radius in np.arange(0.5, _FAR / _SIDE, 0.25) * _SIDE:
            free = [
                corner
                for corner in centre + radius * rays - _SIDE / 2
                if not ((points > corner - margin) & (points < corner + _SIDE + margin)).all(1).any()
                and all((np.abs(corner - other) > _SIDE + margin).any() for other in corners)
            ]
            if free:
                # outwards rather than between the others
                found = max(free, key=lambda corner: np.linalg.norm(corner + _SIDE / 2 - 0.5))
                break
        corners.append(np.array([1 + margin, len(corners) * (_SIDE + margin)]) if found is None else found)
    return np.stack(corners)


def _skeleton(
    axes: Axes, pose: np.ndarray, links: np.ndarray, color: str, corner: np.ndarray, visible: Sequence | None
) -> None:
    """Draw a pose (K, 3) as the camera sees it into the box at a corner."""
    seen = np.ones(len(pose), bool) if visible is None else np.asarray(visible) > 0
    points = pose[:, :2] * (1, -1)
    low, high = points[seen].min(0), points[seen].max(0)
    scale = 0.86 * _SIDE / max((high - low).max(), 1e-6)
    points = (points - (low + high) / 2) * scale + corner + _SIDE / 2
    lines = points[links[seen[links].all(1)]]
    axes.add_collection(LineCollection(lines, colors=color, linewidths=1.6, capstyle='round', zorder=4))
