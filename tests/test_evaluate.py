"""``evaluate.py``: numbers against NumPy, files that it writes or leaves alone, and one line for what is damaged."""

import contextlib
import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys

import command_checks
import keras
import numpy as np
import pytest
from backends import needs_tensorflow

import evaluate
import lea_keras.data
import train
from experiments import evaluation, pictures, probing, tables
from experiments.config import RunConfig
from experiments.distributions import Distribution
from experiments.results import Results
from experiments.runs import RunError
from lea_keras import callbacks, probes, utils
from lea_keras.locks import LOCK_FILE, Lock

ROOT = pathlib.Path(evaluate.__file__).parent
# Overlapping windows that need padding, a last batch that is smaller, and every measure that there is.
FLAGS = ["--limit=40", "--batch_size=16", "--autoencoder=capacity_vae", "--window_size=16", "--strides=12", "--seed=3"]
FLAGS += ["--image_size=32", "--test_limit=40", "--nopictures"]
TINY = [
    "--nopictures",
    "--image_size=16",
    "--limit=16",
    "--test_limit=20",
    "--batch_size=16",
    "--window_size=4",
    "--epochs=1",
]

pytestmark = pytest.mark.usefixtures("untraced")


def main(*arguments):
    return evaluate.main(["evaluate.py", *map(str, arguments)])


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run; not to be changed."""
    run_dir = tmp_path_factory.mktemp("run") / "run"
    assert train.main(["train.py", f"--run_dir={run_dir}", "--epochs=2", *FLAGS]) == 0
    return run_dir


@pytest.fixture(scope="module")
def output(run_dir, tmp_path_factory):
    """Its evaluation; not to be changed."""
    output = tmp_path_factory.mktemp("output") / "results"
    assert main(f"--run_dir={run_dir}", f"--output_dir={output}", "--images=1", "--explorer") == 0
    return output


@pytest.fixture
def copy(run_dir, tmp_path):
    """A copy of the run to be damaged."""
    copy = tmp_path / "run"
    copy.mkdir()
    for name in ("config.json", "metrics.csv", "model.keras"):
        shutil.copy(run_dir / name, copy)
    return copy


@pytest.fixture
def texts(monkeypatch):
    """The texts of all pictures that would be written, by their names."""
    written = {}

    def tell(self, name, figure):
        written[name] = [text.get_text() for axes in figure.axes for text in axes.texts]

    monkeypatch.setattr(Results, "write_picture", tell)
    return written


@pytest.fixture
def undrawn(monkeypatch):
    """To save time where the pictures of a run are not the question."""
    monkeypatch.setattr(pictures, "of_run", lambda *_: None)


def the_line(capsys):
    """The one line on stderr."""
    return command_checks.the_line(capsys, "evaluate.py: ")


def stored(output):
    return json.loads((output / "results.json").read_text())["splits"]


def dense(layer, values, relu=False):
    kernel, bias = (np.asarray(variable, np.float64) for variable in (layer.kernel, layer.bias))
    values = values @ kernel + bias
    return np.maximum(values, 0) if relu else values


def by_hand(run_dir, split):
    """All measures of a split in NumPy, float64, from the stored weights and images; windows one at a time."""
    model = keras.models.load_model(run_dir / "model.keras", compile=False)
    images, labels = next(iter(lea_keras.data.load("sprites", split, batch_size=40, limit=40, image_size=32, seed=0)))
    images, labels = np.asarray(images, np.float64), np.asarray(labels, np.float64)
    # ceil(32 / 12) = 3 windows a side reach over 2·12 + 16 = 40 pixels, 8 more than there are.
    padded = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)))
    places = [12 * i for i in range(3)]
    flat = [image[y : y + 16, x : x + 16].reshape(-1) for image in padded for y in places for x in places]
    flat = np.stack(flat)  # [b·9, 256]
    autoencoder = model.get_layer("lea").autoencoder
    (hidden,) = [layer for layer in autoencoder.encoder._flatten_layers() if isinstance(layer, keras.layers.Dense)]
    features = dense(hidden, flat, relu=True)
    mean, log_std = dense(autoencoder.mean, features), dense(autoencoder.log_std, features)
    first, second = [layer for layer in autoencoder.decoder._flatten_layers() if isinstance(layer, keras.layers.Dense)]
    errors = np.sum((dense(second, dense(first, mean, relu=True)) - flat) ** 2, axis=1)
    kl = np.mean(np.sum(mean**2 + np.exp(2 * log_std) - 2 * log_std - 1, axis=1))
    codes = mean.reshape(len(images), -1)
    logits = dense(model.get_layer("logits"), dense(model.get_layer("hidden"), codes, relu=True))
    log_probabilities = logits - np.log(np.sum(np.exp(logits), axis=1, keepdims=True))
    confidence = 1 - errors / errors.max()
    quartiles = np.percentile(confidence, [0, 25, 50, 75])
    ends = range(16 * 9, len(errors), 16 * 9)
    batches = list(zip(np.split(errors, ends), np.split(flat, ends), strict=True))
    sizes = [len(own) for own, _ in batches]
    return {
        "samples": len(images),
        "log_loss": -np.mean(labels * log_probabilities + (1 - labels) * np.log1p(-np.exp(log_probabilities))),
        "crossentropy": -np.mean(np.sum(labels * log_probabilities, axis=1)),
        "accuracy": np.mean(np.argmax(logits, axis=1) == np.argmax(labels, axis=1)),
        "majority_accuracy": labels.sum(axis=0).max() / len(labels),
        "lea_loss": errors.mean() + 0.5 * kl,
        "lea_rl": errors.mean(),
        "lea_rl_max": errors.max(),
        "lea_rln": np.average([own.mean() / np.ptp(values) ** 2 for own, values in batches], weights=sizes) / 256,
        "lea_rln_split": errors.mean() / 256 / np.ptp(flat) ** 2,
        "lea_kl": kl,
        "lea_capacity": 25 * 2 / 25,
        **{f"lea_confidence_{name}": q for name, q in zip(("min", "25", "50", "75"), quartiles, strict=True)},
    }, errors


@pytest.mark.parametrize("split", ["train", "test"])
def test_values_against_numpy(run_dir, output, split):
    expected, errors = by_hand(run_dir, split)
    found = stored(output)[split]
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)
    # The tempting mistake: the maximum of each batch in place of that of the split.
    batches = np.split(errors, range(16 * 9, len(errors), 16 * 9))
    wrong = np.percentile(np.concatenate([1 - batch / batch.max() for batch in batches]), 25)
    assert 1 - wrong > 1.02 * (1 - found["lea_confidence_25"])


def test_test_values_are_those_of_the_last_epoch(run_dir, output):
    row = tables.of_row(callbacks.read_metrics(run_dir)[-1], RunConfig())["test"]
    found = stored(output)["test"]
    assert {name: found[name] for name in row} == pytest.approx(row, rel=1e-5)


@pytest.mark.parametrize(
    ("errors", "quartiles"),
    [
        ([8.0, 0.0, 2.0, 4.0, 6.0], {"min": 0.0, "25": 0.25, "50": 0.5, "75": 0.75}),
        ([0.0, 0.0], {"min": 1.0, "25": 1.0, "50": 1.0, "75": 1.0}),
    ],
)
def test_confidence_quartiles(errors, quartiles):
    distribution = Distribution()
    distribution.update(np.array(errors, "float32"))
    assert evaluation.confidence_quartiles(distribution) == quartiles


def test_csv_and_json_hold_the_same_in_full_precision(run_dir, output):
    with (output / "results.csv").open(newline="") as file:
        rows = {row.pop("split"): {name: float(value) for name, value in row.items()} for row in csv.DictReader(file)}
    assert [row.pop("epoch") for row in rows.values()] == [2, 2]
    contents = json.loads((output / "results.json").read_text())
    assert rows == contents["splits"]
    assert contents["config"] == json.loads((run_dir / "config.json").read_text())
    assert (contents["run"], contents["epochs"], contents["epoch"]) == ("run", 2, "last")


def test_table(run_dir, tmp_path, capsys, texts):
    assert main(f"--run_dir={run_dir}", f"--output_dir={tmp_path}", "--splits=test", "--images=1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Run folder: {run_dir}" and lines[-1] == f"Results: {tmp_path}"
    assert [line[:24].rstrip() for line in lines[1:-1]] == [
        "", "samples", "log loss", "cross-entropy", "accuracy", "  of the majority class", "lea loss", "lea RL",
        "lea RL max", "lea RLN", "lea RLN split", "lea KL", "lea capacity", "lea confidence min",
        "lea confidence 25 %", "lea confidence 50 %", "lea confidence 75 %",
    ]  # fmt: skip
    assert lines[1].split() == ["test"]
    values = stored(tmp_path)
    assert list(values) == ["test"]
    assert [line.split()[-1] for line in lines[2:6]] == ["40", *(
        f"{values['test'][name]:.4f}" for name in ("log_loss", "crossentropy", "accuracy")
    )]  # fmt: skip
    largest = f"{values['test']['lea_rl_max']:.3g}"
    relative = f"confidence: relative to the split's worst window, whose squared error is {largest}"
    for name in ("confidence.png", "windows.png"):
        assert any(text.startswith(relative) for text in texts[name])


def test_confidence_in_pictures_is_that_of_the_split_whatever_is_measured(run_dir, output, tmp_path, texts, capsys):
    """Section 4.4; relative to the few images that are shown only where that is asked for."""
    largest = f"{stored(output)['test']['lea_rl_max']:.3g}"
    assert main(f"--run_dir={run_dir}", f"--output_dir={tmp_path}", "--splits=train", "--images=1") == 0
    assert "test" not in capsys.readouterr().out.splitlines()[1]
    assert any(f"the split's worst window, whose squared error is {largest}" in text for text in texts["windows.png"])
    flags = ["--splits=test", "--images=1", "--confidence_of=images"]
    assert main(f"--run_dir={run_dir}", f"--output_dir={tmp_path}", *flags) == 0
    assert not any("the split's worst window" in text for text in texts["windows.png"])
    assert main(f"--run_dir={run_dir}", "--confidence_of=spilt") == 1
    assert "Did you mean 'split'" in the_line(capsys)


def test_a_model_that_works_in_chunks_measures_the_same(run_dir):
    config = RunConfig.from_json((run_dir / "config.json").read_text("utf-8"))
    data = evaluation.load_splits(config, ["train"])["train"]
    model = evaluation.load_model(run_dir, config, 2)
    whole = evaluation.measure(model, data, "train")
    model.get_layer("lea").chunk_windows = 12
    assert evaluation.measure(model, data, "train") == pytest.approx(whole, rel=1e-5)


def test_data_sets_are_counted_and_drawn(tmp_path, capsys):
    assert main("--datasets=sprites,mnist", f"--data_dir={tmp_path}", f"--output_dir={tmp_path / 'out'}") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["sprites", "64x64x1", "59972", "10006", "69978", "generated"]  # Table 4.1
    assert lines[2].startswith(
        "left out: Argument `data_dir` must be a folder of TensorFlow Datasets that holds 'mnist'"
    )
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"contents.json", "datasets.csv", "datasets.json", "datasets.md", "datasets.png"}
    assert main("--datasets=mnist", f"--data_dir={tmp_path}", f"--output_dir={tmp_path / 'none'}") == 1
    assert "None of the data sets is there" in the_line(capsys)
    for flags, message in (
        (["--datasets=mnst"], "Did you mean 'mnist'"),
        (["--datasets=mnist,mnist"], "Argument `datasets` must be all, or different names"),
        (["--datasets=all", "--epoch=best"], "Argument `epoch` must be left out with --datasets"),
        (["--datasets=all", "--run_dir=x"], "One of --run_dir, --compare and --datasets must be given"),
    ):
        assert main(*flags) == 1
        assert message in the_line(capsys)


def test_progress_is_said_while_a_split_is_measured(run_dir, monkeypatch, capsys):
    monkeypatch.setattr(utils, "SECONDS", 0)
    config = RunConfig.from_json((run_dir / "config.json").read_text("utf-8"))
    model = evaluation.load_model(run_dir, config, 1)
    evaluation.measure(model, evaluation.load_splits(config, ["train"])["train"], "train")
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in lines] == [
        f"train data: {done} of 3 batches measured" for done in (1, 2)
    ]


def test_a_run_without_leas(tmp_path, capsys):
    assert train.main(["train.py", f"--run_dir={tmp_path}", "--model=pool_fc", *TINY]) == 0
    assert main(f"--run_dir={tmp_path}") == 0
    values = stored(tmp_path / "evaluation")
    assert list(values["train"]) == ["samples", "log_loss", "crossentropy", "accuracy", "majority_accuracy"]
    assert values["test"]["log_loss"] == pytest.approx(callbacks.read_metrics(tmp_path)[-1]["val_loss"], rel=1e-5)


def test_mixed_precision_and_an_untrained_decoder(tmp_path, capsys):
    """Sums in float32, and no measures of a decoder that was never trained."""
    flags = ["--model=decoder_free", "--mixed_precision=float16", *TINY]
    assert train.main(["train.py", f"--run_dir={tmp_path}", *flags]) == 0
    assert main(f"--run_dir={tmp_path}", "--images=1") == 0
    values = stored(tmp_path / "evaluation")
    assert list(values["test"]) == ["samples", "log_loss", "crossentropy", "accuracy", "majority_accuracy"]
    expected = callbacks.read_metrics(tmp_path)[-1]["val_main_loss"]
    assert values["test"]["log_loss"] == pytest.approx(expected, rel=1e-3)
    assert keras.config.dtype_policy().name == "float32"
    capsys.readouterr()
    assert main(f"--run_dir={tmp_path}", "--explorer") == 1
    assert "`explorer` must be left out for a run whose model has no LEA" in the_line(capsys)


def test_pictures(output, run_dir):
    names = {path.name for path in output.glob("*.png")}
    assert names == {
        "code_maps.png", "confidence.png", "curves.png", "histograms.png", "latent_traversal_lea.png",
        "reconstructions.png", "windows.png",
    }  # fmt: skip
    assert all((output / name).read_bytes().startswith(b"\x89PNG") for name in names)
    assert {path.name for path in output.iterdir()} - names == {
        "contents.json", "explorer.html", "results.csv", "results.json",
    }  # fmt: skip
    explorer = (output / "explorer.html").read_text("utf-8")
    assert "windows of" in explorer and '"ofImages":40' in explorer


def test_probes(run_dir, undrawn, tmp_path, monkeypatch, capsys):
    measure, write, texts = probes.measure, Results.write_picture, {}

    def write_and_tell(self, name, figure):
        texts[name] = [text.get_text() for axes in figure.axes for text in axes.texts]
        write(self, name, figure)

    monkeypatch.setattr(Results, "write_picture", write_and_tell)
    few = {"units": 4, "layers": ["input", "logits"]}
    monkeypatch.setattr(probes, "measure", lambda *arguments, **rest: measure(*arguments, **rest, **few))
    flags = ["--probes", "--probe_limit=30", "--probe_epochs=1", "--probe_features=500", "--splits=test"]
    assert main(f"--run_dir={run_dir}", f"--output_dir={tmp_path}", *flags) == 0
    rows = json.loads((tmp_path / "probes.json").read_text())["probes"]
    with (tmp_path / "probes.csv").open(newline="") as file:
        assert [row["accuracy"] for row in csv.DictReader(file)] == [repr(row["accuracy"]) for row in rows]
    assert [row["layer"] for row in rows[::5]] == ["input", "logits"]
    assert rows[0]["features"] == 16 * 16  # 32×32 averaged over 2×2, the smallest squares that leave at most 500
    lines = capsys.readouterr().out.splitlines()[-8:-1]
    assert lines[0].split() == ["probes,", "test", "shape", "scale", "orientation", "x", "y"]
    assert lines[1].split() == ["input", *(f"{row['accuracy']:.4f}" for row in rows[:5])]
    assert lines[3].split() == ["chance", *(f"{row['chance']:.4f}" for row in rows[:5])]
    assert lines[4].split()[:2] == ["probes,", "training"]
    assert lines[5].split() == ["input", *(f"{row['train_accuracy']:.4f}" for row in rows[:5])]
    assert (tmp_path / "probes.png").read_bytes().startswith(b"\x89PNG")
    assert texts["probes.png"] == [
        "trained on 30 images for 1 of at most 1 epochs, tested on 40\nlayers averaged down to at most 500 values"
    ]


def test_the_thesis_probes_are_a_preset(run_dir, monkeypatch):
    asked = []
    monkeypatch.setattr(evaluate, "_evaluate", lambda tasks, splits, images, probes, epoch: asked.append(probes) or "")
    assert main(f"--run_dir={run_dir}", "--probes") == 0
    assert main(f"--run_dir={run_dir}", "--probes", "--probe_preset=thesis", "--probe_epochs=3") == 0
    assert main(f"--run_dir={run_dir}", "--probes", "--probe_features=all", "--probe_shared") == 0
    thrifty, thesis, own = asked
    assert probing.Settings(**thrifty) == probing.Settings()
    # Sections 5.2 and A.1.
    assert thesis == {
        "shared": True, "learning_rate": 1e-4, "batch_size": 64, "epochs": 3, "held_out": 0.0, "features": None
    }  # fmt: skip
    assert own == thrifty | {"shared": True, "features": None}


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--probe_preset=thesys", "Did you mean 'thesis'"),
        ("--probe_features=some", "Argument `probe_features` must be an integer or all"),
        ("--probe_held_out=1", "Argument `probe_held_out` must be a number of at least 0 and below 1"),
        ("--probe_batch_size=0", "Argument `probe_batch_size` must be an integer of at least 1"),
        ("--probe_learning_rate=-1", "Argument `probe_learning_rate` must be"),
    ],
)
def test_flags_of_probes_are_checked(flag, message, run_dir, capsys):
    assert main(f"--run_dir={run_dir}", "--probes", flag) == 1
    assert message in the_line(capsys)
    assert main(f"--run_dir={run_dir}", flag) == 1
    line = the_line(capsys)
    assert "Add --probes" in line or message in line  # what is no number is refused first


def write_probes(copy, seed, layers=("input", "lea", "logits"), **settings):
    rows = [
        probes.Probe(layer, factor, 0.1 * i + 0.2 * seed, 0.25, 2, 8, 0.5)._asdict()
        for i, layer in enumerate(layers)
        for factor in ("x", "y")
    ]
    about = {"images": 40, "epochs_of_run": 2} | probing.Settings()._asdict() | settings | {"probes": rows}
    (copy / "evaluation").mkdir(exist_ok=True)
    (copy / "evaluation/probes.json").write_text(json.dumps(about))


def test_probes_of_runs_are_compared(copy, tmp_path, capsys):
    other = shutil.copytree(copy, tmp_path / "other")
    change(other, seed=4)
    assert main(f"--compare={copy},{other}", "--probes") == 1
    assert f"The run {copy} has no probes of its last epoch" in the_line(capsys)
    write_probes(copy, 0)
    write_probes(other, 1)
    assert main(f"--compare={copy},{other}", "--probes", f"--output_dir={tmp_path / 'out'}") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[-6:] == ["test,", "2", "runs,", "median", "x", "y"]
    assert lines[2].split() == ["lea", "0.2000", "0.2000"]  # of 0.1 and 0.3
    row = json.loads((tmp_path / "out/probes.json").read_text())["probes"][4]
    expected = {"layer": "lea", "factor": "x", "split": "test", "median": 0.2, "minimum": 0.1, "maximum": 0.3}
    assert {name: row[name] for name in expected} == pytest.approx(expected)
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"probes.json", "probes.csv", "probes.md", "probes.png", "contents.json"}
    write_probes(other, 1, learning_rate=0.5)
    assert main(f"--compare={copy},{other}", "--probes", f"--output_dir={tmp_path / 'out'}") == 1
    assert "Runs must be probed alike: learning_rate is 0.5" in the_line(capsys)
    write_probes(other, 1, layers=("input", "logits"))
    assert main(f"--compare={copy},{other}", "--probes", f"--output_dir={tmp_path / 'out'}") == 1
    assert "must be runs of which the same layers were probed" in the_line(capsys)
    (other / "evaluation/probes.json").write_text("{")
    assert main(f"--compare={copy},{other}", "--probes", f"--output_dir={tmp_path / 'out'}") == 1
    assert "The probes of the run are damaged" in the_line(capsys)


def test_probes_need_factors(copy, capsys):
    change(copy, dataset="mnist", window_size=8)
    assert main(f"--run_dir={copy}", "--probes") == 1
    assert "`probes` must be left out for runs on other data than sprites and dsprites" in the_line(capsys)


def test_only_own_files_are_replaced(run_dir, output, undrawn, tmp_path, capsys):
    shutil.copytree(output, tmp_path / "results")
    contents = json.loads((tmp_path / "results/contents.json").read_text())
    contents["sources"] = [os.path.relpath(run_dir, tmp_path / "results")]
    (tmp_path / "results/contents.json").write_text(json.dumps(contents))
    (tmp_path / "results/notes.txt").write_text("mine")
    (tmp_path / "results/results.csv").write_text("an older evaluation")
    assert main(f"--run_dir={run_dir}", f"--output_dir={tmp_path / 'results'}", "--images=1") == 0
    assert (tmp_path / "results/notes.txt").read_text() == "mine"
    assert (tmp_path / "results/results.csv").read_text() == (output / "results.csv").read_text()
    assert {path.name for path in output.iterdir()} == {*contents["files"], "contents.json"}
    assert not list((tmp_path / "results").glob("*.tmp"))


def test_what_somebody_else_wrote_is_in_the_way(run_dir, tmp_path, capsys):
    (tmp_path / "results.csv").write_text("mine")
    assert main(f"--run_dir={run_dir}", f"--output_dir={tmp_path}") == 1
    assert f"{tmp_path / 'results.csv'} is in the way" in the_line(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["results.csv"]
    assert (tmp_path / "results.csv").read_text() == "mine"


def test_results_of_another_run_are_not_replaced(copy, output, capsys):
    before = (output / "results.json").read_bytes()
    assert main(f"--run_dir={copy}", f"--output_dir={output}") == 1
    assert "Argument `output_dir` must be a new folder or that of the same runs" in the_line(capsys)
    assert (output / "results.json").read_bytes() == before


def test_an_interrupted_write_changes_nothing(tmp_path):
    results = Results(tmp_path, [tmp_path])
    results.write_text("table.md", "whole")

    class Figure:
        def savefig(self, path, format):
            pathlib.Path(path).write_text("half")
            raise OSError(28, "No space left on device")

    results.files.append("picture.png")
    for name in ("table.md", "picture.png"):
        with pytest.raises(OSError):
            results.write_picture(name, Figure())
    results.close()
    assert {path.name for path in tmp_path.iterdir()} == {"contents.json", "table.md"}
    assert (tmp_path / "table.md").read_text() == "whole"


def change(copy, **values):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | values))


# What is damaged, and what the line must say.
DAMAGED = {
    "no config": (
        lambda run: (run / "config.json").unlink(),
        "Argument `run_dir` must be folders of runs, with a config.json, or of such folders. Received: run_dir='{run}'",
    ),
    "no folder": (shutil.rmtree, "Argument `run_dir` must be folders of runs, with a config.json"),
    "broken config": (
        lambda run: (run / "config.json").write_text("{"),
        "{run}/config.json: The run configuration is not valid JSON: ",
    ),
    "unknown field": (
        lambda run: change(run, epohcs=3),
        "{run}/config.json: Argument `field` must be one of (",
    ),
    "wrong value": (
        lambda run: change(run, window_size=0),
        "{run}/config.json: Argument `window_size` must be a positive integer or a pair",
    ),
    "no model": (
        lambda run: (run / "model.keras").unlink(),
        "The run {run} has no model.keras: no epoch of it has finished\n",
    ),
    "no model file": (
        lambda run: (run / "model.keras").write_text("mine"),
        "The model {run}/model.keras cannot be loaded: ",
    ),
    "half a model": (
        lambda run: (run / "model.keras").write_bytes((run / "model.keras").read_bytes()[:20000]),
        "The model {run}/model.keras cannot be loaded: ",
    ),
    "empty model": (
        lambda run: (run / "model.keras").write_bytes(b""),
        "The model {run}/model.keras cannot be loaded: it is damaged (File is not a zip file)\n",
    ),
    "model that is a folder": (
        lambda run: ((run / "model.keras").unlink(), (run / "model.keras").mkdir()),
        "The model {run}/model.keras cannot be loaded: it is damaged (it is no file)\n",
    ),
    "configuration of another model": (
        lambda run: change(run, window_size=8, strides=None),
        "The configuration {run}/config.json is not that of the model {run}/model.keras: window_size is 8, "
        "and 16 in the model; strides is 8, and 12 in the model\n",
    ),
    "binary metrics": (
        lambda run: (run / "metrics.csv").write_bytes(b"\x89PNG\0\xff"),
        "The metrics of the run are damaged: {run}/metrics.csv\n",
    ),
    "binary config": (
        lambda run: (run / "config.json").write_bytes(b"\xff\xfe"),
        "{run}/config.json: 'utf-8' codec can't decode",
    ),
    "foreign model": (
        lambda run: change(run, dataset="cifar10", window_size=8),
        "The model {run}/model.keras must map (None, 32, 32, 3) → (None, 10), as the data set cifar10 of the run's "
        "configuration needs. Received: (None, 32, 32, 1) → (None, 3)\n",
    ),
    "no metrics": (
        lambda run: (run / "metrics.csv").unlink(),
        "The run {run} has no metrics.csv",
    ),
    "broken metrics": (
        lambda run: (run / "metrics.csv").write_text("epoch,loss\nmuch\n"),
        "The metrics of the run are damaged: {run}/metrics.csv\n",
    ),
    "no data": (
        lambda run: change(run, dataset="dsprites", data_dir=str(run / "data")),
        "Argument `data_dir` must be a folder of TensorFlow Datasets that holds 'dsprites'. Looked for "
        "'{run}/data/dsprites'",
    ),
}


@pytest.mark.parametrize(
    "damage", [pytest.param(name, marks=needs_tensorflow) if name == "no data" else name for name in DAMAGED]
)
def test_damaged_run(damage, copy, capsys):
    act, message = DAMAGED[damage]
    act(copy)
    assert main(f"--run_dir={copy}") == 1
    assert f"evaluate.py: {message.format(run=copy)}" in the_line(capsys)
    assert not (copy / "evaluation").exists()


def test_the_checkpoint_before_a_damaged_one_is_measured(run_dir, undrawn, tmp_path, capsys):
    shutil.copytree(run_dir, tmp_path / "run")
    last = tmp_path / "run/checkpoints/epoch_0002.keras"
    for path in (last, tmp_path / "run/model.keras"):
        path.unlink()
        path.write_text("mine")
    assert main(f"--run_dir={tmp_path / 'run'}", "--splits=test", "--images=1") == 0
    line = f"{last} is damaged (File is not a zip file): epoch 1 is used"
    assert capsys.readouterr().out.splitlines()[1] == line
    results = json.loads((tmp_path / "run/evaluation/results.json").read_text())
    expected = callbacks.read_metrics(run_dir)[0]["val_main_loss"]
    assert results["epochs"] == 1 and results["splits"]["test"]["log_loss"] == pytest.approx(expected, rel=1e-5)


def test_a_run_that_goes_on_meanwhile(run_dir, tmp_path):
    """The epoch is measured whose metrics were read, or none."""
    shutil.copytree(run_dir, tmp_path / "run")
    config = RunConfig.from_json((run_dir / "config.json").read_text())
    first, last = (evaluation.load_model(tmp_path / "run", config, epochs) for epochs in (1, 2))
    assert not np.array_equal(first.get_layer("logits").kernel, last.get_layer("logits").kernel)
    (tmp_path / "run/checkpoints/epoch_0001.keras").unlink()
    with pytest.raises(RunError, match="has gone on and has no model after epoch 1 any more: start again"):
        evaluation.load_model(tmp_path / "run", config, 1)


def test_a_folder_of_results_has_one_process(run_dir, tmp_path, capsys):
    with Lock(tmp_path):
        assert main(f"--run_dir={run_dir}", f"--output_dir={tmp_path}") == 1
        message = f"evaluate.py: The folder of a run or of results cannot be used: {tmp_path}: process {os.getpid()} on"
        assert message in the_line(capsys)
        assert [path.name for path in tmp_path.iterdir()] == [LOCK_FILE]
    (tmp_path / LOCK_FILE).write_text("of a process that is no more")
    with contextlib.closing(Results(tmp_path, [run_dir])) as results:
        results.reserve(["a.txt"])
        with pytest.raises(BlockingIOError):
            Results(tmp_path, [run_dir]).reserve(["b.txt"])
    other = Results(tmp_path, [run_dir])
    with contextlib.closing(Results(tmp_path, [run_dir])) as results:
        results.reserve(["b.txt"])
    other.reserve(["c.txt"])  # knows what was written after it was made
    other.close()
    assert json.loads((tmp_path / "contents.json").read_text())["files"] == ["a.txt", "b.txt", "c.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["contents.json"]


def test_home_folders_and_urls(run_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b,c"):
        (tmp_path / name).mkdir()
        shutil.copy(run_dir / "config.json", tmp_path / name)
    seen = []
    monkeypatch.setattr(evaluate, "_evaluate", lambda tasks, *_: seen.extend(tasks) or "")
    assert main("--run_dir=~/a,~/a", "--output_dir=~/out", "--data_dir=~/data") == 0
    assert main("--run_dir=~/b,c", "--data_dir=gs://bucket/data") == 0
    assert [(folder, results.folder) for folder, _, results in seen] == [
        (tmp_path / "a", tmp_path / "out"), (tmp_path / "b,c", tmp_path / "b,c/evaluation"),
    ]  # fmt: skip
    assert [config.data_dir for _, config, _ in seen] == [str(tmp_path / "data"), "gs://bucket/data"]
    for flags in (["--run_dir=gs://a"], ["--run_dir=~/a", "--output_dir=gs://a"], ["--compare=~/a,gs://a"]):
        assert main(*flags) == 1
        assert "must be the path of a folder on this machine, and no URL." in the_line(capsys)
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b,c"}


def test_model_that_computes_no_numbers(copy, capsys):
    model = keras.models.load_model(copy / "model.keras", compile=False)
    model.layers[-1].bias.assign(model.layers[-1].bias * np.nan)
    model.save(copy / "model.keras")
    assert main(f"--run_dir={copy}", "--splits=test") == 1
    assert "The model is of no use: log_loss is nan on the test split" in the_line(capsys)


WRONG = [
    ([], "One of --run_dir, --compare and --datasets must be given"),
    (["--run_dir=a", "--compare=b"], "One of --run_dir, --compare and --datasets must be given"),
    (["--run_dir="], "Argument `run_dir` must be one or more folders with commas between them"),
    (["--run_dir={run}", "--splits=train,tset"], "Argument `splits` must be one of ('train', 'test'). Did you mean 't"),
    (["--run_dir={run}", "--images=0"], "Argument `images` must be an integer of at least 1. Received: images=0"),
    (["--run_dir={run}", "--images=x"], "Argument `images` must be an integer. Received: images='x'"),
    (["--rundir={run}"], "Unknown command line flag 'rundir'. Did you mean: run_dir"),
    (["--run_dir={run}", "--probe_limit=9"], "Add --probes to the flags that begin with --probe_"),
    (["--run_dir={run}", "--probes", "--probe_epochs=0"], "Argument `probe_epochs` must be an integer of at least 1"),
    (["--run_dir={run}", "--probes", "--probe_limit=41"], "Argument `probe_limit` must be at most 40, the images that"),
    (["--run_dir={run}", "--output_dir={run}/config.json"], "Argument `output_dir` must be a folder"),
    (["--run_dir={run}", "--output_dir={run}/config.json/below"], "cannot be used: "),
    (["--run_dir={run}", "--splits=validation"], "must be train or test for {run}, a run without a validation part"),
    (["--run_dir={run}", "--epoch=0"], "Argument `epoch` must be last, best, or the number of an epoch from 1. Rec"),
    (["--run_dir={run}", "--epoch=3"], "`epoch` must be an epoch whose model is still in {run}, which is 1 or 2. --"),
    (["--run_dir={run}", "--attacks=all", "--epoch=2"], "Argument `epoch` must be left out with --attacks"),
    (["--compare={run}", "--epoch=worst"], "Argument `epoch` must be last, best, or the number of an epoch"),
    (["--compare={run}", "--images=3"], "Argument `images` must be left out with --compare"),
    (["--compare={run}/nothing"], "Argument `compare` must be folders of runs"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=lambda value: " ".join(value)[:40])
def test_wrong_command_line_gets_one_line(arguments, message, run_dir, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    before = sorted(run_dir.rglob("*"))
    assert main(*(argument.format(run=run_dir) for argument in arguments)) == 1
    assert message.format(run=run_dir) in the_line(capsys)
    assert sorted(run_dir.rglob("*")) == before


def test_data_on_another_machine(run_dir, monkeypatch):
    """A run that says where its data was, and may have downloaded it, does neither here."""
    config = RunConfig.from_json((run_dir / "config.json").read_text()).replace(download=True, data_dir="/old")
    monkeypatch.setattr(evaluate.runs, "load_config", lambda folder: config)
    seen = []

    def note(tasks, *_):
        seen.extend(config for _, config, _ in tasks)
        return ""

    monkeypatch.setattr(evaluate, "_evaluate", note)
    assert main(f"--run_dir={run_dir}", "--data_dir=/new") == main(f"--run_dir={run_dir}", "--download") == 0
    assert [(config.data_dir, config.download) for config in seen] == [("/new", False), ("/old", True)]


def test_help_and_interrupt(run_dir, monkeypatch, capsys):
    assert main("--help") == 0
    text = capsys.readouterr().out
    shown = [line.split()[0].partition("=")[0] for line in text.splitlines() if line.startswith("  --")]
    assert shown == [f"--{flag.name}" for group in evaluate.GROUPS.values() for flag in group]
    assert all(len(line) <= 120 for line in text.splitlines())

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "_evaluate", interrupt)
    assert main(f"--run_dir={run_dir}") == 130
    assert capsys.readouterr().err == "\nevaluate.py: Interrupted.\n"


def test_mistakes_are_answered_before_keras_is_imported(tmp_path):
    code = "import sys, evaluate; s = evaluate.main(['evaluate.py', '--run_dir=/x']); print(s, 'keras' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "1 False\n"
    assert result.stderr.count("\n") == 1
