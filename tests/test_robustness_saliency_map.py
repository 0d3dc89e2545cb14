"""Saliency map attack: which elements of a linear classifier's input change, in which order, how often."""

import eagerpy as ep
import foolbox
import gradient_attack_checks as checks
import numpy as np
import pytest
from keras import ops

from lea_keras.robustness.attacks.gradients import ArrayModel
from lea_keras.robustness.attacks.saliency_map import SaliencyMapAttack, _Search

WEIGHTS = np.array([1.0, -3.0, 2.0, 0.0, -0.5, 2.5])  # by influence: elements 1, 5, 2, 0, 4; 3 has none
FIXED = {"undo_steps": 0}


def two_classes(weights, threshold):
    """Class 1 where weights · image > threshold, else class 0."""
    weights = np.asarray(weights, float)
    return checks.linear_model(np.stack([np.zeros_like(weights), weights], axis=1), [0, -threshold])


def attack_one(attack, model, image, label=0):
    images = np.float32(image).reshape(1, 1, -1, 1)
    results, success = checks.attacked(attack, model, images, np.array([label]))
    return results.ravel(), bool(success[0])


def test_only_what_the_weights_favour_changes_most_influential_first():
    image = np.array([0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
    # Elements 1 and 5 reach a bound after 5 changes each: 5·0.1·(3 + 2.5) = 2.75, then element 2 adds 0.2 each.
    model = two_classes(WEIGHTS, WEIGHTS @ image + 2.75 + 0.5)
    result, success = attack_one(SaliencyMapAttack(**FIXED), model, image)
    assert success
    np.testing.assert_allclose(result, [0.5, 0.0, 0.8, 0.5, 0.5, 1.0], atol=1e-6)
    # 13 changes: one step less is not enough.
    assert attack_one(SaliencyMapAttack(max_iter=13, **FIXED), model, image)[1]
    assert not attack_one(SaliencyMapAttack(max_iter=12, **FIXED), model, image)[1]
    # What the largest signed gradient alone would change is not element 1, whose weight is negative.
    assert np.argmax(WEIGHTS) != np.argmax(np.abs(WEIGHTS)) and result[1] < image[1]


def test_an_element_changes_at_most_seven_times():
    image = np.array([0.1, 0.9, 0.1, 0.5, 0.5, 0.1])
    # Elements 1, 5 and 2 have room for more than 7 changes each; the third has to give 0.54 and moves by 0.6.
    model = two_classes(WEIGHTS, WEIGHTS @ image + 0.7 * (3 + 2.5) + 0.2 * 5.4)
    result, success = attack_one(SaliencyMapAttack(**FIXED), model, image)
    assert success
    np.testing.assert_allclose(result, [0.1, 0.2, 0.7, 0.5, 0.5, 0.8], atol=1e-6)
    result, success = attack_one(SaliencyMapAttack(max_perturbations_per_element=9, **FIXED), model, image)
    np.testing.assert_allclose(result, [0.1, 0.0, 0.1, 0.5, 0.5, 1.0], atol=1e-6)  # without the cap: another answer
    result, success = attack_one(SaliencyMapAttack(max_perturbations_per_element=1, **FIXED), model, image)
    assert not success
    np.testing.assert_array_equal(result, np.float32(image))


def test_saturated_elements_stay_out():
    image = np.array([0.5, 0.0, 0.5, 0.5, 0.5, 1.0])  # the two most influential ones are where they would go
    model = two_classes(WEIGHTS, WEIGHTS @ image + 0.5)
    result, success = attack_one(SaliencyMapAttack(**FIXED), model, image)
    assert success
    np.testing.assert_allclose(result, [0.5, 0.0, 0.8, 0.5, 0.5, 1.0], atol=1e-6)
    assert attack_one(SaliencyMapAttack(max_iter=3, **FIXED), model, image)[1]  # and cost no steps


def test_a_change_is_a_share_of_the_bounds_range_and_cut_off_at_them():
    weights = np.array([1.0, 2.0])
    model = checks.linear_model([[0, 1], [0, 2]], [0, -5.5], bounds=(-1, 3))
    images = np.float32([[-1.0, 2.0]]).reshape(1, 1, 2, 1)
    results, success = checks.attacked(SaliencyMapAttack(theta=0.3, **FIXED), model, images, np.array([0]))
    np.testing.assert_allclose(results.ravel(), [0.2, 3.0], atol=1e-6)  # −1 + 0.3·4, 2 + 1.2 cut off
    assert success[0] and weights @ results.ravel() > 5.5


def test_what_is_not_needed_is_taken_back():
    image = np.full(6, 0.5)
    excess = 0.07  # the last change adds 0.2 to the margin, of which this is enough
    model = two_classes(WEIGHTS, WEIGHTS @ image + 2.75 + 0.2 + excess)
    plain, _ = attack_one(SaliencyMapAttack(**FIXED), model, image)
    result, success = attack_one(SaliencyMapAttack(), model, image)
    assert success and np.linalg.norm(result - image) < np.linalg.norm(plain - image)
    assert set(np.flatnonzero(result != np.float32(image))) <= set(np.flatnonzero(plain != np.float32(image)))
    margin = WEIGHTS @ (result - image) - 2.75 - 0.2 - excess
    assert 0 < margin < 0.01

    # Per squared distance element 1 is worth 3 / 0.5, element 5 2.5 / 0.5, element 2 2 / 0.2: 5 gives way first.
    assert result[5] < plain[5]
    np.testing.assert_allclose(np.delete(result, 5), np.delete(plain, 5), atol=1e-6)


def test_the_target_is_the_class_that_gradient_signs_reach():
    # Both other classes are 0.5 behind, but many small weights lead to class 2.
    many = np.full(20, 0.5)
    single = np.zeros(20)
    single[3] = 1.0
    model = checks.linear_model(np.stack([np.zeros(20), single, many], axis=1), [0.0, -1.0, -5.5])
    image = np.full(20, 0.5)
    images, labels = np.tile(np.float32(image).reshape(1, 4, 5, 1), (10, 1, 1, 1)), np.zeros(10, int)
    search = _Search(ArrayModel(model, _tensor(images)), images, labels, False, (0, 1))
    assert search.reachable_classes(np.arange(10), seed=0).tolist() == [2] * 10  # none of them at random
    results, success = checks.attacked(SaliencyMapAttack(), model, images, labels)
    assert np.all(success) and np.all(checks.predictions(model, results) == 2)


def _tensor(images):
    return ep.astensor(checks.tensor(images))


def test_where_no_class_is_reached_the_target_is_random_but_never_the_label():
    constant = checks.foolbox_model(lambda x: checks.tensor([[1.0, 0.0, 0.0]]) + 0 * ops.sum(x, (1, 2, 3))[:, None])
    images, labels = np.full((60, 1, 2, 1), 0.5, "float32"), np.zeros(60, int)
    search = _Search(ArrayModel(constant, _tensor(images)), images, labels, False, (0, 1))
    one, again, other = (search.reachable_classes(np.arange(60), seed) for seed in (0, 0, 1))
    assert set(one) == {1, 2}
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(search.reachable_classes(np.arange(5, 9), 0), one[5:9])  # by position in the batch


@checks.slow_on_jax
@pytest.mark.parametrize("fast", [True, False])
def test_targeted(fast):
    model = checks.network(units=30, seed=2)
    images = checks.smooth_images(8)
    labels = checks.predictions(model, images)
    targets = (labels + 2) % 4
    targets[0] = labels[0]  # is what it should be already
    criterion = foolbox.TargetedMisclassification(checks.tensor(targets))
    results, success = checks.attacked(SaliencyMapAttack(fast=fast), model, images, criterion)
    np.testing.assert_array_equal(results[0], images[0])
    assert np.mean(success) > 0.8
    np.testing.assert_array_equal(checks.predictions(model, results)[success], targets[success])


def test_the_full_map_asks_what_other_classes_lose():
    # Element 0 lifts the target most, and the others as well; 1 lifts it and lowers them; 2 lowers it and lifts them.
    target = np.array([3.0, 1.0, -1.2])
    other = np.array([1.0, -1.0, 0.5])
    weights = np.stack([other, target, np.zeros(3)], axis=1)
    image = np.full(3, 0.5)
    gap = image @ other - image @ target
    model = checks.linear_model(weights, [0.0, gap - 0.39, -9.0])
    criterion = foolbox.TargetedMisclassification(checks.tensor(np.array([1])))
    images = np.float32(image).reshape(1, 1, 3, 1)

    full, success = checks.attacked(SaliencyMapAttack(fast=False, **FIXED), model, images, criterion)
    assert success[0]
    np.testing.assert_allclose(full.ravel(), [0.5, 0.7, 0.5], atol=1e-6)  # 2 of 0.2 each; |α·β| is 1 against 0.6
    fast, success = checks.attacked(SaliencyMapAttack(**FIXED), model, images, criterion)
    assert success[0]
    np.testing.assert_allclose(fast.ravel(), [0.7, 0.5, 0.5], atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"fast": False}])
def test_what_every_attack_must_do(options):
    checks.check_attack(SaliencyMapAttack(max_iter=40, **options))


def test_wrong_arguments():
    wrong = [("max_iter", 0), ("theta", 0), ("max_perturbations_per_element", 0), ("fast", 1), ("undo_steps", -1)]
    checks.check_arguments(SaliencyMapAttack, [*wrong, ("seed", 0.5)])
