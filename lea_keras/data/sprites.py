"""The generated data set: binary sprites, 64x64 or of another size, that vary in five known factors, drawn on demand.

The factors, their order and their values are those of dSprites (L. Matthey, I. Higgins, D. Hassabis, A. Lerchner:
"dSprites: Disentanglement testing Sprites dataset", 2017). The images are drawn from closed formulas fitted to the
authors' example pictures: a pixel is on if and only if its centre lies inside the shape, and nothing is smoothed. Of 43
original images, 36 are drawn exactly; the other seven differ by one to five pixels on the outline.

Any subset of the 737 280 images can be drawn without the others. The module needs NumPy alone.
"""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import numpy as np

from lea_keras import checks

IMAGE_SHAPE = (64, 64, 1)

#: The fewest rows and columns at which sprites are drawn: with 8, some would have no pixel.
SMALLEST = 16

SHAPES = ("square", "ellipse", "heart")

#: The factors and how many values each has, in the order of the grid: the last one varies fastest.
FACTORS = MappingProxyType({"shape": 3, "scale": 6, "orientation": 40, "x": 32, "y": 32})
GRID_SIZE = 737_280  # the product of the above

#: The name of each factor in the records of TFDS' `dsprites`, after "label_" or "value_".
FIELD_NAMES = MappingProxyType(
    {"shape": "shape", "scale": "scale", "orientation": "orientation", "x": "x_position", "y": "y_position"}
)

#: The value behind every label; read-only.
VALUES = MappingProxyType(
    {
        "shape": np.array([1.0, 2.0, 3.0]),
        "scale": np.linspace(0.5, 1.0, 6),
        "orientation": np.linspace(0.0, 2.0 * np.pi, 40),  # both ends included: the first and last look the same
        "x": np.linspace(0.0, 1.0, 32),
        "y": np.linspace(0.0, 1.0, 32),
    }
)
for _values in VALUES.values():
    _values.setflags(write=False)

# Half the side of the square and the half-axes of the ellipse, in pixels at scale 1.
_SQUARE = 9.6
_ELLIPSE = (12.76, 7.22)


def heart_outline(vertices: int = 200) -> np.ndarray:
    """Returns the corners of the heart at scale 1 and orientation 0: the polygon that is drawn.

    Args:
        vertices: how many. 200 **(chosen)**: with 10 000 or more, one pixel of the authors' pictures is lost.

    Returns:
        [vertices, 2] float64: u = 9.6 sin³s and v = -0.6625 (13 cos s - 5 cos 2s - 2 cos 3s - cos 4s) - 1.44, in
        pixels and v pointing down, for equidistant s from 0 (the notch) to 2π.
    """
    s = 2.0 * np.pi * np.arange(vertices) / vertices
    u = 9.6 * np.sin(s) ** 3
    v = -0.6625 * (13.0 * np.cos(s) - 5.0 * np.cos(2.0 * s) - 2.0 * np.cos(3.0 * s) - np.cos(4.0 * s)) - 1.44
    return np.stack([u, v], axis=-1)  # [vertices, 2]


# The right half of the heart, as (u, v) with rising u: from the notch, and from the tip, to the widest point.
_HEART_NOTCH = tuple(heart_outline()[:51].T)
_HEART_TIP = tuple(heart_outline()[50:101][::-1].T)

# No shape reaches further from its centre than this at scale 1 (the square's corner: 9.6 * sqrt(2) = 13.58).
_RADIUS = 13.6

# Sprites drawn at once: 256 boxes of 29 x 29 float64 pixels are 1.7 MB an array, which a cache holds.
_CHUNK = 256


