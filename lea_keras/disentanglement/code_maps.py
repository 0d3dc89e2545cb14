"""Scores of code maps: at every position, of all positions together, or of whole images."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lea_keras.checks import fail
from lea_keras.disentanglement.arrays import DEAD, check_codes, is_dead

_AXES = "[n, h, w, d]"


class PositionScores(NamedTuple):
    """A score at every position of code maps.

    Attributes:
        score: the mean over positions that have one; NaN if none has.
        matrix: the scores, [h, w]; NaN where no factor varies.
        dead_codes: how many at every position, [h, w].
        results: what the score returned at every position, or None, [h][w].
    """

    score: float
    matrix: np.ndarray
    dead_codes: np.ndarray
    results: list[list[Any]]


def at_positions(score: Callable[..., Any], code_maps: Any, factors: Any, **options: Any) -> PositionScores:
    """Computes a score at every position of code maps: where in the image codes stand for factors.

    Args:
        score: one that takes codes and factors, such as ``mig``.
        code_maps: [n, h, w, d].
        factors: of the images, [n, k], or each window's own, [n, h, w, k].
        **options: of the score. Without others there is no interval, and it is h·w times as fast.

    Returns:
        ``PositionScores``. Of a position where some factors are constant, the score is of the others; one warning
        says at how many that is so.

    Raises:
        ValueError: for arrays of other shapes, or as the score does.
    """
    if not callable(score):
        raise fail("score", "a function of codes and factors, such as mig", score)
    code_maps = check_codes(code_maps, "code_maps", _AXES)
    factors = _of_windows(factors, code_maps)
    options = {"bootstrap": 0, **options}
    rows, columns = code_maps.shape[1:3]
    results: list[list[Any]] = [[None] * columns for _ in range(rows)]
    fewer = 0
    for row in range(rows):
        for column in range(columns):
            own = factors[:, row, column]
            varies = np.any(own != own[:1], axis=0)
            fewer += not varies.all()
            if varies.any():
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "Factors of one value")
                    results[row][column] = score(code_maps[:, row, column], own, **options)
    if fewer:
        warnings.warn(f"Some factors have one value at {fewer} of {rows * columns} positions", stacklevel=2)
    scores = np.array([[np.nan if one is None else one.score for one in row] for row in results])
    below = options.get("dead_below", DEAD)
    of_maps = [[is_dead(code_maps[:, row, column], below).sum() for column in range(columns)] for row in range(rows)]
    dead = np.array(of_maps, np.int64)
    measured = scores[~np.isnan(scores)]
    return PositionScores(float(measured.mean()) if measured.size else float("nan"), scores, dead, results)


def pooled(code_maps: Any) -> np.ndarray:
    """Means of code maps [n, h, w, d] over all positions, [n, d]: codes that forget where.

    Raises:
        ValueError: for an array of another shape.
    """
    return check_codes(code_maps, "code_maps", _AXES).mean(axis=(1, 2))


def flattened(code_maps: Any) -> np.ndarray:
    """Code maps [n, h, w, d] as one code an image, [n, h·w·d].

    Raises:
        ValueError: for an array of another shape.
    """
    code_maps = check_codes(code_maps, "code_maps", _AXES)
    return code_maps.reshape(len(code_maps), -1)


def windows(code_maps: Any, factors: Any) -> tuple[np.ndarray, np.ndarray]:
    """Every window as a sample of its own: codes [n·h·w, d] and factors [n·h·w, k].

    Args:
        code_maps: [n, h, w, d].
        factors: of the images, [n, k], or each window's own, [n, h, w, k].

    Raises:
        ValueError: for arrays of other shapes.
    """
    code_maps = check_codes(code_maps, "code_maps", _AXES)
    factors = _of_windows(factors, code_maps)
    return code_maps.reshape(-1, code_maps.shape[-1]), factors.reshape(-1, factors.shape[-1])


def _of_windows(factors: Any, code_maps: np.ndarray) -> np.ndarray:
    """[n, h, w, k]."""
    factors = np.asarray(factors)
    if factors.ndim == 2 and len(factors) == len(code_maps):
        factors = np.broadcast_to(factors[:, np.newaxis, np.newaxis], (*code_maps.shape[:3], factors.shape[1]))
    if factors.ndim != 4 or factors.shape[:3] != code_maps.shape[:3] or not factors.shape[3]:
        n, h, w = code_maps.shape[:3]
        raise fail("factors", f"of shape [{n}, k] or [{n}, {h}, {w}, k]", f"an array of shape {factors.shape}")
    return factors
