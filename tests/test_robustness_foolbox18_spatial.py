"""Spatial of foolbox 1.8: its transformation, and the corner where it begins."""

import gradient_attack_checks as checks
import numpy as np
import pytest
from keras import ops

from lea_keras.robustness.attacks.foolbox18.spatial import Spatial18, transform
from lea_keras.robustness.attacks.registry import get

RNG = np.random.default_rng(0)


def test_whole_pixels_and_right_angles_are_exact():
    images = RNG.random((2, 3, 5, 5)).astype("float32")
    np.testing.assert_allclose(transform(images, 0, 0, 0), images, atol=1e-6)
    moved = np.zeros_like(images)
    moved[:, :, 2:, :-1] = images[:, :, :-2, 1:]
    np.testing.assert_allclose(transform(images, 2, -1, 0), moved, atol=1e-6)
    np.testing.assert_allclose(transform(images, 0, 0, 90), np.rot90(images, axes=(2, 3)), atol=1e-5)
    assert transform(images, 0.5, 0.3, 3).shape == images.shape


def test_a_shift_by_half_a_pixel_is_cubic():
    ramp = np.broadcast_to(np.arange(12.0, dtype="float32") ** 3 / 1728, (1, 1, 12, 12))
    middle = (np.arange(4, 8) - 0.5) ** 3 / 1728  # linear interpolation would be 0.003 higher at the last
    np.testing.assert_allclose(transform(ramp, 0, 0.5, 0)[0, 0, 5, 4:8], middle, atol=3e-4)


def any_change(images):
    """Class 1 for everything but black images with one white pixel in the middle."""

    def logits(x):
        differences = ops.sum(ops.abs(x - checks.tensor(images[:1])), axis=(1, 2, 3)) - 1e-3
        return ops.stack([-differences, differences], axis=1)

    return checks.foolbox_model(logits)


def test_the_strongest_corner_comes_first():
    images = np.zeros((2, 9, 9, 1), "float32")
    images[:, 4, 4] = 1
    results, success = checks.attacked(Spatial18(), any_change(images), images, np.zeros(2, int))
    assert success.all()
    corner = np.clip(transform(images[..., 0][:, None], -5, -5, -5), 0, 1)[:, 0, :, :, None]
    np.testing.assert_array_equal(results, corner)
    assert np.all(results[:, 4, 4] < 1e-6)  # the white pixel is gone, at a distance of 1/81
    weakest, _ = checks.attacked(get("spatial"), any_change(images), images, np.zeros(2, int))
    assert np.all(weakest[:, 4, 4] > 0.1)  # there it has hardly moved


@checks.slow_on_jax
def test_what_every_attack_does():
    checks.check_attack(Spatial18(granularity=3))


def test_bad_arguments():
    wrong = [("max_translation", -1), ("max_rotation", "5"), ("granularity", 0), ("max_images", 0)]
    checks.check_arguments(Spatial18, wrong)
    with pytest.raises(ValueError, match="^Argument `inputs` must be images with rows, columns and channels"):
        model = checks.foolbox_model(lambda x: ops.stack([ops.sum(x, -1), -ops.sum(x, -1)], 1))
        Spatial18()(model, ops.zeros((2, 5)), checks.tensor(np.zeros(2, int)), epsilons=None)
