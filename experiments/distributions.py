"""Distribution of numbers that come in batches, in memory that does not grow with them."""

import numpy as np

_DROPPED = 7  # bits of a float32, which leaves 16 of its fraction
_BINS = 1 << (31 - _DROPPED)  # of floats from 0, whose bits are in their order


class Distribution:
    """Maximum, mean and percentiles of numbers from 0, such as errors of windows.

    For percentiles, numbers are counted by the upper bits of their float32, which are all that round numbers have: one
    is at most a relative 1.6e-5 too small. That takes 67 MB at most, of which ten powers of two touch 3 MB.
    """

    def __init__(self) -> None:
        self.count, self.maximum, self._sum = 0, 0.0, 0.0
        self._counts = np.zeros(_BINS, np.uint32)

    @property
    def mean(self) -> float:
        """Of all numbers; NaN where there are none."""
        return self._sum / self.count if self.count else float("nan")

    def update(self, values: np.ndarray) -> None:
        """Adds numbers [n], float32, at least 0. One that is not finite makes maximum and mean so."""
        values = np.asarray(values, np.float32)
        self.count += len(values)
        self.maximum = float(np.maximum(self.maximum, np.max(values, initial=0.0)))
        self._sum += float(np.sum(values, dtype=np.float64))
        np.add.at(self._counts, np.abs(values[np.isfinite(values)]).view(np.uint32) >> _DROPPED, 1)

    def percentiles(self, percents: np.ndarray) -> np.ndarray:
        """The percentiles [p] of finite numbers as NumPy has them, between two neighbours on the line through them.

        Args:
            percents: [p], from 0 to 100.
        """
        bins = np.flatnonzero(self._counts)
        ends = np.cumsum(self._counts[bins], dtype=np.int64)  # numbers up to the end of each bin
        numbers = (bins.astype(np.uint32) << _DROPPED).view(np.float32).astype(np.float64)
        places = np.asarray(percents, np.float64) / 100 * (ends[-1] - 1)
        low, high = (numbers[np.searchsorted(ends, place, "right")] for place in (np.floor(places), np.ceil(places)))
        return low + (places % 1) * (high - low)
