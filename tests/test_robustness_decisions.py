"""Noise, blur and loss of contrast: the smallest strength on models built so that it is known."""

import foolbox
import gradient_attack_checks as checks
import numpy as np
import pytest
from foolbox.attacks import GaussianBlurAttack, LinearSearchContrastReductionAttack
from scipy.ndimage import gaussian_filter

from lea_keras.robustness.attacks.decisions import (
    AdditiveGaussianNoiseSearch,
    ContrastReductionSearch,
    GaussianBlurSearch,
)

RNG = np.random.default_rng(0)
ATTACKS = [
    AdditiveGaussianNoiseSearch(steps=100),
    ContrastReductionSearch(steps=100),
    GaussianBlurSearch(steps=100, max_sigma=20),
]


def falls_below(measure, threshold, bounds=(0.0, 1.0)):
    """Class 0 while the measure of an image exceeds the threshold, else 1."""

    def logits(images):
        score = measure(images) - threshold
        return np.stack([score, -score], axis=1)

    return checks.array_model(logits, bounds)


def spread(images):
    return np.max(images, axis=(1, 2, 3)) - np.min(images, axis=(1, 2, 3))


@checks.slow_on_jax
@pytest.mark.parametrize(  # every pair of two of them
    ("bounds", "every", "target"),
    [
        *(((0.0, 1.0), False, 0.5), ((-2.0, 6.0), False, 0.0), ((-2.0, 6.0), False, 0.8)),
        *(((-2.0, 6.0), True, 0.5), ((0.0, 1.0), True, 0.0), ((0.0, 1.0), True, 0.8)),
    ],
)
def test_contrast_falls_to_the_largest_that_fools(bounds, every, target):
    lower, span = bounds[0], bounds[1] - bounds[0]
    images = RNG.uniform(size=(6, 5, 5, 2))
    images = np.clip(images * np.linspace(0.5, 1, 6)[:, None, None, None], 0, 1).astype("float32")
    images = (lower + span * images).astype("float32")
    model = falls_below(spread, 0.2345 * span, bounds)
    steps = 100 if every else 1000
    attack = ContrastReductionSearch(steps=steps, target=target, every=every)
    results, success = checks.attacked(attack, model, images, np.zeros(6, int))
    assert success.all()
    contrast = np.ptp(images.reshape(6, -1), axis=1)
    strengths = np.ceil((1 - 0.2345 * span / contrast) * steps) / steps  # contrast shrinks by 1 − strength
    grey = lower + target * span
    expected = images + strengths[:, None, None, None] * (grey - images)
    np.testing.assert_allclose(results, expected, atol=2e-6 * span)


@checks.slow_on_jax
def test_contrast_as_foolbox_finds_it():
    model, images = checks.network(seed=3), checks.smooth_images(12)
    labels = checks.predictions(model, images)
    results, success = checks.attacked(ContrastReductionSearch(steps=50, every=True), model, images, labels)
    theirs = LinearSearchContrastReductionAttack(distance=foolbox.distances.l2, steps=50)
    _, expected, fooled = theirs(model, checks.tensor(images), checks.tensor(labels), epsilons=None)
    assert success.sum() > 2
    np.testing.assert_array_equal(success, fooled)
    np.testing.assert_allclose(results[success], np.asarray(expected)[success], atol=1e-5)


@checks.slow_on_jax
def test_contrast_of_an_image_that_is_grey_already():
    images = np.full((2, 4, 4, 1), 0.5, "float32")
    images[1, 0, 0] = 1.0
    seen = []
    model = checks.model_around(lambda x: seen.append(np.asarray(x)) or falls_below(spread, 0.3)._model(x))
    results, success = checks.attacked(ContrastReductionSearch(), model, images, np.array([1, 0]))
    np.testing.assert_array_equal(success, [False, True])
    np.testing.assert_array_equal(results[0], images[0])
    assert np.all(np.isfinite(np.concatenate(seen)))


@pytest.mark.parametrize("every", [False, True])
def test_blur_grows_to_the_smallest_that_fools(every):
    images = np.zeros((4, 9, 12, 2), "float32")
    images[range(4), 4, 6] = np.array([1.0, 0.9, 0.6, 0.4])[:, None]
    threshold = 0.3

    def peak(x):
        return np.max(x[..., 0], axis=(1, 2))

    attack = GaussianBlurSearch(steps=60, every=every)
    results, success = checks.attacked(attack, falls_below(peak, threshold), images, np.zeros(4, int))
    assert success.all()
    for image, result in zip(images, results, strict=True):
        for step in range(1, 61):  # σ up to 12, the larger side
            blurred = gaussian_filter(image, (step / 60 * 12, step / 60 * 12, 0))
            if blurred[..., 0].max() <= threshold:
                break
        np.testing.assert_allclose(result, blurred, atol=1e-6)


def test_blur_as_foolbox_finds_it():
    model, images = checks.network(seed=1), checks.smooth_images(10)
    labels = checks.predictions(model, images)
    results, success = checks.attacked(GaussianBlurSearch(steps=40, every=True), model, images, labels)
    theirs = GaussianBlurAttack(distance=foolbox.distances.l2, steps=40)
    _, expected, fooled = theirs(model, checks.tensor(images), checks.tensor(labels), epsilons=None)
    assert success.sum() > 2
    np.testing.assert_array_equal(success, fooled)
    np.testing.assert_allclose(results[success], np.asarray(expected)[success], atol=1e-6)


