"""Images to windows and back (thesis section 2.1.6, chapter 3).

``fold`` is the adjoint of extraction: it adds windows up where they overlap. It is both the gradient of
``extract_windows`` and the heart of ``merge_windows``.
"""

import functools
from typing import Any

import keras
import numpy as np
from keras import ops

from lea_keras.checks import check_pair, check_positive_int, fail
from lea_keras.windows import blocks, patches
from lea_keras.windows.blocks import fold
from lea_keras.windows.grid import Size, check_window_fits, check_windowing, grid, sides


class Windows:
    """The windows of a batch of images: their grid is laid once, and what is asked of them is computed once.

    Args:
        images: [b, h, w, c]; h and w may be unknown until the graph runs.
        window_size: (rows, columns), in pixels.
        strides: (rows, columns), in pixels.
        padding: "same" or "valid".
        blockwise: whether windows are cut block by block also where TensorFlow has an operation for it, as is faster
            where XLA compiles.
    """

    def __init__(
        self,
        images: Any,
        window_size: tuple[int, int],
        strides: tuple[int, int],
        padding: str,
        blockwise: bool = False,
    ) -> None:
        self.images, self.window_size, self.strides, self.padding = images, window_size, strides, padding
        _, height, width, _ = sides(images)
        self.grids = (
            grid(height, window_size[0], strides[0], padding),
            grid(width, window_size[1], strides[1], padding),
        )
        self.blockwise = blockwise

    @property
    def rows(self) -> Any:
        """Rows of windows in an image: an int where it is known."""
        return self.grids[0].count

    @property
    def columns(self) -> Any:
        """Windows in a row: an int where it is known."""
        return self.grids[1].count

    def isolated(self) -> "Windows":
        """Returns the same windows, through which no gradient reaches the images."""
        images = ops.stop_gradient(self.images)
        return Windows(images, self.window_size, self.strides, self.padding, self.blockwise)

    @functools.cached_property
    def flat(self) -> Any:
        """All windows, [b·rows·columns, wh, ww, c]."""
        symbolic = isinstance(self.images, keras.KerasTensor)
        if keras.backend.backend() == "tensorflow" and not self.blockwise and not symbolic:
            windows = patches.cut(self.images, self.window_size, self.strides, self.padding)
        else:
            windows = blocks.cut(self.images, self.window_size, self.strides, self.grids)
        return ops.reshape(windows, (-1, *self.window_size, self.images.shape[3]))

    @functools.cached_property
    def limits(self) -> tuple[Any, Any]:
        """The least and the largest value of all windows, two scalars of the images' dtype, without a gradient. Zeros
        of the padding count, no images do not. Nothing is cut out for it where that is possible."""
        if any(stride > window for window, stride in zip(self.window_size, self.strides, strict=True)):
            return extremes(ops.stop_gradient(self.flat))  # gaps between windows: no more values than in the images
        images, padded = ops.stop_gradient(self.images), False
        for axis, (side, window, stride) in enumerate(
            zip(self.grids, self.window_size, self.strides, strict=True), start=1
        ):
            if self.padding == "valid":
                images = blocks.shorten(images, axis, 0, (side.count - 1) * stride + window)
            else:
                padded = padded | (side.before + side.after > 0)
        low, high = extremes(images)
        if isinstance(padded, bool):
            return (ops.minimum(low, 0), ops.maximum(high, 0)) if padded else (low, high)
        return ops.where(padded, ops.minimum(low, 0), low), ops.where(padded, ops.maximum(high, 0), high)

    def as_maps(self, codes: Any) -> Any:
        """Returns code maps [b, rows, columns, code_length] of codes [b·rows·columns, code_length]."""
        return ops.reshape(codes, (-1, self.rows, self.columns, codes.shape[-1]))


def extract_windows(
    images: Any,
    window_size: Size,
    strides: Size | None = None,
    padding: str = "same",
    data_format: str | None = None,
) -> Any:
    """Cuts images into windows (thesis section 2.1.6).

    Args:
        images: float tensor [b, h, w, c] ([b, c, h, w] if channels come first); h and w may be unknown until the graph
            runs.
        window_size: int or pair (rows, columns), in pixels: wh and ww below.
        strides: int or pair (rows, columns), in pixels. None: the window size.
        padding: "same" pads with zeros as TensorFlow does and gives ceil(h / stride) rows of windows; "valid" pads
            nothing and drops pixels that no whole window covers.
        data_format: "channels_last", "channels_first" or None for Keras' setting.

    Returns:
        Windows [b, rows, columns, wh, ww, c]; channels come last whatever the data format **(chosen)**.

    Raises:
        ValueError: for an argument outside what is said above, or a window larger than the image under "valid".
    """
    window_size, strides, padding, data_format = check_windowing(window_size, strides, padding, data_format)
    images = ops.convert_to_tensor(images)
    if len(images.shape) != 4:
        raise fail("images", "of rank 4, [batch, rows, columns, channels]", tuple(images.shape))
    if data_format == "channels_first":
        images = ops.transpose(images, (0, 2, 3, 1))  # [b, c, h, w] -> [b, h, w, c]
    check_window_fits(window_size, padding, images.shape[1:3])
    windows = Windows(images, window_size, strides, padding, patches.may_be_compiled())
    return ops.reshape(windows.flat, (-1, windows.rows, windows.columns, *window_size, images.shape[3]))


