"""Two processes train one run: the losses of one process, one who writes, and what happens where one of them ends."""

import importlib.util
import json
import pathlib
import signal
import socket
import subprocess
import sys

import pytest
from backends import needs_tensorflow
from command_checks import metrics

ROOT = pathlib.Path(__file__).parents[1]
FLAGS = ["--backend=jax", "--autoencoder=capacity_vae", "--limit=40", "--batch_size=16", "--seed=3"]
FLAGS += ["--image_size=16", "--window_size=8", "--units=linear", "--code_length=2"]

# train.py with few test images; with a number, this process is killed after so many epochs.
TRAIN = """
import os, signal, sys, time

drawn = "--nopictures" not in sys.argv and "--process=1" not in sys.argv
for name in ("tensorflow", "sklearn", *([] if drawn else ["matplotlib"])):
    sys.modules[name] = None  # which it does not need, and which takes seconds to import
import train
from experiments import startup


def quiet_import(name, **options):
    module = startup.quiet_import(name, **options)
    data = sys.modules.get("lea_keras.data")
    if data is not None and data.load.__name__ == "load":
        load = data.load
        data.load = lambda *names, **rest: load(*names, **rest | ({"limit": 21} if "test" in names else {}))
    if name == "experiments.training" and epochs:
        stop = module.callbacks.StopOnNaN
        module.callbacks.StopOnNaN = type("Killed", (stop,), {"on_epoch_begin": die})
    return module


def die(self, epoch, logs=None):
    self._epoch = epoch
    if epoch == int(epochs):
        os.kill(os.getpid(), signal.SIGKILL)


epochs, *arguments = sys.argv[1:]
train.quiet_import = quiet_import
status = train.main(["train.py", *arguments])
if "--process=1" in arguments:
    time.sleep(2)  # process 0 must not have left what process 1 still needs
sys.exit(status)
"""

pytestmark = [
    needs_tensorflow,  # it starts JAX itself
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed"),
]


def start(environment, run_dir, *flags, killed_after=""):
    command = [sys.executable, "-c", TRAIN, str(killed_after), f"--run_dir={run_dir}", *flags]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True)


def start_both(environment, run_dir, *flags, killed_after=("", "")):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    shared = ["--distribution=data_parallel", f"--coordinator=127.0.0.1:{port}", "--processes=2"]
    return [
        start(environment, run_dir, *flags, *shared, f"--process={i}", killed_after=killed_after[i]) for i in (0, 1)
    ]


def finished(process):
    """What it printed, how it ended, and what it said of that."""
    output, errors = process.communicate(timeout=300)
    return output, process.returncode, [line for line in errors.splitlines() if line.startswith("train.py: ")]


def files(run_dir):
    found = {path.relative_to(run_dir).as_posix() for path in run_dir.rglob("*") if path.is_file()}
    return sorted(name for name in found if "tfevents" not in name)


def test_two_processes_train_end_together_and_go_on(tmp_path, jax_environment):
    one, two = tmp_path / "one", tmp_path / "two"
    flags = [*FLAGS, "--epochs=2", "--nopictures"]  # which are drawn once, to save time: after resuming
    alone = start(jax_environment, one, *flags)
    both = start_both(jax_environment, two, *flags, killed_after=("", 1))
    assert finished(alone)[1:] == (0, [])
    output, status, said = finished(both[0])
    assert status == 1 and len(said) == 1
    assert said[0].startswith("train.py: Process 1 has ended, and so process 0 ends too. Continue with --resume")
    assert f"python train.py --run_dir={two} --resume --nopictures --distribution=data_parallel" in said[0]
    assert finished(both[1])[1] == -signal.SIGKILL
    assert len(metrics(two)) == 1

    both = start_both(jax_environment, two, "--resume")
    output, status, said = finished(both[0])
    assert (status, said) == (0, []) and "lea capacity" in output
    output, status, said = finished(both[1])
    assert (status, said) == (0, []) and "Process 1 of 2 has finished." in output and "Epoch" not in output

    assert sorted([*files(one), "codes.png", "logs/pictures/confidence.npz"]) == files(two)
    assert len([path for path in (two / "logs" / "train").iterdir()]) == 2  # of process 0, before and after
    assert json.loads((two / "config.json").read_text()) == json.loads((one / "config.json").read_text())
    expected, found = metrics(one), metrics(two)
    assert len(expected) == 2 and expected[0] != expected[1]
    for ours, theirs in zip(expected, found, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-6)


def test_what_process_0_refuses_ends_all(tmp_path, jax_environment):
    (tmp_path / "notes.txt").write_text("mine")
    both = start_both(jax_environment, tmp_path, *FLAGS, "--epochs=1", "--nopictures")
    _, status, said = finished(both[0])
    assert status == 1 and said[0].startswith("train.py: Argument `run_dir` must be a new or empty folder")
    _, status, said = finished(both[1])
    assert status == 1 and said[0].startswith("train.py: Process 0 has ended, and so process 1 ends too.")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
