"""Heat maps of scores of disentanglement: codes against factors, and scores over the positions of code maps."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lea_keras.checks import fail
from lea_keras.plots.panels import LABEL_SIZE
from lea_keras.plots.pixels import DPI, text_width

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = "cividis"  # the same to readers who see no red or green
_MISSING = "0.8"
# In inches: sides of cells, the room around a panel and for what stands above all, and columns of panels.
_CELL, _SMALLEST, _LARGEST, _ROOM, _TITLE, _BAR, _COLUMNS = 0.38, 1.3, 4.0, 0.75, 0.5, 0.8, 4
_TITLE_SIZE, _NUMBERS = 11.0, 160  # points; cells of a panel up to which each shows its number


def score_matrix(
    matrices: Any,
    factors: Sequence[str],
    label: str = "mutual information (nats)",
    title: str = "Codes against factors",
) -> "Figure":
    """Draws what codes know of factors, as the ``matrix`` of a score has it: rows are codes, columns factors.

    Args:
        matrices: [d, k], or several by their titles, which have one scale; not below 0. NaN is grey.
        factors: names of the columns, k.
        label: of the scale.
        title: above all.

    Returns:
        A figure. Up to 160 cells a panel show their numbers.

    Raises:
        ValueError: for no matrix, one of another shape, or numbers below 0.
    """
    arrays = _arrays("matrices", matrices)
    for array in arrays.values():
        if array.shape[1] != len(factors):
            raise fail("factors", f"{array.shape[1]} names, one for each column", list(factors))
    largest = max([float(np.nanmax(array)) for array in arrays.values() if not np.all(np.isnan(array))] or [1.0])
    axes = {"xticks": list(factors), "ylabel": "code"}
    return _draw(arrays, largest or 1.0, label, title, axes)


def score_maps(maps: Any, label: str = "score", title: str = "Scores at every position") -> "Figure":
    """Draws scores over the positions of code maps, as ``disentanglement.at_positions`` has them, from 0 to 1.

    Args:
        maps: [h, w], or several by their titles; NaN, where nothing could be measured, is grey.
        label: of the scale.
        title: above all.

    Returns:
        A figure. Up to 160 positions a panel show their numbers.

    Raises:
        ValueError: for no map, one of another shape, or numbers below 0.
    """
    arrays = _arrays("maps", maps)
    return _draw(arrays, 1.0, label, title, {"ylabel": "row of windows", "xlabel": "column of windows"})


def _arrays(argument: str, given: Any) -> dict[str, np.ndarray]:
    named = given if isinstance(given, Mapping) else {"": given}
    arrays = {str(name): np.asarray(array, float) for name, array in named.items()}
    if not arrays:
        raise fail(argument, "at least one", given)
    for array in arrays.values():
        if array.ndim != 2 or not array.size:
            raise fail(argument, "arrays of two axes", f"an array of shape {array.shape}")
        if np.any(array < 0):
            raise fail(argument, "numbers of at least 0", float(np.nanmin(array)))
    return arrays


def _draw(arrays: dict[str, np.ndarray], largest: float, label: str, title: str, texts: dict[str, Any]) -> "Figure":
    from lea_keras.plots.figure import Figure

    columns = min(len(arrays), _COLUMNS)
    rows = math.ceil(len(arrays) / columns)
    names = texts.get("xticks", ())
    most = [max(array.shape[axis] for array in arrays.values()) for axis in (0, 1)]
    inner = [min(max(side * _CELL, _SMALLEST), _LARGEST) for side in most]
    captions = max(text_width(name, LABEL_SIZE) for name in arrays)
    ticks = max([text_width(name, 8.0) for name in names] or [0.0]) * 0.75
    width = columns * (max(inner[1], captions) + _ROOM) + _BAR
    height = rows * (inner[0] + _ROOM + ticks) + _TITLE
    figure = Figure(
        figsize=(max(width, text_width(title, _TITLE_SIZE, "bold") + 0.3), height), dpi=DPI, layout="constrained"
    )
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat[len(arrays) :]:
        axes.set_axis_off()
    for i, (axes, (name, array)) in enumerate(zip(panels.flat, arrays.items(), strict=False)):
        axes.set_facecolor(_MISSING)
        image = axes.imshow(np.ma.masked_invalid(array), cmap=_COLOURS, vmin=0, vmax=largest, aspect="auto")
        axes.set_title(name, fontsize=LABEL_SIZE, parse_math=False)
        axes.tick_params(labelsize=8, length=2)
        _ticks(axes.yaxis, array.shape[0])
        if names:
            axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
        else:
            _ticks(axes.xaxis, array.shape[1])
        if i % columns == 0:
            axes.set_ylabel(texts["ylabel"], fontsize=LABEL_SIZE)
        if "xlabel" in texts and i + columns >= len(arrays):
            axes.set_xlabel(texts["xlabel"], fontsize=LABEL_SIZE)
        if array.size <= _NUMBERS and max(array.shape) <= 16:
            for (row, column), value in np.ndenumerate(array):
                if not np.isnan(value):
                    dark = value < 0.5 * largest
                    text = f"{value:.2f}".removeprefix("0") if value < 0.995 else f"{value:.1f}"
                    colour = "white" if dark else "black"
                    axes.text(column, row, text, color=colour, fontsize=6.5, ha="center", va="center")
    bar = figure.colorbar(image, ax=panels.ravel().tolist(), pad=0.02, aspect=25)
    bar.set_label(label, fontsize=LABEL_SIZE)
    bar.ax.tick_params(labelsize=8)
    figure.suptitle(title, fontsize=_TITLE_SIZE, fontweight="bold", parse_math=False)
    return figure


def _ticks(axis: Any, count: int) -> None:
    """Numbers from 1, at most about ten of them."""
    every = math.ceil(count / 10)
    places = range(0, count, every)
    axis.set_ticks(list(places), [str(place + 1) for place in places])
