"""The engine of a cluster: runs packed into Slurm jobs by submitit, and in a job one process for each run.

A pack of runs is one job, of half an hour or more, and all packs are one job array, or several where the cluster's
``MaxArraySize`` asks for it. Before its time limit a job is told so, ends the run that it is at and is queued again,
and that run goes on after its last finished epoch; Slurm itself queues a job again whose node died. Nothing is asked of
Slurm's accounting, which many clusters and all of one node are without: what has become of jobs is read off ``squeue``,
and what has become of runs off their folders.

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
import importlib
import json
import math
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

from experiments import cli, extras
from experiments.config import checks
from experiments.engines import estimates, units
from experiments.engines.local import ROOT
from experiments.engines.units import Unit
from experiments.runs import RunError

Engine = Callable[..., dict[pathlib.Path, str]]

#: Seconds of work that a job has at least: starting one takes a cluster up to minutes.
HALF_HOUR = 1800.0
MINUTES = 60
FOLDER = "slurm"  # of submitit's files and of what jobs print, in the folder of logs
_SHORTEST, _LONGEST = 1.0, 30.0  # seconds between two looks at the queue, which is everybody's
_LATE = 15.0  # seconds that a file may need to be seen from another machine
_PATIENCE = 60  # seconds within which Slurm answers
_WARNING = 90  # seconds before the time limit that a job is told of it, or up to a minute earlier, as Slurm has it
_STALLED = 5  # jobs in a row without an epoch, after which a run is given up
_REQUEUED = 1_000_000  # how often a job may be queued again: as often as it gets on
_ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED"),
    *("NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
}
# Options of sbatch that are the engine's own, and those that have a flag.
_OWN = {
    *("array", "chdir", "error", "job-name", "no-requeue", "nodes", "ntasks", "ntasks-per-node", "open-mode", "output"),
    *("parsable", "quiet", "requeue", "signal", "test-only", "wait", "wrap"),
}
_FLAGS = {"gpus-per-node": "slurm_gpus", "partition": "slurm_partition", "time": "slurm_minutes"}


class Settings(NamedTuple):
    """What is asked of the cluster for every job.

    Attributes:
        partition: None for the cluster's own.
        gpus: of a job.
        minutes: after which a job ends, to be queued again.
        options: others of sbatch.
    """

    partition: str | None = None
    gpus: int = 0
    minutes: int = MINUTES
    options: Mapping[str, str] = {}

    def of_sbatch(self) -> dict[str, str]:
        """As options of sbatch, without submitit's and the engine's own."""
        found = {"time": str(self.minutes), **self.options}
        found |= {"partition": self.partition} if self.partition else {}
        return found | ({"gpus-per-node": str(self.gpus)} if self.gpus else {})


class _Array(NamedTuple):
    """Submitted jobs: their name in the queue, and by index in it the absolute folders of each job's runs."""

    name: str
    packs: dict[int, list[str]]

    def jobs(self) -> list[tuple[str, int]]:
        return [(self.name, index) for index in self.packs]

    def folders(self) -> set[str]:
        return {folder for pack in self.packs.values() for folder in pack}


class _Job(NamedTuple):
    """What the queue says of a job."""

    id: str
    state: str


def start(options: Mapping[str, Any]) -> Engine:
    """Checks what is asked of the cluster and returns its engine, which is called as ``local.run`` is.

    How many jobs run at a time is the cluster's matter, whatever ``parallel`` says.

    Args:
        options: of ``slurm_partition``, ``slurm_gpus``, ``slurm_minutes`` and ``slurm_options`` those that were given.

    Raises:
        ValueError: one line, for a value that cannot be, or if submitit or Slurm is missing or does not answer.
    """
    settings = Settings(
        options.get("slurm_partition"),
        checks.check_positive_int("slurm_gpus", options.get("slurm_gpus", 0), minimum=0),
        checks.check_positive_int("slurm_minutes", options.get("slurm_minutes", MINUTES)),
        read_options(options["slurm_options"]) if "slurm_options" in options else {},
    )
    _check_installed()
    configuration = _ask("scontrol", "show", "config")
    _check_partition(settings)
    _check_accepted(settings, options.get("slurm_options", ""))
    return functools.partial(run, settings=settings, largest=read_largest_array(configuration))


