"""Rows of results and the Markdown that shows them. No other module draws."""

import dataclasses
from collections.abc import Iterable, Sequence
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
        column: of a table that has rows with the same ``what`` and ``over`` beside each other; "": none, a line of
            its own.
    """

    what: str
    over: str = ""
    ratio: Ratio | None = None
    goal: Goal | None = None
    beside: str = ""
    column: str = ""


def draw(rows: Iterable[tuple[str, Row]], judge: bool = True) -> str:
    """Markdown tables: of rows that stand beside each other, and of those with a line of their own.

    Args:
        rows: (section, row).
        judge: whether to say if goals are reached, which means nothing at toy sizes.
    """
    rows = list(rows)
    single = [_cells(section, row, judge) for section, row in rows if not row.column]
    beside = [(section, row) for section, row in rows if row.column]
    tables = [_beside(beside, judge)] if beside else []
    return "\n".join(tables + ([markdown(HEADER, single)] if single or not beside else []))


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table, aligned for reading as plain text, too."""
    every = [tuple(" ".join(cell.replace("|", "/").split()) for cell in line) for line in (header, *lines)]
    widths = [max(3, *(len(line[i]) for line in every)) for i in range(len(header))]

    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |\n"

    return line(every[0]) + line("-" * width for width in widths) + "".join(line(cells) for cells in every[1:])


def _beside(rows: Sequence[tuple[str, Row]], judge: bool) -> str:
    columns = list(dict.fromkeys(row.column for _, row in rows))
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for section, row in rows:
        ratio, quartiles = _ratio(row)
        parts = (f"{ratio} ({quartiles})" if ratio else "", row.beside, _goal(row, judge))
        found.setdefault((section, row.what, row.over), {})[row.column] = "; ".join(part for part in parts if part)
    lines = [(*key, *(cells.get(column, "") for column in columns)) for key, cells in found.items()]
    return markdown((*HEADER[:3], *columns), lines)


def _cells(section: str, row: Row, judge: bool) -> tuple[str, ...]:
    return (section, row.what, row.over, *_ratio(row), _goal(row, judge), row.beside)


def _ratio(row: Row) -> tuple[str, str]:
    if row.ratio is None:
        return "", ""
    return number(row.ratio.median), f"{number(row.ratio.low)} to {number(row.ratio.high)}"


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
