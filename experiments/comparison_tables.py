"""Medians and ranges over runs as a table of text and in Markdown."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from experiments import hyperparameters, tables

#: Of each group, the hyperparameters in which groups differ.
Columns = Mapping[str, Mapping[str, Any]]


class Aggregate(NamedTuple):
    """One measure of one group on one split, over its runs."""

    group: str
    runs: int
    split: str
    measure: str
    median: float
    minimum: float
    maximum: float


def table(aggregates: Sequence[Aggregate], columns: Columns | None = None) -> str:
    """Per measure one line per group, or one line per measure where there is one group only.

    Args:
        aggregates: the groups in the order of their lines.
        columns: hyperparameters that stand between a group and its values.
    """
    groups = _counts(aggregates)
    shown = _shown(groups, columns)
    blocks: dict[str, list] = {}
    for label, group, cells in _lines(aggregates, shown):
        blocks.setdefault(label, []).append((group, cells))
    several = any(count > 1 for count in groups.values())
    medians = [f"{split} median" if several else split for split in _splits(aggregates)]
    heads = [*shown, *(head for median in medians for head in (median, "range" if several else ""))]
    widths = [24, *(max(map(len, (name, *values))) + 2 for name, values in shown.items())]
    widths += [width for median in medians for width in (max(13, len(median) + 1), 20)]
    return tables.grouped(heads, blocks, groups, widths, gap=0)


def markdown(aggregates: Sequence[Aggregate], columns: Columns | None = None) -> str:
    """The same as a Markdown table."""
    groups = _counts(aggregates)
    shown = _shown(groups, columns)
    heads = [head for split in _splits(aggregates) for head in (f"{split}, median", "range")]
    lines = [[label.strip(), group, str(groups[group]), *cells] for label, group, cells in _lines(aggregates, shown)]
    return tables.markdown(["measure", "runs", "number", *shown, *heads], lines)


def _counts(aggregates: Sequence[Aggregate]) -> dict[str, int]:
    """How many runs each group has; of a measure there may be fewer, in an epoch that not all have validated."""
    counts: dict[str, int] = {}
    for item in aggregates:
        counts[item.group] = max(item.runs, counts.get(item.group, 0))
    return counts


def _lines(aggregates: Sequence[Aggregate], shown: Mapping[str, list[str]]) -> Iterator[tuple[str, str, list[str]]]:
    """Measure, group and cells of every line: hyperparameters, then median and range on each split."""
    cells = {(item.group, item.split, item.measure): _median_and_range(item) for item in aggregates}
    for name in tables.in_order(item.measure for item in aggregates):
        for i, group in enumerate(dict.fromkeys(item.group for item in aggregates)):
            pairs = [cells.get((group, split, name), ("", "")) for split in _splits(aggregates)]
            if any(median for median, _ in pairs):
                yield tables.label(name), group, [*(values[i] for values in shown.values()), *itertools.chain(*pairs)]


def _splits(aggregates: Sequence[Aggregate]) -> list[str]:
    """The splits that have values."""
    return [split for split in tables.SPLITS if any(item.split == split for item in aggregates)]


def _shown(groups: Mapping[str, int], columns: Columns | None) -> dict[str, list[str]]:
    """Hyperparameters as text: by name, a list of those of all groups."""
    of_groups = [columns[group] for group in groups] if columns else [{}]
    return {name: [hyperparameters.shown(values[name]) for values in of_groups] for name in of_groups[0]}


def _median_and_range(item: Aggregate) -> tuple[str, str]:
    """Both as text; a single run has no range."""
    median, low, high = (tables.number(item.measure, value) for value in item[4:])
    return median, f"{low} … {high}" if item.runs > 1 else ""
