"""Codes and factors as arrays: what is allowed of them, which codes are dead, and what is held out."""

import warnings
from typing import Any, NamedTuple

import numpy as np

from lea_keras.checks import check_fraction, check_number, check_seed, fail

#: The standard deviation below which a code is dead, in units of the code: a prior of VAEs has 1 **(chosen)**.
DEAD = 0.05


class Samples(NamedTuple):
    """Codes with the factors behind them.

    Attributes:
        codes: [n, d] float64.
        factors: [n, k] of those factors that vary; int64 from 0 to how many values there are less one, in the order of
            the values, or float64 if they are continuous.
        columns: which of the given factors they are.
    """

    codes: np.ndarray
    factors: np.ndarray
    columns: tuple[int, ...]


class Split(NamedTuple):
    """Samples to fit with, and others to test with; both with the same ``columns``."""

    train: Samples
    test: Samples


def check_codes(codes: Any, argument: str = "codes", axes: str = "[n, d]") -> np.ndarray:
    """Returns codes as float64.

    Args:
        codes: an array, of as many axes as ``axes`` has names.
        argument: its public name.
        axes: their names, for errors.

    Raises:
        ValueError: for another shape, fewer than two samples, no code, or what is not finite.
    """
    try:
        array = np.asarray(codes, np.float64)
    except (TypeError, ValueError):
        raise fail(argument, f"an array {axes} of numbers", type(codes).__name__) from None
    if array.ndim != axes.count(",") + 1 or len(array) < 2 or 0 in array.shape:
        raise fail(argument, f"an array {axes} of at least two samples", f"an array of shape {array.shape}")
    if not np.all(np.isfinite(array)):
        raise fail(argument, "finite numbers", "infinite or undefined ones")
    return array


def check_pair(codes: Any, factors: Any, continuous: bool = False) -> Samples:
    """Returns codes [n, d] and factors [n, k] as ``Samples``, without factors that have one value.

    Args:
        codes: finite numbers.
        factors: whole numbers, or labels of another type that can be sorted; any finite numbers if ``continuous``.
        continuous: whether factors are numbers rather than labels.

    Raises:
        ValueError: for other arrays, or if no factor varies.
    """
    codes = check_codes(codes)
    labels = _check_factors(factors, len(codes), continuous)
    return _drop_constant(codes, labels, labels, continuous)


def check_split(codes: Any, factors: Any, test: Any, held_out: float, seed: int, continuous: bool = False) -> Split:
    """Returns what is fitted with and what is tested with; factors that have one value in the former are dropped.

    Args:
        codes: [n, d].
        factors: [n, k].
        test: a pair of such arrays, on which alone is tested; None: a share of the samples is held out.
        held_out: the share.
        seed: by which it is chosen.
        continuous: as in ``check_pair``.

    Raises:
        ValueError: as ``check_pair``, or for a share or a seed out of range.
    """
    codes = check_codes(codes)
    labels = _check_factors(factors, len(codes), continuous)
    if test is None:
        order = np.random.default_rng(check_seed(seed)).permutation(len(codes))
        tested = round(check_fraction("held_out", held_out) * len(codes))
        if not 0 < tested < len(codes) - 1:
            allowed = f"a share that leaves something of {len(codes)} samples on both sides"
            raise fail("held_out", allowed, held_out)
        codes, labels, size = codes[order], labels[order], len(codes) - tested
    else:
        if not isinstance(test, (tuple, list)) or len(test) != 2:
            raise fail("test", "a pair of arrays, codes [n, d] and factors [n, k]", type(test).__name__)
        others = check_codes(test[0], "test")
        other_labels = _check_factors(test[1], len(others), continuous, "test")
        if others.shape[1:] != codes.shape[1:] or other_labels.shape[1:] != labels.shape[1:]:
            received = f"{others.shape[1]} codes and {other_labels.shape[1]} factors"
            raise fail("test", f"of {codes.shape[1]} codes and {labels.shape[1]} factors", received)
        size = len(codes)
        codes, labels = np.concatenate([codes, others]), np.concatenate([labels, other_labels])
    whole = _drop_constant(codes, labels, labels[:size], continuous)
    parts = (slice(size), slice(size, None))
    return Split(*(Samples(whole.codes[part], whole.factors[part], whole.columns) for part in parts))


def is_dead(codes: np.ndarray, below: float = DEAD) -> np.ndarray:
    """Whether each code of [n, d] is constant or has a standard deviation below ``below``, [d]."""
    below = check_number("dead_below", below)
    return (codes.std(axis=0) < below) | (np.ptp(codes, axis=0) == 0)


def best_and_second(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest and the second largest entry of each column of [d, k]; a single code has a second of 0."""
    ordered = np.sort(np.concatenate([matrix, np.zeros((1, matrix.shape[1]))]) if len(matrix) == 1 else matrix, axis=0)
    return ordered[-1], ordered[-2]


def _check_factors(factors: Any, samples: int, continuous: bool, argument: str = "factors") -> np.ndarray:
    array = np.asarray(factors)
    if array.ndim != 2 or len(array) != samples or not array.shape[1]:
        allowed = f"an array [n, k] of factors of {samples} samples"
        raise fail(argument, allowed, f"an array of shape {array.shape}")
    numeric = array.dtype.kind in "biuf"
    if continuous and not numeric:
        raise fail(argument, "numbers", f"an array of {array.dtype}")
    if numeric and not np.all(np.isfinite(array)):
        raise fail(argument, "finite numbers", "infinite or undefined ones")
    if not continuous and array.dtype.kind == "f" and not np.array_equal(array, np.round(array)):
        hint = "Put what is continuous into classes, with np.digitize for example."
        raise fail(argument, "labels, which are whole numbers", "numbers between", hint)
    return array.astype(np.float64) if continuous else array


def _drop_constant(codes: np.ndarray, labels: np.ndarray, seen: np.ndarray, continuous: bool) -> Samples:
    """Samples with those factors that vary in what was ``seen`` of them."""
    varies = [bool(np.any(seen[:, k] != seen[0, k])) for k in range(labels.shape[1])]
    columns = tuple(k for k, some in enumerate(varies) if some)
    if not columns:
        raise fail("factors", "at least one factor of two or more values", "constant ones")
    if len(columns) < len(varies):
        constant = [k for k, some in enumerate(varies) if not some]
        text = f"Factors of one value say nothing and are left out: columns {constant}"
        warnings.warn(text, stacklevel=4)  # where the score was called
    kept = labels[:, columns]
    if not continuous:
        kept = np.stack([np.unique(column, return_inverse=True)[1] for column in kept.T], axis=1).astype(np.int64)
    return Samples(codes, kept, columns)
