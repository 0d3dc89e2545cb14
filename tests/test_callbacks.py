"""Callbacks: what a run folder holds after every epoch and every interruption, the stop at NaN, the time left, and what
TensorBoard shows of LEAs."""

import errno
import io
import math
import os
import pathlib
import re
import shutil
import threading
import time
import zipfile

import keras
import numpy as np
import pytest
from backends import needs_tensorflow, once
from command_checks import metrics
from layer_checks import EAGERLY
from matplotlib.figure import Figure
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.util import tensor_util

import lea_keras
from lea_keras import callbacks, locks, plots
from lea_keras.callbacks.events import EventFile
from lea_keras.callbacks.scalars import EpochScalars
from lea_keras.locks import LOCK_FILE, Lock


def make_model(learning_rate=1e-3, lea=False, run_eagerly=EAGERLY):
    """A small model; without a LEA where only files matter, since that is faster."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 4, 1))
    autoencoder = lea_keras.CapacityControlledAutoencoder(code_length=2, capacity_steps=20)
    reduce = (
        lea_keras.LocallyEmbeddedAutoencoder(2, autoencoder, name="lea") if lea else keras.layers.AveragePooling2D(2)
    )
    outputs = keras.layers.Dense(3)(keras.layers.Flatten()(reduce(inputs)))
    model = lea_keras.LEAModel(inputs, outputs) if lea else keras.Model(inputs, outputs)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(learning_rate, momentum=0.9)  # which has state, and takes few operations
    model.compile(optimizer, loss, metrics=["accuracy"], run_eagerly=run_eagerly)
    return model


def make_data(value=None):
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(12, 4, 4, 1)).astype("float32")
    if value is not None:
        images[7, 0, 0] = value
    return images, np.eye(3, dtype="float32")[rng.integers(0, 3, 12)]


def fit(model, run_dir, epochs, finished=0, data=None, more=()):
    images, labels = data or make_data()
    return model.fit(
        images,
        labels,
        validation_data=make_data(),
        batch_size=6,
        validation_batch_size=12,
        shuffle=False,
        epochs=epochs,
        initial_epoch=finished,
        verbose=0,
        callbacks=[callbacks.StopOnNaN(), callbacks.RunCheckpoint(run_dir), *more],
    )


def files(run_dir):
    """All but the lock, which is there as long as the traceback of an error holds the training that it ended."""
    found = (path for path in run_dir.rglob("*") if path.is_file() and path.name != LOCK_FILE)
    return sorted(str(path.relative_to(run_dir)) for path in found)


FINISHED_2 = ["checkpoints/epoch_0001.keras", "checkpoints/epoch_0002.keras", "metrics.csv", "model.keras"]


def values(model):
    optimizers = [model.optimizer, *getattr(model, "lea_optimizers", [])]
    return [np.array(v) for v in model.variables + [v for optimizer in optimizers for v in optimizer.variables]]


def assert_equal(first, second):
    assert_values(first, values(second))


def assert_values(model, expected):
    assert all(np.array_equal(a, b) for a, b in zip(values(model), expected, strict=True))


@pytest.fixture(scope="module")
def run_of_lea(tmp_path_factory):
    """A run of three epochs in graphs: its folder, a copy of that after the first epoch, both not to be changed, the
    model, and the history."""
    folder = tmp_path_factory.mktemp("run_of_lea")
    model, whole, part = make_model(lea=True, run_eagerly=False), folder / "whole", folder / "part"
    return whole, part, model, fit(model, whole, 3, more=[copy_after(1, whole, part)]).history


def test_folder_holds_the_last_epoch_and_all_metrics(run_of_lea):
    folder, _, model, history = run_of_lea
    assert files(folder) == [name.replace("2", "3").replace("1", "2") for name in FINISHED_2]
    rows = callbacks.read_metrics(folder)
    assert [list(row) for row in rows] == [["epoch", *history, "seconds"]] * 3
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    for name, epochs in history.items():
        assert [row[name] for row in rows] == epochs  # to the last digit
    assert {"lea_loss", "lea_rl", "lea_rln", "lea_kl", "lea_capacity", "val_main_loss"} <= set(rows[0])
    finished, path = callbacks.last_checkpoint(folder)
    assert finished == 3
    assert_equal(model, keras.models.load_model(path))
    assert (folder / "model.keras").read_bytes() == path.read_bytes()


def test_resumed_run_equals_uninterrupted_one(run_of_lea, tmp_path):
    folder, part, whole, _ = run_of_lea
    parts = shutil.copytree(part, tmp_path / "parts")
    finished, path = callbacks.last_checkpoint(parts)
    assert finished == 1
    second = keras.models.load_model(path)
    fit(second, parts, 3, finished)
    assert metrics(folder) == metrics(parts)
    assert_equal(whole, second)


def copy_after(finished, run_dir, path):
    """A callback that copies the folder of a run as if it had been killed after so many epochs."""

    def copy(epoch, logs):
        if epoch == finished:
            shutil.copytree(run_dir, path)

    return keras.callbacks.LambdaCallback(on_epoch_begin=copy)


class Kill(BaseException):
    """Stands for a kill: nothing catches it, nothing is cleaned up."""


def copy_run(run_dir, path):
    """A run in another folder, its model by two names for one file."""
    shutil.copytree(run_dir, path, dirs_exist_ok=True)
    (path / "model.keras").unlink()
    callbacks.publish_model(path)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A copy of the folder of a run of four epochs after the second, not to be changed; and all values at the end."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    model = make_model()
    fit(model, folder / "run", 4, more=[copy_after(2, folder / "run", folder / "kept")])
    return folder / "kept", values(model)


@once
@pytest.mark.parametrize("renames", range(3))
def test_killed_between_any_two_writes_the_run_goes_on(tmp_path, monkeypatch, uninterrupted, renames):
    """The third epoch is killed before its 1st, 2nd or 3rd rename: checkpoint, metrics, model."""
    copy_run(uninterrupted[0], tmp_path)
    finished, path = callbacks.last_checkpoint(tmp_path)
    assert finished == 2
    done, replace = [], os.replace

    def killing_replace(*paths):
        if len(done) == renames:
            raise Kill
        done.append(paths)
        replace(*paths)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.checkpoints.os, "replace", killing_replace)
        with pytest.raises(Kill):
            fit(keras.models.load_model(path), tmp_path, 3, finished)
    finished, path = callbacks.last_checkpoint(tmp_path)
    assert finished == (3 if renames == 2 else 2) and path.is_file()
    callbacks.publish_model(tmp_path)
    assert (tmp_path / "model.keras").samefile(path)
    model = keras.models.load_model(path)
    fit(model, tmp_path, 4, finished)
    kept = [f"checkpoints/epoch_000{epoch}.keras" for epoch in (3, 4)]
    assert files(tmp_path) == [*kept, "metrics.csv", "model.keras"]
    assert [row["epoch"] for row in callbacks.read_metrics(tmp_path)] == [1, 2, 3, 4]
    assert_values(model, uninterrupted[1])


def test_full_disk_keeps_the_last_epoch(tmp_path, monkeypatch):
    model = make_model()
    fit(model, tmp_path, 2)
    before = {name: (tmp_path / name).read_bytes() for name in FINISHED_2}

    def full(path):
        path.write_bytes(b"half a model")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model, "save", full)
    with pytest.raises(OSError, match="No space left"):
        fit(model, tmp_path, 3, 2)
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before


@once
@pytest.mark.parametrize("link", [True, False])
def test_model_is_copied_where_files_cannot_have_two_names(tmp_path, monkeypatch, link):
    def refuse(*paths):
        raise OSError(1, "Operation not permitted")

    if not link:
        monkeypatch.setattr(callbacks.checkpoints.os, "link", refuse)
    fit(make_model(), tmp_path, 1)
    checkpoint = callbacks.checkpoint_path(tmp_path, 1)
    assert (tmp_path / "model.keras").read_bytes() == checkpoint.read_bytes()
    assert (tmp_path / "model.keras").samefile(checkpoint) == link


def test_nothing_finished_yet(tmp_path):
    assert callbacks.last_checkpoint(tmp_path) == (0, None)
    assert callbacks.read_metrics(tmp_path / "no folder") == []


DAMAGED_METRICS = [
    b"epoch,loss\n1,much\n",
    b"epoch,loss\n2,0.5\n",
    b"epoch,loss\n1,0.5\n1,0.4\n",
    b"epoch,loss\nnan,0.5\n",
    b"loss\n0.5\n",
    b"epoch,loss\n1,2,3\n",
    b"epoch,loss\n1\n",
    b"epoch,loss\n",
    b"",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xfe",
    b"epoch,loss\n1,0.5\n2,0.\xff\n",
    b"epoch,loss\n1,0.5\n2,0.\0\n",
    b"\0" * 500,
    b'epoch,loss\n1,"0.5\n',
    b"epoch,loss\n1," + b"5" * 200_000 + b"\n",
]


@pytest.mark.parametrize("contents", DAMAGED_METRICS, ids=lambda contents: repr(contents[:40]))
def test_damaged_metrics_are_named(tmp_path, contents):
    (tmp_path / "metrics.csv").write_bytes(contents)
    for read in (callbacks.last_checkpoint, callbacks.read_metrics):
        with pytest.raises(ValueError, match="metrics of the run are damaged.*metrics.csv") as error:
            read(tmp_path)
        assert "\n" not in str(error.value)


def test_missing_checkpoint_is_named(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,loss\n1,0.5\n")
    with pytest.raises(ValueError, match="checkpoint of epoch 1, .* missing: .*epoch_0001.keras"):
        callbacks.last_checkpoint(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of three epochs; not to be changed."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    fit(make_model(), folder, 3)
    return folder


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of the run to be damaged."""
    copy_run(trained, tmp_path / "run")
    return tmp_path / "run"


