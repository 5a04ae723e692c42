"""Curves of what a run logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .style import COLORS, new_figure, tidy

#: Ends of logged names -> what they are, in the order they are shown in
TITLES = {
    'loss': 'all losses, weighted and summed',
    'loss_kpt': 'source: error against the labels',
    'loss_consistency': 'target: student against teacher',
    'loss_pseudo': 'target: error against the pseudo-labels',
    'kept': 'share of pseudo-labels that is used',
    'confidence': "teacher's confidence (mean peak)",
    'merged': 'left-right pairs that coincide (share)',
    'spread': 'spread of a joint over pictures (widths)',
    'lr': 'learning rate of the backbone',
}
_FROM_ZERO = ('_confidence', '_merged', '_spread')


def curve_title(name: str) -> str:
    """What a logged name is in words, if it is known."""
    for end, title in sorted(TITLES.items(), key=lambda entry: -len(entry[0])):
        if (name == end or name.endswith(f'_{end}')) and (end != 'loss' or name == 'loss'):
            return title
    return name.replace('_', ' ')


def run_curves(curves: Mapping[str, tuple[Sequence[int], Sequence[float]]], color: int = 0) -> Figure:
    """Small multiples: a panel a name, what was logged thin and its running mean thick.

    Args:
        curves (Mapping): Name -> iterations and values.
        color (int): Which of our colours.

    Raises:
        ValueError: No curve.
    """
    if not curves:
        raise ValueError('no curve to draw: nothing was logged')
    columns = 2 if len(curves) in (2, 4) else min(3, len(curves))
    rows = -(-len(curves) // columns)
    figure = new_figure(3.5 * columns + 0.2, 2.3 * rows + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, (name, (steps, values)) in zip(grid.flat, curves.items()):
        many = len(values) >= 10 and name != 'lr'
        axes.plot(steps, values, color=COLORS[color], linewidth=0.8 if many else 1.6, alpha=0.45 if many else 1.0)
        if many:
            axes.plot(steps, _running_mean(values, len(values) // 8 | 1), color=COLORS[color], linewidth=1.9)
        axes.set_title(curve_title(name), fontsize=10)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter('{x:.4g}')  # a factor above the axis would lie in the title
        if name.endswith('_kept'):
            axes.set_ylim(0, 1)
        elif name.endswith(_FROM_ZERO) or 0 <= min(values) < 0.5 * max(values):
            axes.set_ylim(bottom=0)
        axes.yaxis.grid(True, color='#DDDDDD', linewidth=0.6)
        tidy(axes)
    for axes in list(grid.flat)[len(curves) :]:
        axes.axis('off')
    figure.supxlabel('iteration', fontsize=10)
    return figure


def _running_mean(values: Sequence[float], width: int) -> np.ndarray:
    """Mean over as many neighbours, fewer at the ends."""
    kernel = np.ones(width)
    total = np.convolve(values, kernel, mode='same')
    return total / np.convolve(np.ones(len(values)), kernel, mode='same')
