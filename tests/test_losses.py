"""Losses of autoencoders against hand-worked examples and NumPy loops."""

import math

import keras
import numpy as np
import pytest
from backends import few, needs_tensorflow, once
from compiling import compiled
from gradients import value_and_gradients
from keras import ops

from lea_keras import losses

RNG = np.random.default_rng(0)

# Two windows of two values each: squared errors (1 + 4) and (0 + 9).
WINDOWS = np.array([[0.0, 1.0], [2.0, 3.0]], "float32").reshape(2, 1, 2, 1)
RECONSTRUCTIONS = np.array([[1.0, 3.0], [2.0, 0.0]], "float32").reshape(2, 1, 2, 1)


@pytest.fixture(autouse=True)
def seeded():
    """The same numbers whichever tests run before."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def test_reconstruction_loss_sums_over_values_and_averages_over_windows():
    np.testing.assert_array_equal(losses.window_errors(WINDOWS, RECONSTRUCTIONS), [5.0, 9.0])
    rl = float(losses.reconstruction_loss(WINDOWS, RECONSTRUCTIONS))
    assert rl == 7.0
    errors = (RECONSTRUCTIONS - WINDOWS) ** 2
    assert rl != np.mean(errors)  # 3.5, the mean over values, is wrong
    assert rl != np.sum(errors)  # 14, the sum over windows, is wrong


@pytest.mark.parametrize("shape", [(7,), (5, 3), (4, 2, 3, 2)], ids=str)
def test_reconstruction_loss_equals_a_loop(shape):
    windows, reconstructions = RNG.normal(size=(2, *shape))
    errors = []
    for window, reconstruction in zip(windows, reconstructions, strict=True):
        error = 0.0
        for value, other in zip(np.ravel(window), np.ravel(reconstruction), strict=True):
            error += (other - value) ** 2
        errors.append(error)
    np.testing.assert_allclose(losses.window_errors(windows, reconstructions), errors, rtol=1e-5)
    np.testing.assert_allclose(losses.reconstruction_loss(windows, reconstructions), sum(errors) / shape[0], rtol=1e-5)


def test_distances_are_means_over_values():
    np.testing.assert_array_equal(losses.window_distances(WINDOWS, RECONSTRUCTIONS), [1.5, 1.5])  # (1 + 2)/2, (0 + 3)/2
    halves = np.array([[60_000.0], [-60_000.0]], "float16")  # whose distance float16 has not
    np.testing.assert_array_equal(
        losses.window_distances(halves, -halves), np.abs(2.0 * halves.astype("float32"))[:, 0]
    )


def test_reconstruction_loss_of_what_is_reproduced_is_zero():
    assert float(losses.reconstruction_loss(WINDOWS, WINDOWS)) == 0.0


def test_cross_entropies_equal_a_loop():
    windows, logits = RNG.random((3, 2, 2, 2)), RNG.normal(0, 2, (3, 2, 2, 2))
    expected = [0.0] * 3
    for i in range(3):
        for x, logit in zip(np.ravel(windows[i]), np.ravel(logits[i]), strict=True):
            p = 1 / (1 + math.exp(-logit))
            expected[i] -= x * math.log(p) + (1 - x) * math.log(1 - p)
    found = np.array(losses.window_cross_entropies(windows, logits))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert not np.allclose(found, np.array(expected) / 8, rtol=0.1)  # the mean over pixels, which is not on KL's scale


def test_cross_entropy_is_least_at_the_logit_of_a_value_and_is_its_entropy_there():
    values = np.array([0.05, 0.3, 0.5, 0.9], "float32")
    logits = np.log(values / (1 - values))
    entropies = -values * np.log(values) - (1 - values) * np.log(1 - values)
    np.testing.assert_allclose(losses.window_cross_entropies(values[:, None], logits[:, None]), entropies, rtol=1e-5)
    for shift in (-2.0, -0.1, 0.1, 2.0):
        assert np.all(np.array(losses.window_cross_entropies(values[:, None], logits[:, None] + shift)) > entropies)


@once
def test_cross_entropy_is_exact_for_large_logits():
    """Where a probability of 1 to all its digits would make the logarithm of 0."""
    values, logits = np.array([[0.0, 1.0, 0.0, 1.0, 0.25]]), np.array([[100.0, -100.0, -100.0, 100.0, 100.0]])
    each = [float(losses.window_cross_entropies(values[:, i], logits[:, i])[0]) for i in range(5)]
    assert each == pytest.approx([100.0, 100.0, 0.0, 0.0, 75.0], abs=1e-5)
    half = np.array(losses.window_cross_entropies(values.astype("float16"), (400 * logits).astype("float16")))
    assert half.dtype == "float32" and half[0] == pytest.approx(400 * 275)  # no infinity


def test_the_gradient_of_the_cross_entropy_is_the_error_of_the_probability():
    values = np.array([0.0, 0.3, 1.0, 0.3, 1.0, 0.0], "float32")
    logits = np.array([0.0, 0.0, -2.0, 1.5, 100.0, 100.0], "float32")
    _, _, (gradient,) = value_and_gradients(lambda x: (ops.sum(losses.window_cross_entropies(values, x)), ()), [logits])
    np.testing.assert_allclose(gradient, 1 / (1 + np.exp(-logits)) - values, atol=1e-6)  # also where the logit is 0


def test_kl_of_the_standard_gaussian_is_zero():
    np.testing.assert_array_equal(losses.kl_divergence(np.zeros((4, 3)), np.zeros((4, 3))), [0.0, 0.0, 0.0])


def test_kl_has_no_half_inside_and_takes_log_std():
    # One window: μ = 3, σ = 1 gives 9 + 1 − 0 − 1; μ = 0, σ = e gives 0 + e² − 2 − 1.
    kl = np.array(losses.kl_divergence([[3.0, 0.0]], [[0.0, 1.0]]))
    np.testing.assert_allclose(kl, [9.0, math.e**2 - 3.0], rtol=1e-6)
    half = kl / 2  # the usual KL in nats, which is wrong here
    assert not np.allclose(kl, half)
    log_variance = [9.0, math.e - 1.0 - 1.0]  # what a log variance of 1 gives, which is wrong
    assert not np.allclose(kl, log_variance)


def test_kl_is_one_value_per_code_variable_and_a_mean_over_windows():
    mean, log_std = RNG.normal(size=(2, 5, 3))
    expected = np.zeros(3)
    for m, s in zip(mean, log_std, strict=True):
        for i in range(3):
            expected[i] += (m[i] ** 2 + np.exp(s[i]) ** 2 - np.log(np.exp(s[i]) ** 2) - 1.0) / 5
    kl = np.array(losses.kl_divergence(mean, log_std))
    assert kl.shape == (3,)
    np.testing.assert_allclose(kl, expected, rtol=1e-5)
    assert not np.allclose(kl, 5 * expected)  # the sum over windows is wrong


@once
def test_kl_is_least_at_the_standard_gaussian():
    mean, log_std = RNG.normal(size=(2, 200, 1))
    for m, s in zip(mean, log_std, strict=True):
        assert float(losses.kl_divergence(m[None], s[None])[0]) > 0


@pytest.mark.parametrize(
    ("step", "value"), [(0, 0.0), (1, 0.625), (2, 1.25), (3, 1.875), (4, 2.5), (5, 2.5), (10**9, 2.5)]
)
def test_ramp_rises_linearly_and_stays(step, value):
    assert float(losses.ramp(step, 2.5, 4)) == value
    assert float(losses.ramp(ops.convert_to_tensor(np.int64(step)), 2.5, 4)) == value


def test_ramp_without_steps_is_final_from_the_start():
    assert float(losses.ramp(0, 2.5, 0)) == 2.5


def test_ramp_divides_whole_steps_without_rounding_down():
    assert float(losses.ramp(np.int64(1), 1.0, 3)) == pytest.approx(1 / 3)
    assert 1 // 3 == 0  # what whole-number division gives, which is wrong


def test_capacity_penalty_holds_kl_from_both_sides():
    assert float(losses.capacity_penalty(3.0, 5.0, 10.0)) == 20.0
    assert float(losses.capacity_penalty(8.0, 5.0, 10.0)) == 30.0
    assert float(losses.capacity_penalty(5.0, 5.0, 10.0)) == 0.0
    assert 10.0 * (3.0 - 5.0) < 0  # without the absolute value, which is wrong


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype):
    windows = ops.array([[300.0, 300.0], [0.0, 300.0]], dtype)
    reconstructions = ops.zeros((2, 2), dtype)
    rl = losses.reconstruction_loss(windows, reconstructions)
    assert rl.dtype == "float32"
    assert float(rl) == (2 * 90_000 + 90_000) / 2
    with np.errstate(over="ignore"):
        assert np.isinf(np.float16(300) ** 2)  # what float16 gives

    kl = losses.kl_divergence(ops.array([[300.0]], dtype), ops.array([[8.0]], dtype))
    assert kl.dtype == "float32"
    np.testing.assert_allclose(kl, [90_000 + math.exp(16.0) - 16.0 - 1.0], rtol=1e-6)

    penalty = losses.capacity_penalty(ops.array(60_000.0, dtype), ops.array(0.0, dtype), 10.0)
    assert penalty.dtype == "float32"
    np.testing.assert_allclose(penalty, 600_000.0, rtol=5e-3)
    assert losses.ramp(ops.array(1.0, dtype), 1.0, 2).dtype == "float32"


def test_small_differences_of_large_float16_values_survive():
    windows = ops.full((1, 5000), 1.0, "float16")
    reconstructions = ops.full((1, 5000), 2.0, "float16")
    assert float(losses.reconstruction_loss(windows, reconstructions)) == 5000.0
    total = np.float16(0)
    for _ in range(5000):
        total = np.float16(total + np.float16(1))
    assert total == 2048.0  # a running sum in float16 stops growing, which is wrong


def test_everything_is_the_same_under_xla():
    windows = RNG.normal(size=(2, 6, 2, 2, 1)).astype("float32")
    codes = RNG.normal(size=(2, 6, 3)).astype("float32")

    def everything(windows, reconstructions, mean, log_std, step):
        kl = losses.kl_divergence(mean, log_std)
        capacity = losses.ramp(step, 2.0, 7)
        return (
            losses.window_errors(windows, reconstructions),
            losses.reconstruction_loss(windows, reconstructions),
            kl,
            losses.capacity_penalty(ops.sum(kl), capacity, 3.0),
        )

    arguments = (*windows, *codes, ops.array(3))
    for under_xla, eager in zip(compiled(everything)(*arguments), everything(*arguments), strict=True):
        np.testing.assert_allclose(under_xla, eager, rtol=1e-5)


@needs_tensorflow  # JAX has no float64 unless it is told so before it starts
def test_float64_stays():
    """One part in 2⁴⁰ is more than float32 can tell from none."""
    windows, step = ops.zeros((1, 1), "float64"), 1 + 2.0**-40
    rl = losses.reconstruction_loss(windows, ops.array([[step]], "float64"))
    assert rl.dtype == "float64" and float(rl) == step**2 != 1
    assert float(losses.reconstruction_loss(ops.zeros((1, 1)), ops.array([[step]], "float64"))) == step**2
    kl = losses.kl_divergence(ops.array([[step]], "float64"), ops.zeros((1, 1)))
    assert kl.dtype == "float64" and float(kl[0]) == step**2
    assert float(losses.capacity_penalty(ops.array(step, "float64"), ops.array(0.0), 1.0)) == step
    assert float(losses.ramp(ops.array(1), step, 1, "float64")) == float(losses.ramp(0, step, 0, "float64")) == step


# Log loss (Eq. 2.21)


def by_hand(labels, logits):
    """Of each sample, in NumPy's extended precision."""
    powers = np.exp(np.longdouble(logits) - np.max(logits, axis=-1, keepdims=True))
    p = powers / powers.sum(axis=-1, keepdims=True)
    others = (powers.sum(axis=-1, keepdims=True) - powers) / powers.sum(axis=-1, keepdims=True)
    return np.float64(-np.mean(labels * np.log(p) + (1 - labels) * np.log(others), axis=-1))