def without(name):
    """Rewrites an archive without one of its files."""

    def act(path):
        with zipfile.ZipFile(path) as archive:
            members = {member: archive.read(member) for member in archive.namelist() if member != name}
        with zipfile.ZipFile(path, "w") as archive:
            for member, contents in members.items():
                archive.writestr(member, contents)

    return act


def overwrite(path, start, contents):
    path.write_bytes(path.read_bytes()[:start] + contents + path.read_bytes()[start + len(contents) :])


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


# What is damaged in a checkpoint, and what is said of it.
DAMAGED_MODELS = {
    "truncated": (lambda path: os.truncate(path, path.stat().st_size // 2), "File is not a zip file"),
    "last byte missing": (lambda path: os.truncate(path, path.stat().st_size - 1), "File is not a zip file"),
    "empty": (lambda path: os.truncate(path, 0), "File is not a zip file"),
    "text": (lambda path: path.write_text("mine"), "File is not a zip file"),
    "zeros in it": (lambda path: overwrite(path, 5000, b"\0" * 3000), "checksum of "),
    "zeros at its start": (lambda path: overwrite(path, 0, b"\0" * 100), "checksum of "),
    "zeros at its end": (lambda path: overwrite(path, path.stat().st_size - 200, b"\0" * 200), "not a zip file"),
    "another archive": (without("config.json"), "config.json is missing in it"),
    "no weights": (without("model.weights.h5"), "model.weights.h5 is missing in it"),
    "folder": (replace_by_folder, "it is no file"),
    "missing": (lambda path: path.unlink(), "it is missing"),
}


@once
@pytest.mark.parametrize("damage", DAMAGED_MODELS)
def test_a_damaged_checkpoint_leaves_the_one_before_it(damage, copied):
    act, message = DAMAGED_MODELS[damage]
    assert callbacks.last_checkpoint(copied) == (3, callbacks.checkpoint_path(copied, 3))
    act(callbacks.checkpoint_path(copied, 3))
    assert message in callbacks.checkpoint_damage(callbacks.checkpoint_path(copied, 3))
    assert callbacks.last_checkpoint(copied) == (2, callbacks.checkpoint_path(copied, 2))
    assert len(callbacks.read_metrics(copied)) == 3
    callbacks.checkpoint_path(copied, 2).write_bytes(b"PK")
    with pytest.raises(ValueError, match="epoch_0003.keras") as error:
        callbacks.last_checkpoint(copied)
    assert "\n" not in str(error.value)


@once
def test_training_goes_on_from_the_checkpoint_before_a_damaged_one(copied, uninterrupted):
    whole = keras.models.load_model(copied / "model.keras")
    fit(whole, copied, 4, 3)
    assert_values(whole, uninterrupted[1])  # as if it had not ended after the third
    expected = metrics(copied)
    os.truncate(callbacks.checkpoint_path(copied, 4), 1000)
    finished, path = callbacks.last_checkpoint(copied)
    model = keras.models.load_model(path)
    stop = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fit(model, copied, 4, finished, more=[stop])
    assert metrics(copied) == expected and callbacks.last_checkpoint(copied) == (3, path)
    assert keras.models.load_model(copied / "model.keras")
    fit(keras.models.load_model(path), copied, 4, 3)
    assert metrics(copied) == expected
    assert_equal(keras.models.load_model(copied / "model.keras"), whole)


@pytest.mark.parametrize("rows", [0, 1])
def test_metrics_that_lack_epochs_are_no_reason_to_begin_anew(rows, copied):
    lines = (copied / "metrics.csv").read_text().splitlines(keepends=True)
    (copied / "metrics.csv").unlink()
    if rows:
        (copied / "metrics.csv").write_text("".join(lines[: rows + 1]))
    before = {name: (copied / name).read_bytes() for name in files(copied)}
    with pytest.raises(ValueError, match=f"damaged: metrics.csv has {rows} epochs, but there is .*epoch_0003.keras"):
        fit(make_model(), copied, 4, rows)
    assert {name: (copied / name).read_bytes() for name in files(copied)} == before


@pytest.mark.parametrize("first", [0, 2, 4])
def test_finished_epochs_never_become_fewer(first, copied):
    """Neither where training begins before the last epoch, nor where it leaves one out."""
    before = {name: (copied / name).read_bytes() for name in files(copied)}
    with pytest.raises(ValueError, match="`initial_epoch` must be 3, the finished epochs in ") as error:
        fit(make_model(), copied, 5, first)
    assert str(error.value).endswith(f"Received: initial_epoch={first}") and "\n" not in str(error.value)
    assert {name: (copied / name).read_bytes() for name in files(copied)} == before
    with pytest.raises(ValueError, match="`initial_epoch` must be 0"):
        fit(make_model(), copied / "new", 5, 1)
    Lock(copied).release()  # what has refused to train has given up the folder


@once
def test_a_folder_has_one_training(trained, tmp_path):
    def other(*_):
        with pytest.raises(BlockingIOError, match=f"process {os.getpid()} on .* has been writing to it since .*run"):
            thread = threading.Thread(target=lambda: errors.append(attempt()))
            thread.start()
            thread.join()
            raise errors.pop()

    def attempt():
        try:
            callbacks.RunCheckpoint(tmp_path / "run").on_train_begin()
        except OSError as error:
            return error
        return AssertionError("two trainings have the folder")

    errors = []
    fit(make_model(), tmp_path / "run", 2, more=[keras.callbacks.LambdaCallback(on_epoch_end=other)])
    assert len(callbacks.read_metrics(tmp_path / "run")) == 2
    with Lock(tmp_path / "run"), pytest.raises(BlockingIOError, match="has been writing to it"):
        fit(make_model(), tmp_path / "run", 3, 2)


@once
def test_an_interrupted_training_is_not_in_the_way_of_the_next(tmp_path):
    interrupt = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: 1 / 0)
    with pytest.raises(ZeroDivisionError) as error:  # which holds the training, as a notebook does
        fit(make_model(), tmp_path, 1, more=[interrupt])
    fit(make_model(), tmp_path, 1)
    assert error is not None and files(tmp_path) == ["checkpoints/epoch_0001.keras", "metrics.csv", "model.keras"]


@once
def test_where_there_are_no_locks_the_slower_training_ends(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    def faster(epoch, logs):
        fit(make_model(), tmp_path, 2)

    monkeypatch.setattr(locks.fcntl, "flock", none)
    model = make_model()
    with pytest.warns(UserWarning, match="Nothing keeps other processes from writing to .*No locks available"):
        with pytest.raises(BlockingIOError, match="another training has written to it"):
            fit(model, tmp_path, 1, more=[keras.callbacks.LambdaCallback(on_epoch_begin=faster)])
    assert len(callbacks.read_metrics(tmp_path)) == 2 and callbacks.last_checkpoint(tmp_path)[0] == 2


@once
def test_what_others_put_beside_checkpoints_stays(copied):
    names = ["epoch_best.keras", "epoch_0001.keras.bak", "notes.txt"]
    for name in names:
        (copied / "checkpoints" / name).write_text("mine")
    (copied / "checkpoints/epoch_0004.tmp.keras").write_text("half a model")
    fit(keras.models.load_model(copied / "model.keras"), copied, 4, 3)
    found = {path.name for path in (copied / "checkpoints").iterdir()}
    assert found == {*names, "epoch_0003.keras", "epoch_0004.keras"}


@once
def test_paths_are_expanded_and_urls_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    fit(make_model(), "~/run", 1)
    assert callbacks.last_checkpoint("~/run") == (1, tmp_path / "run/checkpoints/epoch_0001.keras")
    assert callbacks.checkpoint_damage("~/run/model.keras") is None
    callbacks.publish_model("~/run")
    callbacks.write_atomically("~/file", "text")
    file = EventFile("~/logs")
    file.scalar("a", 1, 0)
    file.flush()
    images = make_data()[0]
    assert EpochScalars("~/logs").log_dir == callbacks.CapacityReadout(images, "~/logs").log_dir.parent
    assert callbacks.LEAPictures(images, pathlib.Path("~/logs")).log_dir == tmp_path / "logs/pictures"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "logs", "run"]
    for make in (callbacks.RunCheckpoint, EpochScalars, lambda path: callbacks.LEAPictures(images, path)):
        for path in ("gs://bucket/run", "", 3, None):
            with pytest.raises(ValueError, match="must be the path of a folder"):
                make(path)


def test_nan_stops_at_once_and_keeps_the_last_good_epoch(tmp_path):
    model = make_model()
    fit(model, tmp_path, 2)
    kept = (tmp_path / "model.keras").read_bytes()
    with pytest.raises(callbacks.NaNLossError, match=r"epoch 3: .*loss became nan") as error:
        fit(model, tmp_path, 9, 2, data=make_data(np.nan))
    assert error.value.epoch == 3 and math.isnan(error.value.value)
    assert files(tmp_path) == FINISHED_2
    assert (tmp_path / "model.keras").read_bytes() == kept
    assert len(callbacks.read_metrics(tmp_path)) == 2


def test_nan_stops_at_its_batch():
    """The third of a thousand, or while the next ones are under way; the weights are those of the last step taken."""
    images, labels = (np.tile(array, (334,) + (1,) * (array.ndim - 1)) for array in make_data())
    images[8:12] = np.nan
    model, seen = make_model(), []
    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs["loss"]))
    count.async_safe = True
    with pytest.raises(callbacks.NaNLossError, match="epoch 1: loss became nan"):
        model.fit(images, labels, batch_size=4, shuffle=False, verbose=0, callbacks=[callbacks.StopOnNaN(), count])
    assert all(map(math.isfinite, seen)) and len(seen) <= 2
    assert 3 <= int(model.optimizer.iterations) < 500
    assert all(np.isnan(np.array(weight)).all() for weight in model.layers[-1].weights)


