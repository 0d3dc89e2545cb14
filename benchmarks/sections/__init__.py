"""Sections of the measurements: one module each, each with ``rows(settings) -> list[Row]``."""

import importlib
from collections.abc import Callable

from benchmarks.settings import Settings
from benchmarks.table import Row

# By name, in this order: the module, and roughly how many seconds it takes on two cores. Estimates of the time that
# remains rest on their proportions alone.
SECTIONS = {
    "step": ("step", 300),
    "torch": ("against_torch", 300),
    "optimizations": ("optimizations", 100),
    "coders": ("coders", 60),
    "inference": ("inference", 40),
    "windows": ("windows", 600),
    "data": ("data", 120),
    "optimizers": ("optimizers", 45),
}


def load(name: str) -> Callable[[Settings], list[Row]]:
    """The function that measures a section; imported when it is needed."""
    return importlib.import_module(f"benchmarks.sections.{SECTIONS[name][0]}").rows
