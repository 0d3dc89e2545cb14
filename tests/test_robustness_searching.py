"""The smallest ε of Gradient Sign and Projected Gradient Descent, and the search for the smallest level itself."""

import foolbox
import gradient_attack_checks as checks
import numpy as np
import pytest
from foolbox.attacks import LinfFastGradientAttack, LinfProjectedGradientDescentAttack

from lea_keras.robustness.attacks import search
from lea_keras.robustness.attacks.searching import (
    GradientSignSearch,
    PerSampleProjectedGradientDescent,
    SmallestEpsilon,
)

RNG = np.random.default_rng(0)
SHAPE = (4, 5, 1)
WEIGHTS = RNG.normal(size=20)


def pgd(steps=4, rel_stepsize=0.3, per_sample=True, **options):
    attack = PerSampleProjectedGradientDescent(steps=steps, rel_stepsize=rel_stepsize)
    return SmallestEpsilon(attack, per_sample=per_sample, **options)


def linear_two_classes(wanted, bounds=(0.0, 1.0), shift=0.0):
    """A model with logits (m(x), −m(x)), m linear, and images of class 0 (m > 0) whose way to m = 0 is known.

    In the L∞ norm m falls fastest along the weights' signs, so each image lies ``wanted`` times the range that way from
    the middle, and a little beside; the boundary goes through the middle, or ``shift`` times the range further.
    """
    lower, upper = bounds
    signs, wanted = np.sign(WEIGHTS), np.array(wanted)
    origin = (lower + upper) / 2 + (0 if not shift else -shift * (upper - lower) * signs)
    weights = np.stack([WEIGHTS, -WEIGHTS], axis=1)
    model = checks.linear_model(weights, np.array([-1, 1]) * (WEIGHTS * origin).sum(), bounds)
    beside = np.random.default_rng(1).uniform(-0.002, 0.002, (len(wanted), 20))
    beside -= np.multiply.outer(beside @ WEIGHTS / np.abs(WEIGHTS).sum(), signs)
    relative = np.multiply.outer(wanted - shift, signs) + beside
    images = (lower + upper) / 2 + relative * (upper - lower)
    return model, np.clip(images, lower, upper).reshape(-1, *SHAPE).astype("float32")


def epsilons(results, images):
    return np.abs(results - images).reshape(len(images), -1).max(axis=1)


@checks.slow_on_jax
@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 3.0)])
def test_gradient_sign_finds_the_smallest_epsilon_of_its_grid(bounds, every):
    span = bounds[1] - bounds[0]
    wanted = np.array([0.0213, 0.05049, 0.1237, 0.33333, 0.4])  # relative to the range, between two ε of the grid
    model, images = linear_two_classes(wanted, bounds)
    results, success = checks.attacked(GradientSignSearch(every=every), model, images, np.zeros(5, int))
    assert success.all()
    expected = np.ceil(wanted * 1000 - 1e-9) / 1000
    expected[4] = epsilons(results, images)[4] / span  # on the grid itself rounding decides: 0.400 or the next
    assert expected[4] in (pytest.approx(0.4, abs=1e-6), pytest.approx(0.401, abs=1e-6))
    np.testing.assert_allclose(epsilons(results, images) / span, expected, atol=1e-6)
    moved = (results - images) / (epsilons(results, images)[:, None, None, None])
    np.testing.assert_allclose(moved, np.broadcast_to(-np.sign(WEIGHTS).reshape(SHAPE), moved.shape), atol=1e-5)


def test_gradient_sign_looks_closer_at_the_beginning_of_its_grid():
    wanted = np.array([0.00013, 0.00091, 0.00512, 0.01999])
    model, images = linear_two_classes(wanted)
    first = np.ceil(wanted * 1000) / 1000
    for every in (False, True):
        results, _ = checks.attacked(GradientSignSearch(every=every), model, images, np.zeros(4, int))
        np.testing.assert_allclose(epsilons(results, images), np.ceil(wanted / first * 20) * first / 20, atol=2e-7)
    coarse, _ = checks.attacked(GradientSignSearch(finer=0), model, images, np.zeros(4, int))
    np.testing.assert_allclose(epsilons(coarse, images), first, atol=2e-7)


