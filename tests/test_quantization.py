"""Quantised layers inside autoencoders: right codes, saved and loaded, or a clear refusal."""

import keras
import numpy as np
import pytest
from backends import few, needs_tensorflow, once
from keras import layers
from layer_checks import EAGERLY, compile_model, fit, make_autoencoder, make_data, make_lea, make_model

import lea_keras

# Keras says so of every layer that is not dense.
pytestmark = pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method implemented")

WINDOWS = np.random.default_rng(0).random((5, 4, 4, 2)).astype("float32")
LEVELS = {"int8": 127, "int4": 7}


def dequantized(dense, mode):
    """A dense layer's kernel as its quantised weights say, from NumPy alone."""
    kernel, scale = np.array(dense._kernel).astype("int32"), np.array(dense.kernel_scale)
    if mode == "int8":
        return kernel / scale
    # Two values in a byte, the low four bits first; a scale and a zero for every group of inputs.
    pairs = np.stack([kernel & 15, kernel >> 4 & 15], axis=-1).reshape(len(kernel), -1)[:, : dense.units]
    groups = np.array(dense.g_idx).astype("int32")
    return (np.where(pairs > 7, pairs - 16, pairs) - np.array(dense.kernel_zero)[groups]) * scale[groups]


def apply(dense, values, mode, activation=lambda values: values):
    """What a quantised dense layer makes of values [n, …]; int8 rounds each row of its inputs to 127 levels, too."""
    if mode == "int8":
        scale = 127 / (np.abs(values).max(axis=1, keepdims=True) + 1e-7)
        values = np.round(values * scale) / scale
    return activation(values @ dequantized(dense, mode) + np.array(dense.bias))


@once
@pytest.mark.parametrize("mode", LEVELS)
@pytest.mark.parametrize("kind", ["standard", "vae"])
def test_codes_are_those_of_the_dequantised_weights(kind, mode):
    autoencoder = make_autoencoder(kind)
    autoencoder.build(WINDOWS.shape)
    for layer in autoencoder._flatten_layers():
        if isinstance(layer, layers.Dense):
            layer.bias.assign(np.linspace(-0.5, 0.5, layer.units))
    before = np.array(autoencoder.encode(WINDOWS))
    keras.Sequential([keras.Input(WINDOWS.shape[1:]), autoencoder]).quantize(mode)
    head = autoencoder.mean if kind == "vae" else autoencoder.code
    flat = WINDOWS.reshape(5, -1)
    features = apply(autoencoder.encoder.hidden, flat, mode, lambda values: np.maximum(values, 0))
    codes = np.array(autoencoder.encode(WINDOWS))
    np.testing.assert_allclose(codes, apply(head, features, mode), rtol=1e-3, atol=1e-3)
    assert 0 < np.abs(codes - before).max() < 3 * np.abs(before).max() / LEVELS[mode]
    if kind == "vae":
        mean, log_std = autoencoder.posterior(features.astype("float32"))
        np.testing.assert_allclose(log_std, apply(autoencoder.log_std, features, mode), rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(mean, codes, rtol=1e-3, atol=1e-3)


MODES = [
    ("int8", "joint", "capacity_vae", None),
    ("int4", "alternate", "k_sparse", 64),
    ("float8", "joint", "vae", None),
]


@pytest.mark.parametrize(("mode", "optimization", "kind", "chunk_windows"), few(MODES, MODES[:1]))
def test_a_quantised_model_evaluates_predicts_saves_loads_and_trains(tmp_path, mode, optimization, kind, chunk_windows):
    images, labels = make_data(8)
    model = make_model(optimization, kind, leas=1, chunk_windows=chunk_windows)
    compile_model(model, keras.optimizers.SGD(1e-3), run_eagerly=EAGERLY)  # without state, which Keras cannot restore
    model.quantize(mode)
    evaluated = model.evaluate(images, labels, verbose=0, return_dict=True)
    predictions = model.predict(images, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [layer.quantization_mode for layer in loaded._flatten_layers()] == [
        layer.quantization_mode for layer in model._flatten_layers()
    ]
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), predictions)
    for name, value in loaded.evaluate(images, labels, verbose=0, return_dict=True).items():
        np.testing.assert_allclose(value, evaluated[name], rtol=1e-5, err_msg=name)
    if mode == "float8":  # Keras trains in it in graphs only
        loaded.run_eagerly = False
    compile_model(loaded, run_eagerly=loaded.run_eagerly)
    assert np.all(np.isfinite([*fit(loaded, samples=8).values()]))


@needs_tensorflow  # on JAX Keras wants a model compiled anew once it is quantised
def test_steps_go_on_with_the_variables_that_are_left():
    model = compile_model(make_model(leas=1, chunk_windows=64), keras.optimizers.SGD(0.1), run_eagerly=True)
    model.quantize("int8")
    code = model.get_layer("lea_1").autoencoder.code
    kernel, bias = np.array(code._kernel), np.array(code.bias)
    fit(model, samples=8)
    np.testing.assert_array_equal(code._kernel, kernel)
    assert np.all(np.array(code.bias) != bias)


@once
def test_quantised_parts_of_an_encoder_of_the_users_own_are_not_quantised_twice(tmp_path):
    encoder = keras.Sequential([layers.Flatten(), layers.Dense(6)])
    inputs = keras.Input((8, 8, 2))
    model = keras.Model(inputs, make_lea(encoder=encoder)(inputs))
    model.quantize("int8")
    model.save(tmp_path / "model.keras")
    images = np.random.default_rng(0).random((2, 8, 8, 2)).astype("float32")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images), model(images))


def test_configs_say_nothing_where_nothing_is_quantised():
    autoencoder = make_autoencoder()
    autoencoder.build(WINDOWS.shape)
    assert "quantization" not in autoencoder.get_config()
    autoencoder.encoder.hidden.quantize("int8")
    config = autoencoder.get_config()
    assert list(config["quantization"]) == [
        str(list(autoencoder._flatten_layers(include_self=False)).index(autoencoder.encoder.hidden))
    ]
    again = type(autoencoder).from_config(config)
    assert again.get_config()["quantization"] == config["quantization"]


@pytest.mark.parametrize("way", ["model", "weights"])
def test_what_keras_would_store_in_part_is_refused(tmp_path, way):
    model = make_model("joint", leas=1)
    hidden = model.get_layer("lea_1").autoencoder.encoder.hidden
    hidden.quantize(config=keras.quantizers.GPTQConfig(None, None, group_size=-1))
    path = tmp_path / ("model.keras" if way == "model" else "model.weights.h5")
    with pytest.raises(
        ValueError, match="none of .*to be saved. Keras would not store all of layer 'hidden'. Received"
    ):
        model.save(path) if way == "model" else model.save_weights(path)
    assert way == "weights" or not path.exists()


@needs_tensorflow
def test_training_in_float8_in_chunks_is_refused():
    lea = make_lea(chunk_windows=4)
    inputs = keras.Input((8, 8, 1))
    model = lea_keras.LEAModel(inputs, lea(inputs))
    model.quantize("float8")
    images, _ = make_data(2)
    assert model.predict(images, verbose=0).shape == (2, 4, 4, 4)
    with pytest.raises(ValueError, match="`chunk_windows` must be None to train an autoencoder quantised to float8"):
        lea(images, training=True)
