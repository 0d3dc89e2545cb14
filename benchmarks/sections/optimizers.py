"""Costs of an optimizer of its own for every LEA."""

from collections.abc import Callable
from typing import Any

import keras

from benchmarks import backend, cases
from benchmarks.settings import Settings
from benchmarks.table import Row
from benchmarks.timing import compare

LEARNING_RATE = 1e-4


def rows(settings: Settings) -> list[Row]:
    """The updates of both LEAs of ``cnn_lea`` by two optimizers over those by one."""
    case = cases.cases(settings)[0]
    model = cases.cnn(case)
    variables = model.lea_variables
    functions = {
        "one per LEA": update(model.lea_optimizers, variables),
        "one for all": update([keras.optimizers.Adam(LEARNING_RATE)], [sum(variables, [])]),
        "step": cases.step(model, case),
    }
    times = settings.measure(f"optimizers, {case}", functions, turns=31)
    beside = f"the update of one per LEA takes {compare(times, 'one per LEA', 'step').median:.1%} of a step"
    ratio = compare(times, "one per LEA", "one for all")
    return [Row("apply_gradients, one Adam per LEA", "one Adam for all LEA variables", ratio, None, beside)]


def update(optimizers: list[keras.optimizers.Optimizer], subsets: list[list[keras.Variable]]) -> Callable[[], None]:
    """A function that updates each subset with its optimizer, as a graph, gradients being there already."""
    for optimizer, variables in zip(optimizers, subsets, strict=True):
        if not optimizer.built:
            optimizer.build(variables)
    gradients = [[backend.random(tuple(variable.shape)) for variable in variables] for variables in subsets]

    def apply(gradients: list[list[Any]]) -> Any:
        for optimizer, own, variables in zip(optimizers, gradients, subsets, strict=True):
            optimizer.apply_gradients(zip(own, variables, strict=True))
        return optimizers[-1].iterations + 0

    graph = backend.compiled(apply)
    return lambda: backend.wait(graph(gradients))
