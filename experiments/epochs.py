"""Choice of the epoch by which a run is judged: its last one, its best one, or one by its number.

Nothing here imports Keras.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from experiments import tables
from experiments.config import checks

LAST, BEST = "last", "best"
Choice = str | int

CHOSEN_BY_TEST = (
    "The best epoch is chosen by the test data, which makes test values look better than they are; train with "
    "--validation to choose by other data."
)


def check(value: Choice) -> Choice:
    """Returns "last", "best" or the number of an epoch, which may come as text.

    Raises:
        ValueError: one line, for anything else.
    """
    if value in (LAST, BEST):
        return value
    try:
        return checks.check_positive_int("epoch", int(value) if isinstance(value, str) else value)
    except ValueError:
        raise checks.fail("epoch", "last, best, or the number of an epoch from 1", value) from None


def choose(rows: Sequence[Mapping[str, float]], choice: Choice, validates_on: str) -> int | None:
    """Returns the number of the chosen epoch, the first being 1.

    The best one has the least main loss on the split that the run validates on; of several such, the first.

    Args:
        rows: of ``metrics.csv``.
        choice: what ``check`` returned.
        validates_on: of the run's configuration.

    Returns:
        None if there is no such epoch: too few are finished, or no loss that can be compared is in their rows.
    """
    if choice == BEST:
        losses = [tables.of_row(row, validates_on)[validates_on].get("main_loss", math.nan) for row in rows]
        finite = [i for i, loss in enumerate(losses) if math.isfinite(loss)]
        return min(finite, key=losses.__getitem__) + 1 if finite else None
    number = len(rows) if choice == LAST else choice
    return number if 1 <= number <= len(rows) else None


def described(choice: Choice, validate_on: Iterable[str]) -> str:
    """Returns the words for an epoch: "the last epoch", "epoch 3", "the epoch of least validation log loss".

    Args:
        choice: what ``check`` returned.
        validate_on: the splits that the runs in question validate on.
    """
    if choice == BEST:
        splits = [split for split in tables.SPLITS if split in set(validate_on)]
        return f"the epoch of least {' or '.join(splits)} {tables.MAIN['main_loss']}"
    return "the last epoch" if choice == LAST else f"epoch {choice}"


def notes(choice: Choice, validate_on: Iterable[str]) -> list[str]:
    """Returns what is to be known of a choice: a line where it was made by test data."""
    return [CHOSEN_BY_TEST] if choice == BEST and "test" in set(validate_on) else []
