"""Hyperparameters in which runs differ: the columns of comparisons, and the order of their rows."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import lea_keras.data
from experiments import tables
from experiments.config import RunConfig, joined

# What may differ between runs of which medians are taken. Runs of different lengths, or on different data, may not.
OF_NO_MATTER = ("seed", "data_seed", "data_dir", "download")
NAMES = tuple(field.name for field in dataclasses.fields(RunConfig) if field.name not in OF_NO_MATTER)

Values = dict[str, Any]


def of_run(config: RunConfig) -> RunConfig:
    """A configuration without what is of no matter, and with the numbers that a None of it stands for.

    So a run with the data set's batch size is the same as one that was given this number, and columns are numbers.
    """
    details = lea_keras.data.info(config.dataset)
    window_size = config.window_size or config.image_shape
    return config.replace(
        batch_size=config.batch_size or details.batch_size,
        limit=config.limit or details.train_size,
        test_limit=config.test_limit or details.test_size,
        image_size=config.image_size or details.image_shape[0],
        window_size=window_size,
        strides=config.strides or window_size,
        **{name: getattr(RunConfig, name) for name in OF_NO_MATTER},
    )


def differing(configs: Sequence[RunConfig]) -> list[Values]:
    """Returns, for each configuration, those of its values that are not the same in all, in the order of the fields.

    What nobody gave is no column, even if the data sets' own numbers differ, since ``dataset`` then says so.
    """
    resolved = [of_run(config) for config in configs]
    names = [
        name
        for name in NAMES
        if len({getattr(config, name) for config in resolved}) > 1
        and any(getattr(config, name) is not None for config in configs)
    ]
    return [{name: getattr(config, name) for name in names} for config in resolved]


def place(values: Values) -> list[tuple]:
    """A key that sorts by hyperparameters, the first of them first: 4 before 16, and what has no value at the end."""
    return [_place(value) for value in values.values()]


def _place(value: Any) -> tuple:
    if value is None:
        return (2,)
    if isinstance(value, str):
        return 1, tables.natural(value)
    return 0, value if isinstance(value, tuple) else (value, value)  # a size of one number is a square


def cell(value: Any) -> Any:
    """A value as CSV has it: numbers as they are, several as on the command line, nothing for None."""
    return joined(value) if isinstance(value, tuple) else value


def shown(value: Any) -> str:
    """A value as tables show it."""
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(cell(value))
