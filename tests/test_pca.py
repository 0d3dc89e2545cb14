"""Principal components: against NumPy, as the least error of linear autoencoders, and as their weights."""

import keras
import numpy as np
import pytest

import lea_keras
from lea_keras import pca

SHAPE = (3, 2, 2)  # 12 values a window


def windows(count=200, seed=0):
    """Windows [n, 3, 2, 2] whose values depend on each other, and whose mean is not zero."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(count, 12)) * np.linspace(3, 0.1, 12) @ rng.normal(size=(12, 12))
    return (mixed + rng.normal(size=12)).reshape(-1, *SHAPE).astype("float32")


def linear(code_length, cls=lea_keras.StandardAutoencoder, **arguments):
    return cls(code_length, encoder="fc", decoder="fc", units=(), **arguments)


def parts(autoencoder):
    """Kernel and bias to the code, and back."""
    code, back = autoencoder.code, autoencoder.decoder.reconstruction
    return [code.kernel, code.bias, back.kernel, back.bias]


def weights_of(autoencoder):
    return [np.array(part) for part in parts(autoencoder)]


def assign(autoencoder, weights):
    for part, weight in zip(parts(autoencoder), weights, strict=True):
        part.assign(weight)


def rl(autoencoder, of):
    return float(autoencoder.objective(of).loss)


def test_components_are_those_of_numpy():
    found, flat = pca.components(windows()), windows().reshape(200, 12).astype("float64")
    np.testing.assert_allclose(found.mean, flat.mean(axis=0), atol=1e-12)
    expected = np.linalg.eigvalsh(np.cov(flat, rowvar=False, bias=True))[::-1]
    np.testing.assert_allclose(found.eigenvalues, expected, rtol=1e-9)
    np.testing.assert_allclose(found.directions.T @ found.directions, np.eye(12), atol=1e-12)
    variances = np.var((flat - found.mean) @ found.directions, axis=0)
    np.testing.assert_allclose(variances, expected, rtol=1e-9)
    # One window fewer in the denominator, as statisticians count, would be another error.
    assert abs(np.sum(np.cov(flat, rowvar=False).trace() - expected.sum())) > 1e-3
    biggest = np.abs(found.directions).argmax(axis=0)
    assert np.all(found.directions[biggest, np.arange(12)] > 0)


def test_batches_are_the_whole_and_need_not_be_of_one_size():
    whole, batches = windows(), (windows()[start : start + 64] for start in range(0, 200, 64))
    one, other = pca.components(whole), pca.components(batches)
    assert one.shape == SHAPE
    for first, second in zip(one[:3], other[:3], strict=True):
        np.testing.assert_allclose(first, second, atol=1e-10)


def test_without_centring_it_is_the_svd():
    found, flat = pca.components(windows(), center=False), windows().reshape(200, 12).astype("float64")
    _, singular, directions = np.linalg.svd(flat, full_matrices=False)
    np.testing.assert_allclose(found.eigenvalues, singular**2 / 200, rtol=1e-9)
    np.testing.assert_allclose(np.abs(found.directions.T @ directions.T), np.eye(12), atol=1e-6)
    assert np.all(found.mean == 0)


def test_the_least_error_falls_to_zero_with_the_code():
    errors = [pca.least_error(windows(), code_length) for code_length in range(1, 13)]
    assert errors == sorted(errors, reverse=True) and errors[-1] == 0 and errors[-2] > 0
    assert pca.least_error(windows(), 30) == 0
    for code_length in (1, 4):
        assert pca.least_error(windows(), code_length, center=False) > errors[code_length - 1]


@pytest.mark.parametrize("code_length", [1, 4, 12])
def test_a_fitted_autoencoder_has_the_least_error(code_length):
    autoencoder, of = linear(code_length), windows()
    found = pca.fit(autoencoder, of)
    least = pca.least_error(of, code_length)
    np.testing.assert_allclose(rl(autoencoder, of), least, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(least, found.eigenvalues[code_length:].sum(), rtol=1e-12)
    codes = np.asarray(autoencoder.encode(of))
    np.testing.assert_allclose(np.cov(codes, rowvar=False, bias=True).reshape(code_length, -1).diagonal(),
                               found.eigenvalues[:code_length], rtol=1e-3, atol=1e-4)  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_no_other_linear_autoencoder_is_better(seed):
    rng, autoencoder, of = np.random.default_rng(seed), linear(4), windows()
    pca.fit(autoencoder, of)
    least, weights = pca.least_error(of, 4), weights_of(autoencoder)
    assign(autoencoder, [weight + rng.normal(size=weight.shape) * 0.01 for weight in weights])
    assert rl(autoencoder, of) > least
    # Any invertible map of the code that the decoder undoes is as good: products are compared, never weights.
    change = rng.normal(size=(4, 4)) + 3 * np.eye(4)
    kernel, bias, back, mean = weights
    assign(autoencoder, [kernel @ change, bias @ change, np.linalg.inv(change) @ back, mean])
    np.testing.assert_allclose(rl(autoencoder, of), least, rtol=1e-3)


def test_a_fitted_autoencoder_projects():
    autoencoder, of = linear(4), windows()
    pca.fit(autoencoder, of, center=False)
    kernel, bias, back, mean = weights_of(autoencoder)
    projector = kernel @ back  # [p, p]
    np.testing.assert_allclose(projector @ projector, projector, atol=1e-5)
    np.testing.assert_allclose(projector, projector.T, atol=1e-6)
    assert np.linalg.matrix_rank(projector, tol=1e-3) == 4 and not np.any(bias) and not np.any(mean)
    np.testing.assert_allclose(rl(autoencoder, of), pca.least_error(of, 4, center=False), rtol=1e-5)
    inside = (of.reshape(-1, 12) @ projector).reshape(of.shape)
    assert rl(autoencoder, inside) < 1e-6


def test_the_error_of_a_batch_needs_the_mean_of_the_batch():
    of, k = windows(), 4
    found = pca.components(of)
    flat = of.reshape(-1, 12).astype("float64") - found.mean
    rest, batch = found.directions[:, k:], flat[:7]
    autoencoder = linear(k)
    pca.fit(autoencoder, of)
    error = 7 * rl(autoencoder, of[:7])
    within = 6 * np.sum(rest * (np.cov(batch, rowvar=False) @ rest))
    shift = 7 * np.sum(np.square(batch.mean(axis=0) @ rest))
    np.testing.assert_allclose(error, within + shift, rtol=1e-4)
    assert abs(error - within) > 0.01 * error  # the identity as the assignment has it


def test_a_k_sparse_autoencoder_keeps_the_largest_components():
    of = windows()
    everything = linear(6, lea_keras.KSparseAutoencoder, k=6)
    pca.fit(everything, of)
    np.testing.assert_allclose(rl(everything, of), pca.least_error(of, 6), rtol=1e-5)
    few = linear(6, lea_keras.KSparseAutoencoder, k=2, a=1.0)
    pca.fit(few, of)
    assert rl(few, of) > pca.least_error(of, 6)


def test_a_layer_of_components_exports_to_one_convolution():
    images = np.random.default_rng(0).random((2, 8, 8, 1)).astype("float32")
    lea = lea_keras.LocallyEmbeddedAutoencoder(4, linear(3))
    inputs = keras.Input((8, 8, 1))
    model = lea_keras.LEAModel(inputs, lea(inputs))
    pca.fit(lea.autoencoder, np.asarray(lea_keras.windows.extract_windows(images, 4)).reshape(-1, 4, 4, 1))
    encoder = lea_keras.export_encoder(model)
    np.testing.assert_allclose(encoder.predict(images, verbose=0), model.predict(images, verbose=0), atol=1e-5)


def test_what_cannot_be_fitted_is_refused_before_any_work():
    def never():
        raise AssertionError("windows were read")
        yield

    for autoencoder in (
        lea_keras.StandardAutoencoder(2),
        lea_keras.StandardAutoencoder(2, encoder="conv"),
        lea_keras.VariationalAutoencoder(2, units=()),
        lea_keras.StandardAutoencoder(2, units=(), likelihood="bernoulli"),
        keras.layers.Dense(2),
        None,
    ):
        with pytest.raises(
            ValueError, match="`autoencoder` must be (a linear autoencoder such as|one with likelihood)"
        ):
            pca.fit(autoencoder, never())


@pytest.mark.parametrize(
    ("of", "message"),
    [
        (3, "`windows` must be an array .* or batches of such. Received: windows='int'"),
        ([], "at least one window"),
        (np.zeros((0, 2, 2, 1)), "at least one window"),
        (np.zeros((5, 4)), "of one shape"),
        ([(np.zeros((5, 2, 2, 1)), np.zeros(5))], "Of pairs such as images and labels take the first part"),
        ([np.zeros((5, 2, 2, 1)), np.zeros((5, 4, 1, 1))], "of one shape"),
        (np.full((5, 2, 2, 1), np.nan), "finite numbers"),
    ],
)
def test_bad_windows_are_named(of, message):
    with pytest.raises(ValueError, match=message):
        pca.components(of)


def test_a_code_longer_than_a_window_and_windows_of_another_shape():
    with pytest.raises(ValueError, match="`code_length` must be at most 12, the number of values of a window"):
        pca.fit(linear(13), windows())
    built = linear(2)
    built.encode(np.zeros((1, 4, 4, 1), "float32"))
    with pytest.raises(ValueError, match=r"`windows` must be \[n, 4, 4, 1\]"):
        pca.fit(built, windows())
    with pytest.raises(ValueError, match=r"`windows` must be \[n, 4, 4, 1\], as the autoencoder was built for"):
        pca.fit(built, np.zeros((3, 2, 8, 1), "float32"))  # as many values
    with pytest.raises(ValueError, match="built, or the windows one array"):
        pca.fit(linear(2), iter([windows()]))
    with pytest.raises(ValueError, match="`code_length` must be an integer of at least 1"):
        pca.least_error(windows(), 0)
