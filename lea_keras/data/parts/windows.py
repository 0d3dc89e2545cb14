"""What each window of an image of the data set `parts` sees: its part, how that is turned and where it is."""

from typing import Any, NamedTuple

import numpy as np

from lea_keras import checks
from lea_keras.data.parts.drawing import edge_maps, part_maps
from lea_keras.data.parts.labels import FACTORS, IMAGE_SHAPE, PARTS, SMALLEST, Labels, check_labels, places
from lea_keras.utils import slices
from lea_keras.windows.grid import check_window_fits, check_windowing, grid

#: What windows see as labels.
WINDOW_LABELS = ("orientation", "offset_x", "offset_y", "shape", "size", "colour")
_TURNS = FACTORS["orientation"]
_CHUNK = 128  # images at once, whose sums over windows a cache holds


class WindowFactors(NamedTuple):
    """Factors of windows, each [n, rows, columns]; of the part that covers most pixels of the window.

    Attributes:
        part: int64, its number in the object, from 1; 0: the window sees background alone. Of parts that cover
            equally many, the first.
        shape: int64, label of its shape; -1 for background, as with all labels here.
        size: int64, label of its size.
        colour: int64, label of its colour.
        orientation: int64, label of its orientation in the image, 0 to 23 for multiples of 15°, counterclockwise.
        offset_x: float64, pixels from the window's middle to the part's, to the right; NaN for background.
        offset_y: float64, pixels downwards.
        coverage: float64, the share of the window's pixels that it covers; pixels of padding count as the window's.
        visible: float64, the share of its pixels that are in the window; 0 for background.
        edge: float64, radians: mean orientation of all edge pixels in the window, from 0 to π, the mean of lines (of
            doubled angles); NaN where there are none.
        agreement: float64, from 0 to 1, of these edges: 1 if all run alike; NaN where there are none.
    """

    part: np.ndarray
    shape: np.ndarray
    size: np.ndarray
    colour: np.ndarray
    orientation: np.ndarray
    offset_x: np.ndarray
    offset_y: np.ndarray
    coverage: np.ndarray
    visible: np.ndarray
    edge: np.ndarray
    agreement: np.ndarray


def factors_of_windows(
    labels: Labels,
    window_size: Any,
    strides: Any = None,
    padding: str = "same",
    image_size: int = IMAGE_SHAPE[0],
) -> WindowFactors:
    """Returns the factors of the windows that a LEA with these arguments cuts out of the images.

    Args:
        labels: of the images, from `labels_from_indices`.
        window_size: an int or (rows, columns).
        strides: an int or a pair; None: the window size.
        padding: "same" or "valid".
        image_size: rows and columns, at least 32.

    Raises:
        ValueError: for labels or an argument out of range.
    """
    window, steps, padding, _ = check_windowing(window_size, strides, padding, "channels_last")
    labels = check_labels(labels)
    image_size = checks.check_positive_int("image_size", image_size, SMALLEST)
    check_window_fits(window, padding, (image_size, image_size))
    chunks = slices(max(1, len(labels.scenes)), _CHUNK)
    some = [Labels(labels.scenes[chunk], labels.parts[chunk]) for chunk in chunks]
    found = [_of_windows(one, window, steps, padding, image_size) for one in some]
    return WindowFactors(*map(np.concatenate, zip(*found, strict=True)))


