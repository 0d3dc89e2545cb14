"""Honest timing on a noisy machine: functions take turns, and what counts is their ratio within one turn."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

Times = dict[str, list[float]]


class Ratio(NamedTuple):
    """One function's time over another's.

    Attributes:
        median: over the turns.
        low: lower quartile.
        high: upper quartile.
    """

    median: float
    low: float
    high: float

    def times(self, factor: float) -> "Ratio":
        """The same ratio per another unit of work."""
        return Ratio(*(factor * value for value in self))


def interleaved(
    functions: Mapping[str, Callable[[], object]],
    turns: int,
    *,
    warmups: int = 2,
    pause: float = 0.0,
) -> Times:
    """Calls every function once per turn, after ``warmups`` calls that are not counted.

    Args:
        functions: by name; each returns when its work is done.
        turns: how many.
        warmups: calls of each function before the first turn.
        pause: seconds of rest before each call, in which threads of the function before go to sleep.

    Returns:
        Seconds per call, in the order of the turns.
    """
    for function in functions.values():
        for _ in range(warmups):
            function()
    times: Times = {name: [] for name in functions}
    for _ in range(turns):
        for name, function in functions.items():
            time.sleep(pause)
            before = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - before)
    return times


def median(times: Times, name: str) -> float:
    """Median seconds of one function."""
    return statistics.median(times[name])


def compare(times: Times, name: str, base: str) -> Ratio:
    """One function's time over another's in the same turn: median and quartiles over the turns."""
    ratios = [a / b for a, b in zip(times[name], times[base], strict=True)]
    if len(ratios) == 1:
        return Ratio(*(3 * ratios))
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(middle, low, high)
