"""Modularity (K. Ridgeway and M. Mozer, "Learning Deep Disentangled Embeddings with the F-Statistic Loss", 2018)."""

from typing import Any, NamedTuple

import numpy as np

from lea_keras.disentanglement.arrays import DEAD, check_pair, is_dead
from lea_keras.disentanglement.information import BINS, discretise, mutual_information
from lea_keras.disentanglement.intervals import RESAMPLES, Interval, interval

_NONE = 1e-12  # nats that are rounding


class Modularity(NamedTuple):
    """The modularity.

    Attributes:
        score: mean of ``of_codes``, from 0 to 1.
        matrix: mutual information of codes and factors, [d, k] in nats.
        dead_codes: how many.
        interval: of the score, 95 %; None: none was asked for.
        of_codes: of each code, [d].
        factors: which columns of the factors these are.
    """

    score: float
    matrix: np.ndarray
    dead_codes: int
    interval: Interval
    of_codes: np.ndarray
    factors: tuple[int, ...]


def modularity(
    codes: Any,
    factors: Any,
    bins: int = BINS,
    *,
    bootstrap: int = RESAMPLES,
    seed: int = 0,
    dead_below: float = DEAD,
) -> Modularity:
    """Measures how nearly each code knows of one factor alone, whatever other codes know.

    Of a code with mutual information m over k factors, 1 − Σ of the others' m² / (largest m² · (k − 1)). A code that
    knows nothing of any factor has 0, and counts in the mean: dead codes lower it. With one factor alone others have 1
    **(chosen)**.

    Args:
        codes: [n, d].
        factors: [n, k] labels; constant ones are left out, with a warning.
        bins: of equal width, into which each code is put.
        bootstrap: resamples behind the interval, in the bins of all samples; 0: no interval.
        seed: of the resamples.
        dead_below: the standard deviation below which a code counts as dead; it is measured like the others.

    Returns:
        ``Modularity``.

    Raises:
        ValueError: for an argument out of range, or if no factor varies.
    """
    samples = check_pair(codes, factors)
    binned = discretise(samples.codes, bins)
    matrix = mutual_information(binned, samples.factors)
    of_codes = modularity_of_codes(matrix)
    score = float(of_codes.mean())

    def again(counts: np.ndarray) -> float:
        return float(modularity_of_codes(mutual_information(binned, samples.factors, counts)).mean())

    between = interval(again, score, len(binned), bootstrap, seed)
    dead = int(is_dead(samples.codes, dead_below).sum())
    return Modularity(score, matrix, dead, between, of_codes, samples.columns)


def modularity_of_codes(matrix: Any) -> np.ndarray:
    """Of mutual information [d, k], the modularity of each code, [d]."""
    squares = np.asarray(matrix, np.float64) ** 2
    largest = squares.max(axis=1)
    others = (squares.sum(axis=1) - largest) / max(squares.shape[1] - 1, 1)
    knows = largest > _NONE**2
    return np.where(knows, 1 - np.divide(others, largest, out=np.zeros_like(others), where=knows), 0.0)
