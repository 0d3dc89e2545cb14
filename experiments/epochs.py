"""Choice of the epoch by which a run is judged: its last one, its best one, or one by its number.

Nothing here imports Keras.
"""

import math
from collections.abc import Mapping, Sequence

from experiments import tables
from experiments.config import RunConfig, checks

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


def judged_by(config: RunConfig) -> str:
    """The measure by which an epoch of a run is the best."""
    return config.main_loss or "lea_loss"


def choose(rows: Sequence[Mapping[str, float]], choice: Choice, config: RunConfig) -> int | None:
    """Returns the number of the chosen epoch, the first being 1.

    The best one has the least main loss on the split that the run validates on, or, where there is no main task, the
    least loss of the LEA **(chosen)**; of several such, the first.

    Args:
        rows: of ``metrics.csv``.
        choice: what ``check`` returned.
        config: of the run.

    Returns:
        None if there is no such epoch: too few are finished, or no loss that can be compared is in their rows.
    """
    if choice == BEST:
        name, split = judged_by(config), config.validates_on
        losses = [tables.of_row(row, config)[split].get(name, math.nan) for row in rows]
        finite = [i for i, loss in enumerate(losses) if math.isfinite(loss)]
        return min(finite, key=losses.__getitem__) + 1 if finite else None
    number = len(rows) if choice == LAST else choice
    return number if 1 <= number <= len(rows) else None


def described(choice: Choice, configs: Sequence[RunConfig]) -> str:
    """Returns the words for an epoch: "the last epoch", "epoch 3", "the epoch of least validation log loss".

    Args:
        choice: what ``check`` returned.
        configs: of the runs in question.
    """
    if choice == BEST:
        splits = [split for split in tables.SPLITS if split in {config.validates_on for config in configs}]
        losses = tables.in_order(judged_by(config) for config in configs)
        return f"the epoch of least {' or '.join(splits)} {' or '.join(map(tables.label, losses))}"
    return "the last epoch" if choice == LAST else f"epoch {choice}"


def notes(choice: Choice, configs: Sequence[RunConfig]) -> list[str]:
    """Returns what is to be known of a choice: a line where it was made by test data."""
    return [CHOSEN_BY_TEST] if choice == BEST and any(config.validates_on == "test" for config in configs) else []
