"""Sparse weights and inputs: the front end against NumPy, and attacks against what Theorem 2 certifies."""

import json

import keras
import numpy as np
import pytest
from backends import once
from keras import ops

import lea_keras
from experiments import defences
from experiments.arrays import Images, computed
from experiments.config import RunConfig
from experiments.defences import Settings
from experiments.studies import beyond_defences
from lea_keras import robustness

pytestmark = [once, pytest.mark.usefixtures("untraced")]
OPTIONS = beyond_defences.STUDY.plan("smoke")[0].measures["defences"]
TINY = Settings(**OPTIONS)


def images(count=40, size=8):
    generator = np.random.default_rng(0)
    labels = np.arange(count) % 2
    noise = generator.uniform(0, 0.3, size=(count, size, size, 1))
    noise[labels == 1, : size // 2] += 0.6
    return Images(noise.astype("float32"), labels)


def test_the_front_end_keeps_the_components_farthest_from_0():
    given = images()
    layer = defences.Sparsifier(given.images, 4, 3)
    windows = np.stack([given.images[:, r : r + 4, c : c + 4, 0] for r in (0, 4) for c in (0, 4)], 1)
    flat = windows.reshape(-1, 16).astype(np.float64)  # [images · 4, 16]
    mean = flat.mean(axis=0)
    basis = np.linalg.svd(flat - mean, full_matrices=False)[2]  # rows are directions
    codes = (flat - mean) @ basis.T
    smallest = np.argsort(-np.abs(codes), axis=1)[:, 3:]
    np.put_along_axis(codes, smallest, 0.0, axis=1)
    expected = (codes @ basis + mean).reshape(-1, 2, 2, 4, 4).transpose(0, 1, 3, 2, 4).reshape(-1, 8, 8, 1)
    np.testing.assert_allclose(computed(layer, given.images), expected, atol=1e-5)
    by_value = codes.copy()
    np.put_along_axis(by_value, np.argsort(-codes, axis=1)[:, 3:], 0.0, axis=1)
    assert np.abs(by_value - codes).max() > 0.1  # the largest are not those farthest from 0
    assert not layer.trainable_weights
    whole = defences.Sparsifier(given.images, 4, 16)
    np.testing.assert_allclose(computed(whole, given.images), given.images, atol=1e-5)


def test_gradients_pass_through_the_front_end():
    given = images()
    layer = defences.Sparsifier(given.images, 4, 3)
    model = keras.Sequential([keras.Input((8, 8, 1)), layer, *defences.classifier((8, 8, 1), (8,), None).layers])
    victim = robustness.Victim(model, (8, 8, 1))
    assert not np.any(victim.masked_gradients(given.images[:8], given.labels[:8]))


@pytest.mark.parametrize("radius", [2.0, None])
def test_no_attack_ends_below_what_is_certified(radius):
    given = images(80)
    keras.utils.set_random_seed(0)
    model = defences.classifier((8, 8, 1), (16, 16), radius)
    model.compile(keras.optimizers.Adam(2e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(*(np.concatenate([one] * 15) for one in given), batch_size=80, verbose=0, shuffle=False)
    norms = [np.abs(ops.convert_to_numpy(layer.kernel)).sum(axis=0).max() for layer in model.layers[1:]]
    bound = robustness.perturbation_bound(model, 1.0)
    assert bound == pytest.approx(np.prod(norms), rel=1e-5) and (radius is None or bound < 2**3 + 1e-4)
    found = defences.withstood(model, given, TINY._replace(attacked=12, attack_steps=5), bound)
    assert found["test_accuracy"] == 1.0 and len(found["distances"]) == 12
    reached = [(one, least) for one, least in zip(found["distances"], found["certified"], strict=True) if one]
    assert len(reached) > 6 and all(one >= least > 0 for one, least in reached)
    # Not the whole gap: a logit falls while the other rises.
    if radius is not None:
        logits = computed(model, given.images[:12])
        gap = np.abs(logits[:, 0] - logits[:, 1])
        np.testing.assert_allclose(found["certified"], gap / (2 * bound), rtol=1e-5)


def test_misclassified_images_need_no_attack():
    given = images(20)
    model = defences.classifier((8, 8, 1), (), None)
    model.layers[-1].set_weights([np.zeros((64, 2)), np.array([2.0, 0.0])])  # always the first class
    found = defences.withstood(model, given, TINY._replace(attacked=6), 1.0)
    assert found["distances"] == [None, 0.0] * 3 and found["test_accuracy"] == 0.5
    assert found["masked_gradients"] == 1.0
    np.testing.assert_allclose(found["certified"], [1.0, 0.0] * 3)
    curve = beyond_defences.withstanding(found["distances"])
    assert curve == [0.5] * 16 and beyond_defences.withstanding([0.1, 0.11, None, 0.0])[5:7] == [0.5, 0.25]


@pytest.mark.parametrize("kept", [None, 2])
def test_what_is_stored(kept, tmp_path):
    defences.measure(tmp_path, RunConfig(seed=1), OPTIONS | {"kept": kept, "radius": 1.0})
    found = json.loads((tmp_path / "evaluation" / defences.FILE).read_text())
    assert len(found["distances"]) == 2 and 0 < found["zeros"] < 1
    assert ("bound" in found) == ("certified" in found) == (kept is None)


def test_only_the_two_classes_are_taken():
    settings = TINY._replace(limit=60)
    found = defences.two_classes(RunConfig(), settings, "train")
    every = lea_keras.data.load("sprites", "train", batch_size=60, limit=60, image_size=16, shuffle=False)
    labels = np.argmax(lea_keras.data.take(every, 60)[1], axis=1)
    assert list(found.labels) == [label // 2 for label in labels if label != 1]