def labels_of_windows(
    seen: WindowFactors, window_size: Any, visible: float = 0.5, turns: int = 8, offsets: int = 5
) -> dict[str, np.ndarray]:
    """Returns what windows see as labels, such as scores of disentanglement take: of windows that see enough of a part.

    Args:
        seen: from `factors_of_windows`.
        window_size: as there.
        visible: the share of a part's pixels that a window must have.
        turns: values of orientation, which 24 is a multiple of: each is the middle of its share of a full turn.
        offsets: values of each offset, over the window's width and height; parts with their middle outside count as
            those at the border.

    Returns:
        Those of `WINDOW_LABELS`, in their order, int64 [n, rows, columns]; −1 where a window sees too little.

    Raises:
        ValueError: for an argument out of range.
    """
    (height, width), _, _, _ = check_windowing(window_size, None, "same", "channels_last")
    checks.check_share("visible", visible)
    if _TURNS % checks.check_positive_int("turns", turns):
        raise checks.fail("turns", f"what {_TURNS} is a multiple of", turns)
    checks.check_positive_int("offsets", offsets)
    enough = seen.visible >= visible  # of background it is 0
    share = _TURNS // turns

    def place(offset: np.ndarray, length: int) -> np.ndarray:
        return np.clip(np.floor((np.nan_to_num(offset) / length + 0.5) * offsets), 0, offsets - 1)

    found = {
        "orientation": (seen.orientation + share // 2) // share % turns,
        "offset_x": place(seen.offset_x, width),
        "offset_y": place(seen.offset_y, height),
        "shape": seen.shape,
        "size": seen.size,
        "colour": seen.colour,
    }
    return {name: np.where(enough, values, -1).astype(np.int64) for name, values in found.items()}


def _of_windows(
    labels: Labels, window: tuple[int, int], steps: tuple[int, int], padding: str, image_size: int
) -> WindowFactors:
    maps = part_maps(labels, image_size)
    lines, columns = (grid(image_size, *sides, padding) for sides in zip(window, steps, strict=True))

    def sums(pixels: np.ndarray) -> np.ndarray:
        """[n, h, w] → [n, rows, columns]: the sum over every window, from sums over corners of the image."""
        table = np.zeros((len(pixels), image_size + 1, image_size + 1), np.float64)
        np.cumsum(pixels, axis=1, out=table[:, 1:, 1:])
        np.cumsum(table, axis=2, out=table)
        for axis, side, length, step in ((1, lines, window[0], steps[0]), (2, columns, window[1], steps[1])):
            first = np.arange(side.count) * step - side.before
            ends = (np.clip(end, 0, image_size) for end in (first + length, first))
            table = np.subtract(*(table.take(end, axis) for end in ends))
        return table

    counts = np.stack([sums(maps == part) for part in range(1, PARTS + 1)], axis=-1)  # [n, rows, columns, 5]
    most = np.argmax(counts, axis=-1)
    covered = np.take_along_axis(counts, most[..., np.newaxis], axis=-1)[..., 0]  # [n, rows, columns]
    sees = covered > 0
    image = np.arange(len(maps))[:, np.newaxis, np.newaxis]

    def of_part(values: np.ndarray, other: float) -> np.ndarray:
        """[n, 5] → [n, rows, columns]: the value of the part that a window sees."""
        return np.where(sees, values[image, most], other)

    found = places(labels, image_size)
    middle_x = np.arange(columns.count) * steps[1] - columns.before + window[1] / 2.0
    middle_y = np.arange(lines.count) * steps[0] - lines.before + window[0] / 2.0
    pixels = np.stack([np.sum(maps == part, axis=(1, 2)) for part in range(1, PARTS + 1)], axis=-1)  # [n, 5]
    parts = labels.parts
    edges = edge_maps(labels, image_size, maps).astype(np.float64)
    is_edge = sums(~np.isnan(edges))
    cosine, sine = (np.round(sums(np.nan_to_num(part(2.0 * edges))), 9) for part in (np.cos, np.sin))
    with np.errstate(invalid="ignore"):
        agreement = np.where(is_edge > 0, np.hypot(cosine, sine) / is_edge, np.nan)
    return WindowFactors(
        part=np.where(sees, most + 1, 0),
        shape=of_part(parts[..., 0], -1),
        size=of_part(parts[..., 1], -1),
        colour=of_part(parts[..., 3], -1),
        orientation=of_part(found.orientation, -1),
        offset_x=of_part(found.x, np.nan) - middle_x,
        offset_y=of_part(found.y, np.nan) - middle_y[:, np.newaxis],
        coverage=covered / (window[0] * window[1]),
        visible=of_part(pixels, 1) ** -1.0 * covered,
        edge=np.where(is_edge > 0, np.mod(np.arctan2(sine, cosine) / 2.0, np.pi), np.nan),
        agreement=np.minimum(agreement, 1.0),
    )
