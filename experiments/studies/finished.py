"""Finished runs of a study, from which everything is read that it shows."""

import contextlib
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from experiments import evaluation, networks, whole_networks
from experiments.config import RunConfig
from experiments.engines import units
from experiments.engines.units import Unit
from experiments.runs import RunError
from experiments.series import nothing_kept
from experiments.studies import base
from experiments.studies.base import Series
from lea_keras import callbacks

Values = dict[str, Any]


class Finished:
    """The finished runs of some series; those that diverged are left out, and noted.

    Args:
        folder: of the scale, with a folder for every series.
        series: all of the study.
        data_dir: where TFDS keeps its data sets, for studies without runs.

    Raises:
        RunError: one line, if a run is not finished, or all runs of a series diverged.
    """

    def __init__(self, folder: pathlib.Path, series: Sequence[Series], data_dir: str | None = None) -> None:
        self.data_dir = data_dir
        self.series = {one.name: one for one in series}
        self._units: dict[str, list[Unit]] = {}
        self.notes: list[str] = []
        self.seconds = 0.0
        self.kept: Values = {}  # what a study's ``collect`` leaves for its ``draw``, so that it is made once
        for one in series:
            usable = []
            for unit in base.units([one], folder):
                outcome = units.read_outcome(unit)
                if outcome is None:
                    raise RunError(f"The run {unit.folder} is not finished")
                self.seconds += outcome.seconds
                if outcome.diverged:
                    self.notes.append(f"left out: {one.name}, seed {unit.config.seed}: {outcome.diverged}")
                else:
                    usable.append(unit)
            if not usable:
                raise RunError(f"All runs of {one.name} diverged")
            self._units[one.name] = usable

    def __iter__(self) -> Iterator[str]:
        return iter(self.series)

    def seeds(self, name: str) -> list[int]:
        """Of the runs that can be used."""
        return [unit.config.seed for unit in self._units[name]]

    def epochs(self, name: str, *columns: str) -> Values:
        """Columns of ``metrics.csv`` of every run: by column, for each run a value per epoch, None where it is none."""
        rows = [self._metrics(unit) for unit in self._units[name]]
        return {
            "seeds": self.seeds(name),
            **{column: [[row.get(column) for row in of_run] for of_run in rows] for column in columns},
        }

    @staticmethod
    def _metrics(unit: Unit) -> list[dict[str, float]]:
        hint = "Move its folder away, and the same command makes it anew"
        try:
            rows = callbacks.read_metrics(unit.folder)[: unit.config.epochs]
        except ValueError as error:
            raise RunError(f"{error}. {hint}") from None
        if len(rows) < unit.config.epochs:
            told = f"hold {len(rows)} of {unit.config.epochs} epochs"
            raise RunError(f"The metrics of the finished run {unit.folder} {told}. {hint}")
        return rows

    def last(self, name: str, *columns: str) -> Values:
        """Columns of ``metrics.csv`` after the last epoch: by column a value per run."""
        values = self.epochs(name, *columns)
        return {"seeds": values["seeds"], **{column: [of_run[-1] for of_run in values[column]] for column in columns}}

    def stored(self, name: str, file: str) -> list[dict[str, Any]]:
        """A JSON file of results of every run."""
        return self.own(name, f"{evaluation.FOLDER}/{file}")

    def arrays(self, name: str, file: str, run: int = 0) -> dict[str, np.ndarray]:
        """An NPZ file of results of one of the runs that can be used."""
        with np.load(self._units[name][run].folder / evaluation.FOLDER / file) as arrays:
            return dict(arrays)

    def folder(self, name: str) -> pathlib.Path:
        """Of the first run that can be used."""
        return self._units[name][0].folder

    def own(self, name: str, file: str) -> list[dict[str, Any]]:
        """A JSON file that measures of every run left beside its model."""
        found = []
        for unit in self._units[name]:
            try:
                found.append(json.loads((unit.folder / file).read_text("utf-8")))
            except (FileNotFoundError, ValueError):
                told = f"{unit.folder / file}, a result of a finished run, is gone or damaged"
                raise RunError(f"{told}. Move the run's folder away, and the same command makes it anew") from None
        return found

    @contextlib.contextmanager
    def network(self, name: str, run: int = 0) -> Iterator[keras.Model]:
        """The model that a measure trained in place of a run."""
        with nothing_kept():
            path = self._units[name][run].folder / whole_networks.MODEL_FILE
            model: Any = keras.models.load_model(path, compile=False)
            yield model

    def config(self, name: str, run: int = 0) -> RunConfig:
        """Of one of the runs that can be used."""
        return self._units[name][run].config

    @contextlib.contextmanager
    def model(self, name: str, run: int = 0) -> Iterator[keras.Model]:
        """The model of one of the runs that can be used, after its last epoch."""
        unit = self._units[name][run]
        with networks.precision(unit.config), nothing_kept():
            yield evaluation.load_model(unit.folder, unit.config, unit.config.epochs)

    def data(self, name: str, split: str = "test") -> Any:
        """A split of the data of a series' first run."""
        return evaluation.load_splits(self.series[name].config, [split])[split]
