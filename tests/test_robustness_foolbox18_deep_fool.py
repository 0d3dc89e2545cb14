"""Deep Fool of foolbox 1.8: how far it goes beyond the boundary of linear models."""

import gradient_attack_checks as checks
import numpy as np

from lea_keras.robustness.attacks.deep_fool import DeepFoolSearch
from lea_keras.robustness.attacks.foolbox18.deep_fool import DeepFool18


def test_five_per_cent_beyond_the_nearest_boundary():
    rng = np.random.default_rng(0)
    weights, biases = rng.normal(size=(30, 5)), rng.normal(size=5) * 0.1
    model, images = checks.linear_model(weights, biases, (-20, 20)), rng.normal(size=(12, 5, 6, 1)).astype("float32")
    logits = images.reshape(12, -1) @ weights + biases
    labels = logits.argmax(axis=1)
    gaps = logits[range(12), labels, None] - logits  # [12, 5]
    lengths = np.linalg.norm(weights[:, labels].T[:, :, None] - weights, axis=1)
    with np.errstate(invalid="ignore"):
        margins = np.nanmin(gaps / lengths, axis=1)
    clear = margins > 0.1
    for attack, overshoot in ((DeepFool18(), 0.05), (DeepFoolSearch(), 0.02)):
        results, success = checks.attacked(attack, model, images, labels)
        assert success.all()
        # foolbox 3 adds 1e-4 to each step.
        np.testing.assert_allclose(checks.distances(results, images)[clear] / margins[clear], 1 + overshoot, atol=3e-3)


def test_each_step_overshoots_and_is_clipped():
    """x₀ + x₁ > 1.5 from (0.9, 0) lacks 0.6, so that both go 1.05 · 0.3; x₀ ends at its bound, and 0.185 are missing.

    The next step is half wasted on x₀: it takes x₁ from 0.315 to 0.315 + 1.05 · 0.0925.
    """
    asked = []
    model = checks.linear_model([[0.0, 1.0], [0.0, 1.0]], [1.5, 0.0])
    noting = checks.model_around(lambda x: asked.append(np.array(x)[0].ravel()) or model._model(x))
    image = np.array([0.9, 0.0], "float32").reshape(1, 1, 2, 1)
    checks.attacked(DeepFool18(steps=2), noting, image, np.zeros(1, int))
    steps = np.unique(np.round(asked, 5), axis=0)
    np.testing.assert_allclose(steps, [[0.9, 0], [1, 0.315], [1, 0.412125]], atol=1e-5)


def test_bad_arguments():
    checks.check_arguments(DeepFool18, [("steps", 0), ("subsample", 1), ("overshoot", -0.1), ("max_images", 0)])
