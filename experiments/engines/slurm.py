"""The engine of a cluster: runs packed into Slurm jobs by submitit, and in a job one process for each run.

All packs are one job array, or several where the cluster's ``MaxArraySize`` asks for it. Slurm itself queues a job
again whose node died. What has become of jobs is read off ``squeue``, and what has become of runs off their folders.

The folder of runs must be on a file system that all nodes share. A run's lock goes with its process there, too (see
``lea_keras.locks``): on NFS the server drops it, at the latest when the lease of a node that died has run out, and
Slurm waits for longer than that before it starts a job again.

Interrupted with Ctrl-C, the engine cancels its jobs, as that of this machine ends its processes **(chosen)**. If it
ends in any other way, as where a connection is lost, its jobs go on; called again, it takes them over and submits what
is in none of them.

Nothing here imports Keras, and nothing but a submission imports submitit.
"""

import collections
import contextlib
import functools
import json
import os
import pathlib
import shlex
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from experiments.config import checks
from experiments.engines import cluster, packs, units
from experiments.engines.local import ROOT
from experiments.engines.units import Unit
from experiments.runs import RunError

Engine = Callable[..., dict[pathlib.Path, str]]

FOLDER = "slurm"  # of submitit's files and of what jobs print, in the folder of logs
_SHORTEST, _LONGEST = 1.0, 30.0  # seconds between two looks at the queue, which is everybody's
_LATE = 15.0  # seconds that a file may need to be seen from another machine
_WARNING = 90  # seconds before the time limit that a job is told of it, or up to a minute earlier, as Slurm has it
_REQUEUED = 1_000_000  # how often a job may be queued again: as often as it gets on


class _Array(NamedTuple):
    """Submitted jobs: their name in the queue, and by index in it the absolute folders of each job's runs."""

    name: str
    packs: dict[int, list[str]]

    def jobs(self) -> list[tuple[str, int]]:
        return [(self.name, index) for index in self.packs]

    def folders(self) -> set[str]:
        return {folder for pack in self.packs.values() for folder in pack}


def start(options: Mapping[str, Any]) -> Engine:
    """Checks what is asked of the cluster and returns its engine, which is called as ``local.run`` is.

    How many jobs run at a time is the cluster's matter, whatever ``parallel`` says.

    Args:
        options: of ``slurm_partition``, ``slurm_gpus``, ``slurm_minutes`` and ``slurm_options`` those that were given.

    Raises:
        ValueError: one line, for a value that cannot be, or if submitit or Slurm is missing or does not answer.
    """
    settings = cluster.Settings(
        options.get("slurm_partition"),
        checks.check_positive_int("slurm_gpus", options.get("slurm_gpus", 0), minimum=0),
        checks.check_positive_int("slurm_minutes", options.get("slurm_minutes", cluster.MINUTES)),
        cluster.read_options(options["slurm_options"]) if "slurm_options" in options else {},
    )
    cluster.check_installed()
    configuration = cluster.ask("scontrol", "show", "config")
    cluster.check_partition(settings)
    cluster.check_accepted(settings, options.get("slurm_options", ""))
    return functools.partial(run, settings=settings, largest=cluster.read_largest_array(configuration))


def run(
    todo: Sequence[Unit],
    parallel: int,
    logs: pathlib.Path,
    done: Callable[[int], None],
    alone: bool = False,
    *,
    settings: cluster.Settings,
    largest: int,
) -> dict[pathlib.Path, str]:
    """Has all units trained and measured on the cluster, and returns why those failed that did.

    Jobs of a former call that are still there are waited for, and their units submitted to no other.

    Args:
        todo: the units; those that are done cost next to nothing.
        parallel: as many as the cluster likes run at a time, whatever it is.
        logs: the folder of what they print.
        done: is called with how many units are done, again and again.
        alone: whether units are timed, so that a job has a node to itself.
        settings: what is asked of the cluster for every job.
        largest: how many jobs an array may have.

    Raises:
        OSError: if the folder of logs cannot be written to.
        RunError: one line, if Slurm does not tell what has become of jobs of a former call.
        KeyboardInterrupt: with a line on what has become of the jobs.
    """
    folder = logs / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    left = {str(unit.folder.absolute()): unit for unit in todo if units.read_outcome(unit) is None}
    arrays = [array for array in _read_records(folder) if not array.folders().isdisjoint(left)]
    taken = {path for array in arrays for path in array.folders()}
    planned = packs.divide(unit for path, unit in left.items() if path not in taken)
    failed: dict[pathlib.Path, str] = {}
    try:
        for i in range(0, len(planned), largest):
            some = planned[i : i + largest]
            folders = {index: [str(unit.folder.absolute()) for unit in pack] for index, pack in enumerate(some)}
            array = _Array(f"lea-{uuid.uuid4().hex[:8]}", folders)
            arrays.append(array)
            _write_record(folder, array)
            if refusal := _submit(some, array.name, folder, settings, alone):
                failed |= {unit.folder: f"Slurm refused its job: {refusal}" for pack in some for unit in pack}
                arrays.remove(array)
                _forget(folder, [array])
        jobs = _wait(arrays, list(left.values()), len(todo) - len(left), done)
    except KeyboardInterrupt:
        for array in arrays:
            cluster.cancel(array.name)
        _forget(folder, arrays)
        raise KeyboardInterrupt("Its Slurm jobs were cancelled.") from None
    _forget(folder, arrays)
    return failed | _settle(arrays, jobs, left, folder)