def read_options(text: str) -> dict[str, str]:
    """ "account=x,mem=8G,nodelist=a,b" → {"account": "x", "mem": "8G", "nodelist": "a,b"}: names as sbatch has them.

    A comma begins a new option where a name and "=" come after it.

    Raises:
        ValueError: one line, for anything else, a name that comes twice, or one that is not the user's to choose.
    """
    found: dict[str, str] = {}
    for part in re.split(r",(?=[A-Za-z][\w-]*=)", text):
        name, _, value = part.partition("=")
        name = name.replace("_", "-")
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name) or not value or not value.isprintable():
            raise checks.fail("slurm_options", "options of sbatch, as in account=mine,mem=8G", text)
        if name in _FLAGS:
            raise checks.fail("slurm_options", f"without {name}, for which there is --{_FLAGS[name]}", text)
        if name in _OWN:
            raise checks.fail("slurm_options", f"without {name}, which the engine chooses itself", text)
        if name in found:
            raise checks.fail("slurm_options", f"with one {name}", text)
        found[name] = value
    return found


def read_largest_array(configuration: str) -> int:
    """How many jobs an array may have, from what ``scontrol show config`` prints: indices are below MaxArraySize."""
    size = re.search(r"^MaxArraySize\s*=\s*(\d+)", configuration, re.M)
    return max(1, int(size[1]) - 1) if size else 1


def packs(todo: Iterable[Unit], least: float = HALF_HOUR) -> list[list[Unit]]:
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
        return _import_submitit("helpers").DelayedSubmission(Pack(text, stalled))


def run(
    todo: Sequence[Unit],
    parallel: int,
    logs: pathlib.Path,
    done: Callable[[int], None],
    alone: bool = False,
    *,
    settings: Settings,
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
    planned = packs(unit for path, unit in left.items() if path not in taken)
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
        _cancel(arrays)
        _forget(folder, arrays)
        raise KeyboardInterrupt("Its Slurm jobs were cancelled.") from None
    _forget(folder, arrays)
    return failed | _settle(arrays, jobs, left, folder)


def _submit(some: Sequence[Sequence[Unit]], name: str, folder: pathlib.Path, settings: Settings, alone: bool) -> str:
    """Submits jobs as one array; returns why they were refused, or nothing."""
    executors = _import_submitit("slurm.slurm")
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
                executor.submit(Pack(units.to_json(pack)))
    except RuntimeError as error:
        return _refusal(str(error))
    return ""


def _import_submitit(name: str) -> ModuleType:
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


def _wait(
    arrays: Sequence[_Array], left: Sequence[Unit], finished: int, done: Callable[[int], None]
) -> dict[tuple[str, int], _Job]:
    """Waits until all jobs have ended, and returns what the queue said of each at last."""
    last: dict[tuple[str, int], _Job] = {}
    there = {job for array in arrays for job in array.jobs()}
    looks: collections.Counter[tuple[str, int]] = collections.Counter()
    unfinished = list(left)
    began = time.monotonic()
    while there:
        time.sleep(min(_LONGEST, max(_SHORTEST, (time.monotonic() - began) / 20)))
        queue = _read_queue()
        for job in list(there) if queue is not None else ():
            if job in queue:
                last[job] = queue[job]
            # Twice, since a job that is queued again may be between two states.
            looks[job] = looks[job] + 1 if job not in queue or queue[job].state in _ENDED else 0
            if looks[job] == 2:
                there.remove(job)
        unfinished = [unit for unit in unfinished if units.read_outcome(unit) is None]
        done(finished + len(left) - len(unfinished))
    return last


def _settle(
    arrays: Sequence[_Array], jobs: Mapping[tuple[str, int], _Job], left: Mapping[str, Unit], folder: pathlib.Path
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
                about = jobs.get(job, _Job("", ""))
                log = folder / f"{about.id}_0_log.out" if about.id else folder
                reasons = units.read_failures(log)
                for unit in missing:
                    late |= str(unit.folder) not in reasons and about.state not in _ENDED - {"COMPLETED"}
                    how = f"ended as {about.state}" if about.state in _ENDED else "left the queue"
                    lost = " ".join(["its job", *filter(None, [about.id]), how])
                    reason = reasons.get(str(unit.folder), lost)
                    failed[unit.folder] = f"{reason}; what it printed is in {log}"
        if not late or time.monotonic() > deadline:
            return failed
        time.sleep(_SHORTEST)  # what a node has written may not be seen here yet


def _read_queue() -> dict[tuple[str, int], _Job] | None:
    """This user's jobs, and those that ended minutes ago, by name and index; None where Slurm does not answer."""
    command = ["squeue", "--noheader", "--array", "--states=all", f"--user={os.getuid()}", "--format=%i|%T|%j"]
    try:
        text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_PATIENCE).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = {}
    for line in text.splitlines():
        if match := re.fullmatch(r"(\d+(?:_(\d+))?)\|(\w+)\|(.*)", line.strip()):
            found[match[4], int(match[2] or 0)] = _Job(match[1], match[3])
    return found


def _cancel(arrays: Iterable[_Array]) -> None:
    for array in arrays:
        command = ["scancel", "--quiet", f"--user={os.getuid()}", f"--name={array.name}"]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE)


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
            packs = json.loads(path.read_text(encoding="utf-8"))
            noted.append(_Array(path.stem, {int(index): pack for index, pack in packs.items()}))
    if not noted:
        return []
    queue = _read_queue()
    if queue is None:
        raise RunError("Slurm does not tell whether jobs of a former call are still there: squeue failed")
    there = {job for job, seen in queue.items() if seen.state not in _ENDED}
    arrays = [
        _Array(name, {index: pack for index, pack in packs.items() if (name, index) in there}) for name, packs in noted
    ]
    _forget(folder, [array for array in arrays if not array.packs])
    return [array for array in arrays if array.packs]