def test_the_largest_blur_leaves_the_mean_of_each_channel():
    images = RNG.uniform(size=(2, 6, 6, 2)).astype("float32")
    model = falls_below(lambda x: np.max(np.ptp(x, axis=(1, 2)), axis=-1), 5e-3)  # of either channel
    results, success = checks.attacked(GaussianBlurSearch(max_sigma=12), model, images, np.zeros(2, int))
    assert success.all()
    means = images.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(results, np.broadcast_to(means, images.shape), atol=0.01)


def test_blur_along_the_right_axes():
    images = RNG.uniform(size=(2, 3, 8, 8)).astype("float32")
    model = falls_below(lambda x: spread(x[:, :1]), 0.3)
    results, _ = checks.attacked(GaussianBlurSearch(channel_axis=1), model, images, np.zeros(2, int))
    moved = falls_below(lambda x: spread(x[..., :1]), 0.3)
    last, _ = checks.attacked(GaussianBlurSearch(), moved, np.moveaxis(images, 1, -1), np.zeros(2, int))
    np.testing.assert_allclose(results, np.moveaxis(last, -1, 1), atol=1e-6)


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 3.0)])
def test_noise_grows_to_the_standard_deviation_that_fools(bounds):
    lower, span = bounds[0], bounds[1] - bounds[0]
    images = np.full((3, 40, 40, 1), lower + span / 2, "float32")
    deviation = 0.1  # relative to the range, where next to nothing is clipped

    def quiet(x):
        return -np.std(x, axis=(1, 2, 3))

    model = falls_below(quiet, -deviation * span, bounds)
    results, success = checks.attacked(AdditiveGaussianNoiseSearch(seed=5), model, images, np.zeros(3, int))
    assert success.all()
    for row, noisy in enumerate(results):
        draw = np.random.default_rng((5, row)).standard_normal((40, 40, 1))
        steps = np.arange(1, 1001)[:, None, None, None]
        path = np.clip(0.5 + steps / 1000 / np.sqrt(3) * draw, 0, 1)
        step = 1 + np.argmax(path.std(axis=(1, 2, 3)) >= deviation)
        assert step == pytest.approx(1000 * np.sqrt(3) * deviation, rel=0.05)
        squared = 1000 * np.sqrt(np.sqrt(3) * deviation)  # 1.8's ε²/√3 would need another ε
        assert abs(step - squared) > 200
        np.testing.assert_allclose((noisy - lower) / span, path[step - 1], atol=2e-6)


def test_every_sample_has_noise_of_its_own():
    images = np.full((2, 5, 5, 1), 0.5, "float32")
    model = falls_below(lambda x: -spread(x), -0.2)
    results, _ = checks.attacked(AdditiveGaussianNoiseSearch(), model, images, np.zeros(2, int))
    other, _ = checks.attacked(AdditiveGaussianNoiseSearch(seed=1), model, images, np.zeros(2, int))
    assert np.abs(np.corrcoef([*results.reshape(2, -1), other[0].ravel()])[np.triu_indices(3, 1)]).max() < 0.6


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: type(attack).__name__)
def test_no_success_where_nothing_helps(attack):
    images = checks.smooth_images(3)
    model = falls_below(lambda x: np.sum(0 * x, axis=(1, 2, 3)), -1.0)
    results, success = checks.attacked(attack, model, images, np.zeros(3, int))
    assert not success.any()
    np.testing.assert_array_equal(results, images)


@pytest.mark.parametrize("attack", ATTACKS[:2], ids=lambda attack: type(attack).__name__)
def test_what_every_attack_does(attack):
    checks.check_attack(attack)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: type(attack).__name__)
def test_samples_do_not_depend_on_each_other(attack):
    model, images = checks.network(seed=1), checks.smooth_images(8)
    labels = checks.predictions(model, images)
    results, success = checks.attacked(attack, model, images, labels)
    part, _ = checks.attacked(attack, model, images[:3], labels[:3])
    np.testing.assert_allclose(part, results[:3], atol=1e-6)
    again, _ = checks.attacked(attack, model, images, labels)
    np.testing.assert_array_equal(again, results)
    assert success.any() and results.min() >= 0 and results.max() <= 1


@pytest.mark.usefixtures("own_kernels")
def test_the_callers_random_streams_are_left_alone():
    checks.check_random_streams(AdditiveGaussianNoiseSearch())


def test_bad_arguments():
    common = [("steps", 0), ("every", "yes"), ("max_images", -1)]
    checks.check_arguments(AdditiveGaussianNoiseSearch, common + [("seed", -1)])
    checks.check_arguments(ContrastReductionSearch, common + [("target", -0.1), ("target", 1.1)])
    checks.check_arguments(GaussianBlurSearch, common + [("max_sigma", 0), ("max_sigma", float("inf"))])
    for axis in (0, 2, True):
        with pytest.raises(ValueError, match="^Argument `channel_axis` must be 1, 3, -1 or None"):
            attack = GaussianBlurSearch(channel_axis=axis)
            checks.attacked(attack, checks.network(), checks.smooth_images(2), np.full(2, 7))
            checks.attacked(attack, checks.network(), checks.smooth_images(4), np.arange(4))
