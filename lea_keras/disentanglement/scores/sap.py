"""Separated attribute predictability (A. Kumar et al., "… Inference of Disentangled Latent Concepts …", 2018)."""

from typing import Any, NamedTuple

import numpy as np

from lea_keras.checks import check_number
from lea_keras.disentanglement.arrays import DEAD, Samples, Split, best_and_second, check_pair, check_split, is_dead
from lea_keras.disentanglement.intervals import RESAMPLES, Interval, interval
from lea_keras.disentanglement.learners import scikit_learn

_CONSTANT = 1e-12  # a variance that is none


class SAP(NamedTuple):
    """The separated attribute predictability.

    Attributes:
        score: mean of ``gaps``, from 0 to 1.
        matrix: accuracy with which each code alone tells each factor, or squared correlation with it, [d, k].
        dead_codes: how many.
        interval: of the score, 95 %; None: none was asked for.
        gaps: of each factor, [k].
        factors: which columns of the factors these are.
    """

    score: float
    matrix: np.ndarray
    dead_codes: int
    interval: Interval
    gaps: np.ndarray
    factors: tuple[int, ...]


def sap(
    codes: Any,
    factors: Any,
    *,
    continuous: bool = False,
    test: Any = None,
    held_out: float = 1 / 3,
    penalty: float = 0.01,
    bootstrap: int = RESAMPLES,
    seed: int = 0,
    dead_below: float = DEAD,
) -> SAP:
    """Measures by how much the best code of each factor predicts it better than the next one.

    Of labels the accuracy of a linear support vector machine on one code alone; classes count alike in training.
    A code that knows nothing still has the accuracy of a guess, so that the score of perfect codes is 1 less that of a
    guess, and not 1. Of continuous factors the squared correlation over all samples, 0 for a constant code.

    Args:
        codes: [n, d].
        factors: [n, k] labels, or numbers if ``continuous``; constant ones are left out, with a warning.
        continuous: whether factors are numbers.
        test: codes and factors to test with; None: some are held out. Of no use if ``continuous``.
        held_out: the share of samples that is held out.
        penalty: C of the support vector machines.
        bootstrap: resamples of what is tested with behind the interval; 0: no interval.
        seed: of what is held out, and of the resamples.
        dead_below: the standard deviation below which a code counts as dead; it is measured like the others.

    Returns:
        ``SAP``.

    Raises:
        ValueError: for an argument out of range, or if no factor varies.
        ImportError: if factors are labels and scikit-learn is not installed.
    """
    if continuous:
        samples = check_pair(codes, factors, continuous=True)
        matrix_of = _correlations(samples)
        size, whole = len(samples.codes), samples.codes
    else:
        split = check_split(codes, factors, test, held_out, seed)
        matrix_of = _accuracies(split, check_number("penalty", penalty))
        size, whole = len(split.test.codes), np.concatenate([split.train.codes, split.test.codes])
        samples = split.train

    def gaps(counts: np.ndarray) -> np.ndarray:
        best, second = best_and_second(matrix_of(counts))
        return best - second

    once = np.ones(size)
    of_factors = gaps(once)
    score = float(of_factors.mean())
    between = interval(lambda counts: gaps(counts).mean(), score, size, bootstrap, seed)
    dead = int(is_dead(whole, dead_below).sum())
    return SAP(score, matrix_of(once), dead, between, of_factors, samples.columns)


def _accuracies(split: Split, penalty: float) -> Any:
    """A function from how often each test sample is there to the accuracies [d, k]."""
    machine = scikit_learn("svm").LinearSVC
    codes, factors = split.train.codes, split.train.factors
    right = np.empty((len(split.test.codes), codes.shape[1], factors.shape[1]))  # [tested, d, k]
    for i in range(codes.shape[1]):
        for k in range(factors.shape[1]):
            fitted = machine(C=penalty, class_weight="balanced", random_state=0).fit(codes[:, i : i + 1], factors[:, k])
            right[:, i, k] = fitted.predict(split.test.codes[:, i : i + 1]) == split.test.factors[:, k]
    return lambda counts: np.tensordot(counts / counts.sum(), right, 1)


def _correlations(samples: Samples) -> Any:
    """A function from how often each sample is there to the squared correlations [d, k]."""

    def squared(counts: np.ndarray) -> np.ndarray:
        shares = (counts / counts.sum())[:, np.newaxis]
        codes, factors = (part - (shares * part).sum(axis=0) for part in (samples.codes, samples.factors))
        both = (shares * codes).T @ factors  # [d, k]
        of_codes, of_factors = (shares * codes**2).sum(axis=0), (shares * factors**2).sum(axis=0)
        varies = (of_codes > _CONSTANT)[:, np.newaxis] & (of_factors > _CONSTANT)
        return np.divide(both**2, np.outer(of_codes, of_factors), out=np.zeros_like(both), where=varies)

    return squared
