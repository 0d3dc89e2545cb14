"""Shifts and rotations: the weakest that succeeds, on models that measure where a blob is."""

import gradient_attack_checks as checks
import numpy as np
import pytest
from backends import BACKEND, needs_tensorflow, once
from eagerpy import astensor
from foolbox.attacks.spatial_attack_transformations import rotate_and_shift

from lea_keras.robustness.attacks.spatial import SpatialSearch, rotated_and_shifted

SIZE = 15


def blobs(places):
    rows, columns = np.arange(SIZE)[:, None], np.arange(SIZE)
    squares = [(rows - row) ** 2 + (columns - column) ** 2 for row, column in places]
    return np.exp(-np.array(squares) / 4)[..., None].astype("float32")


def column_of(images):
    weights = np.arange(SIZE)
    return np.sum(images[..., 0] * weights, axis=(1, 2)) / (np.sum(images[..., 0], axis=(1, 2)) + 1e-6)


def beyond(column):
    """Class 1 for blobs whose centre lies right of a column."""

    def logits(images):
        score = column_of(images) - column
        return np.stack([-score, score], axis=1)

    return checks.array_model(logits)


@once
def test_the_smallest_shift_that_is_enough():
    attack = SpatialSearch(max_rotation=0, num_rotations=1)
    images = blobs([(7, 7), (7, 6)])
    results, success = checks.attacked(attack, beyond(7.9), images, np.zeros(2, int))
    assert success.all()
    # Values of a shift are ±5/9, ±15/9, ±25/9 …, times 14/15. Columns 7 and 6 lack 0.9 and 1.9.
    moved = np.array(column_of(results)) - np.array(column_of(images))
    np.testing.assert_allclose(moved, np.array([15, 25]) / 9 * 14 / 15, atol=0.1)
    # Across rows it moves as little as the grid has: by ±5/9.
    moved = np.array(column_of(np.swapaxes(results, 1, 2))) - 7
    np.testing.assert_allclose(np.abs(moved), 5 / 9 * 14 / 15, atol=0.1)


@once
def test_no_success_where_the_grid_does_not_reach():
    images = blobs([(7, 7), (7, 3)])
    attack = SpatialSearch(max_translation=2, max_rotation=0, num_translations=3, num_rotations=1)
    results, success = checks.attacked(attack, beyond(9.5), images, np.zeros(2, int))
    assert not success.any()
    np.testing.assert_array_equal(results, images)


