"""Depth of coders: layers and parameters of ``units`` and ``filters``, mirrored decoders, adjoints, and all that a
deeper coder must go through like any other: chunks, quantisation, half precision, files."""

import math

import keras
import numpy as np
import pytest
from backends import few, once
from keras import layers, ops
from layer_checks import EAGERLY, compile_model, fit, make_data, make_model, same_weights

import lea_keras
from lea_keras.autoencoders import coders

RNG = np.random.default_rng(0)
DEEP = {"encoder": "conv", "decoder": "conv", "kernel_size": 3, "filters": (2, 3), "units": (5, 4)}
DEPTHS = {
    "fc": {"units": (7, 5)},
    "conv": DEEP,
    "linear": {"units": ()},
    "conv without dense": DEEP | {"units": ()},
    "conv with dense alone": DEEP | {"filters": None},
    "conv and fc": DEEP | {"decoder": "fc"},
}
depths = pytest.mark.parametrize("depth", DEPTHS.values(), ids=DEPTHS)


@pytest.fixture(autouse=True)
def seeded():
    """The same numbers whichever tests run before."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def built(coder, window, code_length=3):
    shapes = [(None, code_length)] if isinstance(coder, coders.Decoder) else []
    coder.build(*shapes, (None, *window))
    coder.set_weights([RNG.normal(0.0, 0.5, weight.shape) for weight in coder.weights])
    return coder


def pairs(layer):
    """Kernels and biases."""
    return list(zip(layer.get_weights()[::2], layer.get_weights()[1::2], strict=True))


def parameters(autoencoder, window):
    """Of the encoder with its heads, and of the decoder."""
    autoencoder.build((None, *window))
    decoder = autoencoder.decoder.count_params()
    return autoencoder.count_params() - decoder, decoder


# Parameters


@once
def test_parameters_of_the_documents():
    """784-128-64-12-3, 784-1000-500-250-2 and 784-500-d with their mirrors, and the two networks of the β-VAE table."""
    standard, vae = lea_keras.StandardAutoencoder, lea_keras.VariationalAutoencoder
    image = (28, 28, 1)
    assert parameters(standard(3, units=(128, 64, 12)), image) == (109_555, 110_336)  # 219 891
    assert parameters(standard(2, units=(1000, 500, 250)), image) == (1_411_252, 1_412_034)
    of_500 = 784 * 500 + 500 + 2 * (500 * 20 + 20), 20 * 500 + 500 + 500 * 784 + 784
    assert parameters(vae(20, units=(500,)), image) == of_500
    shapes = vae(
        10,
        encoder=coders.FullyConnectedEncoder(units=(1200, 1200)),
        decoder=coders.FullyConnectedDecoder(units=(1200, 1200, 1200), activation="tanh"),
    )
    assert parameters(shapes, (64, 64, 1)) == (6_357_600 + 24_020, 7_814_896)
    chairs = vae(32, encoder="conv", decoder="conv", filters=(32, 32, 64, 64), units=(256,))
    of_encoder = [544, 16_416, 32_832, 65_600, 262_400]
    of_decoder = [33 * 256, 257 * 1024, 65_600, 32_800, 16_416, 513]
    assert parameters(chairs, (64, 64, 1)) == (sum(of_encoder) + 16_448, sum(of_decoder))
    encoder, decoder = chairs.encoder, chairs.decoder
    assert [layer.count_params() for layer in (*encoder.convolutions, *encoder.hidden_layers)] == of_encoder
    assert [layer.count_params() for layer in (*decoder.hidden_layers, *decoder.convolutions)] == of_decoder


@once
def test_linear_coders_have_the_least_parameters():
    linear = lea_keras.StandardAutoencoder(3, units=())
    assert parameters(linear, (4, 4, 2)) == (32 * 3 + 3, 3 * 32 + 32)
    k_sparse = lea_keras.KSparseAutoencoder(1000, k=25, units=())
    assert parameters(k_sparse, (28, 28, 1)) == (785_000, 784_784)


@once
@pytest.mark.parametrize("coder", ["fc", "conv"])
def test_the_thesis_coders_are_those_without_the_arguments(coder):
    """With their numbers of layers given they are the same networks, under the same names."""
    plain = lea_keras.StandardAutoencoder(3, encoder=coder, decoder="fc", name="same")
    plain.build((None, 8, 8, 1))
    width = {"fc": 128, "conv": 32 * 2 * 2}[coder]
    filters = {"fc": None, "conv": (32, 32)}[coder]
    given = lea_keras.StandardAutoencoder(3, encoder=coder, decoder="fc", units=(width,), filters=filters, name="same")
    given.build((None, 8, 8, 1))
    assert [weight.path for weight in given.encoder.weights] == [weight.path for weight in plain.encoder.weights]
    assert [weight.shape for weight in given.encoder.weights] == [weight.shape for weight in plain.encoder.weights]
    assert given.encoder.hidden is given.encoder.hidden_layers[0]
    for part in (plain, plain.encoder, plain.decoder):
        assert not {"units", "filters"} & set(part.get_config())  # as files of earlier versions are


# What they compute


@once
def test_fully_connected_coders_are_products_of_matrices():
    encoder = built(coders.FullyConnectedEncoder(units=(5, 6, 2)), (3, 2, 2))
    windows = RNG.normal(size=(4, 3, 2, 2)).astype("float32")
    values = windows.reshape(4, 12)
    for kernel, bias in pairs(encoder):
        values = np.maximum(values @ kernel + bias, 0)
    np.testing.assert_allclose(encoder(windows), values, rtol=1e-4, atol=1e-5)
    assert tuple(encoder.compute_output_shape((None, 3, 2, 2))) == (None, 2)
    decoder = built(coders.FullyConnectedDecoder(units=(5, 6)), (3, 2, 2))
    values = codes = RNG.normal(size=(4, 3)).astype("float32")
    *hidden, (kernel, bias) = pairs(decoder)
    for weight, shift in hidden:
        values = np.maximum(values @ weight + shift, 0)
    np.testing.assert_allclose(decoder(codes), (values @ kernel + bias).reshape(4, 3, 2, 2), rtol=1e-4, atol=1e-5)


def test_without_hidden_layers_the_flat_window_is_what_is_encoded():
    windows = RNG.normal(size=(4, 3, 2, 2)).astype("float32")
    encoder = coders.FullyConnectedEncoder(units=())
    np.testing.assert_array_equal(encoder(windows), windows.reshape(4, 12))  # rows, columns, channels
    assert not encoder.weights and tuple(encoder.compute_output_shape(windows.shape)) == (4, 12)
    decoder = built(coders.FullyConnectedDecoder(units=()), (3, 2, 2))
    assert [layer.name for layer in decoder._flatten_layers(include_self=False)] == ["reconstruction"]
    autoencoder = lea_keras.StandardAutoencoder(2, units=())
    x, y = RNG.normal(size=(2, 4, 3, 2, 2)).astype("float32")
    expected = 3 * np.array(autoencoder(x)) - 2 * np.array(autoencoder(y))
    np.testing.assert_allclose(autoencoder(3 * x - 2 * y), expected, rtol=1e-3, atol=1e-5)


@once
@pytest.mark.parametrize("window", [(9, 7, 2), (8, 8, 1), (1, 3, 2)], ids=str)
def test_convolutional_coders_against_plain_keras(window):
    arguments = {"filters": (4, 3), "kernel_size": 3, "units": (6, 5)}
    encoder = built(coders.ConvolutionalEncoder(**arguments), window)
    twin = keras.Sequential(
        [layers.Conv2D(n, 3, 2, padding="same", activation="relu") for n in (4, 3)]
        + [layers.Flatten(), *(layers.Dense(n, "relu") for n in (6, 5))]
    )
    windows = RNG.normal(size=(3, *window)).astype("float32")
    twin.build(windows.shape)
    twin.set_weights(encoder.get_weights())
    np.testing.assert_allclose(encoder(windows), twin(windows), rtol=1e-4, atol=1e-4)
    rows, columns = (-(-size // 4) for size in window[:2])
    decoder = built(coders.ConvolutionalDecoder(**arguments), window)
    twin = keras.Sequential(
        [*(layers.Dense(n, "relu") for n in (6, 5, rows * columns * 4)), layers.Reshape((rows, columns, 4))]
        + [layers.Conv2DTranspose(3, 3, 2, padding="same", activation="relu")]
        + [layers.Conv2DTranspose(window[2], 3, 2, padding="same")]
    )
    codes = RNG.normal(size=(3, 3)).astype("float32")
    twin.build(codes.shape)
    assert [weight.shape for weight in decoder.get_weights()] == [weight.shape for weight in twin.get_weights()]
    twin.set_weights(decoder.get_weights())
    reconstructions = np.array(decoder(codes))
    assert reconstructions.shape == (3, *window)
    if window[0] % 4 == window[1] % 4 == 0:  # nothing is cropped
        np.testing.assert_allclose(reconstructions, twin(codes), rtol=1e-4, atol=1e-4)
    assert window[0] < 8 or np.any(reconstructions < 0)  # the last layer is linear


# Adjoints


SIDES = few([(8, 8), (9, 7), (5, 6), (2, 1)], [(9, 7)])


@pytest.mark.parametrize(("kernel_size", "strides"), few([(4, 2), (3, 2), (5, 3), (1, 2), (2, 3)], [(3, 2)]))
@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_the_decoders_convolutions_are_the_adjoint_of_the_encoders(sides, kernel_size, strides):
    """⟨conv(x), y⟩ = ⟨x, convᵀ(y)⟩, through a stack of two, whatever the sides of the window."""
    shared = {"kernel_size": kernel_size, "conv_strides": strides, "activation": "linear", "units": ()}
    window = (*sides, 2)
    encoder = built(coders.ConvolutionalEncoder(filters=(3, 4), **shared), window)
    features = encoder.compute_output_shape((None, *window))[1]
    decoder = built(coders.ConvolutionalDecoder(filters=(4, 3), **shared), window, features)
    kernels = [RNG.normal(size=(kernel_size,) * 2 + shape).astype("float32") for shape in ((2, 3), (3, 4))]
    encoder.set_weights([kernels[0], np.zeros(3), kernels[1], np.zeros(4)])
    decoder.set_weights([np.eye(features), np.zeros(features), kernels[1], np.zeros(3), kernels[0], np.zeros(2)])
    x = RNG.normal(size=(1, *window)).astype("float32")
    y = RNG.normal(size=(1, features)).astype("float32")
    left, right = np.sum(np.array(encoder(x)) * y), np.sum(x * np.array(decoder(y)))
    assert left == pytest.approx(right, rel=1e-4, abs=1e-3)
    uneven = [decoder._crops[i][axis].start for i in range(2) for axis in range(2)]
    if any(uneven):  # the corner's pixels, which are the wrong ones
        decoder._crops = [[slice(0, piece.stop - piece.start) for piece in pieces] for pieces in decoder._crops]
        assert left != pytest.approx(np.sum(x * np.array(decoder(y))), rel=1e-3)


@once
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("kernel_size", "strides"), [(4, 2), (3, 1), (3, 3)])
def test_transposed_convolutions_are_adjoints(kernel_size, strides, padding):
    """As they are taken from Keras: of the sizes that a convolution reaches to the end."""
    size = kernel_size + 2 * strides if padding == "valid" else 3 * strides
    kernel = RNG.normal(size=(kernel_size, kernel_size, 2, 3)).astype("float32")
    x = RNG.normal(size=(1, size, size, 2)).astype("float32")
    forward = np.array(ops.conv(x, kernel, strides, padding, "channels_last"))
    y = RNG.normal(size=forward.shape).astype("float32")
    back = np.array(ops.conv_transpose(y, kernel, strides, padding, data_format="channels_last"))
    assert back.shape == x.shape
    assert np.sum(forward * y) == pytest.approx(np.sum(x * back), rel=1e-4, abs=1e-3)


@once
@pytest.mark.parametrize("window", [(9, 7, 2), (64, 64, 1), (5, 1, 3), (3, 12, 1)], ids=str)
def test_a_decoder_reverses_the_sizes_of_its_encoder(window):
    arguments = {"kernel_size": 4, "filters": (2, 3, 4)}
    sizes = coders.ConvolutionalEncoder(**arguments)._sizes(window[:2])
    maps, shapes = np.zeros((1, *window), "float32"), []
    encoder = built(coders.ConvolutionalEncoder(**arguments), window)
    for convolution in encoder.convolutions:
        shapes.append(tuple(maps.shape))
        maps = convolution(maps)
    assert [shape[1:3] for shape in [*shapes, tuple(maps.shape)]] == sizes
    decoder = built(coders.ConvolutionalDecoder(**arguments | {"filters": (4, 3, 2)}), window)
    maps = np.zeros((1, *decoder.start_shape), "float32")
    assert decoder.start_shape == (*sizes[-1], 4)
    for convolution, (rows, columns), shape in zip(decoder.convolutions, decoder._crops, shapes[::-1], strict=True):
        maps = convolution(maps)[:, rows, columns]
        assert tuple(maps.shape) == shape


# An autoencoder's arguments


@once
@depths
def test_configurations_and_mirrors(depth):
    autoencoder = lea_keras.VariationalAutoencoder(2, seed=1, **depth)
    config = autoencoder.get_config()
    assert config == lea_keras.VariationalAutoencoder.from_config(config).get_config()
    assert tuple(config["units"]) == autoencoder.units == autoencoder.encoder.units == depth["units"]
    assert autoencoder.decoder.units == depth["units"][::-1]
    if depth.get("filters"):
        assert tuple(config["filters"]) == autoencoder.encoder.filters == depth["filters"]
        if depth["decoder"] == "conv":
            assert autoencoder.decoder.filters == depth["filters"][::-1]
    for part in (autoencoder.encoder, autoencoder.decoder):
        again = type(part).from_config(part.get_config())
        assert again.get_config() == part.get_config() and again.units == part.units
    windows = RNG.random((3, 5, 6, 2)).astype("float32")
    assert tuple(autoencoder(windows).shape) == windows.shape
    assert autoencoder.features_length == autoencoder.encoder.compute_output_shape(windows.shape)[1]


@once
def test_coders_of_different_depth_are_given_as_layers():
    encoder = coders.ConvolutionalEncoder(filters=(2, 3), units=(4,))
    autoencoder = lea_keras.StandardAutoencoder(2, encoder=encoder, decoder="sb")
    assert tuple(autoencoder(np.zeros((1, 6, 6, 1), "float32")).shape) == (1, 6, 6, 1)
    again = lea_keras.StandardAutoencoder.from_config(autoencoder.get_config())
    assert again.encoder.filters == (2, 3) and again.encoder.units == (4,)


SIZES = "None or a tuple, perhaps empty, of positive integers, one per layer"
ERRORS = {
    "number": ({"units": 4}, "units", SIZES, 4),
    "zero": ({"units": (4, 0)}, "units", SIZES, (4, 0)),
    "text": ({"units": "12"}, "units", SIZES, "12"),
    "no filters": ({"filters": (), "encoder": "conv"}, "filters", "None or a tuple of positive integers", ()),
    "sb": ({"units": (4,), "decoder": "sb"}, "units", 'left out where the decoder is "sb", whose layers', (4,)),
    "sb filters": (
        {"filters": (4,), "encoder": "conv", "decoder": "sb"},
        "filters",
        'left out where the decoder is "sb"',
        (4,),
    ),
    "fc filters": ({"filters": (4,)}, "filters", 'left out where neither encoder nor decoder is "conv"', (4,)),
}


@once
@pytest.mark.parametrize(("arguments", "name", "allowed", "received"), ERRORS.values(), ids=ERRORS)
def test_bad_arguments(arguments, name, allowed, received):
    with pytest.raises(ValueError) as error:
        lea_keras.StandardAutoencoder(3, **arguments)
    assert str(error.value).startswith(f"Argument `{name}` must be {allowed}")
    assert str(error.value).endswith(f"Received: {name}={received!r}")


@once
@pytest.mark.parametrize("argument", ["encoder", "decoder"])
def test_units_are_those_of_coders_given_by_name(argument):
    coder = coders.FullyConnectedEncoder() if argument == "encoder" else coders.FullyConnectedDecoder()
    for given in (coder, keras.saving.serialize_keras_object(coder)):
        with pytest.raises(ValueError, match=f"`units` must be left out where the {argument} is given as a layer"):
            lea_keras.StandardAutoencoder(3, units=(), **{argument: given})


# Like any other coder


CONV = ("conv", "vae", "joint")


@pytest.mark.parametrize(
    ("depth", "kind", "optimization"),
    few([("linear", "standard", "alternate"), ("fc", "k_sparse", "alternate"), CONV], [CONV]),
)
def test_a_model_is_saved_in_training_and_goes_on(depth, kind, optimization, tmp_path):
    model = compile_model(make_model(optimization, kind, leas=1, **DEPTHS[depth]), run_eagerly=EAGERLY)
    fit(model, samples=8)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert same_weights(model, again)
    fit(model, samples=8), fit(again, samples=8)
    for weight, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(other, weight, rtol=1e-5, atol=1e-6)


@once
@pytest.mark.parametrize("depth", [DEPTHS["fc"], DEPTHS["linear"], DEEP], ids=str)
def test_chunks_change_nothing(depth):
    results = []
    for chunk_windows in (None, 12):  # three rows of eight
        model = make_model("alternate", "standard", leas=1, chunk_windows=chunk_windows, **depth)
        compile_model(model, keras.optimizers.SGD(0.02), run_eagerly=EAGERLY)
        results.append((fit(model, samples=2), model.get_weights()))
    (history, weights), (chunked, others) = results
    for name, values in history.items():
        np.testing.assert_allclose(chunked[name], values, rtol=2e-5, err_msg=name)
    for values, other in zip(weights, others, strict=True):
        np.testing.assert_allclose(other, values, rtol=2e-5, atol=2e-6)


@once
@pytest.mark.usefixtures("eagerly")
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method implemented")
@pytest.mark.parametrize("depth", [DEPTHS["fc"], DEPTHS["linear"], DEEP], ids=str)
def test_quantised_layers_of_deep_coders_are_restored(depth, tmp_path):
    model = make_model("alternate", "standard", leas=1, **depth)
    images = make_data(4)[0]
    before = model.predict(images, verbose=0)
    model.quantize("int8")
    after = model.predict(images, verbose=0)
    assert 0 < np.abs(after - before).max() < 0.1
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(images, verbose=0), after, rtol=1e-5)
    autoencoder = again.lea_layers[0].autoencoder
    dense = [layer for layer in autoencoder._flatten_layers() if isinstance(layer, layers.Dense)]
    assert {layer.quantization_mode for layer in dense} == {"int8"}


@once
@depths
def test_half_precision(depth):
    keras.config.set_dtype_policy("mixed_bfloat16")
    autoencoder = lea_keras.StandardAutoencoder(2, **depth)
    windows = RNG.random((3, 5, 6, 2)).astype("float32")
    report = autoencoder.objective(ops.convert_to_tensor(windows), training=True)
    assert report.codes.dtype == report.reconstructions.dtype == "bfloat16" and report.loss.dtype == "float32"
    assert math.isfinite(float(report.loss))