@once
@pytest.mark.parametrize(("classes", "at_chance", "crossentropy"), [(3, 0.6365, 1.0986), (10, 0.3251, 2.3026)])
def test_log_loss_at_chance(classes, at_chance, crossentropy):
    labels = np.eye(classes, dtype="float32")
    loss = float(losses.LogLoss()(labels, np.full((classes, classes), 4.0, "float32")))
    assert loss == pytest.approx(at_chance, abs=5e-5)
    probabilities = np.full((classes, classes), 1 / classes, "float32")
    assert float(losses.LogLoss(from_logits=False)(labels, probabilities)) == pytest.approx(at_chance, abs=5e-5)
    assert loss != pytest.approx(crossentropy, rel=0.1)  # another loss
    assert at_chance == pytest.approx(
        -(np.log(1 / classes) + (classes - 1) * np.log(1 - 1 / classes)) / classes, abs=5e-5
    )


@once
def test_log_loss_equals_the_formula():
    logits = RNG.normal(0, 3, (50, 4)).astype("float32")
    logits[0] = [2, 2, 2, 2]
    logits[1] = [7, 7, 0, 0]
    labels = np.eye(4, dtype="float32")[RNG.integers(0, 4, 50)]
    found = losses.LogLoss(reduction="none")(labels, logits)
    np.testing.assert_allclose(found, by_hand(labels, logits), rtol=1e-5)
    mixed = RNG.dirichlet(np.ones(4), 50).astype("float32")  # labels need not be one-hot
    np.testing.assert_allclose(losses.LogLoss(reduction="none")(mixed, logits), by_hand(mixed, logits), rtol=1e-5)


