"""Saliency Map of foolbox 1.8 on linear models: it darkens, loses steps, and aims along the raw gradient."""

import eagerpy as ep
import gradient_attack_checks as checks
import numpy as np
import pytest

from lea_keras.robustness.attacks.base import Batch
from lea_keras.robustness.attacks.foolbox18.saliency_map import SaliencyMap18, choose
from lea_keras.robustness.attacks.gradients import ArrayModel
from lea_keras.robustness.attacks.registry import get
from lea_keras.robustness.attacks.saliency_map import _Search

ZERO = np.zeros(1, int)


def two_classes(slopes, threshold):
    """Class 1 where the four values times their slopes are above the threshold."""
    return checks.linear_model(np.array(slopes)[:, None] * [0, 1], [threshold, 0.0])


def image(*values):
    return np.array(values, "float32").reshape(1, 2, 2, 1)


def changes(attack, model, start):
    results, success = checks.attacked(attack, model, start, ZERO)
    return (results - start).ravel() if success[0] else None


def test_it_darkens_where_brightening_would_be_quicker():
    """4x₀ − x₁ − x₂/2 lacks 0.25: ours brightens x₀ by 0.0625; 1.8 darkens x₁ three times by 0.1."""
    model, start = two_classes([4, -1, -0.5, 0], 1.5), image(0.5, 0.5, 0.5, 0.5)
    np.testing.assert_allclose(changes(SaliencyMap18(), model, start), [0, -0.3, 0, 0], atol=1e-6)
    np.testing.assert_allclose(changes(get("saliency_map"), model, start), [0.0625, 0, 0, 0], atol=1e-3)


def test_an_element_is_out_at_the_bound_and_after_seven_changes():
    model = two_classes([4, -1, -0.5, 0], 1.9)  # lacks 0.65: all of x₁, then of x₂
    np.testing.assert_allclose(
        changes(SaliencyMap18(), model, image(0.5, 0.5, 0.5, 0.5)), [0, -0.5, -0.4, 0], atol=1e-6
    )
    seven = two_classes([0, -1, -0.5, 0], -0.63)  # from ones; without the limit it would be 0.9 of x₁ alone
    np.testing.assert_allclose(changes(SaliencyMap18(), seven, image(1, 1, 1, 1)), [0, -0.7, -0.4, 0], atol=1e-5)


def test_steps_are_lost_on_what_is_black_already():
    """x₁ and x₂ come up first and cannot get darker; x₃ takes two changes, and the fifth step would ask about it."""
    model, start = two_classes([0, -3, -2, -1], -0.35), image(0, 0, 0, 0.5)
    assert changes(SaliencyMap18(max_iter=4), model, start) is None
    np.testing.assert_allclose(changes(SaliencyMap18(max_iter=5), model, start), [0, 0, 0, -0.2], atol=1e-6)


def test_the_least_influence_brightens_where_nothing_can_be_darkened():
    model, start = two_classes([3, 2, 1, 4], 5.25), image(0.5, 0.5, 0.5, 0.5)
    np.testing.assert_allclose(changes(SaliencyMap18(), model, start), [0, 0, 0.3, 0], atol=1e-6)
    # At the upper bound it is out, and then nothing comes up any more.
    assert changes(SaliencyMap18(), two_classes([3, 2, 1, 4], 5.75), start) is None


def test_which_element_is_next():
    slopes = np.array([[3.0, 2, 2, -1], [3, 0, -2, -1], [-3, -2, -1, -1], [3, 3, 3, 3.0]])
    points = np.array([[0, 0.5, 0.5, 0.5], [0, 0.5, 0.5, 0.5], [0.5] * 4, [0, 0, 0.5, 0]])
    elements, lost = choose(slopes, points, 0.0, 1.0)
    np.testing.assert_array_equal(elements, [1, 0, 2, 2])
    np.testing.assert_array_equal(lost, [[1, 0, 0, 0], [1, 0, 0, 0], [0] * 4, [1, 1, 0, 0]])


def test_the_target_is_where_the_raw_gradient_leads():
    """One value is much to class 1, the other three together more to class 2: steps along signs go to 2."""
    weights = np.array([[0, 2.0, 0.0], [0, 0, 1], [0, 0, 1], [0, 0, 1]])
    model, start = checks.linear_model(weights, [0.0, -0.5, -0.5]), image(0, 0, 0, 0)
    labels = checks.tensor(ZERO)
    batch = Batch(model, ep.astensor(checks.tensor(start)), labels)
    assert SaliencyMap18()._find_targets(batch, ZERO) == [1]
    ours = _Search(ArrayModel(model, batch.x), start, ZERO, False, (0, 1))
    assert ours.reachable_classes(ZERO, 0) == [2]
    eight = ep.astensor(checks.tensor(np.zeros((8, 2, 2, 1), "float32")))
    nowhere = Batch(checks.linear_model(np.zeros((4, 3)), [1.0, 0, 0]), eight, checks.tensor(np.zeros(8, int)))
    assert set(SaliencyMap18()._find_targets(nowhere, np.arange(8))) == {1, 2}  # at random


def test_bad_arguments():
    wrong = [("max_iter", 0), ("theta", 0.0), ("max_perturbations_per_element", 0), ("seed", -1), ("max_images", 0)]
    for name, value in wrong:
        with pytest.raises(ValueError, match=f"^Argument `{name}` must be"):
            SaliencyMap18(**{name: value})
