"""Interventional robustness score (R. Suter et al., "Robustly Disentangled Causal Mechanisms", 2019)."""

from typing import Any, NamedTuple

import numpy as np

from lea_keras.checks import check_share
from lea_keras.disentanglement.arrays import DEAD, check_pair, is_dead
from lea_keras.disentanglement.intervals import RESAMPLES, Interval, interval


class IRS(NamedTuple):
    """The interventional robustness score.

    Attributes:
        score: mean of the largest entries of rows, each code counting as much as it deviates at most, from 0 to 1.
        matrix: how little each code moves while each factor is fixed, [d, k]; 0 for a constant code.
        dead_codes: how many; they count as little as they deviate.
        interval: of the score, 95 %; None: none was asked for.
        factors: which columns of the factors these are.
    """

    score: float
    matrix: np.ndarray
    dead_codes: int
    interval: Interval
    factors: tuple[int, ...]


def irs(
    codes: Any,
    factors: Any,
    *,
    quantile: float = 0.99,
    bootstrap: int = RESAMPLES,
    seed: int = 0,
    dead_below: float = DEAD,
) -> IRS:
    """Measures how little each code moves while one factor is fixed and all others change.

    Per code the largest over factors of 1 − (mean over values of the quantile of how far z is from its mean given
    the value) / the largest distance of z from its mean. A value that one sample has lets no code move: there should be
    many of each.

    Args:
        codes: [n, d].
        factors: [n, k] labels; constant ones are left out, with a warning.
        quantile: of deviations; 1, as in the paper, is the largest.
        bootstrap: resamples behind the interval; 0: no interval. They take most of the time.
        seed: of the resamples.
        dead_below: the standard deviation below which a code counts as dead; it is measured like the others.

    Returns:
        ``IRS``.

    Raises:
        ValueError: for an argument out of range, or if no factor varies.
    """
    quantile = check_share("quantile", quantile)
    samples = check_pair(codes, factors)
    matrix, weights = _robustness(samples.codes, samples.factors, quantile)

    def again(counts: np.ndarray) -> float:
        drawn = np.repeat(np.arange(len(counts)), counts)
        return _score(*_robustness(samples.codes[drawn], samples.factors[drawn], quantile))

    score = _score(matrix, weights)
    between = interval(again, score, len(samples.codes), bootstrap, seed)
    return IRS(score, matrix, int(is_dead(samples.codes, dead_below).sum()), between, samples.columns)


def _robustness(codes: np.ndarray, factors: np.ndarray, quantile: float) -> tuple[np.ndarray, np.ndarray]:
    """[d, k], and the largest deviations [d]."""
    largest = np.abs(codes - codes.mean(axis=0)).max(axis=0)
    largest[np.ptp(codes, axis=0) == 0] = 0.0  # and not what rounding makes of a mean
    matrix = np.zeros((codes.shape[1], factors.shape[1]))
    for k, column in enumerate(factors.T):
        order = np.argsort(column, kind="stable")
        parts = np.split(codes[order], np.flatnonzero(np.diff(column[order])) + 1)
        moved = np.mean([np.quantile(np.abs(part - part.mean(axis=0)), quantile, axis=0) for part in parts], axis=0)
        matrix[:, k] = 1 - np.divide(moved, largest, out=np.ones_like(moved), where=largest > 0)
    return matrix, largest


def _score(matrix: np.ndarray, weights: np.ndarray) -> float:
    return float(weights @ matrix.max(axis=1) / weights.sum()) if weights.any() else 0.0
