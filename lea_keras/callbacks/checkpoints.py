"""Checkpoints with metrics, from which an interrupted run goes on, and how to read them."""

import csv
import os
import pathlib
import shutil
import time
from typing import Any

import keras

METRICS_FILE = "metrics.csv"
MODEL_FILE = "model.keras"
CHECKPOINT_FOLDER = "checkpoints"


class RunCheckpoint(keras.callbacks.Callback):
    """Keeps a run folder from which training can go on, whenever and however it was interrupted.

    After every epoch the folder holds:

    - ``checkpoints/epoch_0003.keras``: the model after the epoch (the third here), with its optimizers;
    - ``metrics.csv``: a row per finished epoch: its number, every training and validation metric, its seconds;
    - ``model.keras``: the same model again.

    Everything is written under another name and then renamed, first the checkpoint, then the metrics, and only then
    older checkpoints go. So the last row of ``metrics.csv`` always names a complete checkpoint; ``last_checkpoint``
    finds it. To continue, load it and ``fit(…, initial_epoch=its epoch)`` with this callback again.

    Args:
        run_dir: the run's folder; it is made if need be.
    """

    def __init__(self, run_dir: str | os.PathLike[str]) -> None:
        super().__init__()
        self.run_dir = pathlib.Path(run_dir)
        self._rows: list[dict[str, float]] = []
        self._started = time.monotonic()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        (self.run_dir / CHECKPOINT_FOLDER).mkdir(parents=True, exist_ok=True)
        self._rows = read_metrics(self.run_dir)
        self._tidy()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        row = {"epoch": epoch + 1}
        row |= {name: float(value) for name, value in (logs or {}).items()}
        row["seconds"] = round(time.monotonic() - self._started, 3)
        checkpoint = checkpoint_path(self.run_dir, epoch + 1)
        temporary = checkpoint.with_name(f"{checkpoint.stem}.tmp.keras")  # Keras insists on the ending
        try:
            self.model.save(temporary)
            _flush(temporary)
        except OSError:
            temporary.unlink(missing_ok=True)  # on a full disk, half a model would only be in the way
            raise
        os.replace(temporary, checkpoint)
        self._rows = [former for former in self._rows if former["epoch"] <= epoch] + [row]
        _write_rows(self.run_dir / METRICS_FILE, self._rows)
        self._tidy()

    def _tidy(self) -> None:
        """Brings ``model.keras`` up to date, removes older checkpoints and what an interruption left half written."""
        publish_model(self.run_dir)
        _, keep = last_checkpoint(self.run_dir)
        for path in (self.run_dir / CHECKPOINT_FOLDER).glob("epoch_*.keras"):
            if path != keep:
                path.unlink(missing_ok=True)


def checkpoint_path(run_dir: str | os.PathLike[str], epoch: int) -> pathlib.Path:
    """Where ``RunCheckpoint`` keeps the model after ``epoch`` epochs."""
    return pathlib.Path(run_dir) / CHECKPOINT_FOLDER / f"epoch_{epoch:04}.keras"


def read_metrics(run_dir: str | os.PathLike[str]) -> list[dict[str, float]]:
    """Reads the ``metrics.csv`` of a run.

    Args:
        run_dir: the run's folder.

    Returns:
        One dictionary per finished epoch, in order; empty where none has finished.

    Raises:
        ValueError: one line, if the file holds anything but numbers under names, epochs 1, 2, … among them.
        OSError: if the file is there but cannot be read.
    """
    path = pathlib.Path(run_dir) / METRICS_FILE
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        return []
    try:
        numbers = [{name: float(value) for name, value in row.items() if value != ""} for row in rows]
        epochs = [row["epoch"] for row in numbers]
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"The metrics of the run are damaged: {path}") from None
    if epochs != list(range(1, len(rows) + 1)):
        raise ValueError(f"The metrics of the run are damaged, epochs are missing: {path}")
    return [row | {"epoch": int(row["epoch"])} for row in numbers]


def last_checkpoint(run_dir: str | os.PathLike[str]) -> tuple[int, pathlib.Path | None]:
    """Finds what a run can continue from.

    Args:
        run_dir: the run's folder.

    Returns:
        How many epochs have finished, and the model after them (None after 0 epochs).

    Raises:
        ValueError: one line, if the metrics are damaged or the checkpoint that they name is missing.
    """
    rows = read_metrics(run_dir)
    if not rows:
        return 0, None
    path = checkpoint_path(run_dir, int(rows[-1]["epoch"]))
    if not path.is_file():
        raise ValueError(f"The checkpoint of epoch {len(rows)}, the last in {METRICS_FILE}, is missing: {path}")
    return len(rows), path


def publish_model(run_dir: str | os.PathLike[str]) -> None:
    """Makes ``model.keras`` the last checkpoint, if there is one: another name for it where the file system has that.

    ``RunCheckpoint`` does so after every epoch, and an interruption may come just before it.
    """
    _, checkpoint = last_checkpoint(run_dir)
    if checkpoint is None:
        return
    path = pathlib.Path(run_dir) / MODEL_FILE
    if path.exists() and path.samefile(checkpoint):
        return
    temporary = path.with_name(f"{MODEL_FILE}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(checkpoint, temporary)
    except OSError:
        shutil.copyfile(checkpoint, temporary)
    os.replace(temporary, path)


def write_atomically(path: str | os.PathLike[str], contents: str | bytes) -> None:
    """Writes a file that is complete under its name or, after an interruption, not changed at all; text as UTF-8."""
    path = pathlib.Path(path)
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_bytes(contents.encode("utf-8") if isinstance(contents, str) else contents)
    _flush(temporary)
    os.replace(temporary, path)


def _write_rows(path: pathlib.Path, rows: list[dict[str, float]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row if name != "seconds")) + ["seconds"]
    lines = [",".join(names)] + [",".join(repr(row[name]) if name in row else "" for name in names) for row in rows]
    write_atomically(path, "\n".join(lines) + "\n")


def _flush(path: pathlib.Path) -> None:
    """Brings a file to the disk, so that renaming it cannot come before its contents in a power cut."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
