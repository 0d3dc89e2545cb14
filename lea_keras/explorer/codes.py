"""Codes of a LEA as an explorer moves them: what they are, how much each says, and from where to where it goes."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from lea_keras.autoencoders import VariationalAutoencoder
from lea_keras.autoencoders.base import Autoencoder
from lea_keras.checks import check_range, fail, is_integer
from lea_keras.inspection import Inspection
from lea_keras.windows import extract_windows

BATCH = 4096  # windows or codes that go through an autoencoder at once
PERCENTILES = (1, 99)  # of a code over all windows, between which its slider moves (chosen)
LEVELS = 2**16 - 1

Range = tuple[float, float]


class Codes(NamedTuple):
    """The codes of one LEA over a batch.

    Attributes:
        maps: [b, rows, columns, code_length], float32: noise-free for variational types, else what the LEA hands on.
        measure: what variables are ordered by: "KL", in nats as Eq. 2.24 counts them, without a ½, or "variance".
        measures: [code_length], its means over all windows.
        order: the numbers of the variables from 0, those that say most first.
    """

    maps: np.ndarray
    measure: str
    measures: np.ndarray
    order: list[int]


def codes_of(view: Inspection) -> Codes:
    """The codes of an inspection, ordered by KL (variational types) or by variance over all its windows."""
    autoencoder = view.layer.autoencoder
    if isinstance(autoencoder, VariationalAutoencoder):
        maps, measures = _posterior(view, autoencoder)
        measure = "KL"
    else:
        maps, measure = view.code_maps, "variance"
        measures = np.var(maps, axis=(0, 1, 2), dtype=np.float64)
    return Codes(maps, measure, measures, [int(i) for i in np.argsort(-measures, kind="stable")])


def _posterior(view: Inspection, autoencoder: VariationalAutoencoder) -> tuple[np.ndarray, np.ndarray]:
    """Codes without noise [b, rows, columns, code_length], and KL of every variable, its mean over windows."""
    layer, grid = view.layer, view.code_maps.shape[:3]
    inputs = ops.convert_to_tensor(view.inputs)
    windows = extract_windows(inputs, layer.window_size, layer.strides, layer.padding, "channels_last")
    windows = ops.reshape(windows, (-1, *layer.window_size, view.inputs.shape[-1]))
    batches = [
        [to_numpy(part) for part in autoencoder.statistics(autoencoder.features(windows[i : i + BATCH]))]
        for i in range(0, math.prod(grid), BATCH)
    ]
    codes, _, divergences = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return codes.reshape(*grid, -1), np.mean(divergences, axis=0)


def rounded(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes in 16 bits: whole numbers of units above an offset, uint16 as ``maps``; offsets and units [code_length]."""
    low, high = (limit(maps.astype(np.float64), axis=(0, 1, 2)) for limit in (np.min, np.max))
    unit = (high - low) / LEVELS
    whole = np.rint((maps - low) / np.where(unit > 0, unit, 1)).astype(np.uint16)
    return whole, low, unit


def decode(autoencoder: Autoencoder, codes: np.ndarray) -> np.ndarray:
    """Windows [n, wh, ww, c], float32, of codes [n, code_length]."""
    parts = [
        to_numpy(autoencoder.decode(ops.convert_to_tensor(codes[i : i + BATCH].astype("float32"))))
        for i in range(0, len(codes), BATCH)
    ]
    return np.concatenate(parts)


def code_ranges(maps: np.ndarray, given: Mapping[int, Range] | None) -> np.ndarray:
    """[code_length, 2]: where each variable's slider begins and ends.

    Args:
        maps: [b, rows, columns, code_length].
        given: by number from 0; others have their percentiles, or ±1 about their value where these are one (chosen).

    Raises:
        ValueError: for a number or a range that is none.
    """
    flat = maps.reshape(-1, maps.shape[-1])
    ranges = np.percentile(flat.astype(np.float64), PERCENTILES, axis=0).T
    constant = ranges[:, 0] >= ranges[:, 1]
    ranges[constant] += [-1.0, 1.0]
    for code, value in (given or {}).items():
        if not is_integer(code) or not 0 <= code < len(ranges):
            raise fail("ranges", f"by numbers of codes from 0 to {len(ranges) - 1}", given)
        ranges[code] = check_range("ranges", value, "pairs of finite numbers (low, high) with low < high")
    return ranges


def to_numpy(tensor: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))
