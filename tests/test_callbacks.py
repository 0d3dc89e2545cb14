"""Callbacks: what a run folder holds after every epoch and every interruption, the stop at NaN, the time left."""

import math
import os

import keras
import numpy as np
import pytest

import lea_keras
from lea_keras import callbacks


def make_model(learning_rate=1e-3, lea=False):
    """A small model; without a LEA where only files matter, since that is traced faster."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 4, 1))
    autoencoder = lea_keras.CapacityControlledAutoencoder(code_length=2, capacity_steps=20)
    reduce = (
        lea_keras.LocallyEmbeddedAutoencoder(2, autoencoder, name="lea") if lea else keras.layers.AveragePooling2D(2)
    )
    outputs = keras.layers.Dense(3)(keras.layers.Flatten()(reduce(inputs)))
    model = lea_keras.LEAModel(inputs, outputs) if lea else keras.Model(inputs, outputs)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(learning_rate), loss, metrics=["accuracy"])
    return model


def make_data(value=None):
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(12, 4, 4, 1)).astype("float32")
    if value is not None:
        images[5, 0, 0] = value
    return images, np.eye(3, dtype="float32")[rng.integers(0, 3, 12)]


def fit(model, run_dir, epochs, finished=0, data=None):
    images, labels = data or make_data()
    return model.fit(
        images,
        labels,
        validation_data=make_data(),
        batch_size=4,
        shuffle=False,
        epochs=epochs,
        initial_epoch=finished,
        verbose=0,
        callbacks=[callbacks.StopOnNaN(), callbacks.RunCheckpoint(run_dir)],
    )


def files(run_dir):
    return sorted(str(path.relative_to(run_dir)) for path in run_dir.rglob("*") if path.is_file())


FINISHED_2 = ["checkpoints/epoch_0002.keras", "metrics.csv", "model.keras"]


def values(model):
    optimizers = [model.optimizer, *getattr(model, "lea_optimizers", [])]
    return [np.array(v) for v in model.variables + [v for optimizer in optimizers for v in optimizer.variables]]


def without_seconds(run_dir):
    return [
        {name: value for name, value in row.items() if name != "seconds"} for row in callbacks.read_metrics(run_dir)
    ]


def assert_equal(first, second):
    assert all(np.array_equal(a, b) for a, b in zip(values(first), values(second), strict=True))


def test_folder_holds_the_last_epoch_and_all_metrics(tmp_path):
    model = make_model(lea=True)
    history = fit(model, tmp_path, 2).history
    assert files(tmp_path) == FINISHED_2
    rows = callbacks.read_metrics(tmp_path)
    assert [list(row) for row in rows] == [["epoch", *history, "seconds"]] * 2
    assert [row["epoch"] for row in rows] == [1, 2]
    for name, epochs in history.items():
        assert [row[name] for row in rows] == epochs  # to the last digit
    assert {"lea_loss", "lea_rl", "lea_rln", "lea_kl", "lea_capacity", "val_main_loss"} <= set(rows[0])
    finished, path = callbacks.last_checkpoint(tmp_path)
    assert finished == 2
    assert_equal(model, keras.models.load_model(path))
    assert_equal(model, keras.models.load_model(tmp_path / "model.keras"))


def test_resumed_run_equals_uninterrupted_one(tmp_path):
    whole, first = make_model(lea=True), make_model(lea=True)
    fit(whole, tmp_path / "whole", 3)
    fit(first, tmp_path / "parts", 1)
    finished, path = callbacks.last_checkpoint(tmp_path / "parts")
    second = keras.models.load_model(path)
    fit(second, tmp_path / "parts", 3, finished)
    assert without_seconds(tmp_path / "whole") == without_seconds(tmp_path / "parts")
    assert_equal(whole, second)


class Kill(BaseException):
    """Stands for a kill: nothing catches it, nothing is cleaned up."""


@pytest.mark.parametrize("renames", range(3))
def test_killed_between_any_two_writes_the_run_goes_on(tmp_path, monkeypatch, renames):
    """The third epoch is killed before its 1st, 2nd or 3rd rename: checkpoint, metrics, model."""
    fit(make_model(), tmp_path, 2)
    finished, path = callbacks.last_checkpoint(tmp_path)
    done, replace = [], os.replace

    def killing_replace(*paths):
        if len(done) == renames:
            raise Kill
        done.append(paths)
        replace(*paths)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.os, "replace", killing_replace)
        with pytest.raises(Kill):
            fit(keras.models.load_model(path), tmp_path, 3, finished)
    finished, path = callbacks.last_checkpoint(tmp_path)
    assert finished == (3 if renames == 2 else 2) and path.is_file()
    callbacks.publish_model(tmp_path)
    assert (tmp_path / "model.keras").samefile(path)
    model = keras.models.load_model(path)
    fit(model, tmp_path, 4, finished)
    assert files(tmp_path) == ["checkpoints/epoch_0004.keras", "metrics.csv", "model.keras"]
    assert [row["epoch"] for row in callbacks.read_metrics(tmp_path)] == [1, 2, 3, 4]
    uninterrupted = make_model()
    fit(uninterrupted, tmp_path / "whole", 4)
    assert_equal(uninterrupted, model)


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


@pytest.mark.parametrize("link", [True, False])
def test_model_is_copied_where_files_cannot_have_two_names(tmp_path, monkeypatch, link):
    def refuse(*paths):
        raise OSError(1, "Operation not permitted")

    if not link:
        monkeypatch.setattr(callbacks.os, "link", refuse)
    fit(make_model(), tmp_path, 1)
    checkpoint = callbacks.checkpoint_path(tmp_path, 1)
    assert (tmp_path / "model.keras").read_bytes() == checkpoint.read_bytes()
    assert (tmp_path / "model.keras").samefile(checkpoint) == link


def test_nothing_finished_yet(tmp_path):
    assert callbacks.last_checkpoint(tmp_path) == (0, None)
    assert callbacks.read_metrics(tmp_path / "no folder") == []


@pytest.mark.parametrize("text", ["epoch,loss\n1,much\n", "epoch,loss\n2,0.5\n", "loss\n0.5\n", "epoch,loss\n1,2,3\n"])
def test_damaged_metrics_are_named(tmp_path, text):
    (tmp_path / "metrics.csv").write_text(text)
    with pytest.raises(ValueError, match="metrics of the run are damaged.*metrics.csv") as error:
        callbacks.last_checkpoint(tmp_path)
    assert "\n" not in str(error.value)


def test_missing_checkpoint_is_named(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,loss\n1,0.5\n")
    with pytest.raises(ValueError, match="checkpoint of epoch 1, .* missing: .*epoch_0001.keras"):
        callbacks.last_checkpoint(tmp_path)


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


def test_weights_spoilt_by_the_last_step_are_not_kept(tmp_path):
    """One step an epoch: its loss is still good, what it makes of the weights shows in the validation alone."""
    images, labels = make_data()
    with pytest.raises(callbacks.NaNLossError, match="epoch 1: val_"):
        fit(make_model(3e38), tmp_path, 1, data=(images[:4], labels[:4]))
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
    clock = iter([100.0, 100.0 + seconds])
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: next(clock))
    callback = callbacks.TimeLeft()
    callback.set_params({"epochs": 10})
    callback.on_train_begin()
    callback.on_epoch_begin(epoch - 1)
    assert capsys.readouterr().out == ""
    callback.on_epoch_begin(epoch)
    assert capsys.readouterr().out == printed
