"""Salt and pepper noise: found where single pixels decide, on few pixels, the same for a seed."""

import gradient_attack_checks as checks
import numpy as np
import pytest

from lea_keras.robustness.attacks.salt_and_pepper import SaltAndPepperSearch


def looking_at(row, column, threshold=0.8):
    """Class 1 if the mean of that pixel is above the threshold, else 0."""

    def logits(images):
        score = np.mean(images[:, row, column], axis=-1) - threshold
        return np.stack([-score, score], axis=1)

    return checks.array_model(logits)


@pytest.mark.parametrize("place", [(0, 0), (4, 6), (2, 3)])
def test_the_pixel_that_decides_is_found(place):
    images = np.full((3, 5, 7, 2), 0.5, "float32")
    results, success = checks.attacked(SaltAndPepperSearch(), looking_at(*place), images, np.zeros(3, int))
    assert success.all()
    np.testing.assert_array_equal(results[:, place[0], place[1]], np.ones((3, 2)))
    assert set(np.unique(results)) <= {0.0, 0.5, 1.0}
    changed = np.any(results != images, axis=-1).sum(axis=(1, 2))
    assert np.all(changed <= 3)  # the draws that have salt there before nearly everything else


def test_no_success_where_a_pixel_cannot_decide():
    images = np.full((2, 5, 7, 1), 0.5, "float32")
    results, success = checks.attacked(SaltAndPepperSearch(repeats=30), looking_at(1, 1, 1.2), images, np.zeros(2, int))
    assert not success.any()
    np.testing.assert_array_equal(results, images)


def test_the_lowest_probability_of_a_draw():
    def salt(images):
        score = np.mean(images > 0.9, axis=(1, 2, 3)) - 0.2
        return np.stack([-score, score], axis=1)

    images = np.full((4, 10, 10, 1), 0.5, "float32")
    attack = SaltAndPepperSearch(repeats=1, seed=3)
    results, success = checks.attacked(attack, checks.array_model(salt), images, np.zeros(4, int))
    assert success.all()
    for row in range(4):
        draw = np.random.default_rng((3, row)).random((1, 10, 10, 1), np.float32)[0]
        level = next(k for k in range(1, 1001) if np.mean(draw >= 1 - k / 2000) > 0.2)
        expected = np.where(draw < level / 2000, 0.0, np.where(draw >= 1 - level / 2000, 1.0, 0.5))
        np.testing.assert_array_equal(results[row], expected)


@checks.slow_on_jax
def test_more_draws_come_closer():
    model, images = checks.network((8, 8, 1), seed=1), checks.smooth_images(12, 8)
    labels = checks.predictions(model, images)
    found, means = slice(None), []
    for repeats in (1, 10, 60):
        results, success = checks.attacked(SaltAndPepperSearch(repeats=repeats), model, images, labels)
        found = success if repeats == 1 else found
        assert found.sum() > 6 and success[found].all()
        means.append(np.mean(checks.distances(results, images)[found] ** 2))
    assert means[0] > means[1] > means[2]


def test_channels_alike_or_each_on_its_own():
    model, images = looking_at(1, 1, 0.6), np.full((3, 4, 4, 3), 0.5, "float32")
    alike, _ = checks.attacked(SaltAndPepperSearch(), model, images, np.zeros(3, int))
    assert np.all(alike == alike[..., :1])
    apart, _ = checks.attacked(SaltAndPepperSearch(across_channels=False), model, images, np.zeros(3, int))
    assert np.any(apart != apart[..., :1])


def test_few_images_go_through_the_model():
    model, images, seen = checks.network(seed=1), checks.smooth_images(6), []
    labels = checks.predictions(model, images)
    counting = checks.model_around(lambda x: seen.append(len(x)) or model._model(x))
    checks.attacked(SaltAndPepperSearch(), counting, images, labels)
    assert sum(seen) < 6 * 500 and len(seen) < 500  # foolbox: 6 · 1,001 in 1,001 calls


def test_what_every_attack_does():
    checks.check_attack(SaltAndPepperSearch(repeats=20))


@pytest.mark.usefixtures("own_kernels")
def test_the_callers_random_streams_are_left_alone():
    checks.check_random_streams(SaltAndPepperSearch(repeats=2))


def test_bad_arguments():
    wrong = [("steps", 0), ("repeats", 0), ("across_channels", 1), ("seed", "a"), ("max_images", 0)]
    checks.check_arguments(SaltAndPepperSearch, wrong)
