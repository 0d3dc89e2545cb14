"""Runs side by side: runs that differ in their seeds alone become one line, their median and range."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lea_keras import callbacks
from models import evaluation, pictures, runs, tables
from models.configs import RunConfig
from models.results import Results
from models.runs import RunError

FILES = ("comparison.json", "comparison.csv", "comparison.md")
# What may differ between runs that are one line. Runs of different lengths are not.
OF_NO_MATTER = ("seed", "data_dir", "download")


class Run(NamedTuple):
    """A finished run.

    Attributes:
        path: its folder.
        config: its configuration.
        rows: of its ``metrics.csv``.
        evaluated: what ``evaluation.evaluate`` found, by split, if it did so after the last epoch; else None.
    """

    path: pathlib.Path
    config: RunConfig
    rows: list[dict[str, float]]
    evaluated: dict[str, dict[str, float]] | None


class Group(NamedTuple):
    """Runs that differ in their seeds alone, in the order of the seeds."""

    name: str
    runs: list[Run]


class Aggregate(NamedTuple):
    """One measure of one group on one split, over its runs."""

    group: str
    runs: int
    split: str
    measure: str
    median: float
    minimum: float
    maximum: float


def compare(folders: Sequence[pathlib.Path], results: Results) -> str:
    """Compares finished runs, stores the comparison and returns it as a table.

    Args:
        folders: of the runs; those that are not finished are left out, and the table says so.
        results: where everything goes.

    Raises:
        RunError: one line, if a run is damaged or none is finished.
        OSError: if the results cannot be written.
    """
    found, notes = read_runs(folders)
    groups = group_runs(found)
    aggregates, source = aggregate(groups)
    text = "\n".join([table(aggregates), *notes, source])
    try:
        results.reserve([*FILES, pictures.CURVES])
    except ValueError as error:
        raise RunError(str(error)) from None
    results.write_json(FILES[0], _described(groups, aggregates, source))
    results.write_csv(FILES[1], [item._asdict() for item in aggregates])
    results.write_text(FILES[2], markdown(aggregates) + "".join(f"\n{line}\n" for line in [*notes, source]))
    pictures.of_comparison({group.name: [run.rows for run in group.runs] for group in groups}, results)
    return text


def read_runs(folders: Sequence[pathlib.Path]) -> tuple[list[Run], list[str]]:
    """Returns those runs that are finished, and a line about each that is not.

    Raises:
        RunError: one line, if a run is damaged or none is finished.
    """
    found, notes = [], []
    for path in folders:
        try:
            config = runs.load_config(path)
            rows = callbacks.read_metrics(path)
        except ValueError as error:
            raise RunError(str(error)) from None
        if len(rows) < config.epochs:
            notes.append(f"left out: {path}, {len(rows)} of {config.epochs} epochs finished")
        else:
            found.append(Run(path, config, rows, _evaluated(path, len(rows))))
    if not found:
        raise RunError(f"None of the runs is finished; {'; '.join(notes)}")
    return found, notes


def _evaluated(path: pathlib.Path, epochs: int) -> dict[str, dict[str, float]] | None:
    """What is in a run's own evaluation folder, unless it is of another epoch or of one split only."""
    file = path / evaluation.FOLDER / evaluation.RESULTS_JSON
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        splits = {
            split: {name: float(value) for name, value in stored["splits"][split].items()} for split in tables.SPLITS
        }
        return splits if stored["epochs"] == epochs else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def group_runs(found: Sequence[Run]) -> list[Group]:
    """Puts runs together whose configurations differ in their seeds alone, in the order in which they came."""
    members: dict[RunConfig, list[Run]] = {}
    for run in found:
        members.setdefault(_without_seed(run.config), []).append(run)
    ordered = [sorted(group, key=lambda run: run.config.seed) for group in members.values()]
    return [Group(name, group) for name, group in zip(_names(ordered), ordered, strict=True)]


def _without_seed(config: RunConfig) -> RunConfig:
    return config.replace(**{name: getattr(RunConfig, name) for name in OF_NO_MATTER})


