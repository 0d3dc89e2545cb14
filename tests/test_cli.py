"""``train.py``: runs and what they leave behind, resuming, and one clear line for everything that can be wrong."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

import command_checks
import keras
import numpy as np
import pytest
from backends import BACKEND, needs_tensorflow

import lea_keras.data
import train
from experiments import jobs, runs, series, training
from experiments.config import CONFIGS, RunConfig
from experiments.runs import RunError
from lea_keras import callbacks
from lea_keras.locks import LOCK_FILE, Lock

ROOT = pathlib.Path(train.__file__).parent
EPOCHS = 3
# Every state that a resumed run must restore: noise, capacity, two optimizers, the order of the data.
SMALL = ["--image_size=16", "--limit=32", "--test_limit=30"]
FLAGS = [*SMALL, "--batch_size=16", "--autoencoder=capacity_vae", "--window_size=4", "--units=linear", "--seed=3"]

# train.py in a process that is killed within its second epoch, after the first of two steps.
KILLED = """
import os, signal, sys

for name in ("sklearn", "matplotlib"):
    sys.modules[name] = None  # which Keras takes seconds to import where it can
import train
from experiments import startup


def quiet_import(name, **options):
    module = startup.quiet_import(name, **options)
    if name == "experiments.training":
        module.callbacks.TimeLeft.on_train_batch_end = die
    return module


def die(self, batch, logs=None):
    if int(self.model.optimizer.iterations) == 3:
        os.kill(os.getpid(), signal.SIGKILL)


train.quiet_import = quiet_import
train.main(["train.py", *sys.argv[1:]])
"""


def main(*arguments):
    return train.main(["train.py", *map(str, arguments)])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run that nothing interrupted; not to be changed. It is pictured once, to save time."""
    run_dir = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "PICTURED_EPOCHS", 1)
        assert main(f"--run_dir={run_dir}", f"--epochs={EPOCHS}", *FLAGS) == 0
    return run_dir


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """The same run in a process of its own, killed after its first epoch."""
    run_dir = tmp_path_factory.mktemp("interrupted") / "run"
    flags = [f"--run_dir={run_dir}", f"--epochs={EPOCHS}", "--nopictures", *FLAGS]
    process = subprocess.run([sys.executable, "-c", KILLED, *flags], cwd=ROOT, capture_output=True, text=True)
    errors = process.stderr
    assert process.returncode == -signal.SIGKILL, errors
    assert "Traceback" not in errors and "oneDNN custom operations" not in errors  # nor other start-up notices
    return run_dir


def the_line(capsys):
    """The one line on stderr."""
    return command_checks.the_line(capsys, "train.py: ")


def test_run_folder(finished):
    assert RunConfig.from_json((finished / "config.json").read_text()) == CONFIGS["lea_fc"].replace(
        **{"image_size": 16, "limit": 32, "test_limit": 30, "batch_size": 16, "autoencoder": "capacity_vae"},
        **{"window_size": 4, "units": (), "seed": 3, "epochs": EPOCHS, "backend": BACKEND},
    )
    names = {path.name for path in finished.iterdir()}
    assert names == {"config.json", "metrics.csv", "model.keras", "checkpoints", "logs", "codes.png"}
    assert (finished / "codes.png").read_bytes().startswith(b"\x89PNG")
    rows = callbacks.read_metrics(finished)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    measures = ["loss", "main_loss", "accuracy", *(f"lea_{name}" for name in ("loss", "rl", "rln", "kl", "capacity"))]
    assert set(rows[0]) == {"epoch", "seconds", *measures, *(f"val_{name}" for name in measures)}
    # Two steps an epoch, C rising over 25 epochs.
    assert rows[-1]["val_lea_capacity"] == pytest.approx(25 * EPOCHS / 25)
    model = keras.models.load_model(finished / "model.keras")
    assert model.optimizer.iterations == model.lea_optimizers[0].iterations == 2 * EPOCHS


def test_tensorboard_shows_every_metric_of_every_epoch(finished):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    for folder, prefix in (("train", ""), ("validation", "val_")):
        events = EventAccumulator(str(finished / "logs" / folder)).Reload()
        for name in ("loss", "accuracy", "lea_rln"):
            logged = events.Tensors(f"epoch_{name}")
            assert [event.step for event in logged] == [0, 1, 2]
            values = [tensor_util.make_ndarray(event.tensor_proto) for event in logged]
            rows = callbacks.read_metrics(finished)
            np.testing.assert_allclose(values, [row[prefix + name] for row in rows], rtol=1e-6)


