"""ADef of foolbox 1.8: which class it deforms towards, and how far."""

import eagerpy as ep
import gradient_attack_checks as checks
import keras
import numpy as np
import pytest

from lea_keras.robustness.attacks.adef import ADefAttack
from lea_keras.robustness.attacks.foolbox18.adef import ADef18
from lea_keras.robustness.attacks.gradients import ArrayModel

RAMP = np.broadcast_to(np.linspace(0, 1, 7, dtype="float32")[:, None], (1, 7, 7, 1))  # brighter to the right


def test_steps_are_chosen_by_the_sum_of_all_fields():
    """To class 1 it is shorter from here, to class 2 from where the image came."""
    weights = np.ones((49, 3)) / 49 * [0, 1, -1]
    model = checks.linear_model(weights, [0.0, -0.6, 0.35])  # at a mean of ½ they lack 0.1 and 0.15
    image = np.array(RAMP)
    arrays = ArrayModel(model, ep.astensor(checks.tensor(image)), 3)
    attack, labels, candidates = ADef18(smooth=0), np.array([0]), np.array([[1, 2]])
    none = np.zeros((1, 7, 7, 2))
    first, has_step = attack._add_step(arrays, image.astype(float), none, labels, candidates)
    assert has_step[0] and np.all(first[..., 1] > 0)  # values come from the right, which is brighter
    np.testing.assert_allclose(first.sum() / 49 / 6, 0.1, rtol=1e-5)  # exactly to the boundary
    second, _ = attack._add_step(arrays, image.astype(float), first, labels, candidates)
    np.testing.assert_allclose(second, -0.5 * first, rtol=1e-5)
    steps, _ = ADefAttack(smooth=0)._steps(arrays, image.astype(float), labels, candidates, np.full(1, 1e-6))
    np.testing.assert_allclose(steps, 1.1 * first, rtol=1e-5)  # ours still goes to class 1


def centre_model(distance):
    """Class 1 where the centre of mass is more than so many pixels right of the middle."""

    def logits(images):
        columns = checks.tensor(np.arange(15.0) - 7, "float32")
        shift = keras.ops.sum(images * columns[:, None], (1, 2, 3)) / keras.ops.sum(images, (1, 2, 3))
        return keras.ops.stack([keras.ops.zeros_like(shift), keras.ops.exp(shift) - np.exp(distance)], axis=1)

    return checks.foolbox_model(logits)


def test_the_first_success_is_not_shrunk():
    """Of a logit that grows faster and faster a step leads too far; ours shortens what it finds."""
    squares = (np.arange(15)[:, None] - 7.0) ** 2 + (np.arange(15) - 7.0) ** 2
    image = np.exp(-squares / 4.5).astype("float32").reshape(1, 15, 15, 1)
    shifts = {}
    for attack in (ADef18(), ADefAttack()):
        results, success = checks.attacked(attack, centre_model(1.0), image, np.zeros(1, int))
        assert success[0]
        shifts[type(attack)] = np.sum(results * (np.arange(15)[:, None] - 7)) / np.sum(results)
    assert 1 < shifts[ADefAttack] < 1.02 < 1.2 < shifts[ADef18]


def test_fewer_classes_than_candidates_and_nowhere_to_go():
    flat = np.full((2, 5, 5, 1), 0.5, "float32")  # whose derivatives vanish
    model = checks.linear_model(np.ones((25, 2)) * [0, 0.04], [1.0, 0.0])
    assert not checks.attacked(ADef18(subsample=10), model, flat, np.zeros(2, int))[1].any()
    with pytest.raises(ValueError, match="^Argument `inputs` must be images of at least 2 rows and 2 columns"):
        checks.attacked(ADef18(), model, flat[:, :1], np.zeros(2, int))


@checks.slow_on_jax
def test_what_every_attack_does():
    # Of which it finds enough: rounding decides whether it crosses a boundary.
    checks.check_attack(ADef18(max_iter=10, subsample=3), checks.backend_network)


def test_bad_arguments():
    checks.check_arguments(ADef18, [("max_iter", 0), ("smooth", -1), ("subsample", 1), ("max_images", 0)])
