"""Inspection: each array against what the layer's public parts give, and confidence where the picture is bad."""

import keras
import numpy as np
import pytest
from keras import layers
from layer_checks import TYPES, compile_model, few, make_autoencoder, make_data, make_lea, make_model

import lea_keras
from lea_keras.windows import extract_windows, merge_windows


@pytest.mark.parametrize("kind", few(TYPES, ["capacity_vae"]))
@pytest.mark.parametrize("optimization", few(["alternate", None], ["alternate"]))
def test_every_array_equals_the_public_parts(kind, optimization):
    images, _ = make_data(3)
    model = compile_model(make_model(optimization, kind))
    before = [np.array(v) for v in model.variables]
    views = lea_keras.inspect(model, images, bins=7)
    assert [view.layer.name for view in views] == ["lea_1", "lea_2"]
    for view, size, strides in zip(views, (4, 2), (2, 2), strict=True):
        layer = view.layer
        inputs = np.array(keras.Model(model.input, layer.input)(images))
        np.testing.assert_allclose(view.inputs, inputs, atol=1e-6)
        np.testing.assert_allclose(view.code_maps, layer(inputs), atol=1e-6)
        cut = np.array(extract_windows(inputs, size, strides))
        flat = cut.reshape(-1, *cut.shape[3:])
        decoded = np.array(layer.autoencoder(flat)).reshape(cut.shape)
        np.testing.assert_allclose(view.windows, decoded, atol=1e-5)
        merged = np.array(merge_windows(decoded, inputs.shape[1:3], strides))
        np.testing.assert_allclose(view.reconstructions, np.clip(merged, inputs.min(), inputs.max()), atol=1e-5)
        errors = np.sum(np.square(decoded - cut), axis=(3, 4, 5))
        np.testing.assert_allclose(view.confidence, 1 - errors / errors.max(), atol=1e-4)
        assert view.confidence.min() == 0.0 and view.confidence.max() <= 1.0
        assert view.histograms.inputs.sum() == inputs.size == view.histograms.reconstructions.sum()
        assert view.histograms.edges.shape == (8,)
    for ours, theirs in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)  # looking changes nothing: no clock, no noise, no weight


def test_a_badly_reconstructed_corner_has_the_lowest_confidence_there():
    """A decoder that always returns zeros reproduces black and misses a bright corner."""
    images = np.zeros((2, 12, 10, 1), "float32")
    images[0, :3, -3:] = 1.0  # upper right corner of the first image
    autoencoder = make_autoencoder()
    autoencoder.build((None, 3, 3, 1))
    for weight in autoencoder.decoder.weights:
        weight.assign(keras.ops.zeros(weight.shape))
    lea = lea_keras.LocallyEmbeddedAutoencoder(3, autoencoder, strides=1, padding="valid")
    inputs = keras.Input((12, 10, 1))
    (view,) = lea_keras.inspect(keras.Model(inputs, lea(inputs)), images)
    assert np.unravel_index(np.argmin(view.confidence), view.confidence.shape) == (0, 0, 7)
    assert np.unravel_index(np.argmin(view.confidence_images), view.confidence_images.shape) == (0, 0, 9)
    np.testing.assert_array_equal(view.confidence[1], 1.0)
    np.testing.assert_array_equal(view.confidence_images[0, 3:, :], np.minimum(view.confidence_images[0, 3:, :], 1.0))
    assert view.confidence_images.shape == (2, 12, 10)
    assert view.confidence_images[0, 5, 2] == 1.0


def test_nested_subclassed_and_channels_first_models():
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = keras.Sequential([layers.Conv2D(2, 3, padding="same"), make_lea(name="inside")])
            self.lea = lea_keras.LocallyEmbeddedAutoencoder(2, make_autoencoder(), name="outside", loss_weight=0.0)

        def call(self, images):
            return self.lea(self.inner(images))

    images, _ = make_data(2)
    views = lea_keras.inspect(Subclassed(), images)
    assert [view.layer.name for view in views] == ["inside", "outside"]  # those without a loss weight too
    inputs = keras.Input((1, 8, 8))
    lea = lea_keras.LocallyEmbeddedAutoencoder(4, make_autoencoder(), data_format="channels_first")
    (view,) = lea_keras.inspect(keras.Model(inputs, lea(inputs)), np.transpose(images, (0, 3, 1, 2)))
    np.testing.assert_array_equal(view.inputs, images)
    assert view.code_maps.shape == (2, 2, 2, 4)


def test_a_lea_used_twice_has_two_views_and_a_model_without_has_none():
    images, _ = make_data(2)
    inputs = keras.Input((8, 8, 1))
    lea = make_lea()
    views = lea_keras.inspect(keras.Model(inputs, [lea(inputs), lea(inputs * 0.5)]), images)
    dark, bright = sorted(views, key=lambda view: view.inputs.max())
    np.testing.assert_allclose(dark.inputs, 0.5 * bright.inputs)
    assert lea_keras.inspect(keras.Model(inputs, layers.Flatten()(inputs)), images) == []


def test_errors():
    model = make_model()
    with pytest.raises(ValueError, match="Argument `bins` must be an integer of at least 1.*Received: bins=0"):
        lea_keras.inspect(model, make_data(2)[0], bins=0)
    with pytest.raises(ValueError, match="Argument `images` must be a batch of at least one image"):
        lea_keras.inspect(model, np.zeros((0, 8, 8, 1)))
