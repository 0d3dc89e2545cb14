"""β-VAE score (I. Higgins et al., "β-VAE: Learning Basic Visual Concepts …", 2017)."""

from typing import Any, NamedTuple

import numpy as np

from lea_keras.checks import check_positive_int
from lea_keras.disentanglement.arrays import DEAD, Samples, check_split, is_dead
from lea_keras.disentanglement.groups import Groups, chunks
from lea_keras.disentanglement.intervals import RESAMPLES, Interval, interval
from lea_keras.disentanglement.learners import scikit_learn


class BetaVAEScore(NamedTuple):
    """The β-VAE score.

    Attributes:
        score: accuracy on what is tested with, from a guess to 1.
        matrix: mean distance of codes in pairs that share each factor, in standard deviations of the code, [d, k]:
            independent ones are 1.13 apart, those that are told by the factor alone 0.
        dead_codes: how many.
        interval: of the score, 95 %, over test points; None: none was asked for.
        train_score: accuracy on what was trained on.
        factors: which columns of the factors these are.
    """

    score: float
    matrix: np.ndarray
    dead_codes: int
    interval: Interval
    train_score: float
    factors: tuple[int, ...]


def beta_vae(
    codes: Any,
    factors: Any,
    *,
    test: Any = None,
    held_out: float = 1 / 3,
    points: int = 10_000,
    test_points: int = 5_000,
    pairs: int = 64,
    bootstrap: int = RESAMPLES,
    seed: int = 0,
    dead_below: float = DEAD,
) -> BetaVAEScore:
    """Measures whether a linear classifier tells which factor pairs of samples share, from how far their codes are.

    A point is the mean absolute difference of the codes of some pairs, all of which share one factor, each pair a value
    of its own. The score is near 1 for many codes that other scores find entangled (rotated ones, for example), so that
    it says little alone. Pairs are drawn with replacement among the samples at hand. Codes are divided by their
    standard deviations, and points standardised, since codes without a prior have any scale **(chosen)**.

    Args:
        codes: [n, d].
        factors: [n, k] labels; constant ones are left out, with a warning.
        test: codes and factors to test with; None: some are held out.
        held_out: the share of samples that is held out.
        points: to train on.
        test_points: to test with.
        pairs: behind each point.
        bootstrap: resamples of the test points behind the interval; 0: no interval.
        seed: of what is held out and drawn, and of the resamples.
        dead_below: the standard deviation below which a code counts as dead; constant ones take no part.

    Returns:
        ``BetaVAEScore``.

    Raises:
        ValueError: for an argument out of range, or if no factor varies.
        ImportError: if scikit-learn is not installed.
    """
    for name, value in (("points", points), ("test_points", test_points), ("pairs", pairs)):
        check_positive_int(name, value, 2)
    train, tested = check_split(codes, factors, test, held_out, seed)
    deviations = train.codes.std(axis=0)
    scale = np.where(deviations > 0, deviations, 1.0)
    generator = np.random.default_rng(seed)
    shared, distances = _points(train, scale, points, pairs, generator)
    shared_test, distances_test = _points(tested, scale, test_points, pairs, generator)
    count = train.factors.shape[1]
    matrix = np.stack([distances[shared == k].mean(axis=0) for k in range(count)], axis=1)
    if count == 1:  # nothing to choose among
        right_train, right = np.ones(points), np.ones(test_points)
    else:
        mean, spread = distances.mean(axis=0), distances.std(axis=0)
        distances, distances_test = (
            (part - mean) / np.where(spread > 0, spread, 1.0) for part in (distances, distances_test)
        )
        classifier = scikit_learn("linear_model").LogisticRegression(max_iter=1000).fit(distances, shared)
        right_train = classifier.predict(distances) == shared
        right = (classifier.predict(distances_test) == shared_test).astype(np.float64)
    score = float(right.mean())
    between = interval(lambda counts: counts @ right / counts.sum(), score, len(right), bootstrap, seed)
    dead = int(is_dead(np.concatenate([train.codes, tested.codes]), dead_below).sum())
    return BetaVAEScore(score, matrix, dead, between, float(right_train.mean()), train.columns)


def _points(
    samples: Samples, scale: np.ndarray, count: int, pairs: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Which factor is shared, [count], and mean distances of codes, [count, d]."""
    groups = Groups(samples.factors)
    shared = generator.integers(samples.factors.shape[1], size=count)
    codes = samples.codes / scale
    distances = np.empty((count, codes.shape[1]))
    for part in chunks(count, pairs * codes.shape[1]):
        first = generator.integers(len(codes), size=(len(shared[part]), pairs))
        second = groups.alike(generator, shared[part], first)
        distances[part] = np.abs(codes[first] - codes[second]).mean(axis=1)  # [chunk, pairs, d] → [chunk, d]
    return shared, distances