def _forget(folder: pathlib.Path, arrays: Iterable[_Array]) -> None:
    for array in arrays:
        (folder / f"{array.name}.json").unlink(missing_ok=True)


def _check_installed() -> None:
    extras.check_installed("--engine=slurm", "submitit", "submitit", "slurm")
    missing = [name for name in ("sbatch", "squeue", "scancel", "scontrol", "srun") if shutil.which(name) is None]
    if missing:
        raise ValueError(
            f"--engine=slurm needs Slurm's commands, of which {', '.join(missing)} cannot be found: log in to a "
            "machine of the cluster that has them, or install them (Debian: slurm-client), or choose --engine=local"
        )


def _check_partition(settings: Settings) -> None:
    """Refuses a partition that there is not, and a time limit that keeps jobs waiting in it for ever."""
    lines = [line.split("|") for line in _ask("sinfo", "--noheader", "--all", "--format=%R|%P|%l").splitlines()]
    limits = {name: limit for name, _, limit in lines}
    chosen = [name for name, shown, _ in lines if shown.endswith("*")]
    if settings.partition is not None:
        # Of several Slurm takes the one that is free first.
        chosen = [checks.check_choice("slurm_partition", name, limits) for name in settings.partition.split(",")]
    most = max((read_minutes(limits[name]) for name in chosen), default=math.inf)
    if settings.minutes > most:
        raise checks.fail("slurm_minutes", f"at most {most:g}, the limit of {' and '.join(chosen)}", settings.minutes)


def read_minutes(text: str) -> float:
    """A duration as Slurm prints it, in minutes: "30:00", "2:00:00", "1-12:00:00"; infinite for what is none."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text)
    if not match:
        return math.inf
    days, hours, minutes, _ = (int(part or 0) for part in match.groups())
    return days * 1440 + hours * 60 + minutes


def _check_accepted(settings: Settings, text: str) -> None:
    """Has sbatch look at the options without submitting anything."""
    command = ["sbatch", "--test-only", *(f"--{name}={value}" for name, value in settings.of_sbatch().items())]
    done = _call(*command, "--wrap=true")
    # Nodes that are down at the moment may be up when the jobs have their turn.
    if done.returncode == 0 or "down, drained or reserved" in done.stderr:
        return
    said = _refusal(done.stderr)
    if settings.options:
        raise checks.fail("slurm_options", "options that sbatch accepts", text, hint=f"It says: {said}.")
    given = {"slurm_partition": settings.partition, "slurm_gpus": settings.gpus, "slurm_minutes": settings.minutes}
    received = ", ".join(f"{name}={value}" for name, value in given.items() if value)
    raise ValueError(f"Slurm would refuse such jobs: {said}. Received: {received}")


def _ask(*command: str) -> str:
    """What a command of Slurm prints.

    Raises:
        ValueError: one line, if it fails.
    """
    done = _call(*command)
    if done.returncode:
        raise ValueError(f"Slurm does not answer: {_refusal(done.stderr)}")
    return done.stdout


def _call(*command: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError) as error:
        raise ValueError(f"Slurm does not answer: {cli.one_line(str(error))}") from None


def _refusal(text: str) -> str:
    """The reason in what commands of Slurm print on failure, without their names and the lines around it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(sbatch|scontrol|sinfo|allocation failure|.*: error:)", line)]
    told = (errors or lines or ["no reason given"])[0]
    return cli.one_line(re.sub(r"^(\w+: |allocation failure: )?((error|fatal): )?", "", told)).rstrip(".")