def test_table(finished, capsys):
    before = command_checks.contents(finished / "checkpoints")
    assert main(f"--run_dir={finished}", "--resume", "--nopictures") == 0  # nothing left to do: shows the results again
    lines = capsys.readouterr().out.splitlines()
    assert "All 3 epochs of this run are done" in lines[1]
    row = callbacks.read_metrics(finished)[-1]
    labels = [
        "log loss",
        "accuracy",
        "  of the majority class",
        "lea loss",
        "lea RL",
        "lea RLN",
        "lea KL",
        "lea capacity",
    ]
    assert [line[:24].rstrip() for line in lines[3:-1]] == labels
    assert lines[2].split() == ["train", "test"]
    assert lines[3].split()[2:] == [f"{row['main_loss']:.4f}", f"{row['val_main_loss']:.4f}"]
    test = lea_keras.data.load("sprites", "test", limit=30)
    counts = np.sum([label for _, label in lea_keras.data.batches(test)], axis=0)
    assert float(lines[5].split()[-1]) == pytest.approx(counts.max() / counts.sum(), abs=1e-4)
    assert command_checks.contents(finished / "checkpoints") == before


def test_killed_run_resumes_and_equals_the_uninterrupted_one(finished, interrupted, capsys):
    assert len(callbacks.read_metrics(interrupted)) == 1
    assert main(f"--run_dir={interrupted}", "--resume", "--nopictures") == 0
    assert command_checks.metrics(interrupted) == command_checks.metrics(finished)
    first, second = (keras.models.load_model(run / "model.keras") for run in (finished, interrupted))
    for one, other in (
        (first.variables, second.variables),
        (first.optimizer.variables, second.optimizer.variables),
        (first.lea_optimizers[0].variables, second.lea_optimizers[0].variables),
    ):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_interrupt_says_how_to_go_on_and_epochs_may_be_raised(eagerly, tmp_path, capsys, monkeypatch):
    class Interrupt(callbacks.TimeLeft):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    run = ["--model=pool_fc", *SMALL]
    with monkeypatch.context() as patch:
        patch.setattr(callbacks, "TimeLeft", Interrupt)
        assert main(f"--run_dir={tmp_path}", "--epochs=1", *run) == 130
    errors = capsys.readouterr().err
    assert errors == f"\ntrain.py: Interrupted. Continue with: python train.py --run_dir={tmp_path} --resume\n"
    assert main(f"--run_dir={tmp_path}", "--resume", "--epochs=2", *run) == 0
    output = capsys.readouterr().out
    assert "1 of 2 epochs done, about 00:0" in output and "lea" not in output.replace("left", "")
    assert RunConfig.from_json((tmp_path / "config.json").read_text()).epochs == 2
    assert not (tmp_path / "codes.png").exists()  # a pool has no codes


def test_no_run_is_ever_overwritten(finished, capsys):
    before = command_checks.contents(finished)
    assert main(f"--run_dir={finished}", "--epochs=9") == 1
    assert "`run_dir` must be a new or empty folder" in the_line(capsys)
    assert command_checks.contents(finished) == before


def test_a_run_folder_has_one_process(finished, tmp_path, capsys):
    """A new run and one that goes on, at the same moment and while the first one trains."""
    before = command_checks.contents(finished)
    holder = f"process {os.getpid()} on {socket.gethostname()} has been writing to it since "
    for folder, flags in ((tmp_path, ["--epochs=1"]), (finished, ["--resume", "--epochs=9"]), (finished, [])):
        with Lock(folder):
            assert main(f"--run_dir={folder}", *flags) == 1
            assert the_line(capsys).startswith(f"train.py: The run folder {folder} cannot be used: {holder}")
    assert command_checks.contents(finished) == before and not list(tmp_path.iterdir())


def test_a_run_folder_is_owned_until_the_last_file_is_written(tmp_path, monkeypatch, capsys):
    seen = []

    def fake(config, run_dir, *_):
        seen.append(sorted(path.name for path in run_dir.iterdir()))
        assert main(f"--run_dir={run_dir}", "--seed=9") == 1
        raise RunError("No luck")

    monkeypatch.setattr(training, "train", fake)
    assert main(f"--run_dir={tmp_path / 'run'}") == 1
    assert seen == [[LOCK_FILE, "config.json.tmp"]]
    errors = capsys.readouterr().err.splitlines()
    assert "has been writing to it since" in errors[0] and errors[1:] == ["train.py: No luck"]
    assert not (tmp_path / "run").exists()


