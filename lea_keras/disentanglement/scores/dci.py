"""Disentanglement, completeness and informativeness (C. Eastwood and C. Williams, "A Framework for the Quantitative
Evaluation of Disentangled Representations", 2018)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lea_keras.checks import check_number, check_positive_int
from lea_keras.disentanglement.arrays import DEAD, check_split, is_dead
from lea_keras.disentanglement.intervals import RESAMPLES, Interval, interval
from lea_keras.disentanglement.learners import scikit_learn

_VALUES = 50_000  # of codes, samples times candidates, that a booster is fitted on without another limit (chosen)


class DCI(NamedTuple):
    """Disentanglement, completeness and informativeness.

    Attributes:
        score: the disentanglement.
        matrix: how important each code is for each factor, [d, k]; columns sum to 1, or 0 where no code is of use.
        dead_codes: how many.
        interval: None, since importances come from what was fitted once, which intervals do not repeat.
        disentanglement: how nearly each code is about one factor, from 0 to 1; codes count as they are important.
        completeness: how nearly each factor is in one code, from 0 to 1; factors count as they are told.
        informativeness: mean accuracy over factors on what is tested with. (Of the paper it is the error.)
        informativeness_interval: of that, 95 %; None: none was asked for.
        informativeness_train: the same on what was fitted with.
        factors: which columns of the factors these are.
    """

    score: float
    matrix: np.ndarray
    dead_codes: int
    interval: Interval
    disentanglement: float
    completeness: float
    informativeness: float
    informativeness_interval: Interval
    informativeness_train: float
    factors: tuple[int, ...]


def dci(
    codes: Any,
    factors: Any,
    *,
    test: Any = None,
    held_out: float = 1 / 3,
    limit: int | None = None,
    trees: int = 100,
    depth: int = 3,
    learning_rate: float = 0.1,
    candidates: int = 50,
    booster: Callable[[np.random.RandomState], Any] | None = None,
    bootstrap: int = RESAMPLES,
    seed: int = 0,
    dead_below: float = DEAD,
) -> DCI:
    """Measures which codes boosted trees use to tell each factor.

    Time grows with trees · values of all factors · samples · codes, of which the last two are bounded: a booster is
    fitted on at most ``limit`` samples, and a split looks at ``candidates`` codes at most. Codes of a whole code map
    take no longer than fifty **(chosen)**.

    Args:
        codes: [n, d].
        factors: [n, k] labels; constant ones are left out, with a warning.
        test: codes and factors to test with; None: some are held out.
        held_out: the share of samples that is held out.
        limit: samples that boosters are fitted on; None: 50,000 over the smaller of d and ``candidates``, 5,000 for
            ten codes and 1,000 for fifty and more.
        trees: of a booster, for each value of a factor.
        depth: of each tree.
        learning_rate: of a booster.
        candidates: codes that a split chooses among, drawn anew each time; of fewer codes all.
        booster: makes another classifier, from a random state, that has ``fit``, ``predict`` and then
            ``feature_importances_``, such as a forest; the four arguments before it then say nothing but ``limit``.
        bootstrap: resamples of what is tested with behind the interval of informativeness; 0: no interval.
        seed: of what is held out and fitted, and of the resamples.
        dead_below: the standard deviation below which a code counts as dead; it is measured like the others.

    Returns:
        ``DCI``.

    Raises:
        ValueError: for an argument out of range, or if no factor varies.
        ImportError: if scikit-learn is not installed.
    """
    split = check_split(codes, factors, test, held_out, seed)
    train, tested = split
    used = min(train.codes.shape[1], check_positive_int("candidates", candidates))
    chosen = _some(train.factors, _VALUES // used if limit is None else check_positive_int("limit", limit, 2), seed)
    fitted_codes, fitted_factors = train.codes[chosen], train.factors[chosen]
    options = {"n_estimators": check_positive_int("trees", trees), "max_depth": check_positive_int("depth", depth)}
    options |= {"learning_rate": check_number("learning_rate", learning_rate)}
    options |= {"max_features": used if used < train.codes.shape[1] else None}
    make = booster or (lambda state: scikit_learn("ensemble").GradientBoostingClassifier(random_state=state, **options))
    state = np.random.RandomState(seed)
    matrix = np.empty((train.codes.shape[1], train.factors.shape[1]))
    right_train = np.empty(matrix.shape[1])
    right = np.empty((len(tested.codes), matrix.shape[1]))  # [tested, k]
    for k in range(matrix.shape[1]):
        fitted = make(state).fit(fitted_codes, fitted_factors[:, k])
        matrix[:, k] = np.abs(fitted.feature_importances_)
        right_train[k] = np.mean(fitted.predict(fitted_codes) == fitted_factors[:, k])
        right[:, k] = fitted.predict(tested.codes) == tested.factors[:, k]
    of_samples = right.mean(axis=1)
    informativeness = float(of_samples.mean())
    between = interval(
        lambda counts: counts @ of_samples / counts.sum(), informativeness, len(of_samples), bootstrap, seed
    )
    score = disentanglement(matrix)
    dead = int(is_dead(np.concatenate([train.codes, tested.codes]), dead_below).sum())
    rest = (score, completeness(matrix), informativeness, between, float(right_train.mean()), train.columns)
    return DCI(score, matrix, dead, None, *rest)


def disentanglement(matrix: Any) -> float:
    """Of importances [d, k]: Σᵢ ρᵢ (1 − H(row i)), H in units of log k and ρᵢ the row's share of all; 0 of zeros."""
    matrix = np.asarray(matrix, np.float64)
    total = matrix.sum()
    if total <= 0:
        return 0.0
    return float(np.sum(matrix.sum(axis=1) / total * (1 - _entropies(matrix))))


def completeness(matrix: Any) -> float:
    """Of importances [d, k]: the same of columns, H in units of log d."""
    return disentanglement(np.asarray(matrix).T)


def _entropies(matrix: np.ndarray) -> np.ndarray:
    """Of each row as shares of its sum, in units of the largest there can be; 0 where there is one column alone."""
    if matrix.shape[1] == 1:
        return np.zeros(len(matrix))
    sums = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, sums, out=np.zeros_like(matrix), where=sums > 0)
    logarithms = np.log(shares, out=np.zeros_like(matrix), where=shares > 0)
    return -(shares * logarithms).sum(axis=1) / np.log(matrix.shape[1])


def _some(factors: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """Indices of at most ``limit`` samples in which every factor still has two values."""
    if len(factors) <= limit:
        return np.arange(len(factors))
    chosen = np.random.default_rng(seed).permutation(len(factors))[:limit]
    rare = [k for k in range(factors.shape[1]) if np.ptp(factors[chosen, k]) == 0]
    others = [np.flatnonzero(factors[:, k] != factors[chosen[0], k])[0] for k in rare]
    return np.concatenate([chosen, np.array(others, np.int64)])
