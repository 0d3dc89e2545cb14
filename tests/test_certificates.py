"""Certificates of runs and of the study's networks: ``evaluate.py --certify``, what is measured, drawn and claimed."""

import csv
import json

import command_checks
import keras
import numpy as np
import pytest
from backends import once
from keras import layers

import evaluate
import models
import train
from experiments import certificates, certifying
from experiments.arrays import Images
from experiments.claims.registry import CLAIMS
from experiments.claims.verdicts import verdict
from experiments.results import Results
from experiments.studies import beyond_certificates
from lea_keras import robustness
from lea_keras.layers.lea import find_leas
from lea_keras.plots.certificate_plot import accuracy_over_epsilon

pytestmark = [once, pytest.mark.usefixtures("untraced", "few_test_images")]
SMALL = ("--image_size=16", "--limit=40", "--batch_size=20", "--epochs=1", "--window_size=8", "--code_length=2")
SMALL += ("--nopictures",)


def main(*arguments):
    return evaluate.main(["evaluate.py", *map(str, arguments)])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of a classifier with a LEA; not to be changed but by certificates."""
    folder = tmp_path_factory.mktemp("certified") / "lea"
    flags = ("--model=lea_fc", "--autoencoder=standard", f"--run_dir={folder}")
    assert train.main(["train.py", *SMALL, *flags]) == 0
    return folder


def test_runs_are_certified_beside_attacks(run, capsys, monkeypatch):
    monkeypatch.setattr(certifying, "_STEPS", 5)
    monkeypatch.setattr(certifying, "_PRECISION", 0.5)
    flags = (f"--run_dir={run}", "--certify=0.001", "--attack_samples=5", "--attacks=gradient_sign,single_pixel")
    assert main(*flags) == 0
    assert "bound is what no perturbation exceeds" in capsys.readouterr().out
    output = run / "evaluation"
    stored = json.loads((output / "certificates.json").read_text())
    (found,) = stored["runs"]
    assert (stored["epsilon"], stored["samples"], stored["dataset"]) == (0.001, 5, "sprites")
    assert found["error"] <= found["gradient_sign"] <= found["bound"] and found["contradictions"] == 0
    assert found["error"] <= found["projected_gradient_descent"] <= found["bound"]
    for distances in found["distances"].values():
        for radius, distance in zip(found["radii"], distances, strict=True):
            assert distance is None or distance == radius == 0 or distance > radius
    with (output / "certificates.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["bound"]) == found["bound"]
    assert "| bound |" in (output / "certificates.md").read_text()
    assert (output / "certificates.png").stat().st_size > 1000
    monkeypatch.setattr(Results, "write_picture", lambda *_: None)  # to save time: it was looked at
    monkeypatch.setattr(robustness.certificates.polytope, "margins", None)  # nothing is bounded again
    assert main(*flags) == 0
    assert json.loads((output / "certificates.json").read_text()) == stored


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--certify=2"], "`certify`"),
        (["--certify=x"], "`certify` must be a number"),
        (["--certify=0.1", "--splits=test"], "`splits` must be left out with --certify"),
        (["--certify=0.1", "--attacks=deepfool"], "`attacks`"),
        (["--certify=0.1", "--attack_samples=101"], "`attack_samples`"),
    ],
)
def test_mistakes_are_one_line(run, flags, words, capsys):
    before = command_checks.contents(run)
    assert main(f"--run_dir={run}", *flags) == 1
    assert words in command_checks.the_line(capsys, "evaluate.py: ")
    assert command_checks.contents(run) == before


def test_runs_that_cannot_be_certified_are_named(run, tmp_path, monkeypatch, capsys):
    model = keras.Sequential([keras.Input((16, 16, 1)), layers.MaxPooling2D(name="pool"), layers.Flatten()])
    monkeypatch.setattr(certifying.evaluation, "load_model", lambda *_: model)
    assert main(f"--run_dir={run}", "--certify=0.1", "--attack_samples=2", f"--output_dir={tmp_path / 'out'}") == 1
    line = command_checks.the_line(capsys, "evaluate.py: ")
    assert "cannot be certified" in line and "MaxPooling2D 'pool'" in line and not (tmp_path / "out").exists()


def test_the_networks_have_the_parameters_of_the_document():
    assert models.polytope_network().count_params() == 166_406
    lea = models.polytope_lea()
    assert lea.output_shape == (None, 10) and lea.get_layer("lea").output.shape == (None, 14, 14, 16)


def test_networks_with_leas_are_exported_before_they_are_trained_robustly():
    options = beyond_certificates.STUDY.plan("smoke")[0].measures["certificates"]
    settings = certificates.Settings(**options | {"network": "polytope_lea", "robust": True})
    images = np.random.default_rng(0).uniform(size=(8, 8, 8, 1)).astype("float32")
    model = certificates.trained(Images(images, np.arange(8) % 2), settings)
    assert not find_leas(model) and model.output_shape == (None, 2)


def test_errors_at_epsilon_and_what_would_contradict(monkeypatch):
    model = keras.Sequential([keras.Input((2, 2, 1)), layers.Flatten(), layers.Dense(2)])
    model.set_weights([np.ones((4, 2)) * [1.0, 0.0], np.array([0.0, 2.0])])  # the first class from a mean of ½ on
    means = np.array([0.3, 0.45, 0.52, 0.7, 0.9], "float32")
    images, labels = np.ones((5, 2, 2, 1), "float32") * means[:, None, None, None], np.array([0, 1, 0, 0, 0])
    found = certificates.certified(model, Images(images, labels), 0.1, 10)
    assert found["error"] == 0.2 and found["contradictions"] == 0  # the first is wrong
    assert found["gradient_sign"] == found["projected_gradient_descent"] == found["bound"] == pytest.approx(0.6)
    certify = robustness.certify

    def lying(*arguments, **options):
        truth = certify(*arguments, **options)
        return truth._replace(margins=truth.margins + 1)

    monkeypatch.setattr(robustness, "certify", lying)
    assert certificates.certified(model, Images(images, labels), 0.1, 10)["contradictions"] > 0


def test_accuracy_over_epsilon():
    figure = accuracy_over_epsilon([0.0, 0.1, 0.2, 0.0], {"a": [0.0, 0.3, None, 0.05], "b": [0.0, 0.2, 0.4, 0.3]})
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines) == ["left by a", "left by b", "certified"]

    def at(label, epsilon):
        xs, ys = lines[label].get_data()
        return ys[np.searchsorted(xs, epsilon)]

    assert [at("certified", one) for one in (0, 0.09, 0.15, 0.25)] == [0.5, 0.5, 0.25, 0]
    assert [at("left by a", one) for one in (0, 0.1, 0.31)] == [0.75, 0.5, 0.25]
    with pytest.raises(ValueError, match="distances of all 1 images"):
        accuracy_over_epsilon([0.1], {"a": [0.1, 0.2]})
    with pytest.raises(ValueError, match="at least one image"):
        accuracy_over_epsilon([], {})


def values(plain=(1.0, 50.0, 82.0, 100.0), robust=(1.8, 3.9, 4.1, 5.8), contradictions=0.0):
    """What the study may have stored of three runs, from per cent."""
    found = {}
    for dataset in beyond_certificates.DATASETS:
        for network in beyond_certificates.NETWORKS:
            for kind, errors in ((False, plain), (True, robust)):
                columns = zip(beyond_certificates.COLUMNS, errors, strict=True)
                of = {column: [error / 100] * 3 for column, error in columns}
                found[beyond_certificates.name(dataset, network, kind)] = of | {"contradictions": [contradictions] * 3}
    return found


def judged(number, *arguments, **options):
    return verdict(CLAIMS[number].statements(values(*arguments, **options)))


def test_claims():
    assert [judged(number) for number in range(80, 86)] == ["agrees"] * 6
    assert judged(80, contradictions=0.01) == "contradicted"
    assert judged(81, (1.0, 50.0, 82.0, 90.0)) == "contradicted"
    worse = (0.5, 60.0, 85.0, 95.0)
    assert [judged(number, robust=worse) for number in (82, 83, 84)] == ["contradicted"] * 3
    assert judged(85, robust=(1.8, 4.2, 4.1, 5.8)) == "partly"


def test_the_table_has_the_printed_numbers_beside_ours():
    heads, lines = beyond_certificates.table({"values": values()})
    assert heads[3:] == ["test", "Gradient Sign", "PGD", "bound"] and len(lines) == 8
    assert lines[1] == ["mnist", "convolution", "robust", "1.8 (1.80)", "3.9 (3.93)", "4.1 (4.11)", "5.8 (5.82)"]
    assert lines[3][:4] == ["mnist", "lea", "robust", "1.8"]  # of which nothing is printed
