"""What variational objectives bound and how they come apart, where all of it is known in closed form."""

import itertools
import math

import keras
import numpy as np
import pytest

import lea_keras
from lea_keras import losses

# A linear decoder with orthogonal columns, so that the exact posterior has independent variables.
SIZE, LENGTH, NOISE = 4, 2, 0.6  # values of a window, variables of a code, standard deviation s of the decoder
KERNEL = np.array([[1.0, 0.5], [1.0, -0.5], [-0.5, 1.0], [0.5, 1.0]]) @ np.diag([1.2, 0.4])  # W: [SIZE, LENGTH]
BIAS = np.array([0.3, -0.1, 0.2, 0.0])
WINDOWS = np.random.default_rng(0).normal(size=(5, SIZE)) @ np.diag([1.0, 0.5, 2.0, 1.0]) + BIAS


def exact_posterior():
    """The kernel and bias of μ, and log σ, for which q(z|x) is p(z|x)."""
    assert abs(KERNEL[:, 0] @ KERNEL[:, 1]) < 1e-12
    variances = 1.0 / (1.0 + np.sum(KERNEL**2, axis=0) / NOISE**2)
    kernel = KERNEL * variances / NOISE**2
    return kernel, -BIAS @ kernel, 0.5 * np.log(variances)


def negative_elbos(beta, shift=0.0, stretch=0.0):
    """−ELBO of each window as the autoencoder's loss has it, for a posterior shifted and stretched from the exact one.

    RL is quadratic in z, so that its mean over all corners of the cube [−1, 1]ᵈ is that over Gaussian noise, exactly.
    """
    encoder = keras.layers.Flatten(dtype="float64")
    parts = [keras.layers.Dense(SIZE, dtype="float64"), keras.layers.Reshape((2, 2, 1), dtype="float64")]
    decoder = keras.Sequential(parts)
    autoencoder = lea_keras.VariationalAutoencoder(LENGTH, beta=beta, encoder=encoder, decoder=decoder, dtype="float64")
    autoencoder.build((None, 2, 2, 1))
    parts[0].set_weights([KERNEL.T, BIAS])
    kernel, bias, log_std = exact_posterior()
    autoencoder.mean.set_weights([kernel, bias + shift])
    autoencoder.log_std.set_weights([0.0 * kernel, log_std + stretch])
    found = []
    for window in WINDOWS:
        corners = np.array(list(itertools.product([-1.0, 1.0], repeat=LENGTH)))
        windows = np.broadcast_to(window.reshape(1, 2, 2, 1), (len(corners), 2, 2, 1))
        report = autoencoder.measure(keras.ops.convert_to_tensor(windows), corners, training=True)
        means = {name: losses.window_mean(report.measures[name]) for name in autoencoder.averaged}
        loss = float(autoencoder.loss(means, None)[0])
        found.append(loss / (2 * NOISE**2) + SIZE / 2 * math.log(2 * math.pi * NOISE**2))
    return np.array(found)


def negative_log_likelihoods():
    """−log N(x; b, W·Wᵀ + s²·I)."""
    covariance = KERNEL @ KERNEL.T + NOISE**2 * np.eye(SIZE)
    centred = WINDOWS - BIAS
    squares = np.sum(centred * np.linalg.solve(covariance, centred.T).T, axis=1)
    return 0.5 * (squares + np.linalg.slogdet(covariance)[1] + SIZE * math.log(2 * math.pi))


def test_the_bound_is_met_by_the_exact_posterior_with_beta_the_variance_of_the_decoder():
    np.testing.assert_allclose(negative_elbos(NOISE**2), negative_log_likelihoods(), rtol=1e-9)
    for beta in (2 * NOISE**2, NOISE**2 / 2, NOISE):  # the last, and KL with a ½ inside, are wrong
        assert np.abs(negative_elbos(beta) - negative_log_likelihoods()).min() > 0.05


@pytest.mark.parametrize(("shift", "stretch"), [(0.1, 0.0), (-1.0, 0.0), (0.0, 0.2), (0.0, -1.0), (0.5, 0.5)])
def test_any_other_posterior_is_above_it(shift, stretch):
    assert np.all(negative_elbos(NOISE**2, shift, stretch) > negative_log_likelihoods() + 1e-3)


def test_kl_is_information_and_what_the_mixture_is_from_the_prior():
    """E KL(q(z|x)‖p) = I(x; z) + KL(q(z)‖p), two points x, by quadrature; the package's KL is twice the usual."""
    means, stds = np.array([[-1.0], [1.4]]), np.array([[0.5], [0.8]])
    z = np.linspace(-12, 12, 200_001)

    def density(mean, std):
        return np.exp(-0.5 * ((z - mean) / std) ** 2) / std / math.sqrt(2 * math.pi)

    def divergence(first, second):
        return np.trapezoid(np.where(first > 0, first * np.log(np.maximum(first, 1e-300) / second), 0.0), z)

    posteriors, prior = [density(*pair) for pair in zip(means[:, 0], stds[:, 0], strict=True)], density(0.0, 1.0)
    mixture = np.mean(posteriors, axis=0)
    information = np.mean([divergence(posterior, mixture) for posterior in posteriors])
    kl = float(losses.window_mean(losses.window_divergences(means, np.log(stds)))) / 2
    np.testing.assert_allclose(kl, information + divergence(mixture, prior), rtol=1e-6)
    assert 0 < information < math.log(2) and 0.05 < divergence(mixture, prior) < kl
