"""Choice of an epoch: the last, the best by the main loss alone, or one by its number."""

import math

import pytest

from experiments import epochs

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
PLAIN = [{"epoch": i, "loss": 5.0 - i, "val_loss": loss} for i, loss in enumerate((2.0, 1.0, 3.0), 1)]


@pytest.mark.parametrize("validates_on", ["validation", "test"])
def test_choices(validates_on):
    assert epochs.choose(ROWS, "last", validates_on) == 4
    assert epochs.choose(ROWS, "best", validates_on) == 2  # the first of two that are equal
    assert [epochs.choose(ROWS, n, validates_on) for n in (1, 4, 5)] == [1, 4, None]
    assert epochs.choose(PLAIN, "best", validates_on) == 2  # without LEAs, the only loss


def test_losses_that_are_no_numbers_are_never_the_best():
    rows = [row | {"val_main_loss": math.nan} for row in ROWS[:2]] + ROWS[2:]
    assert epochs.choose(rows, "best", "test") == 3
    assert epochs.choose(rows[:2], "best", "test") is None
    assert epochs.choose([{"epoch": 1, "loss": 1.0}], "best", "test") is None  # nothing was validated
    assert epochs.choose([], "best", "test") is epochs.choose([], "last", "test") is None


def test_values_of_the_flag():
    assert [epochs.check(value) for value in ("last", "best", "3", 3)] == ["last", "best", 3, 3]
    for value in ("0", "-1", "1.5", "worst", "", 0, True):
        with pytest.raises(ValueError, match="`epoch` must be last, best, or the number of an epoch from 1. Received"):
            epochs.check(value)


def test_words():
    assert epochs.described("last", ["test"]) == "the last epoch" and epochs.described(3, ["test"]) == "epoch 3"
    assert epochs.described("best", ["test", "test"]) == "the epoch of least test log loss"
    assert epochs.described("best", ["test", "validation"]) == "the epoch of least validation or test log loss"
    assert epochs.notes("best", ["validation", "test"]) == [epochs.CHOSEN_BY_TEST]
    assert epochs.notes("best", ["validation"]) == epochs.notes("last", ["test"]) == epochs.notes(2, ["test"]) == []
