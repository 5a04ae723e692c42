"""What figures of matplotlib have in common."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

#: Colours of methods or sets side by side: those of Okabe and Ito, which the colour-blind can tell apart.
COLORS = ('#0072B2', '#E69F00', '#009E73', '#CC79A7', '#56B4E9', '#D55E00', '#000000', '#999999')


def new_figure(width: float, height: float, layout: str | None = 'constrained') -> Figure:
    """White figure of a size in inches, at 100 dots an inch, that no window belongs to."""
    figure = Figure(figsize=(width, height), dpi=100, layout=layout, facecolor='white')
    FigureCanvasAgg(figure)
    return figure


def tidy(axes: Axes) -> None:
    """Take the frame's upper and right side away, and make the numbers small."""
    axes.spines[['top', 'right']].set_visible(False)
    axes.tick_params(labelsize=8)
