"""Projected Gradient Descent of foolbox 1.8: successes on the way, and its search for ε."""

import gradient_attack_checks as checks
import numpy as np
import pytest
from keras import ops

from lea_keras.robustness.attacks.foolbox18.projected_gradient_descent import ProjectedGradientDescent18
from lea_keras.robustness.attacks.registry import get

BLACK = np.zeros((2, 2, 2, 1), "float32")
LABELS = np.zeros(2, int)


def island(low, high):
    """Class 1 for a mean between the two, of which no gradient tells: that of class 2 leads on and on."""

    def logits(images):
        mean = ops.mean(images, axis=(1, 2, 3))
        inside = ops.cast((mean > low) & (mean < high), "float32")
        return ops.stack([ops.ones_like(mean), 2 * inside, mean - 1], axis=1)

    return checks.foolbox_model(logits)


def test_a_success_on_the_way_counts():
    """Steps of ε/6 meet the island first at ε = 0.3, the second; the halving ends at the smallest ε that meets it.

    Ours asks about the end of the way alone, which is ε itself and never on the island.
    """
    model = island(0.095, 0.105)
    attack = ProjectedGradientDescent18(searches=8, iterations=6, stepsize=0.05)
    results, success = checks.attacked(attack, model, BLACK, LABELS)
    assert success.all()
    np.testing.assert_allclose(results, 0.095, atol=2e-3)
    ours = get("projected_gradient_descent", steps=6, rel_stepsize=1 / 6, rounds=3, halvings=1)
    assert not checks.attacked(ours, model, BLACK, LABELS)[1].any()


def test_an_epsilon_beyond_the_bounds_only_makes_longer_steps():
    """The first that reaches 0.85 is 0.3·1.5³ = 1.01, which ours would cut at 1; then it is halved from 0."""
    attack = ProjectedGradientDescent18(searches=4, stepsize=0.1)
    model = checks.linear_model(np.ones((4, 2)) * [0, 0.25], [0.85, 0.0])
    assert checks.attacked(attack, model, BLACK, LABELS)[1].all()
    assert not checks.attacked(ProjectedGradientDescent18(searches=3, stepsize=0.1), model, BLACK, LABELS)[1].any()
    few = ProjectedGradientDescent18(searches=7, iterations=1)  # 0.3·1.5⁶/30 = 0.11 a step
    low = checks.linear_model(np.ones((4, 2)) * [0, 0.25], [0.1, 0.0])
    results, success = checks.attacked(few, low, BLACK, LABELS)
    assert success.all() and np.all((results > 0.1) & (results < 0.11 * 1.01))


def test_a_descent_at_rest_is_left():
    asked = []
    model = checks.linear_model(np.zeros((4, 2)), [1.0, 0.0])
    counting = checks.model_around(lambda x: asked.append(len(x)) or model._model(x))
    assert not checks.attacked(ProjectedGradientDescent18(), counting, BLACK, LABELS)[1].any()
    assert sum(asked) <= 8  # one gradient each, and whether they are adversarial as they are


@checks.slow_on_jax
def test_what_every_attack_does():
    checks.check_attack(ProjectedGradientDescent18(searches=3, iterations=3, stepsize=0.1))


def test_bad_arguments():
    wrong = [("epsilon", 0), ("stepsize", -1), ("iterations", 0), ("searches", 0), ("max_images", 0)]
    for name, value in wrong:
        with pytest.raises(ValueError, match=f"^Argument `{name}` must be .* Received: {name}={value}$"):
            ProjectedGradientDescent18(**{name: value})
