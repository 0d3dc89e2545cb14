"""The attacks of foolbox 1.8 by their names, against what foolbox 1.8.0 itself does."""

import foolbox
import gradient_attack_checks as checks
import numpy as np
import pytest
from keras import ops
from scipy.ndimage import gaussian_filter

from lea_keras.robustness.attacks.foolbox18 import registry
from lea_keras.robustness.attacks.foolbox18.registry import ATTACKS_1_8
from lea_keras.robustness.attacks.registry import ATTACKS
from lea_keras.robustness.attacks.semantics import NEAREST, SEMANTICS

# Mean squared distances that foolbox 1.8.0 reached on three images and the network below, with its defaults but for
# Projected Gradient Descent, which here takes fewer searches and longer steps.
QUICK = {"projected_gradient_descent": {"searches": 6, "iterations": 8, "stepsize": 0.05}}
OF_1_8_0 = {
    "gradient_sign": (0.0003802, 0.001110, 0.002920),
    "projected_gradient_descent": (0.0004247, 0.001198, 0.001807),
    "deep_fool": (0.0002424, 0.0007667, 0.001327),
    "adef": (0.002260, 0.009582, 0.01643),
    "saliency_map": (0.007781, 0.005627, 0.01077),
    "spatial": (0.1598, 0.1319, 0.1319),
}


def test_the_same_names_in_the_same_order():
    assert list(ATTACKS_1_8) == list(ATTACKS)
    assert SEMANTICS == {NEAREST: ATTACKS, "foolbox18": ATTACKS_1_8}
    for name, factory in ATTACKS_1_8.items():
        assert f"``{name}``" in registry.__doc__
        for attack in (factory(), factory(seed=3)):
            assert isinstance(attack, foolbox.attacks.base.MinimizationAttack)
            assert f"``{type(attack).__name__}``" in registry.__doc__
        assert getattr(factory(seed=3), "seed", 3) == 3
        with pytest.raises(ValueError, match="^Argument `seed` must be an integer from 0"):
            factory(seed=-1)
        with pytest.raises(TypeError, match="spleen"):
            factory(spleen=1)


@checks.slow_on_jax
@pytest.mark.parametrize("name", OF_1_8_0)
def test_distances_are_those_of_1_8_0(name):
    # Rounding decides whether an attack that ends on a boundary is across it.
    model, images = checks.backend_network((8, 8, 1)), checks.smooth_images(12, 8)[[2, 3, 5]]
    attack = ATTACKS_1_8[name](**QUICK.get(name, {}))
    results, success = checks.attacked(attack, model, images, checks.predictions(model, images))
    assert success.all()
    np.testing.assert_allclose(np.mean((results - images) ** 2, axis=(1, 2, 3)), OF_1_8_0[name], rtol=1e-3)


def island(measure, low, high):
    """Class 1 where the measure of the images is between the two, or near 1."""

    def logits(images):
        value = measure(images)
        middle, width = (low + high) / 2, (high - low) / 2
        return ops.stack([ops.zeros_like(value), ops.maximum(1 - ops.abs(value - middle) / width, value - 0.99)], 1)

    return checks.foolbox_model(logits)


def brightness(images):
    return ops.mean(images, axis=(1, 2, 3))


def darkness(images):
    return 1 - ops.max(images, axis=(1, 2, 3))


@checks.slow_on_jax
@pytest.mark.parametrize(
    ("name", "measure", "of_level"),
    [
        ("gradient_sign", brightness, lambda image, level: level),
        ("contrast_reduction", brightness, lambda image, level: level / 2),
        ("gaussian_blur", darkness, lambda image, level: 1 - gaussian_filter(image[..., 0], 6 * level).max()),
    ],
)
def test_every_level_is_tried_where_ours_skips_some(name, measure, of_level):
    """Success at the 112th to 116th of 1,000 levels; ours tries the 103rd, the 124th, and none between them."""
    image = np.zeros((6, 6, 1), "float32")
    if name == "gaussian_blur":
        image[3, 3] = 1
    model = island(measure, of_level(image, 0.1115), of_level(image, 0.1165))
    results, success = checks.attacked(ATTACKS_1_8[name](), model, image[None], np.zeros(1, int))
    assert success[0]
    assert float(measure(results)[0]) == pytest.approx(of_level(image, 0.112), abs=1e-4)
    assert not np.array_equal(results, checks.attacked(ATTACKS[name](), model, image[None], np.zeros(1, int))[0])


@pytest.mark.parametrize("name", ["deep_fool", "local_search", "additive_gaussian_noise"])
def test_one_of_each_kind_on_every_backend(name):
    options = {"local_search": {"rounds": 3}, "additive_gaussian_noise": {"steps": 40}}.get(name, {"steps": 5})
    model, images = checks.network((4, 4, 1)), checks.smooth_images(3, 4)
    labels = checks.predictions(model, images)
    results, success = checks.attacked(ATTACKS_1_8[name](**options), model, images, labels)
    np.testing.assert_array_equal(success, checks.predictions(model, results) != labels)
    np.testing.assert_array_equal(results[~success], images[~success])
    assert success.any() or name == "local_search"
