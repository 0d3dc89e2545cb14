"""Checkpoints with metrics, from which an interrupted run goes on, and how to read them."""

import csv
import errno
import os
import pathlib
import re
import shutil
import threading
import time
import warnings
import weakref
import zipfile
from typing import Any

import keras

from lea_keras.checks import check_path, fail
from lea_keras.locks import Lock
from lea_keras.utils import flush, write_atomically

METRICS_FILE = "metrics.csv"
MODEL_FILE = "model.keras"
CHECKPOINT_FOLDER = "checkpoints"
KEPT = 2  # checkpoints: if something happens to the last one, the one before it is there to go on from
_CHECKPOINT = re.compile(r"epoch_(\d{4,})(\.tmp)?\.keras")
_MEMBERS = ("config.json", "model.weights.h5")  # of a .keras file


class RunCheckpoint(keras.callbacks.Callback):
    """Keeps a run folder from which training can go on, whenever and however it was interrupted.

    After every epoch the folder holds:

    - ``checkpoints/epoch_0003.keras``: the model after the epoch (the third here), with its optimizers, and the one
      before it, so that a run takes twice the space of its model;
    - ``metrics.csv``: a row per finished epoch: its number, every training and validation metric, its seconds;
    - ``model.keras``: the last model again, by another name for the same file where the file system has that.

    Everything is written under another name and then renamed, first the checkpoint, then the metrics, and only then
    older checkpoints go. So the last row of ``metrics.csv`` always names a complete checkpoint; ``last_checkpoint``
    finds it. To continue, load it and ``fit(…, initial_epoch=its epoch)`` with this callback again.

    Finished epochs never become fewer: ``fit`` must begin after the last one, and only one training at a time has the
    folder. It is locked while training lasts (see ``lea_keras.locks``).

    Args:
        run_dir: the run's folder; it is made if need be.
        lock: whether to lock it; False where the caller does.

    Raises:
        ValueError: for a ``run_dir`` that is no path; from ``fit``, before the first step, if ``initial_epoch`` is not
            the number of finished epochs or the folder is damaged.
        BlockingIOError: from ``fit``, if another training has the folder or has written to it meanwhile.
        OSError: from ``fit``, if the folder cannot be written to.

    Warns:
        UserWarning: where the file system has no locks.
    """

    model: keras.Model  # set by Keras before any of its calls

    def __init__(self, run_dir: str | os.PathLike[str], lock: bool = True) -> None:
        super().__init__()
        self.run_dir = pathlib.Path(check_path("run_dir", run_dir))
        self.lock = lock
        self._rows: list[dict[str, float]] = []
        self._begun = False
        self._lock: Lock | None = None
        self._thread = threading.current_thread()
        self._started = time.monotonic()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self.lock:
            self._take_lock()
        (self.run_dir / CHECKPOINT_FOLDER).mkdir(parents=True, exist_ok=True)
        self._begun = False

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._lock is not None:
            self._lock.release()

    def _take_lock(self) -> None:
        """Locks the folder, also if an earlier training of this thread was interrupted and has it still."""
        key, thread = self.run_dir.resolve(), threading.current_thread()
        former = _TRAININGS.get(key)
        if former is not None and (former._thread is thread or not former._thread.is_alive()):
            former.on_train_end()
        self._lock, self._thread = Lock(self.run_dir), thread
        _TRAININGS[key] = self
        if self._lock.missing:
            warnings.warn(self._lock.missing, stacklevel=2)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._begun:
            try:
                self._begin(epoch)
            except (ValueError, OSError):
                self.on_train_end()  # which does not come any more
                raise
        self._started = time.monotonic()

    def _begin(self, epoch: int) -> None:
        finished, checkpoint = last_checkpoint(self.run_dir)
        if epoch != finished:
            hint = "Load its last checkpoint and go on from there, or choose a new folder, since no epoch is ever lost."
            raise fail("initial_epoch", f"{finished}, the finished epochs in {self.run_dir}", epoch, hint)
        self._rows = read_metrics(self.run_dir)
        self._begun = True
        self._tidy(finished, checkpoint)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        row = {"epoch": epoch + 1}
        row |= {name: float(value) for name, value in (logs or {}).items()}
        row["seconds"] = round(time.monotonic() - self._started, 3)
        if len(read_metrics(self.run_dir)) != len(self._rows):  # where a file system has no locks
            raise BlockingIOError(errno.EWOULDBLOCK, "another training has written to it", str(self.run_dir))
        checkpoint = checkpoint_path(self.run_dir, epoch + 1)
        temporary = checkpoint.with_name(f"{checkpoint.stem}.tmp.keras")  # Keras insists on the ending
        try:
            self.model.save(temporary)
            flush(temporary)
        except OSError:
            temporary.unlink(missing_ok=True)  # on a full disk, half a model would only be in the way
            raise
        os.replace(temporary, checkpoint)
        self._rows = [former for former in self._rows if former["epoch"] <= epoch] + [row]
        _write_rows(self.run_dir / METRICS_FILE, self._rows)
        self._tidy(epoch + 1, checkpoint)

    def _tidy(self, finished: int, checkpoint: pathlib.Path | None) -> None:
        """Brings ``model.keras`` up to date, removes older checkpoints and what an interruption left half written."""
        if checkpoint is not None:
            _publish(self.run_dir, checkpoint)
        for path, epoch, temporary in _checkpoints(self.run_dir):
            if temporary or epoch <= finished - KEPT:
                path.unlink(missing_ok=True)


