"""Explicitness (K. Ridgeway and M. Mozer, "Learning Deep Disentangled Embeddings with the F-Statistic Loss", 2018)."""

from typing import Any, NamedTuple

import numpy as np

from lea_keras.checks import check_number
from lea_keras.disentanglement.arrays import DEAD, check_split, is_dead
from lea_keras.disentanglement.intervals import RESAMPLES, Interval, interval
from lea_keras.disentanglement.learners import scikit_learn


class Explicitness(NamedTuple):
    """The explicitness.

    Attributes:
        score: mean over factors of the mean over their values, from 0.5, that of guesses, to 1.
        matrix: area under the curve with which each value of each factor is told from the others, [largest number of
            values, k]; NaN where what is tested with has no such sample, or no other, and where a factor has no such
            value.
        dead_codes: how many.
        interval: of the score, 95 %; None: none was asked for.
        factors: which columns of the factors these are.
    """

    score: float
    matrix: np.ndarray
    dead_codes: int
    interval: Interval
    factors: tuple[int, ...]


def explicitness(
    codes: Any,
    factors: Any,
    *,
    test: Any = None,
    held_out: float = 1 / 3,
    penalty: float = 1.0,
    bootstrap: int = RESAMPLES,
    seed: int = 0,
    dead_below: float = DEAD,
) -> Explicitness:
    """Measures how well a linear classifier tells each factor from all codes, whichever of them hold it.

    The area under the curve of logistic regression on standardised codes, for each value against the others. Values
    that are not tested with are left out.

    Args:
        codes: [n, d].
        factors: [n, k] labels; constant ones are left out, with a warning.
        test: codes and factors to test with; None: some are held out.
        held_out: the share of samples that is held out.
        penalty: C of logistic regression.
        bootstrap: resamples of what is tested with behind the interval; 0: no interval.
        seed: of what is held out, and of the resamples.
        dead_below: the standard deviation below which a code counts as dead; constant ones take no part.

    Returns:
        ``Explicitness``.

    Raises:
        ValueError: for an argument out of range, or if no factor varies.
        ImportError: if scikit-learn is not installed.
    """
    penalty = check_number("penalty", penalty)
    train, tested = check_split(codes, factors, test, held_out, seed)
    mean, deviations = train.codes.mean(axis=0), train.codes.std(axis=0)
    fitted_on, asked = ((part.codes - mean) / np.where(deviations > 0, deviations, 1.0) for part in (train, tested))
    regression = scikit_learn("linear_model").LogisticRegression
    curves: list[list[_Curve | None]] = []
    values = int(max(train.factors.max(), tested.factors.max())) + 1
    for k in range(train.factors.shape[1]):
        fitted = regression(C=penalty, max_iter=1000).fit(fitted_on, train.factors[:, k])
        told = fitted.predict_proba(asked)  # [tested, values in training]
        places = {value: column for column, value in enumerate(fitted.classes_)}
        of_factor = tested.factors[:, k]
        curves.append([_Curve(told[:, places[v]], of_factor == v) if v in places else None for v in range(values)])

    def matrix(counts: np.ndarray) -> np.ndarray:
        areas = [[np.nan if curve is None else curve.area(counts) for curve in of_factor] for of_factor in curves]
        return np.array(areas).T  # [values, k]

    once = matrix(np.ones(len(asked)))
    score = _mean(once)
    between = interval(lambda counts: _mean(matrix(counts)), score, len(asked), bootstrap, seed)
    dead = int(is_dead(np.concatenate([train.codes, tested.codes]), dead_below).sum())
    return Explicitness(score, once, dead, between, train.columns)


class _Curve:
    """The curve of true over false positives, whose area is asked for again and again.

    Args:
        told: how likely each sample is taken to be positive, [n].
        positive: whether it is, [n].
    """

    def __init__(self, told: np.ndarray, positive: np.ndarray) -> None:
        self._order = np.argsort(told, kind="stable")
        self._positive = positive[self._order]
        ordered = told[self._order]
        self._starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))  # of those told alike

    def area(self, counts: np.ndarray) -> float:
        """For how often each sample is there: how likely a positive stands above a negative, a tie counting half."""
        weights = counts[self._order]
        positives = np.add.reduceat(weights * self._positive, self._starts)
        negatives = np.add.reduceat(weights * ~self._positive, self._starts)
        pairs = positives.sum() * negatives.sum()
        below = np.cumsum(negatives) - negatives / 2
        return float(positives @ below / pairs) if pairs else float("nan")


def _mean(areas: np.ndarray) -> float:
    """Over factors, of the mean over those of their values that there are."""
    there = ~np.isnan(areas)
    counts = there.sum(axis=0)
    sums = np.where(there, areas, 0.0).sum(axis=0)
    return float(np.mean(sums[counts > 0] / counts[counts > 0])) if counts.any() else 0.5
