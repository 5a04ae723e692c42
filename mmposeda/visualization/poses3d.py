"""Figures of 3D poses: what an augmentor does to them, and how they are spread.

Each function gives a matplotlib figure that no window belongs to: ``figure.savefig(path)``. Poses are in metres in the
camera's frame (x right, y down, z forward), screen coordinates ``2 u / W - (1, H / W)`` of pixels u.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter

from mmposeda.structures.body_angles import bone_angles, bone_triplets, view_angles
from mmposeda.structures.skeleton import Skeleton

from .sticks3d import colored_links, draw_2d, draw_3d, note, parsed_metainfo, reach_of
from .style import COLORS, new_figure, tidy

#: What :func:`augmentation_sheet` shows, in order, and how its columns are headed.
STEPS = dict(source='source', ba='bone angles', bl='bone lengths', rt='rotation, translation', projected='projection')


def augmentation_sheet(
    examples: Mapping[str, np.ndarray], metainfo: str | Mapping, count: int | None = None, title: str = ''
) -> Figure:
    """Rows of poses: the source, after each step of an augmentation, and the result's projection in its frame.

    3D poses are seen from above and aside, at one scale a row, with their shadow on a floor at their lowest joint. The
    pose before the step is grey. Below each is what the step did, measured on the poses: the mean turn of the bones,
    the range of the relative changes of their lengths, and where the root is.

    Args:
        examples (Mapping): ``source``, ``ba``, ``bl``, ``rt`` (n, J, 3) in metres, absolute; ``projected`` (n, J, 2) in
            screen coordinates, ``aspect`` (n,) H / W of the frames. Arrays or CPU tensors.
        metainfo (str | Mapping): Of the joint set: its name, or a data set's ``metainfo``. Links and colours are those
            of its ``skeleton_info``, darkened where they would be pale on white.
        count (int, optional): Most rows; all by default.
        title (str): Above the figure.

    Raises:
        ValueError: Something is missing, shapes do not fit, there is no pose, or the joint set has no links.
    """
    info = parsed_metainfo(metainfo)
    skeleton = Skeleton.from_metainfo(info)
    shown = _checked_examples(examples, skeleton, count)
    links, colors = colored_links(info)
    rows, head = len(shown['source']), 0.66 if title else 0.34  # inches
    height = 2.1 * rows + head
    figure = new_figure(2.0 * len(STEPS), height, layout=None)
    grid = figure.subplots(rows, len(STEPS), squeeze=False)
    figure.subplots_adjust(0.004, 0.004, 0.996, 1 - head / height, 0.02, 0.02)
    for axes, name in zip(grid[0], STEPS.values()):
        axes.set_title(name, fontsize=10, pad=5)
    for row, line in enumerate(grid):
        poses = {step: shown[step][row] for step in ('source', 'ba', 'bl', 'rt')}
        reach = reach_of(*poses.values())
        for axes, step, before in zip(line, poses, (None, 'source', 'ba', None)):
            draw_3d(axes, poses[step], links, colors, reach, poses.get(before))
            note(axes, _change(step, poses, skeleton))
        points, aspect = shown['projected'][row], float(shown['aspect'][row])
        draw_2d(line[-1], points, aspect, links, colors)
        outside = int((~(np.abs(points) <= [1, aspect])).any(1).sum())
        note(line[-1], f'{outside} of {len(points)} joints outside' if outside else 'in the frame')
    for i, side in enumerate(('right', 'left')):
        of_side = [all(side in skeleton.joint_names[joint] for joint in link) for link in links]
        if any(of_side):
            where = dict(transform=grid[0, 0].transAxes, ha='left', va='top', fontsize=8)
            grid[0, 0].text(0.03, 0.97 - 0.08 * i, side, color=colors[of_side.index(True)], **where)
    if title:
        figure.suptitle(title, fontsize=12, y=1 - 0.1 / height, va='top')
    return figure


def distribution_figure(
    sets: Mapping[str, np.ndarray], skeleton: Skeleton, cells: int = 36, bins: int = 45, title: str = ''
) -> Figure:
    """Views and bone angles of sets of poses, such as before and after augmentation.

    On the left a map of each set: where its cameras stand about the person (:func:`view_angles`), as a share of a
    uniform spread, on an equal-area map of the sphere; white is where none stands. On the right the densities of the
    angles between bones that meet, left and right together; 180 degrees is a straight limb.

    Args:
        sets (Mapping): Name -> (N, J, 3), 1 to 8 sets in the order of drawing. Root-relative poses count as seen along
            the optical axis.
        skeleton (Skeleton): The joint set.
        cells (int): Of a map, along the equator; half as many from pole to pole, all of one area.
        bins (int): Of the angles, from 0 to 180 degrees.
        title (str): Above the figure.

    Raises:
        ValueError: No set, more than 8, poses of another joint set, or none with a view.
    """
    if not 0 < len(sets) <= len(COLORS):
        raise ValueError(f'expected 1 to {len(COLORS)} sets of poses, got {len(sets)}')
    groups = _angle_groups(skeleton)
    columns = 2 if len(groups) <= 4 else 3
    rows = -(-len(groups) // columns)
    figure = new_figure(5.0 + 2.6 * columns, max(2.35 * len(sets) + 0.5, 1.5 * rows + 0.6))
    left, right = figure.subfigures(1, 2, width_ratios=[5.0, 2.6 * columns])
    maps = left.subplots(len(sets), 1, squeeze=False, subplot_kw=dict(projection='mollweide'))[:, 0]
    densities = {name: _view_density(poses, skeleton, cells, name) for name, poses in sets.items()}
    highest = max(10.0, max(density.max() for density in densities.values()))
    for axes, (name, density) in zip(maps, densities.items()):
        drawn = _draw_views(axes, density, highest)
        axes.set_title(f'{name}: {len(sets[name]):,} poses', fontsize=9, pad=8)
    bar = left.colorbar(drawn, ax=list(maps), shrink=0.6, pad=0.03, label='views (1 = evenly spread)')
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    panels = right.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    edges = np.linspace(0, 180, bins + 1)
    for i, (name, poses) in enumerate(sets.items()):
        angles = np.degrees(bone_angles(poses, skeleton))
        for axes, members in zip(panels, groups.values()):
            values = angles[:, members]
            heights = np.histogram(values[np.isfinite(values)], edges, density=True)[0]
            axes.stairs(heights, edges, color=COLORS[i], fill=i == 0, alpha=0.35 if i == 0 else 1, label=name)
    for axes, name in zip(panels, groups):
        axes.set(yticks=[], xlim=(0, 180), xticks=[0, 45, 90, 135, 180])
        axes.set_title(name, fontsize=9, pad=3)
        tidy(axes)
        axes.spines['left'].set_visible(False)
    for axes in panels[len(groups) :]:
        axes.axis('off')
    for axes in panels[max(0, len(groups) - columns) : len(groups)]:
        axes.tick_params(labelbottom=True)
    right.supxlabel('angle between bones (degrees)', fontsize=8)
    left.suptitle('where cameras stand about the person', fontsize=9)
    handles, labels = panels[0].get_legend_handles_labels()
    right.legend(handles, labels, loc='outside upper center', ncols=min(4, len(sets)), frameon=False, fontsize=9)
    if title:
        figure.suptitle(title, fontsize=12)
    return figure


def _checked_examples(examples: Mapping, skeleton: Skeleton, count: int | None) -> dict[str, np.ndarray]:
    missing = [name for name in (*STEPS, 'aspect') if name not in examples]
    if missing:
        raise ValueError(f'examples of an augmentation lack {", ".join(missing)}; they have {", ".join(examples)}')
    shown = {name: np.asarray(examples[name], float)[:count] for name in (*STEPS, 'aspect')}
    number = len(shown['source'])
    for name, array in shown.items():
        shape = (number,) if name == 'aspect' else (number, skeleton.num_joints, 2 if name == 'projected' else 3)
        if array.shape != shape or not number:
            raise ValueError(
                f'examples of an augmentation: {name} is {array.shape}, expected {shape} with at least one pose, for '
                f'joint set {skeleton.name!r}'
            )
    return shown


def _change(step: str, poses: Mapping[str, np.ndarray], skeleton: Skeleton) -> str:
    """What a step did, in words."""
    children = [(joint, parent) for joint, parent in enumerate(skeleton.parents) if parent >= 0]
    bones = {name: np.stack([pose[j] - pose[p] for j, p in children]) for name, pose in poses.items()}
    lengths = {name: np.linalg.norm(bone, axis=1) for name, bone in bones.items()}
    with np.errstate(invalid='ignore', divide='ignore'):
        if step == 'ba':
            cosines = (bones['ba'] * bones['source']).sum(1) / (lengths['ba'] * lengths['source'])
            return f'bones turned by {np.degrees(np.arccos(np.clip(cosines, -1, 1))).mean():.0f}°'
        if step == 'bl':
            ratio = 100 * (lengths['bl'] / lengths['ba'] - 1)
            return f'lengths {ratio.min():+.0f} to {ratio.max():+.0f} %'
    root = poses[step][skeleton.parents.index(-1)].round(1) + 0.0  # no -0.0
    return 'root at ({:.1f}, {:.1f}, {:.1f}) m'.format(*root)


def _view_density(poses: np.ndarray, skeleton: Skeleton, cells: int, name: str) -> np.ndarray:
    """(cells / 2, cells) share of a uniform spread, by elevation and azimuth."""
    views = view_angles(poses, skeleton)
    views = views[np.isfinite(views).all(1)]
    if not len(views):
        raise ValueError(f'none of the {len(poses)} poses of {name!r} tells where it is seen from')
    height = cells // 2
    # equal steps of the sine are equal areas
    row = np.clip((np.sin(views[:, 1]) + 1) / 2 * height, 0, height - 1).astype(int)
    column = np.clip((views[:, 0] + np.pi) / (2 * np.pi) * cells, 0, cells - 1).astype(int)
    counts = np.bincount(row * cells + column, minlength=height * cells).reshape(height, cells)
    return counts * (height * cells / len(views))


def _draw_views(axes: Axes, density: np.ndarray, highest: float):
    height, width = density.shape
    edges = np.linspace(-np.pi, np.pi, width + 1), np.arcsin(np.linspace(-1, 1, height + 1))
    shown = np.ma.masked_equal(density, 0)
    drawn = axes.pcolormesh(*edges, shown, cmap='viridis_r', norm=LogNorm(0.1, highest), rasterized=True)
    axes.set_xticks([-np.pi / 2, 0, np.pi / 2], ['right', 'front', 'left'])
    axes.set_yticks(np.radians([-45, 0, 45]), ['45° below', 'level', '45° above'])
    axes.tick_params(labelsize=7)
    for label in axes.get_xticklabels():
        label.set_path_effects([withStroke(linewidth=2, foreground='white')])
    axes.grid(True, color='#AAAAAA', linewidth=0.4)
    return drawn


def _angle_groups(skeleton: Skeleton) -> dict[str, list[int]]:
    """Name of an angle -> its columns in :func:`bone_angles`, left and right together."""
    triplets = bone_triplets(skeleton)
    names = [n.replace('left_', '').replace('right_', '').replace('_', ' ') for n in skeleton.joint_names]
    forks = {p for p in triplets[:, 1] if len({names[j] for j in triplets[triplets[:, 1] == p, 2]}) > 1}
    groups: dict = {}
    for i, (_, parent, joint) in enumerate(triplets):
        name = f'{names[parent]} to {names[joint]}' if parent in forks else names[parent]
        groups.setdefault(name, []).append(i)
    return groups
