"""Bootstrap intervals that resample what a score was tested on, and never fit anything again."""

from collections.abc import Callable

import numpy as np

from lea_keras.checks import check_positive_int, check_seed

RESAMPLES = 200
Interval = tuple[float, float] | None


def interval(
    statistic: Callable[[np.ndarray], float],
    score: float,
    samples: int,
    resamples: int,
    seed: int,
    limits: tuple[float, float] = (0.0, 1.0),
    level: float = 0.95,
) -> Interval:
    """The basic bootstrap interval of a score: from 2·score − q to 2·score − p, p and q quantiles of resamples.

    It turns the resamples' distance from the score round, and with it their bias: mutual information is overestimated
    once more by resampling, so that quantiles alone would leave out the 0 of codes that know nothing. Where bias is
    larger than spread, the interval is made as wide as it takes to hold the score itself **(chosen)**.

    Args:
        statistic: the score, from how often each sample was drawn, [n] integers.
        score: that of all samples.
        samples: n.
        resamples: how many; 0: there is no interval.
        seed: of the draws.
        limits: what the score may be, to which the interval is cut.
        level: how likely the interval is to hold the score of all that could be sampled.

    Returns:
        (low, high), or None without resamples or a finite score.

    Raises:
        ValueError: for a number of resamples below 0 or a seed out of range.
    """
    check_positive_int("bootstrap", resamples, 0)
    generator = np.random.default_rng(check_seed(seed))
    if not resamples or not np.isfinite(score):
        return None
    draws = (np.bincount(generator.integers(samples, size=samples), minlength=samples) for _ in range(resamples))
    found = [statistic(counts) for counts in draws]
    most, least = np.quantile(found, [(1 + level) / 2, (1 - level) / 2])
    low, high = np.clip([2 * score - most, 2 * score - least], *limits).tolist()
    return min(low, score), max(high, score)
