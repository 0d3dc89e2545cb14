"""Results of attacks as a table of text and in Markdown."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from experiments import tables

# How measures are called in Markdown and, more shortly, in the table, and how they are written.
COLUMNS: dict[str, tuple[str, str, Callable[[Any], str]]] = {
    "success_rate": ("success rate", "success", "{:.4f}".format),
    "mean_distance": ("mean distance", "distance", "{:.3g}".format),
    "median_distance": ("median distance", "median", "{:.3g}".format),
    "success_over_runs": ("success rate, median (range) of runs", "median (range)", str),
    "distance_over_runs": ("mean distance, median (range) of runs", "median (range)", str),
    "model_calls": ("model calls", "model calls", "{:.1f}".format),
    "seconds": ("seconds", "seconds", "{:.3g}".format),
    "standardised_success": ("success rate, standardised", "std. success", "{:+.2f} σ".format),
    "standardised_distance": ("mean distance, standardised", "std. distance", "{:+.2f} σ".format),
    "relative_success": ("success rate, relative", "rel. success", "{:+.1%}".format),
    "relative_distance": ("mean distance, relative", "rel. distance", "{:+.1%}".format),
}


# What ``robustness.Summary`` has of each run, of which rows have the means.
MEASURES = ("success_rate", "mean_distance", "median_distance", "model_calls", "seconds")
Spread = tuple[float, float, float]


# Columns of medians and ranges over runs, with the one whose numbers they are, and the parts of each.
_SPREADS = {"success_over_runs": "success_rate", "distance_over_runs": "mean_distance"}
_PARTS = ("median", "minimum", "maximum")


class Row(NamedTuple):
    """What one attack did to one group of runs: means over them (section 5.5), and how they are spread.

    Attributes:
        model: the group's name.
        runs: how many it has.
        attack: the attack's name.
        success_rate: of the correctly classified samples.
        mean_distance: of the successful ones; None if no run has any.
        median_distance: of the same.
        model_calls: per sample.
        seconds: per sample.
        success_over_runs: median, minimum and maximum over the runs; None for a single one.
        distance_over_runs: the same of the mean distance.
        standardised_success: (x − baseline) / σ, as ``robustness_plot.standardised`` says; None where that is not
            defined, or not asked for.
        standardised_distance: the same of the mean distance.
        relative_success: (x − baseline) / baseline; None where that is not defined, or not asked for.
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
    success_over_runs: Spread | None = None
    distance_over_runs: Spread | None = None
    standardised_success: float | None = None
    standardised_distance: float | None = None
    relative_success: float | None = None
    relative_distance: float | None = None
    semantics: str = "nearest"


def _shown(rows: Sequence[Row]) -> list[str]:
    """The columns that have a value anywhere."""
    return [column for column in COLUMNS if any(getattr(row, column) is not None for row in rows)]


def flat(row: Row) -> dict[str, Any]:
    """A row as CSV has it: every number in a column of its own."""
    values: dict[str, Any] = {}
    for name, value in row._asdict().items():
        if name in _SPREADS:
            values |= {f"{name}_{part}": number for part, number in zip(_PARTS, value or [None] * 3, strict=True)}
        else:
            values[name] = value
    return values


def _cell(row: Row, column: str) -> str:
    value = getattr(row, column)
    if value is None:
        return ""
    if column in _SPREADS:
        median, low, high = map(COLUMNS[_SPREADS[column]][2], value)
        return f"{median} ({low} … {high})"
    return COLUMNS[column][2](value)


def table(rows: Sequence[Row]) -> str:
    """Per attack one line per group, or one line per attack where there is one group only."""
    columns = _shown(rows)
    blocks: dict[str, list] = {}
    for row in rows:
        blocks.setdefault(row.attack, []).append((row.model, [_cell(row, column) for column in columns]))
    heads = [COLUMNS[column][1] for column in columns]
    widths = [30 if column in _SPREADS else 15 for column in columns]
    return tables.grouped(heads, blocks, {row.model: row.runs for row in rows}, [28, *widths], gap=2)


def markdown(rows: Sequence[Row]) -> str:
    """The same as a Markdown table."""
    columns = _shown(rows)
    heads = ["attack", "runs", "number", *(COLUMNS[column][0] for column in columns)]
    lines = [[row.attack, row.model, str(row.runs), *(_cell(row, column) for column in columns)] for row in rows]
    return tables.markdown(heads, lines)
