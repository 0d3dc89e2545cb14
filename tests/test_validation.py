"""``train.py --validation``: what is trained on, validated on and tested on, and what the results call it."""

import json
import shutil

import keras
import numpy as np
import pytest
from command_checks import contents, metrics, the_line

import evaluate
import lea_keras
import lea_keras.data
import train
from experiments import pictures, probing, runs, training
from experiments.config import RunConfig
from experiments.runs import RunError
from lea_keras import callbacks, plots
from lea_keras.data import splits

# 64 samples, of which 48 in three batches are trained on. Noise, capacity and order depend on what came before.
FLAGS = ["--limit=64", "--validation=0.25", "--batch_size=16", "--autoencoder=capacity_vae", "--window_size=4"]
FLAGS += ["--image_size=16", "--seed=3", "--learning_rate=1e-3"]

pytestmark = pytest.mark.usefixtures("untraced", "few_test_images", "no_pictures_while_training", "no_pictures_after")


@pytest.fixture(scope="module")
def no_pictures_after():
    """To save time: what is drawn of a run after training is no question of its splits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_draw", lambda *_, **__: None)
        yield


def main(*arguments):
    return train.main(["train.py", *map(str, arguments)])


def run_evaluation(*arguments):
    return evaluate.main(["evaluate.py", *map(str, arguments)])


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run; not to be changed."""
    run_dir = tmp_path_factory.mktemp("run") / "run"
    assert main(f"--run_dir={run_dir}", "--epochs=2", *FLAGS) == 0
    return run_dir


def cells(lines):
    """The values of a table by the beginning of its lines, as text."""
    return {line[:24].strip(): line[24:].split() for line in lines}


@pytest.fixture
def curves_alone(monkeypatch):
    """To save time: of the pictures of an evaluation, those of LEAs are not drawn."""
    monkeypatch.setattr(lea_keras, "inspect", lambda *_, **__: [])


@pytest.mark.usefixtures("curves_alone")
def test_every_split_is_measured_on_its_own_samples(run_dir, tmp_path, monkeypatch, capsys):
    """The table after training, ``metrics.csv`` and the evaluation agree on who is who."""
    labels = []
    draw = plots.metric_curves

    def spy(*arguments, **rest):
        figure = draw(*arguments, **rest)
        labels.append([text.get_text() for text in figure.legends[0].get_texts()])
        return figure

    monkeypatch.setattr(plots, "metric_curves", spy)
    assert run_evaluation(f"--run_dir={run_dir}", f"--output_dir={tmp_path / 'out'}", "--images=2") == 0
    table = cells(capsys.readouterr().out.splitlines())
    values = json.loads((tmp_path / "out/results.json").read_text())["splits"]
    assert list(values) == ["train", "validation", "test"]
    assert table[""] == ["train", "validation", "test"]
    assert [values[split]["samples"] for split in values] == [48, 16, 100]
    assert table["samples"] == ["48", "16", "100"]
    last = metrics(run_dir)[-1]
    for name in ("accuracy", "lea_loss", "lea_kl"):
        assert values["validation"][name] == pytest.approx(last[f"val_{name}"], rel=1e-4)
    assert values["validation"]["log_loss"] == pytest.approx(last["val_main_loss"], rel=1e-4)
    assert abs(values["test"]["log_loss"] - last["val_main_loss"]) > 1e-4
    assert labels == [["validation", "training"]]

    assert main(f"--run_dir={run_dir}", "--resume") == 0  # nothing left to do: shows the results again
    table = cells(capsys.readouterr().out.splitlines())
    assert table[""] == ["train", "validation", "test"]
    expected = [last["main_loss"], last["val_main_loss"], values["test"]["log_loss"]]
    assert [float(cell) for cell in table["log loss"]] == pytest.approx(expected, abs=1e-4)
    majorities = [values[split]["majority_accuracy"] for split in ("validation", "test")]
    assert [float(cell) for cell in table["of the majority class"]] == pytest.approx(majorities, abs=1e-4)


