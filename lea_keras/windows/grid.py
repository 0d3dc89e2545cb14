"""Grid of windows along each side of an image: that of a Keras pooling layer with the same window size, strides and
padding."""

from typing import Any, NamedTuple

import keras
from keras import ops

from lea_keras.checks import check_choice, check_pair, fail

PADDINGS = ("same", "valid")
DATA_FORMATS = ("channels_last", "channels_first")

Size = int | tuple[int, int]


class Grid(NamedTuple):
    """How windows lie along one side of an image.

    Attributes:
        count: number of windows.
        before: pixels of zero padding before the first pixel; negative never.
        after: pixels of zero padding behind the last pixel; negative where pixels at the end are in no window.
    """

    count: Any
    before: Any
    after: Any


def grid(size: Any, window: int, stride: int, padding: str) -> Grid:
    """Lays windows along one side, with the padding split as TensorFlow splits it (the odd pixel goes behind).

    Args:
        size: pixels along this side: an int, or a scalar tensor where it is known only when the graph runs.
        window: pixels of a window along this side.
        stride: pixels from one window to the next.
        padding: "same" or "valid".
    """
    if padding == "same":
        count = (size + stride - 1) // stride
        needed = (count - 1) * stride + window - size
        total = max(needed, 0) if isinstance(size, int) else ops.maximum(needed, 0)
        before = total // 2
    else:
        count = (size - window) // stride + 1
        before = 0
    return Grid(count, before, (count - 1) * stride + window - size - before)


def check_windowing(
    window_size: Size, strides: Size | None, padding: str, data_format: str | None
) -> tuple[tuple[int, int], tuple[int, int], str, str]:
    """Returns the four arguments in canonical form: two pairs, the padding, the data format.

    Raises:
        ValueError: if one of them is not what ``extract_windows`` documents.
    """
    window_size = check_pair("window_size", window_size)
    strides = window_size if strides is None else check_pair("strides", strides)
    padding = check_choice("padding", padding, PADDINGS)
    if data_format is None:
        data_format = keras.config.image_data_format()
    return window_size, strides, padding, check_choice("data_format", data_format, DATA_FORMATS)


def check_window_fits(window_size: tuple[int, int], padding: str, image_size: tuple[Any, Any]) -> None:
    """Raises ``ValueError`` where no window fits: under "valid", a window larger than the image (if its size is known).

    Args:
        window_size: (rows, columns) of a window.
        padding: "same" or "valid".
        image_size: (rows, columns) of the images; a side that is not an int is not checked.
    """
    for window, size in zip(window_size, image_size, strict=True):
        if padding == "valid" and isinstance(size, int) and window > size:
            allowed = f'at most the image size {tuple(image_size)} under padding="valid"'
            raise fail("window_size", allowed, window_size, 'Take smaller windows or padding="same".')


def sides(images: Any) -> tuple[Any, ...]:
    """The sizes of a tensor: Python ints where static, scalar tensors where not."""
    dynamic = ops.shape(images)
    return tuple(dynamic[axis] if size is None else size for axis, size in enumerate(images.shape))