def labels_from_indices(indices: Any) -> np.ndarray:
    """Returns the factor labels of images by their place in the grid.

    Args:
        indices: [n] integers from 0 to 737 279.

    Returns:
        [n, 5] int64: the labels of shape, scale, orientation, x and y.

    Raises:
        ValueError: for values that are no integers or outside the grid, or for another rank.
    """
    indices = _check_integers("indices", indices, rank=1, shape="[n]")
    if indices.size and not (0 <= indices.min() and indices.max() < GRID_SIZE):
        wrong = indices[(indices < 0) | (indices >= GRID_SIZE)][0]
        raise checks.fail("indices", f"from 0 to {GRID_SIZE - 1}", int(wrong))
    return np.stack(np.unravel_index(indices, tuple(FACTORS.values())), axis=-1).astype(np.int64)  # [n, 5]


def indices_from_labels(labels: Any) -> np.ndarray:
    """Returns the places in the grid of images by their factor labels; the inverse of `labels_from_indices`.

    Args:
        labels: [n, 5] integers, the labels of shape (0 to 2), scale (0 to 5), orientation (0 to 39), x and y (0 to 31).

    Returns:
        [n] int64, from 0 to 737 279.

    Raises:
        ValueError: for values that are no integers or outside their factor's range, or for another shape.
    """
    labels = _check_labels(labels)
    return np.asarray(np.ravel_multi_index(tuple(labels.T), tuple(FACTORS.values())), np.int64)  # [n]


def draw(factors: Any, image_size: int = IMAGE_SHAPE[0]) -> np.ndarray:
    """Draws the images of any part of the grid.

    Args:
        factors: [n] indices into the grid, or [n, 5] labels, as `labels_from_indices` returns them.
        image_size: rows and columns of the images, at least `SMALLEST`. The scene is the same at any: a pixel of a
            smaller image is a larger part of it.

    Returns:
        [n, image_size, image_size, 1] uint8 with the values 0 and 1. The same factors always give the same image.

    Raises:
        ValueError: for values that are no integers or outside the grid, for another shape, or for a size out of range.
    """
    factors = np.asarray(factors)
    labels = _check_labels(factors) if factors.ndim == 2 else labels_from_indices(factors)
    image_size = checks.check_positive_int("image_size", image_size, SMALLEST)
    images = np.zeros((len(labels), image_size, image_size), np.uint8)
    # All sprites of a chunk share shape and scale, hence the formula and the size of the box that encloses them.
    for shape, scale, chunk in _chunks(labels):
        _draw_chunk(images, chunk, labels[chunk], SHAPES[shape], VALUES["scale"][scale])
    return images[..., np.newaxis]  # [n, rows, columns] → [n, rows, columns, 1]


def examples(indices: Any) -> dict[str, np.ndarray]:
    """Draws images and returns them with all fields of TFDS' `dsprites`.

    Args:
        indices: [n] integers from 0 to 737 279.

    Returns:
        `image` ([n, 64, 64, 1] uint8, 0 and 1) and for each of shape, scale, orientation, x_position and y_position
        `label_…` ([n] int64) and `value_…` ([n] float32): 1 to 3, 0.5 to 1, 0 to 2π, 0 to 1 and 0 to 1.

    Raises:
        ValueError: as `labels_from_indices`.
    """
    labels = labels_from_indices(indices)
    fields = {"image": draw(labels)}
    for column, (factor, name) in enumerate(FIELD_NAMES.items()):
        fields[f"label_{name}"] = labels[:, column]
        fields[f"value_{name}"] = VALUES[factor][labels[:, column]].astype(np.float32)
    return fields