def test_no_sample_of_another_split_is_trained_on(tmp_path, monkeypatch):
    """By the images themselves: what every batch of ``fit`` came from."""
    given = {}

    def note(model, data, validation_data, **rest):
        for name, dataset in (("train", data), ("validation", validation_data)):
            given[name] = [image.tobytes() for images, _ in lea_keras.data.batches(dataset) for image in images]
        raise RunError("enough")

    monkeypatch.setattr(keras.Model, "fit", note)
    # Of full size: small ones of different samples can be alike.
    assert main(f"--run_dir={tmp_path / 'run'}", *FLAGS, "--image_size=64") == 1
    part, rest = set(given["validation"]), set(given["train"])
    assert (len(part), len(rest), len(part & rest)) == (16, 48, 0)
    chosen = lea_keras.data.load("sprites", "train", limit=64, batch_size=64, seed=0, shuffle=False)
    assert part | rest == {image.tobytes() for images, _ in lea_keras.data.batches(chosen) for image in images}


def test_steps_of_an_epoch_and_resuming(run_dir, tmp_path):
    """The capacity rises over the steps that there are, and a resumed run sees what an uninterrupted one would."""
    autoencoder = keras.models.load_model(run_dir / "model.keras").get_layer("lea").autoencoder
    assert autoencoder.capacity_steps == 25 * 3
    assert metrics(run_dir)[-1]["val_lea_capacity"] == pytest.approx(25 * 2 / 25)
    left_out = shutil.ignore_patterns("logs", "epoch_0002.keras", "model.keras")
    killed = shutil.copytree(run_dir, tmp_path / "killed", ignore=left_out)  # after its first epoch
    lines = (killed / "metrics.csv").read_text().splitlines(keepends=True)
    (killed / "metrics.csv").write_text("".join(lines[:2]))
    callbacks.publish_model(killed)
    assert main(f"--run_dir={killed}", "--resume", "--epochs=2", "--validation=0.25") == 0
    assert len(lines) == 3 and metrics(killed) == metrics(run_dir)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--limit=10", "--validation=0.01"], "`validation` must be 0, or leave some of the 10 training samples on ei"),
        (["--limit=10", "--validation=0.99"], "`validation` must be 0, or leave some of the 10 training samples on ei"),
        (["--validation=1"], "Argument `validation` must be a number of at least 0 and below 1. Received: validation="),
        (["--validation=some"], "Argument `validation` must be a number. Received: validation='some'"),
    ],
)
def test_a_part_that_cannot_be(arguments, message, tmp_path, capsys):
    assert main(f"--run_dir={tmp_path / 'run'}", *arguments) == 1
    assert message in the_line(capsys)
    assert not (tmp_path / "run").exists()


def test_the_part_of_a_run_cannot_be_changed(run_dir, capsys):
    before = contents(run_dir)
    for value in (0, 0.1):
        assert main(f"--run_dir={run_dir}", "--resume", f"--validation={value}") == 1
        assert "`validation` must be 0.25, as in the run that is resumed, or left out" in the_line(capsys)
    assert contents(run_dir) == before


@pytest.fixture
def copy(run_dir, tmp_path):
    """A copy of the run whose first epoch is the best by the main loss, with a model of its own."""
    copy = shutil.copytree(run_dir, tmp_path / "copy", ignore=shutil.ignore_patterns("logs"))
    model = keras.models.load_model(copy / "model.keras", compile=False)
    model.get_layer("logits").bias.assign([9.0, 0.0, 0.0])  # which names the first class, whatever it sees
    model.save(copy / "checkpoints/epoch_0001.keras")
    rows = callbacks.read_metrics(copy)
    rows[0]["val_main_loss"], rows[1]["val_main_loss"] = 0.25, 0.5
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    (copy / "metrics.csv").write_text("\n".join(lines) + "\n")
    return copy


