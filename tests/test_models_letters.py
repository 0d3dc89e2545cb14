"""The network of letters: its table of layers, its four targets, and that plain Keras trains it."""

import keras
import numpy as np
import pytest
from keras import ops
from layer_checks import EAGERLY

import lea_keras
from lea_keras.data import pairs
from models import letters


@pytest.fixture(scope="module")
def built():
    keras.utils.set_random_seed(0)
    model = letters.letter_network((8, 8, 1), code_length=12, filters=(4, 6))
    return model, model.get_weights()


@pytest.fixture
def small(built):
    """The same small network for every test, as it began."""
    model, weights = built
    model.set_weights(weights)
    return model


def images(count=24):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 8, 8, 1)).astype("float32"), np.arange(count) % 3


def layers_of(model):
    autoencoder = model.get_layer("autoencoder")
    return [*autoencoder.encoder.layers, autoencoder.code, *autoencoder.decoder.layers]


def test_the_table_of_layers():
    model = letters.letter_network()
    weighty = [layer for layer in layers_of(model) if isinstance(layer, (keras.layers.Dense, keras.layers.Conv2D))
               or isinstance(layer, keras.layers.Conv2DTranspose)]  # fmt: skip
    counts = [sum(int(np.prod(weight.shape)) for weight in layer.weights) for layer in weighty]
    assert counts == [320, 18_496, 1_606_144, 1_608_768, 18_464, 289, 615_440] and sum(counts) == 3_867_921
    trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trained - sum(counts) == 2 * (32 + 64 + 512 + 64 + 32 + 1) + (32 + 64 + 512 + 64 + 32 + 1) == 2115
    slopes = [layer for layer in layers_of(model) if isinstance(layer, keras.layers.PReLU)]
    assert len(slopes) == 6 and all(np.all(ops.convert_to_numpy(layer.alpha) == 0.25) for layer in slopes)
    assert model.output_shape == (None, 28, 28, 1)


@pytest.mark.parametrize("choose", pairs.TARGETS)
def test_it_trains(small, choose):
    model, (source, labels) = small, images(6)
    model.compile(keras.optimizers.SGD(1e-3), letters.squared_error, run_eagerly=EAGERLY)
    batches = lea_keras.data.class_pairs((source, labels), (-source, labels), choose, batch_size=6)
    losses = model.fit(batches, epochs=2, shuffle=False, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_it_is_saved_and_loaded(small, tmp_path):
    source, _ = images(6)
    small(source, training=True)  # its averages are no longer those of the beginning
    small.save(tmp_path / "letters.keras")
    loaded = keras.models.load_model(tmp_path / "letters.keras")
    np.testing.assert_allclose(loaded(source), small(source), atol=1e-5)


def test_the_loss_is_summed_over_pixels():
    targets, drawn = np.zeros((2, 8, 8, 1), "float32"), np.ones((2, 8, 8, 1), "float32")
    np.testing.assert_allclose(letters.squared_error(targets, drawn), [64, 64])  # a mean would be 1


def test_a_classifier_judges_and_learns_nothing(small):
    model, (source, labels) = small, images()
    classifier = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    before = classifier.get_weights()
    trained = letters.judged(model, classifier)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trained.compile(keras.optimizers.SGD(1e-2), loss, run_eagerly=EAGERLY)
    losses = trained.fit(source, labels, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    for weight, now in zip(before, classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, now)


def test_sides_that_four_does_not_divide():
    with pytest.raises(ValueError, match=r"`image_shape` must have sides that 4 divides. Received: image_shape=\(10"):
        letters.letter_network((10, 8, 1))
