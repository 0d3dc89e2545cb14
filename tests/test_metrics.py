"""Measures of reconstruction: RLN and confidence, against hand-worked examples and what must hold always."""

import keras
import numpy as np
import pytest
from backends import few, once
from compiling import compiled
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from lea_keras import losses, metrics

RNG = np.random.default_rng(0)
EXAMPLES = settings(max_examples=few(25, 4), deadline=None, derandomize=True, database=None)

# Two windows of two values each, ranges 1 and 4, over both of them 4.
WINDOWS = np.array([[0.0, 1.0], [0.0, 4.0]], "float32").reshape(2, 1, 2, 1)
RECONSTRUCTIONS = np.array([[1.0, 1.0], [0.0, 2.0]], "float32").reshape(2, 1, 2, 1)


@pytest.fixture(autouse=True)
def seeded():
    """The same numbers whichever tests run before."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def rln(windows, reconstructions):
    return float(metrics.normalized_reconstruction_loss(windows, reconstructions))


def confidence(windows, reconstructions):
    return np.array(metrics.reconstruction_confidence(windows, reconstructions))


def test_reconstruction_loss_is_that_of_the_losses():
    assert metrics.reconstruction_loss is losses.reconstruction_loss
    assert set(metrics.__all__) <= set(dir(metrics))


@once
def test_mean_absolute_error_is_that_of_keras():
    assert float(metrics.mean_absolute_error(WINDOWS, RECONSTRUCTIONS)) == 3 / 4
    assert float(metrics.mean_absolute_error(WINDOWS[:0], WINDOWS[:0])) == 0.0
    windows, reconstructions = RNG.normal(size=(2, 5, 3, 2, 1)).astype("float32")
    of_keras = keras.metrics.MeanAbsoluteError()
    for part in (slice(2), slice(2, None)):
        of_keras.update_state(windows[part], reconstructions[part])
    found = float(metrics.mean_absolute_error(windows, reconstructions))
    np.testing.assert_allclose(found, float(of_keras.result()), rtol=1e-6)
    assert abs(found**2 - np.mean((windows - reconstructions) ** 2)) > 0.1  # the root of Eq. 2.20 is another


def test_rln_takes_the_range_over_all_windows():
    assert rln(WINDOWS, RECONSTRUCTIONS) == (1 / 16 + 0 + 0 + 4 / 16) / 4
    per_window = (1 / 1 + 0 + 0 + 4 / 16) / 4  # the range of each window, which is wrong
    assert rln(WINDOWS, RECONSTRUCTIONS) != per_window


def test_rln_takes_the_range_of_the_windows_not_of_the_reconstructions():
    assert rln(RECONSTRUCTIONS, WINDOWS) == (1 / 4 + 0 + 0 + 4 / 4) / 4
    assert rln(RECONSTRUCTIONS, WINDOWS) != rln(WINDOWS, RECONSTRUCTIONS)


def test_rln_averages_over_values_and_windows():
    windows, reconstructions = RNG.normal(size=(2, 5, 2, 3, 2))
    span, total = windows.max() - windows.min(), 0.0
    for value, other in zip(np.ravel(windows), np.ravel(reconstructions), strict=True):
        total += ((other - value) / span) ** 2
    assert rln(windows, reconstructions) == pytest.approx(total / windows.size, rel=1e-5)
    assert rln(windows, reconstructions) != pytest.approx(total / len(windows), rel=1e-2)  # summed over values: wrong


@EXAMPLES
@given(st.floats(1e-3, 1e3), st.floats(-10.0, 10.0), st.booleans())
def test_rln_ignores_a_common_scale_and_shift(scale, shift, negative):
    windows, reconstructions = np.random.default_rng(1).uniform(size=(2, 6, 2, 2, 1))
    factor = -scale if negative else scale
    moved = factor * (windows + shift), factor * (reconstructions + shift)
    assert rln(*moved) == pytest.approx(rln(windows, reconstructions), rel=1e-3)


def test_a_plain_mean_squared_error_would_not_ignore_the_scale():
    windows, reconstructions = RNG.uniform(size=(2, 6, 2, 2, 1))
    error = np.mean((reconstructions - windows) ** 2)
    assert np.mean((3 * reconstructions - 3 * windows) ** 2) == pytest.approx(9 * error)
    assert rln(3 * windows, 3 * reconstructions) == pytest.approx(rln(windows, reconstructions), rel=1e-5)


@pytest.mark.parametrize("constant", [0.0, 1.0, -0.3, 1e-20, 1e4, 1e30])
def test_rln_of_constant_windows(constant):
    windows = np.full((3, 2, 2, 1), constant, "float32")
    assert rln(windows, windows) == 0.0
    with np.errstate(invalid="ignore"):
        assert np.isnan(np.mean(np.square((windows - windows) / np.ptp(windows))))  # Eq. 4.1 as it stands
    other = rln(windows, windows * 1.5 + 0.25)
    assert np.isfinite(other) and other > 0


@once
@EXAMPLES
@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_confidence_lies_between_zero_and_one(count, size, channels, seed):
    windows, reconstructions = np.random.default_rng(seed).normal(size=(2, count, size, size, channels))
    values = confidence(windows, reconstructions)
    errors = np.sum((windows - reconstructions) ** 2, axis=(1, 2, 3))
    assert values.shape == (count,)
    assert np.all((0 <= values) & (values <= 1))
    assert values[np.argmax(errors)] == 0.0
    np.testing.assert_allclose(values, 1 - errors / errors.max(), atol=1e-5)


def test_confidence_by_hand():
    windows = np.zeros((3, 2), "float32")
    reconstructions = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 0.0]], "float32")
    np.testing.assert_array_equal(confidence(windows, reconstructions), [0.75, 0.0, 1.0])
    total = 1 - np.array([1.0, 4.0, 0.0]) / 5  # normalised by the sum, which is wrong
    assert not np.allclose(confidence(windows, reconstructions), total)


@pytest.mark.parametrize("decorate", [lambda function: function, compiled], ids=["eager", "XLA"])
def test_confidence_reaches_both_ends_exactly(decorate):
    """Where a division is a product with the reciprocal, some of these worst windows would miss 0 by 6e-8."""
    function = decorate(metrics.reconstruction_confidence)
    for _ in range(20):
        windows = RNG.normal(size=(75, 4)).astype("float32")
        reconstructions = windows + RNG.normal(size=(75, 1)).astype("float32")
        reconstructions[7] = windows[7]
        values = np.array(function(windows, reconstructions))
        assert values.min() == 0.0 and values.max() == values[7] == 1.0
        errors = np.sum((reconstructions.astype("float64") - windows) ** 2, axis=1)
        np.testing.assert_allclose(values, 1 - errors / errors.max(), atol=1e-6)


def test_confidence_of_what_is_no_number_is_none():
    reconstructions = np.array([[1.0, 0.0], [np.nan, 0.0], [0.0, 0.0]], "float32")
    assert np.isnan(confidence(np.zeros((3, 2), "float32"), reconstructions)).all()


def test_confidence_is_one_where_all_is_perfect():
    np.testing.assert_array_equal(confidence(WINDOWS, WINDOWS), [1.0, 1.0])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype):
    windows = ops.array([[0.0, 600.0], [300.0, 0.0]], dtype)
    reconstructions = ops.array([[300.0, 0.0], [300.0, 0.0]], dtype)
    with np.errstate(over="ignore"):
        assert np.isinf(np.float16(300) ** 2)  # what float16 gives
    value = metrics.normalized_reconstruction_loss(windows, reconstructions)
    assert value.dtype == "float32"
    assert float(value) == pytest.approx((0.25 + 1.0) / 4)
    values = metrics.reconstruction_confidence(windows, reconstructions)
    assert values.dtype == "float32"
    np.testing.assert_array_equal(values, [0.0, 1.0])


def test_everything_is_the_same_under_xla():
    windows, reconstructions = RNG.normal(size=(2, 40, 2, 2, 1)).astype("float32")

    @compiled
    def everything(windows, reconstructions):
        return (
            metrics.normalized_reconstruction_loss(windows, reconstructions),
            metrics.reconstruction_confidence(windows, reconstructions),
        )

    value, values = everything(windows, reconstructions)
    assert float(value) == pytest.approx(rln(windows, reconstructions), rel=1e-5)
    np.testing.assert_allclose(values, confidence(windows, reconstructions), atol=1e-6)
    assert np.min(values) == 0.0
    constant = np.full_like(windows, 0.3)
    value, values = everything(constant, constant)
    assert float(value) == 0.0
    np.testing.assert_array_equal(values, np.ones(40))


def batches(count=3, size=5):
    """Windows and reconstructions [count, size, 2, 3, 1] in batches of different ranges."""
    scale = np.arange(1, count + 1).reshape(-1, 1, 1, 1, 1)
    return scale * RNG.normal(size=(count, size, 2, 3, 1)), scale * RNG.normal(size=(count, size, 2, 3, 1))


def merged(batched):
    return batched.reshape(-1, *batched.shape[2:])  # [batches, n, ...] -> [batches·n, ...]


@pytest.mark.parametrize(
    ("metric", "function"),
    [
        (metrics.ReconstructionLoss, metrics.reconstruction_loss),
        (metrics.NormalizedReconstructionLoss, metrics.normalized_reconstruction_loss),
    ],
)
def test_metric_over_batches_equals_the_function_over_all(metric, function):
    windows, reconstructions = batches()
    state = metric()
    assert float(state.result()) == 0.0
    for _ in range(2):
        state.reset_state()
        for pair in zip(windows, reconstructions, strict=True):
            state.update_state(*pair)
        expected = float(function(merged(windows), merged(reconstructions)))
        assert float(state.result()) == pytest.approx(expected, rel=1e-5)
    copy = metric.from_config(state.get_config())
    copy.update_state(windows[0], reconstructions[0])
    assert float(copy.result()) == pytest.approx(float(function(windows[0], reconstructions[0])), rel=1e-5)


def test_metric_rln_is_not_the_mean_of_the_batches():
    windows, reconstructions = batches()
    state = metrics.NormalizedReconstructionLoss()
    for pair in zip(windows, reconstructions, strict=True):
        state.update_state(*pair)
    mean = np.mean([rln(*pair) for pair in zip(windows, reconstructions, strict=True)])
    assert float(state.result()) != pytest.approx(mean, rel=1e-2)


def test_metric_kl_per_code_variable():
    means, log_stds = RNG.normal(size=(2, 3, 7, 4)), RNG.normal(size=(2, 3, 7, 4))[1]
    means = means[0]
    state = metrics.KLDivergence(4)
    for mean, log_std in zip(means, log_stds, strict=True):
        state.update_state(mean, log_std)
    flat_mean, flat_log_std = means.reshape(-1, 4), log_stds.reshape(-1, 4)
    variance = np.exp(2 * flat_log_std)
    expected = np.mean(flat_mean**2 + variance - np.log(variance) - 1, axis=0)
    np.testing.assert_allclose(state.result(), expected, rtol=1e-5)
    assert metrics.KLDivergence.from_config(state.get_config()).code_length == 4
    with pytest.raises(ValueError, match="Argument `code_length` must be"):
        metrics.KLDivergence(0)


@pytest.mark.parametrize("floatx", few(["float16", "float64"], ["float16"]))  # JAX has no float64 unless told so
def test_metrics_under_another_floatx(floatx):
    """Sums of float16 would end at 65 504."""
    keras.config.set_floatx(floatx)
    windows = np.full((3, 2, 2, 1), 200.0, floatx) * np.arange(3, dtype=floatx)[:, None, None, None]
    expected = {"rl": 4 * 200.0**2 * 5 / 3, "rln": 5 / 12, "kl": 200.0**2 * 5 / 3}
    kl = metrics.KLDivergence(1)
    kl.update_state(windows[:, 0, 0], 0 * windows[:, 0, 0])
    results = {"kl": kl.result()[0]}
    for metric in (metrics.ReconstructionLoss(), metrics.NormalizedReconstructionLoss()):
        metric.update_state(windows, 0 * windows)
        results[metric.name] = metric.result()
        assert all(variable.dtype == losses.wide_dtype(floatx) for variable in metric.variables)
    for name, value in expected.items():
        np.testing.assert_allclose(float(results[name]), value, rtol=1e-6, err_msg=name)
    confidence = metrics.reconstruction_confidence(windows, 0 * windows)
    np.testing.assert_allclose(confidence, [1, 0.75, 0], rtol=1e-6)


def test_dead_codes_are_those_that_no_batch_uses():
    metric = metrics.DeadCodes(4)
    assert float(metric.result()) == 4
    batches = [[[0.0, 1.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0]], [[0.0, 0.0, -3.0, 0.0]]]
    for codes, dead in zip(batches, (3, 2), strict=True):
        metric.update_state(np.array(codes, "float32"))
        assert float(metric.result()) == dead
    metric.update_state(np.zeros((0, 4), "float32"))
    assert float(metric.result()) == 2  # and not the mean of the batches' three and three
    metric.reset_state()
    assert float(metric.result()) == 4
    assert metrics.DeadCodes.from_config(metric.get_config()).code_length == 4


@once
def test_mmd_over_updates_has_the_pairs_of_each():
    batches = [RNG.normal(0.5, 1.5, (count, 2)).astype("float32") for count in (6, 1, 20, 0)]
    metric = metrics.AggregatedMMD(2, bandwidth=1.5)
    assert float(metric.result()) == 0.0
    similarities = []
    for codes in batches:
        metric.update_state(codes)
        for i, one in enumerate(codes):
            similarities += [np.exp(-np.sum((one - other) ** 2) / 2.25) for j, other in enumerate(codes) if j != i]
    of_prior = np.mean(losses.prior_similarities(np.concatenate(batches), 1.5))
    expected = np.mean(similarities) + losses.prior_similarity(2, 1.5) - 2 * of_prior
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-5)
    means = np.mean([metrics.maximum_mean_discrepancy(codes, 1.5) for codes in batches])
    assert abs(means - expected) > 1e-3  # the mean of the updates' own, which is wrong
    metric.reset_state()
    metric.update_state(batches[2])
    np.testing.assert_allclose(metric.result(), metrics.maximum_mean_discrepancy(batches[2], 1.5), rtol=1e-4)
    again = metrics.AggregatedMMD.from_config(metric.get_config())
    assert (again.code_length, again.bandwidth, again.name) == (2, 1.5, "mmd")
    with pytest.raises(ValueError, match="Argument `bandwidth` must be a finite number above 0"):
        metrics.AggregatedMMD(2, 0.0)


@once
def test_mmd_of_sorted_updates_is_larger():
    codes = np.sort(RNG.normal(size=640).astype("float32"))[:, None]
    results = {}
    for name, rows in {"sorted": codes, "shuffled": RNG.permutation(codes)}.items():
        metric = metrics.AggregatedMMD(1)
        for batch in np.split(rows, 10):
            metric.update_state(batch)
        results[name] = float(metric.result())
    assert abs(results["shuffled"]) < 0.02 < 0.1 < results["sorted"]
