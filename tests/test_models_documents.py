"""Networks of the neighbouring documents: their sizes, and that each trains."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_checks import EAGERLY

import lea_keras
import models
from models import slides


def parameters(layer):
    return sum(int(np.prod(weight.shape)) for weight in layer.weights)


def parts(model):
    autoencoder = model.get_layer("lea").autoencoder
    heads = [getattr(autoencoder, name) for name in ("code", "mean", "log_std") if hasattr(autoencoder, name)]
    return parameters(autoencoder.encoder), sum(map(parameters, heads)), parameters(autoencoder.decoder)


def test_sizes_are_those_of_the_documents():
    with tf.Graph().as_default():  # nothing is drawn or held, which for millions of parameters takes its time
        check_sizes()


def check_sizes():
    assert parts(models.dense_autoencoder()) == (109_516, 39, 110_336)
    assert sum(parts(models.dense_autoencoder())) == 219_891
    encoder, code, decoder = parts(models.deep_autoencoder())
    assert (encoder + code, decoder) == (1_411_252, 1_412_034)
    assert sum(parts(models.k_sparse())) == 785_784
    assert parts(models.beta_vae()) == (6_357_600, 24_020, 7_814_896)
    encoder, heads, _ = parts(models.beta_vae_chairs())
    assert (encoder, heads) == (544 + 16_416 + 32_832 + 65_600 + 262_400, 16_448)
    encoder, heads, decoder = parts(models.slides_vae(code_length=20))
    assert (encoder, heads, decoder) == (784 * 500 + 500, 2 * (500 * 20 + 20), 20 * 500 + 500 + 500 * 784 + 784)


def test_the_decoder_of_shapes_is_tanh_and_that_of_chairs_is_the_reverse():
    shapes = models.beta_vae(width=8).get_layer("lea").autoencoder.decoder
    assert shapes.activation is keras.activations.tanh and shapes.units == (8, 8, 8)
    chairs = models.beta_vae_chairs().get_layer("lea").autoencoder.decoder
    transposed = [layer.filters for layer in chairs.convolutions]
    assert transposed == [64, 32, 32, 1]


@pytest.mark.parametrize(
    "build",
    [
        lambda: models.dense_autoencoder((8, 8, 1), units=(6, 4)),
        lambda: models.deep_autoencoder((8, 8, 1), units=(12, 6)),
        lambda: models.k_sparse((8, 8, 1), k=3, code_length=20),
        lambda: models.slides_vae((8, 8, 1), units=(12,)),
        lambda: models.slides_vae((8, 8, 1), units=(12,), autoencoder="info_vae"),
        lambda: models.beta_vae((8, 8, 1), width=12),
        lambda: models.beta_vae_chairs((8, 8, 1), filters=(4, 4), units=(8,), code_length=3),
    ],
)
def test_they_train(build):
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).random((8, 8, 8, 1)).round().astype("float32")
    model = build()
    assert isinstance(model, lea_keras.LEAModel)
    model.compile(keras.optimizers.SGD(1e-3), run_eagerly=EAGERLY)
    losses = model.fit(images, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert model.predict(images, verbose=0).shape == (8, model.get_layer("lea").code_length)


def test_betas_are_half_of_the_literature():
    assert models.beta_vae(width=2).get_layer("lea").autoencoder.beta == 2.0
    assert slides.beta_vae_chairs(beta=0.5, filters=(2,), units=(2,)).get_layer("lea").autoencoder.beta == 0.5
