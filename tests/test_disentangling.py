"""``evaluate.py --disentanglement``: what it stores is what the scores say of the codes, and mistakes are one line."""

import csv
import json
import math
import shutil

import keras
import numpy as np
import pytest
from backends import once
from command_checks import contents, the_line

import evaluate
import lea_keras.data
import train
from experiments import disentangling, extras
from experiments.config import CONFIGS, RunConfig
from experiments.disentanglement_flags import Settings
from lea_keras import disentanglement, inspect, probes
from lea_keras.data import parts

pytestmark = [once, pytest.mark.usefixtures("untraced", "no_pictures_while_training")]
FLAGS = ["--epochs=1", "--limit=32", "--batch_size=16", "--image_size=16", "--test_limit=300", "--code_length=3"]
FLAGS += ["--model=autoencoder", "--autoencoder=vae", "--beta=2", "--window_size=8", "--units=8"]


def main(*arguments):
    return evaluate.main(["evaluate.py", *map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two runs that differ in their seeds; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "series"
    assert train.main(["train.py", f"--run_dir={folder}", "--runs=2", *FLAGS]) == 0
    return folder


@pytest.fixture(scope="module")
def output(folder):
    """What is measured of both, and is printed."""
    with pytest.MonkeyPatch.context() as patch:
        quick, dci = {"trees": 1, "bootstrap": 0}, disentanglement.SUPERVISED["dci"]
        patch.setitem(disentanglement.SUPERVISED, "dci", lambda *pair, **options: dci(*pair, **options | quick))
        assert main(f"--run_dir={folder}", "--disentanglement", "--disentanglement_maps=mig,irs") == 0
    return folder / "disentanglement"


def codes_of(folder):
    """Code maps and factors by hand."""
    images, labels = probes.sprites_data("test", 300, 0, image_size=16)
    model = keras.models.load_model(folder / "model.keras", compile=False)
    (inspection,) = inspect(model, images.astype("float32"))
    factors = np.stack(
        [np.minimum(column * 8 // max(column.max() + 1, 8), column) for column in labels.values()], axis=1
    )
    return inspection.code_maps, factors


def test_stored_scores_are_those_of_the_codes(folder, output):
    stored = json.loads((output / "disentanglement.json").read_text("utf-8"))
    assert stored["factors"] == ["shape", "scale", "orientation", "x", "y"] and stored["values"] == 8
    by_name = {(one["run"], one["reading"]): one for one in stored["runs"]}
    assert list(by_name) == [(run, reading) for run in ("000", "001") for reading in ("pooled", "flattened")]
    maps, factors = codes_of(folder / "001")
    assert maps.shape == (300, 2, 2, 3) and factors.max(axis=0).tolist() == [2, 5, 7, 7, 7]
    for reading, codes in (("pooled", disentanglement.pooled(maps)), ("flattened", disentanglement.flattened(maps))):
        one = by_name["001", reading]
        assert one["codes"] == codes.shape[1] and set(one["scores"]) == set(disentanglement.SCORES)
        found = disentanglement.mig(codes, factors, bootstrap=0)
        assert one["scores"]["mig"]["score"] == pytest.approx(found.score, abs=1e-3)
        np.testing.assert_allclose(one["scores"]["mig"]["matrix"], found.matrix, atol=5e-3)
    at_positions = by_name["001", "pooled"]["maps"]
    assert set(at_positions) == {"mig", "irs"}
    expected = disentanglement.at_positions(disentanglement.irs, maps, factors)
    np.testing.assert_allclose(at_positions["irs"]["matrix"], expected.matrix, atol=1e-3)
    (alike,) = stored["udr"]
    assert alike["runs"] == ["000", "001"] and 0 <= alike["score"] <= 1 and alike["matrix"][0][0] is None


def test_csv_table_and_pictures(output, folder, capsys):
    rows = list(csv.DictReader((output / "disentanglement.csv").read_text("utf-8").splitlines()))
    stored = json.loads((output / "disentanglement.json").read_text("utf-8"))
    mig = next(row for row in rows if row["score"] == "mig" and row["run"] == "001" and row["reading"] == "pooled")
    scores = stored["runs"][2]["scores"]["mig"]
    assert [float(mig[name]) for name in ("value", "low", "high")] == [scores["score"], *scores["interval"]]
    positions = [row for row in rows if row["reading"] == "position" and row["score"] == "irs" and row["run"] == "000"]
    places = [(int(row["row"]), int(row["column"])) for row in positions]
    assert places == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert float(positions[1]["value"]) == stored["runs"][0]["maps"]["irs"]["matrix"][0][1]
    for name in ("disentanglement_matrix.png", "disentanglement_maps.png"):
        assert (output / name).stat().st_size > 1000


@pytest.mark.parametrize("colour", [False, True])
def test_factors_of_parts_are_those_of_its_images(colour):
    name = "parts_colour" if colour else "parts"
    config = CONFIGS["autoencoder"].replace(dataset=name, image_size=32)
    images, factors = disentangling.load(config, Settings(samples=5, values=None))
    assert images.shape == (5, 32, 32, 3 if colour else 1) and 0 <= images.min() < images.max() <= 1
    data = lea_keras.data.load(name, "test", batch_size=5, limit=5, image_size=32, shuffle=False, label="orientation")
    expected, labels = lea_keras.data.take(data, 5)
    np.testing.assert_allclose(images, expected, atol=1e-6)
    np.testing.assert_array_equal(factors["orientation"], np.argmax(labels, axis=1))


def test_data_without_factors(folder, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(lea_keras.data.sources, "FACTORS", {})
    out = f"--output_dir={tmp_path / 'out'}"
    assert main(f"--run_dir={folder / '000'}", "--disentanglement", "--disentanglement_samples=40", out) == 0
    text = capsys.readouterr().out
    assert "beta=2 is β = 4 of the literature, whose KL has a ½ inside" in text
    head, line = text.splitlines()[3:5]
    assert head.split()[0] == "MIG" and line.split()[:3] == ["000", "lea", "pooled"] and len(line.split()) == 8
    stored = json.loads((tmp_path / "out" / "disentanglement.json").read_text("utf-8"))
    assert set(stored["runs"][0]["scores"]) == set(disentanglement.UNSUPERVISED) and not stored["udr"]
    assert not (tmp_path / "out" / "disentanglement_maps.png").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--disentanglement", "--images=3"], "`images` must be left out with --disentanglement"),
        (["--disentanglement_samples=50"], "Add --disentanglement to --disentanglement_samples"),
        (["--disentanglement", "--disentanglement_samples=3"], "`disentanglement_samples` must be an integer of at"),
        (
            ["--disentanglement", "--disentanglement_values=1"],
            "`disentanglement_values` must be an integer of at least 2",
        ),
        (["--disentanglement", "--disentanglement_maps=mgi"], "Did you mean 'mig'"),
        (["--disentanglement", "--disentanglement_samples=20"], "a value that at least 8 samples have"),
    ],
)
def test_mistakes_are_one_line(flags, message, folder, capsys, tmp_path):
    before = contents(folder)
    assert main(f"--run_dir={folder / '000'}", f"--output_dir={tmp_path / 'out'}", *flags) == 1
    assert message in the_line(capsys, "evaluate.py: ")
    assert contents(folder) == before


def test_a_run_without_codes_and_without_scikit_learn(folder, tmp_path, capsys, monkeypatch):
    copy = tmp_path / "run"
    shutil.copytree(folder / "000", copy)
    monkeypatch.setattr(disentangling, "code_maps", lambda *_: {})
    out = f"--output_dir={tmp_path / 'out'}"
    assert main(f"--run_dir={copy}", "--disentanglement", "--disentanglement_samples=40", out) == 1
    assert "has no codes" in the_line(capsys, "evaluate.py: ")
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None)
    assert main(f"--run_dir={copy}", "--disentanglement") == 1
    assert "needs scikit-learn: pip install" in the_line(capsys, "evaluate.py: ")


def test_neighbouring_values_are_put_together():
    labels = np.arange(40)
    found = disentangling.coarser(labels, 8)
    assert np.bincount(found).tolist() == [5] * 8 and (np.diff(found) >= 0).all()
    np.testing.assert_array_equal(disentangling.coarser(labels, None), labels)
    np.testing.assert_array_equal(disentangling.coarser(labels % 6, 8), labels % 6)
    assert np.bincount(disentangling.coarser(np.arange(9), 8)).tolist() == [2] + [1] * 7


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"autoencoder": "vae", "beta": 0.5}, "beta=0.5 is β = 1 of the literature"),
        ({"autoencoder": "capacity_vae", "gamma": 10.0, "capacity": 25.0}, "are γ = 20, C = 12.5 nats"),
        ({"autoencoder": "standard"}, ""),
    ],
)
def test_weights_in_the_words_of_the_literature(fields, text):
    found = disentangling.literature(RunConfig(model="lea_fc", **fields))
    assert text in found and bool(text) == bool(found)


