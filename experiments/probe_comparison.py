"""Probes of runs side by side: medians and ranges over seeds, and one picture of all models (thesis Fig. 5.4)."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments import comparison, evaluation, probing, tables
from experiments.comparison import Group, Run
from experiments.config import checks
from experiments.results import Results
from experiments.runs import RunError
from lea_keras.plots import probe_plot
from lea_keras.probes import Probe

FILES = ("probes.json", "probes.csv", "probes.md", "probes.png")
_SPLITS = {"test": "accuracy", "training": "train_accuracy"}


class Row(NamedTuple):
    """The accuracy of one probe of one group, over its runs."""

    group: str
    runs: int
    layer: str
    factor: str
    split: str
    median: float
    minimum: float
    maximum: float
    chance: float


def compare(folders: Sequence[pathlib.Path], results: Results) -> str:
    """Compares what ``evaluate.py --probes`` found of runs, stores the comparison and returns it as a table.

    Args:
        folders: of the runs.
        results: where everything goes.

    Raises:
        RunError: one line, if a run has not finished or was not probed, or runs were probed differently.
        OSError: if the results cannot be written.
    """
    runs, notes = comparison.read_runs(folders)
    groups = comparison.group_runs(runs)
    stored = {run.path: _stored(run) for run in runs}
    settings = _shared_settings(stored)
    probes = {group.name: [_probes(stored[run.path]) for run in group.runs] for group in groups}
    _check_alike(groups, probes)
    rows = [row for name, of_runs in probes.items() for row in _rows(name, of_runs)]
    images = settings.pop("images")
    note = probing.note(next(iter(probes.values()))[0], images, probing.Settings(**settings))
    try:
        results.reserve(FILES)
    except ValueError as error:
        raise RunError(str(error)) from None
    about = {"images": images} | settings | {"notes": notes}
    results.write_json(FILES[0], about | {"probes": [row._asdict() for row in rows]})
    results.write_csv(FILES[1], [row._asdict() for row in rows])
    heads = ["layer", "group", "runs", "factor", "split", "median", "range", "chance"]
    cells = [[row.layer, row.group, str(row.runs), row.factor, row.split, *_values(row)] for row in rows]
    results.write_text(FILES[2], tables.markdown(heads, cells) + "".join(f"\n{line}\n" for line in notes))
    results.write_picture(FILES[3], probe_plot.comparison(probes, note))
    return "\n".join([_table(rows), *notes, f"Probes {note}".replace("\n", "; ")])


def _stored(run: Run) -> dict[str, Any]:
    file = run.path / evaluation.FOLDER / probing.FILES[0]
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        known = {"train_accuracy", "accuracy", "layer"} <= set(stored["probes"][0])
        if known and stored["epochs_of_run"] == len(run.rows):
            return stored
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, TypeError, IndexError):
        raise RunError(f"The probes of the run are damaged: {file}") from None
    raise RunError(f"The run {run.path} has no probes of its last epoch: call evaluate.py --run_dir=… --probes first")


def _shared_settings(stored: dict[pathlib.Path, dict[str, Any]]) -> dict[str, Any]:
    """How all runs were probed: "images", how many, and the fields of ``probing.Settings``."""
    names = ("images", *probing.Settings._fields)
    shared: dict[str, Any] = {}
    for path, of_run in stored.items():
        settings = {name: of_run[name] for name in names}
        shared = shared or settings
        for name in names:
            if settings[name] != shared[name]:
                told = f"{name} is {settings[name]} for {path}, and {shared[name]} for others"
                raise RunError(f"Runs must be probed alike: {told}")
    return shared


def _probes(stored: dict[str, Any]) -> list[Probe]:
    return [Probe(**row) for row in stored["probes"]]


def _check_alike(groups: Sequence[Group], probes: dict[str, list[list[Probe]]]) -> None:
    depths = {name: len({probe.layer for probe in of_runs[0]}) for name, of_runs in probes.items()}
    if len(set(depths.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in depths.items())
        raise RunError(f"Only models of as many layers can share a picture of probes. Received: {told}")
    for group in groups:
        if len({tuple((probe.layer, probe.factor) for probe in of_run) for of_run in probes[group.name]}) > 1:
            raise RunError(str(checks.fail("compare", "runs of which the same layers were probed", group.name)))


def _rows(name: str, of_runs: Sequence[Sequence[Probe]]) -> list[Row]:
    rows = []
    for several in zip(*of_runs, strict=True):
        first = several[0]
        for split, field in _SPLITS.items():
            values = [getattr(probe, field) for probe in several]
            about = (name, len(values), first.layer, first.factor, split)
            rows.append(Row(*about, float(np.median(values)), min(values), max(values), first.chance))
    return rows


def _values(row: Row) -> list[str]:
    spread = f"{row.minimum:.4f} … {row.maximum:.4f}" if row.runs > 1 else ""
    return [f"{row.median:.4f}", spread, f"{row.chance:.4f}"]


def _table(rows: Sequence[Row]) -> str:
    """Medians: for each group and split a line per layer, and a column per factor."""
    factors = list(dict.fromkeys(row.factor for row in rows))
    lines = []
    for group in dict.fromkeys(row.group for row in rows):
        for split in _SPLITS:
            chosen = {(row.layer, row.factor): row for row in rows if (row.group, row.split) == (group, split)}
            runs = next(iter(chosen.values())).runs
            title = f"{group}, {split}, {runs} run" + ("s, median" if runs > 1 else "")
            lines.append((title, *factors))
            for layer in dict.fromkeys(layer for layer, _ in chosen):
                lines.append((f"  {layer}", *(f"{chosen[layer, factor].median:.4f}" for factor in factors)))
    width = max(24, *(len(line[0]) + 2 for line in lines))
    return "\n".join(tables.aligned(lines, [width] + [12] * len(factors)))
