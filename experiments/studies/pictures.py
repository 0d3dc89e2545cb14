"""Pictures of studies in panels: lines over anything, as medians with all runs behind them, and dots, one a run."""

import bisect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lea_keras.plots import palette
from lea_keras.plots.panels import LABEL_SIZE, LEGEND, PANEL_WIDTH, in_a_row, panels
from lea_keras.plots.pixels import text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_MOST_MARKED = 12  # points of a line that has markers


class Line(NamedTuple):
    """A quantity of several runs.

    Attributes:
        label: in the legend; lines of one label look alike in all panels.
        xs: where it was measured.
        runs: for each run, its value at every x; None where it has none.
        dashed: whether the line is.
        right: whether it belongs to the axis on the right.
    """

    label: str
    xs: Sequence[float]
    runs: Sequence[Sequence[float | None]]
    dashed: bool = False
    right: bool = False


class Panel(NamedTuple):
    """A pair of axes, perhaps with a third on the right.

    Attributes:
        title: above it.
        xlabel: below it.
        ylabel: to its left.
        lines: in it.
        ticks: texts at the xs of the lines, which are then equally far from each other.
        right_label: to its right.
        level: where a faint line says what chance would reach.
        limits: of the values on the left.
    """

    title: str
    xlabel: str
    ylabel: str
    lines: Sequence[Line]
    ticks: Sequence[str] = ()
    right_label: str = ""
    level: float | None = None
    limits: tuple[float, float] | None = None


