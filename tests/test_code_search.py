"""Latent optimisation: against the pseudo-inverse of a linear decoder, and what it must leave alone."""

import keras
import numpy as np
import pytest
from backends import once
from keras import layers, ops

import lea_keras
from lea_keras import optimize_codes
from lea_keras.hooks import layers_of

SHAPE = (3, 4, 1)


def linear(code_length=2, **arguments):
    """A built autoencoder whose decoder is x̂ = z·kernel + bias, with both."""
    decoder = keras.Sequential([layers.Dense(12, bias_initializer="normal"), layers.Reshape(SHAPE)])
    autoencoder = lea_keras.StandardAutoencoder(code_length, encoder=layers.Flatten(), decoder=decoder, **arguments)
    autoencoder.encode(windows(1))
    kernel, bias = (ops.convert_to_numpy(weight) for weight in decoder.weights)
    return autoencoder, kernel, bias


def windows(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, *SHAPE)).astype("float32")


def error(autoencoder, codes, targets):
    return np.sum((ops.convert_to_numpy(autoencoder.decode(codes)) - targets) ** 2, axis=(1, 2, 3))


eagerly = pytest.mark.usefixtures("eagerly")  # a search of few steps takes less time than to trace one


@once
def test_a_linear_decoder_is_inverted():
    autoencoder, kernel, bias = linear()
    targets = windows(3)
    codes = optimize_codes(autoencoder, targets, 100, tolerance=0, optimizer=keras.optimizers.SGD(0.3))
    best = (targets.reshape(3, -1) - bias) @ np.linalg.pinv(kernel)
    assert codes.shape == (3, 2) and codes.dtype == np.float32
    np.testing.assert_allclose(codes, best, atol=2e-3)
    encoded = ops.convert_to_numpy(autoencoder.encode(targets))  # the tempting wrong answer
    assert np.max(np.abs(encoded - best)) > 0.1


@once
def test_the_optimum_for_a_class_is_that_for_its_mean():
    """Σ‖D(z) − x‖² = n·‖D(z) − x̄‖² + const, whatever z is."""
    autoencoder, kernel, bias = linear()
    members = windows(20, seed=1)
    mean = members.mean(axis=0, keepdims=True)
    constant = np.sum((members - mean) ** 2)
    found = optimize_codes(autoencoder, mean, 100, tolerance=0, optimizer=keras.optimizers.SGD(0.2))
    for codes in (np.zeros((1, 2), "float32"), found):
        all_members = error(autoencoder, np.repeat(codes, 20, axis=0), members).sum()
        np.testing.assert_allclose(all_members, 20 * error(autoencoder, codes, mean)[0] + constant, rtol=1e-5)
    stacked = np.linalg.pinv(np.tile(kernel, (1, 20)))  # the optimum over all of them at once
    best = (members.reshape(1, -1) - np.tile(bias, 20)) @ stacked
    np.testing.assert_allclose(found, best, atol=2e-3)


def state(autoencoder):
    parts = layers_of(autoencoder)
    flags = [(part.trainable, [variable.trainable for variable in part.variables]) for part in parts]
    return flags, [ops.convert_to_numpy(variable) for variable in autoencoder.variables]


