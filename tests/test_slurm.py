"""The engine of a cluster: what it plans and refuses, and runs on a real Slurm that lose their process, job or time."""

import contextlib
import functools
import importlib.util
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from backends import once
from command_checks import metrics, the_line

import study
from experiments import extras
from experiments.config import RunConfig
from experiments.engines import cluster as commands
from experiments.engines import packs, slurm, units
from experiments.engines.units import Unit

ROOT = pathlib.Path(__file__).parents[1]
CLUSTER = ROOT / "tests" / "slurm_cluster.sh"
TINY = RunConfig(
    **{"model": "pool_fc", "dataset": "sprites", "window_size": 4, "image_size": 16, "limit": 64, "test_limit": 32},
    **{"seed": 3, "backend": "jax"},
)
COMMANDS = ("slurmctld", "slurmd", "sbatch", "munged")

pytestmark = once


def missing():
    """Why there is no cluster here; empty where there can be one."""
    absent = [name for name in COMMANDS if shutil.which(name) is None]
    if absent:
        return f"{', '.join(absent)} of Debian's slurm-wlm and munge are not installed"
    if importlib.util.find_spec("submitit") is None:
        return "submitit is not installed"
    return "" if os.geteuid() == 0 else "only root starts Slurm"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if reason := missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run([CLUSTER, "start", folder], capture_output=True, text=True, timeout=60)
    try:
        assert started.returncode == 0, started.stderr
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
            patch.setattr(slurm, "_LONGEST", 0.5)
            yield folder
    finally:
        subprocess.run([CLUSTER, "stop", folder], check=True)


@pytest.fixture
def workers(jax_environment, tmp_path, monkeypatch):
    """The environment of jobs whose processes start quickly: under JAX, without what takes seconds to import."""
    for name, value in jax_environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "without").mkdir()
    for name in ("tensorflow", "sklearn", "matplotlib"):
        (tmp_path / "without" / f"{name}.py").write_text('raise ImportError("not needed here")')
    paths = [tmp_path / "without", *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, paths)))


def make_units(folder, count, **fields):
    return [Unit(folder / f"{i:03}", TINY.replace(seed=i, **fields)) for i in range(count)]


def test_several_arrays_where_one_is_too_small(tmp_path, monkeypatch):
    sizes = []

    def submit(some, name, folder, settings, alone):
        sizes.append(len(some))
        record = json.loads((folder / f"{name}.json").read_text())
        assert list(record.values()) == [[str(pack[0].folder)] for pack in some]
        return "no more jobs" if len(sizes) == 3 else ""

    monkeypatch.setattr(slurm, "_submit", submit)
    monkeypatch.setattr(packs, "divide", lambda todo: [[unit] for unit in todo])
    monkeypatch.setattr(slurm, "_wait", lambda arrays, left, finished, done: {})
    monkeypatch.setattr(slurm, "_LATE", 0.0)
    todo = make_units(tmp_path / "runs", 10)
    failed = slurm.run(todo, 1, tmp_path, print, settings=commands.Settings(), largest=4)
    assert sizes == [4, 4, 2]
    assert set(failed) == {unit.folder for unit in todo}
    assert failed[todo[-1].folder] == "Slurm refused its job: no more jobs"
    assert failed[todo[0].folder].startswith("its job left the queue; what it printed is in ")
    assert [path.name for path in (tmp_path / slurm.FOLDER).iterdir()] == []