# Who trains in a folder: an error ends ``fit`` without a word to its callbacks, and they may live on.
_TRAININGS: "weakref.WeakValueDictionary[pathlib.Path, RunCheckpoint]" = weakref.WeakValueDictionary()


def checkpoint_path(run_dir: str | os.PathLike[str], epoch: int) -> pathlib.Path:
    """Where ``RunCheckpoint`` keeps the model after ``epoch`` epochs."""
    return pathlib.Path(check_path("run_dir", run_dir)) / CHECKPOINT_FOLDER / f"epoch_{epoch:04}.keras"


def _checkpoints(run_dir: str | os.PathLike[str]) -> list[tuple[pathlib.Path, int, bool]]:
    """Checkpoints that are there, in order: the file, its epoch, and whether it is only half written."""
    names = [(path, _CHECKPOINT.fullmatch(path.name)) for path in checkpoint_path(run_dir, 0).parent.glob("epoch_*")]
    return sorted((path, int(match[1]), bool(match[2])) for path, match in names if match)


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
    path = pathlib.Path(check_path("run_dir", run_dir)) / METRICS_FILE
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
        numbers = [{name: float(value) for name, value in row.items() if value != ""} for row in rows]
        epochs = [row["epoch"] for row in numbers]
    except FileNotFoundError:
        return []
    except (csv.Error, KeyError, TypeError, ValueError):
        raise ValueError(f"The metrics of the run are damaged: {path}") from None
    if not rows or epochs != list(range(1, len(rows) + 1)):
        raise ValueError(f"The metrics of the run are damaged, epochs are missing: {path}")
    return [row | {"epoch": int(row["epoch"])} for row in numbers]


def last_checkpoint(run_dir: str | os.PathLike[str]) -> tuple[int, pathlib.Path | None]:
    """Finds what a run can continue from: the model after its last finished epoch.

    Where that file is damaged or missing, it is the one before it, if that is whole: then the epochs returned are one
    less than the rows of ``read_metrics``. Both files may be read to their ends.

    Args:
        run_dir: the run's folder.

    Returns:
        How many epochs have finished, and the model after them (None after 0 epochs).

    Raises:
        ValueError: one line, if the metrics are damaged or both checkpoints are damaged or missing.
    """
    rows = len(read_metrics(run_dir))
    latest = max((epoch for _, epoch, temporary in _checkpoints(run_dir) if not temporary), default=0)
    if latest > rows + 1:  # one more may have been finished when an interruption came before its row
        there = checkpoint_path(run_dir, latest)
        raise ValueError(f"The metrics of the run are damaged: {METRICS_FILE} has {rows} epochs, but there is {there}")
    if not rows:
        return 0, None
    for epoch in range(rows, max(rows - KEPT, 0), -1):
        path = checkpoint_path(run_dir, epoch)
        if checkpoint_damage(path) is None:
            return epoch, path
    path = checkpoint_path(run_dir, rows)
    if not path.exists():
        raise ValueError(f"The checkpoint of epoch {rows}, the last in {METRICS_FILE}, is missing: {path}")
    raise ValueError(f"The checkpoint {path} cannot be loaded: it is damaged ({checkpoint_damage(path)})")


def checkpoint_damage(path: str | os.PathLike[str]) -> str | None:
    """Why a file is not a whole ``.keras`` file, in a few words; None if it is one, as far as its checksums say.

    Raises:
        OSError: if it is there but cannot be read.
    """
    path = pathlib.Path(check_path("path", path, "the path of a file"))
    if not path.is_file():
        return "it is no file" if path.exists() else "it is missing"
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                missing = sorted({*_MEMBERS} - {*archive.namelist()})
                wrong = f"{missing[0]} is missing in it" if missing else archive.testzip()
        except Exception as error:  # zipfile has no one error for all that damage can do to an archive
            return " ".join(str(error).split()) or type(error).__name__
    return wrong if missing or wrong is None else f"the checksum of {wrong} is wrong"


def publish_model(run_dir: str | os.PathLike[str]) -> None:
    """Makes ``model.keras`` the last checkpoint, if there is one: another name for it where the file system has that.

    ``RunCheckpoint`` does so after every epoch, and an interruption may come just before it.
    """
    _, checkpoint = last_checkpoint(run_dir)
    if checkpoint is not None:
        _publish(pathlib.Path(check_path("run_dir", run_dir)), checkpoint)


def _publish(run_dir: pathlib.Path, checkpoint: pathlib.Path) -> None:
    path = run_dir / MODEL_FILE
    if path.exists() and path.samefile(checkpoint):
        return
    temporary = path.with_name(f"{MODEL_FILE}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(checkpoint, temporary)
    except OSError:
        shutil.copyfile(checkpoint, temporary)
    os.replace(temporary, path)


def _write_rows(path: pathlib.Path, rows: list[dict[str, float]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row if name != "seconds")) + ["seconds"]
    lines = [",".join(names)] + [",".join(repr(row[name]) if name in row else "" for name in names) for row in rows]
    write_atomically(path, "\n".join(lines) + "\n")
