"""Rows of results and the Markdown that shows them. No other module draws."""

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple

from benchmarks.timing import Ratio

HEADER = ("section", "what", "over", "ratio", "quartiles", "goal", "beside it")


class Goal(NamedTuple):
    """What a ratio should be.

    Attributes:
        at_most: no more than this, or None.
        at_least: no less than this, or None.
        aim: what would be better still, or None.
    """

    at_most: float | None = None
    at_least: float | None = None
    aim: float | None = None

    def reached(self, value: float) -> bool:
        """Whether a ratio is what it should be, to the two decimals that are shown."""
        value = round(value, 2)
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: was measured.
        over: what it was divided by; empty where nothing was measured.
        ratio: of the two times; None where nothing was measured.
        goal: for the ratio, or None.
        beside: anything else, in words.
    """

    what: str
    over: str = ""
    ratio: Ratio | None = None
    goal: Goal | None = None
    beside: str = ""


def draw(rows: Iterable[tuple[str, Row]], judge: bool = True) -> str:
    """A Markdown table, aligned for reading as plain text, too.

    Args:
        rows: (section, row).
        judge: whether to say if goals are reached, which means nothing at toy sizes.
    """
    lines = [HEADER, *(_cells(section, row, judge) for section, row in rows)]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(HEADER))]

    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |\n"

    return line(lines[0]) + line("-" * width for width in widths) + "".join(line(cells) for cells in lines[1:])


def _cells(section: str, row: Row, judge: bool) -> tuple[str, ...]:
    ratio = quartiles = ""
    if row.ratio is not None:
        ratio = number(row.ratio.median)
        quartiles = f"{number(row.ratio.low)} to {number(row.ratio.high)}"
    cells = (section, row.what, row.over, ratio, quartiles, _goal(row, judge), row.beside)
    return tuple(" ".join(cell.replace("|", "/").split()) for cell in cells)


def _goal(row: Row, judge: bool) -> str:
    if row.goal is None:
        return ""
    parts = (("at most", row.goal.at_most), ("at least", row.goal.at_least), ("aim", row.goal.aim))
    text = ", ".join(f"{name} {value:.2f}" for name, value in parts if value is not None)
    if not judge or row.ratio is None:
        return text
    return text + (": reached" if row.goal.reached(row.ratio.median) else ": **missed**")


def number(value: float) -> str:
    """Two decimals, or three digits where the number is large or small."""
    return f"{value:.2f}" if 0.095 <= value < 100 else f"{value:.3g}"
