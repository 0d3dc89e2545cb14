"""Windows cut block by block, and the fold, by which the gradient goes back; never a gather or a scatter.

A window consists of blocks of one stride, of which the last may be smaller. Block i of all windows lies i strides
further on, so that windows are a few shifted copies of the image beside each other, and a fold is the sum of such
copies.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from lea_keras.checks import fail
from lea_keras.windows.grid import Grid, grid, sides


def cut(images: Any, window_size: tuple[int, int], strides: tuple[int, int], grids: tuple[Grid, Grid]) -> Any:
    """Cuts images into windows.

    Args:
        images: [b, h, w, c].
        window_size: (rows, columns), in pixels.
        strides: (rows, columns), in pixels.
        grids: how windows lie along either side.

    Returns:
        [b, rows, columns, wh, ww, c].
    """
    if isinstance(images, keras.KerasTensor) and None in images.shape[1:3]:
        raise fail("images", "of known size where they are symbolic; inside a layer any will do", images.shape)
    channels, counts = images.shape[3], [side.count for side in grids]
    blocks = [count + _blocks(w, s) - 1 for count, w, s in zip(counts, window_size, strides, strict=True)]
    images = fit(images, grids, [count * stride for count, stride in zip(blocks, strides, strict=True)])
    images = ops.reshape(images, (-1, blocks[0], strides[0], blocks[1], strides[1] * channels))
    images = ops.transpose(images, (0, 1, 3, 2, 4))  # [b, rows + qr - 1, columns + qc - 1, sr, sc·c]
    windows = _shifted(images, 1, counts[0], 3, window_size[0], strides[0])
    # [b, rows, columns + qc - 1, wh, sc·c] -> [b, rows, columns, wh, ww·c]
    windows = _shifted(windows, 2, counts[1], 4, window_size[1] * channels, strides[1] * channels)
    return ops.reshape(windows, (-1, *counts, *window_size, channels))


def cut_rows(images: Any, window: int, stride: int) -> Any:
    """Returns the rows of pixels below each row of windows; the width may be unknown.

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
    images = fit(images, (Grid(count, 0, 0), Grid(width, 0, 0)), (blocks * stride, width))
    images = ops.reshape(images, (-1, blocks, stride, width * channels))  # [b, rows + q - 1, stride, w·c]
    lines = _shifted(images, 1, count, 2, window, stride)  # [b, rows, window, w·c]
    return ops.reshape(lines, (-1, window, width, channels))


def _blocks(window: int, stride: int) -> int:
    """Blocks of one stride that a window takes along one side."""
    return -(-window // stride)


def fit(images: Any, grids: tuple[Grid, Grid], lengths: Sequence[Any]) -> Any:
    """Brings images [b, h, w, c] to (rows, columns) ``lengths``: first the zeros before the first window's pixels, then
    the pixels, then zeros, or fewer pixels."""
    pads, cuts = [], []
    for axis, (size, side, length) in enumerate(zip(sides(images)[1:3], grids, lengths, strict=True), start=1):
        after = length - side.before - size
        known = isinstance(after, int)
        pads.append((side.before, max(after, 0) if known else ops.maximum(after, 0)))
        if not known or after < 0:
            cuts.append((axis, length))
    if not all(isinstance(n, int) and n == 0 for pair in pads for n in pair):
        images = ops.pad(images, [(0, 0), *pads, (0, 0)])
    for axis, length in cuts:
        images = shorten(images, axis, 0, length)
    return images


def shorten(values: Any, axis: int, start: int, length: Any) -> Any:
    """Returns ``length`` entries of one axis from ``start``. The gradient of a slice is a pad, in graph mode many times
    faster than that of an index."""
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
        block = values if window <= stride else shorten(values, axis, i, count)
        size = min(stride, window - i * stride)
        blocks.append(block if size == stride else shorten(block, inner, 0, size))
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
            pads: list[Any] = [(0, 0)] * 4
            pads[axis] = (0, missing)
            images = ops.pad(images, pads)
        index = [slice(None)] * 4
        index[axis] = slice(before, before + size)
        images = images[tuple(index)]
    return images