def test_why_runs_failed_is_read_off_what_jobs_print(tmp_path):
    todo = make_units(tmp_path, 3)
    refused, cut_off, unseen = (str(unit.folder) for unit in todo)
    array = slurm._Array("lea-0", {0: [refused, cut_off], 4: [unseen]})
    (tmp_path / "7_0_0_log.out").write_text(
        f"Unit 1 of 1: {refused}\nfailed: {refused}: an older reason\nfailed: {refused}: it is: in use\nnoise\n"
    )
    jobs = {("lea-0", 0): commands.Job("7_0", "OUT_OF_MEMORY"), ("lea-0", 4): commands.Job("7_4", "NODE_FAIL")}
    failed = slurm._settle([array], jobs, {str(unit.folder): unit for unit in todo}, tmp_path)
    log = f"what it printed is in {tmp_path / '7_0_0_log.out'}"
    assert list(failed.values()) == [
        f"it is: in use; {log}",
        f"its job 7_0 ended as OUT_OF_MEMORY; {log}",
        f"its job 7_4 ended as NODE_FAIL; what it printed is in {tmp_path / '7_4_0_log.out'}",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slurm_minutes": 0}, "Argument `slurm_minutes` must be an integer of at least 1. Received: slurm_minutes=0"),
        ({"slurm_gpus": -1}, "Argument `slurm_gpus` must be an integer of at least 0. Received: slurm_gpus=-1"),
        ({"slurm_options": ""}, "Argument `slurm_options` must be options of sbatch, as in account=mine,mem=8G."),
        ({"slurm_options": "mem"}, "Argument `slurm_options` must be options of sbatch"),
        ({"slurm_options": "mem=1\n#SBATCH -x"}, "Argument `slurm_options` must be options of sbatch"),
        ({"slurm_options": "time=3"}, "Argument `slurm_options` must be without time, for which there is --slurm_min"),
        ({"slurm_options": "array=1-3"}, "Argument `slurm_options` must be without array, which the engine chooses"),
        ({"slurm_options": "mem=1,mem=2"}, "Argument `slurm_options` must be with one mem. Received: slurm_options='"),
    ],
)
def test_what_cannot_be_is_refused_before_slurm_is_asked(options, message, monkeypatch):
    monkeypatch.setattr(commands, "check_installed", lambda: pytest.fail("asked"))
    with pytest.raises(ValueError, match="^" + re.escape(message)) as caught:
        slurm.start(options)
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_named_with_how_to_get_it(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: name)
    argv = ["study.py", "--engine=slurm", "--figure=5.5", "--scale=smoke", f"--run_dir={tmp_path}"]
    assert study.main(argv) == 1
    assert "needs Slurm's commands, of which sbatch, squeue" in (line := the_line(capsys, "study.py: "))
    assert "slurm-client" in line
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None)
    assert study.main(argv) == 1
    assert "needs submitit: pip install" in the_line(capsys, "study.py: ")


def test_the_module_needs_neither_keras_nor_submitit():
    script = "import experiments.engines.slurm, sys; print({'keras', 'submitit'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n", done.stderr


def test_what_the_cluster_does_not_take(cluster):
    for options, message in (
        ({"slurm_partition": "shrt"}, "`slurm_partition` must be one of ('main', 'short'). Did you mean 'short'?"),
        ({"slurm_partition": "short", "slurm_minutes": 11}, "`slurm_minutes` must be at most 10, the limit of short"),
        ({"slurm_gpus": 1}, "Slurm would refuse such jobs: Invalid generic resource"),
        (
            {"slurm_options": "nix=1"},
            "must be options that sbatch accepts. It says: unrecognized option '--nix=1'.",
        ),
        ({"slurm_options": "mem=8Q"}, "must be options that sbatch accepts. It says: Invalid --mem specification."),
    ):
        with pytest.raises(ValueError, match=re.escape(message)) as caught:
            slurm.start(options)
        assert "\n" not in str(caught.value)
    engine = slurm.start({"slurm_partition": "short,main", "slurm_minutes": 60, "slurm_options": "cpus_per_task=2"})
    assert engine.keywords["largest"] == 1000


def test_jobs_are_taken_over_and_cancelled(cluster, tmp_path, monkeypatch):
    def lose_the_connection(arrays, *_):
        raise ConnectionError

    def interrupt(arrays, *_):
        there.extend(arrays)
        raise KeyboardInterrupt

    monkeypatch.setattr(packs, "divide", lambda todo: [[unit] for unit in todo])
    engine = slurm.start({"slurm_options": "begin=now+1hour"})  # so that nothing is done
    todo, there = make_units(tmp_path, 4), []
    monkeypatch.setattr(slurm, "_wait", lose_the_connection)
    with pytest.raises(ConnectionError):
        engine(todo[:3], 1, tmp_path, print)
    subprocess.run(["scancel", job_of(todo[1], tmp_path)], check=True)  # and so it has to be submitted again
    monkeypatch.setattr(slurm, "_wait", interrupt)
    with pytest.raises(KeyboardInterrupt, match="Its Slurm jobs were cancelled"):
        engine(todo, 1, tmp_path, print, alone=True)
    first, second, third, last = ([str(unit.folder)] for unit in todo)
    assert [array.packs for array in there] == [{0: first, 2: third}, {0: second, 1: last}]
    queue = commands.read_queue()
    states = {queue[job].state for array in there for job in array.jobs() if job in queue}
    assert states == {"CANCELLED"}
    assert not list((tmp_path / slurm.FOLDER).glob("lea-*.json"))
    scripts = sorted((tmp_path / slurm.FOLDER).glob("*_submission.sh"))
    assert ["#SBATCH --exclusive" in script.read_text() for script in scripts] == [False, True]
    assert all("#SBATCH --requeue\n" in script.read_text() for script in scripts)


