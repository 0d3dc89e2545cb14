"""Medians and ranges over runs as a table of text and in Markdown."""

from collections.abc import Mapping, Sequence
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
    cells, groups, splits = _cells(aggregates), _groups(aggregates), _splits(aggregates)
    titles = {group: f"{group}, {count} run" + "s" * (count > 1) for group, count in groups.items()}
    names = tables.in_order(item.measure for item in aggregates)
    width = max(24, *(len(tables.label(name)) + 2 for name in names))
    if len(groups) == 1:
        lines = list(titles.values())
    else:
        lines, width = [], max(width, *(len(title) + 4 for title in titles.values()))
    shown = _shown(groups, columns)
    fields = {name: max(map(len, (name, *values))) + 2 for name, values in shown.items()}
    several = any(count > 1 for count in groups.values())
    heads = [(f"{split} median" if several else split, "range" if several else "") for split in splits]
    widths = [max(13, len(head) + 1) for head, _ in heads]
    lines.append(
        f"{'':{width}}"
        + "".join(f"{name:>{field}}" for name, field in fields.items())
        + "".join(f"{head:>{wide}}{spread:>20}" for (head, spread), wide in zip(heads, widths, strict=True))
    )
    for name in names:
        if len(groups) > 1:
            lines.append(tables.label(name))
        for i, group in enumerate(groups):
            of_splits = [cells.get((group, split, name), ("", "")) for split in splits]
            if any(median for median, _ in of_splits):
                left = tables.label(name) if len(groups) == 1 else f"    {titles[group]}"
                lines.append(
                    f"{left:{width}}"
                    + "".join(f"{shown[name][i]:>{field}}" for name, field in fields.items())
                    + "".join(f"{cell[0]:>{wide}}{cell[1]:>20}" for cell, wide in zip(of_splits, widths, strict=True))
                )
    return "\n".join(line.rstrip() for line in lines)


def markdown(aggregates: Sequence[Aggregate], columns: Columns | None = None) -> str:
    """The same as a Markdown table."""
    cells, groups, splits = _cells(aggregates), _groups(aggregates), _splits(aggregates)
    shown = _shown(groups, columns)
    heads = ["measure", "runs", "number", *shown, *(head for split in splits for head in (f"{split}, median", "range"))]
    lines = [f"| {' | '.join(heads)} |", "|---|---|" + "--:|" * (len(heads) - 2)]
    for name in tables.in_order(item.measure for item in aggregates):
        for i, (group, count) in enumerate(groups.items()):
            of_splits = [cells.get((group, split, name), ("", "")) for split in splits]
            if any(median for median, _ in of_splits):
                values = [tables.label(name).strip(), group, str(count), *(of_all[i] for of_all in shown.values())]
                values += [text for cell in of_splits for text in cell]
                lines.append(f"| {' | '.join(value.replace('|', chr(92) + '|') for value in values)} |")
    return "\n".join(lines) + "\n"


def _groups(aggregates: Sequence[Aggregate]) -> dict[str, int]:
    """The number of runs of every group."""
    return {item.group: item.runs for item in aggregates}


def _splits(aggregates: Sequence[Aggregate]) -> list[str]:
    """The splits that have values."""
    return [split for split in tables.SPLITS if any(item.split == split for item in aggregates)]


def _shown(groups: Mapping[str, int], columns: Columns | None) -> dict[str, list[str]]:
    """Hyperparameters as text: by name, a list of those of all groups."""
    of_groups = [columns[group] for group in groups] if columns else [{}]
    return {name: [hyperparameters.shown(values[name]) for values in of_groups] for name in of_groups[0]}


def _cells(aggregates: Sequence[Aggregate]) -> dict[tuple[str, str, str], tuple[str, str]]:
    """Median and range as text, by (group, split, measure); a single run has no range."""
    cells = {}
    for item in aggregates:
        median, low, high = (tables.number(item.measure, value) for value in item[4:])
        cells[item.group, item.split, item.measure] = (median, f"{low} … {high}" if item.runs > 1 else "")
    return cells