def test_a_process_that_does_not_write_owns_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "train", lambda *_: "")
    config = CONFIGS["pool_fc"]
    with Lock(tmp_path):
        assert train._train(config, tmp_path, False, jobs.Job("host:1", 2, 1), []) == ""
        with pytest.raises(RunError, match="has been writing to it"):
            train._train(config, tmp_path, False, jobs.Job("host:1", 2, 0), [])


def test_what_another_process_has_changed_meanwhile_counts(finished, tmp_path, capsys, monkeypatch):
    """It has trained to a later epoch between the first look at the folder and its lock."""
    shutil.copytree(finished, tmp_path / "run")
    use = train.backends.use

    def later(name):
        use(name)
        config = json.loads((tmp_path / "run/config.json").read_text())
        (tmp_path / "run/config.json").write_text(json.dumps(config | {"epochs": 7}))

    monkeypatch.setattr(train.backends, "use", later)
    assert main(f"--run_dir={tmp_path / 'run'}", "--resume", "--epochs=5") == 1
    assert "`epochs` must be at least 7, the epochs of the run that is resumed. Received: epochs=5" in the_line(capsys)


def test_no_locks_are_said_once_and_are_no_reason_to_stop(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runs.locks, "fcntl", None)
    monkeypatch.setattr(training, "train", lambda *_: "table")
    assert main(f"--run_dir={tmp_path / 'run'}") == 0
    assert "Nothing keeps other processes from writing to" in command_checks.the_line(capsys)


