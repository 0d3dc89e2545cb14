"""Deep Fool: the margin of linear models, and foolbox's own results."""

import gradient_attack_checks as checks
import numpy as np
from foolbox.attacks import L2DeepFoolAttack
from keras import ops

from lea_keras.robustness.attacks.deep_fool import DeepFoolSearch

RNG = np.random.default_rng(0)


def test_the_margin_of_a_linear_model():
    weights, biases = RNG.normal(size=(30, 5)), RNG.normal(size=5) * 0.1
    model = checks.linear_model(weights, biases, (-20.0, 20.0))
    images = RNG.normal(size=(12, 5, 6, 1)).astype("float32")
    logits = images.reshape(12, -1) @ weights + biases
    labels = logits.argmax(axis=1)
    results, success = checks.attacked(DeepFoolSearch(), model, images, labels)
    assert success.all()
    margins = []
    for row, label in zip(logits, labels, strict=True):
        others = [k for k in range(5) if k != label]
        margins.append(min((row[label] - row[k]) / np.linalg.norm(weights[:, label] - weights[:, k]) for k in others))
    ratio = (checks.distances(results, images) / margins)[np.array(margins) > 0.05]  # foolbox adds 1e-4 to each step
    assert len(ratio) > 8
    assert np.all(ratio >= 1) and np.all(ratio <= 1.03)


@checks.slow_on_jax
def test_the_same_as_foolbox_however_many_steps_it_takes(monkeypatch):
    model, images = checks.network(seed=1, activation=ops.tanh), checks.smooth_images(6)
    labels = checks.predictions(model, images)
    given = checks.tensor(images), checks.tensor(labels)
    _, expected, fooled = map(np.asarray, L2DeepFoolAttack(steps=30)(model, *given, epsilons=None))
    assert fooled.any()
    for first in (1, 10, 200):
        monkeypatch.setattr("lea_keras.robustness.attacks.deep_fool._FIRST_STEPS", first)
        results, success = checks.attacked(DeepFoolSearch(steps=30, max_images=4), model, images, labels)
        np.testing.assert_array_equal(success, fooled)
        np.testing.assert_allclose(results[fooled], expected[fooled], atol=1e-5)


def test_what_every_attack_does():
    checks.check_attack(DeepFoolSearch(steps=6))


def test_bad_arguments():
    checks.check_arguments(DeepFoolSearch, [("steps", 0), ("candidates", 1), ("overshoot", -0.1), ("max_images", 0)])
