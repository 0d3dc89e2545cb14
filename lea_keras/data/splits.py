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


def weigh(chosen: np.ndarray, size: int, labelled: float, seed: int = 0) -> np.ndarray | None:
    """Returns the weight of each chosen training sample in the main loss, where only some of them have a label.

    Of the samples in their seeded order the first n·`labelled`, rounded, are labelled, so that those of a smaller
    fraction are among those of a larger one. Each of them weighs n over their number: the weights' mean is 1.

    Args:
        chosen: of `choose`, [n].
        size: how many training samples there are.
        labelled: as in `data.load`, above 0.
        seed: from 0 to 2³² - 1.

    Returns:
        [size] float32, by position in what is stored; `None` where all samples are labelled.

    Raises:
        ValueError: for a fraction that is not above 0 and at most 1, or one that leaves no sample a label.
    """
    number = checks.check_share("labelled", labelled)
    if number == 1:
        return None
    count = validation_size(len(chosen), number)
    if not count:
        raise checks.fail("labelled", f"enough for one of the {len(chosen)} training samples", labelled)
    order = permutation(size, seed)
    weights = np.zeros(size, np.float32)
    weights[order[np.isin(order, chosen)][:count]] = len(chosen) / count
    return weights


def validation_size(count: int, validation: float) -> int:
    """Returns how many of `count` training samples the fraction `validation` sets apart: the nearest whole number."""
    return math.floor(count * validation + 0.5)
