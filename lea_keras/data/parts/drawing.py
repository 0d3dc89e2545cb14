"""Images, part maps and edge maps of the data set `parts`, drawn from its labels."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from lea_keras.data.parts.labels import (
    BACKGROUNDS,
    COLOURS,
    COSINES,
    GREYS,
    IMAGE_SHAPE,
    LARGEST,
    SHAPES,
    SINES,
    VALUES,
    Labels,
    Places,
    check_labels,
    places,
)
from lea_keras.data.parts.shapes import OUTLINES, normals

_CHUNK = 1024  # parts drawn at once: boxes of 12 x 12 float64 pixels are 1.2 MB an array


def draw(labels: Labels, image_size: int = IMAGE_SHAPE[0], colour: bool = False) -> np.ndarray:
    """Draws the images of labels: `paint` of their `part_maps`.

    Args:
        labels: from `labels_from_indices`, or changed.
        image_size: rows and columns, at least 32.
        colour: three channels instead of one.

    Returns:
        [n, image_size, image_size, 1 or 3] uint8. The same labels always give the same image.

    Raises:
        ValueError: for labels out of range or of another shape, or a size out of range.
    """
    return paint(labels, part_maps(labels, image_size), colour)


def paint(labels: Labels, maps: np.ndarray, colour: bool = False) -> np.ndarray:
    """Gives every pixel the grey or the colour of the part that covers it.

    Args:
        labels: of the images.
        maps: [n, h, w], their part maps.
        colour: three channels instead of one.

    Returns:
        [n, h, w, 1 or 3] uint8.
    """
    scenes, parts = check_labels(labels)
    palette = COLOURS if colour else GREYS[:, np.newaxis]  # [6, c]
    behind = np.repeat(BACKGROUNDS[scenes[:, 6], np.newaxis, np.newaxis], palette.shape[1], axis=-1)  # [n, 1, c]
    levels = np.concatenate([behind, palette[parts[..., 3]]], axis=1)  # [n, 6, c]
    return levels[np.arange(len(maps))[:, np.newaxis, np.newaxis], maps]


def part_maps(labels: Labels, image_size: int = IMAGE_SHAPE[0]) -> np.ndarray:
    """Returns which part covers each pixel.

    Args:
        labels: from `labels_from_indices`, or changed.
        image_size: rows and columns, at least 32.

    Returns:
        [n, image_size, image_size] uint8: 0 for the background, 1 to 5 for the parts in their order; 1 is the key.

    Raises:
        ValueError: for labels out of range or of another shape, or a size out of range.
    """
    found = places(labels, image_size)
    maps = np.zeros((len(labels.scenes), image_size, image_size), np.uint8)
    for shape, image, part, lines, columns, u, v in _boxes(labels.parts, found, image_size):
        which, line, column = np.nonzero(OUTLINES[shape](u, v) >= 0.0)
        maps[image[which], lines[which, line], columns[which, column]] = 1 + part[which]
    return maps


def edge_maps(labels: Labels, image_size: int = IMAGE_SHAPE[0], maps: np.ndarray | None = None) -> np.ndarray:
    """Returns how the outline runs at each pixel that lies along one.

    Args:
        labels: from `labels_from_indices`, or changed.
        image_size: rows and columns, at least 32.
        maps: the part maps, if they are there already.

    Returns:
        [n, image_size, image_size] float32: at pixels of a part with a neighbour, above, below, left or right, that is
        none of it, the orientation of the nearest piece of the part's outline, in radians from 0 (horizontal) to π,
        π excluded, counterclockwise as seen; NaN everywhere else.

    Raises:
        ValueError: for labels out of range or of another shape, or a size out of range.
    """
    maps = part_maps(labels, image_size) if maps is None else maps
    found = places(labels, image_size)
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)))
    inner = maps > 0
    for line, column in ((0, 1), (2, 1), (1, 0), (1, 2)):
        inner &= padded[:, line : line + image_size, column : column + image_size] == maps
    along = (maps > 0) & ~inner
    edges = np.full(maps.shape, np.nan, np.float32)
    for shape, image, part, lines, columns, u, v in _boxes(labels.parts, found, image_size):
        place = image[:, np.newaxis, np.newaxis], lines[:, :, np.newaxis], columns[:, np.newaxis, :]
        which, line, column = np.nonzero(along[place] & (maps[place] == 1 + part[:, np.newaxis, np.newaxis]))
        inwards = normals(shape, u[which, line, column], v[which, line, column])
        # The tangent (-∂v, ∂u) in coordinates whose second axis points down, as v and y do.
        angle = np.arctan2(-inwards[0], -inwards[1])
        turn = VALUES["orientation"][found.orientation[image[which], part[which]]]
        edges[image[which], lines[which, line], columns[which, column]] = _half_turn(angle + turn)
    return edges


def _half_turn(angles: np.ndarray) -> np.ndarray:
    """Angles of lines, from 0 to π; what is π but for rounding is 0."""
    angles = np.mod(angles, np.pi)
    return np.where(angles > np.pi - 1e-6, 0.0, angles).astype(np.float32)


def _boxes(parts: np.ndarray, found: Places, image_size: int) -> Iterator[tuple[Any, ...]]:
    """Yields parts of one shape at a time, with the pixels of the box around each in coordinates of its own.

    Yields:
        The shape, images [k], parts [k], lines and columns [k, side], and u and v [k, side, side], of radius 1.
    """
    box = np.arange(int(np.ceil(2.0 * LARGEST * image_size / IMAGE_SHAPE[0])) + 1)  # [side]
    for label, shape in enumerate(SHAPES):
        images, numbers = np.nonzero(parts[..., 0] == label)
        for start in range(0, len(images), _CHUNK):
            image, part = images[start : start + _CHUNK], numbers[start : start + _CHUNK]
            x, y, radius = (values[image, part][:, np.newaxis] for values in (found.x, found.y, found.radius))
            turn = found.orientation[image, part]
            last = image_size - len(box)
            columns = np.clip(np.floor(x - radius).astype(np.int64), 0, last) + box  # [k, side]
            lines = np.clip(np.floor(y - radius).astype(np.int64), 0, last) + box
            dx, dy = (columns + 0.5 - x) / radius, (lines + 0.5 - y) / radius
            cosine, sine = COSINES[turn, np.newaxis], SINES[turn, np.newaxis]
            # Each coordinate is a sum of a term per column and a term per line: [k, 1, side] and [k, side, 1].
            u = (dx * cosine)[:, np.newaxis, :] - (dy * sine)[:, :, np.newaxis]  # [k, side, side]
            v = (dx * sine)[:, np.newaxis, :] + (dy * cosine)[:, :, np.newaxis]
            yield shape, image, part, lines, columns, u, v