def draw(drawn: Sequence[Panel], note: str = "", compared: bool = True) -> "Figure":
    """Draws panels side by side: lines are medians over runs, bands reach from the least to the largest run.

    Args:
        drawn: the panels.
        note: above them, in small letters: what was changed, for example; broken into lines where it is too long.
        compared: whether values of one name have one scale in all panels.
    """
    from matplotlib.lines import Line2D

    every = [line for panel in drawn for line in panel.lines]
    # Of a label with solid and dashed lines there is one entry; what dashes mean is said above the panels.
    names = list(dict.fromkeys(line.label for line in every))
    solid = {line.label for line in every if not line.dashed}
    width = PANEL_WIDTH * in_a_row(len(drawn))
    widest = max(text_width(label, LABEL_SIZE) for label in names) + 0.6
    columns = max(1, min(len(names), int(width / widest)))
    runs = sorted({len(line.runs) for line in every})
    several = f"{runs[0]} to {runs[-1]}" if len(runs) > 1 else str(runs[0])
    told = f"median of {several} runs, band: all of them" if runs[-1] > 1 else "one run"
    lines = [told, *wrapped(note, width - 0.3, 8.0)]
    figure, axes = panels(len(drawn), legend_lines=-(-len(names) // columns), title_lines=len(lines))
    look = {name: (palette.OF_LINES[i % len(palette.OF_LINES)], _MARKERS[i % 7]) for i, name in enumerate(names)}
    pairs = [_draw_panel(panel, one, look) for panel, one in zip(drawn, axes, strict=True)]
    if compared:
        _share_scales(pairs)
    handles = [
        Line2D([], [], color=look[name][0], marker=look[name][1], ls="-" if name in solid else "--", markersize=5)
        for name in names
    ]
    figure.legend(handles, names, ncols=columns, **LEGEND)
    figure.suptitle("\n".join(lines), size=8.0)
    return figure


def _draw_panel(panel: Panel, axes: "Axes", look: dict[str, tuple[str, str]]) -> "list[Axes]":
    """Draws lines and returns the axes that have values: those on the left, perhaps those on the right."""
    from matplotlib.ticker import MaxNLocator

    right: Any = None
    if panel.right_label:
        right = axes.twinx()
        right.spines["top"].set_visible(False)
        right.tick_params(labelsize=8)
        right.set_ylabel(panel.right_label, size=LABEL_SIZE)
    for line in panel.lines:
        values = np.array([[np.nan if value is None else value for value in run] for run in line.runs], float)
        xs = np.arange(len(line.xs)) if panel.ticks else np.asarray(line.xs, float)
        known = ~np.all(np.isnan(values), axis=0)
        values, xs = values[:, known], xs[known]
        colour, marker = look[line.label]
        place = right if line.right else axes
        style = {"color": colour, "linestyle": "--" if line.dashed else "-", "linewidth": 1.6, "zorder": 3}
        every = max(1, len(xs) // _MOST_MARKED)
        place.plot(xs, np.nanmedian(values, axis=0), marker=marker, markersize=4.5, markevery=every, **style)
        place.fill_between(
            xs, np.nanmin(values, axis=0), np.nanmax(values, axis=0), color=colour, alpha=0.15, linewidth=0
        )
    if panel.ticks:
        axes.set_xticks(range(len(panel.ticks)), panel.ticks)
    elif panel.xlabel == "epoch":
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if panel.level is not None:
        axes.axhline(panel.level, color="0.5", linewidth=1, linestyle=":")
    if panel.limits:
        axes.set_ylim(*panel.limits)
    axes.set_xlabel(panel.xlabel, size=LABEL_SIZE)
    axes.set_ylabel(panel.ylabel, size=LABEL_SIZE)
    axes.set_title(panel.title, size=10, weight="bold", parse_math=False)
    return [axes] if right is None else [axes, right]


def _share_scales(drawn: "Sequence[Sequence[Axes]]") -> None:
    """Gives all axes whose values have one name the same limits."""
    every = [axes for of_panel in drawn for axes in of_panel]
    for name in {axes.get_ylabel() for axes in every}:
        alike = [axes for axes in every if axes.get_ylabel() == name]
        lows, highs = zip(*(axes.get_ylim() for axes in alike), strict=True)
        for axes in alike:
            axes.set_ylim(min(lows), max(highs))


class Dots(NamedTuple):
    """A quantity of several kinds of runs, one below the other.

    Attributes:
        title: above the panel.
        xlabel: of the quantity.
        rows: of each kind, by its name, the quantity of every run.
        level: where a faint line says what chance would reach.
    """

    title: str
    xlabel: str
    rows: Mapping[str, Sequence[float]]
    level: float | None = None


def draw_dots(drawn: Sequence[Dots], note: str = "") -> "Figure":
    """Draws panels of dots side by side: a dot is a run, a bar the median of a kind.

    Args:
        drawn: the panels; all have the same kinds in the same order, each in a colour of its own.
        note: as in ``draw``.
    """
    names = list(drawn[0].rows)
    width = PANEL_WIDTH * in_a_row(len(drawn))
    lines = ["dot: a run, bar: their median", *wrapped(note, width - 0.3, 8.0)]
    figure, axes = panels(len(drawn), legend_lines=0, title_lines=len(lines))
    for panel, one in zip(drawn, axes, strict=True):
        for place, name in enumerate(names):
            colour, values = palette.OF_LINES[place % len(palette.OF_LINES)], panel.rows[name]
            one.plot(values, [place] * len(values), "o", color=colour, markersize=5, alpha=0.6, markeredgewidth=0)
            one.plot([np.median(values)], [place], "|", color=colour, markersize=16, markeredgewidth=2.2)
        if panel.level is not None:
            one.axvline(panel.level, color="0.5", linewidth=1, linestyle=":")
        one.set_yticks(range(len(names)), names, parse_math=False)
        one.set_ylim(len(names) - 0.4, -0.6)
        one.set_xlabel(panel.xlabel, size=LABEL_SIZE)
        one.set_title(panel.title, size=10, weight="bold", parse_math=False)
    figure.suptitle("\n".join(lines), size=8.0)
    return figure


def across(of_xs: Sequence[Sequence[float]]) -> list[list[float | None]]:
    """Values by x and run as values by run and x; None where a run is missing somewhere."""
    count = max(map(len, of_xs))
    return [[values[run] if run < len(values) else None for values in of_xs] for run in range(count)]


def wrapped(text: str, width: float, size: float) -> list[str]:
    """Words in lines of at most so many inches; none of an empty text."""
    words, lines = text.split(), []
    while words:
        # A text is measured in milliseconds, and pictures have hundreds of words.
        counts = range(1, len(words) + 1)
        fitting = max(1, bisect.bisect_right(counts, width, key=lambda n: text_width(" ".join(words[:n]), size)))
        lines.append(" ".join(words[:fitting]))
        words = words[fitting:]
    return lines
