"""Total correlation of codes, as of a Gaussian: a score without labels."""

from typing import Any, NamedTuple

import numpy as np

from lea_keras.disentanglement.arrays import DEAD, check_codes, is_dead
from lea_keras.disentanglement.intervals import RESAMPLES, Interval, interval


class TotalCorrelation(NamedTuple):
    """The total correlation.

    Attributes:
        score: in nats from 0, that of uncorrelated codes, upwards; infinite where a code is a sum of others.
        matrix: covariance of the codes, [d, d].
        dead_codes: how many; those that are constant take no part.
        interval: of the score, 95 %; None: none was asked for, or the score is infinite.
    """

    score: float
    matrix: np.ndarray
    dead_codes: int
    interval: Interval


def total_correlation(
    codes: Any, *, bootstrap: int = RESAMPLES, seed: int = 0, dead_below: float = DEAD
) -> TotalCorrelation:
    """Measures how far codes are from independent, as far as covariances say: ½(Σ log variances − log det Σ).

    Args:
        codes: [n, d].
        bootstrap: resamples behind the interval; 0: no interval.
        seed: of the resamples.
        dead_below: the standard deviation below which a code counts as dead; only constant ones take no part.

    Returns:
        ``TotalCorrelation``.

    Raises:
        ValueError: for an argument out of range.
    """
    codes = check_codes(codes)
    varying = codes[:, np.ptp(codes, axis=0) > 0]
    score = _of(covariance(varying))

    def again(counts: np.ndarray) -> float:
        return _of(covariance(varying, counts))

    between = interval(again, score, len(codes), bootstrap, seed, (0.0, np.inf))
    return TotalCorrelation(score, covariance(codes), int(is_dead(codes, dead_below).sum()), between)


def covariance(codes: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Of codes [n, d], [d, d]; ``counts`` says how often each sample is there."""
    counts = np.ones(len(codes)) if counts is None else counts
    shares = (counts / (counts.sum() - 1))[:, np.newaxis]
    centred = codes - counts @ codes / counts.sum()
    return (shares * centred).T @ centred


def _of(matrix: np.ndarray) -> float:
    if not len(matrix):
        return 0.0
    deviations = np.sqrt(np.diag(matrix))
    if not deviations.all():
        return float("inf")
    sign, logarithm = np.linalg.slogdet(matrix / np.outer(deviations, deviations))  # of correlations
    singular = sign <= 0 or np.linalg.cond(matrix / np.outer(deviations, deviations)) > 1 / np.finfo(np.float64).eps
    return float("inf") if singular else max(-0.5 * float(logarithm), 0.0)
