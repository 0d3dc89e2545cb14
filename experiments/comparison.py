"""Runs side by side: runs that differ in their seeds alone become one line, their median and range."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments import agreement, epochs, evaluation, hyperparameters, pictures, runs, tables
from experiments.comparison_tables import Aggregate, markdown, table
from experiments.config import RunConfig
from experiments.results import Results
from experiments.runs import RunError
from lea_keras import callbacks

FILES = ("comparison.json", "comparison.csv", "comparison.md")


class Run(NamedTuple):
    """A run, judged by one of its epochs.

    Attributes:
        path: its folder.
        config: its configuration.
        rows: of its ``metrics.csv``.
        evaluated: what ``evaluation.evaluate`` found, by split, if it did so after that epoch; else None.
        epoch: the number of that epoch, the first being 1.
    """

    path: pathlib.Path
    config: RunConfig
    rows: list[dict[str, float]]
    evaluated: dict[str, dict[str, float]] | None
    epoch: int

    def of_row(self) -> dict[str, dict[str, float]]:
        """The measures of the epoch in ``metrics.csv``, by split."""
        return tables.of_row(self.rows[self.epoch - 1], self.config)


class Group(NamedTuple):
    """Runs that differ in their seeds alone, in the order of the seeds.

    Attributes:
        name: what their folders have in common.
        runs: at least one.
        differs: by name, the hyperparameters of these runs that are not those of all groups.
    """

    name: str
    runs: list[Run]
    differs: dict[str, Any]

    @property
    def config(self) -> RunConfig:
        """The configuration of the first run."""
        return self.runs[0].config


def compare(folders: Sequence[pathlib.Path], results: Results, epoch: epochs.Choice = epochs.LAST) -> str:
    """Compares runs by one epoch of each, stores the comparison and returns it as a table.

    Args:
        folders: of the runs; those that have not finished, or not the epoch, are left out, and the table says so.
        results: where everything goes.
        epoch: "last", "best" or a number.

    Raises:
        RunError: one line, if a run is damaged or none is left.
        OSError: if the results cannot be written.
    """
    compared, notes = read_runs(folders, epoch)
    groups = group_runs(compared)
    aggregates, source = aggregate(groups, epoch)
    notes = [*_of_data_sets(groups), *notes, *_of_epochs(groups, epoch)]
    columns = {group.name: group.differs for group in groups}
    text = "\n".join([table(aggregates, columns), *notes, source])
    try:
        results.reserve([*FILES, pictures.CURVES])
    except ValueError as error:
        raise RunError(str(error)) from None
    about = {"source": source, "epoch": epoch, "notes": notes}
    results.write_json(FILES[0], about | {"groups": _described(groups, aggregates)})
    results.write_csv(FILES[1], [_csv_row(item, columns[item.group], epoch) for item in aggregates])
    results.write_text(FILES[2], markdown(aggregates, columns) + "".join(f"\n{line}\n" for line in [*notes, source]))
    _draw(groups, results)
    return text


def _of_data_sets(groups: Sequence[Group]) -> list[str]:
    """A warning where values stand side by side that say nothing about each other."""
    names = list(dict.fromkeys(group.config.dataset for group in groups))
    if len(names) == 1:
        return []
    return [f"Different data sets: {', '.join(names)}. Values of one cannot be compared with those of another."]


def _of_epochs(groups: Sequence[Group], epoch: epochs.Choice) -> list[str]:
    """Which epochs are the best ones, and a warning where test data say so."""
    if epoch != epochs.BEST:
        return []
    numbers = [f"{group.name} {', '.join(str(run.epoch) for run in group.runs)}" for group in groups]
    return [f"Best epochs: {'; '.join(numbers)}", *epochs.notes(epoch, _configs(groups))]


def _configs(groups: Sequence[Group]) -> list[RunConfig]:
    return [group.config for group in groups]


def _csv_row(item: Aggregate, differs: Mapping[str, Any], epoch: epochs.Choice) -> dict[str, Any]:
    row = item._asdict()
    about = {name: row.pop(name) for name in ("group", "runs")}
    return about | {name: hyperparameters.cell(value) for name, value in differs.items()} | {"epoch": epoch} | row


def _draw(groups: Sequence[Group], results: Results) -> None:
    several = len({group.config.dataset for group in groups}) > 1
    datasets = [f", {group.config.dataset}" if several else "" for group in groups]
    # Folders are often called after the data already.
    names = [g.name if data[2:] in g.name else g.name + data for g, data in zip(groups, datasets, strict=True)]
    curves = {
        name: pictures.Curves(group.config, [run.rows for run in group.runs])
        for name, group in zip(names, groups, strict=True)
    }
    pictures.of_comparison(curves, results)


def read_runs(folders: Sequence[pathlib.Path], epoch: epochs.Choice = epochs.LAST) -> tuple[list[Run], list[str]]:
    """Returns those runs that are finished or, of an epoch by its number, have got so far, and a line about each other.

    Raises:
        RunError: one line, if a run is damaged or none is left.
    """
    whole = epoch in (epochs.LAST, epochs.BEST)
    compared, notes = [], []
    for path in folders:
        try:
            config = runs.load_config(path)
            rows = callbacks.read_metrics(path)
            agreement.check_run(path, config)
        except ValueError as error:
            raise RunError(str(error)) from None
        number = epochs.choose(rows, epoch, config)
        if len(rows) < (config.epochs if whole else epoch):
            notes.append(f"left out: {path}, {len(rows)} of {config.epochs} epochs finished")
        elif number is None:
            notes.append(f"left out: {path}, no {config.validates_on} {_judged_by(config)} in its metrics")
        else:
            compared.append(Run(path, config, rows, _evaluated(path, config, number), number))
    if not compared:
        raise RunError(f"None of the runs {'is finished' if whole else f'has epoch {epoch}'}; {'; '.join(notes)}")
    return compared, notes


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    """Measures by their names of today; "main_loss" was the only loss once, and RLN that of the split."""
    if "main_loss" not in values:
        return dict(values)
    renamed = {name: f"{name}_split" if name.endswith("_rln") else name for name in values}
    return {(renamed | {"main_loss": "crossentropy"})[name]: value for name, value in values.items()}


def _judged_by(config: RunConfig) -> str:
    return tables.label(epochs.judged_by(config))


def _evaluated(path: pathlib.Path, config: RunConfig, epoch: int) -> dict[str, dict[str, float]] | None:
    """What is in a run's own evaluation folder, unless it is of another epoch or not of all splits."""
    file = path / evaluation.FOLDER / evaluation.RESULTS_JSON
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        splits = {
            split: {name: float(value) for name, value in _named(stored["splits"][split]).items()}
            for split in config.splits
        }
        return splits if stored["epochs"] == epoch else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def group_runs(found: Sequence[Run]) -> list[Group]:
    """Puts runs together whose configurations differ in their seeds alone, in the order of their hyperparameters."""
    members: dict[RunConfig, list[Run]] = {}
    for run in found:
        members.setdefault(hyperparameters.of_run(run.config), []).append(run)
    ordered = [sorted(group, key=lambda run: run.config.seed) for group in members.values()]
    differs = hyperparameters.differing([group[0].config for group in ordered])
    groups = [Group(*parts) for parts in zip(_names(ordered), ordered, differs, strict=True)]
    return sorted(groups, key=lambda group: hyperparameters.place(group.differs))


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


