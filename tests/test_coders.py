"""Encoders and decoders: sizes of Eqs. 3.3 and 3.4, layers against plain Keras twins, shapes, errors."""

import math
from fractions import Fraction

import keras
import numpy as np
import pytest
from backends import few, once

from lea_keras.autoencoders import coders

RNG = np.random.default_rng(0)
ENCODERS = {"fc": coders.FullyConnectedEncoder, "conv": coders.ConvolutionalEncoder}
DECODERS = {
    "fc": coders.FullyConnectedDecoder,
    "conv": coders.ConvolutionalDecoder,
    "sb": coders.SpatialBroadcastDecoder,
}
CONVOLUTIONAL = [coders.ConvolutionalEncoder, coders.ConvolutionalDecoder]
WINDOWS = few([(2, 2, 1), (3, 5, 2), (4, 4, 3), (9, 2, 1)], [(3, 5, 2)])


@pytest.fixture(autouse=True)
def seeded():
    """The same numbers whichever tests run before."""
    keras.utils.set_random_seed(0)
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def build_decoder(decoder, window, code_length=3):
    decoder.build((None, code_length), (None, *window))
    return decoder


def shapes(layer):
    return [tuple(weight.shape) for weight in layer.weights]


def randomise(layer):
    """Random weights, biases too, so that zero biases hide nothing."""
    layer.set_weights([RNG.normal(0.0, 0.5, weight.shape) for weight in layer.weights])


def assert_twin(layer, twin, inputs):
    """The same weights in plain Keras layers give the same outputs."""
    randomise(layer)
    twin.build(inputs.shape)
    assert twin.count_params() == layer.count_params()
    twin.set_weights(layer.get_weights())
    expected = twin(inputs)
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-4, atol=1e-4)
    return np.array(expected)


# n and f


@pytest.mark.parametrize("strides", [2, 3, 5, 10])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 7])
def test_sizes_are_those_of_the_equations_in_exact_arithmetic(kernel_size, strides):
    for size in range(1, 300):
        n = coders.conv_reductions((size, size), kernel_size, strides)
        if kernel_size > size:
            assert n == 0
        else:
            # n − 1 = ⌈log_s(w / k)⌉ says that s^(n − 2) < w / k ≤ s^(n − 1).
            ratio = Fraction(size, kernel_size)
            assert Fraction(strides) ** (n - 2) < ratio <= Fraction(strides) ** (n - 1)
        f = math.ceil(Fraction(size, strides**n))
        assert coders.reduced_size((size, size), kernel_size, strides) == (f, f)


@pytest.mark.parametrize(
    ("size", "kernel_size", "strides", "n"), [(125, 1, 5, 4), (250, 2, 5, 4), (500, 4, 5, 4), (216, 1, 6, 4)], ids=str
)
def test_exact_powers_where_floating_logarithms_fail(size, kernel_size, strides, n):
    assert coders.conv_reductions((size, size), kernel_size, strides) == n
    in_floats = math.ceil(math.log(size / kernel_size) / math.log(strides)) + 1
    assert in_floats == n + 1  # one convolution too many, which is wrong


@pytest.mark.parametrize(
    ("window", "kernel_size", "strides", "n", "f"),
    [
        ((28, 28), 3, 2, 5, (1, 1)),
        ((28, 28), 4, 2, 4, (2, 2)),
        ((4, 4), 3, 2, 2, (1, 1)),
        ((4, 4), 4, 2, 1, (2, 2)),
        ((64, 64), 4, 2, 5, (2, 2)),
        ((8, 8), 2, 3, 3, (1, 1)),
        ((3, 3), 4, 2, 0, (3, 3)),
        ((2, 2), 3, 2, 0, (2, 2)),
        ((1, 3), 4, 2, 0, (1, 3)),
        ((3, 5), 3, 2, 2, (1, 2)),
        ((5, 3), 3, 2, 2, (2, 1)),
        ((2, 5), 3, 2, 2, (1, 2)),
        ((16, 3), 4, 2, 3, (2, 1)),
    ],
    ids=str,
)
def test_sizes_by_hand(window, kernel_size, strides, n, f):
    assert coders.conv_reductions(window, kernel_size, strides) == n
    assert coders.reduced_size(window, kernel_size, strides) == f


def test_a_window_that_is_not_square_takes_as_many_as_its_longer_side():
    assert coders.conv_reductions((2, 5), 3, 2) == coders.conv_reductions((5, 5), 3, 2) == 2
    assert coders.conv_reductions((2, 2), 3, 2) == 0  # the shorter side's count, which is wrong


