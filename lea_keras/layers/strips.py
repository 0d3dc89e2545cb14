"""Windows of images by rows of windows, in chunks: the geometry behind ``lea_keras.layers.chunking``.

All windows of a row lie in one strip of the image, so that a chunk of them is cut out of the pixels of few strips.
"""

from typing import Any, NamedTuple

from keras import ops

from lea_keras.windows import Grid, Windows, grid, sides
from lea_keras.windows.blocks import cut, cut_rows, fit


class Strips(NamedTuple):
    """The rows of windows of images, and how they are taken in chunks.

    Attributes:
        laid: the windows, with their grid.
        count: rows of windows in all images.
        chunk: rows of windows in a chunk.
    """

    laid: Windows
    count: Any
    chunk: Any

    @property
    def columns(self) -> Any:
        """Windows in a row."""
        return self.laid.columns

    @property
    def chunks(self) -> Any:
        """How many chunks there are; the last may be filled up."""
        return _ceil(self.count, self.chunk)

    def chosen(self, i: Any) -> tuple[Any, Any]:
        """Which rows of windows chunk i takes, integers [chunk], and 1.0 or, where it is filled up, 0.0 for each."""
        rows = i * self.chunk + ops.arange(self.chunk, dtype="int32")
        return ops.minimum(rows, self.count - 1), ops.cast(rows < self.count, "float32")

    def padded(self, images: Any) -> Any:
        """Images [b, h, w, c] with as many pixels on each side as windows cover: [b, height, width, c]."""
        sizes = zip(self.laid.grids, self.laid.window_size, self.laid.strides, strict=True)
        return fit(images, self.laid.grids, [(side.count - 1) * stride + window for side, window, stride in sizes])

    def pixels(self, images: Any, chosen: Any) -> Any:
        """The pixels below some rows of windows of padded images: [chunk, wh, width, c]."""
        _, height, width, channels = sides(images)
        lines = ops.reshape(images, (-1, width, channels))  # [b, height, width, c] -> [b·height, width, c]
        first = (chosen // self.laid.rows) * height + (chosen % self.laid.rows) * self.laid.strides[0]
        return ops.take(lines, first[:, None] + ops.arange(self.laid.window_size[0], dtype="int32"), axis=0)

    def windows(self, pixels: Any) -> Any:
        """Windows [chunk·columns, wh, ww, c] of such pixels."""
        (height, width), stride = self.laid.window_size, self.laid.strides[1]
        grids = (Grid(1, 0, 0), grid(sides(pixels)[2], width, stride, "valid"))
        windows = cut(pixels, (height, width), (height, stride), grids)  # [chunk, 1, columns, wh, ww, c]
        return ops.reshape(windows, (-1, *windows.shape[3:]))

    def all_pixels(self, images: Any) -> Any:
        """``pixels`` of all rows of windows of images [b, h, w, c], [count, wh, width, c], with a quick gradient."""
        return cut_rows(self.padded(images), self.laid.window_size[0], self.laid.strides[0])


def lay_strips(windows: Windows, chunk_windows: int) -> Strips:
    """Divides windows into chunks of ``chunk_windows`` windows at most, but at least one whole row of them; all chunks
    are as equal as whole rows allow."""
    count = sides(windows.images)[0] * windows.rows
    chunks = _ceil(count, _at_least_one(chunk_windows // windows.columns))
    chunk = _at_least_one(_ceil(count, _at_least_one(chunks)))
    return Strips(windows, count, chunk)


def _at_least_one(number: Any) -> Any:
    return max(1, number) if isinstance(number, int) else ops.maximum(1, number)


def _ceil(number: Any, divisor: Any) -> Any:
    return (number + divisor - 1) // divisor
