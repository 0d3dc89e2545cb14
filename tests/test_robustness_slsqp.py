"""SLSQP: against the exact optimum of linear classifiers in a box, and against scipy's solver."""

import eagerpy as ep
import gradient_attack_checks as checks
import numpy as np
import pytest
from keras import ops
from scipy.optimize import minimize

from lea_keras.robustness.attacks.gradients import ArrayModel
from lea_keras.robustness.attacks.slsqp import SLSQPAttack, nearest_in_half_space


def scipy_nearest(origin, start, margin, gradient, lower=0.0, upper=1.0):
    """scipy's own SLSQP, with gradients: the distance that it finds, infinite if it does not."""
    found = minimize(
        lambda x: np.sum((x - origin) ** 2) / 2,
        start,
        jac=lambda x: x - origin,
        bounds=[(lower, upper)] * len(origin),
        constraints={"type": "ineq", "fun": margin, "jac": gradient},
        method="SLSQP",
        options={"maxiter": 200, "ftol": 1e-12},
    )
    return np.linalg.norm(found.x - origin) if found.success and margin(found.x) > -1e-6 else np.inf


def test_the_subproblem_is_solved_exactly():
    rng = np.random.default_rng(0)
    origins, normals = rng.uniform(size=(40, 6)), rng.normal(size=(40, 6))
    normals[0, 2] = 0
    reach = np.sum(np.where(normals > 0, 1 - origins, -origins) * normals, axis=1)
    needs = reach * rng.uniform(-0.2, 0.95, 40)
    points, multipliers = nearest_in_half_space(origins, normals, needs, 0.0, 1.0)
    for origin, normal, need, point, multiplier in zip(origins, normals, needs, points, multipliers, strict=True):
        expected = scipy_nearest(origin, origin, lambda x: normal @ (x - origin) - need, lambda x: normal)  # noqa: B023
        assert np.linalg.norm(point - origin) == pytest.approx(expected, rel=1e-5, abs=1e-7)
        assert normal @ (point - origin) == pytest.approx(max(need, normal @ (point - origin)), abs=1e-9)
        np.testing.assert_allclose(point, np.clip(origin + multiplier * normal, 0, 1))
    unbounded = np.maximum(needs, 0) / np.linalg.norm(normals, axis=1)
    assert np.any(np.linalg.norm(points - origins, axis=1) > 1.1 * unbounded)  # ignoring the box is another answer


def test_a_subproblem_without_solution_goes_most_of_the_way():
    point, multiplier = nearest_in_half_space(np.array([[0.5, 0.5]]), np.array([[1.0, -1.0]]), np.array([5.0]), 0, 1)
    np.testing.assert_allclose(point, [[0.975, 0.025]])
    assert np.isfinite(multiplier)


@checks.slow_on_jax
@pytest.mark.parametrize("options", [{}, {"classes": 1, "random_starts": 0}, {"classes": 0, "random_starts": 4}])
def test_linear_classifiers_are_attacked_at_the_constrained_optimum(options):
    rng = np.random.default_rng(1)
    weights, biases = rng.normal(size=(12, 5)), rng.normal(size=5) * 0.3
    images = np.clip(rng.normal(0.5, 0.6, size=(16, 12)), 0, 1).astype("float32")  # many values at their bounds
    labels = np.argmax(images @ weights + biases, axis=1)
    model = checks.linear_model(weights, biases)
    results, success = checks.attacked(SLSQPAttack(**options), model, images.reshape(16, 2, 3, 2), labels)
    found = checks.distances(results.reshape(16, 12), images)

    expected, unbounded = np.full((2, 16), np.inf)
    for i, (image, label) in enumerate(zip(images.astype(float), labels, strict=True)):
        for other in set(range(5)) - {label}:
            slope, offset = weights[:, other] - weights[:, label], biases[other] - biases[label]
            margin = lambda x, slope=slope, offset=offset: slope @ x + offset  # noqa: E731
            expected[i] = min(expected[i], scipy_nearest(image, image, margin, lambda x, slope=slope: slope))
            unbounded[i] = min(unbounded[i], -margin(image) / np.linalg.norm(slope))
    np.testing.assert_array_equal(success, np.isfinite(expected))
    if options.get("classes", 2):
        np.testing.assert_allclose(found[success], expected[success], rtol=1e-3)
    else:  # a random start ends at the boundary of some class, not always the nearest
        assert np.all(found[success] > expected[success] * (1 - 1e-4))
        assert np.median(found[success] / expected[success]) < 1.05
    assert np.any(expected[success] > 1.05 * unbounded[success])  # what ignoring the box would give


