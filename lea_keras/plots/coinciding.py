"""Curves that coincide and yet all stay visible: what is drawn first is wide and pale, what follows narrower."""

from collections.abc import Sequence
from typing import Any

import numpy as np

_CLOSE = 0.01  # of the height of a plot, about the width of a line
_WIDEST = 14.0  # points: the most that is added
_TINT = 0.5  # how much white is in what is pale

Course = tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray]  # x and y of a curve, both [n]


def styles(
    courses: Sequence[Course],
    colours: Sequence[str],
    linewidth: float,
    markersize: float,
    step: float = 3.5,
    span: float | None = None,
) -> list[dict[str, Any]]:
    """Colours, widths and marker sizes of curves that are drawn in this order, as ``Axes.plot`` takes them.

    Two curves coincide where they lie on each other at two neighbouring values of x that both have, or at the only one.

    Args:
        courses: the curves.
        colours: of each.
        linewidth: of a curve that no later one hides, in points.
        markersize: of the same.
        step: what is added for every later curve that coincides with it.
        span: the height of the plot, of which curves may be 1 % apart to coincide. None: the range of all y.
    """
    from matplotlib.colors import to_rgb

    hidden = _hidden(courses, span)
    step = min(step, _WIDEST / max(1, *hidden))
    return [
        {
            "color": tuple(_TINT + (1 - _TINT) * part for part in to_rgb(colour)) if count else colour,
            "linewidth": linewidth + step * count,
            "markersize": markersize + step * count,
        }
        for colour, count in zip(colours, hidden, strict=True)
    ]


def _hidden(courses: Sequence[Course], span: float | None) -> list[int]:
    """For each curve, how many of the later ones coincide with it."""
    if span is None:
        values = [value for _, y in courses for value in y]
        close = _CLOSE * (max(values, default=0.0) - min(values, default=0.0))
    else:
        close = _CLOSE * span
    return [sum(_coincide(course, later, close) for later in courses[i + 1 :]) for i, course in enumerate(courses)]


def _coincide(course: Course, other: Course, close: float) -> bool:
    by_x = dict(zip(*other, strict=True))
    near = [abs(y - by_x[x]) <= close for x, y in zip(*course, strict=True) if x in by_x]
    if min(len(course[0]), len(other[0])) == 1:
        return any(near)
    return any(first and second for first, second in zip(near, near[1:], strict=False))
