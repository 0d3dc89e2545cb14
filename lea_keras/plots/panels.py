"""Figures made of panels with axes, all of one size, and a legend below them."""

import math
from typing import TYPE_CHECKING

from lea_keras.plots.pixels import DPI

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# In inches.
PANEL_WIDTH, _PANEL_HEIGHT, _LEGEND_ROOM, _LINE, _TITLE_LINE, _TICKS = 4.2, 2.7, 0.2, 0.22, 0.18, 0.5
_IN_A_ROW = 3
LABEL_SIZE = 9.0  # points
LEGEND = {"loc": "outside lower center", "frameon": False, "fontsize": LABEL_SIZE}


def in_a_row(count: int) -> int:
    """How many of so many panels are side by side: three at most, and four are two by two."""
    return 2 if count == 4 else min(count, _IN_A_ROW)


def panels(count: int, legend_lines: int, title_lines: int = 0, ticks: bool = False) -> "tuple[Figure, list[Axes]]":
    """A figure with ``count`` panels and room for a legend below them, and for long names below each with ``ticks``."""
    from lea_keras.plots.figure import Figure

    columns = in_a_row(count)
    rows = math.ceil(count / columns)
    height = (
        rows * (_PANEL_HEIGHT + (_TICKS if ticks else 0.0))
        + _LEGEND_ROOM
        + legend_lines * _LINE
        + title_lines * _TITLE_LINE
    )
    figure = Figure(figsize=(columns * PANEL_WIDTH, height), dpi=DPI, layout="constrained")
    drawn = [figure.add_subplot(rows, columns, i + 1) for i in range(count)]
    for axes in drawn:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        axes.grid(color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
    return figure, drawn
