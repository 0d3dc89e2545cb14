"""``--backend``: which one counts, one line where it cannot be had, and runs that go from one backend to the other."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from backends import needs_tensorflow
from command_checks import contents, the_line

import evaluate
import train
from experiments import backends, compiling, extras, failures, pictures
from experiments.config import CONFIGS
from lea_keras import callbacks

ROOT = pathlib.Path(train.__file__).parent
# Standard autoencoders have no noise, so that a step is the same on every backend; the last training batch is smaller.
FLAGS = ["--image_size=16", "--limit=20", "--test_limit=8", "--batch_size=8", "--window_size=8", "--seed=3"]
FLAGS += ["--units=linear", "--code_length=2"]

# Command lines in a process without TensorFlow: a list of [script, flags, exit status], ["copy", from, to] or, from
# where on evaluations are not drawn, ["undrawn"].
WITHOUT_TENSORFLOW = """
import functools, json, os, shutil, sys

sys.modules["tensorflow"] = None  # importing it now fails as if it were not installed
sys.modules["sklearn"] = None  # which Keras takes a second to import where it can
import evaluate, train
from experiments import startup


def quiet_import(name):
    assert os.environ["KERAS_BACKEND"] == "jax"
    module = startup.quiet_import(name)
    mlir = sys.modules["jax._src.interpreters.mlir"]
    mlir.make_ir_context = functools.cache(mlir.make_ir_context)  # as in start_of_tests.py
    return module


evaluate.quiet_import = train.quiet_import = quiet_import
assert "keras" not in sys.modules
for script, *arguments in json.loads(sys.argv[1]):
    if script == "copy":
        shutil.copytree(*arguments)
        continue
    if script == "undrawn":
        sys.modules["experiments.pictures"].of_run = lambda *_: None
        continue
    flags, expected = arguments
    status = sys.modules[script].main([f"{script}.py", *flags])
    assert status == expected, (script, flags, status)