class Nested(layers.Layer):
    """A decoder whose ``call`` takes no ``training``, and what is inside does."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        stack = [layers.Dense(8, "relu"), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(12)]
        self.stack = keras.Sequential([*stack, layers.Reshape(SHAPE)])

    def call(self, codes):
        return self.stack(codes)


@once
@eagerly
@pytest.mark.parametrize("kind", ["standard", "vae"])
def test_nothing_of_the_autoencoder_changes_and_its_decoder_computes_as_outside_training(kind):
    keras.utils.set_random_seed(1)
    autoencoder = lea_keras.autoencoders.get(kind, code_length=2, decoder=Nested())
    targets = windows(4)
    autoencoder.encode(targets)
    autoencoder.decoder.stack.layers[0].trainable = False
    flags, weights = state(autoencoder)
    first = optimize_codes(autoencoder, targets, 4)
    after = state(autoencoder)
    assert after[0] == flags
    for before, now in zip(weights, after[1], strict=True):
        np.testing.assert_array_equal(before, now)
    np.testing.assert_array_equal(first, optimize_codes(autoencoder, targets, 4))  # no dropout
    encoded = ops.convert_to_numpy(autoencoder.encode(targets))
    assert error(autoencoder, first, targets).sum() < error(autoencoder, encoded, targets).sum()


@eagerly
def test_random_streams_of_the_user_are_left_alone():
    autoencoder, *_ = linear()
    draws = []
    for search in (False, True):
        keras.utils.set_random_seed(3)
        if search:
            optimize_codes(autoencoder, windows(2), 2)
        draws.append(ops.convert_to_numpy(keras.random.normal((3,))))
    np.testing.assert_array_equal(*draws)


@once
@eagerly
def test_it_starts_at_the_codes_of_the_targets():
    keras.utils.set_random_seed(0)
    autoencoder = lea_keras.VariationalAutoencoder(2, code_maps="sample", seed=0)
    autoencoder.encode(windows(3))
    mean = ops.convert_to_numpy(autoencoder.posterior(autoencoder.features(windows(3)))[0])
    still = keras.optimizers.SGD(0.0)
    np.testing.assert_allclose(optimize_codes(autoencoder, windows(3), 2, optimizer=still), mean, rtol=1e-6)
    start = np.full((3, 2), 0.5)
    found = optimize_codes(autoencoder, windows(3), 2, start=start, optimizer=keras.optimizers.SGD(0.0))
    np.testing.assert_array_equal(found, start)


def test_it_stops_when_the_loss_is_flat():
    autoencoder, *_ = linear()
    counted = keras.optimizers.SGD(0.0)
    optimize_codes(autoencoder, windows(3), 2000, optimizer=counted)
    assert int(counted.iterations) == 100  # the second round is not better than the first
    counted = keras.optimizers.SGD(0.0)
    optimize_codes(autoencoder, windows(3), 124, optimizer=counted, tolerance=0)
    assert int(counted.iterations) == 124


@once
@eagerly
def test_probabilities_of_a_bernoulli_likelihood_and_tied_kernels():
    """The error is that of what ``decode`` returns, whichever decoder that is."""
    autoencoder = lea_keras.StandardAutoencoder(4, units=(), decoder="tied", likelihood="bernoulli")
    targets = np.random.default_rng(0).uniform(0.3, 0.7, size=(3, *SHAPE)).astype("float32")
    before = error(autoencoder, autoencoder.encode(targets), targets)
    kernel = ops.convert_to_numpy(autoencoder.code.kernel)
    assert np.all(error(autoencoder, optimize_codes(autoencoder, targets, 8), targets) < before)
    np.testing.assert_array_equal(autoencoder.code.kernel, kernel)


@eagerly
def test_mixed_precision():
    autoencoder, *_ = linear(dtype="mixed_bfloat16")
    codes = optimize_codes(autoencoder, windows(2), 2)
    assert codes.dtype == np.float32 and np.all(np.isfinite(codes))


def unbuilt():
    return lea_keras.StandardAutoencoder(2, name="mine")


WRONG = {
    "unbuilt": (lambda: optimize_codes(unbuilt(), windows(2)), "`autoencoder` must be built: .*autoencoder='mine'"),
    "a model": (lambda: optimize_codes(keras.Sequential(), windows(2)), "`autoencoder` must be an autoencoder"),
    "shape": (lambda: optimize_codes(linear()[0], windows(2)[..., 0]), r"`targets` must be .*\(None, 3, 4, 1\)"),
    "none": (lambda: optimize_codes(linear()[0], windows(0)), "`targets` must be finite numbers"),
    "nan": (lambda: optimize_codes(linear()[0], windows(2) * np.nan), "`targets` must be finite numbers"),
    "start": (lambda: optimize_codes(linear()[0], windows(2), start=np.zeros((3, 2))), r"`start` must be .*\(2, 2\)"),
    "steps": (lambda: optimize_codes(linear()[0], windows(2), 0), "`steps` must be an integer of at least 1"),
    "tolerance": (lambda: optimize_codes(linear()[0], windows(2), tolerance=-1), "`tolerance` must be a finite number"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_get_one_line(case):
    search, message = WRONG[case]
    with pytest.raises(ValueError, match=message) as error:
        search()
    assert "\n" not in str(error.value)