def test_log_loss_of_logits_of_any_size():
    """Where probabilities are 0 and 1 to all their digits."""
    logits = np.array([[1e4, 0, -1e4], [1e4, 0, -1e4], [-1e4, 1e4, 1e4], [0, 40, 0]], "float32")
    labels = np.eye(3, dtype="float32")[[0, 2, 0, 1]]
    expected = [0, (2e4 + 1e4) / 3, (2e4 + 3 * np.log(2)) / 3, 0]
    expected[3] = (2 * np.exp(-40) + 2 * np.exp(-40)) / 3  # log(1 + x) = x, of the right class and of both others

    def loss(logits):
        return keras.ops.sum(losses.LogLoss(reduction="none")(labels, logits)), ()

    np.testing.assert_allclose(losses.LogLoss(reduction="none")(labels, logits), expected, rtol=1e-5, atol=1e-30)
    (gradient,) = value_and_gradients(loss, [logits], [])[2]
    assert np.all(np.isfinite(gradient))
    halves = losses.LogLoss(reduction="none")(labels, keras.ops.cast(logits, "float16"))
    np.testing.assert_allclose(halves, expected, rtol=1e-3, atol=1e-10)


def test_gradient_of_log_loss_equals_the_numerical_one():
    logits = RNG.normal(size=(3, 4)).astype("float32")
    labels = np.eye(4, dtype="float32")[[0, 3, 1]]

    def loss(logits):
        return losses.LogLoss()(labels, logits), ()

    (gradient,) = value_and_gradients(loss, [logits], [])[2]
    for place in np.ndindex(logits.shape):
        step = np.zeros(logits.shape)
        step[place] = 1e-4
        slope = (np.mean(by_hand(labels, logits + step)) - np.mean(by_hand(labels, logits - step))) / 2e-4
        assert float(gradient[place]) == pytest.approx(slope, rel=1e-3, abs=1e-5)


