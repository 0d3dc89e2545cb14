"""Mutual information gap (R. Chen et al., "Isolating Sources of Disentanglement in VAEs", 2018)."""

from typing import Any, NamedTuple

import numpy as np

from lea_keras.disentanglement.arrays import DEAD, best_and_second, check_pair, is_dead
from lea_keras.disentanglement.information import BINS, discretise, entropies, mutual_information
from lea_keras.disentanglement.intervals import RESAMPLES, Interval, interval


class MIG(NamedTuple):
    """The mutual information gap.

    Attributes:
        score: mean of ``gaps``, from 0 to 1.
        matrix: mutual information of codes and factors, [d, k] in nats.
        dead_codes: how many.
        interval: of the score, 95 %; None: none was asked for.
        gaps: of each factor, [k].
        entropies: of each factor, [k] in nats.
        factors: which columns of the factors these are.
    """

    score: float
    matrix: np.ndarray
    dead_codes: int
    interval: Interval
    gaps: np.ndarray
    entropies: np.ndarray
    factors: tuple[int, ...]


def mig(
    codes: Any,
    factors: Any,
    bins: int = BINS,
    *,
    bootstrap: int = RESAMPLES,
    seed: int = 0,
    dead_below: float = DEAD,
) -> MIG:
    """Measures by how much the best code of each factor knows more of it than the next one.

    For each factor (largest − second largest mutual information) / entropy of the factor, and the mean over factors. A
    factor of more values than there are bins cannot reach 1. With one code alone the second is 0 **(chosen)**.

    Args:
        codes: [n, d].
        factors: [n, k] labels; constant ones are left out, with a warning.
        bins: of equal width, into which each code is put.
        bootstrap: resamples behind the interval, in the bins of all samples; 0: no interval.
        seed: of the resamples.
        dead_below: the standard deviation below which a code counts as dead; it is measured like the others.

    Returns:
        ``MIG``.

    Raises:
        ValueError: for an argument out of range, or if no factor varies.
    """
    samples = check_pair(codes, factors)
    binned = discretise(samples.codes, bins)

    def gaps(counts: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        matrix, entropy = mutual_information(binned, samples.factors, counts), entropies(samples.factors, counts)
        best, second = best_and_second(matrix)
        return np.divide(best - second, entropy, out=np.zeros_like(best), where=entropy > 0), matrix, entropy

    of_factors, matrix, entropy = gaps()
    score = float(of_factors.mean())
    between = interval(lambda counts: gaps(counts)[0].mean(), score, len(binned), bootstrap, seed)
    dead = int(is_dead(samples.codes, dead_below).sum())
    return MIG(score, matrix, dead, between, of_factors, entropy, samples.columns)
