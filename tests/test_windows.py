"""Images to windows and back, against NumPy loops, pooling layers, TensorFlow's stock op, numerical gradients."""

import contextlib
import math

import keras
import numpy as np
import pytest
from backends import BACKEND, few, needs_tensorflow, once
from compiling import compiled
from gradients import jacobians
from hypothesis import given, settings
from hypothesis import strategies as st

from lea_keras import windows

if BACKEND == "tensorflow":
    import tensorflow as tf
else:
    import jax

RNG = np.random.default_rng(0)
EXAMPLES = settings(max_examples=few(25, 4), deadline=None, derandomize=True, database=None)

# (rows, columns), window, strides, padding: smaller, equal and larger strides; even and odd amounts of padding.
CASES = {
    "equal_strides": ((4, 6), (2, 3), (2, 3), "same"),
    "overlap": ((5, 7), (3, 3), (2, 2), "same"),
    "odd_padding": ((4, 4), (3, 3), (2, 2), "same"),
    "odd_padding_overlap_not_square": ((5, 4), (4, 2), (1, 3), "same"),
    "gaps": ((7, 6), (2, 1), (3, 4), "same"),
    "window_larger_than_image": ((2, 3), (5, 4), (2, 1), "same"),
    "valid_overlap": ((6, 5), (3, 2), (1, 1), "valid"),
    "valid_rest": ((7, 8), (2, 3), (2, 3), "valid"),
    "valid_gaps": ((8, 7), (2, 2), (3, 4), "valid"),
    "valid_whole_image": ((4, 3), (4, 3), (1, 1), "valid"),
}
CHOSEN = few(tuple(CASES), ("overlap",))
cases = pytest.mark.parametrize("case", [CASES[name] for name in CHOSEN], ids=CHOSEN)