def aggregate(groups: Sequence[Group], epoch: epochs.Choice = epochs.LAST) -> tuple[list[Aggregate], str]:
    """Medians and ranges of every measure, and a line that says where the values come from.

    From evaluations, if every run has one; else from a row of every ``metrics.csv``: never from both, since a run's
    training values there are means over its epoch, while the weights changed.

    Args:
        groups: of runs.
        epoch: the choice by which ``read_runs`` has read them.
    """
    every = [run for group in groups for run in group.runs]
    evaluated = all(run.evaluated is not None for run in every)
    found = []
    for split in tables.SPLITS:
        for group in groups:
            of_runs = [(run.evaluated if evaluated else run.of_row()).get(split, {}) for run in group.runs]
            for name in tables.in_order(of_runs[0]):
                values = [of_run[name] for of_run in of_runs if name in of_run]
                about = (group.name, len(values), split, name)
                found.append(Aggregate(*about, float(np.median(values)), min(values), max(values)))
    chosen = epochs.described(epoch, _configs(groups))
    if evaluated:
        return found, f"Values: what evaluate.py --run_dir found of every run, whole splits after {chosen}."
    return found, (
        f"Values: {chosen.removeprefix('the ')} of every metrics.csv; train: means over it, while the weights changed."
    )


def _described(groups: Sequence[Group], aggregates: Sequence[Aggregate]) -> list[dict[str, Any]]:
    """All that was compared, for JSON."""
    described = []
    for group in groups:
        shared = dataclasses.asdict(group.config)
        members = [
            {
                "path": str(run.path),
                "seed": run.config.seed,
                "epoch": run.epoch,
                "of_epoch": run.of_row(),
                "last_epoch": tables.of_row(run.rows[-1], run.config),
                "evaluated": run.evaluated,
            }
            for run in group.runs
        ]
        config = {name: value for name, value in shared.items() if name in hyperparameters.NAMES}
        values: dict[str, dict[str, Any]] = {}
        for item in aggregates:
            if item.group == group.name:
                numbers = {"median": item.median, "minimum": item.minimum, "maximum": item.maximum}
                values.setdefault(item.split, {})[item.measure] = numbers
        about = {"name": group.name, "differs": group.differs, "config": config}
        described.append(about | {"runs": members, "splits": values})
    return described
