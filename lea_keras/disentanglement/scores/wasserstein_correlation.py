"""Wasserstein correlation of codes, as of a Gaussian: a score without labels."""

from typing import Any, NamedTuple

import numpy as np

from lea_keras.disentanglement.arrays import DEAD, check_codes, is_dead
from lea_keras.disentanglement.intervals import RESAMPLES, Interval, interval
from lea_keras.disentanglement.scores.total_correlation import covariance


class WassersteinCorrelation(NamedTuple):
    """The Wasserstein correlation.

    Attributes:
        score: in squared units of the codes, from 0, that of uncorrelated codes, upwards.
        matrix: covariance of the codes, [d, d].
        dead_codes: how many.
        interval: of the score, 95 %; None: none was asked for.
        relative: the score over the sum of all variances, from 0 to 2; 0 of constant codes.
    """

    score: float
    matrix: np.ndarray
    dead_codes: int
    interval: Interval
    relative: float


def wasserstein_correlation(
    codes: Any, *, bootstrap: int = RESAMPLES, seed: int = 0, dead_below: float = DEAD
) -> WassersteinCorrelation:
    """Measures the squared 2-Wasserstein distance of codes from independent ones, both as Gaussians.

    2 tr Σ − 2 tr √(Σ·D), D the diagonal of Σ. The trace of the root is the sum of the roots of the eigenvalues of
    D^½ Σ D^½, which is symmetric, so that it is real for any codes.

    Args:
        codes: [n, d].
        bootstrap: resamples behind the interval; 0: no interval.
        seed: of the resamples.
        dead_below: the standard deviation below which a code counts as dead; it is measured like the others.

    Returns:
        ``WassersteinCorrelation``.

    Raises:
        ValueError: for an argument out of range.
    """
    codes = check_codes(codes)
    matrix = covariance(codes)
    score, variance = _of(matrix), float(np.trace(matrix))
    between = interval(lambda counts: _of(covariance(codes, counts)), score, len(codes), bootstrap, seed, (0.0, np.inf))
    dead = int(is_dead(codes, dead_below).sum())
    return WassersteinCorrelation(score, matrix, dead, between, score / variance if variance else 0.0)


def _of(matrix: np.ndarray) -> float:
    deviations = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    values = np.linalg.eigvalsh(matrix * np.outer(deviations, deviations))
    return max(float(2 * np.trace(matrix) - 2 * np.sqrt(np.maximum(values, 0.0)).sum()), 0.0)