def _names(groups: Sequence[Sequence[Run]]) -> list[str]:
    """Names of groups that differ: the shortest ends of their paths that do, without numbers that stand for seeds."""
    paths = [[_readable(part) for part in _common(group).resolve().parts[1:]] for group in groups]
    for length in range(1, max(map(len, paths)) + 1):
        names = ["/".join(path[-length:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [f"{name} ({i})" for i, name in enumerate(names, 1)]


def _readable(name: str) -> str:
    """A file's name as it can be drawn and written: one that is no valid UTF-8 has � in place of what is not."""
    return os.fsencode(name).decode("utf-8", "replace")


def _common(group: Sequence[Run]) -> pathlib.Path:
    """What the folders of a group have in common: "runs/a" of "runs/a/000", "runs/a/001", and of "runs/a_0", …"""
    paths = [run.path.resolve() for run in group]
    if len(paths) == 1:
        return paths[0]
    parents = {path.parent for path in paths}
    start = os.path.commonprefix([path.name for path in paths]).rstrip("0123456789").rstrip("_-. ")
    if len(parents) == 1 and start:
        return paths[0].with_name(start)
    return pathlib.Path(os.path.commonpath(paths))


def aggregate(groups: Sequence[Group]) -> tuple[list[Aggregate], str]:
    """Medians and ranges of every measure, and a line that says where the values come from.

    From evaluations, if every run has one; else from the last row of every ``metrics.csv``: never from both, since a
    run's training values there are means over its last epoch, while the weights changed.
    """
    every = [run for group in groups for run in group.runs]
    evaluated = all(run.evaluated is not None for run in every)
    found = []
    for split in tables.SPLITS:
        for group in groups:
            of_runs = [run.evaluated[split] if evaluated else tables.of_row(run.rows[-1])[split] for run in group.runs]
            for name in tables.in_order(of_runs[0]):
                values = [of_run[name] for of_run in of_runs if name in of_run]
                about = (group.name, len(values), split, name)
                found.append(Aggregate(*about, float(np.median(values)), min(values), max(values)))
    if evaluated:
        return found, "Values: what evaluate.py --run_dir found of every run, whole splits after the last epoch."
    return found, "Values: last epoch of every metrics.csv; train: means over it, while the weights changed."


def table(aggregates: Sequence[Aggregate]) -> str:
    """Per measure one line per group, or one line per measure where there is one group only."""
    cells = _cells(aggregates)
    groups = list(dict.fromkeys(item.group for item in aggregates))
    counts = {item.group: item.runs for item in aggregates}
    titles = {group: f"{group}, {counts[group]} run" + "s" * (counts[group] > 1) for group in groups}
    names = tables.in_order(item.measure for item in aggregates)
    width = max(24, *(len(tables.label(name)) + 2 for name in names))
    if len(groups) == 1:
        lines = [titles[groups[0]]]
    else:
        lines, width = [], max(width, *(len(title) + 4 for title in titles.values()))
    several = any(count > 1 for count in counts.values())
    heads = [(f"{split} median" if several else split, "range" if several else "") for split in tables.SPLITS]
    lines.append(f"{'':{width}}" + "".join(f"{head:>13}{spread:>20}" for head, spread in heads))
    for name in names:
        if len(groups) > 1:
            lines.append(tables.label(name))
        for group in groups:
            found = [cells.get((group, split, name), ("", "")) for split in tables.SPLITS]
            if any(found_of_split[0] for found_of_split in found):
                left = tables.label(name) if len(groups) == 1 else f"    {titles[group]}"
                lines.append(f"{left:{width}}" + "".join(f"{median:>13}{spread:>20}" for median, spread in found))
    return "\n".join(line.rstrip() for line in lines)


def markdown(aggregates: Sequence[Aggregate]) -> str:
    """The same as a Markdown table."""
    cells = _cells(aggregates)
    counts = {item.group: item.runs for item in aggregates}
    lines = [
        "| measure | runs | number | train, median | range | test, median | range |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for name in tables.in_order(item.measure for item in aggregates):
        for group, count in counts.items():
            found = [cells.get((group, split, name), ("", "")) for split in tables.SPLITS]
            if any(found_of_split[0] for found_of_split in found):
                values = [tables.label(name).strip(), group.replace("|", "\\|"), str(count), *found[0], *found[1]]
                lines.append(f"| {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def _cells(aggregates: Sequence[Aggregate]) -> dict[tuple[str, str, str], tuple[str, str]]:
    """Median and range as text, by (group, split, measure); a single run has no range."""
    found = {}
    for item in aggregates:
        median, low, high = (tables.number(item.measure, value) for value in item[4:])
        found[item.group, item.split, item.measure] = (median, f"{low} … {high}" if item.runs > 1 else "")
    return found


def _described(groups: Sequence[Group], aggregates: Sequence[Aggregate], source: str) -> dict[str, Any]:
    """All that was compared, for JSON."""
    described = []
    for group in groups:
        shared = dataclasses.asdict(_without_seed(group.runs[0].config))
        members = [
            {
                "path": str(run.path),
                "seed": run.config.seed,
                "last_epoch": tables.of_row(run.rows[-1]),
                "evaluated": run.evaluated,
            }
            for run in group.runs
        ]
        config = {name: value for name, value in shared.items() if name not in OF_NO_MATTER}
        values = {split: {} for split in tables.SPLITS}
        for item in aggregates:
            if item.group == group.name:
                numbers = {"median": item.median, "minimum": item.minimum, "maximum": item.maximum}
                values[item.split][item.measure] = numbers
        described.append({"name": group.name, "config": config, "runs": members, "splits": values})
    return {"source": source, "groups": described}
