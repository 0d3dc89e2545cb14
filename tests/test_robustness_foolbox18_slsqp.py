"""SLSQP of foolbox 1.8: noise, unless the noise happens to lie at the boundary."""

import gradient_attack_checks as checks
import numpy as np
import pytest

from lea_keras.robustness.attacks.foolbox18.slsqp import SLSQP18
from lea_keras.robustness.attacks.registry import get


def mean_above(threshold, size=36):
    """Class 1 where the mean is above the threshold."""
    return checks.linear_model(np.ones((size, 2)) * [0, 1 / size], [threshold, 0.0])


def noise(seed, index, size=36):
    return np.random.default_rng((seed, index)).uniform(0, 1, size)


def test_the_result_is_noise_where_that_is_of_another_class():
    images, labels = np.zeros((3, 6, 6, 1), "float32"), np.zeros(3, int)
    results, success = checks.attacked(SLSQP18(), mean_above(0.3), images, labels)
    assert success.all()
    for index in range(3):
        np.testing.assert_allclose(results[index].ravel(), noise(0, index), atol=1e-6)
    distances = np.mean(results**2, axis=(1, 2, 3))
    np.testing.assert_allclose(distances, 1 / 3, atol=0.1)  # of uniform noise from black, whatever the boundary
    nearest, _ = checks.attacked(get("slsqp"), mean_above(0.3), images, labels)
    np.testing.assert_allclose(np.mean(nearest**2, axis=(1, 2, 3)), 0.09, atol=1e-3)
    # It finds nothing where noise is of the same class, though a lighter grey would do.
    assert not checks.attacked(SLSQP18(), mean_above(0.7), images, labels)[1].any()
    assert checks.attacked(get("slsqp"), mean_above(0.7), images, labels)[1].all()
    other, _ = checks.attacked(SLSQP18(seed=1), mean_above(0.3), images, labels)
    assert np.any(other != results)


def test_differences_that_round_to_the_start_are_not_asked_again():
    asked = []
    model = mean_above(0.7, 400)
    counting = checks.model_around(lambda x: asked.append(len(x)) or model._model(x))
    checks.attacked(SLSQP18(max_images=64), counting, np.zeros((1, 20, 20, 1), "float32"), np.zeros(1, int))
    assert 150 < sum(asked) < 250 and max(asked) <= 64


def test_scipy_runs_where_a_difference_crosses_the_boundary():
    """The first value's threshold is what it starts at: there the constraint's gradient is not zero."""
    seed = next(
        seed for seed in range(99) if np.float32(noise(seed, 0, 4)[0] + 2**-26) > np.float32(noise(seed, 0, 4)[0])
    )
    start = np.float32(noise(seed, 0, 4)[0])
    weights = np.zeros((4, 2))
    weights[0, 1] = 1
    model = checks.linear_model(weights, [float(start), 0.0])  # class 1 where the first value is above its start
    image = np.zeros((1, 2, 2, 1), "float32")
    results, success = checks.attacked(SLSQP18(seed=seed), model, image, np.zeros(1, int))
    assert success[0] and results[0, 0, 0, 0] > start
    # What scipy then does with the other three is up to it; it certainly asked about images nearer than the start.
    assert np.sum(results**2) < np.sum(np.square(noise(seed, 0, 4))) - 1e-3


def test_bad_arguments():
    checks.check_arguments(SLSQP18, [("max_iter", 0), ("seed", -1), ("max_images", 0)])
    with pytest.raises(ValueError, match="^Argument `criterion` must be"):
        checks.attacked(SLSQP18(), mean_above(0.3), np.zeros((1, 6, 6, 1), "float32"), np.zeros(1, "float32"))