def _submit(
    some: Sequence[Sequence[Unit]], name: str, folder: pathlib.Path, settings: cluster.Settings, alone: bool
) -> str:
    """Submits jobs as one array; returns why they were refused, or nothing."""
    executors = packs.import_submitit("slurm.slurm")
    # srun has to be told what sbatch was told, since Slurm 22.05; the rest is for `-m experiments…` on a node.
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    setup = [
        '[ -z "${SLURM_CPUS_PER_TASK:-}" ] || export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"',
        f"export PYTHONPATH={shlex.quote(paths)}",
    ]
    try:
        executor = executors.SlurmExecutor(folder, max_num_timeout=_REQUEUED)
        executor.update_parameters(
            job_name=name,
            time=settings.minutes,
            signal_delay_s=min(_WARNING, 5 * settings.minutes),
            array_parallelism=len(some),
            stderr_to_stdout=True,
            wckey=None,
            exclusive=alone or None,
            setup=setup,
            srun_args=["--cpu-bind=none"],  # one task, which may use all that the job has
            additional_parameters={"requeue": True, **settings.of_sbatch()},
        )
        with executor.batch():
            for pack in some:
                executor.submit(packs.Pack(units.to_json(pack)))
    except RuntimeError as error:
        return cluster.read_refusal(str(error))
    return ""


def _wait(
    arrays: Sequence[_Array], left: Sequence[Unit], finished: int, done: Callable[[int], None]
) -> dict[tuple[str, int], cluster.Job]:
    """Waits until all jobs have ended, and returns what the queue said of each at last."""
    last: dict[tuple[str, int], cluster.Job] = {}
    there = {job for array in arrays for job in array.jobs()}
    looks: collections.Counter[tuple[str, int]] = collections.Counter()
    unfinished = list(left)
    began = time.monotonic()
    while there:
        time.sleep(min(_LONGEST, max(_SHORTEST, (time.monotonic() - began) / 20)))
        queue = cluster.read_queue()
        for job in list(there) if queue is not None else ():
            if job in queue:
                last[job] = queue[job]
            # Twice, since a job that is queued again may be between two states.
            looks[job] = looks[job] + 1 if job not in queue or queue[job].state in cluster.ENDED else 0
            if looks[job] == 2:
                there.remove(job)
        unfinished = [unit for unit in unfinished if units.read_outcome(unit) is None]
        done(finished + len(left) - len(unfinished))
    return last


def _settle(
    arrays: Sequence[_Array],
    jobs: Mapping[tuple[str, int], cluster.Job],
    left: Mapping[str, Unit],
    folder: pathlib.Path,
) -> dict[pathlib.Path, str]:
    """Why those units failed that are not done although their jobs have ended."""
    deadline = time.monotonic() + _LATE
    while True:
        failed, late = {}, False
        for array in arrays:
            for job, pack in zip(array.jobs(), array.packs.values(), strict=True):
                missing = [left[path] for path in pack if path in left and units.read_outcome(left[path]) is None]
                if not missing:
                    continue
                about = jobs.get(job, cluster.Job("", ""))
                log = folder / f"{about.id}_0_log.out" if about.id else folder
                reasons = units.read_failures(log)
                for unit in missing:
                    late |= str(unit.folder) not in reasons and about.state not in cluster.ENDED - {"COMPLETED"}
                    how = f"ended as {about.state}" if about.state in cluster.ENDED else "left the queue"
                    lost = " ".join(["its job", *filter(None, [about.id]), how])
                    reason = reasons.get(str(unit.folder), lost)
                    failed[unit.folder] = f"{reason}; what it printed is in {log}"
        if not late or time.monotonic() > deadline:
            return failed
        time.sleep(_SHORTEST)  # what a node has written may not be seen here yet


def _write_record(folder: pathlib.Path, array: _Array) -> None:
    """Notes what is in jobs before they are submitted, for a later call."""
    (folder / f"{array.name}.json").write_text(json.dumps(array.packs), encoding="utf-8")


def _read_records(folder: pathlib.Path) -> list[_Array]:
    """The jobs of former calls that are still in the queue; what is noted of arrays that have none goes.

    Raises:
        RunError: one line, if Slurm does not tell.
    """
    noted = []
    for path in sorted(folder.glob("lea-*.json")):
        with contextlib.suppress(OSError, ValueError):
            record = json.loads(path.read_text(encoding="utf-8"))
            noted.append(_Array(path.stem, {int(index): pack for index, pack in record.items()}))
    if not noted:
        return []
    queue = cluster.read_queue()
    if queue is None:
        raise RunError("Slurm does not tell whether jobs of a former call are still there: squeue failed")
    there = {job for job, seen in queue.items() if seen.state not in cluster.ENDED}
    arrays = [
        _Array(array.name, {index: pack for index, pack in array.packs.items() if (array.name, index) in there})
        for array in noted
    ]
    _forget(folder, [array for array in arrays if not array.packs])
    return [array for array in arrays if array.packs]


def _forget(folder: pathlib.Path, arrays: Iterable[_Array]) -> None:
    for array in arrays:
        (folder / f"{array.name}.json").unlink(missing_ok=True)
