"""Labels of the data set `parts`: factors, their values, and where they put the parts."""

from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lea_keras import checks
from lea_keras.data.parts.layouts import SLOTS
from lea_keras.data.parts.shapes import OUTLINES

IMAGE_SHAPE = (64, 64, 1)

#: The fewest rows and columns at which parts are drawn: with fewer, strokes would be thinner than half a pixel.
SMALLEST = 32

TRAIN_SIZE, TEST_SIZE = 60_000, 10_000

#: Of an object: how its parts lie and, behind that, where the key is.
CLASSES = ("row, end", "row, middle", "corner, end", "corner, corner", "star, arm", "star, centre", "circle")

#: Of a part: the first shape is the key's and no other part's.
SHAPES = tuple(OUTLINES)

#: The most parts of an object.
PARTS = 5

#: Of the scene and its object, in the order of the labels: how many values each factor has.
FACTORS = MappingProxyType({"class": 7, "count": 3, "scale": 4, "orientation": 24, "x": 16, "y": 16, "background": 4})

#: Of a part, in the order of the labels. Orientation is relative to the object.
PART_FACTORS = MappingProxyType({"shape": 5, "size": 3, "orientation": 24, "colour": 6, "offset_x": 5, "offset_y": 5})

#: The value behind every label of the object: number of parts, scale, radians, and pixels of 64x64 from the middle.
VALUES = MappingProxyType(
    {
        "count": np.array([3, 4, 5]),
        "scale": np.array([0.7, 0.8, 0.9, 1.0]),
        "orientation": np.arange(24) * (np.pi / 12.0),
        "x": np.arange(-7.5, 8.0) * 0.6,
        "y": np.arange(-7.5, 8.0) * 0.6,
    }
)

#: The value behind every label of a part: radius in pixels of 64x64, radians, and pixels from its place along
#: and across the object; all of an object of five parts at scale 1.
PART_VALUES = MappingProxyType(
    {
        "size": np.array([4.0, 4.5, 5.0]),
        "orientation": VALUES["orientation"],
        "offset_x": np.arange(-2.0, 3.0) * 0.25,
        "offset_y": np.arange(-2.0, 3.0) * 0.25,
    }
)
for _values in (*VALUES.values(), *PART_VALUES.values()):
    _values.setflags(write=False)

#: What a pixel of a background and of a part is, in 0 to 255: grey, and red, green and blue.
BACKGROUNDS = np.array([0, 20, 40, 60], np.uint8)
GREYS = np.array([110, 139, 168, 197, 226, 255], np.uint8)
COLOURS = np.array(
    [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [213, 94, 0], [204, 121, 167]], np.uint8
)  # the hues of Okabe and Ito, which all can tell apart

# Pixels of 64x64 between neighbours, of an object of five at scale 1: two of the largest, both off by half, touch.
_SPACING = 11.0

# Objects of few parts are larger, by number of parts, so that all fill an image alike.
_UNITS = np.array([1.35, 1.15, 1.0])
#: The radius of the largest part, of an object of three at scale 1, in pixels of 64x64.
LARGEST = 6.75

# Rounded, since libraries differ in the last digit; and so a turn by any of them is the same everywhere.
COSINES = np.round(np.cos(VALUES["orientation"]), 12) + 0.0
SINES = np.round(np.sin(VALUES["orientation"]), 12) + 0.0


class Labels(NamedTuple):
    """Labels of scenes; with them, images are drawn.

    Attributes:
        scenes: [n, 7] int64, in the order of `FACTORS`.
        parts: [n, 5, 6] int64, in the order of `PART_FACTORS`; -1 behind the last part of an object.
    """

    scenes: np.ndarray
    parts: np.ndarray


class Places(NamedTuple):
    """Where the parts of objects are in images, in pixels of these images, from their left and upper edges.

    Attributes:
        x: [n, 5] float64, centres; NaN behind the last part.
        y: [n, 5] float64.
        orientation: [n, 5] int64, labels of the sum of the object's and the part's; -1 behind the last part.
        radius: [n, 5] float64; NaN behind the last part.
    """

    x: np.ndarray
    y: np.ndarray
    orientation: np.ndarray
    radius: np.ndarray


def indices(split: str) -> np.ndarray:
    """Returns the numbers of a split's images: "train" is 0 to 59 999, "test" 60 000 to 69 999."""
    if checks.check_choice("split", split, ("train", "test")) == "train":
        return np.arange(TRAIN_SIZE)
    return np.arange(TRAIN_SIZE, TRAIN_SIZE + TEST_SIZE)


