"""Results of attacks as a table of text and in Markdown."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from experiments import tables

# How measures are called in Markdown and, more shortly, in the table, and how they are written.
COLUMNS: dict[str, tuple[str, str, Callable[[float], str]]] = {
    "success_rate": ("success rate", "success", "{:.4f}".format),
    "mean_distance": ("mean distance", "distance", "{:.3g}".format),
    "median_distance": ("median distance", "median", "{:.3g}".format),
    "model_calls": ("model calls", "model calls", "{:.1f}".format),
    "seconds": ("seconds", "seconds", "{:.3g}".format),
    "relative_success": ("success rate, relative", "rel. success", "{:+.1%}".format),
    "relative_distance": ("mean distance, relative", "rel. distance", "{:+.1%}".format),
}


class Row(NamedTuple):
    """What one attack did to one group of runs: medians over them of what ``robustness.Summary`` has of each.

    Attributes:
        model: the group's name.
        runs: how many it has.
        attack: the attack's name.
        success_rate: of the correctly classified samples.
        mean_distance: of the successful ones; None if no run has any.
        median_distance: of the same.
        model_calls: per sample.
        seconds: per sample.
        relative_success: (x − baseline) / baseline; None where that is not defined, or without a baseline.
        relative_distance: the same of the mean distance.
        semantics: of the attack, as in ``robustness.Record``.
    """

    model: str
    runs: int
    attack: str
    success_rate: float | None
    mean_distance: float | None
    median_distance: float | None
    model_calls: float | None
    seconds: float | None
    relative_success: float | None = None
    relative_distance: float | None = None
    semantics: str = "nearest"


def _shown(rows: Sequence[Row]) -> list[str]:
    """The columns that have a value anywhere."""
    return [column for column in COLUMNS if any(getattr(row, column) is not None for row in rows)]


def _cell(row: Row, column: str) -> str:
    value = getattr(row, column)
    return "" if value is None else COLUMNS[column][2](value)


def table(rows: Sequence[Row]) -> str:
    """Per attack one line per group, or one line per attack where there is one group only."""
    columns = _shown(rows)
    blocks: dict[str, list] = {}
    for row in rows:
        blocks.setdefault(row.attack, []).append((row.model, [_cell(row, column) for column in columns]))
    heads = [COLUMNS[column][1] for column in columns]
    return tables.grouped(heads, blocks, {row.model: row.runs for row in rows}, [28] + [15] * len(columns), gap=2)


def markdown(rows: Sequence[Row]) -> str:
    """The same as a Markdown table."""
    columns = _shown(rows)
    heads = ["attack", "runs", "number", *(COLUMNS[column][0] for column in columns)]
    lines = [[row.attack, row.model, str(row.runs), *(_cell(row, column) for column in columns)] for row in rows]
    return tables.markdown(heads, lines)