def test_weights_spoilt_by_the_last_step_are_not_kept(tmp_path):
    """One step an epoch: its loss is still good, what it makes of the weights shows in the validation alone."""
    images, labels = make_data()
    with pytest.raises(callbacks.NaNLossError, match="epoch 1: val_"):
        fit(make_model(3e38), tmp_path, 1, data=(1e3 * images[:4], labels[:4]))
    assert files(tmp_path) == []


@pytest.mark.parametrize(("name", "stops"), [("lea_1_loss", True), ("loss", True), ("lea_1_rl", False)])
def test_every_loss_counts(name, stops):
    callback = callbacks.StopOnNaN()
    callback.on_epoch_begin(4)
    callback.on_train_batch_end(0, {"accuracy": 0.5, name: 1.0})
    if stops:
        with pytest.raises(callbacks.NaNLossError, match=f"epoch 5: {name} became inf"):
            callback.on_train_batch_end(1, {name: math.inf})
    else:
        callback.on_train_batch_end(1, {name: math.inf})


@pytest.mark.parametrize(
    ("seconds", "epoch", "printed"),
    [
        (15, 8, "8 of 10 epochs done, about 00:30 left\n"),
        (4000, 9, "9 of 10 epochs done, about 1:06:40 left\n"),
        (0.2, 9, "9 of 10 epochs done, about 00:00 left\n"),
    ],
)
def test_time_left(monkeypatch, capsys, seconds, epoch, printed):
    now = [100.0]
    monkeypatch.setattr(callbacks.progress.time, "monotonic", lambda: now[0])
    callback = callbacks.TimeLeft()
    callback.set_params({"epochs": 10})
    callback.on_train_begin()
    callback.on_epoch_begin(epoch - 1)
    assert capsys.readouterr().out == ""
    now[0] += seconds
    callback.on_epoch_begin(epoch)
    assert capsys.readouterr().out == printed