def labels_from_indices(numbers: Any) -> Labels:
    """Returns the labels of images by their number: every factor independent of all others, and uniform.

    Args:
        numbers: [n] integers from 0; see `indices` for those of the splits.

    Raises:
        ValueError: for values that are no integers or below 0, or for another rank.
    """
    numbers = np.asarray(numbers)
    if numbers.ndim != 1 or numbers.size and not np.issubdtype(numbers.dtype, np.integer):
        raise checks.fail("numbers", "integers [n]", f"{numbers.dtype} array of shape {numbers.shape}")
    if numbers.size and numbers.min() < 0:
        raise checks.fail("numbers", "at least 0", int(numbers.min()))
    per_part = len(PART_FACTORS)
    drawn = _hashed(numbers, len(FACTORS) + PARTS * per_part)
    scenes = drawn[:, : len(FACTORS)] % np.array(list(FACTORS.values()), np.uint64)
    parts = drawn[:, len(FACTORS) :].reshape(-1, PARTS, per_part)  # [n, 5·6] → [n, 5, 6]
    parts = (parts % np.array(list(PART_FACTORS.values()), np.uint64)).astype(np.int64)
    parts[:, 0, 0] = 0  # the key
    others = drawn[:, len(FACTORS) + per_part :: per_part]  # [n, 4]
    parts[:, 1:, 0] = 1 + (others % np.uint64(len(SHAPES) - 1)).astype(np.int64)
    scenes = scenes.astype(np.int64)
    parts[np.arange(PARTS) >= VALUES["count"][scenes[:, 1], np.newaxis]] = -1
    return Labels(scenes, parts)


def places(labels: Labels, image_size: int = IMAGE_SHAPE[0]) -> Places:
    """Returns where the parts are in images of a size.

    Args:
        labels: from `labels_from_indices`, or changed.
        image_size: rows and columns, at least 32. The scene is the same at any.

    Raises:
        ValueError: for labels out of range or of another shape, or a size out of range.
    """
    scenes, parts = check_labels(labels)
    zoom = checks.check_positive_int("image_size", image_size, SMALLEST) / IMAGE_SHAPE[0]
    is_there = parts[..., 0] >= 0
    slots = SLOTS[scenes[:, 0], scenes[:, 1]]  # [n, 5, 2]
    along = slots[..., 0] * _SPACING + PART_VALUES["offset_x"][parts[..., 4]]
    across = slots[..., 1] * _SPACING + PART_VALUES["offset_y"][parts[..., 5]]
    scale = (VALUES["scale"][scenes[:, 2]] * _UNITS[scenes[:, 1]])[:, np.newaxis]  # [n, 1]
    cosine, sine = COSINES[scenes[:, 3], np.newaxis], SINES[scenes[:, 3], np.newaxis]
    middle = IMAGE_SHAPE[0] / 2.0
    x = middle + VALUES["x"][scenes[:, 4], np.newaxis] + scale * (cosine * along + sine * across)
    y = middle + VALUES["y"][scenes[:, 5], np.newaxis] + scale * (cosine * across - sine * along)
    radius = np.where(is_there, scale * PART_VALUES["size"][parts[..., 1]], np.nan)
    turned = np.where(is_there, (scenes[:, 3, np.newaxis] + parts[..., 2]) % FACTORS["orientation"], -1)
    return Places(np.where(is_there, x * zoom, np.nan), np.where(is_there, y * zoom, np.nan), turned, radius * zoom)


def check_labels(labels: Any) -> Labels:
    """Returns labels as int64 arrays if each is within its factor's range, and parts are there as `count` says."""
    try:
        scenes, parts = (np.asarray(part) for part in labels)
    except (TypeError, ValueError):
        raise checks.fail("labels", "a pair of labels of scenes and of parts", type(labels).__name__) from None
    shapes = (len(scenes), len(FACTORS)), (len(scenes), PARTS, len(PART_FACTORS))
    for values, shape in zip((scenes, parts), shapes, strict=True):
        if values.shape != shape or values.size and not np.issubdtype(values.dtype, np.integer):
            raise checks.fail("labels", f"integers {list(shape)}", f"{values.dtype} array of shape {values.shape}")
    for column, (factor, size) in enumerate(FACTORS.items()):
        _check_range(factor, scenes[:, column], size)
    is_there = np.arange(PARTS) < VALUES["count"][scenes[:, 1], np.newaxis]  # [n, 5]
    if np.any(parts[~is_there] != -1):
        raise checks.fail("labels", "-1 behind the last part of an object", "other labels there")
    for column, (factor, size) in enumerate(PART_FACTORS.items()):
        _check_range(factor, parts[..., column][is_there], size)
    return Labels(scenes.astype(np.int64), parts.astype(np.int64))


def _check_range(factor: str, values: np.ndarray, size: int) -> None:
    if values.size and not (0 <= values.min() and values.max() < size):
        wrong = int(values[(values < 0) | (values >= size)][0])
        raise checks.fail("labels", f"from 0 to {size - 1} for the factor {factor!r}", wrong)


def _hashed(numbers: np.ndarray, columns: int) -> np.ndarray:
    """Random bits as a function of an image's number and a column: SplitMix64 of both in one integer, [n, columns]."""
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64
        state = numbers.astype(np.uint64)[:, np.newaxis] * np.uint64(64) + np.arange(columns, dtype=np.uint64)
        mixed = (state + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))
