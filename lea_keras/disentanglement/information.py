"""Mutual information of codes and factors, by histograms alone.

Codes are put into bins of equal width over their own range. The estimators by nearest neighbours, which scikit-learn
has, give a constant feature more information than there is (scikit-learn issue 30772) and are not used.
"""

from typing import Any

import numpy as np

from lea_keras.checks import check_positive_int

BINS = 20


def discretise(codes: Any, bins: int = BINS) -> np.ndarray:
    """Puts each code into bins of equal width from its least to its largest value.

    Args:
        codes: [n, d].
        bins: how many; the last one has the largest value, too. All of a constant code is in one bin.

    Returns:
        [n, d] int64, from 0 to bins − 1.

    Raises:
        ValueError: for fewer than two bins.
    """
    check_positive_int("bins", bins, 2)
    inner = (np.histogram_bin_edges(code, bins)[:-1] for code in np.asarray(codes).T)
    found = [np.digitize(code, edges) - 1 for code, edges in zip(np.asarray(codes).T, inner, strict=True)]
    return np.stack(found, axis=1)


def mutual_information(binned: np.ndarray, labels: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Mutual information of every discrete code with every factor.

    Args:
        binned: [n, d] integers from 0, as of ``discretise``.
        labels: [n, k] integers from 0.
        counts: how often each sample is there, [n]; None: once.

    Returns:
        [d, k] in nats.
    """
    weights = None if counts is None else np.asarray(counts, np.float64)
    sizes = labels.max(axis=0) + 1
    matrix = np.empty((binned.shape[1], labels.shape[1]))
    for i, code in enumerate(binned.T):
        for k, (factor, size) in enumerate(zip(labels.T, sizes, strict=True)):
            joint = np.bincount(code * size + factor, weights, minlength=(code.max() + 1) * size)
            matrix[i, k] = _information(joint.reshape(-1, size))
    return matrix


def entropies(labels: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Entropy of every factor, [k] in nats; arguments as of ``mutual_information``."""
    weights = None if counts is None else np.asarray(counts, np.float64)
    shares = (np.bincount(column, weights) / (len(labels) if counts is None else weights.sum()) for column in labels.T)
    return np.array([-np.sum(share[share > 0] * np.log(share[share > 0])) for share in shares])


def information_bias(bins: int, values: int, samples: int) -> float:
    """What the estimate of mutual information is too large by, where code and factor are independent.

    Args:
        bins: of the code that hold something.
        values: of the factor.
        samples: how many.

    Returns:
        (bins − 1)(values − 1) / 2·samples nats, the leading term for many samples. Scores below what it makes of them
        say nothing.

    Raises:
        ValueError: for a count below 1.
    """
    for name, count in (("bins", bins), ("values", values), ("samples", samples)):
        check_positive_int(name, count)
    return (bins - 1) * (values - 1) / (2 * samples)


def _information(joint: np.ndarray) -> float:
    """Of a table of counts, [bins, values]; never below 0."""
    joint = joint / joint.sum()
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    there = joint > 0
    return max(float(np.sum(joint[there] * np.log(joint[there] / independent[there]))), 0.0)