def small_fit(**arguments):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.zeros((6, 2), "float32"), np.zeros((6, 1), "float32")
    model.fit(x, y, batch_size=2, validation_data=(x, y), validation_batch_size=3, epochs=2, **arguments)


@once
def test_lines_within_an_epoch_where_no_bar_shows_it(capsys):
    time_left = callbacks.TimeLeft(every=0)
    small_fit(verbose=2, callbacks=[time_left])
    lines = [re.sub(r"\d\d:\d\d", "T", line) for line in capsys.readouterr().out.splitlines() if "step" not in line]
    of_epochs = [
        [
            f"Epoch {epoch}/2",
            f"Epoch {epoch} of 2: 0 of 3 batches done",
            f"Epoch {epoch} of 2: 1 of 3 batches done",
            f"Epoch {epoch} of 2: 2 of 3 batches done, about T left",
            f"Epoch {epoch} of 2: 0 batches of the validation done",
            f"Epoch {epoch} of 2: 1 batches of the validation done",
        ]
        for epoch in (1, 2)
    ]
    # Keras announces the second epoch after the callbacks that it was given.
    assert sorted(lines) == sorted([*of_epochs[0], "1 of 2 epochs done, about T left", *of_epochs[1]])
    time_left.on_test_begin()  # of an evaluation after training, which is none of its epochs
    time_left.on_test_batch_begin(1)
    assert capsys.readouterr().out == ""


