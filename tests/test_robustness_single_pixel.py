"""``SinglePixelAttack``: found, and only where one pixel can do it, and by the smallest change."""

import gradient_attack_checks as checks
import numpy as np
import pytest
from keras import ops

from lea_keras.robustness.attacks.single_pixel import SinglePixelAttack

ROWS, COLUMNS, CHANNELS = 4, 7, 2  # rows and columns differ: a row index drawn up to the columns would miss or fail
RNG = np.random.default_rng(0)


def looking_at(row, column, threshold=0.8, bounds=(0.0, 1.0), above=True):
    """Class 1 if the mean of that pixel is above (or below) the threshold, else 0."""

    def logits(images):
        value = ops.mean(images[:, row, column], axis=-1)
        score = value - threshold if above else threshold - value
        return ops.stack([-score, score], axis=1)

    return checks.foolbox_model(logits, bounds)


def grey(count=3):
    return RNG.uniform(0.3, 0.7, (count, ROWS, COLUMNS, CHANNELS)).astype("float32")


@pytest.mark.parametrize("place", [(0, 0), (3, 0), (0, 6), (3, 6), (2, 3)])
@pytest.mark.parametrize("above", [True, False])
def test_the_pixel_that_decides_is_found_wherever_it_is(place, above):
    images = grey()
    model = looking_at(*place, threshold=0.8 if above else 0.2, above=above)
    results, success = checks.attacked(SinglePixelAttack(), model, images, np.zeros(3, int))
    assert success.all()
    expected = images.copy()
    expected[:, place[0], place[1]] = 1.0 if above else 0.0
    np.testing.assert_array_equal(results, expected)


def test_no_success_where_one_pixel_cannot_decide():
    images = grey()

    def mean_of_all(x):
        score = ops.mean(x, axis=(1, 2, 3)) - 0.6  # one of 28 pixels moves the mean by 0.025 at most
        return ops.stack([-score, score], axis=1)

    results, success = checks.attacked(SinglePixelAttack(), checks.foolbox_model(mean_of_all), images, np.zeros(3, int))
    assert not success.any()
    np.testing.assert_array_equal(results, images)
    beyond = looking_at(1, 1, threshold=1.1)  # not even the maximum is enough
    assert not checks.attacked(SinglePixelAttack(), beyond, images, np.zeros(3, int))[1].any()


def test_the_closest_of_all_candidates_is_kept():
    images = np.full((1, ROWS, COLUMNS, CHANNELS), 0.4, "float32")
    images[0, 2, 5], images[0, 1, 2], images[0, 3, 1] = 0.7, 0.65, 0.05

    def any_white(x):
        whitest = ops.max(ops.mean(x, axis=-1), axis=(1, 2)) - 0.9
        return ops.stack([-whitest, whitest], axis=1)

    expected = images.copy()
    expected[0, 2, 5] = 1.0  # every pixel could, this one by 0.3
    for seed in range(3):
        attack = SinglePixelAttack(seed=seed)
        results, _ = checks.attacked(attack, checks.foolbox_model(any_white), images, np.zeros(1, int))
        np.testing.assert_array_equal(results, expected)


def test_only_pixels_that_are_drawn_are_tried():
    images, model = grey(40), looking_at(1, 4)
    _, success = checks.attacked(SinglePixelAttack(max_pixels=7), model, images, np.zeros(40, int))
    assert 2 <= success.sum() <= 22  # a quarter of the pixels: 10 of 40 expected, each with pixels of its own
    _, other = checks.attacked(SinglePixelAttack(max_pixels=7, seed=1), model, images, np.zeros(40, int))
    assert np.any(success != other)
    again, _ = checks.attacked(
        SinglePixelAttack(max_pixels=7), model, np.repeat(images[:1], 40, axis=0), np.zeros(40, int)
    )
    changed = np.any(again != images[:1], axis=(1, 2, 3))
    np.testing.assert_array_equal(changed, success)  # decided by the position, not by the image


@pytest.mark.parametrize("max_images", [1, 5, 512])
def test_few_images_go_through_the_model(max_images):
    images, sizes = np.zeros((2, ROWS, COLUMNS, 1), "float32"), []
    model = looking_at(3, 6)
    counting = checks.model_around(lambda x: sizes.append(len(x)) or model._model(x))
    results, success = checks.attacked(SinglePixelAttack(max_images=max_images), counting, images, np.zeros(2, int))
    assert success.all() and results[0, 3, 6, 0] == 1
    # A black pixel cannot become blacker: 28 candidates a sample, not 56; and the originals twice, by foolbox and us.
    assert sum(sizes) <= 2 * 28 + 4 and max(sizes[:-1]) <= max_images


def test_channels_first():
    class First:
        data_format = "channels_first"
        bounds = checks.foolbox_model(lambda x: x).bounds

        def __call__(self, inputs):
            return looking_at(2, 5)(inputs.transpose((0, 2, 3, 1)))

    images = np.moveaxis(grey(), -1, 1)
    labels = checks.tensor(np.zeros(3, int))
    results = np.asarray(SinglePixelAttack().run(First(), checks.tensor(images), labels))
    expected = images.copy()
    expected[:, :, 2, 5] = 1.0
    np.testing.assert_array_equal(results, expected)


def test_what_every_attack_does():
    checks.check_attack(SinglePixelAttack())


@pytest.mark.usefixtures("own_kernels")
def test_the_callers_random_streams_are_left_alone():
    checks.check_random_streams(SinglePixelAttack(), looking_at(1, 4), grey(), np.zeros(3, int))


def test_bad_arguments():
    checks.check_arguments(SinglePixelAttack, [("max_pixels", 0), ("seed", -1), ("seed", 1.5), ("max_images", 0)])
    model = checks.foolbox_model(lambda x: ops.stack([ops.sum(x, -1), -ops.sum(x, -1)], 1))
    with pytest.raises(ValueError, match="^Argument `inputs` must be images with rows, columns and channels"):
        SinglePixelAttack()(model, ops.zeros((2, 5)), checks.tensor(np.zeros(2, int)), epsilons=None)