@pytest.fixture(autouse=True)
def seeded():
    """The same numbers whichever tests run before; float64, which JAX has only on request."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state
    with jax.enable_x64(True) if BACKEND == "jax" else contextlib.nullcontext():
        yield


def make_images(size, channels=2, batch=2, dtype="float64"):
    return RNG.uniform(0.5, 1.5, (batch, *size, channels)).astype(dtype)


def starts(size, window, stride, padding):
    """Where windows start along one side, by TensorFlow's rule of the odd pixel of padding behind."""
    if padding == "valid":
        return list(range(0, size - window + 1, stride))
    count = math.ceil(size / stride)
    total = max((count - 1) * stride + window - size, 0)
    return [i * stride - total // 2 for i in range(count)]


def pixels(size, window, strides, padding):
    """For every pixel of every window that lies in the image: ((row, column, wr, wc), (image row, image column))."""
    for i, top in enumerate(starts(size[0], window[0], strides[0], padding)):
        for j, left in enumerate(starts(size[1], window[1], strides[1], padding)):
            for r in range(window[0]):
                for c in range(window[1]):
                    if 0 <= top + r < size[0] and 0 <= left + c < size[1]:
                        yield (i, j, r, c), (top + r, left + c)


def loop_extract(images, window, strides, padding):
    size = images.shape[1:3]
    count = [len(starts(n, w, s, padding)) for n, w, s in zip(size, window, strides, strict=True)]
    result = np.zeros((len(images), *count, *window, images.shape[3]), images.dtype)
    for (i, j, r, c), (y, x) in pixels(size, window, strides, padding):
        result[:, i, j, r, c] = images[:, y, x]
    return result


def loop_merge(patches, size, strides, padding):
    """Sums and cover counts of every pixel."""
    total = np.zeros((len(patches), *size, patches.shape[5]), patches.dtype)
    covers = np.zeros((*size, 1))
    for (i, j, r, c), (y, x) in pixels(size, patches.shape[3:5], strides, padding):
        total[:, y, x] += patches[:, i, j, r, c]
        covers[y, x] += 1
    return total, covers


def quickly(function):
    """The same function, compiled as one under JAX, which compiles every operation of every shape anyway."""
    return compiled(function) if BACKEND == "jax" else function


@st.composite
def windowings(draw):
    """Any size, window, strides and padding under which at least one window fits."""
    size = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    padding = draw(st.sampled_from(windows.PADDINGS))
    window = tuple(draw(st.integers(1, n if padding == "valid" else 6)) for n in size)
    strides = draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    return size, window, strides, padding


@EXAMPLES
@given(windowings())
def test_extract_equals_a_double_loop(case):
    size, *arguments = case
    images = make_images(size)
    extracted = quickly(lambda images: windows.extract_windows(images, *arguments))(images)
    np.testing.assert_array_equal(extracted, loop_extract(images, *arguments))


@EXAMPLES
@given(windowings())
def test_merge_is_the_inverse_where_windows_cover(case):
    size, window, strides, padding = case
    images = make_images(size)

    def there_and_back(images):
        patches = windows.extract_windows(images, window, strides, padding)
        return windows.merge_windows(patches, size, strides, padding)

    merged = quickly(there_and_back)(images)
    _, covers = loop_merge(loop_extract(images, window, strides, padding), size, strides, padding)
    np.testing.assert_allclose(merged, np.where(covers > 0, images, 0.0), rtol=1e-12, atol=0)


@EXAMPLES
@given(windowings())
def test_merge_averages_windows_that_disagree(case):
    size, window, strides, padding = case
    count = [len(starts(n, w, s, padding)) for n, w, s in zip(size, window, strides, strict=True)]
    patches = RNG.normal(size=(2, *count, *window, 3))
    total, covers = loop_merge(patches, size, strides, padding)
    merged = quickly(lambda patches: windows.merge_windows(patches, size, strides, padding))(patches)
    np.testing.assert_allclose(merged, total / np.maximum(covers, 1), rtol=1e-12, atol=1e-12)


@needs_tensorflow
@EXAMPLES
@given(windowings())
def test_windows_equal_those_of_tensorflow(case):
    size, window, strides, padding = case
    images = make_images(size, dtype="float32")
    stock = tf.image.extract_patches(images, (1, *window, 1), (1, *strides, 1), (1, 1, 1, 1), padding.upper())
    extracted = windows.extract_windows(images, window, strides, padding)
    np.testing.assert_array_equal(tf.reshape(extracted, stock.shape), stock)


@EXAMPLES
@given(windowings())
def test_the_range_of_values_is_that_of_the_windows(case):
    size, *arguments = case
    images = make_images(size)
    value_range = quickly(lambda values: windows.value_range(values, *arguments))
    for values in (images, images + 5.0, images - 5.0):  # where zeros of the padding are the least or the largest
        expected = loop_extract(values, *arguments)
        assert [float(limit) for limit in value_range(values)] == [expected.min(), expected.max()]


@needs_tensorflow  # only its graphs have such sizes
@EXAMPLES
@given(windowings())
def test_sizes_known_only_to_the_graph_give_the_same(case):
    """``fold`` and the cover counts take tensors for sizes too; here eagerly, so that nothing is traced."""
    size, window, strides, padding = case
    count = [len(starts(n, w, s, padding)) for n, w, s in zip(size, window, strides, strict=True)]
    patches = RNG.normal(size=(1, *count, *window, 1))
    dynamic = windows.merge_windows(patches, tuple(tf.constant(n) for n in size), strides, padding)
    np.testing.assert_allclose(dynamic, windows.merge_windows(patches, size, strides, padding), rtol=1e-12)


def test_some_windows_overlap_by_the_average_not_the_sum():
    patches = np.array([[1.0, 3.0], [5.0, 7.0]], "float32").reshape(1, 1, 2, 1, 2, 1)  # two 1×2 windows, stride 1
    merged = np.ravel(windows.merge_windows(patches, (1, 3), 1, "valid"))
    np.testing.assert_array_equal(merged, [1.0, 4.0, 7.0])
    total, _ = loop_merge(patches, (1, 3), (1, 1), "valid")
    np.testing.assert_array_equal(np.ravel(total), [1.0, 8.0, 7.0])  # the sum, which is wrong


def test_the_odd_pixel_of_padding_goes_behind():
    images = np.arange(1.0, 5.0).reshape(1, 1, 4, 1)
    patches = windows.extract_windows(images, (1, 3), (1, 2), "same")
    np.testing.assert_array_equal(np.reshape(patches, (2, 3)), [[1, 2, 3], [3, 4, 0]])
    wrong = [[0, 1, 2], [2, 3, 4]]  # the odd pixel in front
    assert not np.array_equal(np.reshape(patches, (2, 3)), wrong)


def test_pixels_of_a_window_lie_row_by_row():
    patches = windows.extract_windows(np.arange(12.0).reshape(1, 2, 6, 1), (2, 3))
    np.testing.assert_array_equal(np.reshape(patches, (2, 2, 3)), [[[0, 1, 2], [6, 7, 8]], [[3, 4, 5], [9, 10, 11]]])


@cases
def test_same_grid_as_a_pooling_layer(case):
    (height, width), window, strides, padding = case
    images = make_images((height, width), dtype="float32")
    pooling = keras.layers.MaxPooling2D(window, strides, padding)
    patches = windows.extract_windows(images, window, strides, padding)
    assert tuple(patches.shape[:3]) == pooling.compute_output_shape(images.shape)[:3]
    # All images are positive, so that padding is never the largest and the maxima show which pixels a window holds.
    np.testing.assert_array_equal(np.max(patches, (3, 4)), pooling(images))


@once
@EXAMPLES
@given(windowings())
def test_same_number_of_windows_as_a_pooling_layer(case):
    size, window, strides, padding = case
    shape = keras.layers.MaxPooling2D(window, strides, padding).compute_output_shape((None, *size, 1))
    count = [windows.grid(n, w, s, padding).count for n, w, s in zip(size, window, strides, strict=True)]
    assert tuple(count) == shape[1:3]


def test_the_grid_says_how_much_is_padded_and_how_much_left_over():
    assert windows.grid(4, 3, 2, "same") == (2, 0, 1)
    assert windows.grid(5, 4, 1, "same") == (5, 1, 2)
    assert windows.grid(7, 2, 3, "valid") == (2, 0, -2)
    assert windows.grid(7, 3, 2, "valid") == (3, 0, 0)


@once
def test_an_int_is_a_pair_and_strides_default_to_the_window():
    images = make_images((5, 6))
    expected = loop_extract(images, (2, 2), (2, 2), "same")
    for arguments in [(2,), ((2, 2),), ([2, 2], None), (2, 2), (2, (2, 2), "same")]:
        np.testing.assert_array_equal(windows.extract_windows(images, *arguments), expected)
    np.testing.assert_allclose(windows.merge_windows(expected, (5, 6)), images, rtol=1e-12)
    square = make_images((6, 6))
    np.testing.assert_allclose(windows.merge_windows(windows.extract_windows(square, 4), 6), square, rtol=1e-12)


@cases
def test_channels_first(case):
    size, window, strides, padding = case
    images = make_images(size, channels=3)
    patches = windows.extract_windows(np.moveaxis(images, 3, 1), window, strides, padding, "channels_first")
    np.testing.assert_array_equal(patches, windows.extract_windows(images, window, strides, padding, "channels_last"))
    merged = windows.merge_windows(patches, size, strides, padding, "channels_first")
    expected = np.moveaxis(windows.merge_windows(patches, size, strides, padding, "channels_last"), 3, 1)
    np.testing.assert_array_equal(merged, expected)


@once
def test_the_data_format_is_that_of_keras_unless_given():
    images = make_images((4, 6), channels=3)
    usual = windows.extract_windows(images, 2)
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        patches = windows.extract_windows(np.moveaxis(images, 3, 1), 2)
        merged = windows.merge_windows(patches, (4, 6))
    finally:
        keras.config.set_image_data_format(before)
    np.testing.assert_array_equal(patches, usual)
    np.testing.assert_allclose(merged, np.moveaxis(images, 3, 1), rtol=1e-12)


@pytest.mark.parametrize("dtype", few(["float16", "bfloat16", "float32", "float64"], ["bfloat16"]))
def test_the_dtype_stays(dtype):
    images = keras.ops.cast(make_images((4, 4)), dtype)
    patches = windows.extract_windows(images, 3, 2)
    merged = windows.merge_windows(patches, 4, 2)
    assert [keras.backend.standardize_dtype(tensor.dtype) for tensor in (patches, merged)] == [dtype] * 2


@once
def test_an_empty_batch_stays_empty():
    patches = windows.extract_windows(np.zeros((0, 5, 4, 3), "float32"), 3, 2)
    assert tuple(patches.shape) == (0, 3, 2, 3, 3, 3)
    assert tuple(windows.merge_windows(patches, (5, 4), 2).shape) == (0, 5, 4, 3)


# Sizes unknown until the graph runs


@needs_tensorflow
@pytest.mark.parametrize(
    ("name", "jit_compile"),
    [("overlap", False), ("gaps", False), ("valid_rest", False), ("odd_padding_overlap_not_square", True)],
    ids=["overlap-graph", "gaps-graph", "valid_rest-graph", "odd_padding_overlap_not_square-xla"],
)
def test_unknown_sizes_in_a_graph(name, jit_compile):
    _, window, strides, padding = CASES[name]

    @tf.function(
        input_signature=[tf.TensorSpec((None, None, None, 2), "float64")], jit_compile=jit_compile, autograph=False
    )
    def there_and_back(images):
        shape = tf.shape(images)
        with tf.GradientTape() as tape:
            tape.watch(images)
            patches = windows.extract_windows(images, window, strides, padding)
            loss = tf.reduce_sum(patches**2) / 2
        merged = windows.merge_windows(patches, (shape[1], shape[2]), strides, padding)
        return patches, merged, tape.gradient(loss, images)

    for size in [(7, 8), (5, 4)]:
        images = make_images(size)
        patches, merged, gradient = there_and_back(images)
        expected = loop_extract(images, window, strides, padding)
        total, covers = loop_merge(expected, size, strides, padding)
        np.testing.assert_array_equal(patches, expected)
        np.testing.assert_allclose(merged, total / np.maximum(covers, 1), rtol=1e-12)
        np.testing.assert_allclose(gradient, total, rtol=1e-12)


class Windows(keras.layers.Layer):
    """Extraction as a layer does it that does not say its output's shape, which JAX cannot infer of unknown sizes."""

    def call(self, images):
        return windows.extract_windows(images, 3, 2)


@pytest.mark.parametrize("known", few([(None, None), (5, None), (None, 6), (5, 6)], [(5, 6)]), ids=str)
def test_unknown_sizes_in_a_functional_model(known):
    inputs = keras.Input((*known, 2))
    outputs = Windows()(inputs)
    assert outputs.shape == (None, None if known[0] is None else 3, None if known[1] is None else 3, 3, 3, 2)
    images = make_images((5, 6), dtype="float32")
    model = keras.Model(inputs, outputs)
    np.testing.assert_array_equal(model(images), loop_extract(images, (3, 3), (2, 2), "same"))


def test_symbolic_images_of_known_size_need_no_layer():
    inputs = keras.Input((5, 6, 2))
    patches = windows.extract_windows(inputs, 3, 2)
    model = keras.Model(inputs, [patches, windows.merge_windows(patches, (5, 6), 2)])
    images = make_images((5, 6), dtype="float32")
    extracted, merged = model(images)
    np.testing.assert_array_equal(extracted, loop_extract(images, (3, 3), (2, 2), "same"))
    np.testing.assert_allclose(merged, images, rtol=1e-6)


# Gradients


def in_mode(function, mode):
    if mode == "graph":
        return tf.function(function, autograph=False)  # as Keras traces
    return compiled(function) if mode == "xla" else function


modes = pytest.mark.parametrize("mode", few(["graph", "xla"], ["xla"]))
# Under JAX overlap and gaps with "same" too, whose gradients are held against TensorFlow's own below.
gradient_cases = pytest.mark.parametrize(
    "name", few(["odd_padding_overlap_not_square", "valid_gaps"], ["overlap", "gaps", "valid_gaps"])
)


@modes
@gradient_cases
def test_gradient_of_extract_equals_the_numerical_one(name, mode):
    size, *arguments = CASES[name]
    extract = in_mode(lambda images: windows.extract_windows(images, *arguments), mode)
    theoretical, numerical = jacobians(extract, make_images(size, 1, 1))
    np.testing.assert_allclose(theoretical, numerical, atol=1e-10)
    assert np.max(numerical) > 0.9


@modes
@gradient_cases
def test_gradient_of_merge_equals_the_numerical_one(name, mode):
    size, window, strides, padding = CASES[name]
    patches = RNG.normal(size=loop_extract(make_images(size, 1, 1), window, strides, padding).shape)
    merge = in_mode(lambda patches: windows.merge_windows(patches, size, strides, padding), mode)
    theoretical, numerical = jacobians(merge, patches)
    np.testing.assert_allclose(theoretical, numerical, atol=1e-10)
    assert np.max(numerical) > 0.1


@needs_tensorflow
@pytest.mark.parametrize(
    ("name", "mode"),
    [(name, "eager") for name in CASES] + [("overlap", "graph"), ("overlap", "xla"), ("valid_rest", "xla")],
)
def test_own_gradient_equals_the_stock_one(name, mode):
    size, window, strides, padding = CASES[name]
    images = tf.constant(make_images(size, dtype="float32"))
    weights = tf.constant(RNG.normal(size=loop_extract(images.numpy(), window, strides, padding).shape), "float32")

    def stock(images):
        patches = tf.image.extract_patches(images, (1, *window, 1), (1, *strides, 1), (1, 1, 1, 1), padding.upper())
        return tf.reshape(patches, weights.shape)

    def gradient_of(extract):
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = tf.reduce_sum(weights * extract(images) ** 2)
        return tape.gradient(loss, images)

    own = in_mode(lambda: gradient_of(lambda x: windows.extract_windows(x, window, strides, padding)), mode)()
    np.testing.assert_allclose(own, gradient_of(stock), rtol=1e-5, atol=1e-5)


# Errors


IMAGES = np.zeros((1, 4, 6, 2), "float32")
PATCHES = np.zeros((1, 2, 3, 2, 2, 1), "float32")
PAIR = "a positive integer or a pair (rows, columns) of them"
RANK6 = "of rank 6, [batch, rows, columns, window rows, window columns, channels]"
FIT = "such that its windows are (2, 3) rows and columns, as in `windows`"

ERRORS = {
    "window_size_zero": (windows.extract_windows, (IMAGES, 0), "window_size", PAIR, "0"),
    "window_size_float": (windows.extract_windows, (IMAGES, 2.0), "window_size", PAIR, "2.0"),
    "window_size_triple": (windows.extract_windows, (IMAGES, (1, 2, 3)), "window_size", PAIR, "(1, 2, 3)"),
    "strides_negative": (windows.extract_windows, (IMAGES, 2, (1, -1)), "strides", PAIR, "(1, -1)"),
    "padding": (windows.extract_windows, (IMAGES, 2, 2, "full"), "padding", "one of ('same', 'valid')", "'full'"),
    "data_format": (
        windows.extract_windows,
        (IMAGES, 2, 2, "same", "channel_last"),
        "data_format",
        "one of ('channels_last', 'channels_first')",
        "'channel_last'",
    ),
    "rank": (
        windows.extract_windows,
        (IMAGES[0], 2),
        "images",
        "of rank 4, [batch, rows, columns, channels]",
        "(4, 6, 2)",
    ),
    "too_high": (
        windows.extract_windows,
        (IMAGES, (5, 1), 1, "valid"),
        "window_size",
        'at most the image size (4, 6) under padding="valid"',
        "(5, 1)",
    ),
    "too_wide_channels_first": (
        windows.extract_windows,
        (IMAGES, 3, 1, "valid", "channels_first"),
        "window_size",
        'at most the image size (6, 2) under padding="valid"',
        "(3, 3)",
    ),
    "merge_rank": (windows.merge_windows, (PATCHES[0], 4), "windows", RANK6, "(2, 3, 2, 2, 1)"),
    "merge_image_size_zero": (windows.merge_windows, (PATCHES, (4, 0)), "image_size", PAIR, "(4, 0)"),
    "merge_image_size_none": (windows.merge_windows, (PATCHES, None), "image_size", PAIR, "None"),
    "merge_image_size_misfit": (windows.merge_windows, (PATCHES, (4, 7)), "image_size", FIT, "(4, 7)"),
    "merge_rows_and_columns_swapped": (windows.merge_windows, (PATCHES, (6, 4)), "image_size", FIT, "(6, 4)"),
    "merge_strides": (windows.merge_windows, (PATCHES, (4, 6), "2"), "strides", PAIR, "'2'"),
    "merge_padding": (windows.merge_windows, (PATCHES, (4, 6), 2, 0), "padding", "one of ('same', 'valid')", "0"),
}


@pytest.mark.parametrize(("function", "arguments", "name", "allowed", "received"), ERRORS.values(), ids=ERRORS.keys())
def test_errors(function, arguments, name, allowed, received):
    with pytest.raises(ValueError) as error:
        function(*arguments)
    message = str(error.value)
    assert message.startswith(f"Argument `{name}` must be {allowed}.")
    assert message.endswith(f"Received: {name}={received}")


def test_a_window_larger_than_an_unknown_size_is_no_error_before_the_graph_runs():
    windows.check_window_fits((9, 9), "valid", (None, None))
    windows.check_window_fits((9, 9), "same", (1, 1))
    with pytest.raises(ValueError, match="window_size"):
        windows.check_window_fits((9, 9), "valid", (None, 8))


@pytest.mark.parametrize(("window", "stride"), few([(1, 1), (3, 1), (3, 2), (4, 2), (2, 3), (7, 3)], [(3, 2)]))
def test_rows_of_windows_are_whole_rows_of_pixels(window, stride):
    images = make_images((7, 5), dtype="float32")
    strips = np.array(windows.blocks.cut_rows(images, window, stride))
    rows = range(0, 7 - window + 1, stride)
    expected = np.stack([image[row : row + window] for image in images for row in rows])
    np.testing.assert_array_equal(strips, expected)