# Layer sequences


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_fully_connected_encoder(window):
    values = math.prod(window)
    encoder = coders.FullyConnectedEncoder()
    encoder.build((None, *window))
    assert shapes(encoder) == [(values, 2 * values), (2 * values,)]
    randomise(encoder)
    windows = RNG.normal(size=(4, *window)).astype("float32")
    linear = windows.reshape(4, values) @ encoder.weights[0].numpy() + encoder.weights[1].numpy()
    np.testing.assert_allclose(encoder(windows), np.maximum(linear, 0), rtol=1e-4, atol=1e-5)
    assert np.any(linear < 0)  # without the ReLU, which is wrong


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_fully_connected_decoder(window):
    values = math.prod(window)
    decoder = build_decoder(coders.FullyConnectedDecoder(), window)
    assert shapes(decoder) == [(3, 2 * values), (2 * values,), (2 * values, values), (values,)]
    randomise(decoder)
    codes = RNG.normal(size=(4, 3)).astype("float32")
    kernel, bias, last_kernel, last_bias = decoder.get_weights()
    expected = np.maximum(codes @ kernel + bias, 0) @ last_kernel + last_bias
    np.testing.assert_allclose(decoder(codes), expected.reshape(4, *window), rtol=1e-4, atol=1e-4)
    assert np.any(expected < 0)  # the last layer is linear


@pytest.mark.parametrize("kernel_size", few([2, 3, 4], [3]))
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_convolutional_encoder(window, kernel_size):
    n = coders.conv_reductions(window[:2], kernel_size, 2)
    f = coders.reduced_size(window[:2], kernel_size, 2)
    twin = keras.Sequential(
        [keras.layers.Conv2D(5, kernel_size, 2, padding="same", activation="relu") for _ in range(n)]
        + [keras.layers.Flatten(), keras.layers.Dense(5 * math.prod(f), activation="relu")]
    )
    encoder = coders.ConvolutionalEncoder(kernels=5, kernel_size=kernel_size)
    encoder.build((None, *window))
    windows = RNG.normal(size=(4, *window)).astype("float32")
    features = assert_twin(encoder, twin, windows)
    assert features.shape == (4, 5 * math.prod(f)) == (4, encoder.compute_output_shape((None, *window))[1])


@pytest.mark.parametrize("kernel_size", few([2, 3, 4], [3]))
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_convolutional_decoder(window, kernel_size):
    n = coders.conv_reductions(window[:2], kernel_size, 2)
    f = coders.reduced_size(window[:2], kernel_size, 2)
    twin = keras.Sequential(
        [keras.layers.Dense(5 * math.prod(f), activation="relu"), keras.layers.Reshape((*f, 5))]
        + [keras.layers.Conv2DTranspose(5, kernel_size, 2, padding="same", activation="relu") for _ in range(n)]
        + [keras.layers.Flatten(), keras.layers.Dense(math.prod(window)), keras.layers.Reshape(window)]
    )
    decoder = build_decoder(coders.ConvolutionalDecoder(kernels=5, kernel_size=kernel_size), window)
    reconstructions = assert_twin(decoder, twin, RNG.normal(size=(16, 3)).astype("float32"))
    assert np.any(reconstructions < 0)  # the last layer is linear


@once
def test_the_last_dense_layer_is_there_also_where_the_size_fits():
    decoder = build_decoder(coders.ConvolutionalDecoder(kernels=5, kernel_size=3), (4, 4, 5))
    assert shapes(decoder)[-2:] == [(80, 80), (80,)]


@pytest.mark.parametrize("kernel_size", few([1, 3, 4], [4]))
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_spatial_broadcast_decoder(window, kernel_size):
    rows, columns, channels = window
    convolution = keras.layers.Conv2D
    twin = keras.Sequential(
        [convolution(5, kernel_size, padding="same", activation="relu") for _ in range(2)]
        + [convolution(channels, kernel_size, padding="same")]
    )
    decoder = build_decoder(coders.SpatialBroadcastDecoder(kernels=5, kernel_size=kernel_size), window)
    assert shapes(decoder)[::2] == [
        (kernel_size, kernel_size, 3 + 2, 5),
        (kernel_size, kernel_size, 5, 5),
        (kernel_size, kernel_size, 5, channels),
    ]
    codes = RNG.normal(size=(16, 3)).astype("float32")
    tiles = np.zeros((16, rows, columns, 5), "float32")
    for row in range(rows):
        for column in range(columns):
            tiles[:, row, column, :3] = codes
            tiles[:, row, column, 3] = -1 + 2 * column / (columns - 1)
            tiles[:, row, column, 4] = -1 + 2 * row / (rows - 1)
    randomise(decoder)
    twin.build(tiles.shape)
    twin.set_weights(decoder.get_weights())
    reconstructions = np.array(decoder(codes))
    np.testing.assert_allclose(reconstructions, twin(tiles), rtol=1e-4, atol=1e-4)
    assert np.any(reconstructions < 0)  # the last layer is linear


