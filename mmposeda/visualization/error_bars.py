"""Errors of methods side by side, by action or by test set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .style import COLORS, new_figure, tidy

#: In widths of a group of bars: between what stands apart and the others, and how wide the means are.
_GAP, _WIDE = 0.45, 1.6


def error_by_action(
    panels: Mapping[str, Mapping[str, np.ndarray]],
    actions: Sequence[str],
    ylabel: str = 'MPJPE (mm)',
    title: str = '',
    apart: int = 0,
) -> Figure:
    """Errors by action, or by test set, of several methods side by side, and their means at the right.

    Args:
        panels (Mapping): Title of a panel, such as the name of a network -> method -> (A,), or (S, A) of S seeds: then
            the mean, with the standard deviation (of a sample) as a whisker. NaN where a method has no value. A method
            has one colour in all panels.
        actions (Sequence[str]): A names.
        ylabel (str): What the values are.
        title (str): Above the figure.
        apart (int): So many first ones stand apart and are left out of the means, such as tests on the source's domain.

    Raises:
        ValueError: No method or more than 8, another number of values than of actions, or none left for the means.
    """
    seeds = {
        panel: {name: np.atleast_2d(np.asarray(v, float)) for name, v in methods.items()}
        for panel, methods in panels.items()
    }
    names = list(dict.fromkeys(name for methods in seeds.values() for name in methods))
    shapes = [(name, v.shape) for methods in seeds.values() for name, v in methods.items()]
    if not 0 < len(names) <= len(COLORS) or any(shape[1:] != (len(actions),) for _, shape in shapes):
        raise ValueError(
            f'expected 1 to {len(COLORS)} methods with a value for each of {len(actions)} actions, got {shapes}'
        )
    if not 0 <= apart < len(actions):
        raise ValueError(f'{apart} of {len(actions)} actions cannot stand apart: none is left for the means')
    width = max(4.6, (0.3 + 0.14 * len(names)) * (len(actions) + 1) + 0.8)
    columns = 2 if len(seeds) > 1 and width < 7 else 1
    rows = -(-len(seeds) // columns)
    figure = new_figure(columns * width, 2.6 * rows + 0.4 + 0.25 * bool(title))
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    number = np.arange(len(actions) + 1)
    places = number + _GAP * ((number >= apart) & (apart > 0)) + (_GAP + _WIDE / 2 - 0.5) * (number == len(actions))
    mean = 'mean' if not apart else f'mean without\n{", ".join(actions[:apart])}'
    slanted = len(actions) * max(map(len, actions)) > 11 * width
    for axes, (panel, methods) in zip(grid.flat, seeds.items()):
        for name, values in methods.items():
            i = names.index(name)
            _bars(axes, values, places, (i + 0.5) / len(names) - 0.5, 0.84 / len(names), COLORS[i], apart)
        for group in {0, apart, len(actions)} - {0}:
            axes.axvline(places[group - 1] + (1 + _GAP) / 2, color='#999999', linewidth=0.7)
        axes.set_xticks(places, [*actions, mean], **(dict(rotation=35, ha='right') if slanted else {}))
        axes.set_xlim(-0.6, places[-1] + 0.6 * _WIDE)
        axes.set_title(panel, fontsize=11)
        axes.yaxis.grid(True, color='#DDDDDD', linewidth=0.6)
        axes.set_axisbelow(True)
        tidy(axes)
        axes.tick_params(labelleft=True)
    for axes in grid[:, 0]:
        axes.set_ylabel(ylabel)
    for axes in list(grid.flat)[len(seeds) :]:
        axes.axis('off')
    patches = [Patch(color=color, label=name) for name, color in zip(names, COLORS)]
    figure.legend(
        handles=patches, loc='outside upper center', ncols=min(4, len(names)), frameon=False, fontsize=9, title=title
    )
    return figure


def _bars(
    axes: Axes, values: np.ndarray, places: np.ndarray, offset: float, width: float, color: str, apart: int
) -> None:
    """Draw a method's values (S, A) and their mean, whose number stands over it; ``offset`` is in -0.5 to 0.5."""
    values = np.column_stack([values, values[:, apart:].mean(1)])
    mean, spread = values.mean(0), values.std(0, ddof=1) if len(values) > 1 else None
    widths = np.where(np.arange(len(places)) < len(places) - 1, 1, _WIDE)
    middle = places + 0.84 * offset * widths
    axes.bar(middle, mean, width * widths, yerr=spread, color=color, error_kw=dict(elinewidth=0.7, ecolor='#333333'))
    if np.isfinite(mean[-1]):
        top = mean[-1] + (0 if spread is None else spread[-1])
        where = dict(xytext=(0, 2), textcoords='offset points', ha='center', va='bottom')
        axes.annotate(f'{mean[-1]:.{int(mean[-1] < 99.95)}f}', (middle[-1], top), fontsize=7, color='#333333', **where)
