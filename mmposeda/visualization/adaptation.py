"""Figures of what adaptation does: pseudo-labels by their confidence, maps of two heads, features of two domains.

Legend: N pictures of which n are shown, K joints, d features. Pictures are RGB (h, w, 3), uint8.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .panels import draw_skeleton, enlarged, grid
from .plane import in_plane
from .sticks3d import parsed_metainfo
from .style import COLORS, new_figure, tidy

#: Side of a picture of a sheet that joints are drawn on, at least, pixels.
_DRAWN = 240
_KEPT, _DROPPED, _GREY = '#3CB43C', '#E6463C', '#555555'
_PEAK, _OTHER = (90, 255, 90), (90, 200, 255)


class LabelledPictures(NamedTuple):
    """Pictures with pseudo-labels.

    Attributes:
        pictures (np.ndarray): (n, h, w, 3).
        points (np.ndarray): (n, K, 2), pixels.
        kept (np.ndarray): (n, K), boolean.
        confidence (np.ndarray): (n, K).
    """

    pictures: np.ndarray
    points: np.ndarray
    kept: np.ndarray
    confidence: np.ndarray


class HeadMaps(NamedTuple):
    """Maps of one joint in pictures; the largest cell is where a head sees it.

    Attributes:
        pictures (np.ndarray): (n, h, w, 3).
        main (np.ndarray): (n, H, W), of the head that predicts, not negative.
        adversarial (np.ndarray): (n, H, W), of the adversarial head, likewise.
        false (np.ndarray): (n, H, W), where the other joints are, which the adversarial head is driven towards.
        scale_factor (tuple[float, float]): Pixels a cell along x and y: cell p stands for pixel ``p * scale_factor``.
    """

    pictures: np.ndarray
    main: np.ndarray
    adversarial: np.ndarray
    false: np.ndarray
    scale_factor: tuple[float, float]


class DomainFeatures(NamedTuple):
    """Features of pictures of two domains.

    Attributes:
        features (np.ndarray): (N, d).
        labelled (np.ndarray): (N,), boolean: of the source.
        accuracy (float): Of a probe that tells the domains apart by them.
    """

    features: np.ndarray
    labelled: np.ndarray
    accuracy: float


def label_sheet(
    groups: Mapping[str, LabelledPictures],
    confidence: np.ndarray,
    keep: np.ndarray,
    metainfo: str | Mapping,
    title: str = '',
) -> Figure:
    """Pictures with their pseudo-labels, a row a group, and how the confidence of all labels is distributed.

    Joints that are kept are green, linked where both ends are; those that are thrown away are red. Below a picture are
    its mean confidence and how many of its joints are kept. The histogram stacks both kinds; a line is drawn between
    them where one threshold parts them, which is not so where every joint has its own.

    Args:
        groups (Mapping): Name of a row -> pictures, of at least one row.
        confidence (np.ndarray): (N, K), of all pictures.
        keep (np.ndarray): (N, K), boolean.
        metainfo (str | Mapping): Of the joint set: its name, or a data set's ``metainfo``.
        title (str): Above the figure.

    Raises:
        ValueError: No picture, shapes that do not fit, or confidence that is not finite.
    """
    info = parsed_metainfo(metainfo)
    confidence, keep = np.asarray(confidence, np.float64), np.asarray(keep, bool)
    columns = max((len(group.pictures) for group in groups.values()), default=0)
    joints = info['num_keypoints']
    if not columns or any(group.points.shape != (len(group.pictures), joints, 2) for group in groups.values()):
        raise ValueError(
            f'expected pictures in every group and {joints} joints of joint set {info["dataset_name"]!r}, got joints '
            f'{ {name: group.points.shape for name, group in groups.items()} }'
        )
    if confidence.shape != keep.shape or confidence.shape[1:] != (joints,) or not np.isfinite(confidence).all():
        raise ValueError(
            f'expected finite confidence (N, {joints}) and as many marks of what is kept, got {confidence.shape} and '
            f'{keep.shape}'
        )
    width, side, gap, below = 9.0, 0.95, 0.04, 0.22  # inches
    cell = (width - side - 0.1) / columns
    ratio = max(group.pictures.shape[1] / group.pictures.shape[2] for group in groups.values())
    row, head, histogram = cell * ratio + below, 0.4 if title else 0.08, 2.3
    height = head + len(groups) * row + histogram
    figure = new_figure(width, height, layout=None)
    for line, (name, group) in enumerate(groups.items()):
        top = height - head - line * row
        figure.text(0.08 / width, (top - cell * ratio / 2) / height, name, va='center', fontsize=10)
        for column in range(len(group.pictures)):
            left = side + column * cell
            box = left / width, (top - cell * ratio) / height, (cell - gap) / width, (cell * ratio - gap) / height
            axes = figure.add_axes(box)
            one = [part[column] for part in group]
            _labelled(axes, *one[:3], info['skeleton_links'])
            text = f'mean {one[3].mean():.2f}, {one[2].sum()}/{joints} kept'
            where = (left + (cell - gap) / 2) / width, (top - cell * ratio - 0.08) / height
            figure.text(*where, text, ha='center', va='center', fontsize=7.5, color=_GREY)
    axes = figure.add_axes((side / width, 0.5 / height, (width - side - 0.1) / width, (histogram - 0.75) / height))
    _histogram(axes, confidence, keep)
    if title:
        figure.suptitle(title, fontsize=12, y=1 - 0.1 / height, va='top')
    return figure


def threshold_between(confidence: np.ndarray, keep: np.ndarray) -> float | None:
    """The confidence above which labels are kept; None where no single one parts them, or all are treated alike."""
    if keep.all() or not keep.any():
        return None
    dropped, kept = confidence[~keep].max(), confidence[keep].min()
    return float(dropped + kept) / 2 if dropped <= kept else None


def _labelled(axes: Axes, picture: np.ndarray, points: np.ndarray, kept: np.ndarray, links: list) -> None:
    picture, scale = enlarged(picture, max(picture.shape[1], _DRAWN))
    axes.imshow(draw_skeleton(picture, (points + 0.5) * scale - 0.5, links, kept), interpolation='bilinear')
    axes.axis('off')


def _histogram(axes: Axes, confidence: np.ndarray, keep: np.ndarray) -> None:
    threshold = threshold_between(confidence, keep)
    low, high = min(0.0, confidence.min()), max(confidence.max(), 1e-6)
    step, edge = (high - low) / 40, low if threshold is None else threshold
    # the threshold is an edge, or a bar would lie on both sides of it
    bins = edge + step * np.arange(-np.ceil((edge - low) / step), np.ceil((high - edge) / step) + 1)
    share = 100 * keep.mean()
    parts = {f'kept, {share:.0f} %': (keep, _KEPT), f'thrown away, {100 - share:.0f} %': (~keep, _DROPPED)}
    values = [confidence[chosen] for chosen, _ in parts.values()]
    weights = [np.full(len(value), 100 / confidence.size) for value in values]
    colors = [color for _, color in parts.values()]
    axes.hist(values, bins, weights=weights, stacked=True, color=colors, label=list(parts))
    if threshold is not None:
        axes.axvline(threshold, color='black', linewidth=1.2, linestyle='--', label=f'threshold {threshold:.2f}')
    axes.set_xlabel(f'confidence of the labels of {len(confidence)} pictures', fontsize=9)
    axes.set_ylabel('% of the labels', fontsize=9)
    axes.legend(frameon=False, fontsize=8)
    tidy(axes)


def map_panel(maps: HeadMaps, joint: str, cell: int = 220) -> np.ndarray:
    """Maps of one joint by the main and the adversarial head, and the one that the latter is driven towards.

    A row a picture. Maps lie in colour over the grey picture, each as bright at its maximum as the others. A green
    cross is where the main head sees the joint, in all maps; a blue one where the adversarial head does, in its own.

    Args:
        maps (HeadMaps): Of pictures.
        joint (str): Its name, for the header.
        cell (int): Width of a picture in the panel, pixels.

    Returns:
        np.ndarray: RGB, uint8.

    Raises:
        ValueError: No picture, shapes that do not fit, or maps that are not finite.
    """
    given = dict(main=maps.main, adversarial=maps.adversarial, false=maps.false)
    shapes = {name: part.shape for name, part in given.items()}
    if not len(maps.pictures) or len(set(shapes.values())) > 1 or len(maps.main) != len(maps.pictures):
        raise ValueError(f'expected maps (n, H, W) of each of {len(maps.pictures)} pictures, got {shapes}')
    for name, part in given.items():
        if not np.isfinite(part).all():
            raise ValueError(f'the {name} maps of {joint} are not finite: take a checkpoint of before that')
    names = [joint.replace('_', ' '), 'main head', 'adversarial head', 'ground false: other joints']
    columns: dict[str, list] = {name: [] for name in names}
    for picture, *rows in zip(maps.pictures, *given.values()):
        large, scale = enlarged(picture, cell)
        own, others = (_peak(part, maps.scale_factor, scale) for part in rows[:2])
        columns[names[0]].append(_crossed(large, own, _PEAK))
        for name, part in zip(names[1:], rows):
            over = _crossed(_overlaid(large, part, maps.scale_factor, scale), own, _PEAK)
            columns[name].append(_crossed(over, others, _OTHER) if name == names[2] else over)
    return grid({name: np.stack(cells) for name, cells in columns.items()}, gap=3)


def _peak(part: np.ndarray, factor: tuple[float, float], scale: float) -> np.ndarray:
    """Place of the largest cell of a map (H, W) in the panel's picture, pixels."""
    row, column = np.unravel_index(part.argmax(), part.shape)
    return (np.array([column, row]) * factor + 0.5) * scale - 0.5


