"""Sheets of pictures and of poses in 3D: blocks of named rows, at one scale.

Legend: J joints; poses are (J, 3) from anywhere, in the camera's axes (x right, y down, z forward), of any unit that
makes a person larger than 0.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mmposeda.structures.skeleton import Skeleton

from .sticks3d import colored_links, draw_3d, draw_over, note, parsed_metainfo, reach_of, side_colors
from .style import new_figure

#: The camera's eye, a little above it, so that the floor tells how deep a limb lies; and an eye aside.
FRONT, ASIDE = (0.0, 10.0), (90.0, 10.0)


class Picture(NamedTuple):
    """A picture, and joints over it.

    Attributes:
        image (np.ndarray): RGB (h, w, 3), uint8.
        points (np.ndarray): (J, 2), pixels, NaN where there is none.
    """

    image: np.ndarray
    points: np.ndarray | None = None


class Sticks(NamedTuple):
    """A pose.

    Attributes:
        pose (np.ndarray): (J, 3), NaN where there is no joint.
        eye (tuple[float, float]): From where it is seen, azimuth and elevation, degrees.
    """

    pose: np.ndarray
    eye: tuple[float, float] = FRONT


class Row(NamedTuple):
    """Cells side by side.

    Attributes:
        name (str): At the left.
        cells (Sequence): Pictures and Sticks, or None for an empty place.
        notes (Sequence[str]): At the bottom of the cells, as many or none.
    """

    name: str
    cells: Sequence[Picture | Sticks | None]
    notes: Sequence[str] = ()


class Block(NamedTuple):
    """Rows under heads.

    Attributes:
        title (str): Above it.
        heads (Sequence[str]): Of the columns; none for no heads.
        rows (Sequence[Row]): From top to bottom.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Row]


def pose_sheet(
    blocks: Sequence[Block], metainfo: str | Mapping, title: str = '', cell: float = 1.25, side: float = 1.3
) -> Figure:
    """Draw blocks one below the other.

    Args:
        blocks (Sequence[Block]): At least one row of one cell.
        metainfo (str | Mapping): Of the joint set: its name, or a data set's ``metainfo``.
        title (str): Above the figure.
        cell (float): Side of a cell, inches.
        side (float): Width of the names, inches.

    Raises:
        ValueError: Nothing to draw, poses or points of another joint set, or a joint set without links.
    """
    info = parsed_metainfo(metainfo)
    links, colors = colored_links(info)
    shown = [entry for block in blocks for row in block.rows for entry in row.cells if entry is not None]
    if not shown:
        raise ValueError('a sheet needs at least one picture or pose')
    for entry in shown:
        _check(entry, info)
    sticks = [entry for entry in shown if isinstance(entry, Sticks)]
    reach = max((reach_of(entry.pose, eye=entry.eye) for entry in sticks), default=1.0)
    table = _Table(blocks, title, cell, side)
    table.legend(side_colors(Skeleton.from_metainfo(info), links, colors))
    for block in blocks:
        table.begin(block)
        for row in block.rows:
            for entry, text, axes in zip_longest(row.cells, row.notes, table.row(row), fillvalue=''):
                if isinstance(entry, Sticks):
                    draw_3d(axes, entry.pose, links, colors, reach, eye=entry.eye)
                elif entry is not None:
                    points = np.full((info['num_keypoints'], 2), np.nan) if entry.points is None else entry.points
                    draw_over(axes, entry.image, points, links, colors)
                if text:
                    note(axes, text)
    return table.figure


class _Table:
    """Where things go, from the top down. Sizes are inches."""

    gap, margin, name_height, head_height, title_height = 0.05, 0.08, 0.32, 0.24, 0.34

    def __init__(self, blocks: Sequence[Block], title: str, cell: float, side: float) -> None:
        self.cell, self.side = cell, side
        columns = max(len(row.cells) for block in blocks for row in block.rows)
        self.width = side + columns * (cell + self.gap) + self.margin
        rows = sum(len(block.rows) for block in blocks)
        above = sum(self._above(block) + self.margin for block in blocks)
        self.height = above + rows * (cell + self.gap) + self.title_height
        self.figure = new_figure(self.width, self.height, layout=None)
        self.top = self.height - self.title_height
        self._write(self.margin, self.height - 0.2, title, fontsize=12)

    def _above(self, block: Block) -> float:
        return self.name_height * bool(block.title) + self.head_height * any(block.heads)

    def legend(self, sides: Mapping[str, np.ndarray]) -> None:
        """Write in which colours the sides of a body are, at the right."""
        for place, (side, color) in enumerate(reversed(sides.items())):
            where = self.width - self.margin - 0.42 * place
            self._write(where, self.height - 0.2, side, color=color, ha='right', weight='bold')

    def begin(self, block: Block) -> None:
        """Write what a block and its columns are."""
        self.top -= self.margin
        if block.title:
            self._write(self.margin, self.top - 0.16, block.title, weight='bold', fontsize=10)
            ends = np.array([self.margin, self.width - self.margin]) / self.width
            self.figure.add_artist(Line2D(ends, [self.top / self.height] * 2, color='#CCCCCC', linewidth=0.8))
        self.top -= self._above(block)
        for column, head in enumerate(block.heads):
            self._write(self._left(column) + self.cell / 2, self.top + 0.12, head, ha='center', color='#555555')

    def row(self, row: Row) -> list[Axes]:
        """Places of the cells of the next row."""
        low = self.top - self.cell
        self._write(self.side - 0.1, low + self.cell / 2, row.name, ha='right')
        size = self.cell / self.width, self.cell / self.height
        places = [(self._left(column) / self.width, low / self.height, *size) for column in range(len(row.cells))]
        self.top -= self.cell + self.gap
        found = [self.figure.add_axes(place) for place in places]
        for axes in found:
            axes.axis('off')
        return found

    def _left(self, column: int) -> float:
        return self.side + column * (self.cell + self.gap)

    def _write(self, x: float, y: float, text: str, **kwargs) -> None:
        self.figure.text(x / self.width, y / self.height, text, **{'fontsize': 8.5, 'va': 'center', **kwargs})


def _check(entry: Picture | Sticks, info: Mapping) -> None:
    name, count = info['dataset_name'], info['num_keypoints']
    if isinstance(entry, Sticks):
        if entry.pose.shape != (count, 3):
            raise ValueError(f'a pose to draw is {entry.pose.shape}, expected ({count}, 3) for joint set {name!r}')
    elif entry.image.ndim != 3 or entry.image.shape[2] != 3 or entry.image.dtype != np.uint8:
        raise ValueError(f'a picture to draw is {entry.image.shape} {entry.image.dtype}, expected (h, w, 3) uint8')
    elif entry.points is not None and entry.points.shape != (count, 2):
        raise ValueError(f'joints over a picture are {entry.points.shape}, expected ({count}, 2) for {name!r}')
