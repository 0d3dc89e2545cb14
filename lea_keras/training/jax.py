"""Steps of ``LEAModel`` on JAX, where all state is handed in and out."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from lea_keras.autoencoders.base import Report
from lea_keras.layers.scope import Scope
from lea_keras.training import trainer
from lea_keras.training.schedule import Phase, Step, total


class _Values:
    """Current values of all variables during a step, by variable."""

    def __init__(self, *groups: tuple[Sequence[keras.Variable], Sequence[Any]]) -> None:
        self._variables = [variable for variables, _ in groups for variable in variables]
        pairs = ((v, value) for variables, values in groups for v, value in zip(variables, values, strict=True))
        self._values = {id(variable): value for variable, value in pairs}

    def of(self, variables: Sequence[keras.Variable]) -> list[Any]:
        return [self._values[id(variable)] for variable in variables]

    def set(self, variables: Sequence[keras.Variable], values: Sequence[Any]) -> None:
        self._values |= {id(variable): value for variable, value in zip(variables, values, strict=True)}

    def run(
        self, function: Callable[[], Any], variables: Sequence[keras.Variable] = (), values: Sequence[Any] = ()
    ) -> tuple[Any, list[Any]]:
        """Calls a function with these values, some replaced; returns its result and all values afterwards."""
        replaced = {id(variable): value for variable, value in zip(variables, values, strict=True)}
        mapping = [(variable, (self._values | replaced)[id(variable)]) for variable in self._variables]
        with keras.StatelessScope(state_mapping=mapping, collect_losses=True) as scope:
            result = function()
        return result, [scope.get_current_value(variable) for variable in self._variables]

    def move(self, values: Sequence[Any], kept: Callable[[keras.Variable], bool]) -> None:
        """Takes over what ``run`` returned, of those variables that are to be ``kept``."""
        for variable, value in zip(self._variables, values, strict=True):
            if kept(variable):
                self._values[id(variable)] = value


def train_step(model: Any, state: Any, data: Any) -> tuple[dict[str, Any], Any]:
    """Takes one training step; as ``train_step`` of a ``keras.Model`` on JAX, returns metrics and the new state."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    values = _Values(*zip(groups, state, strict=True))
    _, after = values.run(model.optimizer.follow)
    values.move(after, lambda _: True)
    y_pred, main_loss, reports, count = None, None, [], 0
    for phase in model._plan.phases:
        if phase.mode == "local" and not count:
            continue  # no LEA has an objective
        results, updates = _phase(model, (x, y, sample_weight), values, phase, count)
        reports = results["reports"] or reports
        if phase.mode != "local":
            y_pred, main_loss, count = results["y_pred"], results["main_loss"], results["count"]
        for step, gradients in updates:
            optimizer = model._optimizer_of(step.objective)
            given = values.of(optimizer.variables), gradients, values.of(step.variables)
            weights, moments = optimizer.stateless_apply(*given)
            values.set(step.variables, weights)
            values.set(optimizer.variables, moments)
    logs, after = values.run(lambda: model._report(x, y, y_pred, sample_weight, main_loss, reports, 1))
    metrics = {id(variable) for variable in model.metrics_variables}
    values.move(after, lambda variable: id(variable) in metrics)
    return logs, tuple(values.of(group) for group in groups)


def _phase(
    model: Any, batch: tuple[Any, Any, Any], values: _Values, phase: Phase, count: int
) -> tuple[dict[str, Any], list[tuple[Step, list[Any]]]]:
    """Runs a phase's forward pass and takes the gradients of its steps; state that the pass moved is taken over."""
    # Where an objective depends on what another one trains, each has a backward pass of its own; the compiler sees that
    # their forward passes are one. Elsewhere the sum of all has the gradients of each.
    groups = [[step] for step in phase.steps] if phase.mode == "objectives" else [phase.steps]
    results: dict[str, Any] = {}
    after: list[Any] = []
    found: dict[str | int, list[Any]] = {}
    for group in groups:
        gradients, of_pass, values_after = _gradients(model, batch, values, phase, group, count)
        found |= gradients
        if not results:
            results, after = of_pass, values_after
    results["reports"] = [
        Report(codes, None, measures, loss, gradients, layer=model.lea_layers[index])
        for index, loss, measures, gradients, codes in results["reports"]
    ]
    trained = {id(variable) for variable in model.trainable_variables}
    if phase.mode == "local":
        # State of main layers that the pass before moved, such as moving averages, must not move again.
        own = {id(variable) for lea in model.lea_layers for variable in lea.variables} - trained
        values.move(after, lambda v: id(v) in own or not keras.backend.is_float_dtype(v.dtype))
    else:
        values.move(after, lambda v: id(v) not in trained)
    updates = []
    for step in phase.steps:
        if step.objective in found and step.variables:
            taken = trainer.taken_gradients(model, step, results["reports"])
            updates.append((step, found[step.objective] if taken is None else taken))
    return results, updates


def _gradients(
    model: Any, batch: tuple[Any, Any, Any], values: _Values, phase: Phase, group: Sequence[Step], count: int
) -> tuple[dict[str | int, list[Any]], dict[str, Any], list[Any]]:
    """Gradients by objective, of those steps of a group that have one; results of the forward pass; all values after
    it."""
    import jax

    variables = list({id(v): v for step in group for v in step.variables}.values())

    def forward(primals: Sequence[Any]) -> tuple[Any, Any]:
        results, after = values.run(lambda: _objectives(model, batch, phase, count), variables, primals)
        of_group = [results["scaled"].get(str(step.objective)) for step in group]
        return total([keras.ops.zeros(()), *of_group]), (results, after)

    (_, (results, after)), taken = jax.value_and_grad(forward, has_aux=True)(values.of(variables))
    by_variable = dict(zip(map(id, variables), taken, strict=True))
    gradients = {
        step.objective: [by_variable[id(variable)] for variable in step.variables]
        for step in group
        if str(step.objective) in results["scaled"]
    }
    return gradients, results, after


def test_step(model: Any, state: Any, data: Any) -> tuple[dict[str, Any], Any]:
    """Measures a batch; as ``test_step`` of a ``keras.Model`` on JAX."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    groups = model.trainable_variables, model.non_trainable_variables, model.metrics_variables
    values = _Values(*zip(groups, state, strict=True))

    def run() -> dict[str, Any]:
        with trainer.open_pass(model, "objectives") as current:
            y_pred = model(x, training=False)
        main_loss = model._main_loss(x, y, y_pred, sample_weight, training=False)
        return model._report(x, y, y_pred, sample_weight, main_loss, current.reports, 1)

    logs, after = values.run(run)
    values.move(after, lambda variable: True)
    return logs, tuple(values.of(group) for group in groups)


def _objectives(model: Any, batch: tuple[Any, Any, Any], phase: Phase, count: int) -> dict[str, Any]:
    """What a phase's forward pass makes, and its "scaled" objectives, by name as text, since JAX sorts them."""
    y_pred, before = None, None
    if phase.mode == "local":
        before = Scope()
        before.count = count
    with trainer.open_pass(model, phase.mode, before) as current:
        y_pred = model(batch[0], training=True)
    main_loss, scaled = trainer.losses(model, batch, y_pred, current.reports, phase)
    return {
        "scaled": {str(objective): loss for objective, loss in scaled.items()},
        "main_loss": main_loss,
        "y_pred": y_pred,
        "count": current.count,
        "reports": [
            (
                model.lea_layers.index(report.layer),
                report.loss,
                report.measures,
                report.gradients,
                report.codes if report.layer.autoencoder.sparse else None,  # of others, nothing is counted
            )
            for report in current.reports
        ],
    }