@checks.slow_on_jax
def test_gradient_sign_is_foolbox_at_the_epsilon_found():
    model, images = checks.network(), checks.smooth_images(8)
    labels = checks.predictions(model, images)
    results, success = checks.attacked(GradientSignSearch(), model, images, labels)
    assert success.sum() > 4
    for i in np.flatnonzero(success):
        epsilon = round(float(epsilons(results, images)[i]) * 1000) / 1000
        one = checks.tensor(images[i : i + 1]), checks.tensor(labels[i : i + 1])
        for shift, found in ((0.0, True), (-0.001, False)):
            _, clipped, fooled = LinfFastGradientAttack()(model, *one, epsilons=epsilon + shift)
            assert bool(fooled) == found
            if found:
                np.testing.assert_allclose(clipped[0], results[i], atol=1e-6)


@checks.slow_on_jax
def test_gradient_sign_takes_one_gradient_and_few_images():
    model, images = linear_two_classes(np.full(6, 0.2996))
    seen = []
    counting = checks.model_around(lambda x: seen.append(len(x)) or model._model(x))
    checks.attacked(GradientSignSearch(), counting, images, np.zeros(6, int))
    assert sum(seen) <= 6 * 42  # instead of 300
    seen.clear()
    checks.attacked(GradientSignSearch(every=True, max_images=30), counting, images, np.zeros(6, int))
    assert 6 * 300 <= sum(seen) <= 6 * 312 and max(seen) == 30


def test_gradient_sign_is_untargeted():
    model, images = linear_two_classes(np.full(2, 0.2))
    with pytest.raises(ValueError, match="^Argument `criterion` must be labels or a Misclassification"):
        targeted = foolbox.TargetedMisclassification(checks.tensor(np.ones(2, int)))
        GradientSignSearch()(model, checks.tensor(images), targeted, epsilons=None)


@checks.slow_on_jax
def test_projected_gradient_descent_on_a_linear_model():
    wanted = np.array([0.002, 0.07, 0.25, 0.31, 0.49])
    model, images = linear_two_classes(wanted)
    results, success = checks.attacked(pgd(), model, images, np.zeros(5, int))
    assert success.all()
    ratio = epsilons(results, images) / wanted
    assert np.all(ratio >= 1 - 1e-4) and np.all(ratio <= 1 + 5e-3 + 1e-4)
    finer, _ = checks.attacked(pgd(precision=0.0, halvings=13), model, images, np.zeros(5, int))
    np.testing.assert_allclose(epsilons(finer, images), wanted, atol=6e-5)
    assert np.all(epsilons(finer, images) <= epsilons(results, images) + 6e-5)


@checks.slow_on_jax
def test_an_epsilon_for_each_sample_or_one_run_for_each_epsilon():
    model, images = checks.network(), checks.smooth_images(3)
    labels = checks.predictions(model, images)
    both = [
        checks.attacked(SmallestEpsilon(attack, per_sample=per_sample, precision=0.05), model, images, labels)[0]
        for attack, per_sample in [
            (PerSampleProjectedGradientDescent(steps=3, rel_stepsize=0.4), True),
            (LinfProjectedGradientDescentAttack(steps=3, rel_stepsize=0.4, random_start=False), False),
        ]
    ]
    np.testing.assert_allclose(both[0], both[1], atol=1e-6)