def inside(shape: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Tells which points lie inside a shape of scale 1 and orientation 0 around the origin, v pointing down.

    The heart is a polygon, symmetric in u, whose right half goes out from its notch to the widest point and back in to
    its tip: over each u lie exactly two points of the outline, one from the way out and one from the way back. Each is
    a piecewise linear function of ``|u|``, so that interpolation gives the polygon exactly.

    Args:
        shape: "square", "ellipse" or "heart".
        u: the points' first coordinate, in pixels.
        v: the second; of a shape that broadcasts with `u`.

    Returns:
        Booleans of the broadcast shape; points on the outline are outside.
    """
    checks.check_choice("shape", shape, SHAPES)
    if shape == "square":
        return (np.abs(u) < _SQUARE) & (np.abs(v) < _SQUARE)
    if shape == "ellipse":
        return (u / _ELLIPSE[0]) ** 2 + (v / _ELLIPSE[1]) ** 2 < 1.0
    width = np.abs(u)
    # Beyond the widest point, both interpolations return its height: nothing lies between them.
    return (np.interp(width, *_HEART_NOTCH) < v) & (v < np.interp(width, *_HEART_TIP))


def _chunks(labels: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yields the label of a shape, the label of a scale and at most `_CHUNK` rows of `labels` that have both."""
    for shape in range(FACTORS["shape"]):
        for scale in range(FACTORS["scale"]):
            rows = np.flatnonzero((labels[:, 0] == shape) & (labels[:, 1] == scale))
            for start in range(0, len(rows), _CHUNK):
                yield shape, scale, rows[start : start + _CHUNK]


def _draw_chunk(images: np.ndarray, rows: np.ndarray, labels: np.ndarray, shape: str, scale: float) -> None:
    """Draws sprites of one shape and scale into `images[rows]`, computing only the box around each.

    All lengths are in pixels of an image of 64x64, but for the places of pixels, which are the image's own. Centres are
    (16 + 32 x, 16 + 32 y) and lie within [16, 48], so that no sprite leaves the image; a box that would is moved back.
    """
    size, radius = images.shape[1], _RADIUS * scale
    zoom = size / IMAGE_SHAPE[0]
    box = np.arange(int(np.ceil(2.0 * radius * zoom)) + 1)  # [side]
    last = size - len(box)
    turn = VALUES["orientation"][labels[:, 2], np.newaxis]  # [n, 1]
    centre_x = 16.0 + 32.0 * VALUES["x"][labels[:, 3], np.newaxis]
    centre_y = 16.0 + 32.0 * VALUES["y"][labels[:, 4], np.newaxis]
    columns = np.minimum(np.floor((centre_x - radius) * zoom).astype(np.int64), last) + box  # [n, side]
    lines = np.minimum(np.floor((centre_y - radius) * zoom).astype(np.int64), last) + box
    dx = ((columns + 0.5) / zoom - centre_x) / scale
    dy = ((lines + 0.5) / zoom - centre_y) / scale
    # Each coordinate is a sum of a term per column and a term per line: [n, 1, side] and [n, side, 1].
    u = (dx * np.cos(turn))[:, np.newaxis, :] - (dy * np.sin(turn))[:, :, np.newaxis]  # [n, side, side]
    v = (dx * np.sin(turn))[:, np.newaxis, :] + (dy * np.cos(turn))[:, :, np.newaxis]
    images[rows[:, np.newaxis, np.newaxis], lines[:, :, np.newaxis], columns[:, np.newaxis, :]] = inside(shape, u, v)


def _check_integers(argument: str, values: Any, rank: int, shape: str) -> np.ndarray:
    """Returns `values` as an int64 array of `rank` axes."""
    array = np.asarray(values)
    if array.ndim != rank:
        raise checks.fail(argument, f"an array of shape {shape}", f"an array of shape {array.shape}")
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise checks.fail(argument, "an array of integers", f"an array of {array.dtype}")
    return array.astype(np.int64)


def _check_labels(labels: Any) -> np.ndarray:
    """Returns factor labels as an int64 array [n, 5] if each is within its factor's range."""
    labels = _check_integers("labels", labels, rank=2, shape="[n, 5]")
    if labels.shape[1] != len(FACTORS):
        raise checks.fail("labels", "an array of shape [n, 5]", f"an array of shape {labels.shape}")
    for column, (factor, size) in zip(labels.T, FACTORS.items(), strict=True):
        if column.size and not (0 <= column.min() and column.max() < size):
            wrong = int(column[(column < 0) | (column >= size)][0])
            raise checks.fail("labels", f"from 0 to {size - 1} for the factor {factor!r}", wrong)
    return labels
