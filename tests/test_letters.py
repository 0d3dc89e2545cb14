"""What is read off letters against loops and hand-worked cases; weights while codes are optimised."""

import json

import keras
import numpy as np
import pytest
from backends import once

from experiments import letters
from experiments.arrays import Images
from experiments.config import RunConfig
from experiments.letters import Sets, Settings
from experiments.studies.beyond_letters import STUDY

pytestmark = [once, pytest.mark.usefixtures("untraced")]
TINY = Settings(**STUDY.scales["smoke"].options)._replace(limit=12, test_limit=12, code_steps=2)


def made_up(count=30, classes=3, shift=0.0):
    generator = np.random.default_rng(int(10 * shift))
    labels = np.arange(count) % classes
    images = generator.normal(size=(count, 4, 4, 1)) + 3 * labels[:, None, None, None] + shift
    return Images(images.astype("float32"), labels)


def test_distances_to_the_nearest_of_the_class():
    given, known = made_up(12), made_up(21, shift=0.5)
    expected = []
    for image, label in zip(*given, strict=True):
        expected.append(min(np.linalg.norm(image - other) for other in known.images[known.labels == label]))
    assert letters.nearest(given, known) == pytest.approx(np.mean(expected), rel=1e-5)
    assert letters.nearest(given, given) == pytest.approx(0.0, abs=1e-3)


@pytest.fixture(scope="module")
def sets():
    pair = ((0.0, 1.0), (0.0, 1.0))
    return Sets(made_up(shift=1.0), made_up(shift=0.5), made_up(12, shift=0.2), made_up(15, shift=0.7), pair)


def test_what_is_read_off(sets):
    """Of a network that draws class means, one that draws real images, and one whose classes are mixed up."""
    labels = sets.source_test.labels
    means = np.stack([sets.target.images[sets.target.labels == c].mean(axis=0) for c in range(3)])
    np.testing.assert_allclose(letters.class_images(sets, "mean", 0), means, atol=1e-6)
    known = letters.class_images(sets, "representative", 0)
    drawn = {"mean": means[labels], "random": means[labels] + 1, "representative": known[labels]}
    drawn["classifier"] = means[(labels + 1) % 3]
    judge = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    flat = means.reshape(3, -1)  # of the nearest mean: 2·x·m − m·m
    judge.layers[-1].set_weights([2 * flat.T, -np.sum(flat**2, axis=1)])
    found = letters.read_off(drawn, sets, judge, 0)
    unit = np.mean(np.sum((sets.target.images - means[sets.target.labels]) ** 2, axis=(1, 2, 3)))
    assert max(found["error/mean"], found["alike/mean"]) < 1e-10
    assert found["error/random"] == pytest.approx(16 / unit, rel=1e-5)  # 4·4 values, each 1 away
    assert found["difference"] == pytest.approx(16 / unit, rel=1e-5)
    assert found["difference_over_errors"] == pytest.approx(1.0)
    assert found["nearest/representative"] == pytest.approx(0.0, abs=1e-3) and found["lookup"] == 1
    assert found["accuracy/mean"] == 1 and found["accuracy/classifier"] == 0
    assert 0 < found["nearest/mean"] < 1 < found["nearest/classifier"]  # a mean is nearer than images are


def test_data_have_mean_0_and_standard_deviation_1_by_their_training_alone():
    found = letters.load(RunConfig(), TINY._replace(limit=200, test_limit=50))
    for training in (found.source, found.target):
        assert training.images.mean() == pytest.approx(0, abs=1e-4) and training.images.std() == pytest.approx(1)
    assert abs(found.source_test.images.mean()) > 1e-4  # and not by its own
    assert found.source.images.shape == found.target.images.shape == (200, 16, 16, 1)
    assert not np.array_equal(found.source.images > 0, found.target.images > 0)
    (mean, deviation), _ = found.scales
    assert set(np.unique(letters._unscaled(found.source.images, (mean, deviation)).round(3))) == {0, 1}


def test_all_targets_begin_with_the_same_weights_and_codes_leave_them_alone(monkeypatch, tmp_path):
    began, ended = [], {}
    fit, trained, optimised = keras.Model.fit, letters.trained, letters.optimised

    def noted_fit(model, *args, **kwargs):
        network = next((layer for layer in model.layers if layer.name == "letters"), model)
        if network.name == "letters":
            began.append(network.get_weights())
        return fit(model, *args, **kwargs)

    def noted_trained(*args):
        for target, network in trained(*args):
            ended[target] = network.get_weights()
            yield target, network

    def noted_optimised(autoencoder, *args):
        before = autoencoder.get_weights()
        codes = optimised(autoencoder, *args)
        assert_same(before, autoencoder.get_weights())
        assert_same(before, ended["random"])
        return codes

    monkeypatch.setattr(keras.Model, "fit", noted_fit)
    monkeypatch.setattr(letters, "trained", noted_trained)
    monkeypatch.setattr(letters, "optimised", noted_optimised)
    letters.measure(tmp_path, RunConfig(seed=3), TINY._asdict())
    assert len(began) == 4 and sorted(ended) == sorted(letters.TARGETS)
    for weights in began:
        assert_same(began[0], weights)
    assert any(np.any(a != b) for a, b in zip(ended["random"], ended["mean"], strict=True))
    found = json.loads((tmp_path / "evaluation" / letters.FILE).read_text())
    assert len(found) == 22 and all(np.isfinite(value) for value in found.values())
    with np.load(tmp_path / "evaluation" / letters.PICTURES) as shown:
        assert {shown[name].shape for name in shown} == {(3, 16, 16, 1)} and len(shown) == 7


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
