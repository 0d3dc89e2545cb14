"""The smallest of increasing levels at which each sample gives in: a search over all samples at once."""

from collections.abc import Callable

import numpy as np

RATIO = 1.2  # (chosen): on a CNN, doubling misses a lower success for 4 % of the images under blur, this for 0.5 %
Attempt = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (samples [m], levels [m]) -> which gave in, booleans [m]


def ladder(levels: int, ratio: float) -> list[int]:
    """Levels from 1 to ``levels`` that each grow by about ``ratio``: with 2 it is 1, 2, 4, 8, …, levels."""
    steps = [1]
    while steps[-1] < levels:
        steps.append(min(levels, max(steps[-1] + 1, round(steps[-1] * ratio))))
    return steps


def climb(attempt: Attempt, rows: np.ndarray, levels: int, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Tries rising levels until a sample gives in.

    Returns:
        The last level [m] that failed, 0 if none did, and the first that succeeded, 0 if none did.
    """
    lower, upper = np.zeros(len(rows), int), np.zeros(len(rows), int)
    for level in ladder(levels, ratio):
        left = np.flatnonzero(upper == 0)
        if not len(left):
            break
        gave_in = attempt(rows[left], np.full(len(left), level))
        upper[left[gave_in]] = level
        lower[left[~gave_in]] = level
    return lower, upper


def bisect(attempt: Attempt, rows: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Halves the gaps between a failing and a succeeding level, until they are neighbours.

    Returns:
        Levels [m] that succeed, while those just below fail (or are ``lower``). Where ``upper`` is 0, so is the level.
    """
    lower, upper = lower.copy(), upper.copy()
    while len(left := np.flatnonzero(upper - lower > 1)):
        middle = (lower[left] + upper[left]) // 2
        gave_in = attempt(rows[left], middle)
        upper[left] = np.where(gave_in, middle, upper[left])
        lower[left] = np.where(gave_in, lower[left], middle)
    return upper


def scan(attempt: Attempt, rows: np.ndarray, levels: int, at_once: int = 8) -> np.ndarray:
    """Tries every level from the first on, some at once; the first [m] that succeeds, 0 if none does."""
    found = np.zeros(len(rows), int)
    for start in range(1, levels + 1, at_once):
        left = np.flatnonzero(found == 0)
        if not len(left):
            break
        tried = np.arange(start, min(start + at_once, levels + 1))
        gave_in = attempt(np.repeat(rows[left], len(tried)), np.tile(tried, len(left))).reshape(len(left), -1)
        found[left] = np.where(gave_in.any(axis=1), tried[gave_in.argmax(axis=1)], 0)
    return found


def smallest(
    attempt: Attempt, rows: np.ndarray, levels: int, *, ratio: float = RATIO, every: bool = False
) -> np.ndarray:
    """The smallest level from 1 to ``levels`` at which each sample gives in.

    By default levels rise by ``ratio`` until one succeeds, and the gap below it is halved until it is closed: at most
    some forty attempts a sample for a thousand levels. The level found succeeds and the one below it fails. It is the
    smallest of all if a sample that has given in does so at all higher levels, too; where it does not, a lower island
    may be missed, which only trying ``every`` level excludes.

    Args:
        attempt: tells which of the samples [m] give in at their levels [m].
        rows: the samples [k].
        levels: the highest level.
        ratio: by how much levels rise at first; the smaller, the fewer islands are missed.
        every: try all levels in turn.

    Returns:
        Levels [k], 0 for those that never gave in.
    """
    if every:
        return scan(attempt, rows, levels)
    return bisect(attempt, rows, *climb(attempt, rows, levels, ratio))