def test_the_best_epoch_is_evaluated_where_its_model_is(copy, monkeypatch, capsys):
    monkeypatch.setattr(pictures, "of_run", lambda *_, **__: None)  # whose models are those that are measured
    assert run_evaluation(f"--run_dir={copy}", "--splits=validation,test", "--epoch=best", "--images=1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == "After epoch 1 of 2, the epoch of least validation log loss."
    assert "chosen by the test data" not in "".join(lines)
    results = json.loads((copy / "evaluation/results.json").read_text())
    assert (results["epochs"], results["epoch"]) == (1, "best")
    assert (copy / "evaluation/results.csv").read_text().splitlines()[1].startswith("validation,1,16,")
    _, labels = lea_keras.data.take(lea_keras.data.load("sprites", "test", batch_size=100), 100)
    assert results["splits"]["test"]["accuracy"] == pytest.approx(np.mean(labels[:, 0]))
    assert run_evaluation(f"--run_dir={copy}", "--splits=test", "--epoch=2", "--images=1") == 0
    assert "After epoch 2 of 2." in capsys.readouterr().out
    assert json.loads((copy / "evaluation/results.json").read_text())["splits"]["test"] != results["splits"]["test"]


def test_an_epoch_without_its_model_is_refused_before_any_run_is_measured(run_dir, copy, capsys):
    (copy / "checkpoints/epoch_0001.keras").unlink()
    assert run_evaluation(f"--run_dir={copy}", "--epoch=best") == 1
    line = the_line(capsys)
    assert (
        f"`epoch` must be an epoch whose model is still in {copy}, which is 2. The best epoch is 1. --compare" in line
    )
    shutil.copytree(copy, copy.parent / "other")
    shutil.copy(run_dir / "metrics.csv", copy)  # whose second epoch is there, and of the other run is not
    assert run_evaluation(f"--run_dir={copy},{copy.parent / 'other'}", "--epoch=1") == 1
    assert "`epoch` must be an epoch whose model is still in" in the_line(capsys)
    assert not (copy / "evaluation").exists()


def test_runs_of_both_kinds_side_by_side(run_dir, tmp_path, capsys):
    """Nothing that was found on a validation part stands in the column of the test data, or the other way round."""
    other = shutil.copytree(run_dir, tmp_path / "plain", ignore=shutil.ignore_patterns("logs", "checkpoints"))
    config = runs.load_config(other).replace(validation=0.0)
    (other / "config.json").write_text(config.to_json())
    output = tmp_path / "both"
    assert run_evaluation(f"--compare={run_dir},{other}", "--epoch=best", f"--output_dir={output}") == 0
    text = capsys.readouterr().out
    assert "epoch of least validation or test log loss" in text and "chosen by the test data" in text
    groups = json.loads((output / "comparison.json").read_text())["groups"]
    assert [(group["name"], list(group["splits"]), group["differs"]) for group in groups] == [
        ("plain", ["train", "test"], {"validation": 0.0}),
        ("run", ["train", "validation"], {"validation": 0.25}),
    ]
    head = (output / "comparison.md").read_text().splitlines()[0]
    assert head.endswith("| validation | train, median | range | validation, median | range | test, median | range |")
    assert (output / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("limit", [None, 1, 31, 48])
def test_probes_are_trained_on_images_that_the_run_was_trained_on(limit):
    config = RunConfig(limit=64, validation=0.25, seed=3)
    images, labels = probing.load(config, probing.Settings(limit=limit))["train"]
    assert len(images) == len(labels["shape"]) == (limit or 48)
    data = training.load_splits(config, splits=["train"])["train"]
    trained = {image.tobytes() for batch, _ in lea_keras.data.batches(data) for image in batch}
    assert {image.astype("float32").tobytes() for image in images} <= trained
    with pytest.raises(RunError, match="`probe_limit` must be at most 48, the images that the run was trained on"):
        probing.load(config, probing.Settings(limit=49))
    assert splits.validation_size(64, 0.25) == 16