def value_range(images: Any, window_size: tuple[int, int], strides: tuple[int, int], padding: str) -> tuple[Any, Any]:
    """Returns ``Windows.limits`` of images [b, h, w, c]; arguments as there."""
    return Windows(ops.convert_to_tensor(images), window_size, strides, padding).limits


def extremes(values: Any) -> tuple[Any, Any]:
    """Returns the least and the largest of values of any shape, two scalars of their dtype; ∞ and −∞ of none."""
    values = ops.convert_to_tensor(values)
    # What a maximum over nothing is only TensorFlow knows; it alone has sizes that are unknown here.
    if 0 in values.shape:
        least, largest = (ops.convert_to_tensor(float(limit), dtype=values.dtype) for limit in ("inf", "-inf"))
        return least, largest
    return ops.min(values), ops.max(values)


def merge_windows(
    windows: Any,
    image_size: Size,
    strides: Size | None = None,
    padding: str = "same",
    data_format: str | None = None,
) -> Any:
    """Puts windows back into images, the inverse of ``extract_windows`` (thesis section 4.2).

    Overlapping pixels are averaged, padding is cropped, pixels that no window covers are 0.

    Args:
        windows: float tensor [b, rows, columns, wh, ww, c].
        image_size: int or pair (h, w), in pixels; each side may also be a scalar integer tensor.
        strides: int or pair (rows, columns), in pixels. None: the window size.
        padding: "same" or "valid", as in the extraction.
        data_format: of the result: "channels_last", "channels_first" or None for Keras' setting.

    Returns:
        Images [b, h, w, c] ([b, c, h, w] if channels come first).

    Raises:
        ValueError: for an argument outside what is said above, or where the number of windows does not fit the image.
    """
    windows = ops.convert_to_tensor(windows)
    if len(windows.shape) != 6:
        allowed = "of rank 6, [batch, rows, columns, window rows, window columns, channels]"
        raise fail("windows", allowed, tuple(windows.shape))
    window_size, strides, padding, data_format = check_windowing(
        tuple(windows.shape[3:5]), strides, padding, data_format
    )
    image_size = _check_image_size(image_size)
    for size, window, stride, count in zip(image_size, window_size, strides, windows.shape[1:3], strict=True):
        if isinstance(size, int) and count is not None and grid(size, window, stride, padding).count != count:
            allowed = f"such that its windows are {tuple(windows.shape[1:3])} rows and columns, as in `windows`"
            raise fail("image_size", allowed, image_size)
    images = fold(windows, image_size, strides, padding)
    vertical, horizontal = (
        ops.maximum(_cover(size, window, stride, padding), 1.0)
        for size, window, stride in zip(image_size, window_size, strides, strict=True)
    )
    covers = vertical[:, None, None] * horizontal[None, :, None]  # [h, w, 1]
    images = images / ops.cast(covers, images.dtype)
    if data_format == "channels_first":
        images = ops.transpose(images, (0, 3, 1, 2))  # [b, h, w, c] -> [b, c, h, w]
    return images


def _check_image_size(image_size: Any) -> tuple[Any, Any]:
    """A pair of sides; sides that are tensors pass, since their values are known only when the graph runs."""
    if isinstance(image_size, (tuple, list)) and len(image_size) == 2 and any(ops.is_tensor(n) for n in image_size):
        height, width = (n if ops.is_tensor(n) else check_positive_int("image_size", n) for n in image_size)
        return height, width
    return check_pair("image_size", image_size)


def _cover(size: Any, window: int, stride: int, padding: str) -> Any:
    """How many windows cover each pixel along one side: [size]."""
    count, before, _ = grid(size, window, stride, padding)
    if isinstance(size, int):
        covered = np.zeros(before + max(size, (count - 1) * stride + window), "float32")
        for start in range(0, count * stride, stride):
            covered[start : start + window] += 1.0
        return ops.convert_to_tensor(covered[before : before + size])
    # Window i covers pixel p if 0 <= p + before - i·stride < window.
    pixels = ops.arange(size) + before
    last = ops.minimum(pixels // stride, count - 1)
    first = ops.maximum((pixels - window) // stride + 1, 0)
    return ops.cast(ops.maximum(last - first + 1, 0), "float32")
