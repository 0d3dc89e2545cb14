"""Choice of an epoch: the last, the best by the main loss or by the only one there is, or one by its number."""

import math

import pytest

from experiments import epochs
from experiments.config import CONFIGS, RunConfig

# The total, the training loss and the accuracy each point to another epoch than the main loss on held-out data.
NAMES = ("epoch", "loss", "main_loss", "accuracy", "val_loss", "val_main_loss", "val_accuracy")
ROWS = [
    dict(zip(NAMES, row, strict=True))
    for row in (
        (1, 4.0, 4.0, 0.4, 1.0, 3.0, 0.5),
        (2, 3.0, 3.0, 0.5, 9.0, 1.0, 0.6),
        (3, 2.0, 2.0, 0.6, 8.0, 1.0, 0.6),
        (4, 1.0, 1.0, 0.9, 7.0, 2.0, 0.9),
    )
]
VALIDATING = {"validation": RunConfig(validation=0.1), "test": RunConfig()}
PLAIN = [{"epoch": i, "loss": 5.0 - i, "val_loss": loss} for i, loss in enumerate((2.0, 1.0, 3.0), 1)]


@pytest.mark.parametrize("validates_on", ["validation", "test"])
def test_choices(validates_on):
    config = VALIDATING[validates_on]
    assert epochs.choose(ROWS, "last", config) == 4
    assert epochs.choose(ROWS, "best", config) == 2  # the first of two that are equal
    assert [epochs.choose(ROWS, n, config) for n in (1, 4, 5)] == [1, 4, None]
    assert epochs.choose(PLAIN, "best", config) == 2  # without LEAs, the only loss


def test_without_a_main_task_the_least_loss_of_the_lea_is_the_best():
    """Not the whole loss, which the LEA's weight scales, nor the reconstruction loss alone."""
    names = ("epoch", "val_loss", "val_lea_loss", "val_lea_rl")
    rows = [dict(zip(names, row, strict=True)) for row in ((1, 1.0, 3.0, 2.0), (2, 2.0, 1.0, 3.0), (3, 3.0, 2.0, 1.0))]
    assert epochs.choose(rows, "best", CONFIGS["autoencoder"]) == 2
    assert epochs.described("best", [CONFIGS["autoencoder"]]) == "the epoch of least test lea loss"


def test_losses_that_are_no_numbers_are_never_the_best():
    rows = [row | {"val_main_loss": math.nan} for row in ROWS[:2]] + ROWS[2:]
    assert epochs.choose(rows, "best", RunConfig()) == 3
    assert epochs.choose(rows[:2], "best", RunConfig()) is None
    assert epochs.choose([{"epoch": 1, "loss": 1.0}], "best", RunConfig()) is None  # nothing was validated
    assert epochs.choose([], "best", RunConfig()) is epochs.choose([], "last", RunConfig()) is None


def test_values_of_the_flag():
    assert [epochs.check(value) for value in ("last", "best", "3", 3)] == ["last", "best", 3, 3]
    for value in ("0", "-1", "1.5", "worst", "", 0, True):
        with pytest.raises(ValueError, match="`epoch` must be last, best, or the number of an epoch from 1. Received"):
            epochs.check(value)


def test_words():
    test, validation = VALIDATING["test"], VALIDATING["validation"]
    other = RunConfig(loss="crossentropy")
    assert epochs.described("last", [test]) == "the last epoch" and epochs.described(3, [test]) == "epoch 3"
    assert epochs.described("best", [test, test]) == "the epoch of least test log loss"
    assert epochs.described("best", [test, validation]) == "the epoch of least validation or test log loss"
    assert epochs.described("best", [other, test]) == "the epoch of least test log loss or cross-entropy"
    assert epochs.notes("best", [validation, test]) == [epochs.CHOSEN_BY_TEST]
    assert epochs.notes("best", [validation]) == epochs.notes("last", [test]) == epochs.notes(2, [test]) == []
