"""A process that works through units, one after the other: ``python -m experiments.engines.worker FILE``.

The file has the units as ``units.to_json`` writes them. A unit that is done is left alone, one that was begun goes on
after its last finished epoch. The process ends at once when the one that started it does, whose pipe is its input.
"""

import contextlib
import os
import pathlib
import sys
import threading
import time

from experiments import backends, cli
from experiments.engines import units
from experiments.engines.units import Outcome, Unit
from experiments.runs import DivergedError, RunError
from experiments.startup import quiet_import

#: What a unit fails with, in one line.
FAILURES = (RunError, ValueError, OSError, ImportError)


def work(unit: Unit) -> None:
    """Trains and measures a unit, as far as that is not done yet.

    Raises:
        RunError: one line, if it cannot be.
        OSError: if its folder cannot be written to.
    """
    if units.read_outcome(unit):
        return
    compiling = quiet_import("experiments.compiling")
    with compiling.eager() if unit.eager else contextlib.nullcontext():
        _work(unit)


def _work(unit: Unit) -> None:
    series = quiet_import("experiments.series")
    began = time.monotonic()
    try:
        unit.folder.mkdir(parents=True, exist_ok=True)
        if unit.trained and not series.is_finished(unit.folder, unit.config):
            series.train_one(unit.folder, unit.config, unit.pictured)
    except DivergedError as error:
        units.write_outcome(unit, Outcome(str(error), time.monotonic() - began))
        return
    for name, options in unit.measures.items():
        with series.nothing_kept():
            # Where it is needed alone: with foolbox and SciPy it takes nearly as long to import as the rest.
            measures = quiet_import("experiments.engines.measures")
            measures.MEASURES[name](unit.folder, unit.config, options)
    units.write_outcome(unit, Outcome("", time.monotonic() - began))


def _end_with_parent() -> None:
    """Waits for the end of the input, which comes when the process that started this one is no more."""
    while os.read(0, 1):
        pass
    os._exit(1)


def main(argv: list[str]) -> int:
    """Works through the units of a file; a mistake is one line on stderr."""
    if cpus := os.environ.get("LEA_KERAS_CPUS"):
        os.sched_setaffinity(0, {int(cpu) for cpu in cpus.split(",")})
    if os.environ.get("LEA_KERAS_WATCHED"):
        threading.Thread(target=_end_with_parent, daemon=True).start()
    todo = units.from_json(pathlib.Path(argv[1]).read_text(encoding="utf-8"))
    status = 0
    for i, unit in enumerate(todo):
        if i == 0:
            backends.use(unit.config.backend)
        print(f"Unit {i + 1} of {len(todo)}: {unit.folder}", flush=True)
        try:
            work(unit)
        except FAILURES as error:
            status = 1
            print(units.failure(unit, cli.one_line(str(error))), file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv))