@once
def test_lines_within_a_batch_that_takes_long(capsys):
    class Slow(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            time.sleep(0.2)
            raise KeyError

    time_left = callbacks.TimeLeft(every=0.05)
    with pytest.raises(KeyError), time_left.meanwhile():
        small_fit(verbose=0, callbacks=[time_left, Slow()])
    assert capsys.readouterr().out.count("Epoch 1 of 2: 0 of 3 batches done\n") > 1
    time.sleep(0.1)
    assert capsys.readouterr().out == ""


def test_a_bar_is_left_alone(capsys):
    small_fit(verbose=1, callbacks=[callbacks.TimeLeft(every=0)])
    assert "batches" not in capsys.readouterr().out


def test_time_left_makes_no_step_wait_for_its_losses():
    callback = keras.callbacks.CallbackList([callbacks.TimeLeft(), callbacks.StopOnNaN()], add_progbar=True)
    assert callback._async_train == callback._async_test == keras.callbacks.CallbackList([])._async_train


# TensorBoard: what is in event files.


def events(log_dir):
    """Tag → steps of all that was written below a folder."""
    loaded = EventAccumulator(str(log_dir), size_guidance={"tensors": 0}).Reload()
    return {tag: [event.step for event in loaded.Tensors(tag)] for tag in loaded.Tags()["tensors"]}


def event_values(log_dir, tag):
    loaded = EventAccumulator(str(log_dir), size_guidance={"tensors": 0}).Reload()
    return [tensor_util.make_ndarray(event.tensor_proto) for event in loaded.Tensors(tag)]


def summaries(folder):
    """Every summary in the event files of a folder, in the order in which they were added, with its step."""
    paths = sorted(folder.glob("*tfevents*"))
    found = [event for path in paths for event in EventFileLoader(str(path)).Load()]
    return [(event.step, value) for event in found for value in event.summary.value]


def test_an_event_file_holds_what_was_flushed(tmp_path):
    before, file = time.time(), EventFile(tmp_path / "logs" / "train")
    file.flush()
    file.scalar("a", 0.1, 0)
    assert not (tmp_path / "logs").exists()
    file.flush()
    file.scalar("a", np.float64("nan"), np.int64(7))
    file.scalar("b", 2, 1)
    file.flush()
    (path,) = (tmp_path / "logs" / "train").iterdir()
    version, *loaded = EventFileLoader(str(path)).Load()
    assert version.file_version == "brain.Event:2"
    assert [(event.summary.value[0].tag, event.step) for event in loaded] == [("a", 0), ("a", 7), ("b", 1)]
    assert before <= version.wall_time and loaded[0].wall_time <= loaded[1].wall_time <= time.time()
    first, second = event_values(tmp_path / "logs" / "train", "a")
    assert first == np.float32(0.1) and first.dtype == np.float32 and np.isnan(second)


def test_event_files_are_read_in_the_order_in_which_they_were_made(tmp_path):
    for step in range(12):
        file = EventFile(tmp_path)
        file.scalar("a", step, step)
        file.flush()
    assert [step for step, _ in summaries(tmp_path)] == list(range(12))


def test_a_histogram_of_what_is_not_finite(tmp_path):
    with pytest.raises(ValueError, match="`values` must be finite to have the histogram 'a'. Received: .*inf") as error:
        EventFile(tmp_path).histogram("a", [0.0, np.inf], 0)
    assert "\n" not in str(error.value)


@once
def test_a_full_disk_is_an_error_that_names_the_event_file(tmp_path, monkeypatch):
    file = EventFile(tmp_path)
    file.scalar("a", 1, 0)
    file.flush()
    file.scalar("a", 1, 1)
    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "open", lambda *_, **__: open("/dev/full", "wb"))
        with pytest.raises(OSError, match="No space left on device: '.*tfevents") as error:
            file.flush()
    assert error.value.errno == 28 and str(tmp_path) in error.value.filename
    (tmp_path / "file").touch()
    callback = EpochScalars(tmp_path / "file")
    with pytest.raises(NotADirectoryError, match="train"):
        make_model().fit(*make_data(), verbose=0, callbacks=[callback])


