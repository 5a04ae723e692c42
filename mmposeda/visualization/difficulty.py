"""Figures on the difficulty of poses: example poses, accuracy and likeness by bin, and the hardest samples.

After figures 3 and 4 of "Towards Effective Synthetic Data Sampling for Domain Adaptive Pose Estimation". Each function
gives a matplotlib figure that no window belongs to: ``figure.savefig(path)``. Bin 0 holds the easiest poses. Colours
are those of Okabe and Ito, which the colour-blind can tell apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import mmcv
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from mmposeda.datasets.images import check_size, image_size
from mmposeda.evaluation.binned_metric import bin_summary
from mmposeda.structures.skeleton import Skeleton

from .predictions import draw_pose
from .style import COLORS, new_figure, tidy

_LEFT, _RIGHT, _MIDDLE = '#0072B2', '#D55E00', '#666666'
_XLABEL = 'difficulty bin (0 = easiest)'


def bin_examples(
    keypoints: np.ndarray,
    visible: np.ndarray,
    scores: np.ndarray,
    bins: np.ndarray,
    skeleton: Skeleton,
    k: int = 25,
    examples: int = 3,
    title: str = '',
) -> Figure:
    """Stick figures from every bin over its median score.

    The examples of a bin are at equal steps of its ranks (the middle one for one example). Left limbs are blue, right
    ones orange.

    Args:
        keypoints (np.ndarray): (N, K, 2), pixels.
        visible (np.ndarray): (N, K), drawn where > 0.
        scores (np.ndarray): (N,) difficulty.
        bins (np.ndarray): (N,) from 0 to ``k`` - 1, -1 for none.
        skeleton (Skeleton): The joint set; its parents are the links.
        k (int): Number of bins.
        examples (int): Rows.
        title (str): Above the figure.

    Raises:
        ValueError: No pose is in a bin, or the joint counts differ.
    """
    _check_poses(keypoints, visible, skeleton)
    if not (np.asarray(bins) >= 0).any():
        raise ValueError(f'none of the {len(bins)} poses is in a bin')
    figure = new_figure(0.56 * k + 1.1, 0.8 * examples + 1.9)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[0.8 * examples, 1.0])
    where, centres, medians = [], [], np.full(k, np.nan)
    for j in range(k):
        members = np.flatnonzero(bins == j)
        if len(members):
            members = members[np.argsort(scores[members], kind='stable')]
            medians[j] = np.median(scores[members])
            steps = np.unique(((np.arange(examples) + 0.5) / examples * len(members)).astype(int))
            where += members[steps].tolist()
            centres += [(j, -1.45 * row) for row in range(len(steps))]
    _sticks(upper, keypoints[where], visible[where], skeleton, np.array(centres), (0.78, 1.2))
    upper.set(ylim=(-1.45 * (examples - 1) - 0.75, 0.75), yticks=[], title=title)
    for j in range(0, k, 2):
        upper.axvspan(j - 0.5, j + 0.5, color='#F3F3F3', zorder=0, linewidth=0)
    upper.spines[:].set_visible(False)
    upper.tick_params(length=0, labelbottom=False)
    upper.legend(
        handles=[Line2D([], [], color=c, label=n, linewidth=2) for n, c in (('left', _LEFT), ('right', _RIGHT))],
        loc='center right',
        bbox_to_anchor=(-0.002, 0.5),
        frameon=False,
        fontsize=8,
        handlelength=1,
    )
    lower.bar(np.arange(k), medians, 0.7, color='#8C8C8C')
    positive = medians[medians > 0]
    if len(positive) and positive.max() > 20 * positive.min():
        lower.set_yscale('log')
        decades = np.log10(positive.max() / positive.min())
        lower.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2.5 else (1,), numticks=8))
        lower.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
        lower.yaxis.set_minor_locator(NullLocator())
    lower.set(xlim=(-0.5, k - 0.5), xticks=np.arange(k), xlabel=_XLABEL, ylabel='median\nscore')
    tidy(lower)
    return figure


def accuracy_bars(
    values: Mapping[str, np.ndarray], ylabel: str = 'accuracy (%)', tail: int = 5, title: str = ''
) -> Figure:
    """Values by bin of several methods side by side, as figure 4 of the paper.

    The legend gives every method's slope (least squares over the bins) and the mean of its hardest bins.

    Args:
        values (Mapping): Method -> (k,), or (S, k) of S seeds: then the mean, with the standard deviation (of a sample)
            as a whisker. NaN where a bin is empty.
        ylabel (str): What the values are.
        tail (int): How many of the hardest bins the legend's mean is over.
        title (str): Above the figure.

    Raises:
        ValueError: No method, more than 8, or methods with different numbers of bins.
    """
    seeds = {name: np.atleast_2d(np.asarray(v, float)) for name, v in values.items()}
    if not 0 < len(seeds) <= len(COLORS) or len({v.shape[1] for v in seeds.values()}) != 1:
        raise ValueError(
            f'expected 1 to {len(COLORS)} methods with the same number of bins, got '
            f'{ {name: v.shape[1] for name, v in seeds.items()} }'
        )
    k = next(iter(seeds.values())).shape[1]
    figure = new_figure(max(7.0, 0.5 * k + 1.0), 3.8 + 0.2 * (len(seeds) > 3))
    axes = figure.subplots()
    width = 0.84 / len(seeds)
    for i, (name, rows) in enumerate(seeds.items()):
        mean = rows.mean(0)
        spread = rows.std(0, ddof=1) if len(rows) > 1 else None
        numbers = bin_summary(mean, tail)
        axes.bar(
            np.arange(k) + (i - (len(seeds) - 1) / 2) * width,
            mean,
            width,
            yerr=spread,
            color=COLORS[i],
            error_kw=dict(elinewidth=0.7, ecolor='#333333'),
            label=f'{name}: {numbers["slope"]:+.2f} a bin, hardest {tail}: {numbers["tail"]:.1f}',
        )
    axes.set(xlim=(-0.6, k - 0.4), xticks=np.arange(k), xlabel=_XLABEL, ylabel=ylabel)
    axes.yaxis.grid(True, color='#DDDDDD', linewidth=0.6)
    axes.set_axisbelow(True)
    tidy(axes)
    figure.legend(loc='outside upper center', ncols=min(3, len(seeds)), frameon=False, fontsize=9, title=title)
    return figure


def similarity_map(similarity: np.ndarray, label: str = 'mean cosine of joint angles', title: str = '') -> Figure:
    """Heat map of :func:`mmposeda.structures.pose_angles.bin_similarity`, as figure 3b of the paper.

    Args:
        similarity (np.ndarray): (k, k); NaN is drawn grey.
        label (str): Of the colour bar.
        title (str): Above the figure.

    Raises:
        ValueError: No square matrix, or no number in it.
    """
    similarity = np.asarray(similarity, float)
    if similarity.ndim != 2 or len(set(similarity.shape)) != 1 or not np.isfinite(similarity).any():
        raise ValueError(f'expected a (k, k) matrix with numbers in it, got shape {similarity.shape}')
    figure = new_figure(6.2, 5.2)
    axes = figure.subplots()
    axes.set_facecolor('#BBBBBB')
    shown = axes.imshow(np.ma.masked_invalid(similarity), cmap='viridis', interpolation='nearest')
    k = len(similarity)
    ticks = np.arange(0, k, max(1, round(k / 6)))
    axes.set(xticks=ticks, yticks=ticks, xlabel=_XLABEL, ylabel=_XLABEL, title=title)
    bar = figure.colorbar(shown, ax=axes, label=label)
    bar.outline.set_visible(False)
    return figure


def hardest_sheet(
    keypoints: np.ndarray,
    visible: np.ndarray,
    scores: np.ndarray,
    skeleton: Skeleton,
    names: Sequence | None = None,
    paths: Sequence[str] | None = None,
    count: int = 100,
    columns: int = 10,
    cell: int = 180,
    title: str = '',
) -> Figure:
    """Contact sheet of the hardest poses, hardest first: the place to look for wrong labels and cut-off people.

    Args:
        keypoints (np.ndarray): (N, K, 2), pixels.
        visible (np.ndarray): (N, K), drawn where > 0.
        scores (np.ndarray): (N,) difficulty; those with NaN are not shown.
        skeleton (Skeleton): The joint set.
        names (Sequence, optional): (N,) what to call the samples, such as their ids.
        paths (Sequence[str], optional): (N,) pictures; the poses are drawn on crops of them (left blue, right
            red), else as stick figures.
        count (int): Most cells.
        columns (int): Cells in a row.
        cell (int): Side of a cell, pixels.
        title (str): Above the figure.

    Raises:
        ValueError: No pose has a score, or the joint counts differ.
        FileNotFoundError, PictureError: A picture is missing or cannot be read; names it.
    """
    _check_poses(keypoints, visible, skeleton)
    scored = np.flatnonzero(np.isfinite(scores))
    if not len(scored):
        raise ValueError(f'none of the {len(scores)} poses has a score')
    picked = scored[np.argsort(-np.asarray(scores)[scored], kind='stable')][:count]
    columns = min(columns, len(picked))
    rows = -(-len(picked) // columns)
    gap, text, head = 8, 22, 36 if title else 4  # pixels
    step = np.array([cell + gap, cell + text])
    size = columns * step[0] + gap, rows * step[1] + head + gap
    figure = new_figure(size[0] / 100, size[1] / 100, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, size[0]), ylim=(size[1], 0))
    axes.axis('off')
    place = np.stack([np.arange(len(picked)) % columns, np.arange(len(picked)) // columns], 1)
    corners = place * step + (gap, head + text)
    if paths is None:
        for corner in corners:
            axes.add_patch(Rectangle(corner, cell, cell, color='#F3F3F3', linewidth=0))
        _sticks(axes, keypoints[picked], visible[picked], skeleton, corners + cell / 2, (0.86 * cell,) * 2, down=1)
    else:
        sheet = np.full((size[1], size[0], 3), 255, np.uint8)
        for i, (x, y) in zip(picked, corners):
            sheet[y : y + cell, x : x + cell] = _crop(paths[i], keypoints[i], visible[i] > 0, skeleton, cell)
        axes.imshow(sheet, extent=(0, *size, 0), interpolation='nearest')
    for rank, (i, (x, y)) in enumerate(zip(picked, corners), 1):
        label = f'{rank}.' if names is None else f'{rank}.  {str(names[i])[-16:]}'
        axes.text(x, y - 5, label, fontsize=8, color='#222222', va='baseline')
        axes.text(x + cell, y - 5, f'{scores[i]:.3g}', fontsize=8, color='#777777', va='baseline', ha='right')
    if title:
        axes.text(size[0] / 2, head / 2, title, fontsize=12, ha='center', va='center')
    return figure


def _check_poses(keypoints: np.ndarray, visible: np.ndarray, skeleton: Skeleton) -> None:
    if keypoints.shape[1:] != (skeleton.num_joints, 2) or visible.shape != keypoints.shape[:2]:
        raise ValueError(
            f'got keypoints {keypoints.shape} and visible {visible.shape}, but joint set {skeleton.name!r} has '
            f'{skeleton.num_joints} joints'
        )


def _sticks(
    axes: Axes,
    keypoints: np.ndarray,
    visible: np.ndarray,
    skeleton: Skeleton,
    centres: np.ndarray,
    size: tuple[float, float],
    down: int = -1,
) -> None:
    """Draw poses as lines, each fitted into a box (w, h) of the axes; ``down`` is the sign of their y axis."""
    seen = (visible > 0) & np.isfinite(keypoints).all(-1)
    low = np.where(seen[..., None], keypoints, np.inf).min(1)
    high = np.where(seen[..., None], keypoints, -np.inf).max(1)
    usable = seen.any(1)
    side = np.where(usable[:, None], np.maximum(high - low, 1e-6), 1.0)
    scale = (np.array(size) / side).min(1)[:, None, None]
    middle = np.where(usable[:, None], (low + high) / 2, 0.0)[:, None]
    points = (np.where(seen[..., None], keypoints, 0) - middle) * scale * (1, down) + centres[:, None]
    thick = 1.1 if len(points) > 40 else 1.5
    for color, keep in _sides(skeleton).items():
        links = [(c, p) for c, p in keep if p >= 0]
        lines = [points[n, link] for link in map(list, links) for n in np.flatnonzero(seen[:, link].all(1))]
        axes.add_collection(LineCollection(lines, colors=color, linewidths=thick, capstyle='round'))
        dots = points[:, [c for c, _ in keep]][seen[:, [c for c, _ in keep]]]
        axes.scatter(*dots.T, s=3 * thick, color=color, linewidths=0, zorder=3)


def _sides(skeleton: Skeleton) -> dict[str, list[tuple[int, int]]]:
    """Colour -> (joint, parent) of the middle, the right and the left."""
    sides: dict = {_MIDDLE: [], _RIGHT: [], _LEFT: []}
    for joint, (name, parent) in enumerate(zip(skeleton.joint_names, skeleton.parents)):
        sides[_LEFT if 'left' in name else _RIGHT if 'right' in name else _MIDDLE].append((joint, parent))
    return {color: joints for color, joints in sides.items() if joints}


def _crop(path: str, points: np.ndarray, seen: np.ndarray, skeleton: Skeleton, side: int) -> np.ndarray:
    """Square around a pose with it drawn, (side, side, 3) RGB; white beyond the picture."""
    check_size(image_size(path), path)
    image = mmcv.imread(str(path), channel_order='rgb')
    seen = seen & np.isfinite(points).all(1)
    height, width = image.shape[:2]
    hull = points[seen] if seen.any() else np.array([[0, 0], [width, height]])
    centre = (hull.min(0) + hull.max(0)) / 2
    half = max(float(np.ptp(hull, 0).max()) * 0.6, 8.0)
    # a joint far outside would ask for a huge white frame
    low = np.maximum(np.floor(centre - half), -max(height, width)).astype(int)
    high = np.minimum(np.ceil(centre + half), 2 * max(height, width)).astype(int)
    low, high = np.minimum(low, (width - 1, height - 1)), np.maximum(high, 1)
    span = int((high - low).max())
    square = np.full((span, span, 3), 255, np.uint8)
    inside = np.maximum(low, 0), np.minimum(low + span, (width, height))
    (x0, y0), (x1, y1) = inside
    square[y0 - low[1] : y1 - low[1], x0 - low[0] : x1 - low[0]] = image[y0:y1, x0:x1]
    small = cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA if span > side else cv2.INTER_CUBIC)
    return draw_pose(small, (points - low + 0.5) * side / span - 0.5, skeleton, seen, scale=1)
