"""Pictures of what a decoder makes of the prior, and filters of linear encoders: from which codes and weights."""

from statistics import NormalDist

import keras
import numpy as np
import pytest
from generated_pictures import make_linear, planar

import lea_keras
from lea_keras import plots
from lea_keras.plots.generated import manifold_codes


def pictures(figure):
    return [np.asarray(image.get_array()) for image in figure.axes[0].images]


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_manifold_is_a_grid_of_equally_likely_codes():
    codes = manifold_codes(4)
    assert codes.shape == (4, 4, 2) and np.all(np.isfinite(codes))
    quantiles = np.vectorize(NormalDist().cdf)(codes)
    np.testing.assert_allclose(quantiles[0, :, 0], [1 / 8, 3 / 8, 5 / 8, 7 / 8], atol=1e-6)  # Φ⁻¹(i / 4) would have ∞
    np.testing.assert_allclose(quantiles[:, 0, 1], [7 / 8, 5 / 8, 3 / 8, 1 / 8], atol=1e-6)  # upwards
    assert np.all(codes[:, :, 0] == codes[:1, :, 0]) and np.all(codes[:, :, 1] == codes[:, :1, 1])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_manifold_shows_every_decoded_code_in_its_place(channels):
    autoencoder = planar(channels)
    figure = plots.latent_manifold(autoencoder, 5, (-2, 2), name="vae")
    (picture,) = pictures(figure)
    assert picture.shape[:2] == (5 * 3, 5 * 4)  # 25 pictures of 3×4
    for row in range(5):
        for column in range(5):
            tile = picture[3 * row : 3 * row + 3, 4 * column : 4 * column + 4]
            window = np.asarray(autoencoder.decode(manifold_codes(5)[row, column][None]))[0]
            expected = (window + 2) / 4 if channels == 3 else window.mean(axis=-1)
            np.testing.assert_allclose(tile, expected, atol=1e-6)
    title, note = texts(figure)
    assert title == "vae: decoded codes over the plane"
    assert "within ±1.28" in note and "black -2, white 2" in note and ("mean of 4" in note) == (channels == 4)


def test_samples_are_those_of_the_autoencoder():
    autoencoder = planar(code_length=3)
    figure = plots.samples(autoencoder, 7, seed=3)
    drawn = np.asarray(autoencoder.sample(7, 3))[..., 0]
    np.testing.assert_allclose(np.stack(pictures(figure)), drawn, atol=1e-6)
    lefts = [round(image.get_extent()[0], 2) for image in figure.axes[0].images]
    assert lefts[:3] == lefts[3:6] and lefts[6] == lefts[0]  # rows of three
    assert {image.get_clim() for image in figure.axes[0].images} == {(drawn.min(), drawn.max())}


def test_samples_of_every_variational_type_and_of_probabilities():
    for kind in ("capacity_vae", "info_vae"):
        autoencoder = lea_keras.autoencoders.get(kind, code_length=2, likelihood="bernoulli")
        autoencoder.encode(np.zeros((1, 3, 4, 1), "float32"))
        drawn = np.stack(pictures(plots.samples(autoencoder, 4)))
        assert np.all((drawn > 0) & (drawn < 1)) and np.ptp(drawn) > 0
        assert pictures(plots.latent_manifold(autoencoder, 2))[0].min() > 0


def test_samples_are_decoded_draws_of_the_prior_whatever_the_backend():
    autoencoder = planar(code_length=3)
    codes = np.random.default_rng(5).standard_normal((4, 3), np.float32)
    np.testing.assert_array_equal(autoencoder.sample(4, 5), autoencoder.decode(codes))
    np.testing.assert_array_equal(autoencoder.sample(4, 5), autoencoder.sample(4, 5))
    assert not np.array_equal(autoencoder.sample(4, 5), autoencoder.sample(4, 6))
    assert autoencoder.sample().shape == (1, 3, 4, 1)