def test_log_loss_is_saved_and_refuses_a_single_class():
    loss = keras.losses.deserialize(keras.losses.serialize(losses.LogLoss(from_logits=False, name="mine")))
    assert isinstance(loss, losses.LogLoss) and not loss.from_logits and loss.name == "mine"
    with pytest.raises(ValueError, match=r"`y_pred` must be .* of at least two classes. Received: y_pred=\(4, 1\)"):
        losses.LogLoss()(np.ones((4, 1)), np.ones((4, 1)))


@once
@pytest.mark.parametrize("shift", [1e4, 1e6, 3e8, -3e8])
def test_log_loss_does_not_change_where_all_logits_are_shifted(shift):
    logits = np.full((3, 3), shift, "float32")
    values = np.array(losses.LogLoss(reduction="none")(np.eye(3, dtype="float32"), logits))
    np.testing.assert_allclose(values, 0.636514, rtol=1e-6)  # at chance, whichever class is the label's


def test_log_loss_refuses_labels_that_are_not_one_hot():
    logits = np.zeros((2, 4), "float32")
    for labels in (np.array([[0], [1]]), np.array([0, 1])):
        with pytest.raises(
            ValueError, match="Argument `y_true` must be one-hot labels of the shape of the predictions"
        ):
            losses.LogLoss()(labels.astype("float32"), logits)


