"""How good pseudo-labels are over time, for several methods."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from .style import COLORS, new_figure, tidy

#: Numbers of :class:`~mmposeda.engine.label_quality.LabelQuality` that are drawn, and how their panels are headed.
PANELS = dict(
    right='right',
    kept='kept',
    precision='right of those kept',
    ever_correct='right and kept at least once',
    overlap='overlap of 2D and 3D masks (IoU)',
    repeat='wrong and kept, now and last time (IoU)',
)

#: Least range of an axis.
_SPAN = 0.1


def quality_curves(
    methods: Mapping[str, Sequence[Sequence[Mapping[str, float]]]], group: str = '', title: str = ''
) -> Figure:
    """Curves of the measurements of ``PseudoLabelQualityHook``, a panel a number and a line a method.

    Args:
        methods (Mapping): Method -> runs of several seeds -> measurements, with the iterations done as ``iter``. Lines
            are means over the seeds, the bands about them standard deviations (of a sample). A number that no method
            has gets no panel.
        group (str): Of joints, such as ``Fin``; all joints by default.
        title (str): Above the figure.

    Raises:
        ValueError: No method or more than 8, or nothing measured of this group.
    """
    if not 0 < len(methods) <= len(COLORS):
        raise ValueError(f'expected 1 to {len(COLORS)} methods, got {len(methods)}')
    suffix = f'/{group}' if group else ''
    curves = {key: {name: _curve(runs, key + suffix) for name, runs in methods.items()} for key in PANELS}
    curves = {key: found for key, found in curves.items() if any(len(x) for x, _, _ in found.values())}
    if not curves:
        there = {key.partition('/')[2] for runs in methods.values() for run in runs for row in run for key in row}
        named = ', '.join(sorted(there - {''})) or 'none'
        raise ValueError(f'nothing was measured of {f"group {group!r}; groups are {named}" if group else "any joint"}')
    columns = min(3, len(curves))
    rows = -(-len(curves) // columns)
    figure = new_figure(3.5 * columns + 0.2, 2.5 * rows + 0.4 + 0.25 * bool(title))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for axes, (key, found) in zip(grid.flat, curves.items()):
        for (name, (x, mean, spread)), color in zip(found.items(), COLORS):
            axes.plot(x, mean, color=color, label=name, linewidth=1.6, marker='o', markersize=2.5)
            axes.fill_between(x, mean - spread, mean + spread, color=color, alpha=0.15, linewidth=0)
        axes.set_title(PANELS[key], fontsize=10)
        low, high = axes.get_ylim()
        spare = max(0, _SPAN - (high - low)) / 2  # or noise would look like change
        axes.set_ylim(low - spare, high + spare)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=''))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.grid(True, color='#DDDDDD', linewidth=0.6)
        axes.set_axisbelow(True)
        tidy(axes)
        axes.tick_params(labelbottom=True)
    for axes in list(grid.flat)[len(curves) :]:
        axes.axis('off')
    figure.supxlabel('iteration', fontsize=10)
    figure.supylabel(f'% (joints of {group})' if group else '%', fontsize=10)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    where = dict(loc='outside upper center', ncols=min(4, len(labels)), frameon=False, fontsize=9)
    figure.legend(handles, labels, title=title, **where)
    return figure


def _curve(runs: Sequence[Sequence[Mapping[str, float]]], key: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Iterations at which a run has a number, its mean over the runs that have it, and its deviation, 0 for one."""
    measured = [{row['iter']: row[key] for row in run if key in row} for run in runs]
    x = sorted({iteration for run in measured for iteration in run})
    values = np.array([[run.get(iteration, np.nan) for iteration in x] for run in measured], float)
    if not x:
        return np.empty(0), np.empty(0), np.empty(0)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # of one run alone
        spread = np.nanstd(values, 0, ddof=1)
    return np.array(x), np.nanmean(values, 0), np.nan_to_num(spread)
