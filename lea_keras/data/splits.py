"""Samples of a split, as a function of seed, limit and validation part alone."""

import math

import numpy as np

from lea_keras import checks
from lea_keras.utils import permutation

SPLITS = ("train", "validation", "test")


def choose(split: str, size: int, limit: int | None = None, validation: float = 0.0, seed: int = 0) -> np.ndarray:
    """Returns which samples make a split.

    Of n training samples in their seeded order, "validation" takes those at which n·`validation`, rounded, grows by
    one. So every n divides the samples that it shares with a smaller one alike: what a run trains on is never
    validated on by a run of the same seed and fraction with another `limit`.

    Args:
        split: "train", "validation" or "test".
        size: how many samples there are: of "test" the test data, else the training data, validation part included.
        limit: as in `data.load`: the first so many after a seeded shuffle; from 1 to `size`.
        validation: as in `data.load`: the fraction of the training samples, after the limit, that "validation" has.
        seed: from 0 to 2³² - 1.

    Returns:
        [n] int64, positions below `size` without repetition; in order where all samples are taken.

    Raises:
        ValueError: for another split, or a fraction out of range or one that leaves a side without samples.
    """
    checks.check_choice("split", split, SPLITS)
    validation = checks.check_fraction("validation", validation)
    if split == "validation" and not validation:
        raise checks.fail("validation", "above 0 for the split 'validation'", validation)
    if split == "test" or not validation:
        return np.arange(size) if limit is None else permutation(size, seed)[:limit]
    count = size if limit is None else limit
    if not 0 < validation_size(count, validation) < count:
        allowed = f"0, or leave some of the {count} training samples on either side"
        raise checks.fail("validation", allowed, validation)
    sizes = np.floor(np.arange(count + 1) * validation + 0.5)  # `validation_size` of 0, 1, … samples
    validates = np.diff(sizes) > 0  # [count]
    return permutation(size, seed)[:count][validates if split == "validation" else ~validates]


def validation_size(count: int, validation: float) -> int:
    """Returns how many of `count` training samples the fraction `validation` sets apart: the nearest whole number."""
    return math.floor(count * validation + 0.5)
