"""The engine of this machine: worker processes that take a few units each, one CPU or several to each.

Nothing here imports Keras.
"""

import collections
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from experiments.engines import units
from experiments.engines.units import Unit

#: How many units a process takes, since what TensorFlow traces is never wholly let go.
UNITS_PER_PROCESS = 12
ROOT = pathlib.Path(__file__).parents[2]
_SECONDS = 0.5  # between two looks at the workers


class _Worker(NamedTuple):
    process: subprocess.Popen
    pack: list[Unit]
    log: pathlib.Path
    cpus: tuple[int, ...]


def packs(todo: Sequence[Unit], parallel: int, most: int = UNITS_PER_PROCESS) -> list[list[Unit]]:
    """Divides units among processes, in their order: none takes more than ``most``, nor more than its share.

    Units of one pack have one backend, since a process cannot change it.
    """
    share = max(1, min(most, -(-len(todo) // max(parallel, 1))))
    divided: list[list[Unit]] = []
    for unit in todo:
        last = divided[-1] if divided else []
        if not last or len(last) == share or last[0].config.backend != unit.config.backend:
            divided.append([])
        divided[-1].append(unit)
    return divided


def run(
    todo: Sequence[Unit], parallel: int, logs: pathlib.Path, done: Callable[[int], None], alone: bool = False
) -> dict[pathlib.Path, str]:
    """Has all units trained and measured, and returns why those failed that did.

    Workers share the CPUs that this process may use; each has its own part of them. A unit whose worker is ended from
    outside has failed; the units that this worker had not come to are given to another one.

    Args:
        todo: the units; those that are done cost next to nothing.
        parallel: how many workers there are at a time; 0: none, all is done in this process.
        logs: the folder of what they print.
        done: is called with how many units are done, again and again.
        alone: whether units are timed, so that they come one after the other on all CPUs.

    Raises:
        OSError: if the folder of logs cannot be written to.
    """
    if not parallel:
        return _run_here(todo, done)
    logs.mkdir(parents=True, exist_ok=True)
    parallel = 1 if alone else parallel
    waiting = collections.deque(packs(todo, parallel))
    free = collections.deque(_cpus(parallel))
    working: list[_Worker] = []
    failed: dict[pathlib.Path, str] = {}
    number = len(list(logs.glob("worker_*.log")))
    with tempfile.TemporaryDirectory() as folder:
        try:
            while waiting or working:
                while waiting and free:
                    number += 1
                    working.append(_start(waiting.popleft(), free.popleft(), pathlib.Path(folder), logs, number))
                time.sleep(_SECONDS)
                for worker in [worker for worker in working if worker.process.poll() is not None]:
                    working.remove(worker)
                    free.append(worker.cpus)
                    worker.process.stdin.close()
                    left = _settle(worker, failed)
                    if left:
                        waiting.appendleft(left)
                done(sum(units.read_outcome(unit) is not None for unit in todo))
        finally:
            for worker in working:
                worker.process.kill()
                worker.process.wait()
                worker.process.stdin.close()
    return failed


def _run_here(todo: Sequence[Unit], done: Callable[[int], None]) -> dict[pathlib.Path, str]:
    from experiments.engines import worker

    failed: dict[pathlib.Path, str] = {}
    for i, unit in enumerate(todo, 1):
        try:
            worker.work(unit)
        except worker.FAILURES as error:
            failed[unit.folder] = str(error)
        done(i)
    return failed


def _cpus(parallel: int) -> list[tuple[int, ...]]:
    """For each worker the CPUs that it may use; nothing where the system does not tell or there are too few."""
    every = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    share = len(every) // parallel
    if not share or parallel == 1:
        return [()] * parallel
    return [tuple(every[i * share : (i + 1) * share]) for i in range(parallel)]


def _start(pack: list[Unit], cpus: tuple[int, ...], folder: pathlib.Path, logs: pathlib.Path, number: int) -> _Worker:
    file, log = folder / f"{number}.json", logs / f"worker_{number:03}.log"
    file.write_text(units.to_json(pack), encoding="utf-8")
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "LEA_KERAS_WATCHED": "1"}
    if cpus:
        environment["LEA_KERAS_CPUS"] = ",".join(map(str, cpus))
    # Or else the first of them would take the whole memory of a GPU that they share, and each would compile anew what
    # others have compiled, which on a GPU takes minutes for a CNN-LEA.
    shared = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    environment = shared | {"JAX_COMPILATION_CACHE_DIR": str(logs.resolve() / "compiled")} | environment
    command = [sys.executable, "-m", "experiments.engines.worker", str(file)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output, env=environment)
    return _Worker(process, pack, log, cpus)


def _settle(worker: _Worker, failed: dict[pathlib.Path, str]) -> list[Unit]:
    """Notes which units of a worker that has ended failed, and returns those that it had not come to."""
    left = [unit for unit in worker.pack if units.read_outcome(unit) is None]
    reasons = units.read_failures(worker.log)
    failed |= {unit.folder: reasons[str(unit.folder)] for unit in left if str(unit.folder) in reasons}
    left = [unit for unit in left if unit.folder not in failed]
    status = worker.process.returncode
    if left:  # the first of them is the one that was being worked on
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        failed[left.pop(0).folder] = f"its process ended with {how}; what it printed is in {worker.log}"
    return left