# Maximum mean discrepancy


def kernel(first, second, bandwidth):
    """Similarities of all pairs [n, m], by a loop."""
    found = np.zeros((len(first), len(second)))
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            found[i, j] = math.exp(-sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) / bandwidth**2)
    return found


def loop(codes, bandwidth):
    """MMD² with the terms of the prior as they are known."""
    codes, length = np.asarray(codes, "float64"), codes.shape[1]
    pairs = kernel(codes, codes, bandwidth)
    of_pairs = np.mean([pairs[i, j] for i in range(len(codes)) for j in range(len(codes)) if i != j])
    of_codes = [np.exp(-np.sum(code**2) / (bandwidth**2 + 2)) for code in codes]
    known = (1 + 4 / bandwidth**2) ** (-length / 2), (1 + 2 / bandwidth**2) ** (-length / 2)
    return of_pairs + known[0] - 2 * known[1] * np.mean(of_codes)


@pytest.mark.parametrize(("length", "bandwidth"), [(1, None), (3, None), (3, 0.7)])
def test_mmd_equals_a_loop(length, bandwidth):
    codes = RNG.normal(0.5, 2.0, (20, length)).astype("float32")
    expected = loop(codes, bandwidth or length)
    np.testing.assert_allclose(losses.maximum_mean_discrepancy(codes, bandwidth), expected, rtol=1e-4, atol=1e-6)
    assert abs(loop(codes, 1.1 * (bandwidth or length)) - expected) > 1e-3  # which another kernel would not reach


@once
@pytest.mark.parametrize("bandwidth", [None, 1.5])
def test_what_is_known_of_the_prior_agrees_with_draws_from_it(bandwidth):
    draws, others = RNG.normal(size=(2, 200_000, 3))
    codes = np.array([[0.0, 0.0, 0.0], [1.0, -2.0, 0.5]], "float32")
    similarities = np.exp(-np.sum((draws - others) ** 2, axis=1) / (bandwidth or 3) ** 2)
    np.testing.assert_allclose(losses.prior_similarity(3, bandwidth), similarities.mean(), atol=2e-3)
    for code, found in zip(codes, losses.prior_similarities(codes, bandwidth), strict=True):
        expected = np.mean(np.exp(-np.sum((code - draws) ** 2, axis=1) / (bandwidth or 3) ** 2))
        np.testing.assert_allclose(found, expected, atol=2e-3)


@needs_tensorflow  # whose graph takes a fraction of the time; what it computes is compared with all backends' above
def test_mmd_of_draws_from_the_prior_is_zero_on_average():
    """With every code beside itself, as in a V-statistic, it is not; and twice as far from it where the prior is drawn,
    too, as is often done."""
    import tensorflow as tf

    batches = RNG.normal(size=(600, 2, 64, 4)).astype("float32")
    graph = tf.function(losses.maximum_mean_discrepancy)
    found = np.array([float(graph(codes)) for codes in tf.constant(batches[:, 0])])
    assert abs(found.mean()) < 4 * found.std() / len(found) ** 0.5 < 6e-4
    assert (found < 0).any()

    def similarity(first, second):
        return np.exp(-np.sum((first[:, None] - second[None]) ** 2, axis=2) / 16).mean()

    biased = [similarity(a, a) + similarity(b, b) - 2 * similarity(a, b) for a, b in batches[:200]]
    expected = 2 * (1 - losses.prior_similarity(4)) / 64
    np.testing.assert_allclose(np.mean(biased), expected, rtol=0.1)
    assert expected > 0.01 > 10 * abs(found.mean())


@once
def test_mmd_sees_what_is_not_the_prior():
    prior = RNG.normal(size=(500, 2)).astype("float32")
    far = {"prior": prior, "shifted": prior + 1.0, "narrow": 0.2 * prior, "wide": 3.0 * prior, "split": prior}
    far["split"] = np.where(prior > 0, 1.5, -1.5).astype("float32")
    found = {name: float(losses.maximum_mean_discrepancy(codes)) for name, codes in far.items()}
    prior_value = abs(found.pop("prior"))
    assert prior_value < 3e-3 and all(value > 4 * prior_value for value in found.values())


