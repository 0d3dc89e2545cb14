"""Categorical codes: divergences in closed form, relaxed samples, and the gradient through a choice."""

import keras
import numpy as np
import pytest
from backends import once
from gradients import value_and_gradients
from keras import ops

from lea_keras.autoencoders import categorical

SIZES = (3, 4)
LOGITS = np.random.default_rng(0).normal(0, 2, (5, 7)).astype("float32")


def softmax(values):
    weights = np.exp(values - values.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


@once
def test_divergences_are_twice_the_nats_of_each_choice():
    expected = [
        [2 * sum(q * np.log(q * len(row)) for q in softmax(row)) for row in (logits[:3], logits[3:])]
        for logits in LOGITS.astype("float64")
    ]
    found = np.array(categorical.divergences(LOGITS, SIZES))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(categorical.divergences(LOGITS + 50, SIZES), found, rtol=1e-3)  # a constant says nothing


@once
def test_divergences_from_nothing_to_all():
    np.testing.assert_allclose(categorical.divergences(np.full((1, 7), 3.0, "float32"), SIZES), [[0, 0]], atol=1e-6)
    sure = np.concatenate([np.eye(3)[[1]], np.eye(4)[[2]]], axis=-1).astype("float32") * 60
    np.testing.assert_allclose(categorical.divergences(sure, SIZES), [[2 * np.log(3), 2 * np.log(4)]], rtol=1e-6)
    assert categorical.largest_divergence(SIZES) == pytest.approx(2 * np.log(12))
    assert categorical.divergences(np.zeros((2, 0), "float32"), ()).shape == (2, 0)


def test_extreme_logits_have_finite_divergences_and_gradients():
    logits = 1e4 * np.array([[1, -1, 0], [-1, -1, 1], [1, 1, -1]], "float32")
    loss, _, (gradient,) = value_and_gradients(
        lambda logits: (ops.sum(categorical.divergences(logits, (3,))), ()), [logits]
    )
    assert float(loss) == pytest.approx(2 * (2 * np.log(3) + np.log(3 / 2)), rel=1e-5)
    assert np.all(np.isfinite(gradient))


def test_noise_is_standard_gumbel_and_finite():
    draws = np.array(categorical.gumbel((40_000,), keras.random.SeedGenerator(1)), "float64")
    assert np.all(np.isfinite(draws))
    assert draws.mean() == pytest.approx(np.euler_gamma, abs=4 * np.pi / np.sqrt(6 * 40_000))
    assert draws.var() == pytest.approx(np.pi**2 / 6, abs=0.1)


@once
def test_samples_lie_on_simplices_and_near_their_corners_at_low_temperature():
    noise = np.array(categorical.gumbel((5, 7), keras.random.SeedGenerator(2)))
    warm = np.array(categorical.concrete(LOGITS, noise, SIZES, 0.7))
    np.testing.assert_allclose(warm[:, :3], softmax((LOGITS + noise)[:, :3] / 0.7), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(warm[:, 3:].sum(axis=-1), np.ones(5), rtol=1e-5)
    assert np.all(warm > 0)
    cold = np.array(categorical.concrete(LOGITS, noise, SIZES, 1e-5))
    for part in (slice(3), slice(3, 7)):
        winners = np.argmax((LOGITS + noise)[:, part], axis=-1)
        np.testing.assert_allclose(cold[:, part], np.eye(part.stop - (part.start or 0))[winners], atol=1e-6)


@once
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_the_largest_entries_of_samples_are_as_frequent_as_the_classes_are_probable(temperature):
    """Whatever the temperature; the mean of relaxed samples is something else."""
    logits, count = np.array([1.0, 0.0, -1.5], "float32"), 20_000
    noise = categorical.gumbel((count, 3), keras.random.SeedGenerator(3))
    samples = np.array(categorical.concrete(np.tile(logits, (count, 1)), noise, (3,), temperature))
    shares = np.bincount(samples.argmax(axis=-1), minlength=3) / count
    p = softmax(logits)
    assert np.all(np.abs(shares - p) < 4 * np.sqrt(p * (1 - p) / count))
    if temperature == 1.0:
        assert np.abs(samples.mean(axis=0) - p).max() > 0.02


def test_a_choice_is_one_hot_with_the_gradient_of_probabilities():
    upstream = np.arange(14, dtype="float32").reshape(2, 7)
    logits = np.array([[1, 1, 0, -3, 2, 0, 1], [0, 3, 1, 5, 5, 5, 5]], "float32")
    codes, gradients = [], []
    for function in (categorical.one_hot, categorical.probabilities):

        def weighed(values, function=function):
            found = function(values, SIZES)
            return ops.sum(found * upstream), found

        _, found, (gradient,) = value_and_gradients(weighed, [logits])
        codes.append(np.array(found))
        gradients.append(np.array(gradient))
    np.testing.assert_array_equal(codes[0], [[1, 0, 0, 0, 1, 0, 0], [0, 1, 0, 1, 0, 0, 0]])
    np.testing.assert_allclose(gradients[0], gradients[1], rtol=1e-5, atol=1e-6)
    assert np.abs(gradients[0]).max() > 0.1  # of the step itself it would be 0
