"""Two processes train one run: the losses of one process, one who writes, and what happens where one of them ends."""

import importlib.util
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

import pytest
from backends import needs_tensorflow
from command_checks import metrics

ROOT = pathlib.Path(__file__).parents[1]
# The last batch of the test images is one that two devices cannot share.
FLAGS = ["--backend=jax", "--autoencoder=capacity_vae", "--limit=32", "--test_limit=21", "--batch_size=16", "--seed=3"]
FLAGS += ["--image_size=16", "--window_size=8", "--units=linear", "--code_length=2"]

# Imports once, before JAX has looked for devices, what train.py needs, and forks for every command line: the imports
# take longer than such a run. A line of the standard input is a list of [flags, after how many epochs the process is
# killed or None], which run side by side; a line of the standard output what became of them, [output, status, errors].
NURSERY = """
import functools, json, os, pathlib, signal, sys, time

for name in ("tensorflow", "sklearn"):
    sys.modules[name] = None  # which it does not need, and which takes seconds to import
os.environ["KERAS_BACKEND"] = "jax"
import train
from experiments import startup
from jax._src.interpreters import mlir

mlir.make_ir_context = functools.cache(mlir.make_ir_context)  # as in start_of_tests.py
for name in ("training", "distribution"):
    startup.quiet_import(f"experiments.{name}", look_for_devices=False)


def run(flags, killed_after):
    def die(self, epoch, logs=None):
        self._epoch = epoch
        if epoch == killed_after:
            os.kill(os.getpid(), signal.SIGKILL)

    if killed_after is not None:
        callbacks = sys.modules["experiments.training"].callbacks
        callbacks.StopOnNaN = type("Killed", (callbacks.StopOnNaN,), {"on_epoch_begin": die})
    status = train.main(["train.py", *flags])
    if "--process=1" in flags:
        time.sleep(2)  # process 0 must not have left what process 1 still needs
    return status


def start(number, flags, killed_after):
    process = os.fork()
    if process:
        return process
    signal.alarm(300)
    for descriptor, name in (1, "output"), (2, "errors"):
        os.dup2(os.open(f"{number}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    sys.exit(run(flags, killed_after))


def finished(number, process):
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    output, errors = (pathlib.Path(f"{number}.{name}").read_text() for name in ("output", "errors"))
    return output, status, errors


os.chdir(sys.argv[1])
for line in sys.stdin:
    processes = [start(number, *command) for number, command in enumerate(json.loads(line))]
    print(json.dumps([finished(number, process) for number, process in enumerate(processes)]), flush=True)
"""

pytestmark = [
    needs_tensorflow,  # it starts JAX itself
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed"),
]


@pytest.fixture(scope="module")
def nursery(jax_environment, tmp_path_factory):
    command = [sys.executable, "-c", NURSERY, str(tmp_path_factory.mktemp("nursery"))]
    environment = jax_environment | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        yield process


def run_all(nursery, *commands):
    """What each of these processes printed, how it ended, and what it said of that."""
    print(json.dumps(commands), file=nursery.stdin, flush=True)
    reply = nursery.stdout.readline()
    assert reply, nursery.stderr.read()
    return [
        (output, status, [line for line in errors.splitlines() if line.startswith("train.py: ")])
        for output, status, errors in json.loads(reply)
    ]


def both(run_dir, *flags, killed_after=(None, None)):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    shared = [f"--run_dir={run_dir}", *flags, "--distribution=data_parallel", f"--coordinator=127.0.0.1:{port}"]
    return [([*shared, "--processes=2", f"--process={i}"], killed_after[i]) for i in (0, 1)]


def files(run_dir):
    found = {path.relative_to(run_dir).as_posix() for path in run_dir.rglob("*") if path.is_file()}
    return sorted(name for name in found if "tfevents" not in name)


def test_two_processes_train_end_together_and_go_on(nursery, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    flags = [*FLAGS, "--epochs=2", "--nopictures"]  # which are drawn once, to save time: after resuming
    alone = [f"--run_dir={one}", *flags], None
    alone, first, second = run_all(nursery, alone, *both(two, *flags, killed_after=(None, 1)))
    assert alone[1:] == (0, [])
    output, status, said = first
    assert status == 1 and len(said) == 1
    assert said[0].startswith("train.py: Process 1 has ended, and so process 0 ends too. Continue with --resume")
    assert f"python train.py --run_dir={two} --resume --nopictures --distribution=data_parallel" in said[0]
    assert second[1] == -signal.SIGKILL
    assert len(metrics(two)) == 1

    first, second = run_all(nursery, *both(two, "--resume"))
    output, status, said = first
    assert (status, said) == (0, []) and "lea capacity" in output
    output, status, said = second
    assert (status, said) == (0, []) and "Process 1 of 2 has finished." in output and "Epoch" not in output

    assert sorted([*files(one), "codes.png", "logs/pictures/confidence.npz"]) == files(two)
    assert len([path for path in (two / "logs" / "train").iterdir()]) == 2  # of process 0, before and after
    assert json.loads((two / "config.json").read_text()) == json.loads((one / "config.json").read_text())
    expected, found = metrics(one), metrics(two)
    assert len(expected) == 2 and expected[0] != expected[1]
    for ours, theirs in zip(expected, found, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-6)


def test_what_process_0_refuses_ends_all(nursery, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    first, second = run_all(nursery, *both(tmp_path, *FLAGS, "--epochs=1", "--nopictures"))
    _, status, said = first
    assert status == 1 and said[0].startswith("train.py: Argument `run_dir` must be a new or empty folder")
    _, status, said = second
    assert status == 1 and said[0].startswith("train.py: Process 0 has ended, and so process 1 ends too.")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