@checks.slow_on_jax
def test_never_worse_than_scipys_solver_on_a_curved_margin():
    shape, classes = (2, 5, 1), 3
    model = checks.network(shape, classes, units=8, seed=3, activation=ops.tanh)
    images = np.random.default_rng(4).uniform(size=(8, *shape)).astype("float32")
    labels = checks.predictions(model, images)
    results, success = checks.attacked(SLSQPAttack(), model, images, labels)
    assert np.all(success)

    first, second = checks.kernels(np.prod(shape), classes, 8, seed=3)

    def gradient_and_margin(x, other, label):
        """The network once more, in NumPy: its own steps one by one would take most of the test."""
        hidden, direction = np.tanh((x - 0.5) @ first), second[:, other] - second[:, label]
        return first @ ((1 - hidden**2) * direction), hidden @ direction

    arrays = ArrayModel(model, ep.astensor(checks.tensor(images[:1])))
    margins, slopes = arrays.differences(images[:1], np.array([1]), np.array([0]))
    slope, margin = gradient_and_margin(images[0].ravel(), 1, 0)
    np.testing.assert_allclose(slopes.ravel(), slope, rtol=1e-4)
    assert margins[0] == pytest.approx(margin, rel=1e-4)

    compared = 0
    for image, label, result in zip(images, labels, results, strict=True):
        origin = image.ravel().astype(float)
        best = np.inf
        for other in set(range(classes)) - {label}:
            margin = lambda x, other=other, label=label: gradient_and_margin(x, other, label)[1]  # noqa: E731
            slope = lambda x, other=other, label=label: gradient_and_margin(x, other, label)[0]  # noqa: E731
            best = min(best, scipy_nearest(origin, origin, margin, slope))
        if np.isfinite(best):
            compared += 1
            assert np.linalg.norm(result.ravel() - origin) <= 1.05 * best
    assert compared >= 6


def test_a_step_function_as_constraint_leads_nowhere():
    """What 1.8 asked of scipy: its differences are zero, so that the solver gives up where it starts."""
    origin, optimum = np.array([0.2, 0.2]), 0.6 / np.sqrt(2)
    indicator = {"type": "eq", "fun": lambda x: 0.0 if x.sum() > 1 else 1.0}
    for start in ([0.9, 0.8], [0.1, 0.3]):
        found = minimize(lambda x: np.mean((x - origin) ** 2), start, bounds=[(0, 1)] * 2, constraints=indicator)
        assert not found.success
        np.testing.assert_allclose(found.x, start, atol=1e-6)
    images = np.float32(origin).reshape(1, 1, 2, 1)
    model = checks.linear_model([[0, 1], [0, 1]], [0, -1])
    results, _ = checks.attacked(SLSQPAttack(), model, images, np.array([0]))
    assert checks.distances(results, images) == pytest.approx(optimum, rel=1e-3)


@checks.slow_on_jax
def test_kinks_do_not_stop_it_before_the_boundary():
    model = checks.network((8, 8, 1), 6, units=30, seed=5)
    images = checks.smooth_images(10, 8, seed=6)
    labels = checks.predictions(model, images)
    results, success = checks.attacked(SLSQPAttack(random_starts=0), model, images, labels)
    assert np.all(success)
    nearest = checks.distances(results, images)
    more, _ = checks.attacked(SLSQPAttack(classes=5, random_starts=5, tolerance=1e-5), model, images, labels)
    assert np.mean(nearest) <= 1.02 * np.mean(checks.distances(more, images))
    _, soon = checks.attacked(SLSQPAttack(random_starts=0, max_iter=1), model, images, labels)
    assert not np.all(soon)  # one linearisation is not enough


def test_seeds_decide_random_starts():
    model = checks.network(units=40, seed=7)
    images = checks.smooth_images(6)
    labels = checks.predictions(model, images)
    one, two = (
        checks.attacked(SLSQPAttack(classes=0, max_iter=3, seed=seed), model, images, labels)[0] for seed in (0, 1)
    )
    assert not np.array_equal(one, two)


def test_what_every_attack_must_do():
    checks.check_attack(SLSQPAttack(max_iter=12))


def test_wrong_arguments():
    wrong = [("max_iter", 0), ("classes", -1), ("random_starts", 1.5), ("subsample", 1), ("tolerance", -1.0)]
    checks.check_arguments(SLSQPAttack, [*wrong, ("overshoot", float("nan")), ("seed", -1)])
    with pytest.raises(ValueError, match="Argument `random_starts` must be an integer of at least 1"):
        SLSQPAttack(classes=0, random_starts=0)