@once
def test_mmd_of_fewer_than_two_codes_is_zero():
    for count in (0, 1):
        assert float(losses.maximum_mean_discrepancy(np.ones((count, 3), "float32"))) == 0.0
    assert float(losses.maximum_mean_discrepancy(np.ones((2, 3), "float32"))) > 0.1


def test_mmd_of_half_precision_neither_overflows_nor_rounds_away():
    codes = (300.0 + RNG.normal(size=(30, 3))).astype("float16")
    found = losses.pair_similarity(codes)[0]
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    exact = kernel(codes.astype("float64"), codes.astype("float64"), 3)
    np.testing.assert_allclose(found, exact[~np.eye(30, dtype=bool)].mean(), rtol=1e-5)


@once
@pytest.mark.parametrize("count", [1024, 1025, 2047, 5000])
def test_pairs_are_those_of_at_most_1024_codes(count):
    codes = RNG.normal(size=(count, 2)).astype("float32")
    similarity, pairs = losses.pair_similarity(codes)
    places = np.array(losses._some(ops.arange(count)[:, None]))[:, 0]
    stride = -(-count // 1024)
    assert len(places) == count // stride <= 1024 and float(pairs) == len(places) * (len(places) - 1)
    np.testing.assert_array_equal(places // stride, np.arange(len(places)))  # one of every stretch
    taken = np.sum((codes[places][:, None] - codes[places][None]) ** 2, axis=2)
    expected = (np.exp(-taken / 4).sum() - len(places)) / float(pairs)
    np.testing.assert_allclose(similarity, expected, rtol=1e-4)


@once
def test_codes_are_taken_from_all_places_of_an_image():
    """Of 256 images with 64 windows each, a fixed stride of 16 would see four."""
    places = np.array(losses._some(ops.arange(256 * 64)[:, None]))[:, 0] % 64
    counts = np.bincount(places, minlength=64)
    assert len(np.unique(np.arange(0, 256 * 64, 16) % 64)) == 4
    assert counts.min() > 8 and counts.max() < 24


@pytest.mark.parametrize("count", few([20, 3000], [20]))
def test_mmd_and_its_gradient_under_xla(count):
    codes = RNG.normal(1.0, 0.5, (count, 2)).astype("float32")
    np.testing.assert_allclose(
        compiled(losses.maximum_mean_discrepancy)(codes), losses.maximum_mean_discrepancy(codes), rtol=1e-4
    )
    _, _, (gradient,) = value_and_gradients(lambda z: (losses.maximum_mean_discrepancy(z), ()), [codes])
    step = codes - 50.0 * count**0.5 * np.array(gradient)
    assert np.isfinite(gradient).all() and np.mean(step) < np.mean(codes)  # codes are drawn to the prior


@needs_tensorflow
def test_mmd_of_a_number_of_codes_that_a_graph_does_not_know():
    import tensorflow as tf

    graph = tf.function(losses.maximum_mean_discrepancy, input_signature=[tf.TensorSpec((None, 2))])
    for count in (0, 1, 2, 1024, 2500):
        codes = RNG.normal(size=(count, 2)).astype("float32")
        np.testing.assert_allclose(graph(codes), losses.maximum_mean_discrepancy(codes), rtol=1e-5, atol=1e-7)


@once
def test_the_gradient_of_equal_codes_is_a_number():
    _, _, (gradient,) = value_and_gradients(
        lambda z: (losses.maximum_mean_discrepancy(z), ()), [np.ones((5, 2), "float32")]
    )
    assert np.isfinite(gradient).all() and np.all(np.array(gradient) > 0)


@pytest.mark.parametrize("bandwidth", [0, -1.0, float("nan"), "wide"])
def test_bandwidths_are_above_zero(bandwidth):
    with pytest.raises(ValueError, match="Argument `bandwidth` must be a finite number"):
        losses.maximum_mean_discrepancy(np.ones((2, 1), "float32"), bandwidth)