@once
def test_a_rotation_where_a_shift_does_not_help():
    images = blobs([(7, 7), (7, 12)])
    images = np.clip(images[:1] + images[1:], 0, 1)  # a dumb-bell, whose right end must sink below its left one

    def logits(x):
        below = np.sum(x[:, 8:, 8:], axis=(1, 2, 3)) - np.sum(x[:, :7, 8:], axis=(1, 2, 3))
        score = np.abs(below) - 1.0
        return np.stack([-score, score], axis=1)

    attack = SpatialSearch(max_translation=0, max_rotation=30, num_translations=1, num_rotations=12)
    model = checks.array_model(logits)
    results, success = checks.attacked(attack, model, images, np.zeros(1, int))
    assert success.all()
    angles = sorted(np.linspace(-30, 30, 12), key=abs)
    found = [checks.predictions(model, turned(images, 0, 0, angle))[0] == 1 for angle in angles]
    weakest = angles[int(np.argmax(found)) // 2 * 2 : int(np.argmax(found)) // 2 * 2 + 2]
    assert any(np.allclose(results, turned(images, 0, 0, angle), atol=1e-6) for angle in weakest)


def turned(images, across, down, angle):
    if BACKEND == "tensorflow":
        return np.clip(rotate_and_shift(astensor(checks.tensor(images)), (across, down), angle).numpy(), 0, 1)
    return np.clip(rotated_and_shifted(images, across, down, angle), 0, 1)  # which is tested against foolbox's


@needs_tensorflow
@pytest.mark.parametrize("shape", [(4, 7, 3), (28, 28, 1), (1, 5, 2)])
def test_what_jax_gets_is_what_foolbox_makes_of_tensors(shape):
    rng = np.random.default_rng(0)
    images = rng.uniform(0.2, 1, (3, *shape)).astype("float32")  # nowhere 0, as what comes in from outside is
    some = [(across, down, angle) for across in (-5, 0, 5 / 9, 3) for down in (-2.5, 0, 1) for angle in (-30, 0, 5, 90)]
    some = [*some[::5], (0, 0, 0)]  # every value with others beside it
    for one in some + [tuple(drawn) for drawn in rng.uniform(-6, 6, (4, 3))]:
        expected = rotate_and_shift(astensor(checks.tensor(images)), one[:2], one[2]).numpy()
        np.testing.assert_allclose(rotated_and_shifted(images, *one), expected, atol=2e-5, err_msg=str(one))
    assert rotated_and_shifted(images, 1, 1, 1).dtype == np.float32


@once
def test_the_closest_of_the_weakest_against_brute_force():
    model, images = checks.network((7, 7, 1)), checks.smooth_images(6, 7)
    labels = checks.predictions(model, images)
    attack = SpatialSearch(num_translations=3, num_rotations=3, max_images=50)
    results, success = checks.attacked(attack, model, images, labels)
    best = [(np.inf, np.inf, None)] * 6
    for across in np.linspace(-5, 5, 3):
        for down in np.linspace(-5, 5, 3):
            for angle in np.linspace(-5, 5, 3):
                candidates = turned(images, across, down, angle)
                strength = round(np.sqrt(np.mean(np.square([across / 5, down / 5, angle / 5]))), 9)
                gaps = checks.distances(candidates, images)
                for i in np.flatnonzero(checks.predictions(model, candidates) != labels):
                    best[i] = min(best[i], (strength, gaps[i], candidates[i]), key=lambda one: one[:2])
    np.testing.assert_array_equal(success, [one[2] is not None for one in best])
    assert success.sum() >= 3
    for i in np.flatnonzero(success):
        np.testing.assert_allclose(results[i], best[i][2], atol=1e-6)


def test_transformations_come_by_strength():
    groups = SpatialSearch().groups()
    assert sum(map(len, groups)) == 1000
    strengths = [{round(SpatialSearch().strength(*one), 9) for one in group} for group in groups]
    assert all(len(some) == 1 for some in strengths)
    assert strengths == sorted(strengths, key=min) and max(strengths[-1]) == 1
    assert len(groups[0]) == 8 and np.allclose(np.abs(groups[0]), 5 / 9)
    odd = SpatialSearch(num_translations=3, num_rotations=3).groups()
    assert sum(map(len, odd)) == 26  # without the identity


def test_what_every_attack_does():
    checks.check_attack(SpatialSearch(num_translations=2, num_rotations=2))


def test_channels_first():
    class First:
        data_format = "channels_first"
        bounds = checks.foolbox_model(lambda x: x).bounds

        def __call__(self, inputs):
            return beyond(7.9)(inputs.transpose((0, 2, 3, 1)))

    images = blobs([(7, 7), (7, 6.5)])
    attack = SpatialSearch(max_rotation=0, num_rotations=1, num_translations=4)
    expected, _ = checks.attacked(attack, beyond(7.9), images, np.zeros(2, int))
    results = attack.run(First(), checks.tensor(np.moveaxis(images, -1, 1)), checks.tensor(np.zeros(2, int)))
    np.testing.assert_allclose(np.moveaxis(np.asarray(results), 1, -1), expected, atol=1e-6)


def test_only_where_foolbox_can_transform():
    images = blobs([(7, 7)])

    class Arrays:
        bounds = checks.foolbox_model(lambda x: x).bounds

        def __call__(self, inputs):
            return astensor(np.array([[1.0, 0.0]] * len(inputs)))

    with pytest.raises(ValueError, match="^Argument `inputs` must be tensors of TensorFlow or PyTorch"):
        SpatialSearch().run(Arrays(), images, np.zeros(1, int))


def test_bad_arguments():
    wrong = [("max_translation", -1.0), ("max_rotation", float("nan")), ("num_translations", 0), ("num_rotations", 1.5)]
    checks.check_arguments(SpatialSearch, wrong + [("max_images", 0)])
