"""The networks that are attacked by way of their codes, and their judge: sizes, layers, a step."""

import keras
import numpy as np
import pytest

import lea_keras
import models


def counts(model):
    """Parameters of encoder, heads and decoder."""
    autoencoder = model.get_layer("lea").autoencoder
    encoder, decoder = autoencoder.encoder.count_params(), autoencoder.decoder.count_params()
    return encoder, autoencoder.count_params() - encoder - decoder, decoder


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return models.joint_vae(seed=0, capacity_steps=4)


def test_parameters_are_the_authors(network):
    assert counts(network) == (544 + 16_416 + 32_832 + 131_200, 3_870, 2_688 + 132_096 + 32_800 + 16_416 + 513)
    assert network.count_params() == 369_375  # heads of 20, as in a table of his, would make 1,290 less
    assert models.reconstruction_judge().count_params() == 30_840


def test_larger_images_have_a_convolution_more():
    colours, grey = counts(models.joint_vae((64, 64, 3))), counts(models.joint_vae((64, 64, 1)))
    more = 4 * 4 * 64 * 64 + 64
    assert colours == (544 + 2 * 4 * 4 * 32 + 16_416 + 32_832 + more + 131_200, 3_870, 184_513 + more + 2 * 513)
    assert grey == (colours[0] - 2 * 4 * 4 * 32, 3_870, colours[2] - 2 * 513)


def test_a_variational_one_beside_it_differs_in_the_heads_alone(network):
    vae = counts(models.joint_vae(autoencoder="vae", code_length=10))
    assert vae == (counts(network)[0], 2 * (128 * 10 + 10), counts(network)[2] - 10 * 128)


def test_it_trains_on_the_cross_entropy_and_reconstructs_probabilities(network):
    images = np.random.default_rng(0).integers(0, 2, (2, 32, 32, 1)).astype("float32")
    network.compile(lea_keras.optimizers.CoupledAdam(1e-3, l2=0.5, epsilon=1e-8), run_eagerly=True)
    history = network.fit(images, batch_size=2, epochs=2, shuffle=False, verbose=0).history
    assert {"lea_nll", "lea_kl", "lea_discrete_kl", "lea_capacity", "lea_discrete_capacity"} <= set(history)
    assert history["lea_nll"][1] < history["lea_nll"][0]
    codes = network.predict(images, verbose=0)
    assert codes.shape == (2, 20)
    np.testing.assert_array_equal(np.sort(codes[:, 10:], axis=-1), np.eye(10)[[9] * 2])
    pixels = keras.ops.convert_to_numpy(network.get_layer("lea").autoencoder.decode(codes))
    assert pixels.shape == images.shape and 0 < pixels.min() and pixels.max() < 1


def test_the_judge_drops_in_training_alone():
    keras.utils.set_random_seed(0)
    judge = models.reconstruction_judge((20, 20, 1), 3)
    images = np.random.default_rng(0).random((3, 20, 20, 1)).astype("float32")
    first, again, training = (np.array(judge(images, training=training)) for training in (False, False, True))
    assert first.shape == (3, 3)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - training).max() > 1e-3


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 64, 1), (32, 32)], ids=str)
def test_other_sizes_are_refused(shape):
    with pytest.raises(ValueError, match=r"`image_shape` must be \(32, 32, channels\) or \(64, 64, channels\)"):
        models.joint_vae(shape)