def test_a_damaged_last_checkpoint_costs_one_epoch(finished, eagerly, tmp_path, capsys):
    """As if the run had ended after the epoch before: one that has goes on alike."""
    run_dir, ended = tmp_path / "run", tmp_path / "ended"
    for folder in (run_dir, ended):
        shutil.copytree(finished, folder)
    last = run_dir / "checkpoints/epoch_0003.keras"
    os.truncate(last, 5000)
    assert main(f"--run_dir={run_dir}", "--resume", "--nopictures") == 0
    line = f"{last} is damaged (File is not a zip file): the run goes on after epoch 2"
    assert capsys.readouterr().out.splitlines()[1] == line
    (ended / "checkpoints/epoch_0003.keras").unlink()
    rows = (ended / "metrics.csv").read_text().splitlines(keepends=True)
    (ended / "metrics.csv").write_text("".join(rows[:-1]))
    assert main(f"--run_dir={ended}", "--resume", "--nopictures") == 0
    assert command_checks.metrics(run_dir) == command_checks.metrics(ended)
    assert command_checks.metrics(run_dir)[:2] == command_checks.metrics(finished)[:2]
    assert command_checks.metrics(run_dir)[2] == pytest.approx(
        command_checks.metrics(finished)[2], rel=1e-4
    )  # which was traced
    models = [keras.models.load_model(run / "model.keras") for run in (run_dir, ended)]
    for one, other in zip(*(model.variables for model in models), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_home_folder_is_one_everywhere(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    seen = []
    monkeypatch.setattr(train, "_train", lambda config, run_dir, *_: seen.append((config.data_dir, run_dir)) or "")
    assert main("--run_dir=~/run", "--data_dir=~/data") == main("--run_dir=~/run", "--data_dir=gs://bucket/data") == 0
    monkeypatch.setattr(series, "train", lambda members, _: seen.append(members[0][0]) or "")
    assert main("--run_dir=~/runs", "--runs=1") == 0
    data, run = str(tmp_path / "data"), tmp_path / "run"
    assert seen == [(data, run), ("gs://bucket/data", run), tmp_path / "runs/000"]


def test_default_folder_is_named_after_the_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "_train", lambda config, run_dir, *_: str(run_dir))
    assert main("--model=cnn_lea", "--dataset=mnist", "--seed=7") == 0
    assert capsys.readouterr().out == f"{pathlib.Path('runs/cnn_lea_mnist_7')}\n"


# What is wrong, and what the line must say.
WRONG = [
    (["--epohcs=3"], "Unknown command line flag 'epohcs'. Did you mean: epochs"),
    (["--epochs"], "Missing value for flag --epochs"),
    (["--epochs=many"], "Argument `epochs` must be an integer. Received: epochs='many'"),
    (["--epochs=1.5"], "Argument `epochs` must be an integer"),
    (["--beta=low"], "Argument `beta` must be a number. Received: beta='low'"),
    (["--window_size=4,"], "Argument `window_size` must be an integer, or two with a comma between them"),
    (["--window_size=4,4,4"], "Argument `window_size` must be a positive integer or a pair"),
    (["--filters=32"], "Argument `filters` must be a pair of positive integers"),
    (["--units=8,"], "Argument `units` must be integers with commas between them, or linear. Received: units='8,'"),
    (["--units=0"], "Argument `units` must be an integer of at least 1. Received: units=0"),
    (["--units=8", "--decoder=sb"], "Argument `units` must be left out with decoder sb, whose layers are fixed"),
    (["--coder_filters=linear"], "Argument `coder_filters` must be a positive integer per convolution"),
    (["--coder_filters=8"], "Argument `coder_filters` must be left out without encoder or decoder conv"),
    (["--likelihood=bernouli"], "Did you mean 'bernoulli'? Received: likelihood='bernouli'"),
    (["--likelihood=bernoulli", "--model=cnn_lea"], "Argument `likelihood` must be gaussian for cnn_lea"),
    (["--nodownload=1"], "nodownload"),
    (["fashion_mnist"], "Arguments must be flags, --name=value. Received: fashion_mnist"),
    (["--dataset=fashionmnist"], "Did you mean 'fashion_mnist'? Received: dataset='fashionmnist'"),
    (["--model=lea-fc"], "Did you mean 'lea_fc'"),
    (["--autoencoder=k_sparse", "--code_length=4"], "Argument `k` must be at most the code length, 4. Received: k=5"),
    (["--learning_rate=-1"], "Argument `learning_rate` must be a finite number above 0"),
    (["--lea_weight=-1"], "Argument `lea_weight` must be a finite number of at least 0"),
    (["--dataset=mnist", "--window_size=29"], "at most the 28x28 pixels of mnist. Received: window_size=29"),
    (["--limit=60000"], "Argument `limit` must be at most 59972"),
    pytest.param(
        ["--dataset=mnist", "--data_dir=/nowhere"], "Argument `data_dir` must be a folder", marks=needs_tensorflow
    ),
    (["--run_dir="], "Argument `run_dir` must be the path of a folder. Received: run_dir=''"),
    (["--run_dir=gs://a/b"], "Argument `run_dir` must be the path of a folder on this machine, and no URL. Received"),
    (["--resume"], "Argument `run_dir` must be the folder of a run, with its config.json"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=lambda value: " ".join(value)[:40])
def test_wrong_command_line_gets_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main("--run_dir=run", *arguments) == 1
    assert message in the_line(capsys)
    assert list(tmp_path.iterdir()) == []  # the corrected command may use the same folder


@pytest.mark.parametrize("run_dir", ["file", "file/below", "/proc/nothing"])
def test_unusable_folder(run_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    assert main(f"--run_dir={run_dir}") == 1
    assert f"The run folder {run_dir} cannot be used: " in the_line(capsys)
    assert (tmp_path / "file").read_text() == "mine"


def test_full_disk(eagerly, tmp_path, monkeypatch, capsys):
    def full(self, path, **kwargs):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(keras.Model, "save", full)
    assert main(f"--run_dir={tmp_path}", "--model=pool_fc", *SMALL, "--epochs=1") == 1
    assert the_line(capsys) == f"train.py: The run folder {tmp_path} cannot be used: No space left on device\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs=2"], "`epochs` must be at least 3, the epochs of the run that is resumed. Received: epochs=2"),
        (["--seed=4"], "`seed` must be 3, as in the run that is resumed, or left out. Received: seed=4"),
        (["--model=pool_fc"], "`model` must be 'lea_fc', as in the run"),
        (["--seed=-4"], "`seed` must be an integer from 0 to"),
    ],
)
def test_resume_refuses_what_contradicts_the_run(finished, arguments, message, capsys):
    before = command_checks.contents(finished)
    assert main(f"--run_dir={finished}", "--resume", *arguments) == 1
    assert message in the_line(capsys)
    assert command_checks.contents(finished) == before


