"""What a job of a cluster does: a pack of runs, each in a process of its own, until they are done or its time is up.

A pack has work for half an hour or more. Before its time limit a job is told so, ends the run that it is at and is
queued again, and that run goes on after its last finished epoch.

Nothing here imports Keras, and nothing but the end of a job imports submitit.
"""

import contextlib
import importlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from experiments.engines import estimates, units
from experiments.engines.units import Unit

#: Seconds of work that a job has at least: starting one takes a cluster up to minutes.
HALF_HOUR = 1800.0
_STALLED = 5  # jobs in a row without an epoch, after which a run is given up


def divide(todo: Iterable[Unit], least: float = HALF_HOUR) -> list[list[Unit]]:
    """Divides units among jobs, in their order, so that each but the last has ``least`` seconds of work or more.

    A last one that has less is a job of its own.
    """
    divided: list[list[Unit]] = []
    seconds = least
    for unit in todo:
        if seconds >= least:
            divided.append([])
            seconds = 0.0
        divided[-1].append(unit)
        seconds += estimates.work(unit)
    return divided


class Pack:
    """What a job does: works through units, each in a process of its own.

    It is pickled on one machine and called on another, again and again until it comes to its end.

    Args:
        text: the units, from ``units.to_json``.
        stalled: how many jobs in a row have ended without an epoch more than before.
    """

    def __init__(self, text: str, stalled: int = 0) -> None:
        self._text, self._stalled = text, stalled
        self._before = 0
        self._process: subprocess.Popen | None = None
        self._current: Unit | None = None
        self._ending = False

    def __call__(self) -> None:
        todo = units.from_json(self._text)
        self._before = self._progress()
        signal.signal(signal.SIGTERM, self._end)
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "unit.json"
            for self._current in todo:
                if units.read_outcome(self._current) is None:
                    self._make(self._current, file)
                while self._ending:  # until Slurm kills this process, or the other signal comes: see `_end`
                    signal.pause()

    def _make(self, unit: Unit, file: pathlib.Path) -> None:
        """Trains and measures a unit; whatever becomes of it, the next one has its turn."""
        file.write_text(units.to_json([unit]), encoding="utf-8")
        command = [sys.executable, "-m", "experiments.engines.worker", str(file)]
        environment = os.environ | {"LEA_KERAS_WATCHED": "1"}
        # A session of its own, so that signals for the job come to this process alone.
        self._process = process = subprocess.Popen(
            command, stdin=subprocess.PIPE, env=environment, start_new_session=True
        )
        while process.poll() is None:  # not `wait`, whose lock `checkpoint` would meet
            time.sleep(0.2)
        if process.returncode < 0 and not self._ending and units.read_outcome(unit) is None:
            how = signal.Signals(-process.returncode).name
            print(units.failure(unit, f"its process ended with signal {how}"), flush=True)

    def _end(self, *_: Any) -> None:
        """On SIGTERM: lets the run go, and begins none.

        That is what ``scancel`` sends, and SIGKILL half a minute later. It also comes before a job is preempted, and
        then Slurm queues it again itself, unless the process ends at once and seems to be through.
        """
        self._ending = True
        self._kill()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)  # its lock goes with it

    def _progress(self) -> int:
        """A number that grows with every epoch and every unit that is finished."""
        total = 0
        for unit in units.from_json(self._text):
            total += units.read_outcome(unit) is not None
            with contextlib.suppress(OSError):
                total += (unit.folder / "metrics.csv").read_bytes().count(b"\n")
        return total

    def checkpoint(self) -> Any:
        """Called by submitit before the time limit: what the job does when it is started again; None: it is not."""
        self._kill()
        text, stalled = self._text, 0 if self._progress() > self._before else self._stalled + 1
        if stalled >= _STALLED and self._current:
            told = f"{stalled} jobs in a row ended before an epoch or a measurement of it did; give them more minutes"
            print(units.failure(self._current, told), flush=True)
            rest = [unit for unit in units.from_json(text) if unit.folder != self._current.folder]
            if not any(units.read_outcome(unit) is None for unit in rest):
                return None
            text, stalled = units.to_json(rest), 0
        return import_submitit("helpers").DelayedSubmission(Pack(text, stalled))


def import_submitit(name: str) -> ModuleType:
    """A module of submitit, without the handlers of logs that it sets up, for which it closes those of other libraries.

    In a job it has been imported before, with them.
    """
    variable = "SUBMITIT_LOG_LEVEL"
    before = os.environ.get(variable)
    os.environ[variable] = "NOCONFIG"
    try:
        return importlib.import_module(f"submitit.{name}")
    finally:
        del os.environ[variable]
        if before is not None:
            os.environ[variable] = before