def _overlaid(picture: np.ndarray, part: np.ndarray, factor: tuple[float, float], scale: float) -> np.ndarray:
    """A map (H, W) in colour over the grey picture, which is ``scale`` times as large as the network's."""
    part = (np.maximum(part, 0) / max(float(part.max()), 1e-12)).astype(np.float32)
    to_cell = np.array([[1 / (scale * f), (0.5 / scale - 0.5) / f] for f in factor])
    matrix = np.array([[to_cell[0, 0], 0, to_cell[0, 1]], [0, to_cell[1, 0], to_cell[1, 1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    large = cv2.warpAffine(part, matrix, picture.shape[1::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
    colors = cv2.applyColorMap((255 * large).round().astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    grey = 0.6 * picture.mean(-1, keepdims=True).repeat(3, -1)
    share = np.minimum(1, 1.4 * large)[..., None]
    return ((1 - share) * grey + share * colors).round().clip(0, 255).astype(np.uint8)


def _crossed(picture: np.ndarray, place: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    picture = np.array(picture, order='C')
    where = place.round().astype(int).tolist()
    size = max(6, picture.shape[1] // 16)
    cv2.drawMarker(picture, where, (0, 0, 0), cv2.MARKER_CROSS, size, 3)
    cv2.drawMarker(picture, where, color, cv2.MARKER_CROSS, size, 1)
    return picture


def domain_maps(
    models: Mapping[str, DomainFeatures], method: str = 'tsne', perplexity: float = 30.0, seed: int = 0, title: str = ''
) -> Figure:
    """Features of source and target pictures in the plane, a panel a model.

    Each model has its own plane, as its features are a space of their own: only how the two colours lie within a panel
    can be compared. Above a panel is the model's name, below it how well the probe tells the domains apart.

    Args:
        models (Mapping): Name -> features, of one model at least.
        method (str): 'tsne' or 'pca', see :func:`~mmposeda.visualization.plane.in_plane`.
        perplexity (float): Of t-SNE.
        seed (int): Of the plane.
        title (str): Above the figure.

    Raises:
        ValueError: No model, shapes that do not fit, a single domain, or features that are not finite.
    """
    if not models:
        raise ValueError('expected the features of one model at least')
    for name, (features, labelled, _) in models.items():
        if np.ndim(features) != 2 or np.shape(labelled) != (len(features),) or len(set(np.asarray(labelled))) < 2:
            raise ValueError(
                f'{name}: expected features (N, d) of two domains and (N,) which they are of, got '
                f'{np.shape(features)} and {np.shape(labelled)}'
            )
        if not np.isfinite(features).all():
            raise ValueError(f'{name}: its features are not finite')
    columns = min(3, len(models))
    rows = -(-len(models) // columns)
    side = 9.0 / max(columns, 2)
    figure = new_figure(columns * side, rows * (side + 0.4) + 0.3 + 0.3 * bool(title))
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes, (name, (features, labelled, accuracy)) in zip(panels.flat, models.items()):
        plane, labelled = in_plane(features, method, perplexity, seed), np.asarray(labelled, bool)
        # one after the other in no order of the domains: neither lies on top
        order = np.random.default_rng(seed).permutation(len(plane))
        size = 14 if len(plane) <= 600 else 6
        shades = np.where(labelled, *COLORS[:2])
        axes.scatter(*plane[order].T, s=size, c=shades[order], alpha=0.75, linewidths=0)
        axes.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04), xticks=[], yticks=[], aspect='equal')
        axes.set_title(name, fontsize=11)
        axes.set_xlabel(f'linear probe tells {100 * accuracy:.0f} % right (chance: 50)', fontsize=9)
        axes.spines[:].set_color('#CCCCCC')
    for axes in list(panels.flat)[len(models) :]:
        axes.axis('off')
    handles = [
        panels[0, 0].scatter([], [], s=30, color=color, label=label)
        for color, label in zip(COLORS, ('source', 'target'))
    ]
    figure.legend(handles=handles, title=title, loc='outside upper center', ncols=2, frameon=False, fontsize=10)
    return figure