@pytest.mark.parametrize(
    ("file", "contents", "message"),
    [
        ("config.json", b"{", "config.json: The run configuration is not valid JSON"),
        ("config.json", b'{"epochs": 3}', "config.json: The run configuration lacks the fields: dataset"),
        ("config.json", b"\xff\xfe{}", "config.json: 'utf-8' codec can't decode"),
        ("config.json", b"[" * 100_000, "config.json: The run configuration is not valid JSON"),
        ("metrics.csv", b"epoch,loss\nmuch\n", "The metrics of the run are damaged: "),
        ("metrics.csv", b"\x89PNG\0\xff", "metrics.csv"),
        ("metrics.csv", None, "The metrics of the run are damaged: metrics.csv has 0 epochs, but there is "),
        ("checkpoints/epoch_0003.keras", None, "The checkpoint of epoch 3, the last in metrics.csv, is missing: "),
        ("checkpoints/epoch_0003.keras", b"PK", "epoch_0003.keras cannot be loaded: it is damaged (File is not a zip"),
    ],
)
def test_resume_of_a_damaged_run(finished, tmp_path, file, contents, message, capsys):
    for name in ("config.json", "metrics.csv", "checkpoints/epoch_0003.keras"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    (tmp_path / file).unlink()
    if contents is not None:
        (tmp_path / file).write_bytes(contents)
    assert main(f"--run_dir={tmp_path}", "--resume", "--epochs=4") == 1
    assert message in the_line(capsys)


def test_resume_of_a_run_whose_configuration_is_not_that_of_its_model(finished, tmp_path, capsys):
    shutil.copytree(finished, tmp_path / "run")
    config = json.loads((finished / "config.json").read_text())
    (tmp_path / "run/config.json").write_text(json.dumps(config | {"window_size": 8, "code_length": 4}))
    before = command_checks.contents(tmp_path)
    assert main(f"--run_dir={tmp_path / 'run'}", "--resume", "--epochs=4") == 1
    line = the_line(capsys)
    assert f"The configuration {tmp_path / 'run/config.json'} is not that of the model " in line
    assert "code_length is 4, and 10 in the model" in line
    assert "window_size is 8, and 4 in the model" in line
    assert command_checks.contents(tmp_path) == before


def test_nan_stops_the_run(eagerly, tmp_path, capsys):
    assert main(f"--run_dir={tmp_path}", *SMALL, "--epochs=2", "--learning_rate=1e30", "--nopictures") == 1
    line = the_line(capsys)
    assert "Training stopped in epoch 1: " in line and "No epoch had finished" in line
    assert not (tmp_path / "model.keras").exists()


def test_nan_keeps_the_last_good_epoch(finished, eagerly, tmp_path, monkeypatch, capsys):
    for name in ("config.json", "metrics.csv", "checkpoints/epoch_0003.keras"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    load = training._load

    def load_spoilt(*arguments):
        model = load(*arguments)
        model.layers[-1].bias.assign(model.layers[-1].bias * np.nan)
        return model

    monkeypatch.setattr(training, "_load", load_spoilt)
    assert main(f"--run_dir={tmp_path}", "--resume", "--epochs=5", "--nopictures") == 1
    line = the_line(capsys)
    assert "stopped in epoch 4: " in line
    assert f"The model after epoch 3, the last good one, is in {tmp_path / 'model.keras'}." in line
    assert (tmp_path / "model.keras").read_bytes() == (finished / "model.keras").read_bytes()


def test_help_shows_every_flag_once_and_fits_the_screen(capsys):
    assert main("--help") == 0
    text = capsys.readouterr().out
    names = [*RunConfig.__dataclass_fields__, *jobs.FLAGS, "run_dir", "resume", "runs", "pictures"]
    shown = [line.split()[0].partition("=")[0] for line in text.splitlines() if line.startswith("  --")]
    assert sorted(shown) == sorted(f"--{name}" for name in names)
    assert set(names) == {flag.name for group in train.GROUPS.values() for flag in group}
    assert all(len(line) <= 120 for line in text.splitlines())
    assert "[8; classic: 2; cnn_lea: 4; autoencoder: the whole image]" in " ".join(text.split())


def test_flags_become_the_configuration():
    arguments = [
        "--window_size=4,6",
        "--filters=8,16",
        "--units=128,64,12",
        "--coder_filters=4",
        "--encoder=conv",
        "--nojit_compile",
        "--a=2",
        "--limit",
        "10",
        "--download",
        "--chunk_windows=auto",
    ]
    given = train.parse(["train.py", *arguments])
    assert given == {
        "window_size": (4, 6), "filters": (8, 16), "jit_compile": False, "a": 2.0, "limit": 10, "download": True,
        "chunk_windows": "auto", "units": (128, 64, 12), "coder_filters": (4,), "encoder": "conv",
    }  # fmt: skip
    assert json.loads(RunConfig(**given).to_json())["window_size"] == [4, 6]
    assert RunConfig.from_json(RunConfig(**given).to_json()) == RunConfig(**given)
    assert train.parse(["train.py", "--units=linear"]) == {"units": ()}


def test_wrong_flags_are_answered_before_keras_is_imported():
    code = "import sys, train; status = train.main(['train.py', '--model=none']); print(status, 'keras' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "1 False\n"
    assert result.stderr.count("\n") == 1