@needs_tensorflow
def test_summaries_are_those_of_tensorflow(tmp_path):
    import tensorflow as tf

    rng = np.random.default_rng(0)
    ours, images = EventFile(tmp_path / "ours"), rng.integers(0, 256, (3, 5, 4, 3)).astype("uint8")
    with tf.summary.create_file_writer(str(tmp_path / "theirs")).as_default() as writer:
        for step, scale in enumerate((1e-3, 1.0, 0.0)):
            values = (scale * rng.normal(size=(7, 11))).astype("float32")
            tf.summary.scalar("a/scalar", scale, step)
            tf.summary.histogram("a/histogram", values, step)
            tf.summary.image("a/image", images[step : step + 1], step)
            ours.scalar("a/scalar", scale, step)
            ours.histogram("a/histogram", values, step)
            ours.image("a/image", images[step], step)
        writer.close()
    ours.flush()
    pairs = list(zip(summaries(tmp_path / "ours"), summaries(tmp_path / "theirs"), strict=True))
    assert len(pairs) == 9
    for (step, own), (their_step, their) in pairs:
        assert (step, own.tag, own.metadata) == (their_step, their.tag, their.metadata)
        own, their = tensor_util.make_ndarray(own.tensor), tensor_util.make_ndarray(their.tensor)
        assert own.shape == their.shape and own.dtype == their.dtype
        if own.dtype == object:
            assert own[:2].tolist() == their[:2].tolist() == [b"4", b"5"]
            assert np.array_equal(np.array(Image.open(io.BytesIO(own[2]))), tf.image.decode_png(their[2]))
        else:
            np.testing.assert_allclose(own, their, rtol=1e-12, atol=1e-15)


# TensorBoard: metrics.


def test_every_metric_of_every_epoch(tmp_path):
    model, callback = make_model(), EpochScalars(tmp_path)
    arguments = {"validation_data": make_data(), "batch_size": 4, "verbose": 0, "callbacks": [callback]}
    first = model.fit(*make_data(), epochs=2, **arguments).history
    second = model.fit(*make_data(), epochs=3, initial_epoch=2, **arguments).history
    history = {name: values + second[name] for name, values in first.items()}
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    tags = {"epoch_loss": [0, 1, 2], "epoch_accuracy": [0, 1, 2]}
    assert events(tmp_path / "train") == tags | {"epoch_learning_rate": [0, 1, 2]}
    steps = {f"evaluation_{name}_vs_iterations": [3, 6, 9] for name in ("loss", "accuracy")}
    assert events(tmp_path / "validation") == tags | steps
    for name, values in history.items():
        folder, name = ("validation", name[4:]) if name.startswith("val_") else ("train", name)
        assert event_values(tmp_path / folder, f"epoch_{name}") == [np.float32(value) for value in values]
        if folder == "validation":
            shown = event_values(tmp_path / folder, f"evaluation_{name}_vs_iterations")
            assert shown == [np.float32(value) for value in values]
    assert event_values(tmp_path / "train", "epoch_learning_rate") == [np.float32(1e-3)] * 3


@once
def test_validation_curves_say_whose_data_they_show(tmp_path):
    make_model().fit(
        *make_data(), validation_data=make_data(), verbose=0, callbacks=[EpochScalars(tmp_path, "the test set")]
    )
    for folder, description in (("train", ""), ("validation", "the test set")):
        said = {summary.metadata.summary_description for _, summary in summaries(tmp_path / folder)}
        assert said == {description}


def test_metrics_without_validation(tmp_path):
    make_model().fit(*make_data(), epochs=2, verbose=0, callbacks=[EpochScalars(tmp_path)])
    assert events(tmp_path / "train")["epoch_loss"] == [0, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


@needs_tensorflow
def test_metrics_are_written_as_by_keras(tmp_path):
    board = keras.callbacks.TensorBoard(str(tmp_path / "theirs"), write_graph=False)
    both = [board, EpochScalars(tmp_path / "ours")]
    make_model(lea=True).fit(*make_data(), validation_data=make_data(), epochs=2, verbose=0, callbacks=both)
    for folder in ("train", "validation"):
        ours, theirs = (summaries(tmp_path / name / folder) for name in ("ours", "theirs"))
        assert len(ours) == (2 * 9 if folder == "train" else 2 * 16)
        for (step, own), (their_step, their) in zip(ours, theirs, strict=True):
            assert (step, own.tag, own.metadata) == (their_step, their.tag, their.metadata)
            assert np.array_equal(tensor_util.make_ndarray(own.tensor), tensor_util.make_ndarray(their.tensor))


# TensorBoard: what LEAs make of a fixed batch.


def drive(callback, model, epochs, finished=0):
    """Calls a callback as ``fit`` does, without the training, which is not its business."""
    callback.set_model(model)
    callback.on_train_begin()
    for epoch in range(finished, epochs):
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch)
    callback.on_train_end()
    return callback


