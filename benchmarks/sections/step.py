"""The alternate step of ``cnn_lea`` over its seven matrix products: TensorFlow's graph, XLA, and JAX beside them."""

import contextlib
import importlib.util
from collections.abc import Callable
from typing import Any

from benchmarks import cases, products
from benchmarks.settings import Settings
from benchmarks.table import Goal, Row
from benchmarks.timing import Times, compare, median
from benchmarks.worker import Worker

GRAPH, XLA, JAX = "TensorFlow graph", "XLA", "JAX"
GOALS = {GRAPH: Goal(at_most=1.3, aim=1.1), XLA: Goal(at_most=1.5, aim=1.1), JAX: None}
MODES = (None, "auto")
TOY_MODES = ("auto",)  # tracing and compiling take nearly all of the time at toy size
PAUSE = 0.02  # threads wait actively for a while, on the cores that the other process needs next


def rows(settings: Settings) -> list[Row]:
    """A step of each, whole and in chunks, over the products of both LEAs as TensorFlow and as each computes them."""
    return [row for case in cases.cases(settings) for row in _rows(settings, case)]


def _rows(settings: Settings, case: cases.Case) -> list[Row]:
    with contextlib.ExitStack() as stack:
        functions: dict[str, Callable[[], Any]] = {GRAPH: products.floor(case.leas)}
        functions[XLA] = products.floor(case.leas, xla=True)
        worker = stack.enter_context(Worker("jax")) if importlib.util.find_spec("jax") is not None else None
        if worker is not None:
            functions[JAX] = worker.make("benchmarks.products:floor", leas=case.leas, xla=True)
        columns = list(functions)
        modes = TOY_MODES if settings.toy else MODES
        for mode in modes:
            for column in (GRAPH, XLA):
                model = cases.cnn(case, chunk_windows=mode, xla=column == XLA)
                functions[_name(column, mode)] = cases.step(model, case)
            if worker is not None:
                step = worker.make("benchmarks.cases:compiled_step", case=case, chunk_windows=mode)
                functions[_name(JAX, mode)] = step
        times = settings.measure(f"cnn_lea, {case}", functions, turns=21, pause=PAUSE)
    found = []
    for mode in modes:
        found += _of_steps(times, case, columns, mode)
    same = f"the same products, {case}"
    floor = _floor(case)
    for column in columns:
        found.append(Row(same, floor, compare(times, column, GRAPH), None, _milliseconds(times, column), column))
    if worker is None:
        beside = "left out: jax is not installed"
        found += [Row(_what(case, mode), floor, beside=beside, column=JAX) for mode in modes]
    return found


def _of_steps(times: Times, case: cases.Case, columns: list[str], mode: str | None) -> list[Row]:
    what, found = _what(case, mode), []
    for column in columns:
        name = _name(column, mode)
        ratio = compare(times, name, GRAPH)
        found.append(Row(what, _floor(case), ratio, GOALS[column], _milliseconds(times, name), column))
    for column in columns:
        ratio = compare(times, _name(column, mode), column)
        found.append(Row(what, "the same products as each computes them", ratio, None, "", column))
    for column in columns:
        ratio = compare(times, _name(column, mode), _name(GRAPH, mode))
        found.append(Row(what, f"the step as {GRAPH}", ratio, None, "", column))
    return found


def _what(case: cases.Case, mode: str | None) -> str:
    return f"alternate step, {case}, chunk_windows={mode}"


def _floor(case: cases.Case) -> str:
    return f"7 matrix products × {len(case.leas)} LEAs, TensorFlow, eager"


def _name(column: str, mode: str | None) -> str:
    return f"{column}, chunk_windows={mode}"


def _milliseconds(times: Times, name: str) -> str:
    return f"{1e3 * median(times, name):.1f} ms"