def test_beta_and_capacity_are_converted_as_their_losses_say():
    """γ|KL − C| with KL of Eq. 2.24, twice that of the literature, is 2γ|KL/2 − C/2|."""
    kl, gamma, capacity = 7.0, 10.0, 25.0
    assert gamma * abs(kl - capacity) == 2 * gamma * abs(kl / 2 - capacity / 2)
    assert math.isclose(2.0 * kl, 4.0 * (kl / 2))
    assert Settings().values == 8


def test_codes_of_windows_are_measured_against_what_they_show(tmp_path, monkeypatch):
    asked = []

    def measure(codes, factors, scores=disentanglement.SCORES, options=None, **shared):
        asked.append((codes, factors))
        few = [name for name in scores if name in ("mig", *disentanglement.UNSUPERVISED)]
        return measure_all(codes, factors, few, **shared)

    measure_all = disentanglement.measure
    monkeypatch.setattr(disentanglement, "measure", measure)
    flags = ["--dataset=parts", "--window_size=16", "--image_size=32", "--limit=32", "--test_limit=100", "--epochs=1"]
    flags += ["--model=autoencoder", "--autoencoder=vae", "--code_length=3", "--units=8", "--batch_size=16"]
    assert train.main(["train.py", f"--run_dir={tmp_path / 'run'}", *flags]) == 0
    assert main(f"--run_dir={tmp_path / 'run'}", "--disentanglement") == 0
    output = tmp_path / "run" / "evaluation"
    stored = json.loads((output / "disentanglement.json").read_text("utf-8"))
    assert [one["reading"] for one in stored["runs"]] == ["pooled", "flattened", "windows"]
    assert stored["samples"] == 100 and stored["factors"][0] == "class"
    assert (output / "disentanglement_windows.png").stat().st_size > 1000
    codes, factors = asked[2]
    images, _ = lea_keras.data.take(lea_keras.data.load("parts", "test", limit=100, image_size=32, batch_size=100), 100)
    chosen = lea_keras.data.splits.choose("test", parts.TEST_SIZE, 100)
    labels = parts.labels_from_indices(parts.indices("test")[chosen])
    np.testing.assert_allclose(parts.draw(labels, 32) / 255, images, atol=1e-6)
    own = parts.labels_of_windows(parts.factors_of_windows(labels, 16, image_size=32), 16)
    there = own["shape"] >= 0
    model = keras.models.load_model(tmp_path / "run" / "model.keras", compile=False)
    (inspection,) = inspect(model, images)
    np.testing.assert_allclose(codes, inspection.code_maps[there], atol=1e-4)
    names = ("orientation", "offset_x", "offset_y", "shape", "size", "colour")
    np.testing.assert_array_equal(factors, np.stack([own[name][there] for name in names], axis=1))
    assert len(codes) > 200


def test_runs_on_different_data_are_refused(folder, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text(CONFIGS["autoencoder"].replace(dataset="mnist").to_json())
    assert main(f"--run_dir={folder / '000'},{other}", "--disentanglement") == 1
    assert (
        "must be runs on one data set where they are measured so, and not mnist and sprites" in capsys.readouterr().err
    )