"""

pytestmark = needs_tensorflow


def main(*arguments):
    return train.main(["train.py", *map(str, arguments)])


def make_run(run_dir, backend, seed=0):
    """A run folder without a model."""
    run_dir.mkdir(parents=True)
    (run_dir / "config.json").write_text(CONFIGS["lea_fc"].replace(backend=backend, seed=seed).to_json())
    return run_dir


@pytest.fixture
def seen(monkeypatch):
    """The configurations that would be trained."""
    found = []
    monkeypatch.setattr(train, "_train", lambda config, *_: found.append(config) or "")
    return found


@pytest.fixture
def before_keras(monkeypatch):
    """As if Keras were not imported yet; whatever backend is chosen is forgotten afterwards."""
    monkeypatch.setenv("KERAS_BACKEND", "")
    monkeypatch.delitem(sys.modules, "keras")


def installed(monkeypatch, *names):
    monkeypatch.setattr(extras, "is_installed", lambda name: name in names)


@pytest.mark.parametrize(("value", "backend"), [(None, "tensorflow"), ("", "tensorflow"), ("jax", "jax")])
def test_environment_counts_without_a_flag(value, backend, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND")
    if value is not None:
        monkeypatch.setenv("KERAS_BACKEND", value)
    assert backends.default() == backend


def test_flag_goes_before_environment(seen, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert main(f"--run_dir={tmp_path}", "--backend=tensorflow") == 0
    assert [config.backend for config in seen] == ["tensorflow"]


def test_environment_with_another_backend(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    message = "The environment variable KERAS_BACKEND must be one of ('tensorflow', 'jax'), or --backend be given."
    for flags in ([], ["--runs=2"]):
        assert main(f"--run_dir={tmp_path / 'run'}", *flags) == 1
        assert the_line(capsys) == f"train.py: {message} Received: KERAS_BACKEND='torch'\n"
    assert not (tmp_path / "run").exists()


def test_one_process_has_one_backend(tmp_path, capsys):
    message = "Argument `backend` must be 'tensorflow', on which Keras runs in this process already. Received: backend="
    for flags in ([], ["--runs=2"]):
        assert main(f"--run_dir={tmp_path / 'new'}", "--backend=jax", *flags) == 1
        assert the_line(capsys) == f"train.py: {message}'jax'\n"
    assert not (tmp_path / "new").exists()
    runs = ",".join(str(make_run(tmp_path / backend, backend)) for backend in ("jax", "tensorflow"))
    for flags in ([], ["--attacks=all"]):
        assert evaluate.main(["evaluate.py", f"--run_dir={runs}", *flags]) == 1
        assert the_line(capsys) == f"evaluate.py: {message}'jax'\n"  # that of the first run


def test_resume_takes_the_backend_of_the_run_or_of_the_flag(seen, tmp_path, monkeypatch, capsys):
    run = make_run(tmp_path / "run", "jax")
    assert main(f"--run_dir={run}", "--resume") == 1
    assert "Received: backend='jax'" in the_line(capsys)
    assert main(f"--run_dir={run}", "--resume", "--backend=tensorflow") == 0
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert main(f"--run_dir={make_run(tmp_path / 'other', 'tensorflow')}", "--resume") == 0
    assert [config.backend for config in seen] == ["tensorflow", "tensorflow"]


def test_series_has_one_backend(tmp_path, capsys):
    make_run(tmp_path / "001", "jax", seed=1)
    before = contents(tmp_path)
    assert main(f"--run_dir={tmp_path}", "--runs=2", "--seed=1") == 1
    message = f"Argument `backend` must be 'jax', that of the run in {tmp_path / '001'}, since all runs of a series"
    assert message in the_line(capsys)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("there", "message"),
    [
        (["tensorflow"], "The backend jax is not installed: pip install jax, or choose --backend=tensorflow"),
        ([], "The backend jax is not installed: pip install jax"),
    ],
)
def test_missing_backend(there, message, before_keras, monkeypatch, tmp_path, capsys):
    installed(monkeypatch, *there)
    assert main(f"--run_dir={tmp_path / 'run'}", "--backend=jax") == 1
    assert the_line(capsys) == f"train.py: {message}\n"
    run = make_run(tmp_path / "old", "jax")
    assert evaluate.main(["evaluate.py", f"--run_dir={run}"]) == 1
    assert the_line(capsys) == f"evaluate.py: {message}\n"
    assert os.environ["KERAS_BACKEND"] == ""


@pytest.mark.parametrize(
    ("there", "wanted", "taken"),
    [
        (["jax"], "", "jax"),
        (["jax"], "tensorflow", "jax"),
        (["tensorflow", "jax"], "jax", "jax"),
        (["tensorflow", "jax"], "torch", "tensorflow"),
    ],
)
def test_comparisons_take_what_is_there(there, wanted, taken, before_keras, monkeypatch):
    installed(monkeypatch, *there)
    monkeypatch.setenv("KERAS_BACKEND", wanted)
    backends.use_any()
    assert os.environ["KERAS_BACKEND"] == taken


def test_full_memory_is_told_from_other_errors(monkeypatch):
    import tensorflow as tf

    jax = pytest.importorskip("jax")
    exhausted = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\nmore")
    wrong = tf.errors.InvalidArgumentError(None, None, "RESOURCE_EXHAUSTED")
    assert all(isinstance(error, failures.backend_errors()) for error in (exhausted, wrong, MemoryError()))
    assert failures.of_memory(exhausted) == "OOM when allocating"
    assert failures.of_memory(wrong) is None
    assert failures.of_memory(MemoryError()) == "MemoryError"
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    exhausted = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes.\nmore")
    wrong = jax.errors.JaxRuntimeError("INTERNAL: no")
    assert all(isinstance(error, failures.backend_errors()) for error in (exhausted, wrong, MemoryError()))
    assert failures.of_memory(exhausted) == "RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes."
    assert failures.of_memory(wrong) is None


def test_full_memory_is_one_line(tmp_path, monkeypatch, capsys):
    def full(*_, **__):
        raise MemoryError("Unable to allocate 3 TiB")

    monkeypatch.setattr(keras.Model, "fit", full)
    assert main(f"--run_dir={tmp_path}", "--model=pool_fc", *FLAGS) == 1
    line = "Memory does not suffice for this model and batch size: Unable to allocate 3 TiB"
    assert the_line(capsys) == f"train.py: {line}\n"


@pytest.fixture(scope="module")
def crossed(tmp_path_factory, no_pictures_while_training, jax_environment):
    """A run of one epoch from each backend, continued and evaluated on both.

    ``tensorflow/jax`` is the run that TensorFlow began and JAX continued; ``tensorflow/on_jax`` what JAX measured
    before that. Also the standard error of the process without TensorFlow. To save time, TensorFlow traces only what it
    goes on with of JAX, what has no question about pictures is not drawn, and JAX draws one of its evaluations.
    """
    pytest.importorskip("jax")
    folder = tmp_path_factory.mktemp("crossed")
    with compiling.eager():
        assert main(f"--run_dir={folder}/tensorflow/run", "--epochs=1", *FLAGS) == 0
    commands = [
        ["train", [f"--run_dir={folder}/mnist", "--backend=jax", "--dataset=mnist"], 1],
        ["train", [f"--run_dir={folder}/jax/run", "--backend=jax", "--epochs=1", *FLAGS], 0],
    ]
    for begun in ("tensorflow", "jax"):
        run, measured, resumed = (f"{folder}/{begun}/{name}" for name in ("run", "on_jax", "jax"))
        commands += [
            ["evaluate", [f"--run_dir={run}", f"--output_dir={measured}", "--backend=jax", "--images=1"], 0],
            ["copy", run, resumed],
            ["train", [f"--run_dir={resumed}", "--resume", "--epochs=2", "--backend=jax", "--nopictures"], 0],
            ["undrawn"],
        ]
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, json.dumps(commands)]
    result = subprocess.run(command, cwd=ROOT, env=jax_environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    for begun in ("tensorflow", "jax"):
        run, measured, resumed = (f"{folder}/{begun}/{name}" for name in ("run", "on_tensorflow", "tensorflow"))
        flags = [f"--run_dir={run}", f"--output_dir={measured}", "--backend=tensorflow", "--images=1"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pictures, "of_run", lambda *_: None)  # which test_evaluate.py looks at
            with compiling.eager():
                assert evaluate.main(["evaluate.py", *flags]) == 0
        shutil.copytree(run, resumed)
        with compiling.eager() if begun == "tensorflow" else contextlib.nullcontext():
            resume = ["--resume", "--epochs=2", "--backend=tensorflow", "--nopictures"]
            assert main(f"--run_dir={resumed}", *resume) == 0
    return folder, result.stderr


def test_a_process_without_tensorflow_says_what_it_lacks_and_nothing_else(crossed):
    folder, errors = crossed
    assert errors.startswith("train.py: The data set 'mnist' needs TensorFlow") and errors.count("\n") == 1, errors
    assert not (folder / "mnist").exists()


@pytest.mark.parametrize("begun", ["tensorflow", "jax"])
def test_evaluation_is_the_same_on_every_backend(begun, crossed):
    results = [crossed[0] / begun / f"on_{backend}" for backend in ("tensorflow", "jax")]
    first, second = (json.loads((path / "results.json").read_text()) for path in results)
    assert (first["backend"], second["backend"], first["config"]["backend"]) == ("tensorflow", "jax", begun)
    assert list(first["splits"]) == ["train", "test"]
    for split, values in first["splits"].items():
        assert "lea_rln" in values and values == pytest.approx(second["splits"][split], rel=1e-4, abs=1e-6)
    assert json.loads((results[0] / "contents.json").read_text()) == json.loads(
        (results[1] / "contents.json").read_text()
    )
    found = {path.stem for path in results[1].glob("*.png")}
    if begun == "tensorflow":
        assert found == {*("code_maps", "confidence", "curves", "histograms", "reconstructions", "windows")}


@pytest.mark.parametrize("begun", ["tensorflow", "jax"])
def test_resuming_is_the_same_on_every_backend(begun, crossed):
    """Weights, optimizers and the order of the data go on as if nothing had changed."""
    found = [crossed[0] / begun / backend for backend in ("tensorflow", "jax")]
    for run_dir in found:
        assert json.loads((run_dir / "config.json").read_text())["backend"] == run_dir.name
    assert (crossed[0] / begun / "run/codes.png").read_bytes().startswith(b"\x89PNG")
    rows = [[row for row in callbacks.read_metrics(run_dir) if row.pop("seconds") >= 0] for run_dir in found]
    assert rows[0][0] == rows[1][0] and len(rows[0]) == len(rows[1]) == 2
    assert rows[0][1] == pytest.approx(rows[1][1], rel=1e-3)
    assert rows[0][0]["loss"] != pytest.approx(rows[0][1]["loss"], rel=1e-3)
    models = [keras.models.load_model(run_dir / "model.keras") for run_dir in found]
    for optimizers in zip(*([model.optimizer, model.lea_optimizers[0]] for model in models), strict=True):
        first, second = (optimizer.variables for optimizer in optimizers)
        assert int(first[0]) == int(second[0]) == 6  # steps, three an epoch
        for one, other in zip(first, second, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-4)
