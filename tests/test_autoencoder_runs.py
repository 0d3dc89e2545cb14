"""Runs of a LEA alone, and the data that runs see, by the command line."""

import json

import keras
import numpy as np
import pytest

import evaluate
import lea_keras.data
import train
from experiments import pictures, training
from experiments.config import RunConfig
from lea_keras import callbacks, plots

SMALL = [
    "--image_size=16",
    "--limit=32",
    "--test_limit=20",
    "--batch_size=16",
    "--model=autoencoder",
    "--code_length=4",
]

pytestmark = pytest.mark.usefixtures("untraced", "no_pictures_while_training")


def run_training(*arguments):
    return train.main(["train.py", *map(str, arguments)])


def run_evaluation(*arguments):
    return evaluate.main(["evaluate.py", *map(str, arguments)])


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run; not to be changed."""
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    flags = ["--autoencoder=k_sparse", "--k=1", "--k_start=3", "--k_epochs=2", "--validate_every=2", "--epochs=3"]
    assert run_training(f"--run_dir={run_dir}", "--learning_rate=0.01", *SMALL, *flags) == 0
    return run_dir


def test_an_autoencoder_is_trained_alone(run_dir):
    model = keras.models.load_model(run_dir / "model.keras")
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "LocallyEmbeddedAutoencoder"]
    assert model.layers[1].window_size == (16, 16) and model.output_shape == (None, 1, 1, 4)
    assert model.layers[1].autoencoder.k_steps == 2 * 2  # steps of an epoch
    rows = callbacks.read_metrics(run_dir)
    assert not [name for name in rows[0] if "accuracy" in name or "main" in name]
    assert ["val_lea_rl" in row for row in rows] == [False, True, True]  # every second epoch, and the last
    assert rows[2]["lea_rl"] < rows[0]["lea_rl"]
    assert 0 <= rows[2]["val_lea_dead_codes"] <= 3


def test_it_resumes(run_dir, tmp_path):
    flags = json.loads((run_dir / "config.json").read_text())
    given = [f"--{name}={flags[name]}" for name in ("autoencoder", "k", "k_start", "k_epochs", "validate_every")]
    first = ["--learning_rate=0.01", *SMALL, *given, "--epochs=1", "--nopictures"]
    assert run_training(f"--run_dir={tmp_path}", *first) == 0
    assert run_training(f"--run_dir={tmp_path}", "--resume", "--epochs=3", "--nopictures") == 0
    first, rows = (callbacks.read_metrics(folder) for folder in (run_dir, tmp_path))
    assert "val_lea_rl" in rows[0]  # it was the last one then
    for row, expected in zip(rows, first, strict=True):
        names = expected.keys() - {"seconds"}
        assert {name: row[name] for name in names} == pytest.approx({name: expected[name] for name in names}, rel=1e-5)


def test_it_is_evaluated_and_compared(run_dir, tmp_path, monkeypatch, capsys):
    curves, draw = [], plots.metric_curves
    monkeypatch.setattr(plots, "metric_curves", lambda *given, **rest: curves.append(given[0]) or draw(*given, **rest))
    assert run_evaluation(f"--run_dir={run_dir}", "--images=1", "--epoch=best", f"--output_dir={tmp_path / 'one'}") == 0
    values = json.loads((tmp_path / "one/results.json").read_text())["splits"]
    assert [values[split]["samples"] for split in ("train", "test")] == [32, 20]
    best = min(callbacks.read_metrics(run_dir)[1:], key=lambda row: row["val_lea_loss"])  # the first has no such value
    shared = {name: values["test"][name] for name in ("lea_loss", "lea_rl", "lea_rln", "lea_dead_codes")}
    assert shared == pytest.approx({name: best[f"val_{name}"] for name in shared}, rel=1e-5)
    assert not {"accuracy", "log_loss", "majority_accuracy"} & set(values["test"])
    assert "test lea loss" in capsys.readouterr().out
    assert run_evaluation(f"--compare={run_dir}", f"--output_dir={tmp_path / 'both'}") == 0
    assert "lea dead codes" in capsys.readouterr().out
    (rows,), _ = curves
    assert ["val_lea_rl" in row for row in rows] == [False, True, True]
    assert run_evaluation(f"--run_dir={run_dir}", "--attacks=all") == 1
    assert "others have no classes to mistake" in capsys.readouterr().err


def test_a_deep_one_with_a_bernoulli_likelihood(tmp_path, capsys):
    """As the documents beside the thesis have them: flags are stored with the run, and tables have NLL."""
    flags = ["--units=10,6", "--likelihood=bernoulli", "--autoencoder=vae", "--epochs=1", f"--run_dir={tmp_path}"]
    assert run_training("--nopictures", *SMALL, *flags) == 0
    assert "lea NLL" in capsys.readouterr().out
    stored = json.loads((tmp_path / "config.json").read_text())
    assert stored["units"] == [10, 6] and stored["likelihood"] == "bernoulli"
    autoencoder = keras.models.load_model(tmp_path / "model.keras").layers[1].autoencoder
    assert autoencoder.units == (10, 6) and autoencoder.likelihood == "bernoulli"
    assert run_evaluation(f"--run_dir={tmp_path}", "--splits=test", "--images=1") == 0
    assert "lea NLL" in capsys.readouterr().out
    found = json.loads((tmp_path / "evaluation/results.json").read_text())["splits"]["test"]
    (row,) = callbacks.read_metrics(tmp_path)
    assert found["lea_nll"] == pytest.approx(row["val_lea_nll"], rel=1e-5)
    assert found["lea_loss"] == pytest.approx(found["lea_nll"] + 0.5 * found["lea_kl"], rel=1e-5)


def test_an_epoch_of_many_steps_is_still_evaluated_image_by_image(tmp_path, monkeypatch):
    flags = ["--steps_per_epoch=3", "--epochs=1", "--autoencoder=standard", "--nopictures", f"--run_dir={tmp_path}"]
    assert run_training(*SMALL, *flags) == 0
    assert int(keras.models.load_model(tmp_path / "model.keras").optimizer.iterations) == 3
    monkeypatch.setattr(pictures, "of_run", lambda *_: None)
    assert run_evaluation(f"--run_dir={tmp_path}", "--splits=train", "--images=1") == 0
    assert json.loads((tmp_path / "evaluation/results.json").read_text())["splits"]["train"]["samples"] == 32


def batches(**fields):
    """All that a run is trained and validated on, epoch by epoch."""
    config = RunConfig(**{"limit": 10, "batch_size": 4, "image_size": 16, "validation": 0.2} | fields)
    splits = training.load_splits(config, splits=("train", "validation"))
    epochs = [splits["train"], splits["train"], splits["validation"]]
    return [images.tobytes() for data in epochs for images, _ in lea_keras.data.batches(data)]


def test_the_order_of_the_data_depends_on_their_own_seed_alone():
    """Section 4.8: one fixed seed for all preprocessing, whatever the seed of a run."""
    assert batches(seed=1) == batches(seed=2)
    assert batches(data_seed=1) != batches(data_seed=2)
    old = json.loads(RunConfig(seed=3, limit=10, batch_size=4, image_size=16, validation=0.2).to_json())
    del old["data_seed"]
    assert RunConfig.from_json(json.dumps(old)).data_seed == 3  # of a run that had one seed for everything


def test_a_limited_set_is_the_same_whatever_the_seed():
    images = [
        sorted(image.tobytes() for batch, _ in lea_keras.data.batches(data) for image in np.asarray(batch))
        for data in (training.load_splits(RunConfig(limit=10, seed=seed), splits=["train"])["train"] for seed in (1, 2))
    ]
    assert images[0] == images[1] and len(images[0]) == 10


def test_series_have_one_order_of_the_data(monkeypatch, tmp_path):
    members = []
    monkeypatch.setattr("experiments.series.train", lambda found, _: members.extend(found) or "")
    assert run_training(f"--run_dir={tmp_path}", "--runs=3", "--seed=5") == 0
    assert [(config.seed, config.data_seed) for _, config in members] == [(5, 0), (6, 0), (7, 0)]
