"""FactorVAE score (H. Kim and A. Mnih, "Disentangling by Factorising", 2018)."""

from typing import Any, NamedTuple

import numpy as np

from lea_keras.checks import check_positive_int
from lea_keras.disentanglement.arrays import DEAD, Samples, check_split, is_dead
from lea_keras.disentanglement.groups import Groups, chunks
from lea_keras.disentanglement.intervals import RESAMPLES, Interval, interval


class FactorVAEScore(NamedTuple):
    """The FactorVAE score.

    Attributes:
        score: accuracy on votes from what is tested with, from a guess to 1; 0 where all codes are dead.
        matrix: shares of the training votes for each code while each factor was fixed, [d, k]; columns sum to 1.
        dead_codes: how many; they take no part.
        interval: of the score, 95 %, over votes; None: none was asked for.
        train_score: accuracy on the training votes.
        factors: which columns of the factors these are.
    """

    score: float
    matrix: np.ndarray
    dead_codes: int
    interval: Interval
    train_score: float
    factors: tuple[int, ...]


def factor_vae(
    codes: Any,
    factors: Any,
    *,
    test: Any = None,
    held_out: float = 1 / 3,
    votes: int = 10_000,
    test_votes: int = 5_000,
    batch: int = 64,
    least: int = 8,
    bootstrap: int = RESAMPLES,
    seed: int = 0,
    dead_below: float = DEAD,
) -> FactorVAEScore:
    """Measures whether the code that varies least tells which factor is fixed.

    Of every batch of samples that share the value of one factor, the vote is the living code with the least variance
    relative to that of all samples. Each code is then taken for the factor that most of its training votes had. The
    batches are drawn with replacement among the samples at hand.

    Args:
        codes: [n, d]; d need not be k.
        factors: [n, k] labels; constant ones are left out, with a warning.
        test: codes and factors to test with; None: some are held out.
        held_out: the share of samples that is held out.
        votes: batches to train on.
        test_votes: batches to test with.
        batch: samples in each.
        least: values that fewer samples have are not fixed **(chosen)**: those of one sample alone vary in no code.
        bootstrap: resamples of the test votes behind the interval; 0: no interval.
        seed: of what is held out and drawn, and of the resamples.
        dead_below: the standard deviation below which a code takes no part.

    Returns:
        ``FactorVAEScore``.

    Raises:
        ValueError: for an argument out of range, or if no factor varies or has a value that can be fixed.
    """
    for name, value in (("votes", votes), ("test_votes", test_votes), ("batch", batch), ("least", least)):
        check_positive_int(name, value, 1 if "votes" in name else 2)
    train, tested = check_split(codes, factors, test, held_out, seed)
    whole = np.concatenate([train.codes, tested.codes])
    dead = is_dead(whole, dead_below)
    width, count = train.codes.shape[1], train.factors.shape[1]
    if dead.all():
        return FactorVAEScore(0.0, np.zeros((width, count)), width, None, 0.0, train.columns)
    variances = train.codes.var(axis=0, ddof=1)
    generator = np.random.default_rng(seed)
    fixed, voted = _votes(train, variances, dead, votes, batch, least, generator)
    table = np.zeros((width, count))
    np.add.at(table, (voted, fixed), 1)
    told = table.argmax(axis=1)  # [d]
    fixed_test, voted_test = _votes(tested, variances, dead, test_votes, batch, least, generator)
    right = (told[voted_test] == fixed_test).astype(np.float64)
    score = float(right.mean())
    between = interval(lambda counts: counts @ right / counts.sum(), score, len(right), bootstrap, seed)
    shares = table / np.maximum(table.sum(axis=0), 1)
    trained = float(table.max(axis=1).sum() / votes)
    return FactorVAEScore(score, shares, int(dead.sum()), between, trained, train.columns)


def _votes(
    samples: Samples,
    variances: np.ndarray,
    dead: np.ndarray,
    count: int,
    batch: int,
    least: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Which factor was fixed and which code varied least, [count] each."""
    groups = Groups(samples.factors, least)
    fixed, anchors = groups.anchors(generator, count)
    living = np.flatnonzero(~dead)
    codes, scale = samples.codes[:, living], np.maximum(variances[living], np.finfo(np.float64).tiny)
    voted = np.empty(count, np.int64)
    for part in chunks(count, batch * len(living)):
        same = np.repeat(anchors[part, np.newaxis], batch, axis=1)
        drawn = codes[groups.alike(generator, fixed[part], same)]  # [chunk, batch, living]
        voted[part] = living[np.argmin(drawn.var(axis=1, ddof=1) / scale, axis=1)]
    return fixed, voted
