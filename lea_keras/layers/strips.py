"""Windows of images by rows of windows, in chunks: the geometry behind ``lea_keras.layers.chunking``.

All windows of a row lie in one strip of the image, so that a chunk of them is cut out of the pixels of few strips.
"""

from typing import Any, NamedTuple

from keras import ops

from lea_keras.windows import extract, extract_rows, fit, grid, sides


class Strips(NamedTuple):
    """The rows of windows of images, and how they are taken in chunks.

    Attributes:
        image_size: (h, w) of the images.
        window_size: (rows, columns) of a window.
        strides: (rows, columns).
        padding: "same" or "valid".
        rows: rows of windows in an image.
        columns: windows in a row.
        count: rows of windows in all images.
        chunk: rows of windows in a chunk.
    """

    image_size: tuple[Any, Any]
    window_size: tuple[int, int]
    strides: tuple[int, int]
    padding: str
    rows: Any
    columns: Any
    count: Any
    chunk: Any

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
        counts = zip((self.rows, self.columns), self.window_size, self.strides, strict=True)
        lengths = [(count - 1) * stride + window for count, window, stride in counts]
        return fit(images, self.window_size, self.strides, self.padding, lengths)

    def pixels(self, images: Any, chosen: Any) -> Any:
        """The pixels below some rows of windows of padded images: [chunk, wh, width, c]."""
        _, height, width, channels = sides(images)
        lines = ops.reshape(images, (-1, width, channels))  # [b, height, width, c] -> [b·height, width, c]
        first = (chosen // self.rows) * height + (chosen % self.rows) * self.strides[0]
        return ops.take(lines, first[:, None] + ops.arange(self.window_size[0], dtype="int32"), axis=0)

    def windows(self, pixels: Any) -> Any:
        """Windows [chunk·columns, wh, ww, c] of such pixels."""
        strides = (self.window_size[0], self.strides[1])
        windows = extract(pixels, self.window_size, strides, "valid")  # [chunk, 1, columns, wh, ww, c]
        return ops.reshape(windows, (-1, *windows.shape[3:]))

    def all_pixels(self, images: Any) -> Any:
        """``pixels`` of all rows of windows of images [b, h, w, c], [count, wh, width, c], with a quick gradient."""
        return extract_rows(self.padded(images), self.window_size[0], self.strides[0])


def lay_strips(
    images: Any, window_size: tuple[int, int], strides: tuple[int, int], padding: str, chunk_windows: int
) -> Strips:
    """Lays the grid of ``extract_windows`` over images [b, h, w, c]; a chunk has ``chunk_windows`` windows at most,
    but at least one whole row of them, and all chunks are as equal as whole rows allow."""
    batch, height, width, _ = sides(images)
    rows, columns = (
        grid(size, window, stride, padding).count
        for size, window, stride in zip((height, width), window_size, strides, strict=True)
    )
    count = batch * rows
    chunks = _ceil(count, _at_least_one(chunk_windows // columns))
    chunk = _at_least_one(_ceil(count, _at_least_one(chunks)))
    return Strips((height, width), window_size, strides, padding, rows, columns, count, chunk)


def _at_least_one(number: Any) -> Any:
    return max(1, number) if isinstance(number, int) else ops.maximum(1, number)


def _ceil(number: Any, divisor: Any) -> Any:
    return (number + divisor - 1) // divisor
