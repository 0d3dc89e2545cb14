"""Whole-image autoencoders: one window, flat codes, trained alone."""

import keras
import numpy as np
import pytest
from backends import once
from layer_checks import TYPES

import lea_keras

IMAGES = np.random.default_rng(0).random((8, 6, 5, 2)).astype("float32")


@once
@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("kind", TYPES)
def test_codes_are_those_of_the_images(kind):
    arguments = {"k": 2} if kind == "k_sparse" else {}
    model = lea_keras.image_autoencoder(kind, (6, 5, 2), code_length=3, units=(8,), **arguments)
    model.compile("sgd")
    assert model.fit(IMAGES, verbose=0).history.keys() >= {"loss", "lea_rl", "lea_rln"}
    codes = model.predict(IMAGES, verbose=0)
    autoencoder = model.get_layer("lea").autoencoder
    np.testing.assert_allclose(codes, autoencoder.encode(IMAGES), rtol=1e-5, atol=1e-6)
    assert codes.shape == (8, 3) and tuple(autoencoder.decode(codes).shape) == IMAGES.shape
    export = lea_keras.export_encoder(model)
    np.testing.assert_allclose(export.predict(IMAGES, verbose=0), codes, rtol=1e-4, atol=1e-5)


@once
def test_it_is_the_autoencoder_of_the_whole_image(tmp_path):
    autoencoder = lea_keras.StandardAutoencoder(3, units=(128, 64, 12))
    model = lea_keras.image_autoencoder(autoencoder, (28, 28, 1), name="mine")
    assert model.count_params() == 219_891
    assert model.name == "mine" and model.get_layer("lea").autoencoder is autoencoder
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(1).random((2, 28, 28, 1)).astype("float32")
    np.testing.assert_allclose(again.predict(images, verbose=0), model.predict(images, verbose=0), rtol=1e-5)


def test_channels_are_last_whatever_the_data_format_of_keras():
    keras.config.set_image_data_format("channels_first")
    model = lea_keras.image_autoencoder("standard", (6, 5, 2), code_length=3)
    assert model.output_shape == (None, 3) and model.get_layer("lea").window_size == (6, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vae", (28, 28)), "Argument `image_shape` must be (rows, columns, channels). Received: image_shape=(28, 28)"),
        (("vae", (28, 0, 1)), "Argument `image_shape` must be an integer of at least 1"),
        (("autoencoder", (28, 28, 1)), "Argument `autoencoder` must be one of"),
    ],
    ids=str,
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError) as error:
        lea_keras.image_autoencoder(*arguments)
    assert message in str(error.value)


def test_arguments_of_an_autoencoder_that_has_its_own():
    with pytest.raises(ValueError, match="`code_length` must be left out where the autoencoder is no name"):
        lea_keras.image_autoencoder(lea_keras.StandardAutoencoder(), (4, 4, 1), code_length=3)
