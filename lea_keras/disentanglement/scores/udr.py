"""Unsupervised disentanglement ranking (S. Duan et al., "Unsupervised Model Selection for Variational Disentangled
Representation Learning", 2020): a score without labels, of models that differ in their seeds."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lea_keras.checks import check_choice, check_number, check_positive_int, check_seed, fail
from lea_keras.disentanglement.arrays import DEAD, check_codes, is_dead
from lea_keras.disentanglement.intervals import Interval
from lea_keras.disentanglement.learners import scikit_learn

RELATIONS = ("lasso", "spearman")


class UDR(NamedTuple):
    """The unsupervised disentanglement ranking.

    Attributes:
        score: median of ``of_models``, from 0 to 1.
        matrix: how nearly the codes of each pair of models are the same but for order and sign, [models, models]; the
            diagonal is NaN.
        dead_codes: how many of each model, which take no part, [models].
        interval: None: models would have to be trained anew.
        of_models: of each model the median over the others, [models]: what models are ranked by.
    """

    score: float
    matrix: np.ndarray
    dead_codes: np.ndarray
    interval: Interval
    of_models: np.ndarray


def udr(
    codes: Sequence[Any],
    *,
    kl: Sequence[Any] | None = None,
    kl_threshold: float = 0.01,
    relation: str = "lasso",
    alpha: float = 0.1,
    limit: int | None = 1000,
    seed: int = 0,
    dead_below: float = DEAD,
) -> UDR:
    """Measures how nearly models that differ in their seeds have the same codes: disentangled ones are alike.

    Args:
        codes: of each of two or more models, [n, d] of the same n images; d may differ.
        kl: of each model the mean KL of every code, [d], as the literature counts it, with a ½ inside. None:
            dead codes are those that do not vary.
        kl_threshold: the KL below which a code takes no part.
        relation: of standardised codes of two models: "lasso", the absolute weights with which one model's tell the
            other's, or "spearman", absolute rank correlations, which need no scikit-learn.
        alpha: of the lasso.
        limit: images that are compared, drawn by ``seed``; None: all.
        seed: of the draw.
        dead_below: the standard deviation below which a code takes no part, where ``kl`` is not given.

    Returns:
        ``UDR``. A model without living codes has 0.

    Raises:
        ValueError: for fewer than two models, codes of different images, or an argument out of range.
        ImportError: for "lasso" if scikit-learn is not installed.
    """
    check_choice("relation", relation, RELATIONS)
    if len(codes) < 2:
        raise fail("codes", "those of at least two models", f"those of {len(codes)}")
    arrays = [check_codes(each) for each in codes]
    if len({len(each) for each in arrays}) > 1:
        raise fail("codes", "of the same images", f"of {[len(each) for each in arrays]} images")
    dead = _dead(arrays, kl, check_number("kl_threshold", kl_threshold), dead_below)
    count = len(arrays[0])
    chosen = np.arange(count)
    if limit is not None and check_positive_int("limit", limit, 2) < count:
        chosen = np.random.default_rng(check_seed(seed)).permutation(count)[:limit]
    living = [_standardised(each[chosen][:, ~gone]) for each, gone in zip(arrays, dead, strict=True)]
    matrix = np.full((len(arrays),) * 2, np.nan)
    for i, first in enumerate(living):
        for j, second in enumerate(living):
            if i != j:
                matrix[i, j] = strength(_relation(first, second, relation, alpha))
    of_models = np.array([np.median(np.delete(row, i)) for i, row in enumerate(matrix)])
    return UDR(float(np.median(of_models)), matrix, np.array([gone.sum() for gone in dead]), None, of_models)


def strength(relations: Any) -> float:
    """Of absolute relations [d, e] of two models' codes: ½(mean over rows of max²/Σ + that over columns); 0 of none."""
    relations = np.asarray(relations, np.float64)
    if not relations.size:
        return 0.0
    return float(np.mean([_one_to_one(relations), _one_to_one(relations.T)]))


def _one_to_one(relations: np.ndarray) -> float:
    sums = relations.sum(axis=1)
    return float(np.mean(np.divide(relations.max(axis=1) ** 2, sums, out=np.zeros_like(sums), where=sums > 0)))


def _dead(arrays: list[np.ndarray], kl: Any, threshold: float, dead_below: float) -> list[np.ndarray]:
    if kl is None:
        return [is_dead(each, dead_below) for each in arrays]
    sizes = [np.shape(each) for each in kl]
    if sizes != [each.shape[1:] for each in arrays]:
        raise fail("kl", f"a number for every code of {len(arrays)} models", f"arrays of shapes {sizes}")
    if not all(np.all(np.asarray(each) >= 0) for each in kl):  # NaN is not
        raise fail("kl", "numbers of at least 0", kl)
    return [
        (np.asarray(each) < threshold) | (np.ptp(codes, axis=0) == 0) for each, codes in zip(kl, arrays, strict=True)
    ]


def _standardised(codes: np.ndarray) -> np.ndarray:
    deviations = codes.std(axis=0)
    return (codes - codes.mean(axis=0)) / np.where(deviations > 0, deviations, 1.0)


def _relation(first: np.ndarray, second: np.ndarray, relation: str, alpha: float) -> np.ndarray:
    """[d, e]."""
    if not first.shape[1] or not second.shape[1]:
        return np.zeros((first.shape[1], second.shape[1]))
    if relation == "spearman":
        from scipy import stats

        ranks = (_standardised(stats.rankdata(each, axis=0)) for each in (first, second))
        return np.abs(next(ranks).T @ next(ranks)) / len(first)
    fitted = scikit_learn("linear_model").Lasso(alpha=check_number("alpha", alpha)).fit(first, second)
    return np.abs(np.reshape(fitted.coef_, (second.shape[1], first.shape[1]))).T