def coordinates(window):
    """What a decoder without weights of its own sees: x and y of every pixel."""
    decoder = coders.SpatialBroadcastDecoder(kernels=2, kernel_size=1, activation="linear")
    build_decoder(decoder, (*window, 2), code_length=1)
    pick = np.array([[0, 0], [1, 0], [0, 1]], "float32").reshape(1, 1, 3, 2)  # of (code, x, y) the last two
    same = np.eye(2, dtype="float32").reshape(1, 1, 2, 2)
    decoder.set_weights([pick, np.zeros(2), same, np.zeros(2), same, np.zeros(2)])
    return np.moveaxis(np.array(decoder(np.full((1, 1), 9.0, "float32")))[0], 2, 0)


@once
def test_x_runs_along_columns_and_y_along_rows():
    x, y = coordinates((3, 5))
    np.testing.assert_allclose(x, [[-1.0, -0.5, 0.0, 0.5, 1.0]] * 3)
    np.testing.assert_allclose(y, np.transpose([[-1.0, 0.0, 1.0]] * 5))
    square_x, square_y = coordinates((4, 4))
    assert not np.allclose(square_x, square_y)  # swapped, a square window would not tell by its shape


def test_a_side_of_one_pixel_has_the_coordinate_minus_one():
    x, y = coordinates((1, 3))
    np.testing.assert_array_equal(y, [[-1.0, -1.0, -1.0]])
    np.testing.assert_array_equal(x, [[-1.0, 0.0, 1.0]])


# Every encoder and every decoder with every window: neither sees more of the other than how many numbers it gives.
SHAPES = [
    (tuple(ENCODERS)[(i + j) % 2], name, window)
    for i, window in enumerate([*WINDOWS, (1, 1, 4)])
    for j, name in enumerate(DECODERS)
]


@once
@pytest.mark.parametrize(("encoder_name", "name", "window"), SHAPES, ids=str)
def test_shapes(encoder_name, name, window):
    encoder = ENCODERS[encoder_name]()
    features = encoder(np.zeros((2, *window), "float32"))
    assert tuple(features.shape) == tuple(encoder.compute_output_shape((2, *window)))
    decoder = build_decoder(DECODERS[name](), window, features.shape[1])
    assert tuple(decoder(features).shape) == tuple(decoder.compute_output_shape(features.shape)) == (2, *window)


@once
@pytest.mark.parametrize("cls", [*ENCODERS.values(), *DECODERS.values()], ids=lambda cls: cls.__name__)
def test_kernels_start_glorot_uniform_and_biases_zero(cls):
    layer = cls()
    if isinstance(layer, coders.Decoder):
        build_decoder(layer, (4, 4, 2))
    else:
        layer.build((None, 4, 4, 2))
    for weight in layer.weights:
        values = weight.numpy()
        if weight.name == "bias":
            assert not np.any(values)
            continue
        field = math.prod(values.shape[:-2])
        limit = math.sqrt(6 / (field * sum(values.shape[-2:])))  # 6 / (fan in + fan out)
        assert np.max(np.abs(values)) <= limit
        assert np.std(values) == pytest.approx(limit / math.sqrt(3), rel=0.2)


@once
@pytest.mark.parametrize("cls", [*ENCODERS.values(), *DECODERS.values()], ids=lambda cls: cls.__name__)
def test_the_activation_can_be_linear(cls):
    layer = cls(activation="linear")
    if isinstance(layer, coders.Decoder):
        shape = (2,)
        build_decoder(layer, (4, 4, 2), 2)
    else:
        shape = (4, 4, 2)
    x, y = RNG.normal(size=(2, 3, *shape)).astype("float32")
    expected = 3 * np.array(layer(x)) - 2 * np.array(layer(y))
    np.testing.assert_allclose(layer(3 * x - 2 * y), expected, rtol=1e-3, atol=1e-4)
    relu = cls()
    if isinstance(relu, coders.Decoder):
        build_decoder(relu, (4, 4, 2), 2)
    expected = 3 * np.array(relu(x)) - 2 * np.array(relu(y))
    assert not np.allclose(relu(3 * x - 2 * y), expected, atol=1e-2)  # the default is not linear


