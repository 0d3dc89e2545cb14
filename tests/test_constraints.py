"""The ℓ1 ball: projection against brute force, and a layer that is trained under it."""

import keras
import numpy as np
import pytest
from backends import once
from keras import ops

from lea_keras.constraints import L1Ball


def project(weights, radius):
    return ops.convert_to_numpy(L1Ball(radius)(ops.convert_to_tensor(weights.astype("float32"))))


def scale(weights, radius):
    """The tempting wrong rule: scaling into the ball makes no zeros and is not the nearest point."""
    return weights * np.minimum(radius / np.abs(weights).sum(axis=0), 1.0)


def kernels(seed=0):
    return np.random.default_rng(seed).normal(size=(6, 9)) * np.linspace(0.05, 3.0, 9)


@once
@pytest.mark.parametrize("radius", [0.3, 1.0, 2.5])
def test_projection_is_inside_the_ball_idempotent_and_leaves_what_is_inside(radius):
    weights = kernels()
    projected = project(weights, radius)
    norms = np.abs(weights).sum(axis=0)
    np.testing.assert_allclose(np.abs(projected).sum(axis=0), np.minimum(norms, radius), rtol=1e-5)
    np.testing.assert_array_equal(projected[:, norms < radius], weights.astype("float32")[:, norms < radius])
    np.testing.assert_allclose(project(projected, radius), projected, atol=1e-6)
    assert np.all(projected * weights >= 0)  # no weight changes its sign


def nearest(vector, radius, steps=400):
    """Of all points of a fine grid on the sphere of the ℓ1 norm in two dimensions, the nearest one."""
    first = np.linspace(-radius, radius, steps * 2 + 1)
    rest = radius - np.abs(first)
    points = np.concatenate([np.stack([first, rest], -1), np.stack([first, -rest], -1)])
    return points[np.argmin(np.sum((points - vector) ** 2, axis=1))]


@once
def test_projection_is_the_nearest_point_against_brute_force():
    vectors = np.random.default_rng(1).normal(size=(20, 2)) * 2
    outside = vectors[np.abs(vectors).sum(axis=1) > 1.0]
    found = project(outside.T, 1.0).T
    np.testing.assert_allclose(found, [nearest(vector, 1.0) for vector in outside], atol=1e-2)
    assert not np.allclose(found, scale(outside.T, 1.0).T, atol=5e-2)


@once
def test_no_sampled_point_of_the_ball_is_nearer():
    weights, generator = kernels(2)[:, -1:], np.random.default_rng(3)
    points = generator.dirichlet(np.ones(6), 20_000) * generator.choice([-1, 1], (20_000, 6))  # on the sphere
    points *= generator.uniform(size=(20_000, 1)) ** (1 / 6)
    distance = np.linalg.norm(project(weights, 1.0)[:, 0] - weights[:, 0])
    assert np.linalg.norm(points - weights[:, 0], axis=1).min() >= distance - 1e-6


def test_zeros_are_exact():
    projected = project(np.array([[3.0], [0.5], [-2.5]]), 1.0)
    np.testing.assert_allclose(projected, [[0.75], [0.0], [-0.25]], atol=1e-6)
    assert projected[1, 0] == 0 and np.all(scale(np.array([[3.0], [0.5], [-2.5]]), 1.0) != 0)


def test_a_neuron_of_a_convolution_is_the_last_axis():
    kernel = np.random.default_rng(4).normal(size=(3, 3, 2, 5)) * 3
    projected = project(kernel, 2.0)
    np.testing.assert_allclose(np.abs(projected).sum(axis=(0, 1, 2)), 2.0, rtol=1e-5)
    np.testing.assert_array_equal(projected.reshape(18, 5), project(kernel.reshape(18, 5), 2.0))


def test_a_trained_layer_stays_in_the_ball_and_is_restored(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, kernel_constraint=L1Ball(0.5))])
    model.compile(keras.optimizers.SGD(0.5), loss="mse")
    inputs = np.random.default_rng(5).normal(size=(16, 4)).astype("float32")
    model.fit(inputs, 5 * inputs[:, :3], epochs=2, verbose=0)
    norms = np.abs(ops.convert_to_numpy(model.layers[0].kernel)).sum(axis=0)
    assert norms.max() <= 0.5 + 1e-6 and norms.max() > 0.49
    model.save(tmp_path / "model.keras")
    constraint = keras.models.load_model(tmp_path / "model.keras").layers[0].kernel_constraint
    assert type(constraint) is L1Ball and constraint.radius == 0.5


@pytest.mark.parametrize("radius", [0, -1.0, "1", float("inf"), None])
def test_a_radius_that_is_none(radius):
    with pytest.raises(ValueError, match="Argument `radius` must be a finite number .* Received: radius="):
        L1Ball(radius)