@checks.slow_on_jax
def test_other_attacks_of_foolbox_search_their_epsilon_too():
    model, images = linear_two_classes(np.array([0.02, 0.1]))
    wanted = np.array([0.02, 0.1]) * np.abs(WEIGHTS).sum() / np.linalg.norm(WEIGHTS)
    attack = SmallestEpsilon(foolbox.attacks.L2FastGradientAttack(), precision=1e-3)
    results, _ = checks.attacked(attack, model, images, np.zeros(2, int))
    np.testing.assert_allclose(checks.distances(results, images), wanted, rtol=2e-3)
    assert attack.distance is foolbox.distances.l2


def test_epsilon_ends_at_the_range_of_the_bounds():
    model, images = linear_two_classes(np.array([0.89]), shift=0.4)
    tried = []

    class Watched(PerSampleProjectedGradientDescent):
        def run(self, *args, epsilon, **kwargs):
            tried.append(float(np.max(epsilon.numpy())))
            return super().run(*args, epsilon=epsilon, **kwargs)

    results, success = checks.attacked(
        SmallestEpsilon(Watched(rel_stepsize=0.2, steps=6), per_sample=True), model, images, np.zeros(1, int)
    )
    np.testing.assert_allclose(tried[:4], [0.3, 0.45, 0.675, 1.0], rtol=1e-6)
    assert success.all() and max(tried) <= 1.0
    assert epsilons(results, images)[0] == pytest.approx(0.89, rel=6e-3)


def brute_force(table, rows):
    return np.array([next((level for level in range(1, table.shape[1]) if table[row, level]), 0) for row in rows])


@pytest.mark.parametrize("count", [1, 2, 7, 100, 1000])
def test_smallest_level_against_brute_force(count):
    thresholds = np.random.default_rng(count).integers(1, count + 2, 50)  # some give in nowhere
    table = np.arange(count + 1) >= thresholds[:, None]  # [50, levels from 0]
    rows, tried = np.arange(0, 50, 2), []

    def attempt(samples, level):
        assert np.all((level >= 1) & (level <= count))
        tried.append(len(samples))
        return table[samples, level]

    np.testing.assert_array_equal(search.find_smallest(attempt, rows, count), brute_force(table, rows))
    few = sum(tried)
    np.testing.assert_array_equal(search.find_smallest(attempt, rows, count, every=True), brute_force(table, rows))
    assert count < 1000 or few <= 25 * 45 < sum(tried) - few


def test_an_island_is_found_by_trying_every_level():
    table = np.zeros((1, 1001), bool)
    table[0, 500:] = table[0, 301] = True
    attempt = lambda samples, level: table[samples, level]  # noqa: E731
    assert search.find_smallest(attempt, np.array([0]), 1000, every=True)[0] == 301
    found = search.find_smallest(attempt, np.array([0]), 1000)[0]
    assert found == 500 and table[0, found] and not table[0, found - 1]


def test_ladder():
    assert search.list_levels(10, 2.0) == [1, 2, 4, 8, 10]
    assert search.list_levels(1, 1.2) == [1]
    steps = search.list_levels(1000, 1.2)
    assert steps[0] == 1 and steps[-1] == 1000 and np.all(np.diff(steps) >= 1) and len(steps) < 40


@pytest.mark.parametrize(
    "attack", [GradientSignSearch(), pgd(steps=3, rel_stepsize=0.4, precision=0.1)], ids=["sign", "pgd"]
)
def test_what_every_attack_does(attack):
    checks.check_attack(attack)


def test_bad_arguments():
    wrong = [("steps", 0), ("finer", -1), ("every", 1), ("max_images", 0), ("max_images", 2.5)]
    checks.check_arguments(GradientSignSearch, wrong)
    wrong = [("start", 0.0), ("start", 1.5), ("growth", 1.0), ("growth", 0.5), ("rounds", -1), ("halvings", -1)]
    wrong += [("precision", -0.1), ("per_sample", None), ("max_images", 0)]
    checks.check_arguments(pgd, wrong)
    checks.check_arguments(PerSampleProjectedGradientDescent, [("steps", 0), ("rel_stepsize", -1.0)])
    checks.check_arguments(SmallestEpsilon, [("attack", "fgsm")])