def lea_alone():
    """The model with the fewest pictures, whose panels take most of the time: of one code, which is not varied."""
    inputs = keras.Input((4, 4, 1))
    autoencoder = lea_keras.StandardAutoencoder(code_length=1)
    return keras.Model(inputs, lea_keras.LocallyEmbeddedAutoencoder(2, autoencoder, name="lea")(inputs))


@pytest.fixture
def confidence_alone(monkeypatch):
    """To save time: of the pictures of LEAs, those that do not depend on the epochs before are left empty."""
    for name in ("code_maps", "reconstructions"):
        monkeypatch.setattr(plots, name, lambda *_, **__: Figure((1, 1)))


def draw(model, log_dir, epochs, finished=0, every=1, count=1):
    return drive(callbacks.LEAPictures(make_data()[0][:count], log_dir, every), model, epochs, finished)


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """A folder of logs, and the model and the callback that wrote it in a training of three epochs."""
    log_dir = tmp_path_factory.mktemp("logs")
    model, few = make_model(lea=True), make_data()[0][:2]
    pictures = callbacks.LEAPictures(few, log_dir, every=2)
    model.fit(*make_data(), callbacks=[pictures, callbacks.CapacityReadout(few, log_dir)], **FIT)
    return log_dir, model, pictures


FIT = {"epochs": 3, "batch_size": 6, "shuffle": False, "verbose": 0}
PICTURES = ["lea/code_maps", "lea/confidence", "lea/reconstructions", "lea/traversal"]
HISTOGRAMS = ["lea/values/codes", "lea/values/inputs", "lea/values/reconstructions"]


def test_tensorboard_shows_pictures_histograms_and_capacity(logged):
    log_dir, _, pictures = logged
    # After the second and the last epoch; from 0, as Keras counts them.
    assert events(log_dir / "pictures") == {tag: [1, 2] for tag in PICTURES + HISTOGRAMS}
    assert events(log_dir / "capacity") == {
        tag: [0, 1, 2] for tag in ("lea/capacity", "lea/kl/code_01", "lea/kl/code_02")
    }
    width, height, png = event_values(log_dir / "pictures", "lea/confidence")[-1]
    drawn = plots.pixels(pictures.confidence_maps())
    assert (int(height), int(width)) == drawn.shape[:2]
    assert np.array_equal(np.array(Image.open(io.BytesIO(png))), drawn)
    assert shown_epochs(pictures) == [2, 3]


def test_looking_does_not_change_training(logged):
    plain = make_model(lea=True)
    plain.fit(*make_data(), **FIT)
    assert_equal(plain, logged[1])


def test_pictures_in_tensorboard_are_those_of_plots(logged):
    """Code maps with one scale per code, and all else that ``lea_keras.plots`` says."""
    log_dir, model, _ = logged
    (view,) = lea_keras.inspect(model, make_data()[0][:2])
    for kind, draw in (("code_maps", plots.code_maps), ("reconstructions", plots.reconstructions)):
        _, _, png = event_values(log_dir / "pictures", f"lea/{kind}")[-1]
        assert np.array_equal(np.array(Image.open(io.BytesIO(png))), plots.pixels(draw(view)))


def test_pictures_of_several_inputs_and_data_sets(tmp_path):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return dict(zip(("images", "others"), [make_data()[0][:2]] * 2, strict=True)), make_data()[1][:2]

    inputs = [keras.Input((4, 4, 1), name=name) for name in ("images", "others")]
    lea = lea_keras.LocallyEmbeddedAutoencoder(2, lea_keras.VariationalAutoencoder(code_length=2), name="lea")
    model = keras.Model(inputs, lea(inputs[0] - inputs[1]))
    drive(callbacks.LEAPictures(Batches(), tmp_path), model, 1)
    drive(callbacks.CapacityReadout([make_data()[0][:2]] * 2, tmp_path), model, 1)
    assert set(events(tmp_path / "pictures")) == {*PICTURES, *HISTOGRAMS}
    assert set(events(tmp_path / "capacity")) == {"lea/kl/code_01", "lea/kl/code_02"}


def test_histograms_are_those_of_the_fixed_batch(logged):
    log_dir, model, _ = logged
    (view,) = lea_keras.inspect(model, make_data()[0][:2])
    for tag, values in (("inputs", view.inputs), ("codes", view.code_maps), ("reconstructions", view.windows)):
        buckets = event_values(log_dir / "pictures", f"lea/values/{tag}")[-1]
        assert buckets[0, 0] == pytest.approx(values.min(), abs=1e-5)
        assert buckets[-1, 1] == pytest.approx(values.max(), abs=1e-5)
        assert buckets[:, 2].sum() == values.size


