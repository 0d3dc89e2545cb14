"""Percentiles of numbers in batches against NumPy's of all of them, and memory that does not grow."""

import tracemalloc

import numpy as np
import pytest

from experiments.distributions import Distribution

PERCENTS = np.array([0, 1, 25, 50, 75, 99.5, 100])


def distribution(values, size):
    whole = Distribution()
    for start in range(0, len(values), size):
        whole.update(values[start : start + size])
    return whole


@pytest.mark.parametrize("count", [1, 2, 7, 1000, 100_003])
def test_percentiles_are_those_of_all_numbers_at_once(count):
    values = np.random.default_rng(count).lognormal(sigma=3.0, size=count).astype("float32")
    whole = distribution(values, 997)
    found, expected = whole.percentiles(PERCENTS), np.percentile(values.astype("float64"), PERCENTS)
    np.testing.assert_allclose(found, expected, rtol=1.6e-5)
    assert (whole.count, whole.maximum) == (count, values.max())
    assert whole.mean == pytest.approx(values.mean(dtype="float64"))
    # The tempting mistake: the median of the batches' medians.
    batches = [np.median(values[i : i + 997]) for i in range(0, count, 997)]
    if count > 1000:
        assert abs(np.median(batches) / expected[3] - 1) > 1e-3


def test_round_numbers_are_exact_and_zeros_are_zeros():
    assert distribution(np.array([8.0, 0.0, 2.0, 4.0, 6.0], "float32"), 2).percentiles(PERCENTS).tolist() == [
        0, 0.08, 2, 4, 6, 7.96, 8,
    ]  # fmt: skip
    assert distribution(np.zeros(3, "float32"), 2).percentiles(PERCENTS).tolist() == [0.0] * 7


def test_what_is_not_finite_is_in_maximum_and_mean():
    for wrong in (np.nan, np.inf):
        whole = distribution(np.array([1.0, wrong, 2.0], "float32"), 1)
        assert not np.isfinite(whole.maximum) and not np.isfinite(whole.mean)
    assert np.isnan(Distribution().mean) and Distribution().maximum == 0.0


def test_memory_does_not_grow_with_the_numbers():
    rng, whole = np.random.default_rng(0), Distribution()
    batch = rng.uniform(size=100_000).astype("float32")
    whole.update(batch)
    tracemalloc.start()
    for _ in range(50):
        whole.update(batch)
    assert tracemalloc.get_traced_memory()[0] < 1e5  # all numbers would be 20 MB
    tracemalloc.stop()
