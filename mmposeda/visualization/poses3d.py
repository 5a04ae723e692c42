"""Figures of 3D poses: what an augmentor does to them, and how they are spread.

Each function gives a matplotlib figure that no window belongs to: ``figure.savefig(path)``. Poses are in metres in the
camera's frame (x right, y down, z forward), screen coordinates ``2 u / W - (1, H / W)`` of pixels u.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter

from mmposeda.structures.body_angles import bone_angles, bone_triplets, view_angles
from mmposeda.structures.skeleton import Skeleton

from .sticks3d import colored_links, draw_2d, draw_3d, note, parsed_metainfo, reach_of, side_colors
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
    where = dict(ha='left', va='top', fontsize=8)
    for i, (side, color) in enumerate(side_colors(skeleton, links, colors).items()):
        grid[0, 0].text(0.03, 0.97 - 0.08 * i, side, color=color, transform=grid[0, 0].transAxes, **where)
    grid[0, 1].text(0.03, 0.97, 'grey: before', color='#8C8C8C', transform=grid[0, 1].transAxes, **where)
    if title:
        figure.suptitle(title, fontsize=12, y=1 - 0.1 / height, va='top')
    return figure


def distribution_figure(
    sets: Mapping[str, np.ndarray],
    skeleton: Skeleton,
    reference: str | None = None,
    cells: int = 36,
    bins: int = 45,
    title: str = '',
) -> Figure:
    """Views and bone angles of sets of poses, such as before and after augmentation and of the tests, a row a set.

    On the left where a set's cameras stand about the person (:func:`view_angles`), as a share of a uniform spread, on
    an equal-area map of the sphere; white is where none stands. Beside it the densities of the angles between bones
    that meet, left and right together; 180 degrees is a straight limb. Each column has one scale.

    Args:
        sets (Mapping): Name -> (N, J, 3), 1 to 8 sets from top to bottom. Root-relative poses count as seen along the
            optical axis.
        skeleton (Skeleton): The joint set.
        reference (str, optional): Name of the set whose densities are also a line in the other rows, such as the
            augmented poses: where a row is filled under no line, they do not cover it.
        cells (int): Of a map, along the equator; half as many from pole to pole, all of one area.
        bins (int): Of the angles, from 0 to 180 degrees.
        title (str): Above the figure.

    Raises:
        ValueError: No set, more than 8, poses of another joint set, none with a view, or no set named ``reference``.
    """
    if not 0 < len(sets) <= len(COLORS):
        raise ValueError(f'expected 1 to {len(COLORS)} sets of poses, got {len(sets)}')
    if reference is not None and reference not in sets:
        raise ValueError(f'there is no set {reference!r} to refer to, but {", ".join(sets)}')
    groups = _angle_groups(skeleton)
    views = {name: _view_density(poses, skeleton, cells, name) for name, poses in sets.items()}
    angles = {name: np.degrees(bone_angles(poses, skeleton)) for name, poses in sets.items()}
    edges = np.linspace(0, 180, bins + 1)
    heights = {name: [_density(values[:, m], edges) for m in groups.values()] for name, values in angles.items()}
    tallest = np.max(list(heights.values()), axis=(0, 2))
    highest = max(10.0, max(density.max() for density in views.values()))

    table = _Table(len(sets), len(groups), bool(title))
    for row, (name, color) in enumerate(zip(sets, COLORS)):
        drawn = _draw_views(table.map(row), views[name], highest)
        table.name(row, name, f'{len(sets[name]):,} poses', color)
        for column in range(len(groups)):
            axes = table.panel(row, column)
            axes.stairs(heights[name][column], edges, color=color, fill=True, alpha=0.6)
            if reference not in (None, name):
                axes.stairs(heights[reference][column], edges, color='#222222', linewidth=0.9)
            axes.set(yticks=[], xlim=(0, 180), xticks=[0, 90, 180], ylim=(0, 1.05 * tallest[column]))
            tidy(axes)
            axes.spines['left'].set_visible(False)
            axes.tick_params(labelbottom=row == len(sets) - 1)
            for label, side in zip(axes.get_xticklabels(), ('left', 'center', 'right')):
                label.set_ha(side)
    table.head(['cameras about the person', *groups])
    table.foot(drawn, reference)
    if title:
        table.figure.suptitle(title, fontsize=12, y=1 - 0.08 / table.height, va='top')
    return table.figure


class _Table:
    """A figure with a row a set: a map, then a panel an angle. Sizes are inches."""

    side, gap, top, bottom = 0.72, 0.12, 0.36, 0.62
    map_size, panel_size, name_height = (2.3, 1.15), (1.16, 0.95), 0.26

    def __init__(self, rows: int, columns: int, titled: bool) -> None:
        self.row = self.map_size[1] + self.name_height + 0.08
        self.head_room = self.top + (0.3 if titled else 0)
        self.start = self.side + self.map_size[0] + 0.3
        self.width = self.start + columns * (self.panel_size[0] + self.gap) + 0.1
        self.height = self.head_room + rows * self.row + self.bottom
        self.figure = new_figure(self.width, self.height, layout=None)

    def map(self, row: int) -> Axes:
        """Where the views of a row go."""
        return self._add(self.side, row, self.name_height, self.map_size, projection='mollweide')

    def panel(self, row: int, column: int) -> Axes:
        """Where the densities of an angle go."""
        down = self.name_height + self.map_size[1] - self.panel_size[1]
        return self._add(self._left(column), row, down, self.panel_size)

    def head(self, titles: Sequence[str]) -> None:
        """Write over the columns what they are."""
        middles = [self.side + self.map_size[0] / 2]
        middles += [self._left(column) + self.panel_size[0] / 2 for column in range(len(titles) - 1)]
        for middle, title in zip(middles, titles):
            self._write(middle, self.height - self.head_room + 0.16, title, ha='center')

    def name(self, row: int, name: str, count: str, color: str) -> None:
        """Write over a row's map which set it is."""
        y = self.height - self.head_room - row * self.row - 0.1
        self._write(0.1, y, name, color=color, weight='bold', fontsize=10)
        self._write(self.side + self.map_size[0], y, count, ha='right', fontsize=8)

    def foot(self, drawn, reference: str | None) -> None:
        """Say what colours, axes and the line are."""
        size = (self.map_size[0] - 0.4) / self.width, 0.1 / self.height
        bar_axes = self.figure.add_axes(((self.side + 0.2) / self.width, 0.4 / self.height, *size))
        bar = self.figure.colorbar(drawn, cax=bar_axes, orientation='horizontal')
        bar.set_label('views (1 = evenly spread)', fontsize=8, labelpad=1)
        bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
        bar.ax.tick_params(labelsize=8)
        bar.outline.set_visible(False)
        line = '' if reference is None else f'; black line: {reference}'
        middle = (self.start + self.width - 0.1) / 2
        self._write(middle, 0.25, f'angle between bones (degrees), 180 is straight{line}', ha='center')

    def _left(self, column: int) -> float:
        return self.start + column * (self.panel_size[0] + self.gap)

    def _write(self, x: float, y: float, text: str, **kwargs) -> None:
        self.figure.text(x / self.width, y / self.height, text, **{'fontsize': 9, 'va': 'center', **kwargs})

    def _add(self, left: float, row: int, down: float, size: tuple[float, float], **kwargs) -> Axes:
        low = self.height - self.head_room - row * self.row - down - size[1]
        box = left / self.width, low / self.height, size[0] / self.width, size[1] / self.height
        return self.figure.add_axes(box, **kwargs)


def _density(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Densities of the finite values; zeros where there is none."""
    values = values[np.isfinite(values)]
    return np.histogram(values, edges, density=True)[0] if len(values) else np.zeros(len(edges) - 1)


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