def test_capacity_readout_against_the_formulas(logged):
    """C rises from 0 to 25 over 20 steps, 2 of them an epoch; KL of a variable is the mean of μ² + σ² − log σ² − 1."""
    log_dir, model, _ = logged
    capacity = event_values(log_dir / "capacity", "lea/capacity")
    np.testing.assert_allclose(capacity, [25 * 2 * epoch / 20 for epoch in (1, 2, 3)], rtol=1e-6)
    autoencoder = model.lea_layers[0].autoencoder
    images = make_data()[0][:2]
    blocks = images.reshape(2, 2, 2, 2, 2).transpose(0, 1, 3, 2, 4).reshape(8, 2, 2, 1)  # windows of 2×2
    features = autoencoder.encoder(blocks)
    mean, log_std = np.array(autoencoder.mean(features)), np.array(autoencoder.log_std(features))
    by_hand = np.mean(mean**2 + np.exp(2 * log_std) - 2 * log_std - 1, axis=0)
    for i, expected in enumerate(by_hand):
        shown = event_values(log_dir / "capacity", f"lea/kl/code_{i + 1:02}")[-1]
        np.testing.assert_allclose(shown, expected, rtol=1e-4)


def shown_epochs(pictures):
    texts = [text.get_text() for text in pictures.confidence_maps().axes[0].texts]
    return [int(text.split()[1]) for text in texts if text.startswith("epoch ")]


@once
@pytest.mark.usefixtures("confidence_alone")
def test_resumed_training_goes_on_with_steps_and_confidence(tmp_path):
    model = lea_alone()
    whole = draw(model, tmp_path / "whole", 3)
    draw(model, tmp_path / "parts", 2)
    resumed = draw(model, tmp_path / "parts", 3, finished=2)
    steps = events(tmp_path / "parts" / "pictures")
    assert steps == events(tmp_path / "whole" / "pictures") and steps["lea/confidence"] == [0, 1, 2]
    assert shown_epochs(resumed) == shown_epochs(whole) == [1, 2, 3]
    np.testing.assert_array_equal(plots.pixels(resumed.confidence_maps()), plots.pixels(whole.confidence_maps()))
    # A training that goes back further forgets what came later; one from the start, everything.
    assert shown_epochs(draw(model, tmp_path / "parts", 2, finished=1)) == [1, 2]
    assert shown_epochs(draw(model, tmp_path / "parts", 1)) == [1]
    # The same callback in a second training.
    assert shown_epochs(drive(resumed, model, 2, finished=1)) == [1, 2]


@once
@pytest.mark.usefixtures("confidence_alone")
@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"no archive"])
def test_confidence_that_cannot_be_read_is_given_up(tmp_path, damage):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "confidence.npz").write_bytes(damage)
    assert shown_epochs(draw(lea_alone(), tmp_path, 2, finished=1)) == [2]


@once
@pytest.mark.usefixtures("confidence_alone")
def test_confidence_of_another_batch_is_given_up(tmp_path):
    model = lea_alone()
    draw(model, tmp_path, 1)
    assert shown_epochs(draw(model, tmp_path, 2, finished=1, count=2)) == [2]


@once
@pytest.mark.usefixtures("confidence_alone")
def test_a_training_that_stops_early_is_written_at_its_end(tmp_path):
    draw(lea_alone(), tmp_path, 2, every=5)
    assert set(map(tuple, events(tmp_path / "pictures").values())) == {(1,)}


@once
def test_nested_and_decoder_free_leas_and_models_without(tmp_path):
    inputs = keras.Input((4, 4, 1))
    plain = lea_keras.LocallyEmbeddedAutoencoder(2, "standard", name="plain")
    free = lea_keras.LocallyEmbeddedAutoencoder(2, "vae", loss_weight=0.0, name="free")
    inner = keras.Model(inputs, free(plain(inputs)))
    model = keras.Sequential([inner, keras.layers.Flatten(), keras.layers.Dense(3)])
    draw(model, tmp_path, 1)
    drive(callbacks.CapacityReadout(make_data()[0][:2], tmp_path), model, 1)
    of_plain = {f"plain/{kind}" for kind in ("code_maps", "reconstructions", "confidence")}
    values = {"plain/values/codes", "plain/values/inputs", "plain/values/reconstructions"}
    of_free = {"free/code_maps", "free/values/codes", "free/values/inputs"}
    assert set(events(tmp_path / "pictures")) == of_plain | values | of_free
    assert set(events(tmp_path / "capacity")) == {f"free/kl/code_{i:02}" for i in range(1, 11)}


def test_nothing_is_written_of_models_without_leas(tmp_path):
    pictures = draw(make_model(), tmp_path / "logs", 1)
    drive(callbacks.CapacityReadout(make_data()[0], tmp_path / "logs"), make_model(), 1)
    assert not (tmp_path / "logs").exists()
    with pytest.raises(ValueError, match="no confidence maps yet"):
        pictures.confidence_maps()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: callbacks.LEAPictures(np.zeros((0, 4, 4, 1)), "logs"), "`images` must be a batch of at least one"),
        (lambda: callbacks.CapacityReadout(0.5, "logs"), r"`images` must be a batch .* Received: images=\(\)"),
        (lambda: callbacks.LEAPictures(np.full((1, 4, 4, 1), np.nan), "logs"), "`images` must be finite .*minimum nan"),
        (lambda: callbacks.CapacityReadout(["a"], "logs"), "`images` must be one batch .* Received: images='str'"),
        (lambda: callbacks.LEAPictures(np.zeros((1, 4, 4, 1)), "logs", 0), "`every` must be an integer of at least 1"),
    ],
)
def test_wrong_arguments_get_one_line(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)
