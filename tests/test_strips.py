"""Rows of windows in their strips of pixels: the windows that ``extract_windows`` cuts out, chunk by chunk."""

import keras
import numpy as np
import pytest
from backends import BACKEND, few
from layer_checks import GRIDS

from lea_keras import windows
from lea_keras.layers.strips import lay_strips

if BACKEND == "tensorflow":
    import tensorflow as tf

IMAGES = np.random.default_rng(3).normal(size=(3, 9, 7, 2)).astype("float32")


@pytest.mark.parametrize("name", few(GRIDS, ["overlap"]))
@pytest.mark.parametrize("chunk_windows", few([1, 5, 10**6], [5]))
def test_chunks_hold_the_windows_of_the_image(name, chunk_windows):
    window_size, strides, padding = GRIDS[name]
    strips = lay_strips(windows.Windows(IMAGES, window_size, strides, padding), chunk_windows)
    images, found = strips.padded(keras.ops.convert_to_tensor(IMAGES)), []
    for i in range(strips.chunks):
        chosen, kept = strips.chosen(i)
        cut = strips.windows(strips.pixels(images, chosen))
        cut = keras.ops.reshape(cut, (strips.chunk, strips.columns, *window_size, 2))
        found.append(cut[: int(np.sum(kept))])
    expected = windows.extract_windows(IMAGES, window_size, strides, padding)
    np.testing.assert_array_equal(np.concatenate(found), np.reshape(expected, (-1, *expected.shape[2:])))
    assert strips.chunk * strips.columns <= max(chunk_windows, strips.columns)


@pytest.mark.parametrize("known", few([True, False], [True]))  # only TensorFlow has graphs of unknown sizes
@pytest.mark.parametrize(
    ("batch", "chunk_windows", "chunk", "chunks"),
    [(3, 10**6, 15, 1), (3, 40, 8, 2), (3, 1, 1, 15), (1, 16, 3, 2), (1, 24, 5, 1)],
)
def test_chunks_are_as_equal_as_rows_allow(batch, chunk_windows, chunk, chunks, known):
    """Images have 5 rows of 4 windows: of 15 rows 10 fit into 40 windows, and 8 and 7 waste less than 10 and 5."""
    found = []

    def lay(images):
        strips = lay_strips(windows.Windows(images, (3, 3), (2, 2), "same"), chunk_windows)
        found.append(isinstance(strips.chunk, int))
        return strips.chunk, strips.chunks

    if BACKEND == "tensorflow":
        lay = tf.function(lay, input_signature=[tf.TensorSpec((batch if known else None, 9, 7, 2))], autograph=False)
    assert [int(number) for number in lay(np.zeros((batch, 9, 7, 2), "float32"))] == [chunk, chunks]
    assert found == [known]


def test_no_images_have_no_chunks():
    strips = lay_strips(windows.Windows(keras.ops.zeros((0, 9, 7, 2)), (3, 3), (2, 2), "same"), 8)
    assert (strips.chunk, strips.chunks) == (1, 0)
