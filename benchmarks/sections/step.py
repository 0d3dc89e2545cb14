"""The alternate step of ``cnn_lea`` over its seven matrix products."""

from benchmarks import cases, products
from benchmarks.settings import Settings
from benchmarks.table import Goal, Row
from benchmarks.timing import compare, median

GRAPH = Goal(at_most=1.3, aim=1.1)
XLA = Goal(at_most=1.5, aim=1.1)


def rows(settings: Settings) -> list[Row]:
    """A step in graph mode and with XLA, whole and in chunks, over the products of both LEAs."""
    return [row for case in cases.cases(settings) for row in _rows(settings, case)]


def _rows(settings: Settings, case: cases.Case) -> list[Row]:
    functions = {"floor": products.floor(case.leas), "XLA": products.floor(case.leas, xla=True)}
    kinds = {}
    for xla in (False, True):
        for chunk_windows in (None, "auto"):
            name = f"{'XLA' if xla else 'graph'}, chunk_windows={chunk_windows}"
            kinds[name] = xla
            functions[name] = cases.step(cases.cnn(case, chunk_windows=chunk_windows, xla=xla), case)
    times = settings.measure(f"cnn_lea, {case}", functions, turns=21)
    floor = f"7 matrix products × {len(case.leas)} LEAs, eager"
    absolute = f"the products: {1e3 * median(times, 'floor'):.1f} ms"
    found = []
    for name, xla in kinds.items():
        goal, beside = (XLA if xla else GRAPH), absolute
        if xla:
            beside = f"over the products as XLA compiles them: {compare(times, name, 'XLA').median:.2f}"
        found.append(Row(f"alternate step, {case}, {name}", floor, compare(times, name, "floor"), goal, beside))
    own = "XLA computes them itself on a CPU"
    found.append(Row(f"the same products compiled by XLA, {case}", floor, compare(times, "XLA", "floor"), None, own))
    return found
