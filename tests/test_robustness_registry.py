"""The thirteen attacks by their names."""

import foolbox
import gradient_attack_checks as checks
import numpy as np
import pytest

from lea_keras.robustness.attacks import registry
from lea_keras.robustness.attacks.registry import ATTACKS, get

NAMES = [
    "gradient_sign",
    "projected_gradient_descent",
    "deep_fool",
    "adef",
    "slsqp",
    "saliency_map",
    "single_pixel",
    "local_search",
    "spatial",
    "gaussian_blur",
    "contrast_reduction",
    "additive_gaussian_noise",
    "salt_and_pepper",
]


def test_all_thirteen_in_the_order_of_the_thesis():
    assert list(ATTACKS) == NAMES
    for name in NAMES:
        assert f"``{name}``" in registry.__doc__


@pytest.mark.parametrize("name", NAMES)
def test_every_factory_takes_a_seed_and_options(name):
    for attack in (ATTACKS[name](), ATTACKS[name](seed=3), get(name), get(name, 3)):
        assert isinstance(attack, foolbox.attacks.base.MinimizationAttack)
        assert f"``{type(attack).__name__}``" in registry.__doc__
    assert getattr(get(name, 3), "seed", 3) == 3
    with pytest.raises(ValueError, match="^Argument `seed` must be an integer from 0"):
        get(name, -1)
    with pytest.raises(TypeError, match="spleen"):
        get(name, spleen=1)


def test_options_reach_the_attack():
    assert get("local_search", rounds=7).rounds == 7
    descent = get("projected_gradient_descent", steps=9, rel_stepsize=0.5, start=0.1)
    assert (descent.attack.steps, descent.attack.rel_stepsize, descent.start) == (9, 0.5, 0.1)
    assert not descent.attack.random_start


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(ValueError) as error:
        get("deepfool")
    assert str(error.value).startswith("Argument `name` must be one of ('gradient_sign', ")
    assert str(error.value).endswith("Did you mean 'deep_fool'? Received: name='deepfool'")


def test_projected_gradient_descent_takes_the_steps_of_foolbox_3():
    attack = get("projected_gradient_descent").attack
    assert (attack.steps, attack.rel_stepsize) == (40, pytest.approx(0.01 / 0.3))
    assert get("projected_gradient_descent", steps=3).attack.steps == 3


@pytest.mark.parametrize("name", ["single_pixel", "local_search", "additive_gaussian_noise", "salt_and_pepper"])
def test_the_seed_decides_what_is_drawn(name):
    model, images = checks.network(seed=2), checks.smooth_images(4)
    labels = checks.predictions(model, images)
    fewer = {
        "single_pixel": {"max_pixels": 9},
        "additive_gaussian_noise": {"steps": 50},
        "salt_and_pepper": {"repeats": 5},
    }
    options = fewer.get(name, {})
    first, again, other = (checks.attacked(get(name, seed, **options), model, images, labels)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
