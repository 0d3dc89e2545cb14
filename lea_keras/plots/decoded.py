"""Decoded windows as pictures: made from codes, scaled alike, with what is to be said of their values."""

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from lea_keras.autoencoders.base import Autoencoder
from lea_keras.checks import check_range
from lea_keras.plots.grid import range_text
from lea_keras.plots.views import limits, widened

_BATCH = 1024  # codes or windows that go through an autoencoder at once


class Decoded(NamedTuple):
    """Pictures of windows.

    Attributes:
        pictures: [n, wh, ww], or colours in [0, 1], [n, wh, ww, 3].
        scale: which values are black and white.
        note: the same in words, with what was decoded if that is clipped, and whether channels were averaged.
    """

    pictures: np.ndarray
    scale: tuple[float, float]
    note: str


def decode(autoencoder: Autoencoder, codes: Any) -> np.ndarray:
    """Windows [n, wh, ww, c], float32, of codes [n, code_length]."""
    codes = np.asarray(codes, "float32")
    parts = [
        to_numpy(autoencoder.decode(ops.convert_to_tensor(codes[i : i + _BATCH]))) for i in range(0, len(codes), _BATCH)
    ]
    return np.concatenate(parts)


def as_pictures(windows: Any, value_range: tuple[float, float] | None) -> Decoded:
    """Windows [n, wh, ww, c] as pictures: one channel is grey, three are colours, of others the mean is drawn.

    Args:
        windows: to be drawn.
        value_range: which values are black and white. None: the smallest and the largest.

    Raises:
        ValueError: for a range that is none.
    """
    given = None if value_range is None else check_range("value_range", value_range)
    colours = windows.shape[-1] == 3
    values = windows if colours else np.mean(windows, axis=-1)
    lowest, highest = limits(values)
    low, high = given or widened(lowest, highest)
    note = f"black {low:.2g}, white {high:.2g}"
    if lowest < low or high < highest:
        note += f" (decoded: {range_text(lowest, highest)}, clipped)"
    if windows.shape[-1] not in (1, 3):
        note += f", mean of {windows.shape[-1]} channels"
    pictures = np.clip((values - low) / (high - low), 0, 1) if colours else values
    return Decoded(pictures, (low, high), note)


def to_numpy(tensor: Any) -> np.ndarray:
    """float32, whatever an autoencoder's dtype policy."""
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))
