"""Images to windows and back (thesis section 2.1.6, chapter 3): pure functions without state.

The grid is that of a Keras pooling layer with the same window size, strides and padding. ``fold`` is the adjoint of
extraction: it adds windows up where they overlap. It is both the gradient of ``extract_windows`` and the heart of
``merge_windows``.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from lea_keras.checks import check_choice, check_pair, check_positive_int, fail

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
    return tuple(d if s is None else s for s, d in zip(images.shape, dynamic, strict=True))


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
    return extract(images, window_size, strides, padding)


def extract(images: Any, window_size: tuple[int, int], strides: tuple[int, int], padding: str) -> Any:
    """Extraction block by block, the way that ``fold`` goes back; arguments as in ``extract_windows``, checked.

    A window consists of blocks of one stride, of which the last may be smaller. Block i of all windows lies i strides
    further on, so that windows are a few shifted copies of the image beside each other: no gather, and a gradient
    that is a shift-and-add by itself. Where the window is the stride only the order of the axes changes.
    """
    if isinstance(images, keras.KerasTensor) and None in images.shape[1:3]:
        raise fail("images", "of known size where they are symbolic; inside a layer any will do", images.shape)
    _, height, width, channels = sides(images)
    sizes = (height, width)
    counts, lengths = [], []
    for size, window, stride in zip(sizes, window_size, strides, strict=True):
        counts.append(grid(size, window, stride, padding).count)
        lengths.append((counts[-1] + _blocks(window, stride) - 1) * stride)
    images = fit(images, window_size, strides, padding, lengths)
    blocks = [count + _blocks(w, s) - 1 for count, w, s in zip(counts, window_size, strides, strict=True)]
    images = ops.reshape(images, (-1, blocks[0], strides[0], blocks[1], strides[1] * channels))
    images = ops.transpose(images, (0, 1, 3, 2, 4))  # [b, rows + qr - 1, columns + qc - 1, sr, sc·c]
    windows = _shifted(images, 1, counts[0], 3, window_size[0], strides[0])
    # [b, rows, columns + qc - 1, wh, sc·c] -> [b, rows, columns, wh, ww·c]
    windows = _shifted(windows, 2, counts[1], 4, window_size[1] * channels, strides[1] * channels)
    return ops.reshape(windows, (-1, *counts, *window_size, channels))


def extract_rows(images: Any, window: int, stride: int) -> Any:
    """The rows of pixels below each row of windows, by the same blocks as ``extract``; the width may be unknown.

    Args:
        images: [b, h, w, c].
        window: rows of a window.
        stride: rows from one window to the next; none is padded.

    Returns:
        [b·rows, window, w, c].
    """
    _, height, width, channels = sides(images)
    count = grid(height, window, stride, "valid").count
    blocks = count + _blocks(window, stride) - 1
    images = fit(images, (window, 1), (stride, 1), "valid", (blocks * stride, width))
    images = ops.reshape(images, (-1, blocks, stride, width * channels))  # [b, rows + q - 1, stride, w·c]
    lines = _shifted(images, 1, count, 2, window, stride)  # [b, rows, window, w·c]
    return ops.reshape(lines, (-1, window, width, channels))


def value_range(images: Any, window_size: tuple[int, int], strides: tuple[int, int], padding: str) -> tuple[Any, Any]:
    """The least and the largest value of all windows, where possible without cutting them out.

    Args:
        images: [b, h, w, c].
        window_size: (rows, columns), in pixels.
        strides: (rows, columns), in pixels.
        padding: "same" or "valid".

    Returns:
        Two scalars of the images' dtype, without a gradient. Zeros of the padding count, no images do not.
    """
    images = ops.stop_gradient(images)
    if any(stride > window for window, stride in zip(window_size, strides, strict=True)):
        images = extract(images, window_size, strides, padding)  # gaps between windows: no more values than before
        return extremes(images)
    padded = False
    for axis, (window, stride) in enumerate(zip(window_size, strides, strict=True), start=1):
        size = sides(images)[axis]
        side = grid(size, window, stride, padding)
        if padding == "valid":
            images = _cut(images, axis, 0, (side.count - 1) * stride + window)
        else:
            padded = padded | (side.before + side.after > 0)
    low, high = extremes(images)
    if isinstance(padded, bool):
        return (ops.minimum(low, 0), ops.maximum(high, 0)) if padded else (low, high)
    return ops.where(padded, ops.minimum(low, 0), low), ops.where(padded, ops.maximum(high, 0), high)


def extremes(values: Any) -> tuple[Any, Any]:
    """The least and the largest of values of any shape, two scalars of their dtype; ∞ and −∞ of none."""
    values = ops.convert_to_tensor(values)
    # What a maximum over nothing is only TensorFlow knows; it alone has sizes that are unknown here.
    if 0 in values.shape:
        return tuple(ops.convert_to_tensor(float(limit), dtype=values.dtype) for limit in ("inf", "-inf"))
    return ops.min(values), ops.max(values)


def _blocks(window: int, stride: int) -> int:
    """Blocks of one stride that a window takes along one side."""
    return -(-window // stride)


def fit(
    images: Any, window_size: tuple[int, int], strides: tuple[int, int], padding: str, lengths: Sequence[Any]
) -> Any:
    """Brings images [b, h, w, c] to (rows, columns) ``lengths``: first the zeros before the first window's pixels, then
    the pixels, then zeros, or fewer pixels."""
    pads, cuts = [], []
    for axis, (window, stride, length) in enumerate(zip(window_size, strides, lengths, strict=True), start=1):
        size = sides(images)[axis]
        before = grid(size, window, stride, padding).before
        after = length - before - size
        known = isinstance(after, int)
        pads.append((before, max(after, 0) if known else ops.maximum(after, 0)))
        if not known or after < 0:
            cuts.append((axis, length))
    if not all(isinstance(n, int) and n == 0 for pair in pads for n in pair):
        images = ops.pad(images, [(0, 0), *pads, (0, 0)])
    for axis, length in cuts:
        images = _cut(images, axis, 0, length)
    return images


def _cut(values: Any, axis: int, start: int, length: Any) -> Any:
    """``length`` entries of one axis from ``start``. The gradient of a slice is a pad, in graph mode many times faster
    than that of an index."""
    if isinstance(values, keras.KerasTensor):
        index = [slice(None)] * len(values.shape)
        index[axis] = slice(start, start + length)
        return values[tuple(index)]
    starts, lengths = [0] * len(values.shape), list(sides(values))  # -1 would do, but lose sizes that are known
    starts[axis], lengths[axis] = start, length
    return ops.slice(values, starts, lengths)


def _shifted(values: Any, axis: int, count: Any, inner: int, window: int, stride: int) -> Any:
    """Lays blocks of one stride together on axis ``inner``: to whole windows, ``count`` of them along ``axis``."""
    blocks = []
    for i in range(_blocks(window, stride)):
        block = values if window <= stride else _cut(values, axis, i, count)
        size = min(stride, window - i * stride)
        blocks.append(block if size == stride else _cut(block, inner, 0, size))
    return blocks[0] if len(blocks) == 1 else ops.concatenate(blocks, axis=inner)


def fold(windows: Any, image_size: tuple[Any, Any], strides: tuple[int, int], padding: str) -> Any:
    """Adds windows up into an image, overlaps summed: the adjoint of ``extract_windows``.

    A window is cut into blocks of one stride. Block i of a window lands i strides further on, so the sum over windows
    is a sum of a few shifted arrays, one side after the other, and never a scatter.

    Args:
        windows: [b, rows, columns, wh, ww, c].
        image_size: (h, w), each an int or a scalar tensor.
        strides: (rows, columns), in pixels.
        padding: "same" or "valid", as in the extraction.

    Returns:
        Images [b, h, w, c]; a pixel in no window is 0.
    """
    shape = ops.shape(windows)
    channels = windows.shape[5]
    sizes = tuple(windows.shape[3:5])
    blocks = [math.ceil(size / stride) for size, stride in zip(sizes, strides, strict=True)]
    fill = [n * stride - size for n, stride, size in zip(blocks, strides, sizes, strict=True)]
    if any(fill):
        windows = ops.pad(windows, [(0, 0)] * 3 + [(0, fill[0]), (0, fill[1]), (0, 0)])
    rows, columns = (
        static if static is not None else dynamic
        for static, dynamic in zip(windows.shape[1:3], shape[1:3], strict=True)
    )
    # [b, rows, columns, qr, sr, qc·sc·c]
    windows = ops.reshape(windows, (-1, rows, columns, blocks[0], strides[0], blocks[1] * strides[1] * channels))
    summed = _shift_and_add([windows[:, :, :, i] for i in range(blocks[0])], axis=1)
    rows = rows + blocks[0] - 1
    # [b, rows + qr - 1, columns, sr, qc, sc·c]
    summed = ops.reshape(summed, (-1, rows, columns, strides[0], blocks[1], strides[1] * channels))
    summed = _shift_and_add([summed[:, :, :, :, i] for i in range(blocks[1])], axis=2)
    columns = columns + blocks[1] - 1
    summed = ops.transpose(summed, (0, 1, 3, 2, 4))  # [b, rows + qr - 1, sr, columns + qc - 1, sc·c]
    images = ops.reshape(summed, (-1, rows * strides[0], columns * strides[1], channels))
    return _crop(images, image_size, sizes, strides, padding)


def _shift_and_add(parts: list[Any], axis: int) -> Any:
    """Sums arrays of equal shape, the i-th of them shifted by i along ``axis``; the result is longer by one less."""
    if len(parts) == 1:
        return parts[0]
    rank = len(parts[0].shape)
    padded = []
    for i, part in enumerate(parts):
        pads = [(0, 0)] * rank
        pads[axis] = (i, len(parts) - 1 - i)
        padded.append(ops.pad(part, pads))
    total = padded[0]
    for part in padded[1:]:
        total = total + part
    return total


def _crop(images: Any, image_size: Any, window_size: Any, strides: tuple[int, int], padding: str) -> Any:
    """Cuts the padding off folded images and adds zeros where no window reached the end."""
    for axis, (size, window, stride) in enumerate(zip(image_size, window_size, strides, strict=True), start=1):
        before = grid(size, window, stride, padding).before
        length = images.shape[axis] if images.shape[axis] is not None else ops.shape(images)[axis]
        missing = before + size - length
        if isinstance(missing, int):
            missing = max(missing, 0)
        else:
            missing = ops.maximum(missing, 0)
        if not isinstance(missing, int) or missing:
            pads = [(0, 0)] * 4
            pads[axis] = (0, missing)
            images = ops.pad(images, pads)
        index = [slice(None)] * 4
        index[axis] = slice(before, before + size)
        images = images[tuple(index)]
    return images


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
        return tuple(n if ops.is_tensor(n) else check_positive_int("image_size", n) for n in image_size)
    return check_pair("image_size", image_size)