class Call:
    """A call of the engine in a thread, since its jobs are to be disturbed meanwhile."""

    def __init__(self, engine, todo, logs):
        self.failed, self.done = None, []
        self._work = lambda: engine(todo, 1, logs, self.done.append)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        self.failed = self._work()

    def finish(self):
        self._thread.join(timeout=120)
        assert self.failed is not None
        return self.failed


def stop_in_second_epoch(todo):
    """Stops the processes that train units, each after the first epoch; returns them by unit's folder."""
    found = {}
    deadline = time.monotonic() + 90
    while len(found) < len(todo) and time.monotonic() < deadline:
        for unit in todo:
            with contextlib.suppress(OSError, ValueError):
                process = json.loads((unit.folder / ".lea_keras.lock").read_text())["process"]
                if unit.folder not in found and (unit.folder / "metrics.csv").read_text().count("\n") >= 2:
                    os.kill(process, signal.SIGSTOP)
                    found[unit.folder] = process
        time.sleep(0.005)
    assert len(found) == len(todo)
    return found


def job_of(unit, logs):
    """The job in which a unit is: records say where it is in which array."""
    for path in (logs / slurm.FOLDER).glob("lea-*.json"):
        for index, pack in json.loads(path.read_text()).items():
            if str(unit.folder) in pack:
                return commands.read_queue()[path.stem, int(index)].id
    raise AssertionError(f"{unit.folder} is in no job")


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_runs_come_through_whatever_happens_to_their_jobs(cluster, workers, tmp_path, monkeypatch, capfd):
    names = ("killed", "cancelled", "out_of_time", "undisturbed")
    todo = [Unit(tmp_path / name, TINY.replace(epochs=3)) for name in names]
    killed, cancelled, out_of_time, undisturbed = todo
    engine, logs = slurm.start({"slurm_minutes": 10}), tmp_path / "logs"
    engine = functools.partial(engine, largest=2)  # an array, and a job that is none
    with monkeypatch.context() as patch:
        patch.setattr(packs, "divide", lambda todo: [[killed, undisturbed], [cancelled], [out_of_time]])
        first = Call(engine, todo, logs)
        processes = stop_in_second_epoch(todo[:3])
    os.kill(processes[killed.folder], signal.SIGKILL)
    subprocess.run(["scancel", job_of(cancelled, logs)], check=True)
    job = job_of(out_of_time, logs)
    subprocess.run(["scancel", "--signal=USR2", job], check=True)  # as Slurm does before the time limit
    failed = first.finish()
    assert set(failed) == {killed.folder, cancelled.folder}
    assert failed[killed.folder].startswith("its process ended with signal SIGKILL; what it printed is in ")
    assert re.match(r"its job \d+_1 ended as CANCELLED; what it printed is in ", failed[cancelled.folder])
    for reason in failed.values():
        assert pathlib.Path(reason.split(" is in ")[1]).is_file()
    assert first.done[-1] == 2
    log = (logs / slurm.FOLDER / f"{job}_0_log.out").read_text()
    assert "Requeued job" in log and log.count("Unit 1 of 1") == 2
    assert len(metrics(killed.folder)) < 3 and len(metrics(cancelled.folder)) < 3

    again = [cancelled, out_of_time, undisturbed]
    second = Call(engine, again, logs)
    assert second.finish() == {}
    assert second.done[-1] == 3
    expected = metrics(undisturbed.folder)
    assert len(expected) == 3 and expected[0] != expected[1]
    for unit in again:
        assert metrics(unit.folder) == expected
        assert units.read_outcome(unit).diverged == ""
    assert not list((logs / slurm.FOLDER).glob("lea-*.json"))
    assert capfd.readouterr() == ("", "")
