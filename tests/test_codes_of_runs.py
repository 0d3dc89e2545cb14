"""Runs whose codes are not learned, and runs that know the labels of some samples alone."""

import keras
import numpy as np
import pytest

import evaluate
import lea_keras
import train
from experiments import pictures, training
from experiments.config import RunConfig
from lea_keras import callbacks

SMALL = [
    *("--model=lea_fc", "--window_size=4", "--image_size=16", "--limit=32", "--test_limit=20", "--batch_size=16"),
    *("--code_length=3", "--epochs=1", "--nopictures"),
]

pytestmark = pytest.mark.usefixtures("untraced")


def run_training(*arguments):
    return train.main(["train.py", *map(str, arguments)])


def autoencoder_of(run_dir):
    return keras.models.load_model(run_dir / "model.keras").lea_layers[0].autoencoder


@pytest.mark.parametrize(("codes", "flags"), [("pca", ["--units=linear"]), ("random", [])])
def test_codes_stay_as_they_were_from_the_first_step_to_the_last(codes, flags, tmp_path, monkeypatch):
    assert run_training(f"--run_dir={tmp_path}", f"--codes={codes}", "--labelled=0.5", *flags, *SMALL) == 0
    first = autoencoder_of(tmp_path)
    assert run_training(f"--run_dir={tmp_path}", "--resume", "--epochs=2", "--nopictures") == 0
    last = autoencoder_of(tmp_path)
    for one, other in zip(first.get_weights(), last.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    rows = callbacks.read_metrics(tmp_path)
    assert np.ptp([row["val_lea_rl"] for row in rows]) < 1e-6
    assert len({row["main_loss"] for row in rows}) == 2  # the classifier does learn
    if codes == "random":  # one of them is drawn: pictures do not ask where codes come from
        monkeypatch.setattr(pictures, "of_run", lambda *_: None)
    assert evaluate.main(["evaluate.py", f"--run_dir={tmp_path}", "--images=1"]) == 0


def test_components_are_those_of_the_windows_of_the_training_images(tmp_path):
    assert run_training(f"--run_dir={tmp_path}", "--codes=pca", "--units=linear", *SMALL) == 0
    config = RunConfig(model="lea_fc", window_size=4, image_size=16, limit=32, batch_size=16)
    images, _ = lea_keras.data.take(training.load_splits(config)["train"], 32)
    windows = np.array(lea_keras.windows.extract_windows(images, 4)).reshape(-1, 4, 4, 1)
    least = lea_keras.pca.least_error(windows, 3)
    autoencoder = autoencoder_of(tmp_path)
    np.testing.assert_allclose(float(autoencoder.objective(windows).loss), least, rtol=1e-4)
    np.testing.assert_allclose(callbacks.read_metrics(tmp_path)[0]["lea_rl"], least, rtol=1e-3)


def test_accuracy_and_loss_are_those_of_labelled_samples(tmp_path):
    flags = ["--labelled=0.07", "--learning_rate=0.02", "--batch_size=32", "--epochs=8", "--validate_every=8"]
    assert run_training(f"--run_dir={tmp_path}", *SMALL, *flags) == 0
    last = callbacks.read_metrics(tmp_path)[-1]
    assert last["accuracy"] == 1.0  # two samples of 32 are soon known; of all of them nobody would know so many
    assert last["main_loss"] < 0.1 and last["lea_rl"] > 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--codes=pca"], "`codes` must be pca with --autoencoder=standard, fc coders, --units=linear and a gaussian"),
        (["--codes=pca", "--units=linear", "--likelihood=bernoulli"], "and a gaussian likelihood alone"),
        (["--codes=random", "--model=cnn_lea", "--image_size=32"], "`codes` must be 'learned' for cnn_lea"),
        (["--labelled=0.001"], "`labelled` must be enough for one of the 32 training samples"),
        (["--labelled=2"], "`labelled` must be a number above 0 and at most 1"),
    ],
)
def test_what_cannot_be_is_one_line(flags, message, tmp_path, capsys):
    assert run_training(f"--run_dir={tmp_path / 'run'}", *SMALL, *flags) == 1
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error and not (tmp_path / "run").exists()
