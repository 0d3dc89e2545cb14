"""Verdicts on claims: statements with an allowed range, effects with intervals, and the one rule that joins them.

A claim is one statement or several, each about a number, with the range in which that number would have to be. A
statement *holds* if the whole 95 % interval of its effect lies in that range, *fails* if all of it lies outside, and is
*open* otherwise. A claim *agrees* if all of its statements hold, is *contradicted* if all fail, *undecided* if all are
open, and *partly* right in every other case **(chosen)**.

Intervals are percentiles of 10,000 bootstrap resamples of the runs, fixed by a seed; those of a few runs reach at most
from one end of what was seen to the other, and a single run has none, so that it decides nothing. They are 95 %
intervals where runs are many. Where they are few they promise more than they keep: the true median of all runs that
there could be lies between the least and the largest of three in 75 % of cases, of five in 94 %, so that what three
runs decide is that sure at most. What has no chance in it, such as a number of parameters, is its own interval.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

RESAMPLES, LEVEL = 10_000, 0.95
AGREES, PARTLY, CONTRADICTED, UNDECIDED = "agrees", "partly", "contradicted", "undecided"
HOLDS, FAILS, OPEN = "holds", "fails", "open"

Statistic = Callable[..., float]


class Effect(NamedTuple):
    """A number with its 95 % interval.

    Attributes:
        value: of all runs.
        low: the lower end; −∞ where a single run decides nothing.
        high: the upper end.
        runs: of each sample, how many.
    """

    value: float
    low: float
    high: float
    runs: tuple[int, ...] = ()


class Statement(NamedTuple):
    """A part of a claim.

    Attributes:
        words: what is measured.
        effect: what came out.
        least: from which number on it would be true.
        most: up to which.
    """

    words: str
    effect: Effect
    least: float = -math.inf
    most: float = math.inf

    @property
    def outcome(self) -> str:
        """Whether it holds, fails or is open."""
        _, low, high, _ = self.effect
        if self.least <= low and high <= self.most:
            return HOLDS
        return FAILS if high < self.least or low > self.most else OPEN

    @property
    def allowed(self) -> str:
        """The range as text: "≥ 0", "from 0.9 to 1.1"."""
        if self.most == math.inf:
            return f"≥ {self.least:g}"
        return f"≤ {self.most:g}" if self.least == -math.inf else f"{self.least:g} to {self.most:g}"


def verdict(statements: Sequence[Statement]) -> str:
    """What statements say of their claim; without any, it is undecided."""
    outcomes = {statement.outcome for statement in statements}
    if len(outcomes) > 1:
        return PARTLY
    return {HOLDS: AGREES, FAILS: CONTRADICTED}.get("".join(outcomes), UNDECIDED)


def exactly(value: float) -> Effect:
    """A number without chance."""
    return Effect(float(value), float(value), float(value))


def effect(statistic: Statistic, *samples: Sequence[float | None]) -> Effect:
    """A statistic of independent samples of runs, with its bootstrap interval.

    Args:
        statistic: maps arrays [..., n], one for each sample, to [...].
        samples: a number for each run; those that are None or not finite are left out.
    """
    arrays = [np.array([value for value in sample if value is not None], float) for sample in samples]
    arrays = [array[np.isfinite(array)] for array in arrays]
    counts = tuple(map(len, arrays))
    if not all(counts):
        return Effect(math.nan, -math.inf, math.inf, counts)
    value = float(statistic(*arrays))
    if min(counts) < 2:
        return Effect(value, -math.inf, math.inf, counts)
    generator = np.random.default_rng(0)
    drawn = [array[generator.integers(len(array), size=(RESAMPLES, len(array)))] for array in arrays]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(statistic(*drawn), (tail, 1 - tail))
    return Effect(value, float(low), float(high), counts)


def median(sample: Sequence[float | None]) -> Effect:
    """The median of runs."""
    return effect(lambda a: np.median(a, axis=-1), sample)


def difference(first: Sequence[float | None], second: Sequence[float | None]) -> Effect:
    """The difference of two medians."""
    return effect(lambda a, b: np.median(a, axis=-1) - np.median(b, axis=-1), first, second)


def ratio(first: Sequence[float | None], second: Sequence[float | None]) -> Effect:
    """The ratio of two medians."""
    return effect(lambda a, b: np.median(a, axis=-1) / np.median(b, axis=-1), first, second)


def share(part: Sequence[float | None], whole: Sequence[float | None]) -> Effect:
    """The ratio of two medians of which the second has to be above 0; no number where its interval is not, so that it
    decides nothing: where there is nothing, nothing can be kept or lost."""
    found, of_whole = ratio(part, whole), median(whole)
    return found if of_whole.low > 0 else Effect(math.nan, -math.inf, math.inf, found.runs)


def spread_ratio(first: Sequence[float | None], second: Sequence[float | None]) -> Effect:
    """The ratio of two relative spreads, each the standard deviation of runs over their mean."""

    def spread(sample: np.ndarray) -> np.ndarray:
        return np.std(sample, axis=-1) / np.abs(np.mean(sample, axis=-1)) + 1e-9  # resamples may be all alike

    return effect(lambda a, b: spread(a) / spread(b), first, second)
