"""Pooling: the smallest value of a window, and average pooling as a LEA that does not learn."""

import keras
import numpy as np
import pytest
from backends import once
from keras import layers, ops

import lea_keras
from lea_keras.layers import MinPooling2D


def make_images(channels=2, size=(7, 8)):
    return np.random.default_rng(0).normal(size=(2, *size, channels)).astype("float32") + 5


@once
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("window", "strides"), [(2, None), (3, 2), ((2, 3), (1, 2))])
def test_the_smallest_value_of_every_window(window, strides, padding):
    images = make_images()
    found = ops.convert_to_numpy(MinPooling2D(window, strides, padding)(images))
    cut = lea_keras.windows.extract_windows(images, window, strides or window, padding)
    if padding == "valid":
        np.testing.assert_array_equal(found, ops.convert_to_numpy(cut).min(axis=(3, 4)))
    opposite = layers.MaxPooling2D(window, strides, padding)(-images)
    np.testing.assert_array_equal(found, -ops.convert_to_numpy(opposite))
    assert found.min() > 0  # zeros of the padding would be smaller than any value


def test_it_is_saved_and_loaded(tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 1)), MinPooling2D(3, 2, "same", name="pool")])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    images = make_images(1, (8, 8))
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), model.predict(images, verbose=0))
    assert type(loaded.layers[0]) is MinPooling2D


@once
def test_average_pooling_is_a_lea_with_a_fixed_linear_encoder():
    """Weights 1/(p1·p2), code length c: what a LEA stands in place of."""
    images = make_images(channels=3, size=(8, 9))
    autoencoder = lea_keras.StandardAutoencoder(code_length=3, encoder=layers.Flatten())
    lea = lea_keras.LocallyEmbeddedAutoencoder((2, 3), autoencoder, padding="valid")
    lea(images)
    kernel = np.tile(np.eye(3) / 6, (6, 1))  # values of a window in the order rows, columns, channels
    autoencoder.code.set_weights([kernel, np.zeros(3)])
    average = layers.AveragePooling2D((2, 3))(images)
    np.testing.assert_allclose(ops.convert_to_numpy(lea(images)), ops.convert_to_numpy(average), rtol=1e-5)
    autoencoder.code.set_weights([np.repeat(np.eye(3) / 6, 6, axis=0), np.zeros(3)])  # channels first in a window
    assert not np.allclose(ops.convert_to_numpy(lea(images)), ops.convert_to_numpy(average), rtol=1e-2)
