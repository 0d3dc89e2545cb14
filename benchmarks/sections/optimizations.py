"""Costs of the three optimisations beside a CNN with max-pools: time, and multiply-adds."""

from benchmarks import cases, operations
from benchmarks.settings import Settings
from benchmarks.table import Row
from benchmarks.timing import compare, median

OPTIMIZATIONS = ("joint", "independent", "alternate")


def rows(settings: Settings) -> list[Row]:
    """``cnn_lea`` in each optimisation over ``classic``."""
    return [row for case in cases.cases(settings) for row in _rows(settings, case)]


def _rows(settings: Settings, case: cases.Case) -> list[Row]:
    functions = {"classic": cases.step(cases.cnn(case, "classic"), case)}
    for name in OPTIMIZATIONS:
        functions[name] = cases.step(cases.cnn(case, optimization=name), case)
    times = settings.measure(f"optimisations, {case}", functions, turns=15)

    def count(name: str) -> int:
        return operations.cnn_step(name, case.size, case.batch, case.filters)

    found = []
    for name in OPTIMIZATIONS:
        more = count(name) / count("classic")
        slower = compare(times, name, "classic")
        beside = f"{more:.1f} times the multiply-adds, each at {slower.median / more:.2f} of the time"
        found.append(Row(f"cnn_lea, {name}, {case}", "classic", slower, None, beside))
    rates = (2e-9 * count(name) / median(times, name) for name in ("classic", "alternate"))
    text = "GFLOP/s: classic {:.0f}, alternate {:.0f}".format(*rates)
    return found[:-1] + [Row(found[-1].what, "classic", found[-1].ratio, None, f"{found[-1].beside}; {text}")]