@once
def test_windows_have_channels_last_whatever_the_data_format_of_keras():
    windows = RNG.normal(size=(2, 5, 4, 3)).astype("float32")
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        encoder = coders.ConvolutionalEncoder(kernels=4, kernel_size=3)
        features = encoder(windows)
        outputs = [
            build_decoder(cls(kernels=4, kernel_size=3), (5, 4, 3))(np.ones((2, 3), "float32"))
            for cls in (coders.ConvolutionalDecoder, coders.SpatialBroadcastDecoder)
        ]
    finally:
        keras.config.set_image_data_format(before)
    assert shapes(encoder)[0] == (3, 3, 3, 4)
    twin = coders.ConvolutionalEncoder(kernels=4, kernel_size=3)
    twin.build(windows.shape)
    twin.set_weights(encoder.get_weights())
    np.testing.assert_allclose(twin(windows), features, rtol=1e-5)
    assert all(tuple(output.shape) == (2, 5, 4, 3) for output in outputs)


# Names, configurations, errors


ARGUMENTS = {"kernels": 3, "kernel_size": 2, "conv_strides": 4}


@pytest.mark.parametrize(("get", "registry"), [(coders.get_encoder, ENCODERS), (coders.get_decoder, DECODERS)])
def test_names_objects_and_configurations(get, registry):
    for name, cls in registry.items():
        layer = get(name, **ARGUMENTS)
        assert type(layer) is cls
        config = layer.get_config()
        taken = {key: value for key, value in ARGUMENTS.items() if key in config}
        assert {key: config[key] for key in taken} == taken
        assert ("kernels" in taken) == (name != "fc")
        assert get(layer) is layer
        again = get(keras.saving.serialize_keras_object(layer))
        assert type(again) is cls and again.get_config() == config


@pytest.mark.parametrize("cls", [*ENCODERS.values(), *DECODERS.values()], ids=lambda cls: cls.__name__)
def test_configurations_hold_every_argument(cls):
    arguments = {"activation": "tanh", "dtype": "mixed_bfloat16", "name": "mine"}
    if cls.__name__.startswith(("Conv", "Spatial")):
        arguments |= {"kernels": 7, "kernel_size": 5}
    if cls in CONVOLUTIONAL:
        arguments |= {"conv_strides": 3}
    config = cls(**arguments).get_config()
    assert cls.from_config(config).get_config() == config
    assert config["dtype"]["config"]["name"] == "mixed_bfloat16"
    for key in arguments.keys() - {"dtype"}:
        assert config[key] == arguments[key]


ERRORS = {
    "encoder_unknown": (coders.get_encoder, "cnv", "one of ('fc', 'conv'). Did you mean 'conv'?", "encoder"),
    "encoder_sb": (coders.get_encoder, "sb", "one of ('fc', 'conv').", "encoder"),
    "encoder_number": (coders.get_encoder, 3, "one of ('fc', 'conv'), a Keras layer or its config.", "encoder"),
    "decoder_unknown": (coders.get_decoder, "bs", "one of ('fc', 'conv', 'sb', 'tied').", "decoder"),
    "decoder_none": (
        coders.get_decoder,
        None,
        "one of ('fc', 'conv', 'sb', 'tied'), a Keras layer or its config.",
        "decoder",
    ),
}


@pytest.mark.parametrize(("get", "identifier", "allowed", "argument"), ERRORS.values(), ids=ERRORS.keys())
def test_unknown_coders(get, identifier, allowed, argument):
    with pytest.raises(ValueError) as error:
        get(identifier, **ARGUMENTS)
    message = str(error.value)
    assert message.startswith(f"Argument `{argument}` must be {allowed}")
    assert message.endswith(f"Received: {argument}={identifier!r}")


@pytest.mark.parametrize(
    ("argument", "value", "minimum"),
    [("kernels", 0, 1), ("kernels", 2.5, 1), ("kernel_size", -1, 1), ("kernel_size", (3, 3), 1)],
    ids=str,
)
@pytest.mark.parametrize("cls", [*CONVOLUTIONAL, coders.SpatialBroadcastDecoder], ids=lambda cls: cls.__name__)
def test_sizes_must_be_positive(cls, argument, value, minimum):
    with pytest.raises(ValueError) as error:
        cls(**{argument: value})
    message = f"Argument `{argument}` must be an integer of at least {minimum}. Received: {argument}={value!r}"
    assert str(error.value) == message


@pytest.mark.parametrize("cls", CONVOLUTIONAL, ids=lambda cls: cls.__name__)
def test_with_stride_one_windows_would_never_shrink(cls):
    with pytest.raises(ValueError, match="`conv_strides` must be an integer of at least 2. Received: conv_strides=1"):
        cls(conv_strides=1)


@pytest.mark.parametrize("cls", DECODERS.values(), ids=DECODERS.keys())
def test_a_decoder_does_not_guess_its_windows(cls):
    with pytest.raises(ValueError, match="windows_shape"):
        cls()(np.zeros((2, 3), "float32"))