@pytest.mark.parametrize("kind", ["standard", "k_sparse", "vae"])
def test_filters_are_the_rows_of_the_code_kernel(kind):
    autoencoder = make_linear(5, kind)
    kernel = np.asarray((autoencoder.mean if kind == "vae" else autoencoder.code).kernel)
    figure = plots.filters(autoencoder)
    np.testing.assert_allclose(np.stack(pictures(figure)), kernel.T.reshape(5, 3, 4))
    largest = np.abs(kernel).max()
    assert {image.get_clim() for image in figure.axes[0].images} == {(-largest, largest)}
    code = np.asarray(autoencoder.encode(np.ones((1, 3, 4, 1), "float32")))[0, 0]
    if kind != "k_sparse":
        np.testing.assert_allclose(pictures(figure)[0].sum(), code, rtol=1e-4)


def test_filters_of_a_model_of_layers_of_ones_own_and_of_several_channels():
    inputs = keras.Input((6, 8, 2))
    autoencoder = lea_keras.StandardAutoencoder(4, encoder=keras.layers.Flatten())
    model = keras.Model(inputs, lea_keras.LocallyEmbeddedAutoencoder((3, 4), autoencoder)(inputs))
    figure = plots.filters(model, max_filters=3, name="mine")
    kernel = np.asarray(autoencoder.code.kernel).T.reshape(4, 3, 4, 2)
    np.testing.assert_allclose(np.stack(pictures(figure)), kernel[:3].mean(axis=-1), rtol=1e-6)
    assert texts(figure)[0] == "mine: filters, first 3 of 4 codes" and texts(figure)[1].endswith("mean of 2 channels")


def test_mixed_precision():
    autoencoder = planar(dtype="mixed_bfloat16")
    assert pictures(plots.latent_manifold(autoencoder, 2))[0].dtype == np.float32
    assert pictures(plots.samples(autoencoder, 2))[0].dtype == np.float32
    assert pictures(plots.filters(make_linear(dtype="mixed_bfloat16")))[0].dtype == np.float32


def deep():
    autoencoder = lea_keras.StandardAutoencoder(2, name="deep")
    autoencoder.encode(np.zeros((1, 3, 4, 1), "float32"))
    return autoencoder


def two_leas():
    maps = inputs = keras.Input((8, 8, 1))
    for i in (1, 2):
        maps = lea_keras.LocallyEmbeddedAutoencoder(2, "vae", name=f"lea_{i}")(maps)
    return keras.Model(inputs, maps)


WRONG = {
    "length": (
        lambda: plots.latent_manifold(planar(code_length=3)),
        "`autoencoder` must be one with codes of length 2",
    ),
    "size": (lambda: plots.latent_manifold(planar(), 0), "`size` must be an integer of at least 1"),
    "range": (lambda: plots.latent_manifold(planar(), 2, (1, 0)), "`value_range` must be a pair of finite numbers"),
    "model": (lambda: plots.latent_manifold(two_leas()), "`autoencoder` must be an autoencoder"),
    "unbuilt": (lambda: plots.samples(lea_keras.VariationalAutoencoder(2)), "`autoencoder` must be built"),
    "type": (lambda: plots.samples(deep()), "of a variational type, .* autoencoder='StandardAutoencoder'"),
    "count": (lambda: plots.samples(planar(), 0), "`count` must be an integer of at least 1"),
    "seed": (lambda: plots.samples(planar(), 2, -1), "`seed` must be an integer from 0"),
    "unbuilt to sample": (
        lambda: lea_keras.VariationalAutoencoder(2, name="v").sample(),
        "Autoencoder `v` must be built",
    ),
    "hidden layer": (
        lambda: plots.filters(deep()),
        r"whose encoder is linear: .* model='deep with FullyConnectedEncoder of 24 features'",
    ),
    "two LEAs": (
        lambda: plots.filters(two_leas()),
        r"one LEA. Received: model=\"a model with the LEAs \['lea_1', 'lea_",
    ),
    "a string": (lambda: plots.filters("model"), "`model` must be an autoencoder, or a model with one LEA"),
    "filters": (lambda: plots.filters(make_linear(), 0), "`max_filters` must be an integer of at least 1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_get_one_line(case):
    draw, message = WRONG[case]
    with pytest.raises(ValueError, match=message) as error:
        draw()
    assert "\n" not in str(error.value)
